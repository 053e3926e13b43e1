/* SPDX-License-Identifier: MIT */
/*
 * answers: each client has a line of them, as a ring that `client->answers` points to the last of. The first is said as soon
 * as it is known and the client has room for it, and those behind it that are known, too. An answer whose client has gone, or
 * was told that it won't come, is in no line: it has no client, and goes when the backbone gives it back.
 */
#include "answers.h"

#include "intake.h"
#include "server/http/http_client.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 4096
#define ANSWER_BYTES 320

/* Of a ring, from which on no answers are added. It is above the usual high watermark, so that a client that doesn't read is
 * backpressured by then. */
#define FILL_PERCENT_MAX 75

struct answer {
  struct waiter waiter;
  struct answer *next;   /* of the client's; the last one's is the first */
  struct client *client; /* NULL: nobody wants it any more */
  const char *verb;      /* that was published with; NULL: `text` is to be said */
  bool is_known;
  char text[];
};

static void free_answer(struct answer *answer) {
  waiter_reset(&answer->waiter);
  free(answer);
}

/* A ring that overflows may lose older answers, or end the client, as the policy says. So none comes to be full of answers. */
bool answers_have_room(const struct client *client) {
  fluxbp_conn_t *conn = client_conn(client);
  fluxbp_conn_stats_t stats;
  if (fluxbp_conn_is_backpressured(conn)) return false;
  fluxbp_conn_get_stats(conn, &stats);
  if (stats.fill_percent < FILL_PERCENT_MAX) return true;
  (void) fluxbp_conn_flush(conn); /* nothing of it may have been offered to the kernel */
  fluxbp_conn_get_stats(conn, &stats);
  return stats.fill_percent < FILL_PERCENT_MAX;
}

/* Now. @return false: there is no room for it, in the client's ring or in the budget */
static bool say(struct client *client, const char *text, size_t length) {
  if (!answers_have_room(client)) return false;
  return client_protocol(client)->answer(client, text, length);
}

/* @return as say */
static bool say_known(struct client *client, const struct answer *answer) {
  char text[ANSWER_BYTES], id[ID_TEXT_BYTES];
  int length;
  if (answer->verb == NULL) return say(client, answer->text, strlen(answer->text));
  id_format(answer->waiter.id, id);
  if (answer->waiter.err == 0)
    length = snprintf(text, sizeof text, "+OK %s %s", answer->verb, id);
  else
    length = snprintf(text, sizeof text, "-ERR %s", waiter_problem(&answer->waiter));
  return say(client, text, length < (int) sizeof text ? (size_t) length : sizeof text - 1);
}

/* The line. */

static void append(struct client *client, struct answer *answer) {
  struct answer *last = client->answers;
  answer->client = client;
  answer->next = last != NULL ? last->next : answer;
  if (last != NULL) last->next = answer;
  client->answers = answer;
  client_clients(client)->answers_due++;
}

static struct answer *take_first(struct client *client) {
  struct answer *last = client->answers;
  struct answer *first = last->next;
  last->next = first->next;
  if (first == last) client->answers = NULL;
  client_clients(client)->answers_due--;
  return first;
}

/* The good-bye of lines and frames is the answer; that of a WebSocket is a close frame, and comes behind it. */
static void quit(struct client *client) {
  static const char text[] = "+OK QUIT";
  if (client->protocol == PROTOCOL_WEBSOCKET) (void) client_protocol(client)->answer(client, text, sizeof text - 1);
  client_close(client, WEBSOCKET_NORMAL, "QUIT");
}

static bool has_more_to_do(const struct client *client) {
  return intake_is_held(client) || (client->protocol == PROTOCOL_HTTP && http_is_due(client));
}

void answers_end_if_wanted(struct client *client) {
  if (client->answers != NULL || client->is_closing) return;
  if (client->quits_when_answered)
    quit(client);
  else if (client->ends_when_answered && !has_more_to_do(client))
    client_end_answered(client);
}

bool answers_are_stuck(const struct client *client) {
  return client->answers != NULL && client->answers->next->is_known;
}

bool answers_flush(struct client *client) {
  while (answers_are_stuck(client)) {
    if (!client->is_closing && !say_known(client, client->answers->next)) return false;
    free_answer(take_first(client));
  }
  return true;
}

static void on_known(struct waiter *waiter) {
  struct answer *answer = (struct answer *) waiter;
  struct client *client = answer->client;
  answer->is_known = true;
  if (client == NULL) {
    free_answer(answer);
    return;
  }
  if (answers_flush(client))
    answers_end_if_wanted(client);
  else
    intake_wait(client);
}

struct answer *answer_create(struct client *client, const char *verb) {
  if (client_clients(client)->answers_due >= ANSWERS_MAX) return NULL;
  struct answer *answer = calloc(1, sizeof *answer);
  if (answer == NULL) return NULL;
  answer->client = client;
  answer->verb = verb;
  answer->waiter.hub = client_clients(client)->hub;
  answer->waiter.hub_index = client_clients(client)->index;
  answer->waiter.done = on_known;
  return answer;
}

struct waiter *answer_waiter(struct answer *answer) {
  return answer != NULL ? &answer->waiter : NULL;
}

void answer_expect(struct answer *answer) {
  append(answer->client, answer);
}

void answer_discard(struct answer *answer) {
  if (answer != NULL) free_answer(answer);
}

/* Few are said later that aren't publishes': while one is first in its line nothing is done for the client. */
static void say_later(struct client *client, const char *text, size_t length) {
  struct answer *answer = calloc(1, sizeof *answer + length + 1);
  if (answer == NULL) {
    client_lose(client);
    return;
  }
  memcpy(answer->text, text, length);
  answer->is_known = true;
  append(client, answer);
  if (answers_are_stuck(client)) intake_wait(client);
}

void answers_say(struct client *client, const char *text, size_t length) {
  if (answers_are_due(client) || !say(client, text, length)) say_later(client, text, length);
}

void answers_say_at_once(struct client *client, const char *text, size_t length) {
  if (!say(client, text, length)) say_later(client, text, length);
}

void answers_quit(struct client *client) {
  client->quits_when_answered = true;
  answers_end_if_wanted(client);
}

/* The end. */

void answers_give_up(struct client *client) {
  static const char text[] =
      "-ERR the gateway is shutting down, and NATS has not confirmed this: it may not have arrived";
  while (client->answers != NULL) {
    struct answer *first = take_first(client);
    if (!first->is_known) {
      first->client = NULL;
      (void) client_protocol(client)->answer(client, text, sizeof text - 1);
      continue;
    }
    if (!client->is_closing) (void) say_known(client, first);
    free_answer(first);
  }
  if (client->quits_when_answered) answers_end_if_wanted(client);
}

void answers_forget(struct client *client) {
  while (client->answers != NULL) {
    struct answer *first = take_first(client);
    if (first->is_known)
      free_answer(first);
    else
      first->client = NULL;
  }
}
