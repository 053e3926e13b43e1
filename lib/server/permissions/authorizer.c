/* SPDX-License-Identifier: MIT */
/*
 * authorizer: see the header.
 *
 * A question goes one of these ways: to a kept answer; to the same question, if that is under way; to the backend; into
 * the queue; or back at once, if the backend is out of order or the queue is full. A question in the queue waits as
 * long as a request may take. When the circuit opens, the queue is told at once.
 */
#include "authorizer.h"

#include "authorizer_cache.h"
#include "authorizer_circuit.h"
#include "authorizer_http.h"
#include "server/log.h"
#include "server/server.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Of the questions under way and in the queue, by the first byte of the key. */
#define BUCKETS 256

/* Failures are logged so often at most. */
#define LOG_MS 1000

struct authorizer {
  fluxbp_server_t *server;
  struct authorizer_http *http;
  bool is_closed; /* the handles are */
  struct authorizer_cache *cache;
  struct authorizer_circuit circuit;
  struct authorizer_question *buckets[BUCKETS];
  struct authorizer_question *first, **last_next; /* the queue */
  struct authorizer_stats stats;
  uint64_t logged_ms; /* the loop's time when a failure was logged last; 0: never */
  uint64_t unlogged;  /* failures since then */
};

static const struct authorizer_answer away = {.outcome = AUTHORIZER_AWAY};

static uint64_t now_ms(const struct authorizer *authorizer) {
  return uv_now(authorizer->server->options.loop);
}

static uint64_t now_s(void) {
  return (uint64_t) time(NULL);
}

struct authorizer *authorizer_create(fluxbp_server_t *server) {
  struct authorizer *authorizer = calloc(1, sizeof *authorizer);
  if (authorizer == NULL) return NULL;
  authorizer->server = server;
  authorizer->last_next = &authorizer->first;
  authorizer->cache = authorizer_cache_create(server->options.authorize_cache);
  if (authorizer->cache != NULL) authorizer->http = authorizer_http_create(server);
  if (authorizer->http != NULL) return authorizer;
  authorizer_free(authorizer);
  return NULL;
}

void authorizer_free(struct authorizer *authorizer) {
  if (authorizer == NULL) return;
  authorizer_cache_free(authorizer->cache);
  authorizer_http_free(authorizer->http);
  free(authorizer);
}

void authorizer_get_stats(const struct authorizer *authorizer, struct authorizer_stats *stats) {
  *stats = authorizer->stats;
}

/* The questions that are on their way, or wait for it. */

static struct authorizer_question **bucket_of(struct authorizer *authorizer,
                                              const struct authorizer_question *question) {
  return &authorizer->buckets[question->key[0]];
}

static struct authorizer_question *find_same(struct authorizer *authorizer, const struct authorizer_question *wanted) {
  struct authorizer_question *question = *bucket_of(authorizer, wanted);
  while (question != NULL && !authorizer_question_is(question, wanted)) question = question->next_of_kind;
  return question;
}

static void add_question(struct authorizer *authorizer, struct authorizer_question *question) {
  struct authorizer_question **bucket = bucket_of(authorizer, question);
  question->next_of_kind = *bucket;
  *bucket = question;
}

static void end_question(struct authorizer *authorizer, struct authorizer_question *question,
                         const struct authorizer_answer *answer) {
  struct authorizer_question **place = bucket_of(authorizer, question);
  while (*place != question) place = &(*place)->next_of_kind;
  *place = question->next_of_kind;
  authorizer_question_end(question, answer);
}

static void join(struct authorizer *authorizer, struct authorizer_question *same,
                 struct authorizer_question *question) {
  struct authorizer_waiter *waiter = question->waiters; /* the only one */
  waiter->next = same->waiters;
  same->waiters = waiter;
  authorizer->stats.joined++;
  authorizer_question_free(question);
}

static void end_unasked(struct authorizer *authorizer, struct authorizer_question *question) {
  authorizer->stats.unasked++;
  end_question(authorizer, question, &away);
}

/* The queue. */

static void enqueue(struct authorizer *authorizer, struct authorizer_question *question) {
  question->next = NULL;
  question->due_ms = now_ms(authorizer) + authorizer->server->options.authorize_timeout_ms;
  *authorizer->last_next = question;
  authorizer->last_next = &question->next;
  authorizer->stats.waiting++;
}

/* @return NULL: the queue is empty */
static struct authorizer_question *dequeue(struct authorizer *authorizer) {
  struct authorizer_question *question = authorizer->first;
  if (question == NULL) return NULL;
  authorizer->first = question->next;
  if (authorizer->first == NULL) authorizer->last_next = &authorizer->first;
  authorizer->stats.waiting--;
  return question;
}

/* The backend. */

static void on_reply(void *arg, const struct authorizer_reply *reply);

static void send_question(struct authorizer *authorizer, struct authorizer_question *question) {
  question->asked_s = now_s();
  if (authorizer_http_ask(authorizer->http, question->lines, question->length, on_reply, question) != 0) {
    (void) authorizer_circuit_fail(&authorizer->circuit, now_ms(authorizer)); /* it may have been the probe */
    end_unasked(authorizer, question);
    return;
  }
  authorizer->stats.questions++;
  authorizer->stats.under_way++;
}

static bool has_place(const struct authorizer *authorizer) {
  return authorizer->stats.under_way < authorizer->server->options.authorize_at_once;
}

static void send_next(struct authorizer *authorizer) {
  struct authorizer_question *question;
  while (has_place(authorizer) && (question = dequeue(authorizer)) != NULL) {
    if (authorizer_circuit_is_open(&authorizer->circuit) || question->due_ms <= now_ms(authorizer))
      end_unasked(authorizer, question);
    else
      send_question(authorizer, question);
  }
}

static void log_failure(struct authorizer *authorizer, const char *problem) {
  uint64_t now = now_ms(authorizer);
  authorizer->unlogged++;
  if (authorizer->logged_ms != 0 && now - authorizer->logged_ms < LOG_MS) return;
  server_log(authorizer->server, FLUXBP_LOG_WARN, "authorize_failed", log_phrase("reason", problem),
             log_number("failures", authorizer->unlogged));
  authorizer->logged_ms = now;
  authorizer->unlogged = 0;
}

static void note_reply(struct authorizer *authorizer, const struct authorizer_reply *reply,
                       enum authorizer_outcome outcome, const char *problem) {
  struct authorizer_circuit *circuit = &authorizer->circuit;
  authorizer->stats.refused += outcome == AUTHORIZER_REFUSES;
  authorizer->stats.failures += outcome == AUTHORIZER_AWAY;
  if (outcome == AUTHORIZER_AWAY) log_failure(authorizer, problem);
  if (!authorizer_answer_is_outage(reply)) {
    if (authorizer_circuit_succeed(circuit))
      server_log(authorizer->server, FLUXBP_LOG_INFO, "authorize_back", log_number("status", (uint64_t) reply->status));
  } else if (authorizer_circuit_fail(circuit, now_ms(authorizer))) {
    server_log(authorizer->server, FLUXBP_LOG_ERROR, "authorize_away", log_phrase("reason", problem));
  }
}

static void on_reply(void *arg, const struct authorizer_reply *reply) {
  struct authorizer_question *question = arg;
  struct authorizer *authorizer = question->authorizer;
  struct authorizer_answer answer;
  const char *problem;
  authorizer->stats.under_way--;
  authorizer_answer_read(reply, question->asked_s, &answer, &problem);
  note_reply(authorizer, reply, answer.outcome, problem);
  uint64_t fresh_s = authorizer_answer_fresh_s(reply, &answer, now_s());
  if (fresh_s > 0) authorizer_cache_add(authorizer->cache, question->key, &answer, now_ms(authorizer) + fresh_s * 1000);
  end_question(authorizer, question, &answer);
  grant_unref(answer.grant);
  send_next(authorizer);
}

/* Asking. */

static bool find_kept(struct authorizer *authorizer, const struct authorizer_question *question,
                      struct authorizer_answer *answer) {
  struct revocations *revocations = authorizer->server->credentials.revocations;
  if (!authorizer_cache_find(authorizer->cache, question->key, now_ms(authorizer), answer)) return false;
  if (answer->grant == NULL || !revocations_hold_for(revocations, answer->grant, now_s())) return true;
  authorizer_cache_remove(authorizer->cache, question->key); /* the backend may know by now */
  return false;
}

static void route_question(struct authorizer *authorizer, struct authorizer_question *question) {
  add_question(authorizer, question);
  if (authorizer_circuit_is_open(&authorizer->circuit)) {
    if (has_place(authorizer) && authorizer_circuit_probe(&authorizer->circuit, now_ms(authorizer)))
      send_question(authorizer, question);
    else
      end_unasked(authorizer, question);
  } else if (has_place(authorizer)) {
    send_question(authorizer, question);
  } else if (authorizer->stats.waiting < AUTHORIZER_QUEUE_MAX) {
    enqueue(authorizer, question);
  } else {
    end_unasked(authorizer, question);
  }
}

/* On the server's loop. */
static void take_question(fluxbp_hub_t *control, void *arg) {
  struct authorizer_question *question = arg;
  struct authorizer *authorizer = question->authorizer;
  struct authorizer_answer answer;
  (void) control;
  if (authorizer->is_closed) {
    authorizer_question_end(question, &away);
    return;
  }
  struct authorizer_question *same = find_same(authorizer, question);
  if (same != NULL) {
    join(authorizer, same, question);
  } else if (find_kept(authorizer, question, &answer)) {
    authorizer->stats.cached++;
    authorizer_question_end(question, &answer);
  } else {
    route_question(authorizer, question);
  }
}

void authorizer_ask(struct authorizer *authorizer, struct authorizer_question *question) {
  question->authorizer = authorizer;
  if (fluxbp_hub_post(authorizer->server->control, take_question, question) != 0)
    authorizer_question_end(question, &away);
}

void authorizer_close(struct authorizer *authorizer) {
  if (authorizer == NULL || authorizer->is_closed) return;
  authorizer->is_closed = true;
  authorizer_http_close(authorizer->http);
  for (size_t i = 0; i < BUCKETS; i++)
    while (authorizer->buckets[i] != NULL) end_question(authorizer, authorizer->buckets[i], &away);
}
