/* SPDX-License-Identifier: MIT */
/*
 * backoff: the pause, and after which refusals there is none.
 */
#include "backoff.h"

uint64_t fluxbp__backoff_ms(uint32_t first_ms, uint32_t max_ms, uint32_t failures, uint64_t hint_ms, uint64_t random) {
  uint64_t bound = first_ms;
  for (uint32_t i = 0; i < failures && bound < max_ms; i++) bound *= 2;
  if (bound > max_ms) bound = max_ms;
  if (hint_ms > FLUXBP__HINT_MAX_MS) hint_ms = FLUXBP__HINT_MAX_MS;
  return hint_ms + random % (bound + 1);
}

bool fluxbp__backoff_is_about_token(int status, int code) {
  return status == 401 || status == 403 || code == 4401 || code == 4403;
}

/* 408 Request Timeout, 425 Too Early and 429 Too Many Requests are about the moment; so is each 5xx. */
bool fluxbp__backoff_is_final_status(int status) {
  return status != 0 && status < 500 && status != 408 && status != 425 && status != 429;
}

/* 1000: the stream has ended. 1002, 1003, 1007, 1009, 1010: the same would be sent again. 4000: an administrator
 * closed it. 4401, 4403: the same token would be shown again. */
bool fluxbp__backoff_is_final_code(int code) {
  static const int codes[] = {1000, 1002, 1003, 1007, 1009, 1010, 4000, 4401, 4403};
  for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (code == codes[i]) return true;
  return false;
}
