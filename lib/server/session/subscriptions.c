/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: most clients have one topic, which needs no memory of its own.
 */
#include "subscriptions.h"

#include <stdlib.h>

fluxbp_topic_t *client_topic(const struct client *client, size_t place) {
  return client->topic_count > 1 ? client->topics[place] : client->topic;
}

/* The place of a topic in its list, or topic_count. */
static size_t place_of(const struct client *client, const fluxbp_topic_t *topic) {
  size_t place = 0;
  while (place < client->topic_count && client_topic(client, place) != topic) place++;
  return place;
}

static int add_topic(struct client *client, fluxbp_topic_t *topic) {
  fluxbp_topic_t **topics = client->topic_count > 1 ? client->topics : NULL;
  if (client->topic_count == 1) {
    topics = malloc(CLIENT_TOPICS_MAX * sizeof(fluxbp_topic_t *));
    if (topics == NULL) return UV_ENOMEM;
    topics[0] = client->topic;
    client->topics = topics;
  }
  *(topics != NULL ? &topics[client->topic_count] : &client->topic) = topic;
  client->topic_count++;
  return 0;
}

static void remove_topic(struct client *client, size_t place) {
  if (client->topic_count-- == 1) return;
  fluxbp_topic_t **topics = client->topics;
  topics[place] = topics[client->topic_count];
  if (client->topic_count > 1) return;
  client->topic = topics[0];
  free(topics);
}

int client_hold(struct client *client, const char *name) {
  struct clients *clients = client_clients(client);
  fluxbp_topic_t *topic = fluxbp_topic_find(clients->hub, name);
  if (topic != NULL && place_of(client, topic) < client->topic_count) return 0;
  if (client->topic_count == CLIENT_TOPICS_MAX) return UV_E2BIG;
  int err = topics_hold(&clients->topics, name, &topic);
  if (err != 0) return err;
  err = add_topic(client, topic);
  if (err != 0) topics_release(&clients->topics, topic);
  return err != 0 ? err : 1;
}

int client_subscribe_held(struct client *client) {
  for (size_t place = 0; place < client->topic_count; place++) {
    int err = fluxbp_topic_subscribe(client_topic(client, place), client_conn(client));
    if (err < 0) return err;
  }
  return 0;
}

/* Lets go of the topic at `place` of its list. */
static void drop_topic(struct client *client, size_t place) {
  fluxbp_topic_t *topic = client_topic(client, place);
  remove_topic(client, place);
  fluxbp_topic_unsubscribe(topic, client_conn(client));
  topics_release(&client_clients(client)->topics, topic);
}

int client_subscribe(struct client *client, const char *name) {
  int held = client_hold(client, name);
  if (held != 1) return held;
  int err = fluxbp_topic_subscribe(client_topic(client, client->topic_count - 1U), client_conn(client));
  if (err >= 0) return 1;
  drop_topic(client, client->topic_count - 1U);
  return err;
}

bool client_unsubscribe(struct client *client, const char *name) {
  const fluxbp_topic_t *topic = fluxbp_topic_find(client_clients(client)->hub, name);
  size_t place = place_of(client, topic);
  if (topic == NULL || place == client->topic_count) return false;
  drop_topic(client, place);
  return true;
}

void subscriptions_end(struct client *client) {
  while (!client_clients(client)->hub_is_closing && client->topic_count > 0)
    drop_topic(client, client->topic_count - 1U);
  if (client->topic_count > 1) free(client->topics);
  client->topic_count = 0;
}
