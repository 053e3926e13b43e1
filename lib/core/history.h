/* SPDX-License-Identifier: MIT */
/*
 * Internal side of history: the last messages of a hub's log topics.
 */
#ifndef FLUXBP_LIB_HISTORY_H
#define FLUXBP_LIB_HISTORY_H

#include "fluxbp/hub.h"
#include "fluxbp/topic.h"
#include "frame.h"

#include <stdbool.h>

/* One publication. Frames are made when somebody asks for them, and kept for the next one who does. */
typedef struct fluxbp__past {
  fluxbp_msg_t *msg;
  fluxbp_topic_t *topic;
  uint64_t id;
  uint64_t before; /* the number of the publication before it on its topic; without a meaning if that isn't there */
  fluxbp_frame_t *frames[FLUXBP_CODECS_MAX];
} fluxbp__past_t;

/*
 * Publications have consecutive numbers here, from `first` to before `end`, so that a reader's place stays good while
 * others come and go. (Ids may have holes.)
 */
typedef struct fluxbp__history {
  fluxbp_pool_t *pool;
  fluxbp__past_t *entries; /* `capacity` of them, a power of two */
  uint64_t capacity;
  uint64_t first;
  uint64_t end;
  uint64_t bytes;   /* of their payloads */
  uint64_t lost_id; /* of the newest publication that isn't there any more */
  uint64_t max_messages;
  uint64_t max_bytes;
} fluxbp__history_t;

/* Empty; it counts against the budget. `last_id`: everything up to it is unknown. */
void fluxbp__history_init(fluxbp__history_t *history, fluxbp_pool_t *pool, uint64_t max_messages, uint64_t max_bytes,
                          uint64_t last_id);
void fluxbp__history_destroy(fluxbp__history_t *history);

static inline bool fluxbp__history_is_empty(const fluxbp__history_t *history) {
  return history->first == history->end;
}

static inline fluxbp__past_t *fluxbp__history_at(const fluxbp__history_t *history, uint64_t number) {
  return &history->entries[number & (history->capacity - 1)];
}

/* Add a publication, with a reference of its own. False: there is no room for it, as long as the first one stays. */
bool fluxbp__history_add(fluxbp__history_t *history, fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id);

/* Forget the first one, which there is. Returns its topic. */
fluxbp_topic_t *fluxbp__history_remove(fluxbp__history_t *history);

/* The number of the first publication with an id above `id`; history->end if there is none. */
uint64_t fluxbp__history_after(const fluxbp__history_t *history, uint64_t id);

#endif
