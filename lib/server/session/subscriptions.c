/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: most clients have one topic, which needs no memory of its own.
 */
#include "subscriptions.h"

#include "resume.h"
#include "topic_list.h"

#include <stdlib.h>

size_t client_topic_count(const struct client *client) {
  return client->has_topic_list ? client->topics->count : client->has_topic;
}

fluxbp_topic_t *client_topic(const struct client *client, size_t place) {
  return client->has_topic_list ? client->topics->topics[place] : client->topic;
}

static bool holds(const struct client *client, const fluxbp_topic_t *topic) {
  if (client->has_topic_list) return topic_list_find(client->topics, topic) != NULL;
  return client->has_topic && client->topic == topic;
}

static int add_topic(struct client *client, fluxbp_topic_t *topic) {
  if (client->has_topic_list) return topic_list_add(&client->topics, topic);
  if (client->has_topic) {
    struct topic_list *list = NULL;
    int err = topic_list_add(&list, client->topic);
    if (err != 0) return err;
    (void) topic_list_add(&list, topic); /* the first has made room for it */
    client->topics = list;
    client->has_topic_list = true;
    return 0;
  }
  client->topic = topic;
  client->has_topic = true;
  return 0;
}

static void remove_topic(struct client *client, const fluxbp_topic_t *topic) {
  if (!client->has_topic_list) {
    client->has_topic = false;
    return;
  }
  struct topic_list *list = client->topics;
  topic_list_remove(list, topic_list_find(list, topic));
  if (list->count > 1) return;
  client->topic = list->topics[0];
  client->has_topic_list = false;
  free(list);
}

int client_hold(struct client *client, const char *name) {
  struct clients *clients = client_clients(client);
  fluxbp_topic_t *topic = fluxbp_topic_find(clients->hub, name);
  if (topic != NULL && holds(client, topic)) return 0;
  if (client_topic_count(client) >= clients->server->options->max_topics_per_client) return UV_E2BIG;
  int err = topics_hold(&clients->topics, name, &topic);
  if (err != 0) return err;
  err = add_topic(client, topic);
  if (err != 0) topics_release(&clients->topics, topic);
  return err != 0 ? err : 1;
}

int client_subscribe_held(struct client *client) {
  for (size_t place = 0; place < client_topic_count(client); place++) {
    int err = fluxbp_topic_subscribe(client_topic(client, place), client_conn(client));
    if (err < 0) return err;
  }
  return 0;
}

static void let_go(struct client *client, fluxbp_topic_t *topic) {
  fluxbp_topic_unsubscribe(topic, client_conn(client));
  topics_release(&client_clients(client)->topics, topic);
}

static void drop_topic(struct client *client, fluxbp_topic_t *topic) {
  resume_forget_topics(client);
  remove_topic(client, topic);
  let_go(client, topic);
}

int client_subscribe(struct client *client, const char *name) {
  int held = client_hold(client, name);
  if (held != 1) return held;
  fluxbp_topic_t *topic = client_topic(client, client_topic_count(client) - 1);
  int err = fluxbp_topic_subscribe(topic, client_conn(client));
  if (err >= 0) return 1;
  drop_topic(client, topic);
  return err;
}

bool client_unsubscribe(struct client *client, const char *name) {
  fluxbp_topic_t *topic = fluxbp_topic_find(client_clients(client)->hub, name);
  if (topic == NULL || !holds(client, topic)) return false;
  drop_topic(client, topic);
  return true;
}

void subscriptions_end(struct client *client) {
  size_t count = client_clients(client)->hub_is_closing ? 0 : client_topic_count(client);
  while (count-- > 0) let_go(client, client_topic(client, count));
  if (client->has_topic_list) free(client->topics);
  client->has_topic = client->has_topic_list = false;
}
