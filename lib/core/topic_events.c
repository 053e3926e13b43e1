/* SPDX-License-Identifier: MIT */
/*
 * topic_events: the number of subscribers has changed. A change is noted where it is made, inside of a call of the
 * program's or of the loop, and told by the turn. Knows only how many subscribers there were when the first change was
 * noted; so a subscriber that is back in time makes no event, and no change costs memory.
 */
#include "topic_events.h"

void fluxbp__topic_note_change(fluxbp_topic_t *topic) {
  fluxbp__engine_t *engine = &topic->topics->engine;
  fluxbp__members_event_t *event = fluxbp__topic_members_event(topic);
  if (fluxbp__link_is_linked(&event->link) || engine->is_closing) return;
  event->topic = topic;
  event->before = fluxbp_topic_subscribers(topic);
  fluxbp__turn_add(&engine->turn, FLUXBP__DUE_MEMBERS, &event->link);
}

void fluxbp__topic_tell_members(fluxbp__link_t *link) {
  const fluxbp__members_event_t *event = FLUXBP__CONTAINER(link, fluxbp__members_event_t, link);
  fluxbp__topics_t *topics = event->topic->topics;
  if (topics->engine.is_closing || fluxbp_topic_subscribers(event->topic) == event->before) return;
  topics->on_members(fluxbp__engine_hub(&topics->engine), event->topic, event->before);
}
