/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: most clients have one topic, which needs no memory of its own.
 */
#include "subscriptions.h"

#include <stdlib.h>

/* The place of a topic in its list, or topic_count. */
static size_t place_of(const struct client *client, const fluxbp_topic_t *topic) {
  size_t place = 0;
  while (place < client->topic_count && client->topics[place] != topic) place++;
  return place;
}

static int make_room(struct client *client) {
  if (client->topic_count == CLIENT_TOPICS_MAX) return UV_E2BIG;
  if (client->topic_count == 0 || client->topics != &client->topic) return 0;
  fluxbp_topic_t **topics = malloc(CLIENT_TOPICS_MAX * sizeof(fluxbp_topic_t *));
  if (topics == NULL) return UV_ENOMEM;
  topics[0] = client->topic;
  client->topics = topics;
  return 0;
}

int client_hold(struct client *client, const char *name) {
  struct clients *clients = client->clients;
  fluxbp_topic_t *topic = fluxbp_topic_find(clients->hub, name);
  if (topic != NULL && place_of(client, topic) < client->topic_count) return 0;
  int err = make_room(client);
  if (err == 0) err = topics_hold(&clients->topics, name, &topic);
  if (err != 0) return err;
  client->topics[client->topic_count++] = topic;
  return 1;
}

int client_subscribe_held(struct client *client) {
  for (size_t place = 0; place < client->topic_count; place++) {
    int err = fluxbp_topic_subscribe(client->topics[place], client->conn);
    if (err < 0) return err;
  }
  return 0;
}

/* Lets go of the topic at `place` of its list. */
static void drop_topic(struct client *client, size_t place) {
  fluxbp_topic_t *topic = client->topics[place];
  client->topics[place] = client->topics[--client->topic_count];
  fluxbp_topic_unsubscribe(topic, client->conn);
  topics_release(&client->clients->topics, topic);
}

int client_subscribe(struct client *client, const char *name) {
  int held = client_hold(client, name);
  if (held != 1) return held;
  int err = fluxbp_topic_subscribe(client->topics[client->topic_count - 1U], client->conn);
  if (err >= 0) return 1;
  drop_topic(client, client->topic_count - 1U);
  return err;
}

bool client_unsubscribe(struct client *client, const char *name) {
  const fluxbp_topic_t *topic = fluxbp_topic_find(client->clients->hub, name);
  size_t place = place_of(client, topic);
  if (topic == NULL || place == client->topic_count) return false;
  drop_topic(client, place);
  return true;
}

void subscriptions_end(struct client *client) {
  while (!client->clients->hub_is_closing && client->topic_count > 0) drop_topic(client, client->topic_count - 1U);
  if (client->topics != &client->topic) free(client->topics);
  client->topics = &client->topic;
}
