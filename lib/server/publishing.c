/* SPDX-License-Identifier: MIT */
/*
 * server: publishing, the one way by which messages of clients come in.
 */
#include "server.h"

#include "backbone.h"
#include "lines/line_text.h"
#include "permissions/revoking.h"
#include "topics.h"

#include <string.h>

/* Of the budget, that publishing leaves free. */
#define BUDGET_PART_KEPT 8

#define MS_NS ((uint64_t) 1000 * 1000)

/* Values that are taken back at a time for their age: the rest follow at the next. */
#define EXPIRED_AT_A_TIME 1000

int server_init_publishing(fluxbp_server_t *server) {
  const fluxbp_server_options_t *options = &server->options;
  int err = secret_hash_init(&server->hash);
  if (err != 0) return err;
  server->state_keys = state_keys_create(options->state_topics.count, options->state_keys);
  return server->state_keys != NULL ? 0 : UV_ENOMEM;
}

/* Its place among the state topics, or their count. */
static size_t state_place(const fluxbp_server_t *server, const char *topic) {
  const fluxbp_text_list_t *states = &server->options.state_topics;
  size_t place = 0;
  while (place < states->count && strcmp(states->texts[place], topic) != 0) place++;
  return place;
}

bool server_is_state(const fluxbp_server_t *server, const char *topic) {
  return state_place(server, topic) < server->options.state_topics.count;
}

uint64_t server_topic_key(const fluxbp_server_t *server, const char *topic) {
  return secret_hash_of(&server->hash, topic);
}

static uint64_t now_ms(void) {
  return uv_hrtime() / MS_NS;
}

/* Without a byte the value is taken back. */
static struct state_change change_of(const fluxbp_server_t *server, const struct publication *publication) {
  return (struct state_change){.topic = state_place(server, publication->topic),
                               .key = publication->key,
                               .number = secret_hash_of(&server->hash, publication->key),
                               .removes = publication->length == 0,
                               .bytes = publication->length,
                               .payers = publication->payers};
}

static int refuse_publication(int err, const char *why, const char **problem) {
  *problem = why;
  return err;
}

/* Return whether a topic is the one of clients that ask for none. Its name is right, it is a log topic, and its number
 * on the bus is known. */
static bool is_default_topic(const fluxbp_server_t *server, const char *topic) {
  return server->options.topic != NULL && strcmp(topic, server->options.topic) == 0;
}

static int check_name(const fluxbp_server_t *server, const char *topic, const char **problem) {
  if (is_default_topic(server, topic) || fluxbp_server_topic_is_right(topic, strlen(topic))) return 0;
  return refuse_publication(UV_EINVAL, "a topic is " FLUXBP_SERVER_TOPIC_RULE, problem);
}

/* The name of the topic was checked. */
static int check_key(const fluxbp_server_t *server, const char *topic, const char *key, const char **problem) {
  bool is_state = server_is_state(server, topic);
  if (!is_state && key != NULL)
    return refuse_publication(UV_EINVAL, "keys are for state topics; this one is a log: leave it out", problem);
  if (is_state && key == NULL)
    return refuse_publication(UV_EINVAL, "this is a state topic: give the key that the message is for", problem);
  if (key == NULL) return 0;
  size_t length = strlen(key);
  return length > 0 && length <= FLUXBP_SERVER_KEY_BYTES
             ? 0
             : refuse_publication(UV_EINVAL, "a key has 1 to 64 bytes", problem);
}

static int check_publication(const fluxbp_server_t *server, const char *topic, const char *key, const void *data,
                             size_t length, const char **problem) {
  int err = check_name(server, topic, problem);
  if (err != 0) return err;
  if (length == 0) return refuse_publication(UV_EINVAL, "a message has at least one byte", problem);
  if (length > server->options.max_message)
    return refuse_publication(UV_E2BIG, "the message is over this server's limit of bytes per message", problem);
  err = check_key(server, topic, key, problem);
  if (err != 0 || key == NULL || line_text_is_one_line(data, length)) return err;
  return refuse_publication(
      UV_EINVAL, "what a state topic keeps is a line: it can't have a newline, nor another line end", problem);
}

/* Check what takes the value of a key back. */
static int check_removal(const fluxbp_server_t *server, const char *topic, const char *key, const char **problem) {
  int err = check_name(server, topic, problem);
  if (err == 0) err = check_key(server, topic, key, problem);
  if (err == 0 && key == NULL)
    err = refuse_publication(UV_EINVAL, "only values of a state topic can be taken back", problem);
  return err;
}

/* Else there would be no memory to answer the publisher with, and for what the hubs make of a message. */
static bool has_room(const fluxbp_server_t *server, size_t length) {
  uint64_t budget = server->options.budget;
  return fluxbp_pool_used_bytes(server->pool) + length <= budget - budget / BUDGET_PART_KEPT;
}

static int check_wish(const fluxbp_server_t *server, const struct publication *wish, const char **problem) {
  if (wish->data == NULL) return check_removal(server, wish->topic, wish->key, problem);
  return check_publication(server, wish->topic, wish->key, wish->data, wish->length, problem);
}

bool server_may_publish(const fluxbp_server_t *server, const struct publication *publication) {
  const char *problem;
  return check_wish(server, publication, &problem) == 0;
}

static const char no_memory[] = "busy: memory is used up by what slow clients have not taken; try again in a second";
static const char filled_by_values[] =
    "values of state topics fill the memory: take some back with UNSET, or raise the server's memory budget";
static const char too_many_keys[] =
    "the state topic has as many keys as it may have: take one back with UNSET, or raise the server's limit "
    "of keys per state topic";

/* There is no use in waiting for memory when values of state topics, which stay, have more than half of it. */
static bool is_filled_by_values(const fluxbp_server_t *server) {
  uint64_t used_bytes = state_keys_bytes(server->state_keys) + atomic_load(&server->state_frame_bytes);
  return used_bytes > server->options.budget / 2;
}

/* A removal needs no room: it makes some. */
static int make_message(fluxbp_server_t *server, const struct state_change *change, const void *data, size_t length,
                        fluxbp_msg_t **msg, const char **problem) {
  int err;
  if (change != NULL && change->removes)
    err = fluxbp_msg_create_removal(server->pool, change->number, change->key, change->key, strlen(change->key), msg);
  else if (!has_room(server, length))
    err = UV_ENOBUFS;
  else if (change != NULL)
    err = fluxbp_msg_create_named(server->pool, change->number, change->key, data, length, msg);
  else
    err = fluxbp_msg_create(server->pool, data, length, msg);
  if (err == UV_ENOBUFS || err == UV_ENOMEM) return refuse_publication(UV_EAGAIN, no_memory, problem);
  return err == 0 ? 0 : refuse_publication(err, uv_strerror(err), problem);
}

static int refuse_key(fluxbp_server_t *server, const struct state_change *change, int err, const char **problem) {
  if (err == UV_ENFILE) return refuse_publication(err, change->refusal, problem);
  if (err != UV_ENOSPC) return refuse_publication(UV_EAGAIN, no_memory, problem);
  atomic_fetch_add(&server->state_refused, 1);
  return refuse_publication(err, too_many_keys, problem);
}

/* To all subscribers but the connection with the number `origin`. */
static int put_message_from(const fluxbp_server_t *server, const char *topic, fluxbp_msg_t *msg, uint64_t origin) {
  fluxbp_bus_publish_options_t options;
  fluxbp_bus_publish_options_init(&options);
  options.name = topic;
  options.origin = origin;
  return fluxbp_bus_publish_with(server->bus, msg, &options, NULL);
}

/* `*id` is given, or 0: it gets one; but a removal among given ids that has none of its own. */
static int put_message(const fluxbp_server_t *server, const char *topic, fluxbp_msg_t *msg, uint64_t *id) {
  if (server->has_given_ids) return fluxbp_bus_publish_to_as(server->bus, topic, msg, *id);
  if (is_default_topic(server, topic)) /* the bus takes no lock */
    return fluxbp_bus_publish(server->bus, server->topic_number, msg, id);
  return fluxbp_bus_publish_to(server->bus, topic, msg, id);
}

static int refuse_message(int err, const char **problem) {
  if (err == UV_EAGAIN) return refuse_publication(err, "busy: clients are behind; try again in a second", problem);
  if (err == UV_ENOMEM) return refuse_publication(UV_EAGAIN, no_memory, problem);
  if (err == UV_ECANCELED) return refuse_publication(err, "the server is shutting down", problem);
  return err == 0 ? 0 : refuse_publication(err, uv_strerror(err), problem);
}

/* To our own clients. `change` is of a state topic, or NULL. */
static int put_on_bus(fluxbp_server_t *server, const struct publication *publication, struct state_change *change,
                      uint64_t *id, const char **problem) {
  fluxbp_msg_t *msg;
  int err = make_message(server, change, publication->data, publication->length, &msg, problem);
  if (err != 0) return err;
  err = change != NULL ? state_keys_begin(server->state_keys, change) : 0;
  if (err != 0) {
    fluxbp_msg_unref(msg);
    return refuse_key(server, change, err, problem);
  }
  err = put_message(server, publication->topic, msg, id);
  if (change != NULL) state_keys_end(server->state_keys, change, err == 0, now_ms());
  fluxbp_msg_unref(msg);
  return refuse_message(err, problem);
}

/* What was checked. Without a byte it takes a value back. */
static int put_checked(fluxbp_server_t *server, const struct publication *publication, uint64_t *id,
                       const char **problem) {
  if (publication->key == NULL) return put_on_bus(server, publication, NULL, id, problem);
  struct state_change change = change_of(server, publication);
  return put_on_bus(server, publication, &change, id, problem);
}

/* By way of the backbone, whose order decides. A key that is known to be too many now doesn't get there. */
static int send_to_backbone(fluxbp_server_t *server, const struct publication *publication, struct waiter *waiter,
                            const char **problem) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  if (publication->key != NULL && publication->length > 0) {
    struct state_change change = change_of(server, publication);
    if (!has_room(server, publication->length) && is_filled_by_values(server))
      return refuse_publication(UV_ENOBUFS, filled_by_values, problem);
    int err = state_keys_promise(server->state_keys, &change, now_ms());
    if (err != 0) return refuse_key(server, &change, err, problem);
  }
  return backbone->table->publish(backbone, publication->topic, publication->key, publication->data,
                                  publication->length, waiter, problem);
}

static int publish_checked(fluxbp_server_t *server, const struct publication *publication, struct waiter *waiter,
                           uint64_t *id, const char **problem) {
  *id = 0;
  int err = server->options.backbone != NULL ? send_to_backbone(server, publication, waiter, problem)
                                             : put_checked(server, publication, id, problem);
  if (err == UV_EAGAIN && *problem == no_memory && is_filled_by_values(server))
    return refuse_publication(UV_ENOBUFS, filled_by_values, problem);
  return err;
}

int server_publish(fluxbp_server_t *server, const struct publication *publication, struct waiter *waiter, uint64_t *id,
                   const char **problem) {
  if (atomic_load(&server->is_stopping))
    return refuse_publication(UV_ECANCELED, "the server is shutting down", problem);
  int err = check_wish(server, publication, problem);
  return err == 0 ? publish_checked(server, publication, waiter, id, problem) : err;
}

int server_publish_from(fluxbp_server_t *server, const char *topic, const void *data, size_t length, uint64_t origin) {
  const char *problem;
  fluxbp_msg_t *msg;
  if (atomic_load(&server->is_stopping)) return UV_ECANCELED;
  if (server->options.backbone != NULL) return UV_ENOTSUP;
  int err = check_publication(server, topic, NULL, data, length, &problem);
  if (err == 0) err = make_message(server, NULL, data, length, &msg, &problem);
  if (err != 0) return err;
  err = put_message_from(server, topic, msg, origin);
  fluxbp_msg_unref(msg);
  return refuse_message(err, &problem);
}

int server_create_message(fluxbp_server_t *server, const void *data, size_t length, fluxbp_msg_t **msg) {
  return has_room(server, length) ? fluxbp_msg_create(server->pool, data, length, msg) : UV_EAGAIN;
}

int server_alloc_message(fluxbp_server_t *server, size_t length, fluxbp_msg_t **msg) {
  return has_room(server, length) ? fluxbp_msg_alloc(server->pool, length, msg) : UV_EAGAIN;
}

int server_publish_many(fluxbp_server_t *server, const char *topic, fluxbp_msg_t *const *msgs, size_t count,
                        uint64_t *first_id) {
  fluxbp_bus_publish_options_t options;
  if (atomic_load(&server->is_stopping)) return UV_ECANCELED;
  fluxbp_bus_publish_options_init(&options);
  options.topic = server->topic_number;
  if (!is_default_topic(server, topic)) options.name = topic; /* else the bus takes no lock */
  return fluxbp_bus_publish_many(server->bus, msgs, count, &options, first_id);
}

void server_count_refusal(fluxbp_server_t *server, int err) {
  if (err == UV_EAGAIN || err == UV_ENOTCONN) atomic_fetch_add(&server->publish_refused, 1);
}

int server_deliver(fluxbp_server_t *server, const char *topic, const char *key, const void *data, size_t length,
                   uint64_t *id, const char **problem) {
  if (strcmp(topic, REVOKED_TOPIC) == 0) return revoking_deliver(server, data, length, problem);
  bool removes = key != NULL && length == 0;
  int err = removes ? check_removal(server, topic, key, problem)
                    : check_publication(server, topic, key, data, length, problem);
  if (err != 0) return err;
  struct publication publication = {.topic = topic, .key = key, .data = data, .length = length};
  err = put_checked(server, &publication, id, problem);
  if (err != UV_EAGAIN || key == NULL || *problem != no_memory || !is_filled_by_values(server)) return err;
  return refuse_publication(UV_ENOBUFS, filled_by_values, problem); /* what takes values back may be behind it */
}

/* @return whether another one may follow */
static bool expire_one(fluxbp_server_t *server, uint64_t until_ms) {
  struct state_change change;
  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  fluxbp_msg_t *msg;
  uint64_t id = 0;
  const char *problem;
  if (!state_keys_begin_expiry(server->state_keys, until_ms, &change, key)) return false;
  const char *topic = server->options.state_topics.texts[change.topic];
  int err = make_message(server, &change, NULL, 0, &msg, &problem);
  if (err == 0) {
    err = put_message(server, topic, msg, &id);
    fluxbp_msg_unref(msg);
  }
  state_keys_end(server->state_keys, &change, err == 0, 0);
  if (err == 0) atomic_fetch_add(&server->state_expired, 1);
  return err == 0;
}

void server_expire(fluxbp_server_t *server) {
  uint64_t age_ms = server->options.state_age_ms;
  uint64_t at_ms = now_ms();
  if (age_ms == 0 || at_ms < age_ms || atomic_load(&server->is_stopping)) return;
  for (int i = 0; i < EXPIRED_AT_A_TIME && expire_one(server, at_ms - age_ms); i++) continue;
}

int server_recall(fluxbp_server_t *server, const char *topic, const void *data, size_t length, fluxbp_msg_t **msg,
                  const char **problem) {
  int err = check_publication(server, topic, NULL, data, length, problem);
  return err == 0 ? make_message(server, NULL, data, length, msg, problem) : err;
}

int fluxbp_server_publish(fluxbp_server_t *server, const char *topic, const char *key, const void *data,
                          size_t length) {
  const char *problem;
  uint64_t id;
  struct publication publication = {
      .topic = topic, .key = key, .data = data != NULL ? data : "", .length = data != NULL ? length : 0};
  return server_publish(server, &publication, NULL, &id, &problem);
}

int fluxbp_server_unset(fluxbp_server_t *server, const char *topic, const char *key) {
  const char *problem;
  uint64_t id;
  struct publication publication = {.topic = topic, .key = key};
  return server_publish(server, &publication, NULL, &id, &problem);
}
