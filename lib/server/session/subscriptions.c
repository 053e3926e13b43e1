/* SPDX-License-Identifier: MIT */
/*
 * subscriptions: most clients have one topic, which needs no memory of its own.
 */
#include "subscriptions.h"

#include "resume.h"
#include "session_quotas.h"
#include "topic_list.h"

#include <stdlib.h>

size_t fluxbp_session_topic_count(const fluxbp_session_t *session) {
  return session->has_topic_list ? session->topics->count : session->has_topic;
}

fluxbp_topic_t *session_topic(const fluxbp_session_t *session, size_t place) {
  return session->has_topic_list ? session->topics->topics[place] : session->topic;
}

static bool holds(const fluxbp_session_t *session, const fluxbp_topic_t *topic) {
  if (session->has_topic_list) return topic_list_find(session->topics, topic) != NULL;
  return session->has_topic && session->topic == topic;
}

static int add_topic(fluxbp_session_t *session, fluxbp_topic_t *topic) {
  if (session->has_topic_list) return topic_list_add(&session->topics, topic);
  if (session->has_topic) {
    struct topic_list *list = NULL;
    int err = topic_list_add(&list, session->topic);
    if (err != 0) return err;
    (void) topic_list_add(&list, topic); /* the first has made room for it */
    session->topics = list;
    session->has_topic_list = true;
    return 0;
  }
  session->topic = topic;
  session->has_topic = true;
  return 0;
}

static void remove_topic(fluxbp_session_t *session, const fluxbp_topic_t *topic) {
  if (!session->has_topic_list) {
    session->has_topic = false;
    return;
  }
  struct topic_list *list = session->topics;
  topic_list_remove(list, topic_list_find(list, topic));
  if (list->count > 1) return;
  session->topic = list->topics[0];
  session->has_topic_list = false;
  free(list);
}

/* Hold a topic, and count that as a subscription. @return as session_hold */
static int hold_topic(fluxbp_session_t *session, const char *name, fluxbp_topic_t **topic) {
  struct topics *topics = &session_shard(session)->topics;
  struct payers payers = session_payers(session);
  const char *problem = session_take_subscription(session);
  int err = problem == NULL ? topics_hold(topics, name, &payers, topic) : UV_ENFILE;
  if (problem != NULL)
    topics->refusal = problem;
  else if (err != 0)
    session_give_back_subscriptions(session, 1);
  return err;
}

int session_hold(fluxbp_session_t *session, const char *name) {
  struct shard *shard = session_shard(session);
  fluxbp_topic_t *topic = topics_find(&shard->topics, name);
  if (topic != NULL && holds(session, topic)) return 0;
  if (fluxbp_session_topic_count(session) >= shard->server->options.max_topics_per_session) return UV_E2BIG;
  int err = hold_topic(session, name, &topic);
  if (err != 0) return err;
  err = add_topic(session, topic);
  if (err == 0) return 1;
  session_give_back_subscriptions(session, 1);
  topics_release(&shard->topics, topic);
  return err;
}

const char *session_quota_problem(const fluxbp_session_t *session) {
  return session_shard(session)->topics.refusal;
}

int session_subscribe_held(fluxbp_session_t *session) {
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++) {
    int err = fluxbp_topic_subscribe(session_topic(session, place), fluxbp_session_conn(session));
    if (err < 0) return err;
  }
  return 0;
}

static void let_go(fluxbp_session_t *session, fluxbp_topic_t *topic) {
  fluxbp_topic_unsubscribe(topic, fluxbp_session_conn(session));
  topics_release(&session_shard(session)->topics, topic);
}

static void drop_topic(fluxbp_session_t *session, fluxbp_topic_t *topic) {
  resume_forget_topics(session);
  remove_topic(session, topic);
  session_give_back_subscriptions(session, 1);
  let_go(session, topic);
}

int session_subscribe(fluxbp_session_t *session, const char *name) {
  int held = session_hold(session, name);
  if (held != 1) return held;
  fluxbp_topic_t *topic = session_topic(session, fluxbp_session_topic_count(session) - 1);
  int err = fluxbp_topic_subscribe(topic, fluxbp_session_conn(session));
  if (err >= 0) return 1;
  drop_topic(session, topic);
  return err;
}

bool session_unsubscribe(fluxbp_session_t *session, const char *name) {
  fluxbp_topic_t *topic = topics_find(&session_shard(session)->topics, name);
  if (topic == NULL || !holds(session, topic)) return false;
  drop_topic(session, topic);
  return true;
}

void subscriptions_end(fluxbp_session_t *session) {
  size_t all = fluxbp_session_topic_count(session);
  size_t count = session_shard(session)->hub_is_closing ? 0 : all;
  session_give_back_subscriptions(session, (uint32_t) all);
  while (count-- > 0) let_go(session, session_topic(session, count));
  if (session->has_topic_list) free(session->topics);
  session->has_topic = session->has_topic_list = false;
}
