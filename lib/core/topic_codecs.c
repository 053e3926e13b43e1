/* SPDX-License-Identifier: MIT */
/*
 * topic_codecs: an array of counters for the few topics whose members use several codecs.
 */
#include "topic_codecs.h"

#include "pool.h"

static const size_t ARRAY_BYTES = FLUXBP_CODECS_MAX * sizeof(uint32_t);

int fluxbp__topic_codecs_reserve(fluxbp_topic_t *topic, uint8_t codec, uint32_t others) {
  if (topic->codec_members != NULL || others == 0 || codec == topic->codec) return 0;
  topic->codec_members = fluxbp__pool_alloc_object(topic->topics->engine.pool, ARRAY_BYTES);
  if (topic->codec_members == NULL) return UV_ENOMEM;
  topic->codec_members[topic->codec] = fluxbp__topic_member_count(topic);
  return 0;
}

void fluxbp__topic_codecs_add(fluxbp_topic_t *topic, uint8_t codec) {
  if (topic->codec_members != NULL)
    topic->codec_members[codec]++;
  else
    topic->codec = codec;
}

void fluxbp__topic_codecs_remove(fluxbp_topic_t *topic, uint8_t codec) {
  if (topic->codec_members == NULL) return;
  topic->codec_members[codec]--;
  if (fluxbp__topic_member_count(topic) == 1) fluxbp__topic_codecs_free(topic);
}

void fluxbp__topic_codecs_change(fluxbp_topic_t *topic, uint8_t from, uint8_t to) {
  if (topic->codec_members == NULL) {
    topic->codec = to; /* of the only member, or it is the same one */
    return;
  }
  topic->codec_members[from]--;
  topic->codec_members[to]++;
}

void fluxbp__topic_codecs_free(fluxbp_topic_t *topic) {
  fluxbp__pool_free_object(topic->topics->engine.pool, topic->codec_members, ARRAY_BYTES);
  topic->codec_members = NULL;
}
