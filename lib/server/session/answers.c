/* SPDX-License-Identifier: MIT */
/*
 * answers: each client has a line of them, as a ring that `client->answers` points to the last of. The first is said as
 * soon as it is known and the client has room for it, and those behind it that are known, too. An answer whose client
 * has gone, or was told that it won't come, is in no line: it has no client, and goes when the backbone gives it back.
 */
#include "answers.h"

#include "intake.h"
#include "json_answer.h"
#include "server/writer.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 4096
#define ANSWER_BYTES 320

/* Of a ring, from which on no answers are added. It is above the usual high watermark, so that a client that doesn't
 * read is backpressured by then. */
#define FILL_PERCENT_MAX 75

struct answer {
  struct waiter waiter;
  struct answer *next;       /* of the client's; the last one's is the first */
  fluxbp_session_t *session; /* NULL: nobody wants it any more */
  const char *verb;          /* that was published with; NULL: `text` is to be said */
  bool is_known;
  char text[];
};

static void free_answer(struct answer *answer) {
  waiter_reset(&answer->waiter);
  memory_free(answer);
}

/* A ring that overflows may lose older answers, or end the client, as the policy says. So none comes to be full of
 * answers. */
bool answers_have_room(const fluxbp_session_t *session) {
  fluxbp_conn_t *conn = fluxbp_session_conn(session);
  if (fluxbp_conn_is_backpressured(conn)) return false;
  if (fluxbp_conn_fill_percent(conn) < FILL_PERCENT_MAX) return true;
  (void) fluxbp_conn_flush(conn); /* nothing of it may have been offered to the kernel */
  return fluxbp_conn_fill_percent(conn) < FILL_PERCENT_MAX;
}

bool answers_send(fluxbp_session_t *session, const char *text, size_t length) {
  char out[JSON_ANSWER_BYTES + WEBSOCKET_HEADER_BYTES];
  size_t bytes = session_protocol(session)->write_answer(session, text, length, out, sizeof out);
  return bytes > 0 && bytes <= sizeof out && session_send(session, out, bytes);
}

/* Now. @return false: there is no room for it, in the client's ring or in the budget */
static bool say_answer(fluxbp_session_t *session, const char *text, size_t length) {
  return answers_have_room(session) && answers_send(session, text, length);
}

size_t answers_begin_published(const fluxbp_session_t *session, const char *verb, char text[ANSWERS_PUBLISHED_BYTES]) {
  struct writer writer = {.out = text, .capacity = ANSWERS_PUBLISHED_BYTES};
  writer_text(&writer, "+OK ");
  writer_text(&writer, verb);
  writer_text(&writer, " ");
  writer_text(&writer, fluxbp_session_server(session)->codecs.epoch_text);
  writer_text(&writer, ":");
  return writer.length;
}

size_t answers_end_published(char text[ANSWERS_PUBLISHED_BYTES], size_t begun, uint64_t id) {
  struct writer writer = {.out = text, .capacity = ANSWERS_PUBLISHED_BYTES, .length = begun};
  writer_number(&writer, id);
  return writer.length;
}

/* Without printf, which takes longer than publishing. @return the length */
static size_t write_published(const fluxbp_session_t *session, const char *verb, uint64_t id,
                              char text[ANSWERS_PUBLISHED_BYTES]) {
  return answers_end_published(text, answers_begin_published(session, verb, text), id);
}

/* @return as say */
static bool say_known(fluxbp_session_t *session, const struct answer *answer) {
  char text[ANSWER_BYTES];
  if (answer->verb == NULL) return say_answer(session, answer->text, strlen(answer->text));
  if (answer->waiter.err == 0)
    return say_answer(session, text, write_published(session, answer->verb, answer->waiter.id, text));
  int length = snprintf(text, sizeof text, "-ERR %s", waiter_problem(&answer->waiter));
  return say_answer(session, text, length < (int) sizeof text ? (size_t) length : sizeof text - 1);
}

/* The line. */

static void append_answer(fluxbp_session_t *session, struct answer *answer) {
  struct answer *last = session->answers;
  answer->session = session;
  answer->next = last != NULL ? last->next : answer;
  if (last != NULL) last->next = answer;
  session->answers = answer;
  session_shard(session)->answers_due++;
}

static struct answer *take_first(fluxbp_session_t *session) {
  struct answer *last = session->answers;
  struct answer *first = last->next;
  last->next = first->next;
  if (first == last) session->answers = NULL;
  session_shard(session)->answers_due--;
  return first;
}

/* The good-bye of lines and frames is the answer; that of a WebSocket is a close frame, and comes behind it. */
static void quit(fluxbp_session_t *session) {
  static const char text[] = "+OK QUIT";
  if (session_protocol(session)->answers_quit) (void) answers_send(session, text, sizeof text - 1);
  session_close(session, FLUXBP_CLOSE_NORMAL, "QUIT");
}

static bool has_more_to_do(const fluxbp_session_t *session) {
  return intake_is_held(session) || session_due(session) != DUE_NOTHING;
}

void answers_end_if_wanted(fluxbp_session_t *session) {
  if (session->answers != NULL || session->is_closing) return;
  if (session->quits_when_answered)
    quit(session);
  else if (session->ends_when_answered && !has_more_to_do(session))
    session_end_answered(session);
}

bool answers_are_stuck(const fluxbp_session_t *session) {
  return session->answers != NULL && session->answers->next->is_known;
}

bool answers_flush(fluxbp_session_t *session) {
  while (answers_are_stuck(session)) {
    if (!session->is_closing && !say_known(session, session->answers->next)) return false;
    free_answer(take_first(session));
  }
  return true;
}

static void on_known(struct waiter *waiter) {
  struct answer *answer = (struct answer *) waiter;
  fluxbp_session_t *session = answer->session;
  answer->is_known = true;
  if (session == NULL) {
    free_answer(answer);
    return;
  }
  if (answers_flush(session))
    answers_end_if_wanted(session);
  else
    intake_wait(session);
}

struct answer *answer_create(fluxbp_session_t *session, const char *verb) {
  if (session_shard(session)->answers_due >= ANSWERS_MAX) return NULL;
  struct answer *answer = memory_alloc(NULL, MEMORY_INPUT, sizeof *answer); /* there are ANSWERS_MAX at most */
  if (answer == NULL) return NULL;
  answer->session = session;
  answer->verb = verb;
  answer->waiter.hub = session_shard(session)->hub;
  answer->waiter.hub_index = session_shard(session)->index;
  answer->waiter.done = on_known;
  return answer;
}

struct waiter *answer_waiter(struct answer *answer) {
  return answer != NULL ? &answer->waiter : NULL;
}

void answer_expect(struct answer *answer) {
  append_answer(answer->session, answer);
}

void answer_discard(struct answer *answer) {
  if (answer != NULL) free_answer(answer);
}

/* Few are said later that aren't publishes': while one is first in its line nothing is done for the client. */
static void say_later(fluxbp_session_t *session, const char *text, size_t length) {
  struct memory *memory = &fluxbp_session_server(session)->memory;
  struct answer *answer = memory_alloc(memory, MEMORY_INPUT, sizeof *answer + length + 1);
  if (answer == NULL) {
    session_lose(session);
    return;
  }
  memcpy(answer->text, text, length);
  answer->is_known = true;
  append_answer(session, answer);
  if (answers_are_stuck(session)) intake_wait(session);
}

void answers_say(fluxbp_session_t *session, const char *text, size_t length) {
  if (answers_are_due(session) || !say_answer(session, text, length)) say_later(session, text, length);
}

void answers_say_at_once(fluxbp_session_t *session, const char *text, size_t length) {
  if (!say_answer(session, text, length)) say_later(session, text, length);
}

void answers_say_published(fluxbp_session_t *session, const char *verb, uint64_t id) {
  char text[ANSWERS_PUBLISHED_BYTES];
  answers_say_at_once(session, text, write_published(session, verb, id, text));
}

void answers_quit(fluxbp_session_t *session) {
  session->quits_when_answered = true;
  answers_end_if_wanted(session);
}

/* The end. */

void answers_give_up(fluxbp_session_t *session) {
  static const char text[] =
      "-ERR the server is shutting down, and NATS has not confirmed this: it may not have arrived";
  while (session->answers != NULL) {
    struct answer *first = take_first(session);
    if (!first->is_known) {
      first->session = NULL;
      (void) answers_send(session, text, sizeof text - 1);
      continue;
    }
    if (!session->is_closing) (void) say_known(session, first);
    free_answer(first);
  }
  if (session->quits_when_answered) answers_end_if_wanted(session);
}

void answers_forget(fluxbp_session_t *session) {
  while (session->answers != NULL) {
    struct answer *first = take_first(session);
    if (first->is_known)
      free_answer(first);
    else
      first->session = NULL;
  }
}
