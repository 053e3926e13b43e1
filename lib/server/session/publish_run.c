/* SPDX-License-Identifier: MIT */
/*
 * publish_run: see the header.
 *
 * A run is collected, then published, then answered. Nothing else happens to the session meanwhile, so that what was true
 * of it when the run began holds for all of it. Messages for which there is no room are given up: their commands are still
 * where the client's bytes are, and are done from there like any other.
 *
 * With a rate for what is published a run has one message, so that the rate is kept to the message.
 */
#include "publish_run.h"

#include "answers.h"
#include "commands.h"
#include "deadlines.h"
#include "decisions.h"
#include "intake.h"
#include "resume.h"
#include "server/lines/line_text.h"
#include "server/websocket/mask.h"
#include "server/websocket/utf8.h"
#include "session_grants.h"
#include "session_quotas.h"
#include "session_rates.h"

#include <string.h>
#include <strings.h>

enum {
  RUN_MAX = 128,
  VERB_BYTES = 4, /* with the blank behind it */
  PREFIX_BYTES = VERB_BYTES + FLUXBP_SERVER_TOPIC_BYTES + 1,
  /* The clock is read after so many messages, or so many bytes. */
  MESSAGES_PER_CLOCK_READING = 16,
  BYTES_PER_CLOCK_READING = 16384,
  ANSWER_BYTES = ANSWERS_PUBLISHED_BYTES + 32 /* in any protocol */
};

struct run {
  fluxbp_session_t *session;
  fluxbp_server_t *server;
  size_t most;               /* messages */
  char prefix[PREFIX_BYTES]; /* with which each of its commands begins */
  size_t prefix_length;      /* 0: it has none yet */
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  size_t count;
  fluxbp_msg_t *msgs[RUN_MAX];
  size_t ends[RUN_MAX]; /* how many bytes are done with when the message is */
  size_t bytes_unclocked;
};

static bool has_publish_rate(const fluxbp_server_t *server) {
  const struct rate_limit *limits = server->limits.rates[RATE_PUBLISHES];
  for (int payer = 0; payer < RATE_PAYERS; payer++)
    if (limits[payer].cost_ns > 0) return true;
  return false;
}

/* What doesn't change while the session is there, and the rights that it has now. */
static bool is_simple(const fluxbp_session_t *session, const fluxbp_server_t *server) {
  const fluxbp_server_handlers_t *handlers = &server->handlers;
  if (handlers->on_message != NULL || handlers->on_publish != NULL || server->options.backbone != NULL) return false;
  return (server->options.parts & FLUXBP_PART_COMMANDS) != 0 && (session->roles & FLUXBP_ROLE_PUBLISH) != 0;
}

/* As commands.c asks before each command. */
static bool may_publish(fluxbp_session_t *session) {
  if (session->is_closing || session->quits_when_answered || session->is_allowed || answers_are_due(session))
    return false;
  if (decisions_are_due(session) || resume_is_in_line(session)) return false;
  return answers_have_room(session) && session_has_tokens(session, RATE_PUBLISHES) && intake_has_time(session);
}

/* ---- collecting ---- */

/* Begin with the topic of a command, whose first bytes are at `text`. @return whether the session may publish there */
static bool begin_topic(struct run *run, const char *text, size_t length) {
  if (length <= VERB_BYTES || strncasecmp(text, "PUB ", VERB_BYTES) != 0) return false;
  const char *topic = text + VERB_BYTES;
  size_t most = length - VERB_BYTES < sizeof run->topic ? length - VERB_BYTES : sizeof run->topic;
  const char *blank = memchr(topic, ' ', most);
  if (blank == NULL) return false;
  size_t topic_length = (size_t) (blank - topic);
  memcpy(run->topic, topic, topic_length);
  run->topic[topic_length] = '\0';
  const struct publication wish = {.topic = run->topic, .data = "x", .length = 1};
  if (!server_may_publish(run->server, &wish) || !session_may(run->session, FLUXBP_ROLE_PUBLISH, run->topic))
    return false;
  run->prefix_length = VERB_BYTES + topic_length + 1;
  memcpy(run->prefix, text, run->prefix_length);
  return true;
}

/* Find out whether a command belongs to the run. If it is masked, its first bytes are unmasked for that. */
static bool belongs(struct run *run, const struct run_piece *piece) {
  char unmasked[PREFIX_BYTES];
  const char *text = piece->text;
  size_t length = piece->length < PREFIX_BYTES ? piece->length : PREFIX_BYTES;
  if (piece->mask != NULL) {
    websocket_unmask(piece->text, length, piece->mask, 0, unmasked);
    text = unmasked;
  }
  if (run->prefix_length == 0) return begin_topic(run, text, length);
  return length >= run->prefix_length && memcmp(text, run->prefix, run->prefix_length) == 0;
}

/* Make a message of masked bytes, right where it stays. @return whether it is one, and a text */
static bool make_unmasked(const struct run *run, const struct run_piece *piece, size_t length, fluxbp_msg_t **msg) {
  if (server_alloc_message(run->server, length, msg) != 0) return false;
  char *data = fluxbp_msg_buffer(*msg);
  websocket_unmask(piece->text + run->prefix_length, length, piece->mask, run->prefix_length, data);
  size_t kept = line_text_trimmed(data, length);
  struct utf8 utf8 = {0};
  bool is_text = utf8_take(&utf8, data, length) && utf8_is_whole(&utf8);
  if (is_text && kept > 0 && fluxbp_msg_commit(msg, kept) == 0) return true;
  fluxbp_msg_unref(*msg);
  return false;
}

static bool make_message(const struct run *run, const struct run_piece *piece, fluxbp_msg_t **msg) {
  size_t length = piece->length - run->prefix_length;
  if (length == 0 || length > run->server->options.max_message) return false;
  if (piece->mask != NULL) return make_unmasked(run, piece, length, msg);
  return server_create_message(run->server, piece->text + run->prefix_length, length, msg) == 0;
}

static bool has_time(struct run *run, size_t bytes) {
  run->bytes_unclocked += bytes;
  if (run->count % MESSAGES_PER_CLOCK_READING != 0 && run->bytes_unclocked < BYTES_PER_CLOCK_READING) return true;
  run->bytes_unclocked = 0;
  return intake_has_time(run->session);
}

static void collect(struct run *run, const char *data, size_t length, run_cut_t cut) {
  struct run_piece piece;
  size_t at = 0;
  while (run->count < run->most && cut(data + at, length - at, &piece)) {
    if (!belongs(run, &piece) || !make_message(run, &piece, &run->msgs[run->count])) return;
    at += piece.bytes;
    run->ends[run->count++] = at;
    if (!has_time(run, piece.bytes)) return;
  }
}

/* ---- publishing, answering ---- */

static void answer_one_by_one(fluxbp_session_t *session, uint64_t first_id, size_t count) {
  for (size_t i = 0; i < count; i++) answers_say_published(session, "PUB", first_id + i);
}

/* Say of all messages that they were published, in one piece. */
static void answer_all(fluxbp_session_t *session, uint64_t first_id, size_t count) {
  char out[RUN_MAX * ANSWER_BYTES], text[ANSWERS_PUBLISHED_BYTES];
  const struct protocol *protocol = session_protocol(session);
  size_t begun = answers_begin_published(session, "PUB", text), length = 0;
  for (size_t i = 0; i < count; i++) {
    size_t text_length = answers_end_published(text, begun, first_id + i);
    size_t bytes = protocol->write_answer(session, text, text_length, out + length, sizeof out - length);
    if (bytes == 0 || bytes > sizeof out - length) {
      answer_one_by_one(session, first_id, count);
      return;
    }
    length += bytes;
  }
  if (!session_send(session, out, length)) answer_one_by_one(session, first_id, count);
}

/* @return how many messages were published and answered */
static size_t publish(struct run *run) {
  uint64_t first_id;
  int published = server_publish_many(run->server, run->topic, run->msgs, run->count, &first_id);
  size_t count = published > 0 ? (size_t) published : 0;
  for (size_t i = count; i < run->count; i++) fluxbp_msg_unref(run->msgs[i]);
  if (count == 0) return 0;
  session_pay(run->session, RATE_PUBLISHES, count);
  session_shard(run->session)->commands_total += count;
  answer_all(run->session, first_id, count);
  return count;
}

size_t publish_run_take(fluxbp_session_t *session, const char *data, size_t length, run_cut_t cut) {
  struct run run;
  size_t done = 0;
  run.session = session;
  run.server = fluxbp_session_server(session);
  if (length == 0 || !is_simple(session, run.server)) return 0;
  run.most = has_publish_rate(run.server) ? 1 : RUN_MAX;
  for (bool goes_on = true; goes_on && may_publish(session);) {
    run.prefix_length = run.count = run.bytes_unclocked = 0;
    collect(&run, data + done, length - done, cut);
    if (run.count == 0) break;
    size_t published = publish(&run);
    if (published == 0) break;
    done += run.ends[published - 1];
    goes_on = published == run.count && run.count == run.most;
  }
  if (done > 0) deadlines_end_message(session);
  return done;
}
