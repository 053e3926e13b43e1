/* SPDX-License-Identifier: MIT */
/*
 * state_fixture: see state_fixture.h. Messages are "TOPIC KEY VALUE padding" and "log VALUE padding".
 */
#include "support/state_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { TEXT_MAX = 64, PAD_MAX = 16384, LENGTH_BYTES = 4 };

static const char *const names[STATE_TOPICS] = {"prices", "scores"};

void state_world_open(state_world_t *world, uint32_t max_keys) {
  fixture_open(&world->fx);
  for (int i = 0; i < STATE_TOPICS; i++)
    assert_int_equal(fluxbp_topic_open_state(world->fx.hub, names[i], max_keys, &world->topics[i].topic), 0);
}

void state_world_close(state_world_t *world) {
  fixture_close(&world->fx);
  free(world);
}

static int publish(state_world_t *world, fluxbp_topic_t *topic, const uint32_t *key, bool is_removal, const char *text,
                   size_t pad) {
  static char data[TEXT_MAX + PAD_MAX];
  fluxbp_msg_t *msg;
  size_t len = strlen(text);
  assert_in_range(len + pad, 1, sizeof data);
  memcpy(data, text, len);
  memset(data + len, '.', pad);
  int err;
  if (is_removal)
    err = fluxbp_msg_create_removal(world->fx.pool, *key, NULL, data, len + pad, &msg);
  else if (key != NULL)
    err = fluxbp_msg_create_keyed(world->fx.pool, *key, data, len + pad, &msg);
  else
    err = fluxbp_msg_create(world->fx.pool, data, len + pad, &msg);
  if (err) return err;
  world->fx.calls++;
  int result = fluxbp_topic_publish(topic, msg);
  world->fx.calls--;
  fluxbp_msg_unref(msg);
  return result;
}

int state_set(state_world_t *world, int topic, uint32_t key, size_t pad) {
  char text[TEXT_MAX];
  uint32_t value = world->last_value + 1;
  (void) snprintf(text, sizeof text, "%d %u %u ", topic, key, value);
  int result = publish(world, world->topics[topic].topic, &key, false, text, pad);
  if (result < 0) return result;
  world->last_value = value;
  world->topics[topic].newest[key] = value;
  world->topics[topic].removal[key] = 0;
  return result;
}

int state_unset(state_world_t *world, int topic, uint32_t key) {
  char text[TEXT_MAX];
  state_topic_t *kept = &world->topics[topic];
  uint32_t value = world->last_value + 1;
  (void) snprintf(text, sizeof text, "%d %u %u ", topic, key, value);
  int result = publish(world, kept->topic, &key, true, text, 0);
  if (result < 0) return result;
  world->last_value = value;
  if (kept->newest[key] != 0) kept->removal[key] = value;
  kept->newest[key] = 0;
  return result;
}

int state_forget(state_world_t *world, int topic, uint32_t key) {
  world->fx.calls++;
  int result = fluxbp_topic_forget(world->topics[topic].topic, key);
  world->fx.calls--;
  assert_int_equal(result, world->topics[topic].newest[key] != 0);
  world->topics[topic].newest[key] = 0;
  if (result == 1) world->topics[topic].removal[key] = 0;
  return result;
}

int state_log(state_world_t *world, size_t pad) {
  char text[TEXT_MAX];
  (void) snprintf(text, sizeof text, "log %u ", ++world->last_value);
  return publish(world, world->fx.topic, NULL, false, text, pad);
}

state_client_t *state_client_open(state_world_t *world, const fluxbp_transport_t *transport,
                                  const fluxbp_codec_t *codec) {
  state_client_t *client = calloc(1, sizeof *client);
  assert_non_null(client);
  client->peer = peer_new(&world->fx, transport, codec, FIXTURE_SMALL_BUFFERS);
  client->has_lengths = codec == &fluxbp_codec_length32;
  assert_int_equal(fluxbp_topic_unsubscribe(world->fx.topic, client->peer->conn), 1);
  return client;
}

void state_client_free(state_client_t *client) {
  free(client);
}

void state_subscribe(state_world_t *world, int topic, state_client_t *client) {
  world->fx.calls++;
  assert_int_equal(fluxbp_topic_subscribe(world->topics[topic].topic, client->peer->conn), 1);
  world->fx.calls--;
}

static void take_message(state_client_t *client, const char *data, size_t len) {
  char text[TEXT_MAX];
  int topic;
  unsigned key;
  unsigned value;
  size_t head = len < sizeof text - 1 ? len : sizeof text - 1;
  memcpy(text, data, head);
  text[head] = '\0';
  if (sscanf(text, "%d %u %u", &topic, &key, &value) == 3) {
    assert_in_range(value, client->seen[topic][key], UINT32_MAX);
    client->seen[topic][key] = value;
    client->values++;
  } else if (strncmp(text, "log ", 4) == 0) {
    client->logs++;
  } else if (strncmp(text, "{\"gap\"", 6) == 0) {
    client->gap_notices++;
  } /* else it is what has made the kernel refuse, or a farewell */
}

/* The length of the first message in there with what frames it, 0 if it isn't whole; *data is its beginning. */
static size_t first_message(const state_client_t *client, const char *from, size_t len, const char **data,
                            size_t *data_len) {
  if (client->has_lengths) {
    if (len < LENGTH_BYTES) return 0;
    const unsigned char *bytes = (const unsigned char *) from;
    *data_len = (size_t) bytes[0] << 24 | (size_t) bytes[1] << 16 | (size_t) bytes[2] << 8 | bytes[3];
    *data = from + LENGTH_BYTES;
    return *data_len + LENGTH_BYTES <= len ? *data_len + LENGTH_BYTES : 0;
  }
  const char *end = memchr(from, '\n', len);
  if (end == NULL) return 0;
  *data = from;
  *data_len = (size_t) (end - from);
  return *data_len + 1;
}

static void take_messages(state_client_t *client) {
  peer_t *peer = client->peer;
  size_t taken = 0;
  const char *data;
  size_t data_len;
  for (size_t len; (len = first_message(client, peer->data + taken, peer->len - taken, &data, &data_len)) > 0;) {
    take_message(client, data, data_len);
    taken += len;
  }
  client->taken_bytes += taken;
  peer->len -= taken;
  memmove(peer->data, peer->data + taken, peer->len);
}

void state_client_read(state_client_t *client, size_t bytes) {
  peer_t *peer = client->peer;
  if (peer->capacity - peer->len < bytes) {
    peer->capacity = peer->len + bytes;
    peer->data = realloc(peer->data, peer->capacity);
    assert_non_null(peer->data);
  }
  ssize_t len = recv(peer->fd, peer->data + peer->len, bytes, 0);
  if (len > 0) peer->len += (size_t) len;
  take_messages(client);
}

static bool is_drained(fixture_t *fx, void *arg) {
  state_client_t *client = arg;
  (void) fx;
  peer_read(client->peer);
  if (client->peer->len > 0) take_messages(client);
  const fluxbp_conn_t *conn = client->peer->conn;
  if (conn == NULL || conn->state != FLUXBP__CONN_OPEN) return true;
  return conn->catching_up == 0 && conn->ring.count == 0 &&
         client->taken_bytes + client->peer->len == conn->written_bytes;
}

void state_client_drain(state_client_t *client) {
  fixture_run_until(client->peer->fx, is_drained, client, false);
}

void state_client_has_removals(const state_world_t *world, int topic, const state_client_t *client) {
  const uint32_t *removal = world->topics[topic].removal;
  for (uint32_t key = 0; key < STATE_KEYS_MAX; key++)
    if (removal[key] != 0 && client->seen[topic][key] != 0 && client->seen[topic][key] != removal[key])
      fail_msg("%s: key %u is %u, and was removed by %u", names[topic], key, client->seen[topic][key], removal[key]);
}

void state_client_has_newest(const state_world_t *world, int topic, const state_client_t *client) {
  const uint32_t *newest = world->topics[topic].newest;
  for (uint32_t key = 0; key < STATE_KEYS_MAX; key++)
    if (newest[key] != 0 && client->seen[topic][key] != newest[key])
      fail_msg("%s: key %u is %u, and should be %u", names[topic], key, client->seen[topic][key], newest[key]);
}

void state_client_is_up_to_date(const state_world_t *world, int topic, const state_client_t *client) {
  state_client_has_newest(world, topic, client);
  state_client_has_removals(world, topic, client);
}

state_world_t *state_world_new(void) {
  state_world_t *world = calloc(1, sizeof *world);
  assert_non_null(world);
  fixture_init(&world->fx);
  return world;
}

state_client_t *state_client_refused(state_world_t *world, const fluxbp_transport_t *transport,
                                     const fluxbp_codec_t *codec) {
  state_client_t *client = state_client_open(world, transport, codec);
  state_subscribe(world, 0, client);
  (void) peer_refuse(client->peer);
  return client;
}

void state_set_all(state_world_t *world, uint32_t keys, int times) {
  for (int i = 0; i < times; i++)
    for (uint32_t key = 0; key < keys; key++) assert_true(state_set(world, 0, key, 0) >= 0);
}

void state_world_end(state_world_t *world, state_client_t *client) {
  state_world_close(world);
  state_client_free(client);
}

void state_client_is_whole(const state_world_t *world, const state_client_t *client) {
  state_client_is_up_to_date(world, 0, client);
  assert_int_equal(peer_stats(client->peer).dropped, 0);
  assert_int_equal(client->peer->lost, 0);
  assert_int_equal(client->gap_notices, 0);
  assert_int_equal(world->fx.evictions, 0);
  fixture_balances(&world->fx);
}
