/* SPDX-License-Identifier: MIT */
/*
 * publish_run: see the header.
 *
 * Messages for which there is no room are given up: their commands are still where the client's bytes are, and are done
 * from there like any other.
 */
#include "publish_run.h"

#include "answers.h"
#include "deadlines.h"
#include "decisions.h"
#include "intake.h"
#include "publish_batch.h"
#include "resume.h"
#include "server/lines/line_text.h"
#include "server/websocket/mask.h"
#include "server/websocket/utf8.h"
#include "session_rates.h"

#include <string.h>
#include <strings.h>

enum {
  VERB_BYTES = 4, /* with the blank behind it */
  PREFIX_BYTES = VERB_BYTES + FLUXBP_SERVER_TOPIC_BYTES + 1,
  ANSWER_BYTES = ANSWERS_PUBLISHED_BYTES + 32 /* in any protocol */
};

struct run {
  struct publish_batch batch;
  char prefix[PREFIX_BYTES]; /* with which each of its commands begins */
  size_t prefix_length;
  size_t ends[PUBLISH_BATCH_MAX]; /* how many bytes are done with when the message is */
};

/* What holds for all commands of a session that publishes. */
static bool has_commands(const fluxbp_session_t *session, const fluxbp_server_t *server) {
  if (server->handlers.on_message != NULL || (session->roles & FLUXBP_ROLE_PUBLISH) == 0) return false;
  return (server->options.parts & FLUXBP_PART_COMMANDS) != 0;
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
  const char *blank = memchr(topic, ' ', length - VERB_BYTES);
  if (blank == NULL || !publish_batch_set_topic(&run->batch, topic, (size_t) (blank - topic))) return false;
  run->prefix_length = (size_t) (blank + 1 - text);
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
  if (run->batch.count == 0) return begin_topic(run, text, length);
  return length >= run->prefix_length && memcmp(text, run->prefix, run->prefix_length) == 0;
}

/* Add a message of masked bytes, unmasked right where it stays. @return whether it is one, and a text */
static bool add_unmasked(struct run *run, const struct run_piece *piece, size_t length) {
  fluxbp_msg_t *msg;
  struct utf8 utf8 = {0};
  if (server_alloc_message(run->batch.server, length, &msg) != 0) return false;
  char *data = fluxbp_msg_buffer(msg);
  websocket_unmask(piece->text + run->prefix_length, length, piece->mask, run->prefix_length, data);
  size_t kept = line_text_trimmed(data, length); /* as of any command, one line end may follow */
  bool is_text = utf8_take(&utf8, data, length) && utf8_is_whole(&utf8);
  if (is_text && kept > 0 && fluxbp_msg_commit(&msg, kept) == 0) {
    publish_batch_add_message(&run->batch, msg);
    return true;
  }
  fluxbp_msg_unref(msg);
  return false;
}

static bool add(struct run *run, const struct run_piece *piece) {
  size_t length = piece->length - run->prefix_length;
  if (!publish_batch_takes(&run->batch, length)) return false;
  if (piece->mask != NULL) return add_unmasked(run, piece, length);
  return publish_batch_add(&run->batch, piece->text + run->prefix_length, length);
}

static void collect(struct run *run, const char *data, size_t length, run_cut_t cut) {
  struct publish_batch *batch = &run->batch;
  struct run_piece piece;
  size_t at = 0;
  while (batch->count < batch->most && cut(data + at, length - at, &piece)) {
    if (!belongs(run, &piece) || !add(run, &piece)) return;
    at += piece.bytes;
    run->ends[batch->count - 1] = at;
    if (!publish_batch_has_time(batch, piece.bytes)) return;
  }
}

/* ---- answering ---- */

static void answer_one_by_one(fluxbp_session_t *session, uint64_t first_id, size_t count) {
  for (size_t i = 0; i < count; i++) answers_say_published(session, "PUB", first_id + i);
}

/* Change the text of a number into that of the next one. @return false: that has a digit more */
static bool count_up(char *digits, size_t count) {
  for (; count > 0 && digits[count - 1]++ == '9'; count--) digits[count - 1] = '0';
  return count > 0;
}

/* Say of all messages that they were published, in one piece. */
static void answer_all(fluxbp_session_t *session, uint64_t first_id, size_t count) {
  char out[PUBLISH_BATCH_MAX * ANSWER_BYTES], text[ANSWERS_PUBLISHED_BYTES];
  const struct protocol *protocol = session_protocol(session);
  size_t begun = answers_begin_published(session, "PUB", text), length = 0;
  size_t text_length = answers_end_published(text, begun, first_id);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && !count_up(text + begun, text_length - begun))
      text_length = answers_end_published(text, begun, first_id + i);
    size_t bytes = protocol->write_answer(session, text, text_length, out + length, sizeof out - length);
    if (bytes == 0 || bytes > sizeof out - length) {
      answer_one_by_one(session, first_id, count);
      return;
    }
    length += bytes;
  }
  if (!session_send(session, out, length)) answer_one_by_one(session, first_id, count);
}

size_t publish_run_take(fluxbp_session_t *session, const char *data, size_t length, run_cut_t cut) {
  struct run run;
  struct publish_batch *batch = &run.batch;
  size_t done = 0;
  uint64_t first_id;
  if (length == 0 || !publish_batch_init(batch, session) || !has_commands(session, batch->server)) return 0;
  for (bool goes_on = true; goes_on && may_publish(session);) {
    publish_batch_clear(batch);
    collect(&run, data + done, length - done, cut);
    size_t count = batch->count > 0 ? publish_batch_put(batch, &first_id) : 0;
    if (count == 0) break;
    done += run.ends[count - 1];
    session_shard(session)->commands_total += count;
    answer_all(session, first_id, count);
    goes_on = count == batch->most;
  }
  if (done > 0) deadlines_end_message(session);
  return done;
}
