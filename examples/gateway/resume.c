/* SPDX-License-Identifier: MIT */
/*
 * resume: see the header. The hubs read the bus each at its own pace, so a client that comes from one that was ahead may
 * name an id that this one has yet to come to. That takes milliseconds; it is waited for.
 */
#include "resume.h"

#include "backbone.h"
#include "subscriptions.h"

#include <stdlib.h>

#define RETRY_MS 5

/* A hub that is so far behind has other problems; and the id may be from the future. */
#define TRIES_MAX 400

struct resume {
  struct queue_link link;
  struct client *client;
  uint64_t epoch, since;
  unsigned tries;
};

/* Everything that is wrong with `since` is known before anything is changed. */
static const char *problem_of(const fluxbp_history_range_t *range, uint64_t epoch, uint64_t since) {
  if (epoch != range->epoch) return "unknown epoch";
  if (since < range->oldest_since_id) return "too old";
  if (since > range->newest_id) return "not yet given";
  return NULL;
}

static void subscribe_live(struct client *client) {
  int err = client_subscribe_held(client);
  if (err < 0) client_close(client, WEBSOCKET_TRY_LATER, "cannot subscribe: memory is used up; try again later");
}

static void refuse(struct client *client, const char *problem, uint64_t oldest) {
  char text[ID_TEXT_BYTES];
  id_format(oldest, text);
  client->protocol->say_too_old(client, problem, text);
  if (!client->is_closing) subscribe_live(client);
}

static int subscribe_since(struct client *client, uint64_t epoch, uint64_t since) {
  for (size_t place = 0; place < client->topic_count; place++) {
    fluxbp_topic_t *topic = client->topics[place];
    if (fluxbp_topic_is_state(topic)) continue;
    fluxbp_topic_unsubscribe(topic, client->conn);
    int err = fluxbp_topic_subscribe_since(topic, client->conn, epoch, since);
    if (err < 0) return err;
  }
  return client_subscribe_held(client); /* those that keep a state */
}

static void carry_out(struct client *client, uint64_t epoch, uint64_t since) {
  char text[ID_TEXT_BYTES];
  id_format(since, text);
  int err = client->protocol->say_resumed(client, text) ? subscribe_since(client, epoch, since) : UV_ENOBUFS;
  if (err < 0) client_close(client, WEBSOCKET_TRY_LATER, "cannot resume: memory is used up; try again later");
}

/* @return whether it is decided */
static bool try_to_resume(struct client *client, uint64_t epoch, uint64_t since, bool is_last_try) {
  fluxbp_history_range_t range;
  fluxbp_hub_history(client->clients->hub, &range);
  const char *problem = problem_of(&range, epoch, since);
  if (problem != NULL && epoch == range.epoch && since > range.newest_id && !is_last_try) return false;
  if (problem != NULL)
    refuse(client, problem, range.oldest_since_id);
  else
    carry_out(client, epoch, since);
  return true;
}

static void wait(struct client *client, uint64_t epoch, uint64_t since) {
  struct clients *clients = client->clients;
  struct resume *resume = calloc(1, sizeof *resume);
  if (resume == NULL) {
    client_close(client, WEBSOCKET_TRY_LATER, "cannot resume: memory is used up; try again later");
    return;
  }
  *resume = (struct resume){.client = client, .epoch = epoch, .since = since};
  client->resume = resume;
  queue_append(&clients->resumes, &resume->link);
  if (!uv_is_active((uv_handle_t *) &clients->resume_timer))
    uv_timer_start(&clients->resume_timer, resume_try_again, RETRY_MS, 0);
}

void client_resume(struct client *client, uint64_t epoch, uint64_t since) {
  static const char replaced[] = "-ERR another RESUME has taken its place";
  if (client->resume != NULL) (void) client->protocol->answer(client, replaced, sizeof replaced - 1);
  resume_forget(client);
  if (!try_to_resume(client, epoch, since, false)) wait(client, epoch, since);
}

void resume_forget(struct client *client) {
  struct resume *resume = client->resume;
  if (resume == NULL) return;
  client->resume = NULL;
  queue_remove(&resume->link);
  free(resume);
}

/* While the backbone is away it isn't known what the other gateways have had. */
static bool is_behind(const struct server *server) {
  return server->backbone != NULL && backbone_problem(server->backbone) != NULL;
}

void resume_try_again(uv_timer_t *timer) {
  struct clients *clients = timer->data;
  struct queue_link *next;
  for (struct queue_link *link = queue_first(&clients->resumes); link != NULL; link = next) {
    next = link->next != &clients->resumes.ends ? link->next : NULL;
    struct resume *resume = QUEUE_ITEM(link, struct resume, link);
    struct client *client = resume->client;
    bool is_last_try = ++resume->tries >= TRIES_MAX && !is_behind(client->clients->server);
    if (client->is_closing || try_to_resume(client, resume->epoch, resume->since, is_last_try)) resume_forget(client);
  }
  if (queue_first(&clients->resumes) != NULL) uv_timer_start(timer, resume_try_again, RETRY_MS, 0);
}
