/* SPDX-License-Identifier: MIT */
/*
 * Internal side of topics.
 */
#ifndef FLUXBP_LIB_TOPIC_H
#define FLUXBP_LIB_TOPIC_H

#include "fluxbp/topic.h"
#include "hub.h"
#include "state.h"

struct fluxbp_topic {
  fluxbp_hub_t *hub;
  void *user;
  fluxbp_conn_t **members;
  uint32_t member_count;
  uint32_t member_capacity;
  uint32_t codec_members[FLUXBP_CODECS_MAX]; /* how many of them use each of the hub's codecs */
  fluxbp_topic_t *next;                      /* in its bucket */
  fluxbp__state_t *state;                    /* NULL: a log topic */
  uint32_t catching_up;                      /* members whose subscription of a state topic has a walk or needs one */
  bool is_dormant;                           /* destroyed, but the history has messages of it */
  fluxbp__topic_past_t past;                 /* of a log topic */
  uint64_t hash;
  size_t name_len;
  char name[];
};

/* Publish on it under that id. As fluxbp_topic_publish, but it is nobody's business whether there is a bus. */
int fluxbp__topic_deliver(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id);

/* Whether a state topic has a place for the message's key; a log topic needs none. */
bool fluxbp__topic_can_keep(const fluxbp_topic_t *topic, const fluxbp_msg_t *msg);

/* The same for a message that a codec refuses: members of that codec lose it, and are told so. On a state topic all do, as
 * what it keeps has to be there in every codec. */
void fluxbp__topic_deliver_in_part(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id);

/* The topic of that name, dormant ones included, or NULL. */
fluxbp_topic_t *fluxbp__topic_find_any(const fluxbp_hub_t *hub, const char *name);

/* A dormant log topic of a name that isn't there yet; NULL without memory. */
fluxbp_topic_t *fluxbp__topic_make_dormant(fluxbp_hub_t *hub, const char *name);

/* The history has forgotten a message of it: a dormant topic is removed with its last one. */
void fluxbp__topic_past_gone(fluxbp_topic_t *topic);

#endif
