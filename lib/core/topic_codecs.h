/* SPDX-License-Identifier: MIT */
/*
 * topic_codecs: which codecs the members of a topic use. Those of most topics use one and the same, which needs no
 * memory; a topic counts its members by codec from the first one on that uses another codec, until it has no members.
 *
 * The number of a topic's members (fluxbp__topic_member_count) is the caller's to change, after the call that is for
 * the same change here.
 */
#ifndef FLUXBP_LIB_TOPIC_CODECS_H
#define FLUXBP_LIB_TOPIC_CODECS_H

#include "topics.h"

_Static_assert(FLUXBP_CODECS_MAX <= 16, "a set of codecs has a bit for each");

/* Return the codecs that members use, those that are behind included: a bit for each. */
static inline uint16_t fluxbp__topic_codecs(const fluxbp_topic_t *topic) {
  uint16_t set = 0;
  if (topic->codec_members == NULL) return (uint16_t) (fluxbp__topic_member_count(topic) > 0 ? 1U << topic->codec : 0U);
  for (uint32_t codec = 0; codec < FLUXBP_CODECS_MAX; codec++)
    if (topic->codec_members[codec] > 0) set = (uint16_t) (set | 1U << codec);
  return set;
}

static inline bool fluxbp__topic_uses(const fluxbp_topic_t *topic, uint32_t codec) {
  return (fluxbp__topic_codecs(topic) >> codec & 1) != 0;
}

/* Make room for a member that is going to use that codec, beside so many others: then adding or changing it can't
 * fail. 0 or UV_ENOMEM. */
int fluxbp__topic_codecs_reserve(fluxbp_topic_t *topic, uint8_t codec, uint32_t others);

/* A member is going to be added, for which there is room; to be removed; or uses another codec from now on. */
void fluxbp__topic_codecs_add(fluxbp_topic_t *topic, uint8_t codec);
void fluxbp__topic_codecs_remove(fluxbp_topic_t *topic, uint8_t codec);
void fluxbp__topic_codecs_change(fluxbp_topic_t *topic, uint8_t from, uint8_t to);

/* Free the memory of a topic that is going to be freed. */
void fluxbp__topic_codecs_free(fluxbp_topic_t *topic);

#endif
