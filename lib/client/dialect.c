/* SPDX-License-Identifier: MIT */
/*
 * dialect: the notices of a libfluxbp server: answers, positions, gaps, evictions. docs/protocol.md
 * has the formats. For any other server everything is a message.
 */
#define _GNU_SOURCE /* memmem */
#include "json.h"
#include "stream.h"

#include <limits.h>
#include <openssl/evp.h>

#define EPOCH_DIGITS 16
#define ID_BYTES_MAX 40

#define BEGINS(data, length, literal)                                                                                  \
  ((length) >= sizeof(literal) - 1 && memcmp((data), (literal), sizeof(literal) - 1) == 0)

/* The members that a server writes, in any order. */
enum member {
  MEMBER_AT,
  MEMBER_BASE64,
  MEMBER_CLOSING,
  MEMBER_COUNT,
  MEMBER_DATA,
  MEMBER_ERROR,
  MEMBER_EVICTED,
  MEMBER_FROM,
  MEMBER_GAP,
  MEMBER_ID,
  MEMBER_KEY,
  MEMBER_OK,
  MEMBER_OLDEST,
  MEMBER_REASON,
  MEMBER_RESUMED,
  MEMBER_RETRY_MS,
  MEMBER_TO,
  MEMBER_TOKEN_EXPIRES_IN,
  MEMBER_TOPIC,
  MEMBER_UNSET,
  MEMBERS
};

static const char *const member_names[MEMBERS] = {
    "at", "base64", "closing", "count",   "data",     "error", "evicted",          "from",  "gap",  "id", "key",
    "ok", "oldest", "reason",  "resumed", "retry_ms", "to",    "token_expires_in", "topic", "unset"};

struct object {
  enum member first; /* MEMBERS: none that is known */
  fluxbp__json_value_t members[MEMBERS];
};

static enum member member_by_name(const fluxbp__json_value_t *name) {
  for (int i = 0; i < MEMBERS; i++)
    if (strlen(member_names[i]) == name->length && memcmp(member_names[i], name->text, name->length) == 0)
      return (enum member) i;
  return MEMBERS;
}

/* An object whose first member is none of a server's isn't read any further: it is somebody's message. */
static bool read_object(const char *data, size_t length, struct object *object) {
  fluxbp__json_walk_t walk = {.at = data, .end = data + length};
  fluxbp__json_value_t name, value;
  if (!fluxbp__json_next(&walk, &name, &value)) return false;
  object->first = member_by_name(&name);
  if (object->first == MEMBERS) return false;
  memset(object->members, 0, sizeof object->members);
  object->members[object->first] = value;
  while (fluxbp__json_next(&walk, &name, &value)) {
    enum member member = member_by_name(&name);
    if (member != MEMBERS) object->members[member] = value;
  }
  return true;
}

size_t fluxbp__dialect_id_length(const char *data, size_t length) {
  if (length <= EPOCH_DIGITS + 1 || data[EPOCH_DIGITS] != ':') return 0;
  for (size_t i = 0; i < EPOCH_DIGITS; i++) {
    bool is_digit = (data[i] >= '0' && data[i] <= '9') || (data[i] >= 'a' && data[i] <= 'f');
    if (!is_digit) return 0;
  }
  size_t end = EPOCH_DIGITS + 1;
  while (end < length && data[end] >= '0' && data[end] <= '9') end++;
  bool is_one = end > EPOCH_DIGITS + 1 && end < ID_BYTES_MAX && (end == length || data[end] == ' ' || data[end] == ',');
  return is_one ? end : 0;
}

const char *fluxbp__dialect_find_oldest(const char *data, size_t length, size_t *id_length) {
  static const char words[] = "oldest is ";
  const char *found = length > 0 ? memmem(data, length, words, sizeof words - 1) : NULL;
  if (found == NULL) return NULL;
  found += sizeof words - 1;
  *id_length = fluxbp__dialect_id_length(found, (size_t) (data + length - found));
  return *id_length > 0 ? found : NULL;
}

static void tell(fluxbp__stream_t *stream, fluxbp_client_event_kind_t kind, const char *data, size_t length) {
  fluxbp_client_event_t event = {.kind = kind, .data = data, .length = length};
  stream->on_event(stream, &event);
}

static void tell_with_id(fluxbp__stream_t *stream, fluxbp_client_event_kind_t kind, const char *id, size_t id_length,
                         const char *data, size_t length) {
  fluxbp_client_event_t event = {.kind = kind, .data = data, .length = length, .id = id, .id_length = id_length};
  stream->on_event(stream, &event);
}

/* "id topic message", as asked for by IDS; a message of a state topic has "-" for its id. */
static bool tell_line_with_id(fluxbp__stream_t *stream, const char *data, size_t length) {
  bool has_no_id = BEGINS(data, length, "- ");
  size_t id_length = has_no_id ? 1 : fluxbp__dialect_id_length(data, length);
  if (id_length == 0 || id_length == length || data[id_length] != ' ') return false;
  const char *topic = data + id_length + 1, *end = data + length;
  const char *blank = memchr(topic, ' ', (size_t) (end - topic));
  if (blank == NULL) return false;
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE,
                                 .data = blank + 1,
                                 .length = (size_t) (end - blank) - 1,
                                 .id = has_no_id ? NULL : data,
                                 .id_length = has_no_id ? 0 : id_length,
                                 .topic = topic,
                                 .topic_length = (size_t) (blank - topic)};
  stream->on_event(stream, &event);
  return true;
}

static void tell_answer(fluxbp__stream_t *stream, const char *data, size_t length) {
  static const char ids[] = "+OK IDS ", resumed[] = "+OK RESUMED";
  if (BEGINS(data, length, ids)) {
    const char *id = data + sizeof ids - 1;
    size_t id_length = fluxbp__dialect_id_length(id, length - (sizeof ids - 1));
    if (id_length > 0) tell_with_id(stream, FLUXBP_CLIENT_POSITION, id, id_length, data, length);
  } else if (BEGINS(data, length, resumed)) {
    tell(stream, FLUXBP_CLIENT_RESUMED, data, length);
  } else {
    bool is_answer = BEGINS(data, length, "+OK") || BEGINS(data, length, "+PONG");
    tell(stream, is_answer ? FLUXBP_CLIENT_ANSWER : FLUXBP_CLIENT_MESSAGE, data, length);
  }
}

static void tell_error(fluxbp__stream_t *stream, const char *data, size_t length) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE, .data = data, .length = length};
  if (BEGINS(data, length, "-ERR")) event.kind = FLUXBP_CLIENT_ERROR;
  if (BEGINS(data, length, "-ERR too old") || BEGINS(data, length, "-ERR unknown epoch") ||
      BEGINS(data, length, "-ERR not yet given")) {
    event.kind = FLUXBP_CLIENT_TOO_OLD;
    event.oldest = fluxbp__dialect_find_oldest(data, length, &event.oldest_length);
  }
  stream->on_event(stream, &event);
}

/* Set `*text` to a member, if it is a string without escapes. */
static void take_text(const struct object *object, enum member member, const char **text, size_t *length) {
  const fluxbp__json_value_t *value = &object->members[member];
  if (!value->is_string || value->has_escapes) return;
  *text = value->text;
  *length = value->length;
}

static void take_gap(const struct object *object, fluxbp_client_event_t *event) {
  event->kind = FLUXBP_CLIENT_GAP;
  event->gap_from = fluxbp__json_number(&object->members[MEMBER_FROM]);
  event->gap_to = fluxbp__json_number(&object->members[MEMBER_TO]);
  event->gap_count = fluxbp__json_number(&object->members[MEMBER_COUNT]);
}

static void take_unset(const struct object *object, fluxbp_client_event_t *event) {
  event->kind = FLUXBP_CLIENT_UNSET;
  take_text(object, MEMBER_TOPIC, &event->topic, &event->topic_length);
  take_text(object, MEMBER_KEY, &event->key, &event->key_length);
}

/* {"gap":{…}} and {"unset":{…}} have an object in the object. */
static void take_nested(const fluxbp__json_value_t *value, fluxbp_client_event_t *event,
                        void (*take)(const struct object *object, fluxbp_client_event_t *event)) {
  struct object nested = {.first = MEMBERS};
  read_object(value->text, value->length, &nested);
  take(&nested, event);
}

static void take_retry(fluxbp__stream_t *stream, const struct object *object) {
  const fluxbp__json_value_t *retry = &object->members[MEMBER_RETRY_MS];
  if (retry->text != NULL && !retry->is_string) stream->retry_ms = (int64_t) fluxbp__json_number(retry);
}

static void take_token_expires(const struct object *object, fluxbp_client_event_t *event) {
  uint64_t seconds = fluxbp__json_number(&object->members[MEMBER_TOKEN_EXPIRES_IN]);
  event->kind = FLUXBP_CLIENT_TOKEN_EXPIRES;
  event->code = seconds < INT_MAX ? (int) seconds : INT_MAX;
}

/* An object that stands for itself. */
static void tell_notice(fluxbp__stream_t *stream, const char *data, size_t length, const struct object *object) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE, .data = data, .length = length};
  const fluxbp__json_value_t *value = &object->members[object->first];
  switch (object->first) {
  case MEMBER_GAP:
    take_nested(value, &event, take_gap);
    break;
  case MEMBER_UNSET:
    take_nested(value, &event, take_unset);
    break;
  case MEMBER_EVICTED:
    event.kind = FLUXBP_CLIENT_EVICTED;
    break;
  case MEMBER_CLOSING:
    event.kind = FLUXBP_CLIENT_CLOSING;
    take_retry(stream, object);
    break;
  case MEMBER_TOKEN_EXPIRES_IN:
    take_token_expires(object, &event);
    break;
  case MEMBER_RESUMED:
    event.kind = FLUXBP_CLIENT_RESUMED;
    break;
  case MEMBER_AT:
    if (stream->has_ids && value->is_string) event.kind = FLUXBP_CLIENT_POSITION;
    if (stream->has_ids) take_text(object, MEMBER_AT, &event.id, &event.id_length);
    break;
  case MEMBER_OK:
    if (stream->has_ids) event.kind = FLUXBP_CLIENT_ANSWER;
    if (stream->has_ids) take_text(object, MEMBER_ID, &event.id, &event.id_length);
    break;
  case MEMBER_ERROR:
    if (stream->has_ids) event.kind = FLUXBP_CLIENT_ERROR;
    break;
  default:
    break;
  }
  stream->on_event(stream, &event);
}

/* A string's own bytes where it has no escapes; else the scratch's. */
static bool take_data(fluxbp__stream_t *stream, const fluxbp__json_value_t *value, fluxbp_client_event_t *event) {
  event->data = value->text;
  event->length = value->length;
  if (!value->has_escapes) return true;
  stream->scratch.length = 0;
  if (!fluxbp__json_unescape(value, &stream->scratch)) return false;
  event->data = stream->scratch.data;
  event->length = stream->scratch.length;
  return true;
}

static bool take_base64(fluxbp__stream_t *stream, const char *text, size_t length, fluxbp_client_event_t *event) {
  fluxbp__buffer_t *scratch = &stream->scratch;
  scratch->length = 0;
  if (length % 4 != 0 || !fluxbp__buffer_reserve(scratch, length + 1)) return false;
  int decoded = EVP_DecodeBlock((unsigned char *) scratch->data, (const unsigned char *) text, (int) length);
  if (decoded < 0) return false;
  size_t padding = 0;
  while (padding < 2 && padding < length && text[length - 1 - padding] == '=') padding++;
  scratch->length = (size_t) decoded - padding;
  event->data = scratch->data;
  event->length = scratch->length;
  event->is_binary = 1;
  return true;
}

/* {"id":"epoch:id","topic":"news","data":"…"}; a state topic's has a key and no id */
static bool tell_json_message(fluxbp__stream_t *stream, const char *data, size_t length, const struct object *object) {
  fluxbp_client_event_t event = {.kind = FLUXBP_CLIENT_MESSAGE, .data = data, .length = length};
  const fluxbp__json_value_t *base64 = &object->members[MEMBER_BASE64];
  take_text(object, MEMBER_ID, &event.id, &event.id_length);
  take_text(object, MEMBER_TOPIC, &event.topic, &event.topic_length);
  take_text(object, MEMBER_KEY, &event.key, &event.key_length);
  bool is_taken = true;
  if (object->members[MEMBER_DATA].is_string)
    is_taken = take_data(stream, &object->members[MEMBER_DATA], &event);
  else if (base64->is_string)
    is_taken = take_base64(stream, base64->text, base64->length, &event);
  else if (object->members[MEMBER_UNSET].text != NULL)
    event.kind = FLUXBP_CLIENT_UNSET;
  else
    return false;
  if (is_taken)
    stream->on_event(stream, &event);
  else
    fluxbp__stream_fail(stream, "a message in JSON can't be read", 1007);
  return true;
}

static bool tell_object(fluxbp__stream_t *stream, const char *data, size_t length) {
  struct object object;
  if (!read_object(data, length, &object)) return false;
  bool may_be_message = object.first == MEMBER_ID || object.first == MEMBER_TOPIC;
  if (may_be_message && stream->has_ids && stream->protocol == FLUXBP_CLIENT_WEBSOCKET &&
      tell_json_message(stream, data, length, &object))
    return true;
  if (stream->is_stopped) return true;
  tell_notice(stream, data, length, &object);
  return true;
}

void fluxbp__dialect_tell(fluxbp__stream_t *stream, const char *data, size_t length, bool is_binary) {
  char first = length > 0 && !stream->is_plain && !is_binary ? *data : '\0';
  if (first == '{' && tell_object(stream, data, length)) return;
  if (first == '+') {
    tell_answer(stream, data, length);
  } else if (first == '-' && BEGINS(data, length, "-ERR")) {
    tell_error(stream, data, length);
  } else if (first == '\0' || !stream->has_ids || !tell_line_with_id(stream, data, length)) {
    stream->plain.data = data;
    stream->plain.length = length;
    stream->plain.is_binary = is_binary;
    stream->on_event(stream, &stream->plain);
  }
}

/* The notices of a libfluxbp server have names. An event with any other name is a message. */
static fluxbp_client_event_kind_t kind_by_name(const char *name, size_t length) {
  static const struct {
    const char *name;
    fluxbp_client_event_kind_t kind;
  } kinds[] = {{"gap", FLUXBP_CLIENT_GAP},           {"unset", FLUXBP_CLIENT_UNSET},
               {"evicted", FLUXBP_CLIENT_EVICTED},   {"resumed", FLUXBP_CLIENT_RESUMED},
               {"position", FLUXBP_CLIENT_POSITION}, {"too_old", FLUXBP_CLIENT_TOO_OLD},
               {"closing", FLUXBP_CLIENT_CLOSING},   {"token_expires", FLUXBP_CLIENT_TOKEN_EXPIRES}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, name, length) == 0) return kinds[i].kind;
  return FLUXBP_CLIENT_MESSAGE;
}

/* Read the object in the data of a notice. */
static void take_named(fluxbp__stream_t *stream, fluxbp_client_event_t *event) {
  struct object object = {.first = MEMBERS};
  if (event->kind == FLUXBP_CLIENT_POSITION) return;
  read_object(event->data, event->length, &object);
  if (event->kind == FLUXBP_CLIENT_GAP) take_gap(&object, event);
  if (event->kind == FLUXBP_CLIENT_UNSET) take_unset(&object, event);
  if (event->kind == FLUXBP_CLIENT_CLOSING) take_retry(stream, &object);
  if (event->kind == FLUXBP_CLIENT_TOKEN_EXPIRES) take_token_expires(&object, event);
  if (event->kind == FLUXBP_CLIENT_TOO_OLD) take_text(&object, MEMBER_OLDEST, &event->oldest, &event->oldest_length);
}

static bool is_base64(const fluxbp_client_event_t *event) {
  static const char name[] = "base64";
  return event->name_length == sizeof name - 1 && memcmp(event->name, name, sizeof name - 1) == 0;
}

void fluxbp__dialect_tell_sse(fluxbp__stream_t *stream, fluxbp_client_event_t *event) {
  bool is_named = !stream->is_plain && event->kind == FLUXBP_CLIENT_MESSAGE && event->name != NULL;
  if (is_named && is_base64(event)) {
    bool is_one_line = event->data != stream->scratch.data;
    if (!is_one_line || !take_base64(stream, event->data, event->length, event)) {
      fluxbp__stream_fail(stream, "a message in base64 can't be read", 0);
      return;
    }
  } else if (is_named) {
    event->kind = kind_by_name(event->name, event->name_length);
    if (event->kind != FLUXBP_CLIENT_MESSAGE) take_named(stream, event);
  }
  stream->on_event(stream, event);
}
