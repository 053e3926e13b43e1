/* SPDX-License-Identifier: MIT */
/*
 * listing: the first few connections of a hub in some order. Those that keep up have nothing queued, and so nothing to
 * be sorted by; they are looked at only as far as there is room for them.
 */
#include "describe.h"

#include <stdlib.h>
#include <string.h>

struct listing *listing_create(enum listing_sort sort, size_t limit) {
  struct listing *listing = malloc(sizeof *listing + limit * sizeof listing->rows[0]);
  if (listing == NULL) return NULL;
  *listing = (struct listing){.sort = sort, .limit = limit};
  return listing;
}

void listing_free(struct listing *listing) {
  if (listing == NULL) return;
  for (size_t i = 0; i < listing->count; i++) json_decref(listing->rows[i].object);
  free(listing);
}

/* Puts it in its place, behind those of the same weight. The last one may have to go. */
static void insert(struct listing *listing, struct listing_row row) {
  size_t place = listing->count;
  while (place > 0 && listing->rows[place - 1].weight < row.weight) place--;
  if (place == listing->limit) {
    json_decref(row.object);
    return;
  }
  if (listing->count == listing->limit) json_decref(listing->rows[--listing->count].object);
  memmove(&listing->rows[place + 1], &listing->rows[place], (listing->count - place) * sizeof row);
  listing->rows[place] = row;
  listing->count++;
}

static uint64_t weight_of(const fluxbp_session_t *session, enum listing_sort sort) {
  fluxbp_conn_stats_t stats;
  if (sort == SORT_ID) return UINT64_MAX - fluxbp_session_id(session);
  fluxbp_conn_get_stats(fluxbp_session_conn(session), &stats);
  switch (sort) {
  case SORT_LAG:
    return stats.oldest_ms;
  case SORT_FILL:
    return stats.fill_percent;
  default:
    return stats.queued_bytes;
  }
}

static int take_conn(fluxbp_conn_t *conn, void *arg) {
  struct listing *listing = arg;
  const fluxbp_session_t *session = fluxbp_conn_user(conn);
  if (session->is_served)
    insert(listing, (struct listing_row){.weight = weight_of(session, listing->sort), .session = session});
  return 0;
}

static bool has(const struct listing *listing, size_t count, const fluxbp_session_t *session) {
  for (size_t i = 0; i < count; i++)
    if (listing->rows[i].session == session) return true;
  return false;
}

static void fill_up(struct listing *listing, struct shard *shard) {
  size_t count = listing->count;
  for (uint32_t cell = 0; cell < shard->cells.count && listing->count < listing->limit; cell++) {
    const fluxbp_session_t *session = shard->cells.sessions[cell];
    if (session != NULL && !has(listing, count, session)) insert(listing, (struct listing_row){.session = session});
  }
}

static void describe_rows(struct listing *listing) {
  for (size_t i = 0; i < listing->count; i++) listing->rows[i].object = describe_client(listing->rows[i].session);
}

void listing_take(struct listing *listing, struct shard *shard) {
  if (listing->sort == SORT_ID) {
    fluxbp_hub_each_conn(shard->hub, take_conn, listing);
  } else {
    fluxbp_hub_each_refused(shard->hub, take_conn, listing);
    fill_up(listing, shard);
  }
  describe_rows(listing);
}

void listing_take_refused(struct listing *listing, struct shard *shard) {
  fluxbp_hub_each_refused(shard->hub, take_conn, listing);
  describe_rows(listing);
}

void listing_take_one(struct listing *listing, const fluxbp_session_t *session) {
  insert(listing, (struct listing_row){.session = session});
  describe_rows(listing);
}

void listing_merge(struct listing *listing, struct listing *other) {
  for (size_t i = 0; i < other->count; i++) insert(listing, other->rows[i]);
  other->count = 0;
}

json_t *listing_array(const struct listing *listing) {
  json_t *array = json_array();
  for (size_t i = 0; i < listing->count; i++) json_array_append(array, listing->rows[i].object);
  return array;
}
