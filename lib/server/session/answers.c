/* SPDX-License-Identifier: MIT */
/*
 * answers: each client has a line of them, as a ring that `client->answers` points to the last of. The first is said as soon
 * as it is known, and those behind it that are known, too. An answer whose client has gone, or was told that it won't come,
 * is in no line: it has no client, and goes when the backbone gives it back.
 */
#include "answers.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 4096
#define ANSWER_BYTES 320

struct answer {
  struct waiter waiter;
  struct answer *next;   /* of the client's; the last one's is the first */
  struct client *client; /* NULL: nobody wants it any more */
  const char *verb;      /* that was published with; NULL: `text` is to be said */
  uint32_t lost;         /* commands that the text tells of */
  bool is_known;
  char text[];
};

static void free_answer(struct answer *answer) {
  waiter_reset(&answer->waiter);
  free(answer);
}

void answers_count_lost(struct client *client) {
  client->lost++;
  client_clients(client)->commands_lost_total++;
}

/* It can't be said. What it tells of is to be told of later, then. */
static void lose(struct client *client, uint32_t lost) {
  if (lost > 0)
    client->lost += lost;
  else
    answers_count_lost(client);
}

/* Now. */
static void say(struct client *client, const char *text, size_t length, uint32_t lost) {
  if (!client_protocol(client)->answer(client, text, length)) lose(client, lost);
}

static void say_known(struct client *client, const struct answer *answer) {
  char text[ANSWER_BYTES], id[ID_TEXT_BYTES];
  int length;
  if (answer->verb == NULL) {
    say(client, answer->text, strlen(answer->text), answer->lost);
    return;
  }
  id_format(answer->waiter.id, id);
  if (answer->waiter.err == 0)
    length = snprintf(text, sizeof text, "+OK %s %s", answer->verb, id);
  else
    length = snprintf(text, sizeof text, "-ERR %s", waiter_problem(&answer->waiter));
  say(client, text, length < (int) sizeof text ? (size_t) length : sizeof text - 1, 0);
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
  if (client->protocol == PROTOCOL_WEBSOCKET) say(client, text, sizeof text - 1, 0);
  client_close(client, WEBSOCKET_NORMAL, "QUIT");
}

/* All that was due has been said. */
static void end_if_wanted(struct client *client) {
  if (client->answers != NULL || client->is_closing) return;
  if (client->quits_when_answered)
    quit(client);
  else if (client->ends_when_answered)
    client_end_answered(client);
}

static void on_known(struct waiter *waiter) {
  struct answer *answer = (struct answer *) waiter;
  struct client *client = answer->client;
  answer->is_known = true;
  if (client == NULL) {
    free_answer(answer);
    return;
  }
  while (client->answers != NULL && client->answers->next->is_known) {
    struct answer *first = take_first(client);
    if (!client->is_closing) say_known(client, first);
    free_answer(first);
  }
  end_if_wanted(client);
}

static struct answer *create(const struct client *client, size_t text_bytes) {
  if (client_clients(client)->answers_due >= ANSWERS_MAX) return NULL;
  return calloc(1, sizeof(struct answer) + text_bytes);
}

struct answer *answer_create(struct client *client, const char *verb) {
  struct answer *answer = create(client, 0);
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

/* @return false: there is no room for it */
static bool say_later(struct client *client, const char *text, size_t length, uint32_t lost) {
  struct answer *answer = create(client, length + 1);
  if (answer == NULL) return false;
  memcpy(answer->text, text, length);
  answer->lost = lost;
  answer->is_known = true;
  append(client, answer);
  return true;
}

void answers_say(struct client *client, const char *text, size_t length, uint32_t lost) {
  if (!answers_are_due(client))
    say(client, text, length, lost);
  else if (!say_later(client, text, length, lost))
    lose(client, lost);
}

void answers_quit(struct client *client) {
  client->quits_when_answered = true;
  end_if_wanted(client);
}

/* The end. */

void answers_give_up(struct client *client) {
  static const char text[] =
      "-ERR the gateway is shutting down, and NATS has not confirmed this: it may not have arrived";
  while (client->answers != NULL) {
    struct answer *first = take_first(client);
    if (!first->is_known) {
      first->client = NULL;
      say(client, text, sizeof text - 1, 0);
      continue;
    }
    if (!client->is_closing) say_known(client, first);
    free_answer(first);
  }
  if (client->quits_when_answered) end_if_wanted(client);
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
