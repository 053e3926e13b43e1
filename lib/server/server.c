/* SPDX-License-Identifier: MIT */
/*
 * server: publishing, the one way by which messages of clients come in.
 */
#include "server.h"

#include "backbone.h"
#include "lines/line_text.h"
#include "topics.h"

#include <openssl/sha.h>
#include <string.h>

/* Of the budget, that publishing leaves free. */
#define BUDGET_PART_KEPT 8

bool server_is_state(const struct server *server, const char *topic) {
  const struct text_list *states = &server->options->state_topics;
  for (size_t i = 0; i < states->count; i++)
    if (strcmp(states->texts[i], topic) == 0) return true;
  return false;
}

/* The first 64 bits of the text's SHA-256, so that nobody finds two texts that share them. */
static uint64_t key_of(const char *text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  uint64_t key = 0;
  SHA256((const unsigned char *) text, strlen(text), digest);
  for (size_t i = 0; i < sizeof key; i++) key = key << 8 | digest[i];
  return key;
}

uint64_t server_topic_key(const char *topic) {
  return key_of(topic);
}

static int refuse(int err, const char *why, const char **problem) {
  *problem = why;
  return err;
}

static int check(const struct server *server, const char *topic, const char *key, const void *data, size_t length,
                 const char **problem) {
  if (!topics_is_name(topic, strlen(topic))) return refuse(UV_EINVAL, "a topic is " TOPICS_NAME_RULE, problem);
  if (length == 0) return refuse(UV_EINVAL, "a message has at least one byte", problem);
  if (length > server->options->max_message) return refuse(UV_E2BIG, "the message is over --max-message", problem);
  if (!server_is_state(server, topic))
    return key == NULL ? 0 : refuse(UV_EINVAL, "keys are for state topics; this one is a log: leave it out", problem);
  if (key == NULL) return refuse(UV_EINVAL, "this is a state topic: give the key that the message is for", problem);
  if (!line_text_is_one_line(data, length))
    return refuse(UV_EINVAL, "what a state topic keeps is a line: it can't have a newline, nor another line end",
                  problem);
  size_t key_length = strlen(key);
  return key_length > 0 && key_length <= KEY_BYTES ? 0 : refuse(UV_EINVAL, "a key has 1 to 64 bytes", problem);
}

/* Else there would be no memory to answer the publisher with, and for what the hubs make of a message. */
static bool has_room(const struct server *server, size_t length) {
  fluxbp_pool_stats_t pool;
  fluxbp_pool_get_stats(server->pool, &pool);
  return pool.used_bytes + length <= pool.max_bytes - pool.max_bytes / BUDGET_PART_KEPT;
}

static int make_message(struct server *server, const char *key, const void *data, size_t length, fluxbp_msg_t **msg) {
  return key != NULL ? fluxbp_msg_create_keyed(server->pool, key_of(key), data, length, msg)
                     : fluxbp_msg_create(server->pool, data, length, msg);
}

static const char no_memory[] = "busy: memory is used up by what slow clients have not taken; try again in a second";

/* What is published was checked. */
static int make(struct server *server, const char *key, const void *data, size_t length, fluxbp_msg_t **msg,
                const char **problem) {
  int err = has_room(server, length) ? make_message(server, key, data, length, msg) : UV_ENOBUFS;
  if (err == UV_ENOBUFS || err == UV_ENOMEM) return refuse(UV_EAGAIN, no_memory, problem);
  return err == 0 ? 0 : refuse(err, uv_strerror(err), problem);
}

/* To our own clients. `*id` is given, or 0: it gets one. */
static int put_on_bus(struct server *server, const char *topic, const char *key, const void *data, size_t length,
                      uint64_t *id, const char **problem) {
  fluxbp_msg_t *msg;
  uint32_t number;
  int err = fluxbp_bus_topic(server->bus, topic, &number);
  if (err == UV_ENOSPC) return refuse(err, "the gateway has too many topics; use one that there is", problem);
  if (err == UV_ENOBUFS || err == UV_ENOMEM) return refuse(UV_EAGAIN, no_memory, problem);
  if (err != 0) return refuse(err, uv_strerror(err), problem);
  err = make(server, key, data, length, &msg, problem);
  if (err != 0) return err;
  err = *id != 0 ? fluxbp_bus_publish_as(server->bus, number, msg, *id)
                 : fluxbp_bus_publish(server->bus, number, msg, id);
  fluxbp_msg_unref(msg);
  if (err == UV_EAGAIN) return refuse(err, "busy: clients are behind; try again in a second", problem);
  if (err == UV_ECANCELED) return refuse(err, "the gateway is shutting down", problem);
  return err == 0 ? 0 : refuse(err, uv_strerror(err), problem);
}

int server_publish(struct server *server, const char *topic, const char *key, const void *data, size_t length,
                   struct waiter *waiter, uint64_t *id, const char **problem) {
  if (atomic_load(&server->is_stopping)) return refuse(UV_ECANCELED, "the gateway is shutting down", problem);
  int err = check(server, topic, key, data, length, problem);
  if (err != 0) return err;
  *id = 0;
  err = server->backbone != NULL ? backbone_publish(server->backbone, topic, key, data, length, waiter, problem)
                                 : put_on_bus(server, topic, key, data, length, id, problem);
  return err;
}

void server_count_refusal(struct server *server, int err) {
  if (err == UV_EAGAIN || err == UV_ENOTCONN) atomic_fetch_add(&server->publish_refused, 1);
}

int server_deliver(struct server *server, const char *topic, const char *key, const void *data, size_t length,
                   uint64_t *id, const char **problem) {
  int err = check(server, topic, key, data, length, problem);
  return err == 0 ? put_on_bus(server, topic, key, data, length, id, problem) : err;
}

int server_recall(struct server *server, const char *topic, const void *data, size_t length, fluxbp_msg_t **msg,
                  const char **problem) {
  int err = check(server, topic, NULL, data, length, problem);
  return err == 0 ? make(server, NULL, data, length, msg, problem) : err;
}
