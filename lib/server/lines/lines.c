/* SPDX-License-Identifier: MIT */
/*
 * lines: the two protocols of plain TCP. A client sends commands as lines, or as frames behind their length, and gets
 * answers and messages in the same form.
 */
#include "line_text.h"
#include "server/codecs.h"
#include "server/session/commands.h"
#include "server/session/deadlines.h"
#include "server/session/intake.h"
#include "server/session/position.h"
#include "server/session/publish_run.h"
#include "server/session/session_grants.h"
#include "server/session/too_old.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LENGTH_BYTES 4 /* of a frame, before it */
#define TEXT_BYTES 160
#define SAID_BYTES (TEXT_BYTES + TOO_OLD_TOPICS_BYTES + 8)

static size_t write_line(const fluxbp_session_t *session, const char *text, size_t length, char *out, size_t capacity) {
  (void) session;
  return line_text_is_one_line(text, length) ? codecs_line(text, length, out, capacity) : 0;
}

static size_t write_frame(const fluxbp_session_t *session, const char *text, size_t length, char *out,
                          size_t capacity) {
  (void) session;
  return codecs_length_frame(text, length, out, capacity);
}

/* In either form. */
static bool say_line(fluxbp_session_t *session, const char *text, size_t length) {
  char out[SAID_BYTES];
  size_t bytes = session_protocol(session)->write_answer(session, text, length, out, sizeof out);
  return bytes > 0 && bytes <= sizeof out && session_send(session, out, bytes);
}

static bool say_resumed(fluxbp_session_t *session, const char *since) {
  char text[TEXT_BYTES];
  return say_line(session, text, (size_t) snprintf(text, sizeof text, "+OK RESUMED %s", since));
}

static bool say_position(fluxbp_session_t *session, const char *id) {
  char text[TEXT_BYTES];
  return say_line(session, text, (size_t) snprintf(text, sizeof text, "{\"at\":\"%s\"}", id));
}

static bool say_expiring(fluxbp_session_t *session, uint64_t seconds) {
  char text[TEXT_BYTES];
  return say_line(session, text, (size_t) snprintf(text, sizeof text, "{\"token_expires_in\":%" PRIu64 "}", seconds));
}

static void say_too_old(fluxbp_session_t *session, const struct too_old *too_old) {
  char text[TEXT_BYTES + TOO_OLD_TOPICS_BYTES] = "-ERR ";
  size_t prefix = strlen(text);
  (void) say_line(session, text, prefix + too_old_write(too_old, text + prefix, sizeof text - prefix));
  if (session->has_ids) (void) say_position(session, too_old->position);
}

/* Those with IDS are told where they are; whether they are there the kernel's keepalive finds out. */
static bool ping(fluxbp_session_t *session) {
  if (!fluxbp_conn_is_backpressured(fluxbp_session_conn(session))) (void) session_say_position(session);
  return false;
}

/* Of QUIT it is the answer. Else the end of the stream is a good-bye of its own, and a file of lines that somebody
 * makes of it should have no others. */
static size_t goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                      char out[GOODBYE_BYTES]) {
  char text[GOODBYE_BYTES / 2];
  if (code == FLUXBP_CLOSE_SHUTTING_DOWN) return 0;
  size_t length =
      (size_t) snprintf(text, sizeof text, "%s %.160s", code == FLUXBP_CLOSE_NORMAL ? "+OK" : "-ERR", reason);
  return session_protocol(session)->write_answer(session, text, length, out, GOODBYE_BYTES);
}

/*
 * METHOD TARGET HTTP/1.1: the peer takes this for an HTTP server. The rest of such a request may be somebody else's
 *   words, which
 * a browser or another program was made to send; none of it may be done. No command looks like that: a target isn't the
 * name of a topic.
 */
static bool is_http_request(const char *line, size_t length) {
  static const char version[] = " HTTP/";
  size_t version_length = sizeof version - 1;
  const char *blank = memchr(line, ' ', length);
  if (blank == NULL || length < version_length + 3) return false;
  const char *target = blank + 1;
  const char *behind = line + length - version_length - 3;
  if (target >= behind || memcmp(behind, version, version_length) != 0) return false;
  size_t target_length = (size_t) (behind - target);
  if (memchr(target, ' ', target_length) != NULL) return false; /* a message may end like a request line */
  if (target[0] == '/' || target[0] == '*') return true;
  const char *colon = memchr(target, ':', target_length);
  return colon != NULL && behind - colon > 2 && memcmp(colon, "://", 3) == 0;
}

static bool cut_line(const char *data, size_t length, struct run_piece *piece) {
  const char *newline = memchr(data, '\n', length);
  if (newline == NULL) return false;
  size_t line = (size_t) (newline - data);
  *piece = (struct run_piece){.text = data, .length = line, .bytes = line + 1};
  if (line > 0 && data[line - 1] == '\r') piece->length--;
  return true;
}

/* @return how many bytes were done with; none, if a line has begun already */
static size_t take_run_of_lines(fluxbp_session_t *session, const char *data, size_t length) {
  if (session->lines.partial_length > 0 || session->lines.is_skipping) return 0;
  return publish_run_take(session, data, length, cut_line);
}

static size_t take_lines(fluxbp_session_t *session, const char *data, size_t length) {
  struct memory *memory = &fluxbp_session_server(session)->memory;
  size_t left = length;
  const char *line;
  size_t line_length;
  while (!session->is_closing) {
    size_t done = take_run_of_lines(session, data, left);
    data += done;
    left -= done;
    switch (
        line_splitter_next(&session->lines, memory, commands_max_bytes(session), &data, &left, &line, &line_length)) {
    case LINE_WHOLE:
      deadlines_end_message(session);
      if (line_length > 0 && line[line_length - 1] == '\r') line_length--;
      if (is_http_request(line, line_length))
        session_close(session, FLUXBP_CLOSE_POLICY, "this address takes lines, not HTTP");
      else if (!commands_take(session, line, line_length, FLUXBP_KIND_TEXT))
        return length - left;
      break;
    case LINE_NONE:
      line_splitter_trim(&session->lines);
      if (session->lines.partial_length > 0) deadlines_begin_message(session);
      return length;
    case LINE_TOO_LONG:
      session_close(session, FLUXBP_CLOSE_TOO_BIG, "line too long; see the longest command in docs/protocol.md");
      break;
    case LINE_OUT_OF_MEMORY:
      session_close(session, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
      break;
    }
  }
  return length;
}

static void end_lines(fluxbp_session_t *session) {
  line_splitter_reset(&session->lines);
}

static bool cut_frame(const char *data, size_t length, struct run_piece *piece) {
  const unsigned char *header = (const unsigned char *) data;
  if (length < LENGTH_BYTES) return false;
  size_t frame = (size_t) header[0] << 24 | (size_t) header[1] << 16 | (size_t) header[2] << 8 | header[3];
  if (frame > length - LENGTH_BYTES) return false;
  *piece = (struct run_piece){.text = data + LENGTH_BYTES, .length = frame, .bytes = LENGTH_BYTES + frame};
  return true;
}

static size_t take_run_of_frames(fluxbp_session_t *session, const char *data, size_t length) {
  return session->frames.taken == 0 ? publish_run_take(session, data, length, cut_frame) : 0;
}

static size_t take_frames(fluxbp_session_t *session, const char *data, size_t length) {
  struct memory *memory = &fluxbp_session_server(session)->memory;
  size_t left = length;
  const char *frame;
  size_t frame_length;
  while (!session->is_closing) {
    size_t done = take_run_of_frames(session, data, left);
    data += done;
    left -= done;
    switch (length_splitter_next(&session->frames, memory, commands_max_bytes(session), &data, &left, &frame,
                                 &frame_length)) {
    case FRAME_WHOLE:
      deadlines_end_message(session);
      if (!commands_take(session, frame, frame_length, FLUXBP_KIND_BINARY)) return length - left;
      break;
    case FRAME_NONE:
      if (session->frames.taken > 0) deadlines_begin_message(session);
      return length;
    case FRAME_TOO_LONG:
      session_close(session, FLUXBP_CLOSE_TOO_BIG, "frame too long; see the longest command in docs/protocol.md");
      break;
    case FRAME_OUT_OF_MEMORY:
      session_close(session, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
      break;
    }
  }
  return length;
}

static void end_frames(fluxbp_session_t *session) {
  length_splitter_reset(&session->frames);
}

/* Whether the client may subscribe was decided, or something that it has asked for. */
static void decided(fluxbp_session_t *session) {
  bool is_awaited = !session->is_served && (session->roles & FLUXBP_ROLE_SUBSCRIBE) != 0;
  if (is_awaited) session_welcome(session);
  if (!session->is_closing) intake_go_on(session);
}

static void begin_client(fluxbp_session_t *session, const char *refusal) {
  if (refusal != NULL)
    session_close(session, FLUXBP_CLOSE_TRY_LATER, refusal);
  else if ((session->roles & FLUXBP_ROLE_SUBSCRIBE) != 0)
    session_welcome(session);
  else
    session_expect(session);
}

static void begin_lines(fluxbp_session_t *session, const char *refusal) {
  line_splitter_init(&session->lines);
  begin_client(session, refusal);
}

static void begin_frames(fluxbp_session_t *session, const char *refusal) {
  length_splitter_init(&session->frames);
  begin_client(session, refusal);
}

const struct protocol protocol_lines = {
    .kind = PROTOCOL_LINES,
    .name = "lines",
    .codec = CODEC_LINES,
    .codec_with_ids = CODEC_LINES_WITH_IDS,
    .codec_json = CODEC_COUNT,
    .begin = begin_lines,
    .take = take_lines,
    .write_answer = write_line,
    .say_resumed = say_resumed,
    .say_too_old = say_too_old,
    .say_position = say_position,
    .say_expiring = say_expiring,
    .ping = ping,
    .goodbye = goodbye,
    .end_wait = session_end_token_wait,
    .welcome = session_welcome,
    .decided = decided,
    .end = end_lines,
};

const struct protocol protocol_length = {
    .kind = PROTOCOL_LENGTH,
    .name = "length",
    .codec = CODEC_LENGTH,
    .codec_with_ids = CODEC_LENGTH_WITH_IDS,
    .codec_json = CODEC_COUNT,
    .begin = begin_frames,
    .take = take_frames,
    .write_answer = write_frame,
    .say_resumed = say_resumed,
    .say_too_old = say_too_old,
    .say_position = say_position,
    .say_expiring = say_expiring,
    .ping = ping,
    .goodbye = goodbye,
    .end_wait = session_end_token_wait,
    .welcome = session_welcome,
    .decided = decided,
    .end = end_frames,
};
