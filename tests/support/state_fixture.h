/* SPDX-License-Identifier: MIT */
/*
 * state_fixture: what was published on state topics, and what each client has seen of it. A value is one more than the
 * one before it, whatever its topic and key, so the newest is the greatest.
 */
#ifndef FLUXBP_TESTS_STATE_FIXTURE_H
#define FLUXBP_TESTS_STATE_FIXTURE_H

#include "support/fixture.h"

enum { STATE_TOPICS = 2, STATE_KEYS_MAX = 40000 };

/* A state topic, and the newest value of each of its keys; 0: there is none. */
typedef struct state_topic {
  fluxbp_topic_t *topic; /* NULL: it isn't open */
  uint32_t newest[STATE_KEYS_MAX];
  uint32_t removal[STATE_KEYS_MAX]; /* the number of the removal that a key has instead of a value, or 0 */
} state_topic_t;

typedef struct state_world {
  fixture_t fx;
  state_topic_t topics[STATE_TOPICS];
  uint32_t last_value;
} state_world_t;

typedef struct state_client {
  peer_t *peer; /* its codec is newline or length32 */
  bool has_lengths;
  uint32_t seen[STATE_TOPICS][STATE_KEYS_MAX]; /* the value that came last */
  uint64_t taken_bytes;                        /* of whole messages that came, with what frames them */
  uint64_t values;                             /* that came */
  uint64_t logs;                               /* messages of the log topic */
  uint64_t gap_notices;
} state_client_t;

/* Open the fixture and both topics. Values of the world that the caller has set in `fx` beforehand hold. */
void state_world_open(state_world_t *world, uint32_t max_keys);
void state_world_close(state_world_t *world);

/* Publish the next value, in a message that is `pad` bytes longer. Returns as fluxbp_topic_publish, or why there is no
 * message. */
int state_set(state_world_t *world, int topic, uint32_t key, size_t pad);
int state_forget(state_world_t *world, int topic, uint32_t key);

/* Publish a removal of the key, which has a number as a value has. Returns as state_set. */
int state_unset(state_world_t *world, int topic, uint32_t key);

/* Publish one message on the log topic. */
int state_log(state_world_t *world, size_t pad);

/* Connect a client that isn't subscribed to anything. */
state_client_t *state_client_open(state_world_t *world, const fluxbp_transport_t *transport,
                                  const fluxbp_codec_t *codec);
void state_client_free(state_client_t *client);
void state_subscribe(state_world_t *world, int topic, state_client_t *client);

/* Read at most `bytes`, and take note of what came. An older value after a newer one fails the test. */
void state_client_read(state_client_t *client, size_t bytes);

/* Read until nothing is left for it, or its connection is gone. */
void state_client_drain(state_client_t *client);

/* What it has seen last of each key of a topic is the newest. */
void state_client_has_newest(const state_world_t *world, int topic, const state_client_t *client);

/* Of a key that was removed it has seen the removal, or nothing. */
void state_client_has_removals(const state_world_t *world, int topic, const state_client_t *client);

/* Both. */
void state_client_is_up_to_date(const state_world_t *world, int topic, const state_client_t *client);

/* A world whose fixture may be set up before it is opened. state_world_end frees it, and one client. */
state_world_t *state_world_new(void);
void state_world_end(state_world_t *world, state_client_t *client);

/* Connect a client of the first topic that the kernel refuses. */
state_client_t *state_client_refused(state_world_t *world, const fluxbp_transport_t *transport,
                                     const fluxbp_codec_t *codec);

/* Publish the next value of each key of the first topic, so many times. */
void state_set_all(state_world_t *world, uint32_t keys, int times);

/* The client has lost nothing of the first topic, and hasn't been told that it had. */
void state_client_is_whole(const state_world_t *world, const state_client_t *client);

#endif
