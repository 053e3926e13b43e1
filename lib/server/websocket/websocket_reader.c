/* SPDX-License-Identifier: MIT */
/*
 * websocket_reader: messages and control frames out of what a client sends. See websocket.h.
 *
 * Design notes
 *
 * - wslay finds the frames: headers in any pieces, their lengths, and the masks. It also refuses long and fragmented
 *   control frames, lengths that aren't written in the shortest way, and those of 2^63 and more. All other rules are
 *   kept here.
 * - These are wslay_frame_recv and not wslay_event_recv, which keeps most of the rules by itself, but looks at the
 * reason
 *   of a close frame wrongly when it comes in pieces, knows no limit of a message in fragments that it doesn't buffer
 *   (and buffers each with an allocation of its own, of the size that the peer announces), refuses the registered codes
 *   1012 to 1014, and piles up pongs.
 * - wslay is never given a byte behind the end of a frame. So it holds nothing of the next one when a frame ends, and
 *   between two messages everything can be freed.
 * - A message's buffer grows with what has come, not with what is announced.
 * - A compressed message is handed out as it came. Only whole messages are inflated, by the shard's inflater: one for
 *   each client that has sent half a message would have 45 KB.
 */
#include "websocket.h"

#include "utf8.h"

#include <string.h>
#include <wslay/wslay.h>

enum {
  SHORTEST_HEADER_BYTES = 6, /* of a masked frame */
  CAPACITY_AT_FIRST = 256,
  FRAMES_BYTES = 4096 + 256, /* what wslay allocates: a buffer of 4096 bytes and its state */
  CODE_BYTES = 2,

  /* By which a compressed message may be longer than a plain one: a part of it, and so many bytes. */
  COMPRESSED_EXTRA_PART = 16,
  COMPRESSED_EXTRA_BYTES = 64
};

struct websocket_parse {
  struct memory *memory; /* against which it counts; or NULL */
  wslay_frame_context_ptr frames;
  struct websocket_taken *taken; /* of the call */
  const char *data;              /* what wslay may take from */
  size_t length;

  size_t given;       /* bytes of the frame that has begun */
  bool is_in_payload; /* its header is known */
  uint64_t to_come;   /* bytes of its payload */
  bool is_final;      /* the message ends with it */
  uint8_t opcode;     /* its own, not that of the message */
  struct utf8 reason; /* of a close frame */
  size_t control_length;
  char control[WEBSOCKET_CONTROL_BYTES];

  bool is_message_open; /* its last frame hasn't come */
  bool is_compressed;   /* it is */
  enum websocket_opcode message_opcode;
  struct utf8 text; /* every message that is taken leaves it between two characters */
  char *message;
  size_t message_length, message_capacity;
};

/* wslay wants bytes: as many as surely belong to this frame. */
static ssize_t give(uint8_t *buffer, size_t capacity, int flags, void *user) {
  (void) flags;
  struct websocket_parse *parse = user;
  uint64_t belongs = parse->to_come;
  if (!parse->is_in_payload) belongs = parse->given < SHORTEST_HEADER_BYTES ? SHORTEST_HEADER_BYTES - parse->given : 1;

  size_t count = parse->length < capacity ? parse->length : capacity;
  if (count > belongs) count = (size_t) belongs;
  if (count == 0) return -1;
  memcpy(buffer, parse->data, count);
  parse->data += count;
  parse->length -= count;
  parse->given += count;
  return (ssize_t) count;
}

static struct websocket_parse *parse_new(struct memory *memory) {
  static const struct wslay_frame_callbacks callbacks = {.recv_callback = give};
  struct websocket_parse *parse = memory_alloc(memory, MEMORY_INPUT, sizeof *parse);
  if (parse == NULL) return NULL;
  parse->memory = memory;
  if (memory_charge(memory, MEMORY_INPUT, FRAMES_BYTES)) {
    if (wslay_frame_context_init(&parse->frames, &callbacks, parse) == 0) return parse;
    memory_discharge(memory, MEMORY_INPUT, FRAMES_BYTES);
  }
  memory_free(parse);
  return NULL;
}

void websocket_reader_init(struct websocket_reader *reader, uint32_t max_message_bytes) {
  *reader = (struct websocket_reader){.max_message_bytes = max_message_bytes};
}

void websocket_reader_reset(struct websocket_reader *reader) {
  struct websocket_parse *parse = reader->parse;
  if (parse != NULL) {
    wslay_frame_context_free(parse->frames);
    memory_discharge(parse->memory, MEMORY_INPUT, FRAMES_BYTES);
    memory_free(parse->message);
    memory_free(parse);
  }
  bool takes_compressed = reader->takes_compressed;
  websocket_reader_init(reader, reader->max_message_bytes);
  reader->takes_compressed = takes_compressed;
}

/* All that fails goes through here, but that there is no memory to begin with. */
static enum websocket_outcome fail_frames(struct websocket_reader *reader, int code, const char *problem) {
  *reader->parse->taken = (struct websocket_taken){.code = code, .problem = problem};
  websocket_reader_reset(reader);
  return WEBSOCKET_FAILED;
}

static bool is_control(uint8_t opcode) {
  return wslay_is_ctrl_frame(opcode);
}

/* Whether the reserved bits are none, or say that a message is compressed, which its first frame says for all. */
static bool are_bits_right(const struct websocket_reader *reader, const struct wslay_frame_iocb *frame) {
  bool begins = frame->opcode == WSLAY_TEXT_FRAME || frame->opcode == WSLAY_BINARY_FRAME;
  return frame->rsv == 0 || (frame->rsv == WSLAY_RSV1_BIT && begins && reader->takes_compressed);
}

static const char *problem_of_header(const struct websocket_reader *reader, const struct wslay_frame_iocb *frame) {
  const struct websocket_parse *parse = reader->parse;
  if (!frame->mask) return "a frame of a client has to be masked";
  if (!are_bits_right(reader, frame)) return "a reserved bit is set, for which no extension was agreed on";
  switch (frame->opcode) {
  case WSLAY_CONTINUATION_FRAME:
    return parse->is_message_open ? NULL : "a continuation of nothing";
  case WSLAY_TEXT_FRAME:
  case WSLAY_BINARY_FRAME:
    return parse->is_message_open ? "a message within another one" : NULL;
  case WSLAY_CONNECTION_CLOSE:
  case WSLAY_PING:
  case WSLAY_PONG:
    return NULL;
  default:
    return "a reserved opcode";
  }
}

static void begin_message(struct websocket_parse *parse, const struct wslay_frame_iocb *frame) {
  parse->is_message_open = true;
  parse->is_compressed = frame->rsv != 0;
  parse->message_opcode = frame->opcode == WSLAY_TEXT_FRAME ? WEBSOCKET_TEXT : WEBSOCKET_BINARY;
  parse->message_length = 0;
}

/* The most that the payloads of a message may have together. What can't be compressed is longer afterwards. */
static uint32_t most_bytes(const struct websocket_reader *reader) {
  uint32_t most = reader->max_message_bytes;
  return reader->parse->is_compressed ? most + most / COMPRESSED_EXTRA_PART + COMPRESSED_EXTRA_BYTES : most;
}

/* The header of a frame is known, and maybe some of its payload, which isn't looked at here. WEBSOCKET_MORE: go on. */
static enum websocket_outcome begin_frame(struct websocket_reader *reader, const struct wslay_frame_iocb *frame) {
  struct websocket_parse *parse = reader->parse;
  const char *problem = problem_of_header(reader, frame);
  if (problem != NULL) return fail_frames(reader, FLUXBP_CLOSE_PROTOCOL_ERROR, problem);

  parse->is_in_payload = true;
  parse->to_come = frame->payload_length;
  parse->opcode = frame->opcode;
  parse->is_final = frame->fin;
  if (is_control(frame->opcode)) {
    parse->control_length = 0;
    return WEBSOCKET_MORE;
  }

  if (frame->opcode != WSLAY_CONTINUATION_FRAME) begin_message(parse, frame);
  if (!frame->fin) reader->fragments++;
  if (frame->payload_length > most_bytes(reader) - parse->message_length)
    return fail_frames(reader, FLUXBP_CLOSE_TOO_BIG, "the message is too long");
  return WEBSOCKET_MORE;
}

static bool make_room(struct websocket_parse *parse, size_t wanted, size_t max_bytes) {
  if (wanted <= parse->message_capacity) return true;
  size_t capacity = parse->message_capacity > 0 ? parse->message_capacity : CAPACITY_AT_FIRST;
  while (capacity < wanted) capacity *= 2;
  if (capacity > max_bytes) capacity = max_bytes;
  char *message = memory_resize(parse->memory, MEMORY_INPUT, parse->message, capacity);
  if (message == NULL) return false;
  parse->message = message;
  parse->message_capacity = capacity;
  return true;
}

/* Some of the payload of a data frame. WEBSOCKET_MORE: go on. */
static enum websocket_outcome take_data(struct websocket_reader *reader, const uint8_t *data, size_t length) {
  struct websocket_parse *parse = reader->parse;
  bool is_text = parse->message_opcode == WEBSOCKET_TEXT && !parse->is_compressed;
  if (is_text && !utf8_take(&parse->text, data, length))
    return fail_frames(reader, FLUXBP_CLOSE_NOT_UTF8, "a text message that isn't UTF-8");
  if (!make_room(parse, parse->message_length + length, most_bytes(reader)))
    return fail_frames(reader, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
  memcpy(parse->message + parse->message_length, data, length);
  parse->message_length += length;
  return WEBSOCKET_MORE;
}

/* Some of the payload of a control frame, which has room. WEBSOCKET_MORE: go on. */
static enum websocket_outcome take_control(struct websocket_reader *reader, const uint8_t *data, size_t length) {
  struct websocket_parse *parse = reader->parse;
  size_t of_code = 0; /* bytes of the code of a close frame */
  if (parse->control_length < CODE_BYTES) of_code = CODE_BYTES - parse->control_length;
  if (of_code > length) of_code = length;
  if (parse->opcode == WSLAY_CONNECTION_CLOSE && !utf8_take(&parse->reason, data + of_code, length - of_code))
    return fail_frames(reader, FLUXBP_CLOSE_NOT_UTF8, "a reason that isn't UTF-8");
  memcpy(parse->control + parse->control_length, data, length);
  parse->control_length += length;
  return WEBSOCKET_MORE;
}

static void hand_out(const struct websocket_parse *parse, const char *payload, size_t length) {
  parse->taken->payload = length > 0 ? payload : "";
  parse->taken->length = length;
}

/* RFC 6455, 7.4, and the codes that were registered later, up to 1014. */
static bool is_code(unsigned code) {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

static enum websocket_outcome end_close(struct websocket_reader *reader) {
  const struct websocket_parse *parse = reader->parse;
  parse->taken->code = FLUXBP_CLOSE_NO_CODE;
  hand_out(parse, NULL, 0);
  if (parse->control_length == 0) return WEBSOCKET_IS_CLOSE;
  if (parse->control_length < CODE_BYTES)
    return fail_frames(reader, FLUXBP_CLOSE_PROTOCOL_ERROR, "half a code in a close frame");

  unsigned code = (unsigned) (uint8_t) parse->control[0] << 8 | (uint8_t) parse->control[1];
  if (!is_code(code)) return fail_frames(reader, FLUXBP_CLOSE_PROTOCOL_ERROR, "a code that may not be sent");
  if (!utf8_is_whole(&parse->reason)) return fail_frames(reader, FLUXBP_CLOSE_NOT_UTF8, "a reason that isn't UTF-8");
  parse->taken->code = (int) code;
  hand_out(parse, parse->control + CODE_BYTES, parse->control_length - CODE_BYTES);
  return WEBSOCKET_IS_CLOSE;
}

/* WEBSOCKET_MORE: the message goes on. */
static enum websocket_outcome end_frame(struct websocket_reader *reader) {
  struct websocket_parse *parse = reader->parse;
  parse->is_in_payload = false;
  parse->given = 0;
  if (parse->opcode == WSLAY_CONNECTION_CLOSE) return end_close(reader);
  if (is_control(parse->opcode)) {
    hand_out(parse, parse->control, parse->control_length);
    return parse->opcode == WSLAY_PING ? WEBSOCKET_IS_PING : WEBSOCKET_IS_PONG;
  }

  if (!parse->is_final) return WEBSOCKET_MORE;
  if (!utf8_is_whole(&parse->text))
    return fail_frames(reader, FLUXBP_CLOSE_NOT_UTF8, "a text message that isn't UTF-8");
  parse->is_message_open = false;
  parse->taken->opcode = parse->message_opcode;
  parse->taken->is_compressed = parse->is_compressed;
  hand_out(parse, parse->message, parse->message_length);
  return WEBSOCKET_MESSAGE;
}

/* A piece of a frame. WEBSOCKET_MORE: go on. */
static enum websocket_outcome take_piece(struct websocket_reader *reader, const struct wslay_frame_iocb *frame) {
  struct websocket_parse *parse = reader->parse;
  enum websocket_outcome outcome = WEBSOCKET_MORE;
  if (!parse->is_in_payload) outcome = begin_frame(reader, frame);
  if (outcome != WEBSOCKET_MORE) return outcome;

  if (frame->data_length > 0) {
    outcome = is_control(frame->opcode) ? take_control(reader, frame->data, frame->data_length)
                                        : take_data(reader, frame->data, frame->data_length);
    if (outcome != WEBSOCKET_MORE) return outcome;
    parse->to_come -= frame->data_length;
  }
  return parse->to_come == 0 ? end_frame(reader) : WEBSOCKET_MORE;
}

bool websocket_reader_has_message(const struct websocket_reader *reader) {
  return reader->parse != NULL && reader->parse->is_message_open;
}

bool websocket_reader_is_busy(const struct websocket_reader *reader) {
  return websocket_reader_has_message(reader) || (reader->parse != NULL && reader->parse->given > 0);
}

static void free_if_between_messages(struct websocket_reader *reader) {
  if (reader->parse == NULL || websocket_reader_is_busy(reader)) return;
  uint32_t fragments = reader->fragments;
  websocket_reader_reset(reader);
  reader->fragments = fragments & INT32_MAX;
}

enum websocket_outcome websocket_reader_take(struct websocket_reader *reader, struct memory *memory, const char **data,
                                             size_t *length, struct websocket_taken *taken) {
  *taken = (struct websocket_taken){0};
  if (*length == 0) {
    free_if_between_messages(reader);
    return WEBSOCKET_MORE;
  }
  if (reader->parse == NULL) reader->parse = parse_new(memory);
  if (reader->parse == NULL) {
    *taken = (struct websocket_taken){.code = FLUXBP_CLOSE_TRY_LATER, .problem = MEMORY_REFUSAL};
    return WEBSOCKET_FAILED;
  }

  struct websocket_parse *parse = reader->parse;
  parse->taken = taken;
  parse->data = *data;
  parse->length = *length;
  enum websocket_outcome outcome = WEBSOCKET_MORE;
  while (outcome == WEBSOCKET_MORE) {
    struct wslay_frame_iocb frame;
    ssize_t result = wslay_frame_recv(parse->frames, &frame);
    *data = parse->data;
    *length = parse->length;
    if (result >= 0)
      outcome = take_piece(reader, &frame);
    else if (result != WSLAY_ERR_WANT_READ)
      outcome = fail_frames(reader, FLUXBP_CLOSE_PROTOCOL_ERROR, "a length or a control frame that isn't allowed");
    if (outcome == WEBSOCKET_MORE && *length == 0) break;
  }
  if (outcome == WEBSOCKET_MORE) free_if_between_messages(reader);
  return outcome;
}
