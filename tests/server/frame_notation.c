/* SPDX-License-Identifier: MIT */
#include "frame_notation.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTH_16 = 126, LENGTH_64 = 127, FIN = 0x80, MASKED = 0x80, CONTINUATION = 0, PAYLOAD_MAX = 100000 };

/* A frame as it is to be written; lengths need not be right. */
struct frame {
  uint8_t first_byte;
  uint8_t length_form; /* LENGTH_16, LENGTH_64, or 0: the shortest */
  uint64_t announced;
  bool is_masked, is_mask_zero;
  const char *payload;
  size_t length;
};

static void append_byte(struct bytes *bytes, unsigned byte) {
  assert_true(bytes->length < BYTES_MAX);
  bytes->data[bytes->length++] = (char) byte;
  bytes->is_between[bytes->length] = false;
}

static void append_number(struct bytes *bytes, uint64_t number, int count) {
  for (int i = count - 1; i >= 0; i--) append_byte(bytes, (unsigned) (number >> 8 * i & 0xff));
}

static void write_frame(struct bytes *bytes, const struct frame *frame) {
  unsigned mask_bit = frame->is_masked ? MASKED : 0;
  uint8_t form = frame->length_form;
  if (form == 0 && frame->announced >= 126) form = frame->announced <= UINT16_MAX ? LENGTH_16 : LENGTH_64;

  append_byte(bytes, frame->first_byte);
  append_byte(bytes, mask_bit | (form != 0 ? form : (unsigned) frame->announced));
  if (form == LENGTH_16) append_number(bytes, frame->announced, 2);
  if (form == LENGTH_64) append_number(bytes, frame->announced, 8);
  uint32_t mask = frame->is_mask_zero ? 0 : 0x9e3779b9u * (uint32_t) (bytes->length + 1);
  if (frame->is_masked) append_number(bytes, mask, 4);
  for (size_t i = 0; i < frame->length; i++) {
    unsigned key = frame->is_masked ? mask >> 8 * (3 - i % 4) & 0xff : 0;
    append_byte(bytes, (unsigned char) frame->payload[i] ^ key);
  }
}

static unsigned hex_digit(const char **at) {
  const char digit[] = {*(*at)++, '\0'};
  assert_true(isxdigit((unsigned char) digit[0]));
  return (unsigned) strtoul(digit, NULL, 16);
}

static unsigned hex_byte(const char **at) {
  unsigned high = hex_digit(at);
  return high << 4 | hex_digit(at);
}

static uint8_t read_opcode(const char **at) {
  static const char letters[] = "CTB.....XPO";
  if (**at == '%') {
    (*at)++;
    return (uint8_t) hex_digit(at);
  }
  const char *letter = strchr(letters, *(*at)++);
  assert_non_null(letter);
  return (uint8_t) (letter - letters);
}

/* One part of a payload. @return the bytes of it */
static size_t read_payload(const char **at, char *payload) {
  char kind = *(*at)++;
  size_t length = 0;
  if (kind == '[') {
    char *end;
    length = strtoul(*at, &end, 10);
    *at = end;
    assert_true(length <= PAYLOAD_MAX);
    memset(payload, 'x', length);
  } else if (kind == '<') {
    while (**at != '>') payload[length++] = (char) hex_byte(at);
  } else {
    while (**at != ')') payload[length++] = *(*at)++;
  }
  (*at)++;
  return length;
}

static void read_flag(const char **at, struct frame *frame) {
  char flag = *(*at)++;
  switch (flag) {
  case '-':
    frame->first_byte &= 0x7f;
    break;
  case '1':
    frame->first_byte |= 0x40;
    break;
  case '2':
    frame->first_byte |= 0x20;
    break;
  case '3':
    frame->first_byte |= 0x10;
    break;
  case 'u':
    frame->is_masked = false;
    break;
  case 'z':
    frame->is_mask_zero = true;
    break;
  case 'w':
    frame->length_form = LENGTH_16;
    break;
  case 'q':
    frame->length_form = LENGTH_64;
    break;
  case 'L': {
    char *end;
    frame->length_form = LENGTH_64;
    frame->announced = strtoull(*at + 1, &end, 16);
    *at = end + 1;
    break;
  }
  default:
    fail_msg("no such flag: %c", flag);
  }
}

static void read_frame(struct bytes *bytes, const char **at) {
  static char payload[PAYLOAD_MAX];
  struct frame frame = {.is_masked = true, .payload = payload, .announced = UINT64_MAX};
  uint8_t opcode = read_opcode(at);
  frame.first_byte = (uint8_t) (FIN | opcode);
  while (**at != '\0' && strchr(" (<[", **at) == NULL) read_flag(at, &frame);
  while (**at != '\0' && **at != ' ') frame.length += read_payload(at, payload + frame.length);
  if (frame.announced == UINT64_MAX) frame.announced = frame.length;
  write_frame(bytes, &frame);
}

/* Whether a message is open behind a frame, which begins at `start`, if one was before it. */
static bool is_message_open(const struct bytes *bytes, size_t start, bool was_open) {
  bool is_control = (bytes->data[start] & 0x8) != 0;
  return is_control ? was_open : (bytes->data[start] & FIN) == 0;
}

void append_frames(struct bytes *bytes, const char *notation) {
  if (bytes->length == 0) bytes->is_between[0] = true;
  bool is_open = !bytes->is_between[bytes->length];
  const char *at = notation;
  while (*at != '\0') {
    size_t start = bytes->length;
    if (*at == ' ') {
      at++;
    } else if (*at == '=') {
      at++;
      while (*at != '\0' && *at != ' ') append_byte(bytes, hex_byte(&at));
    } else {
      read_frame(bytes, &at);
      is_open = is_message_open(bytes, start, is_open);
      bytes->is_between[bytes->length] = !is_open;
    }
  }
}

void append_frame(struct bytes *bytes, enum websocket_opcode opcode, bool is_final, const void *payload,
                  size_t length) {
  if (bytes->length == 0) bytes->is_between[0] = true;
  bool is_open = !bytes->is_between[bytes->length];
  size_t start = bytes->length;
  struct frame frame = {.is_masked = true, .payload = payload, .length = length, .announced = length};
  frame.first_byte = (uint8_t) ((is_final ? FIN : 0) | opcode);
  write_frame(bytes, &frame);
  bytes->is_between[bytes->length] = !is_message_open(bytes, start, is_open);
}

__attribute__((format(printf, 2, 3))) static void add(struct outcomes *outcomes, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(outcomes->text + outcomes->length, OUTCOMES_MAX - outcomes->length, format, args);
  va_end(args);
  assert_in_range(length, 0, OUTCOMES_MAX - outcomes->length - 1);
  outcomes->length += (size_t) length;
}

static bool is_all_x(const char *payload, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (payload[i] != 'x') return false;
  return length > 9;
}

static bool is_text(const char *payload, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char) payload[i] < ' ' || payload[i] == 0x7f) return false;
  return websocket_is_utf8(payload, length);
}

static void add_payload(struct outcomes *outcomes, const char *payload, size_t length) {
  if (is_all_x(payload, length)) {
    add(outcomes, "[%zu] ", length);
  } else if (is_text(payload, length)) {
    add(outcomes, "(%.*s) ", (int) length, payload);
  } else {
    add(outcomes, "<");
    for (size_t i = 0; i < length; i++) add(outcomes, "%02x", (unsigned char) payload[i]);
    add(outcomes, "> ");
  }
}

static void add_outcome(struct outcomes *outcomes, const struct websocket_taken *taken,
                        enum websocket_outcome outcome) {
  switch (outcome) {
  case WEBSOCKET_MORE:
    return;
  case WEBSOCKET_MESSAGE:
    add(outcomes, "%s%s", taken->opcode == WEBSOCKET_TEXT ? "T" : "B", taken->is_compressed ? "1" : "");
    break;
  case WEBSOCKET_IS_PING:
    add(outcomes, "P");
    break;
  case WEBSOCKET_IS_PONG:
    add(outcomes, "O");
    break;
  case WEBSOCKET_IS_CLOSE:
    add(outcomes, "X%d", taken->code);
    break;
  case WEBSOCKET_FAILED:
    assert_non_null(taken->problem);
    assert_in_range(strlen(taken->problem), 1, WEBSOCKET_CONTROL_BYTES - 2);
    add(outcomes, "!%d", taken->code);
    outcomes->has_ended = true;
    return;
  }
  add_payload(outcomes, taken->payload, taken->length);
  if (outcome == WEBSOCKET_IS_CLOSE) outcomes->has_ended = true;
}

void take_piece(struct websocket_reader *reader, const struct bytes *bytes, size_t from, size_t to,
                struct outcomes *outcomes) {
  /* a copy of its own, so that a sanitizer sees when it is read beyond, or later */
  size_t length = to - from;
  char *piece = malloc(length > 0 ? length : 1);
  assert_non_null(piece);
  memcpy(piece, bytes->data + from, length);

  const char *data = piece;
  struct websocket_taken taken;
  enum websocket_outcome outcome = WEBSOCKET_IS_PING;
  while (outcome != WEBSOCKET_MORE && !outcomes->has_ended) {
    outcome = websocket_reader_take(reader, NULL, &data, &length, &taken);
    assert_ptr_equal(data + length, piece + (to - from));
    if (outcome == WEBSOCKET_FAILED) assert_null(reader->parse);
    add_outcome(outcomes, &taken, outcome);
  }
  if (outcome == WEBSOCKET_MORE) {
    assert_int_equal(length, 0);
    assert_int_equal(reader->parse == NULL, bytes->is_between[to]);
  }
  free(piece);
}

void end_outcomes(const struct websocket_reader *reader, struct outcomes *outcomes) {
  if (!outcomes->has_ended) add(outcomes, reader->parse == NULL ? "." : "~");
  while (outcomes->length > 0 && outcomes->text[outcomes->length - 1] == ' ') outcomes->text[--outcomes->length] = '\0';
}
