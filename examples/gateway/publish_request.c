/* SPDX-License-Identifier: MIT */
/*
 * publish_request: the body is a message, or with application/x-ndjson one on each line. What was published before
 * something went wrong stays published, and the answer says how much that was.
 */
#include "publish_request.h"

#include "http_client.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Lines of one request: they are done in one go, which takes a few milliseconds. */
#define LINES_MAX 1000

/* A character of a message may take six in JSON; topic, key and the rest are short. */
#define LINE_PARTS 6
#define LINE_EXTRA_BYTES 1024

/* One line of a bulk, as far as it is understood. */
struct line {
  const char *topic, *key;
  const void *data;
  size_t length;
  void *decoded; /* to be freed */
};

static int status_of(int err) {
  switch (err) {
  case UV_EAGAIN:
  case UV_ECANCELED:
  case UV_ENOSPC:
    return 503;
  case UV_E2BIG:
    return 413;
  case UV_EINVAL:
    return 400;
  default:
    return 500;
  }
}

static const char *retry_of(int err) {
  return err == UV_EAGAIN || err == UV_ECANCELED ? "Retry-After: 1\r\n" : NULL;
}

static json_t *json_of_id(uint64_t id) {
  char text[ID_TEXT_BYTES];
  if (id == 0) return json_null();
  id_format(id, text);
  return json_string(text);
}

static void publish_one(struct client *client, const struct http_request *request) {
  char topic[TOPICS_NAME_BYTES + 1];
  char key[KEY_BYTES + 1];
  const char *problem = NULL;
  uint64_t id;
  enum http_query_outcome has_topic = http_query(request->query, "topic", topic, sizeof topic);
  enum http_query_outcome has_key = http_query(request->query, "key", key, sizeof key);
  if (has_topic != HTTP_QUERY_OK || has_key == HTTP_QUERY_WRONG) {
    http_refuse(client, 400,
                has_key == HTTP_QUERY_WRONG ? "key has 1 to 64 bytes, percent-encoded"
                                            : "say on which topic: POST /api/v1/publish?topic=NAME",
                NULL);
    return;
  }
  int err = server_publish(client->clients->server, topic, has_key == HTTP_QUERY_OK ? key : NULL, request->body.data,
                           request->body.length, &id, &problem);
  if (err == 0)
    http_answer_json(client, 200, json_pack("{so}", "id", json_of_id(id)));
  else
    http_refuse(client, status_of(err), problem, retry_of(err));
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* @return NULL, or what is wrong */
static const char *decode_base64(struct line *line, const char *text, size_t length) {
  static const char wrong[] = "\"base64\" isn't base64";
  size_t digits = strspn(text, base64_digits);
  if (length == 0 || length % 4 != 0 || digits + 2 < length || strspn(text + digits, "=") != length - digits)
    return wrong;
  line->decoded = malloc(length / 4 * 3);
  if (line->decoded == NULL) return "out of memory; try again later";
  int bytes = EVP_DecodeBlock(line->decoded, (const unsigned char *) text, (int) length);
  if (bytes < 0) return wrong;
  for (size_t i = length; i > length - 2 && text[i - 1] == '='; i--) bytes--;
  line->data = line->decoded;
  line->length = (size_t) bytes;
  return NULL;
}

/* A string without a NUL in it. */
static bool is_text(const json_t *value) {
  return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

/* The line points into `object`. @return NULL, or what is wrong */
static const char *read_line(struct line *line, const json_t *object) {
  const json_t *data = json_object_get(object, "data");
  const json_t *base64 = json_object_get(object, "base64");
  const json_t *key = json_object_get(object, "key");
  const json_t *topic = json_object_get(object, "topic");
  line->topic = json_string_value(topic);
  line->key = json_string_value(key);
  if (!is_text(topic)) return "each line is an object with a \"topic\"";
  if (key != NULL && !is_text(key)) return "\"key\" is a string";
  if (json_is_string(data) == json_is_string(base64)) return "each line has a string \"data\", or \"base64\"";
  if (json_is_string(base64)) return decode_base64(line, json_string_value(base64), json_string_length(base64));
  line->data = json_string_value(data);
  line->length = json_string_length(data);
  return NULL;
}

/* @return 0 or an error, with the problem */
static int publish_line(struct server *server, const char *text, size_t length, uint64_t *id, const char **problem) {
  struct line line = {0};
  int err = UV_EINVAL;
  if (length > LINE_PARTS * server->options->max_message + LINE_EXTRA_BYTES) {
    *problem = "the line is too long for a message of --max-message";
    return UV_E2BIG;
  }
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  *problem = json_is_object(object) ? read_line(&line, object) : "each line is a JSON object";
  if (*problem == NULL) err = server_publish(server, line.topic, line.key, line.data, line.length, id, problem);
  free(line.decoded);
  json_decref(object);
  return err;
}

static void answer_bulk_error(struct client *client, int err, const char *problem, size_t number, size_t published) {
  json_t *object =
      json_pack("{ss sI sI}", "error", problem, "line", (json_int_t) number, "published", (json_int_t) published);
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (text == NULL) {
    http_refuse(client, 503, "out of memory; try again later", NULL);
    return;
  }
  http_answer(client, status_of(err), TYPE_JSON, text, strlen(text), retry_of(err));
  free(text);
}

static void publish_many(struct client *client, struct http_text body) {
  const char *rest = body.data;
  const char *end = body.data + body.length;
  size_t published = 0;
  uint64_t id = 0;
  for (size_t number = 1; rest < end; number++) {
    const char *newline = memchr(rest, '\n', (size_t) (end - rest));
    const char *line_end = newline != NULL ? newline : end;
    const char *problem = NULL;
    size_t length = (size_t) (line_end - rest);
    if (length > 0) { /* empty lines are nothing */
      if (published == LINES_MAX) {
        answer_bulk_error(client, UV_E2BIG, "too many lines: at most 1000 in one request", number, published);
        return;
      }
      int err = publish_line(client->clients->server, rest, length, &id, &problem);
      if (err != 0) {
        answer_bulk_error(client, err, problem, number, published);
        return;
      }
      published++;
    }
    rest = newline != NULL ? newline + 1 : end;
  }
  http_answer_json(client, 200, json_pack("{sI so}", "published", (json_int_t) published, "id", json_of_id(id)));
}

static bool is_ndjson(struct http_text type) {
  static const char wanted[] = "application/x-ndjson";
  size_t length = sizeof wanted - 1;
  if (type.data == NULL || type.length < length || strncasecmp(type.data, wanted, length) != 0) return false;
  return type.length == length || type.data[length] == ';' || type.data[length] == ' ';
}

void publish_request_run(struct client *client, const struct http_request *request) {
  if (!is_ndjson(http_request_header(request, "Content-Type"))) {
    publish_one(client, request);
  } else if (request->body.length == 0) {
    http_refuse(client, 400, "the body is empty: send a JSON object on each line", NULL);
  } else {
    publish_many(client, request->body);
  }
}
