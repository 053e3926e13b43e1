/* SPDX-License-Identifier: MIT */
/*
 * token_guesses: see the header. The table has sets of WAYS places; a random number of the process decides which set an
 * address belongs to, so that no client can choose addresses that share one.
 */
#include "token_guesses.h"

#include "networks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#define SET_BITS 9
#define WAYS 4

struct guesser {
  uint64_t key;
  uint64_t since_ms; /* the time of the first wrong token that counts */
  uint32_t count;    /* 0: the place is free */
};

struct token_guesses {
  uv_mutex_t lock;
  uint32_t most;
  uint64_t multiplier; /* odd */
  struct guesser sets[1 << SET_BITS][WAYS];
};

struct token_guesses *token_guesses_create(uint32_t most) {
  struct token_guesses *guesses = calloc(1, sizeof *guesses);
  if (guesses == NULL || uv_mutex_init(&guesses->lock) != 0) {
    free(guesses);
    return NULL;
  }
  guesses->most = most;
  (void) uv_random(NULL, NULL, &guesses->multiplier, sizeof guesses->multiplier, 0, NULL);
  guesses->multiplier |= 1;
  return guesses;
}

void token_guesses_free(struct token_guesses *guesses) {
  if (guesses == NULL) return;
  uv_mutex_destroy(&guesses->lock);
  free(guesses);
}

static struct guesser *set_of(struct token_guesses *guesses, uint64_t key) {
  return guesses->sets[key * guesses->multiplier >> (64 - SET_BITS)];
}

static bool is_over(const struct guesser *guesser, uint64_t now_ms) {
  return guesser->count == 0 || now_ms - guesser->since_ms >= TOKEN_GUESSES_MS;
}

static struct guesser *find_guesser(struct guesser *set, uint64_t key) {
  for (size_t i = 0; i < WAYS; i++)
    if (set[i].count > 0 && set[i].key == key) return &set[i];
  return NULL;
}

/* Return the place for an address that is new: one that is free or over, or that with the fewest wrong tokens. */
static struct guesser *find_place(struct guesser *set, uint64_t now_ms) {
  struct guesser *place = &set[0];
  for (size_t i = 0; i < WAYS; i++) {
    if (is_over(&set[i], now_ms)) return &set[i];
    if (set[i].count < place->count) place = &set[i];
  }
  return place;
}

uint32_t token_guesses_wait_s(struct token_guesses *guesses, const struct sockaddr *address, uint64_t now_ms) {
  if (network_is_loopback(address)) return 0;
  uint64_t key = network_key(address), wait_ms = 0;
  uv_mutex_lock(&guesses->lock);
  const struct guesser *guesser = find_guesser(set_of(guesses, key), key);
  if (guesser != NULL && guesser->count >= guesses->most && !is_over(guesser, now_ms))
    wait_ms = TOKEN_GUESSES_MS - (now_ms - guesser->since_ms);
  uv_mutex_unlock(&guesses->lock);
  return (uint32_t) ((wait_ms + 999) / 1000);
}

void token_guesses_note(struct token_guesses *guesses, const struct sockaddr *address, uint64_t now_ms) {
  if (network_is_loopback(address)) return;
  uint64_t key = network_key(address);
  uv_mutex_lock(&guesses->lock);
  struct guesser *set = set_of(guesses, key);
  struct guesser *guesser = find_guesser(set, key);
  if (guesser == NULL) guesser = find_place(set, now_ms);
  if (guesser->key != key || is_over(guesser, now_ms))
    *guesser = (struct guesser){.key = key, .since_ms = now_ms, .count = 1};
  else if (guesser->count < guesses->most)
    guesser->count++;
  uv_mutex_unlock(&guesses->lock);
}
