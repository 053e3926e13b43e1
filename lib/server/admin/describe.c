/* SPDX-License-Identifier: MIT */
/*
 * describe: connections as JSON, alone.
 */
#include "describe.h"

#include "server/session/subscriptions.h"
#include "server/websocket/websocket.h"

#include <string.h>

#define TOPICS_DESCRIBED_MAX 16

enum condition condition_of(const fluxbp_conn_stats_t *stats) {
  if (stats->is_refused && stats->since_progress_ms >= STALLED_AFTER_MS) return CONDITION_STALLED;
  return stats->is_backpressured ? CONDITION_BACKPRESSURED : CONDITION_HEALTHY;
}

json_t *json_of_bytes(const char *bytes, size_t length) {
  if (websocket_is_utf8(bytes, length)) return json_stringn(bytes, length);
  char text[256];
  if (length > sizeof text) length = sizeof text;
  for (size_t i = 0; i < length; i++) text[i] = (unsigned char) bytes[i] < 0x80 ? bytes[i] : '?';
  return json_stringn(text, length);
}

/* The first ones: a client may have tens of thousands. */
static json_t *describe_topics(const fluxbp_session_t *session) {
  json_t *topics = json_array();
  size_t count = fluxbp_session_topic_count(session);
  if (count > TOPICS_DESCRIBED_MAX) count = TOPICS_DESCRIBED_MAX;
  for (size_t i = 0; i < count; i++)
    json_array_append_new(topics, json_string(fluxbp_topic_name(session_topic(session, i))));
  return topics;
}

static void set_number(json_t *object, const char *name, uint64_t number) {
  json_object_set_new(object, name, json_integer((json_int_t) number));
}

json_t *describe_client(const fluxbp_session_t *session) {
  static const char *const conditions[] = {"healthy", "backpressured", "stalled"};
  const char *name = fluxbp_session_name(session) != NULL ? fluxbp_session_name(session) : "";
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_conn_stats_t stats;
  fluxbp_eviction_t evidence;
  fluxbp_conn_get_stats(fluxbp_session_conn(session), &stats);
  fluxbp_conn_get_evidence(fluxbp_session_conn(session), &evidence);
  fluxbp_session_address(session, peer);

  json_t *object = json_object();
  set_number(object, "id", fluxbp_session_id(session));
  set_number(object, "cell", session_cell(session));
  json_object_set_new(object, "peer", json_string(peer));
  json_object_set_new(object, "protocol", json_string(session_protocol(session)->name));
  json_object_set_new(object, "compressed", json_boolean(session->is_compressed));
  json_object_set_new(object, "name", json_of_bytes(name, strlen(name)));
  json_object_set_new(object, "topics", describe_topics(session));
  set_number(object, "topic_count", fluxbp_session_topic_count(session));
  set_number(object, "age_ms", uv_now(fluxbp_hub_loop(session_shard(session)->hub)) - session->since_ms);
  set_number(object, "fill_percent", stats.fill_percent);
  set_number(object, "queued", stats.queued);
  set_number(object, "queued_bytes", stats.queued_bytes);
  set_number(object, "oldest_ms", stats.oldest_ms);
  set_number(object, "dropped", stats.dropped);
  set_number(object, "written", stats.written);
  set_number(object, "last_id", stats.last_id);
  set_number(object, "since_progress_ms", stats.since_progress_ms);
  set_number(object, "backpressured_ms", evidence.backpressured_ms);
  set_number(object, "unanswered_ms", evidence.unanswered_ms);
  set_number(object, "kernel_bytes", evidence.kernel_bytes);
  json_object_set_new(object, "nearest", json_string(fluxbp_evict_reason_name(evidence.nearest)));
  set_number(object, "used_ms", evidence.used_ms);
  set_number(object, "limit_ms", evidence.limit_ms);
  json_object_set_new(object, "put_off", json_string(fluxbp_put_off_name(evidence.put_off)));
  json_object_set_new(object, "state", json_string(conditions[condition_of(&stats)]));
  json_object_set_new(object, "cause", json_string(fluxbp_cause_name(evidence.cause)));
  return object;
}
