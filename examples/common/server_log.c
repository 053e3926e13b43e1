/* SPDX-License-Identifier: MIT */
/*
 * server_log: see the header.
 */
#include "server_log.h"

#include "log.h"

#define FIELDS_MAX 32

void server_log_write(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                      size_t count) {
  struct log_field list[FIELDS_MAX];
  (void) user;
  if (count > FIELDS_MAX) count = FIELDS_MAX;
  for (size_t i = 0; i < count; i++)
    list[i] = (struct log_field){fields[i].name, fields[i].text, fields[i].number, fields[i].is_phrase != 0};
  log_write((enum log_level) level, event, list, count);
}
