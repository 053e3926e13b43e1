/* SPDX-License-Identifier: MIT */
/*
 * logins: two tables under one lock. Both are small enough to be searched as a whole.
 */
#include "networks.h"

#include <fluxbp/server/logins.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ID_BYTES ((FLUXBP_LOGIN_TEXT_BYTES - 1) / 2)
#define MINUTE_MS 60000
#define PREFIX_BYTES 8 /* of an IPv6 address, that count */

struct login {
  uint64_t serial; /* 0: the place is free */
  uint64_t end_ms;
  char text[FLUXBP_LOGIN_TEXT_BYTES];
};

/* The attempts of one address, in the minute that begins with the first of them. */
struct attempts {
  uint8_t address[16];
  uint32_t count; /* 0: the place is free */
  uint64_t since_ms;
};

struct fluxbp_logins {
  uv_mutex_t lock;
  uint32_t seconds;
  uint64_t last_serial;
  struct login list[FLUXBP_LOGINS_MAX];
  struct attempts attempts[FLUXBP_LOGIN_ADDRESSES];
};

int fluxbp_logins_create(uint32_t seconds, fluxbp_logins_t **logins) {
  *logins = calloc(1, sizeof **logins);
  if (*logins == NULL) return UV_ENOMEM;
  (*logins)->seconds = seconds;
  int err = uv_mutex_init(&(*logins)->lock);
  if (err == 0) return 0;
  free(*logins);
  *logins = NULL;
  return err;
}

void fluxbp_logins_free(fluxbp_logins_t *logins) {
  if (logins == NULL) return;
  uv_mutex_destroy(&logins->lock);
  free(logins);
}

/* Return a free place, or that of the oldest login. */
static struct login *place_for_login(fluxbp_logins_t *logins) {
  struct login *oldest = &logins->list[0];
  for (size_t i = 0; i < FLUXBP_LOGINS_MAX; i++)
    if (logins->list[i].serial < oldest->serial) oldest = &logins->list[i];
  return oldest;
}

int fluxbp_logins_begin(fluxbp_logins_t *logins, uint64_t now_ms, char text[FLUXBP_LOGIN_TEXT_BYTES]) {
  struct login login = {.end_ms = now_ms + (uint64_t) logins->seconds * 1000};
  unsigned char id[ID_BYTES];
  int err = uv_random(NULL, NULL, id, sizeof id, 0, NULL);
  if (err != 0) return err;
  for (size_t i = 0; i < sizeof id; i++) snprintf(login.text + 2 * i, 3, "%02x", id[i]);
  memcpy(text, login.text, sizeof login.text);
  uv_mutex_lock(&logins->lock);
  login.serial = ++logins->last_serial;
  *place_for_login(logins) = login;
  uv_mutex_unlock(&logins->lock);
  return 0;
}

int fluxbp_logins_is_same_token(const char *secret, const char *shown, size_t length) {
  size_t secret_length = strlen(secret);
  unsigned difference = length != secret_length;
  for (size_t i = 0; i < length; i++)
    difference |= (unsigned char) shown[i] ^ (unsigned char) secret[i < secret_length ? i : 0];
  return difference == 0;
}

uint64_t fluxbp_logins_find(fluxbp_logins_t *logins, const char *text, size_t length, uint64_t now_ms) {
  uint64_t serial = 0;
  uv_mutex_lock(&logins->lock);
  for (size_t i = 0; i < FLUXBP_LOGINS_MAX; i++) {
    const struct login *login = &logins->list[i];
    bool is_same = fluxbp_logins_is_same_token(login->text, text, length);
    if (is_same && now_ms < login->end_ms) serial = login->serial;
  }
  uv_mutex_unlock(&logins->lock);
  return serial;
}

int fluxbp_logins_has(fluxbp_logins_t *logins, uint64_t serial) {
  bool is_there = false;
  uv_mutex_lock(&logins->lock);
  for (size_t i = 0; i < FLUXBP_LOGINS_MAX; i++) is_there |= logins->list[i].serial == serial;
  uv_mutex_unlock(&logins->lock);
  return is_there && serial != 0;
}

void fluxbp_logins_end(fluxbp_logins_t *logins, uint64_t serial) {
  uv_mutex_lock(&logins->lock);
  for (size_t i = 0; i < FLUXBP_LOGINS_MAX; i++)
    if (logins->list[i].serial == serial) logins->list[i] = (struct login){0};
  uv_mutex_unlock(&logins->lock);
}

void fluxbp_logins_end_all(fluxbp_logins_t *logins) {
  uv_mutex_lock(&logins->lock);
  memset(logins->list, 0, sizeof logins->list);
  uv_mutex_unlock(&logins->lock);
}

size_t fluxbp_logins_expire(fluxbp_logins_t *logins, uint64_t now_ms) {
  size_t count = 0;
  uv_mutex_lock(&logins->lock);
  for (size_t i = 0; i < FLUXBP_LOGINS_MAX; i++) {
    struct login *login = &logins->list[i];
    if (now_ms >= login->end_ms) *login = (struct login){0};
    count += login->serial != 0;
  }
  uv_mutex_unlock(&logins->lock);
  return count;
}

/* Attempts. */

static void read_address(const char *text, uint8_t address[16]) {
  struct network network;
  bool is_read = network_parse_address(text, &network);
  memset(address, 0, 16);
  if (is_read) memcpy(address, network.address, network.is_ipv4 ? 16 : PREFIX_BYTES);
}

/* Return the place of an address; or that of another one, which is free or whose minute began first. */
static struct attempts *attempts_of(fluxbp_logins_t *logins, const uint8_t address[16]) {
  struct attempts *place = &logins->attempts[0];
  for (size_t i = 0; i < FLUXBP_LOGIN_ADDRESSES; i++) {
    struct attempts *other = &logins->attempts[i];
    if (other->count > 0 && memcmp(other->address, address, sizeof other->address) == 0) return other;
    if (place->count > 0 && (other->count == 0 || other->since_ms < place->since_ms)) place = other;
  }
  return place;
}

uint32_t fluxbp_logins_count_attempt(fluxbp_logins_t *logins, const char *text, uint64_t now_ms) {
  uint8_t address[16];
  uint64_t wait_ms = 0;
  read_address(text, address);
  uv_mutex_lock(&logins->lock);
  struct attempts *attempts = attempts_of(logins, address);
  bool is_known = attempts->count > 0 && memcmp(attempts->address, address, sizeof address) == 0;
  if (!is_known || now_ms - attempts->since_ms >= MINUTE_MS) {
    memcpy(attempts->address, address, sizeof address);
    attempts->count = 0;
    attempts->since_ms = now_ms;
  }
  if (attempts->count < FLUXBP_LOGIN_ATTEMPTS_A_MINUTE)
    attempts->count++;
  else
    wait_ms = MINUTE_MS - (now_ms - attempts->since_ms);
  uv_mutex_unlock(&logins->lock);
  return (uint32_t) ((wait_ms + 999) / 1000);
}
