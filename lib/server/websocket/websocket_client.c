/* SPDX-License-Identifier: MIT */
/*
 * websocket_client: text messages are commands, answers and messages are frames. A client that breaks the
 * rules gets a close frame that says so.
 */
#include "websocket_client.h"

#include "server/compression/inflater.h"
#include "server/http/http_client.h"
#include "server/http/http_response.h"
#include "server/http/subscribe_request.h"
#include "server/lines/line_text.h"
#include "server/session/commands.h"
#include "server/session/deadlines.h"
#include "server/session/decisions.h"
#include "server/session/intake.h"
#include "server/session/json_answer.h"
#include "server/session/position.h"
#include "server/session/publish_run.h"
#include "server/session/session_grants.h"
#include "server/session/session_rates.h"
#include "server/session/too_old.h"
#include "websocket_extensions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 320
#define FRAME_BYTES (JSON_ANSWER_BYTES + WEBSOCKET_HEADER_BYTES)

_Static_assert(WEBSOCKET_CONTROL_BYTES + WEBSOCKET_HEADER_BYTES <= GOODBYE_BYTES, "a close frame is a good-bye");

/* Pieces that a message may come in. */
#define FRAGMENTS_MAX 1000

/* Of a frame that a client sends (RFC 6455, 5.2). */
enum {
  FINAL_TEXT = 0x81,
  MASKED = 0x80,
  LENGTH_IN_TWO_BYTES = 126,
  MASK_BYTES = 4,
  SHORT_HEADER_BYTES = 2 + MASK_BYTES
};

static bool send_frame(fluxbp_session_t *session, enum websocket_opcode opcode, const void *payload, size_t length) {
  char frame[FRAME_BYTES];
  size_t bytes = websocket_frame(opcode, payload, length, frame, sizeof frame);
  return bytes <= sizeof frame && session_send(session, frame, bytes);
}

static bool say_text(fluxbp_session_t *session, const char *text, size_t length) {
  return send_frame(session, WEBSOCKET_TEXT, text, length);
}

static size_t write_answer(const fluxbp_session_t *session, const char *text, size_t length, char *out,
                           size_t capacity) {
  char json[JSON_ANSWER_BYTES];
  if (!session->has_ids) return websocket_frame(WEBSOCKET_TEXT, text, length, out, capacity);
  size_t json_length = json_answer(text, length, json, sizeof json);
  return json_length <= sizeof json ? websocket_frame(WEBSOCKET_TEXT, json, json_length, out, capacity) : 0;
}

static bool say_resumed(fluxbp_session_t *session, const char *since) {
  char text[TEXT_BYTES];
  return say_text(session, text, (size_t) snprintf(text, sizeof text, "{\"resumed\":\"%s\"}", since));
}

static size_t goodbye(const fluxbp_session_t *session, fluxbp_close_code_t code, const char *reason,
                      char frame[GOODBYE_BYTES]) {
  (void) session;
  return websocket_close_frame(code, reason, frame, GOODBYE_BYTES);
}

static bool say_position(fluxbp_session_t *session, const char *id) {
  char text[TEXT_BYTES];
  return say_text(session, text, (size_t) snprintf(text, sizeof text, "{\"at\":\"%s\"}", id));
}

static void say_too_old(fluxbp_session_t *session, const struct too_old *too_old) {
  char reason[FLUXBP_CLOSE_REASON_BYTES + 1];
  char frame[GOODBYE_BYTES];
  (void) too_old_write(too_old, reason, sizeof reason);
  session_close_with(session, FLUXBP_CLOSE_TOO_OLD, frame, goodbye(session, FLUXBP_CLOSE_TOO_OLD, reason, frame),
                     too_old->problem);
}

static bool say_expiring(fluxbp_session_t *session, uint64_t seconds) {
  char text[TEXT_BYTES];
  return say_text(session, text, (size_t) snprintf(text, sizeof text, "{\"token_expires_in\":%" PRIu64 "}", seconds));
}

/* A client that is backpressured has more to read than it reads, and the policy judges it. One that is held up isn't
 * read. */
static bool ping(fluxbp_session_t *session) {
  if (intake_is_behind(session) || fluxbp_conn_is_backpressured(fluxbp_session_conn(session))) return false;
  if (!send_frame(session, WEBSOCKET_PING, NULL, 0)) return false;
  (void) session_say_position(session);
  return true;
}

/* @return false: it was kept */
static bool take_plain(fluxbp_session_t *session, const struct websocket_taken *taken) {
  bool takes_binary = fluxbp_session_server(session)->handlers.on_message != NULL;
  if (taken->opcode == WEBSOCKET_TEXT) return commands_take(session, taken->payload, taken->length, FLUXBP_KIND_TEXT);
  if (takes_binary) return commands_take(session, taken->payload, taken->length, FLUXBP_KIND_BINARY);
  session_close(session, FLUXBP_CLOSE_UNSUPPORTED, "commands are text; send no binary messages");
  return true;
}

/* Close a client whose message can't be inflated. */
static void refuse_compressed(fluxbp_session_t *session, enum inflated outcome) {
  if (outcome == INFLATED_TOO_LONG)
    session_close(session, FLUXBP_CLOSE_TOO_BIG, "the message is too long when it is inflated");
  else if (outcome == INFLATED_CORRUPT)
    session_close(session, FLUXBP_CLOSE_NOT_UTF8, "a compressed message that can't be inflated");
  else
    session_close(session, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
}

/* @return false: it was kept */
static bool take_message(fluxbp_session_t *session, const struct websocket_taken *taken) {
  if (!taken->is_compressed) return take_plain(session, taken);
  struct websocket_taken plain = {.opcode = taken->opcode};
  char *data;
  enum inflated outcome =
      inflater_run(session_shard(session)->inflater, &fluxbp_session_server(session)->memory, taken->payload,
                   taken->length, session->websocket.max_message_bytes, &data, &plain.length);
  if (outcome != INFLATED_OK) {
    refuse_compressed(session, outcome);
    return true;
  }
  plain.payload = data != NULL ? data : "";
  bool is_done = true;
  if (taken->opcode == WEBSOCKET_TEXT && !websocket_is_utf8(plain.payload, plain.length))
    session_close(session, FLUXBP_CLOSE_NOT_UTF8, "a text message that isn't UTF-8");
  else
    is_done = take_plain(session, &plain);
  memory_free(data);
  return is_done;
}

/* A backpressured client gets no pong: it may not come to it for long. */
static void answer_ping(fluxbp_session_t *session, const struct websocket_taken *taken) {
  if (!fluxbp_conn_is_backpressured(fluxbp_session_conn(session)))
    (void) send_frame(session, WEBSOCKET_PONG, taken->payload, taken->length);
}

/* Count a ping or a pong, as a command. @return whether the client may send more */
static bool goes_on(fluxbp_session_t *session) {
  if (session->is_closing) return true;
  session_pay(session, RATE_COMMANDS, 1);
  return session_has_tokens(session, RATE_COMMANDS) && intake_has_time(session);
}

/* A control frame within a message in fragments isn't the end of that. */
static void end_control_frame(fluxbp_session_t *session) {
  if (!websocket_reader_has_message(&session->websocket)) deadlines_end_message(session);
}

/* A whole text message in one frame of less than 64 KiB, without an extension. */
static bool cut_frame(const char *data, size_t length, struct run_piece *piece) {
  const unsigned char *header = (const unsigned char *) data;
  size_t header_bytes = SHORT_HEADER_BYTES;
  if (length < header_bytes || header[0] != FINAL_TEXT || (header[1] & MASKED) == 0) return false;
  size_t payload = header[1] ^ MASKED;
  if (payload > LENGTH_IN_TWO_BYTES) return false;
  if (payload == LENGTH_IN_TWO_BYTES) {
    payload = (size_t) header[2] << 8 | header[3];
    header_bytes += 2;
    if (payload < LENGTH_IN_TWO_BYTES) return false; /* written longer than it has to be */
  }
  if (length < header_bytes || length - header_bytes < payload) return false;
  *piece = (struct run_piece){.text = data + header_bytes,
                              .length = payload,
                              .bytes = header_bytes + payload,
                              .mask = header + header_bytes - MASK_BYTES};
  return true;
}

static size_t take_run(fluxbp_session_t *session, const char *data, size_t length) {
  if (websocket_reader_is_busy(&session->websocket)) return 0;
  size_t done = publish_run_take(session, data, length, cut_frame);
  if (done > 0) session->websocket.fragments = 0;
  return done;
}

static size_t take_websocket(fluxbp_session_t *session, const char *data, size_t length) {
  struct websocket_reader *reader = &session->websocket;
  struct websocket_taken taken;
  size_t left = length;
  reader->max_message_bytes = commands_max_bytes(session); /* it may have shown a token by a command that was kept */
  while (!session->is_closing) {
    size_t done = take_run(session, data, left);
    data += done;
    left -= done;
    switch (websocket_reader_take(reader, &fluxbp_session_server(session)->memory, &data, &left, &taken)) {
    case WEBSOCKET_MORE:
      if (reader->fragments > FRAGMENTS_MAX) session_close(session, FLUXBP_CLOSE_POLICY, "too many fragments");
      if (websocket_reader_is_busy(reader)) deadlines_begin_message(session);
      return length;
    case WEBSOCKET_MESSAGE:
      reader->fragments = 0;
      deadlines_end_message(session);
      if (!take_message(session, &taken)) return length - left;
      reader->max_message_bytes = commands_max_bytes(session);
      break;
    case WEBSOCKET_IS_PING:
      end_control_frame(session);
      answer_ping(session, &taken);
      if (!goes_on(session)) return length - left;
      break;
    case WEBSOCKET_IS_PONG:
      end_control_frame(session);
      if (!goes_on(session)) return length - left;
      break;
    case WEBSOCKET_IS_CLOSE:
      session_close(session,
                    taken.code == FLUXBP_CLOSE_NO_CODE ? FLUXBP_CLOSE_NORMAL : (fluxbp_close_code_t) taken.code,
                    "closed by the client");
      return length;
    case WEBSOCKET_FAILED:
      session_close(session, (fluxbp_close_code_t) taken.code, taken.problem);
      return length;
    }
  }
  return length;
}

static void end_websocket(fluxbp_session_t *session) {
  http_free_kept_request(session);
  websocket_reader_reset(&session->websocket);
}

/* The client has shown its token: do what its request asked for. The program may put its decision off; then this is
 * called again. */
static void welcome(fluxbp_session_t *session) {
  struct subscribe_request wanted;
  const char *reason;
  uint32_t max_topics = fluxbp_session_server(session)->options.max_topics_per_session;
  const struct http_request *request = http_kept_request(session);
  if (request == NULL) return;
  deadlines_end_handshake(session);
  (void) subscribe_request_read(&wanted, request, max_topics); /* the same as before the handshake */
  fluxbp_decision_t decision = subscribe_request_decide(&wanted, session, request, &reason);
  if (decision == FLUXBP_LATER) return;
  http_free_kept_request(session);
  deadlines_expect_ping(session);
  if (decision == FLUXBP_REFUSE)
    fluxbp_session_close(session, (int) decisions_refusal_code(session), reason);
  else
    subscribe_request_carry_out(&wanted, session);
}

static void decided(fluxbp_session_t *session) {
  bool is_awaited = !session->is_served && session_has_token(session);
  if (is_awaited && (session->roles & FLUXBP_ROLE_SUBSCRIBE) != 0) welcome(session);
  if (!session->is_closing) intake_go_on(session);
}

const struct protocol protocol_websocket = {
    .kind = PROTOCOL_WEBSOCKET,
    .name = "websocket",
    .codec = CODEC_WEBSOCKET,
    .codec_with_ids = CODEC_COUNT,
    .codec_json = CODEC_WEBSOCKET_JSON,
    .tells_binary = true,
    .says_when_it_ends = true,
    .answers_quit = true,
    .take = take_websocket,
    .write_answer = write_answer,
    .say_resumed = say_resumed,
    .say_too_old = say_too_old,
    .say_position = say_position,
    .say_expiring = say_expiring,
    .goodbye = goodbye,
    .ping = ping,
    .end_wait = session_end_token_wait,
    .welcome = welcome,
    .decided = decided,
    .end = end_websocket,
};

/* A client that names subprotocols fails the handshake itself if it gets none of them. @return NULL, or what is
 * wrong */
static const char *choose_subprotocol(struct subscribe_request *wanted, const struct http_request *request,
                                      const char **chosen) {
  static const char *const names[] = {"fluxbp.json", "fluxbp.text", NULL};
  *chosen = NULL;
  if (http_request_count(request, "Sec-WebSocket-Protocol") == 0) return NULL;
  int index = http_request_first_of(request, "Sec-WebSocket-Protocol", names);
  if (wanted->has_format) { /* of several that the client speaks, the one that its address asks for */
    const char *const named[] = {names[wanted->is_json ? 0 : 1], NULL};
    index = http_request_first_of(request, "Sec-WebSocket-Protocol", named) == 0 ? !wanted->is_json : -1;
  }
  if (index < 0) return "the subprotocols here are fluxbp.json and fluxbp.text, and format= has to agree";
  *chosen = names[index];
  wanted->is_json = index == 0;
  return NULL;
}

/* What the handshake has come to. */
struct agreement {
  char accept[WEBSOCKET_ACCEPT_BYTES];
  const char *subprotocol; /* or NULL */
  struct websocket_extensions extensions;
};

/* Return whether the client's offer can be taken: compression is on, and there is memory for what it takes. */
static bool may_compress(const fluxbp_session_t *session) {
  struct shard *shard = session_shard(session);
  if (!compressor_start(&shard->codecs.compressor)) return false;
  if (shard->inflater == NULL) shard->inflater = inflater_create();
  return shard->inflater != NULL;
}

static bool send_handshake(fluxbp_session_t *session, const struct agreement *agreement) {
  char extensions[WEBSOCKET_EXTENSIONS_BYTES], extra[WEBSOCKET_EXTENSIONS_BYTES + 128], head[HTTP_RESPONSE_HEAD_BYTES];
  const char *subprotocol = agreement->subprotocol;
  websocket_extensions_answer(&agreement->extensions, extensions);
  snprintf(extra, sizeof extra, "Sec-WebSocket-Accept: %s\r\n%s%s%s%s", agreement->accept,
           subprotocol != NULL ? "Sec-WebSocket-Protocol: " : "", subprotocol != NULL ? subprotocol : "",
           subprotocol != NULL ? "\r\n" : "", extensions);
  return session_send(session, head, http_response_upgrade_head(head, sizeof head, "websocket", extra));
}

/* Return whether the client has to show a token by AUTH before it gets what its request asks for. */
static bool has_to_show_token(const fluxbp_session_t *session, const struct subscribe_request *wanted) {
  if ((fluxbp_session_server(session)->options.parts & FLUXBP_PART_COMMANDS) == 0 || session_has_token(session))
    return false;
  return !subscribe_request_may_have_all(wanted, session);
}

void websocket_client_begin(fluxbp_session_t *session, const struct http_request *request) {
  struct subscribe_request wanted;
  struct agreement agreement;
  const char *problem;
  int status = websocket_handshake(request, agreement.accept, &problem);
  if (status != 101) {
    http_refuse(session, status, problem, status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" : NULL);
    return;
  }
  problem = subscribe_request_read(&wanted, request, fluxbp_session_server(session)->options.max_topics_per_session);
  if (problem == NULL) problem = choose_subprotocol(&wanted, request, &agreement.subprotocol);
  if (!websocket_extensions_choose(request, &agreement.extensions)) problem = "Sec-WebSocket-Extensions is malformed";
  if (problem != NULL) {
    http_refuse(session, 400, problem, NULL);
    return;
  }
  fluxbp_close_code_t code;
  bool may_have_all = subscribe_request_may_have_all(&wanted, session);
  const char *refusal = http_refusal_of_subscriber(session, may_have_all, &code);
  const char *reason;
  bool has_to_wait = refusal == NULL && has_to_show_token(session, &wanted);
  fluxbp_decision_t decision = FLUXBP_ALLOW;
  if (refusal == NULL && !has_to_wait) decision = subscribe_request_decide(&wanted, session, request, &reason);
  if (decision == FLUXBP_LATER) return;
  if (agreement.extensions.deflates) agreement.extensions.deflates = may_compress(session);
  if (!send_handshake(session, &agreement) || (has_to_wait && !http_keep_request(session))) {
    session_lose(session);
    return;
  }
  session_become(session, &protocol_websocket);
  session->has_ids = session->is_json = wanted.is_json;
  session->is_compressed = agreement.extensions.deflates;
  websocket_reader_init(&session->websocket, commands_max_bytes(session));
  session->websocket.takes_compressed = session->is_compressed;
  if (fluxbp_conn_set_codec(fluxbp_session_conn(session), session_codec(session, session_codec_kind(session))) != 0) {
    session_lose(session);
    return;
  }
  if (refusal != NULL) /* browsers show a page the code of a close frame, but no status */
    session_close(session, code, refusal);
  else if (has_to_wait)
    session_expect(session);
  else if (decision == FLUXBP_REFUSE)
    fluxbp_session_close(session, (int) decisions_refusal_code(session), reason);
  else
    subscribe_request_carry_out(&wanted, session);
}
