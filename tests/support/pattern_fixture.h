/* SPDX-License-Identifier: MIT */
/*
 * pattern_fixture: what the tests of patterns share. A client sees of each message "TOPIC:TEXT\n", so that it can be
 * told where the message was published.
 */
#ifndef FLUXBP_TESTS_PATTERN_FIXTURE_H
#define FLUXBP_TESTS_PATTERN_FIXTURE_H

#include "support/fixture.h"

#include <stdio.h>
#include <string.h>

/* Refuses a text that begins with '!'. */
static inline ptrdiff_t pattern_encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                                       size_t capacity) {
  (void) codec;
  if (publication->length > 0 && ((const char *) publication->data)[0] == '!') return UV_EINVAL;
  int len = snprintf(out, capacity, "%s:%.*s\n", publication->topic, (int) publication->length,
                     (const char *) publication->data);
  return (size_t) len < capacity ? len : len + 1;
}

/* The codec of these clients, which has the gaps of the newline codec. */
static inline const fluxbp_codec_t *pattern_codec(void) {
  static fluxbp_codec_t codec;
  codec = fluxbp_codec_newline;
  codec.encode = pattern_encode;
  return &codec;
}

/* Connect a peer that is subscribed to nothing. */
static inline void pattern_peer_open(fixture_t *fx, peer_t *peer, int small) {
  peer_open(fx, peer, FLUXBP_PIPE, pattern_codec(), small);
  (void) fluxbp_topic_unsubscribe(fx->topic, peer->conn);
}

static inline fluxbp_topic_t *pattern_open(fixture_t *fx, const char *text) {
  fluxbp_topic_t *pattern = NULL;
  assert_int_equal(fluxbp_topic_open_pattern(fx->hub, text, &pattern), 0);
  return pattern;
}

static inline fluxbp_topic_t *pattern_open_topic(fixture_t *fx, const char *name) {
  fluxbp_topic_t *topic = NULL;
  assert_int_equal(fluxbp_topic_open(fx->hub, name, &topic), 0);
  return topic;
}

/* Subscribe the peer to a pattern, which is opened if need be. */
static inline fluxbp_topic_t *pattern_subscribe(peer_t *peer, const char *text) {
  fluxbp_topic_t *pattern = pattern_open(peer->fx, text);
  peer->fx->calls++;
  assert_int_equal(fluxbp_topic_subscribe(pattern, peer->conn), 1);
  peer->fx->calls--;
  return pattern;
}

static inline bool pattern_is_drained(fixture_t *fx, void *arg) {
  peer_t *peer = arg;
  (void) fx;
  peer_read(peer);
  return peer->conn->catching_up == 0 && peer->conn->ring.count == 0;
}

/* Read until nothing is left for the peer. */
static inline void pattern_read_all(peer_t *peer) {
  fixture_turns(peer->fx, 2);
  fixture_run_until(peer->fx, pattern_is_drained, peer, false);
  for (int i = 0; i < 3; i++) {
    fixture_turns(peer->fx, 1);
    peer_read(peer);
  }
}

/* Read everything; it is `text`, and is forgotten then. */
static inline void pattern_expects(peer_t *peer, const char *text) {
  pattern_read_all(peer);
  peer_expects(peer, text);
  peer_forget(peer);
}

#endif
