/* SPDX-License-Identifier: MIT */
/*
 * topic_publish: publishing under an id, for the bus as well.
 */
#ifndef FLUXBP_LIB_TOPIC_PUBLISH_H
#define FLUXBP_LIB_TOPIC_PUBLISH_H

#include "topics.h"

/* Publish on the topic under that id. As fluxbp_topic_publish_from, with a bus or without one. */
int fluxbp__topic_deliver(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin);

/* Whether a state topic has a place for the message's key; a log topic needs none. */
bool fluxbp__topic_can_keep(const fluxbp_topic_t *topic, const fluxbp_msg_t *msg);

/* The same for a message that a codec refuses: members of that codec lose the message, and are told so. On a state
 * topic all members do, the origin's connection included: what the topic keeps has to be there in every codec, so it
 * keeps the value before. */
void fluxbp__topic_deliver_in_part(fluxbp_topic_t *topic, fluxbp_msg_t *msg, uint64_t id, uint64_t origin);

#endif
