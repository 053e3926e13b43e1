/* SPDX-License-Identifier: MIT */
/*
 * revocations: see the header. The table has open addressing, and is made anew, without what is over, when three
 * quarters of its places are taken.
 */
#include "revocations.h"

#include <stdlib.h>
#include <uv.h>

#define PLACES_AT_FIRST 64

/* Numbers of subjects and of tokens differ, though their texts may be the same. */
#define SUBJECT_MARK 0x9e3779b97f4a7c15
#define ANY_TIME UINT64_MAX

struct entry {
  uint64_t number; /* of the text; 0: the place is free */
  uint64_t issued_until_s;
  uint64_t until_s;
};

struct revocations {
  uv_mutex_t lock;
  const struct secret_hash *hash;
  struct entry *entries;
  size_t places; /* a power of two */
  size_t count;
};

struct revocations *revocations_create(const struct secret_hash *hash) {
  struct revocations *revocations = calloc(1, sizeof *revocations);
  struct entry *entries = calloc(PLACES_AT_FIRST, sizeof *entries);
  if (revocations == NULL || entries == NULL || uv_mutex_init(&revocations->lock) != 0) {
    free(revocations);
    free(entries);
    return NULL;
  }
  revocations->hash = hash;
  revocations->entries = entries;
  revocations->places = PLACES_AT_FIRST;
  return revocations;
}

void revocations_free(struct revocations *revocations) {
  if (revocations == NULL) return;
  uv_mutex_destroy(&revocations->lock);
  free(revocations->entries);
  free(revocations);
}

static uint64_t number_of(const struct revocations *revocations, const char *subject, const char *token_id) {
  uint64_t number = subject != NULL ? secret_hash_of(revocations->hash, subject) ^ SUBJECT_MARK
                                    : secret_hash_of(revocations->hash, token_id);
  return number != 0 ? number : 1;
}

/* Return the entry with a number, or the free place for it. */
static struct entry *find_place(struct entry *entries, size_t places, uint64_t number) {
  size_t place = number & (places - 1);
  while (entries[place].number != 0 && entries[place].number != number) place = (place + 1) & (places - 1);
  return &entries[place];
}

/* Make a table without what is over, in which at most half of the places are taken. */
static int renew_table(struct revocations *revocations, uint64_t now_s) {
  size_t count = 0, places = PLACES_AT_FIRST;
  for (size_t i = 0; i < revocations->places; i++)
    count += revocations->entries[i].number != 0 && revocations->entries[i].until_s > now_s;
  while (places < 2 * (count + 1)) places *= 2;
  struct entry *entries = calloc(places, sizeof *entries);
  if (entries == NULL) return UV_ENOMEM;
  for (size_t i = 0; i < revocations->places; i++) {
    const struct entry *entry = &revocations->entries[i];
    if (entry->number != 0 && entry->until_s > now_s) *find_place(entries, places, entry->number) = *entry;
  }
  free(revocations->entries);
  revocations->entries = entries;
  revocations->places = places;
  revocations->count = count;
  return 0;
}

static uint64_t greater(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

static int add_entry(struct revocations *revocations, const struct entry *added, uint64_t now_s) {
  struct entry *place = find_place(revocations->entries, revocations->places, added->number);
  if (place->number != 0) {
    place->issued_until_s = greater(place->issued_until_s, added->issued_until_s);
    place->until_s = greater(place->until_s, added->until_s);
    return 0;
  }
  bool is_full = revocations->count >= REVOCATIONS_MAX;
  if (is_full || revocations->count + 1 > revocations->places / 4 * 3) {
    int err = renew_table(revocations, now_s);
    if (err != 0) return err;
    if (revocations->count >= REVOCATIONS_MAX) return UV_ENOSPC;
    place = find_place(revocations->entries, revocations->places, added->number);
  }
  *place = *added;
  revocations->count++;
  return 0;
}

int revocations_add(struct revocations *revocations, const struct revocation *revocation, uint64_t now_s) {
  struct entry added = {.number = number_of(revocations, revocation->subject, revocation->token_id),
                        .issued_until_s = revocation->subject != NULL ? revocation->issued_until_s : ANY_TIME,
                        .until_s = revocation->until_s};
  uv_mutex_lock(&revocations->lock);
  int err = add_entry(revocations, &added, now_s);
  uv_mutex_unlock(&revocations->lock);
  return err;
}

static bool holds_for(struct revocations *revocations, uint64_t number, uint64_t issued_s, uint64_t now_s) {
  const struct entry *entry = find_place(revocations->entries, revocations->places, number);
  return entry->number != 0 && entry->until_s > now_s && issued_s <= entry->issued_until_s;
}

bool revocations_hold_for(struct revocations *revocations, const struct grant *grant, uint64_t now_s) {
  bool is_revoked = false;
  uv_mutex_lock(&revocations->lock);
  if (revocations->count > 0 && grant->subject != NULL)
    is_revoked = holds_for(revocations, number_of(revocations, grant->subject, NULL), grant->issued_s, now_s);
  if (revocations->count > 0 && grant->id != NULL && !is_revoked)
    is_revoked = holds_for(revocations, number_of(revocations, NULL, grant->id), grant->issued_s, now_s);
  uv_mutex_unlock(&revocations->lock);
  return is_revoked;
}

size_t revocations_count(struct revocations *revocations) {
  uv_mutex_lock(&revocations->lock);
  size_t count = revocations->count;
  uv_mutex_unlock(&revocations->lock);
  return count;
}
