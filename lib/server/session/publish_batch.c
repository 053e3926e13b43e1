/* SPDX-License-Identifier: MIT */
/*
 * publish_batch: see the header.
 *
 * With a rate for what is published a batch has one message, so that the rate is kept to the message.
 */
#include "publish_batch.h"

#include "session_grants.h"
#include "session_rates.h"

#include <string.h>

/* The clock is read after so many messages, or so many bytes. */
enum { MESSAGES_PER_CLOCK_READING = 16, BYTES_PER_CLOCK_READING = 16384 };

static bool has_publish_rate(const fluxbp_server_t *server) {
  const struct rate_limit *limits = server->limits.rates[RATE_PUBLISHES];
  for (int payer = 0; payer < RATE_PAYERS; payer++)
    if (limits[payer].cost_ns > 0) return true;
  return false;
}

bool publish_batch_init(struct publish_batch *batch, fluxbp_session_t *session) {
  batch->session = session;
  batch->server = fluxbp_session_server(session);
  if (batch->server->handlers.on_publish != NULL || batch->server->options.backbone != NULL) return false;
  batch->most = has_publish_rate(batch->server) ? 1 : PUBLISH_BATCH_MAX;
  publish_batch_clear(batch);
  return true;
}

void publish_batch_clear(struct publish_batch *batch) {
  batch->count = 0;
  batch->bytes_unclocked = 0;
  batch->topic[0] = '\0';
}

bool publish_batch_set_topic(struct publish_batch *batch, const char *topic, size_t length) {
  if (length >= sizeof batch->topic || memchr(topic, '\0', length) != NULL) return false;
  memcpy(batch->topic, topic, length);
  batch->topic[length] = '\0';
  const struct publication wish = {.topic = batch->topic, .data = "x", .length = 1};
  if (server_may_publish(batch->server, &wish) && session_may(batch->session, FLUXBP_ROLE_PUBLISH, batch->topic))
    return true;
  batch->topic[0] = '\0';
  return false;
}

bool publish_batch_takes(const struct publish_batch *batch, size_t length) {
  return batch->count < batch->most && length > 0 && length <= batch->server->options.max_message;
}

bool publish_batch_add(struct publish_batch *batch, const void *data, size_t length) {
  if (server_create_message(batch->server, data, length, &batch->msgs[batch->count]) != 0) return false;
  batch->count++;
  return true;
}

void publish_batch_add_message(struct publish_batch *batch, fluxbp_msg_t *msg) {
  batch->msgs[batch->count++] = msg;
}

bool publish_batch_has_time(struct publish_batch *batch, size_t bytes) {
  batch->bytes_unclocked += bytes;
  if (batch->count % MESSAGES_PER_CLOCK_READING != 0 && batch->bytes_unclocked < BYTES_PER_CLOCK_READING) return true;
  batch->bytes_unclocked = 0;
  return fluxbp_conn_may_go_on(fluxbp_session_conn(batch->session)) != 0;
}

size_t publish_batch_put(struct publish_batch *batch, uint64_t *first_id) {
  int put = server_publish_many(batch->server, batch->topic, batch->msgs, batch->count, first_id);
  size_t count = put > 0 ? (size_t) put : 0;
  for (size_t i = count; i < batch->count; i++) fluxbp_msg_unref(batch->msgs[i]);
  if (count > 0) session_pay(batch->session, RATE_PUBLISHES, count);
  return count;
}
