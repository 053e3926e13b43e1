/* SPDX-License-Identifier: MIT */
/*
 * publish_batch: messages of one session for one log topic that are put on the bus together. Collected first, then put:
 * nothing else may happen to the session in between, so that what was true of it at the beginning holds for all of
 * them. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_PUBLISH_BATCH_H
#define FLUXBP_SERVER_PUBLISH_BATCH_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PUBLISH_BATCH_MAX = 128 };

struct publish_batch {
  fluxbp_session_t *session;
  fluxbp_server_t *server;
  size_t most;                               /* messages; 1 where there is a rate for these */
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1]; /* empty: it has none yet */
  size_t count;
  fluxbp_msg_t *msgs[PUBLISH_BATCH_MAX];
  size_t bytes_unclocked;
};

/** Prepare an empty batch. @return false: what the session publishes is decided message by message, by the program or a
 * backbone */
bool publish_batch_init(struct publish_batch *batch, fluxbp_session_t *session);

/** Begin anew with the batch, without messages and topic. */
void publish_batch_clear(struct publish_batch *batch);

/** Give an empty batch its topic. @return false: not a log topic on which the session may publish */
bool publish_batch_set_topic(struct publish_batch *batch, const char *topic, size_t length);

/** Return whether a batch with a topic has a place for one more message, of a length that the server takes. */
bool publish_batch_takes(const struct publish_batch *batch, size_t length);

/** Add a copy of a message, or a message, whose only reference is taken over. @return false: there is no memory for it
 * now */
bool publish_batch_add(struct publish_batch *batch, const void *data, size_t length);
void publish_batch_add_message(struct publish_batch *batch, fluxbp_msg_t *msg);

/** Count bytes that the client has sent for the last message. @return false: the client's turn is over */
bool publish_batch_has_time(struct publish_batch *batch, size_t bytes);

/**
 * Put the messages on the bus, as far as there is room, and give up the others.
 *
 * @param first_id gets the id of the first; those of the others follow it
 * @return how many were put
 */
size_t publish_batch_put(struct publish_batch *batch, uint64_t *first_id);

#endif
