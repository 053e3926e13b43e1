/* SPDX-License-Identifier: MIT */
/*
 * topic_events: telling the program that a topic has another number of subscribers.
 */
#ifndef FLUXBP_LIB_TOPIC_EVENTS_H
#define FLUXBP_LIB_TOPIC_EVENTS_H

#include "topics.h"

/* The number of the topic's subscribers is going to change, and the program wants to be told: see to it that it is. */
void fluxbp__topic_note_change(fluxbp_topic_t *topic);

/* The same if the program wants to be told; otherwise nothing happens. Called before each change, and harmless before a
 * change that fails. */
static inline void fluxbp__topic_note_members(fluxbp_topic_t *topic) {
  if (topic->topics->on_members != NULL) fluxbp__topic_note_change(topic);
}

/* Tell the program. `link`: of a fluxbp__members_event_t, which has been removed from its list. */
void fluxbp__topic_tell_members(fluxbp__link_t *link);

#endif
