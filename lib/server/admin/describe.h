/* SPDX-License-Identifier: MIT */
/*
 * describe: what administrators see of connections, as JSON; docs/protocol.md lists the members.
 */
#ifndef FLUXBP_SERVER_DESCRIBE_H
#define FLUXBP_SERVER_DESCRIBE_H

#include "server/session/session.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Who hasn't moved for so long is called stalled. */
#define STALLED_AFTER_MS 1000

enum condition { CONDITION_HEALTHY, CONDITION_BACKPRESSURED, CONDITION_STALLED };

/** How a connection is doing. */
enum condition condition_of(const fluxbp_conn_stats_t *stats);

/** A string of bytes that may be anything: what isn't UTF-8 becomes question marks. */
json_t *json_of_bytes(const char *bytes, size_t length);

/** All of one connection; asks the kernel. */
json_t *describe_client(const fluxbp_session_t *session);

/** The policy. */
json_t *describe_policy(const fluxbp_policy_t *policy);

enum listing_sort { SORT_LAG, SORT_FILL, SORT_BYTES, SORT_ID };
#define LISTING_MAX 200 /* describing one takes some system calls */

/* How JSON is written that is a line of the watch stream: in ASCII, so that no name in it ends a line for any
 * reader. */
#define WATCH_JSON (JSON_COMPACT | JSON_ENSURE_ASCII)

/* The first few connections in some order. */
struct listing {
  enum listing_sort sort;
  size_t limit; /* 1 … LISTING_MAX */
  size_t count;
  struct listing_row {
    uint64_t weight; /* the largest come first */
    const fluxbp_session_t *session;
    json_t *object; /* NULL until it is described */
  } rows[];
};

/** @return NULL: out of memory */
struct listing *listing_create(enum listing_sort sort, size_t limit);
void listing_free(struct listing *listing);

/** Take the subscribers of one hub that belong into it, and describe them. */
void listing_take(struct listing *listing, struct shard *shard);

/** Take of the subscribers of a hub only those that can't keep up, or a single one. */
void listing_take_refused(struct listing *listing, struct shard *shard);
void listing_take_one(struct listing *listing, const fluxbp_session_t *session);

/** Take the rows of another one, described. */
void listing_merge(struct listing *listing, struct listing *other);

/** @return the rows as a new array */
json_t *listing_array(const struct listing *listing);

#endif
