/* SPDX-License-Identifier: MIT */
/*
 * publish_request: the body is a message, or with application/x-ndjson one on each line. What was published before
 * something went wrong stays published, and the answer says how much that was.
 *
 * With a backbone the request is answered when it is known of every line what became of it. A line that can't be published
 * ends the reading; one that the backbone refuses later doesn't take back those behind it. The answer is about the first of
 * these lines.
 */
#include "publish_request.h"

#include "http_client.h"
#include "server/waiter.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Lines of one request: they are done in one go, which takes a few milliseconds. */
#define LINES_MAX 1000

/* A character of a message may take six in JSON; topic, key and the rest are short. */
#define LINE_PARTS 6
#define LINE_EXTRA_BYTES 1024

#define PROBLEM_BYTES 320

struct publish_request;

/* A line whose fate isn't known yet. */
struct line_waiter {
  struct waiter waiter;
  struct publish_request *request;
  size_t number;
};

struct publish_request {
  struct http_due due;
  struct client *client; /* while it is read */
  bool is_bulk;
  size_t published;
  size_t last_line; /* of them, */
  uint64_t id;      /* and its id */

  size_t failed_line; /* the first one, or 0 */
  int err;            /* what is wrong with it */
  char problem[PROBLEM_BYTES];

  size_t unknown; /* lines */
  size_t waiters; /* used of these, which are there with a backbone alone */
  struct line_waiter lines[];
};

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
  case UV_ECONNABORTED:
  case UV_ENOBUFS:
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

static struct publish_request *create(struct client *client, bool is_bulk, size_t lines) {
  size_t waiters = client_server(client)->backbone != NULL ? lines : 0;
  struct publish_request *own = calloc(1, sizeof *own + waiters * sizeof own->lines[0]);
  if (own == NULL) {
    http_refuse(client, 503, "out of memory; try again later", NULL);
    return NULL;
  }
  own->client = client;
  own->is_bulk = is_bulk;
  return own;
}

/* What became of a line. */

static void note_published(struct publish_request *own, size_t number, uint64_t id) {
  own->published++;
  if (number < own->last_line) return;
  own->last_line = number;
  own->id = id;
}

static void note_failed(struct publish_request *own, size_t number, int err, const char *problem) {
  if (own->failed_line != 0 && own->failed_line < number) return;
  own->failed_line = number;
  own->err = err;
  snprintf(own->problem, sizeof own->problem, "%s", problem);
}

static void answer_bulk_error(struct client *client, const struct publish_request *own) {
  json_t *object = json_pack("{ss sI sI}", "error", own->problem, "line", (json_int_t) own->failed_line, "published",
                             (json_int_t) own->published);
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (text == NULL) {
    http_refuse(client, 503, "out of memory; try again later", NULL);
    return;
  }
  http_answer(client, status_of(own->err), TYPE_JSON, text, strlen(text), retry_of(own->err));
  free(text);
}

static void answer(struct client *client, const struct publish_request *own) {
  if (own->failed_line != 0 && own->is_bulk)
    answer_bulk_error(client, own);
  else if (own->failed_line != 0)
    http_refuse(client, status_of(own->err), own->problem, retry_of(own->err));
  else if (own->is_bulk)
    http_answer_json(client, 200,
                     json_pack("{sI so}", "published", (json_int_t) own->published, "id", json_of_id(own->id)));
  else
    http_answer_json(client, 200, json_pack("{so}", "id", json_of_id(own->id)));
}

/* Everything is read. */
static void finish(struct publish_request *own) {
  if (own->unknown > 0) {
    http_wait(own->client, &own->due);
    return;
  }
  answer(own->client, own);
  free(own);
}

static void on_known(struct waiter *waiter) {
  struct line_waiter *line = (struct line_waiter *) waiter;
  struct publish_request *own = line->request;
  if (waiter->err == 0)
    note_published(own, line->number, waiter->id);
  else
    note_failed(own, line->number, waiter->err, waiter_problem(waiter));
  waiter_reset(waiter);
  if (--own->unknown > 0) return;
  struct client *client = own->due.client;
  if (client != NULL) {
    http_is_answered(client);
    answer(client, own);
    http_go_on(client);
  }
  free(own);
}

static struct waiter *prepare_waiter(struct publish_request *own, size_t number) {
  const struct clients *clients = client_clients(own->client);
  if (clients->server->backbone == NULL) return NULL;
  struct line_waiter *line = &own->lines[own->waiters];
  line->request = own;
  line->number = number;
  line->waiter.hub = clients->hub;
  line->waiter.hub_index = clients->index;
  line->waiter.done = on_known;
  return &line->waiter;
}

/* @return whether it was taken */
static bool publish(struct publish_request *own, size_t number, const struct line *line) {
  const char *problem = NULL;
  uint64_t id = 0;
  struct waiter *waiter = prepare_waiter(own, number);
  int err = server_publish(client_server(own->client), line->topic, line->key, line->data, line->length, waiter, &id,
                           &problem);
  if (err != 0) {
    note_failed(own, number, err, problem);
  } else if (waiter == NULL) {
    note_published(own, number, id);
  } else {
    own->waiters++;
    own->unknown++;
  }
  return err == 0;
}

static void publish_one(struct client *client, const struct http_request *request) {
  char topic[TOPICS_NAME_BYTES + 1];
  char key[KEY_BYTES + 1];
  enum http_query_outcome has_topic = http_query(request->query, "topic", topic, sizeof topic);
  enum http_query_outcome has_key = http_query(request->query, "key", key, sizeof key);
  if (has_topic != HTTP_QUERY_OK || has_key == HTTP_QUERY_WRONG) {
    http_refuse(client, 400,
                has_key == HTTP_QUERY_WRONG ? "key has 1 to 64 bytes, percent-encoded"
                                            : "say on which topic: POST /api/v1/publish?topic=NAME",
                NULL);
    return;
  }
  struct publish_request *own = create(client, false, 1);
  if (own == NULL) return;
  const struct line line = {.topic = topic,
                            .key = has_key == HTTP_QUERY_OK ? key : NULL,
                            .data = request->body.data,
                            .length = request->body.length};
  (void) publish(own, 1, &line);
  finish(own);
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

/* @return whether it was taken */
static bool publish_line(struct publish_request *own, size_t number, const char *text, size_t length) {
  struct line line = {0};
  bool is_taken = false;
  if (length > LINE_PARTS * client_server(own->client)->options->max_message + LINE_EXTRA_BYTES) {
    note_failed(own, number, UV_E2BIG, "the line is too long for a message of --max-message");
    return false;
  }
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  const char *problem = json_is_object(object) ? read_line(&line, object) : "each line is a JSON object";
  if (problem != NULL)
    note_failed(own, number, UV_EINVAL, problem);
  else
    is_taken = publish(own, number, &line);
  free(line.decoded);
  json_decref(object);
  return is_taken;
}

static size_t count_lines(struct http_text body) {
  size_t lines = 1;
  for (size_t i = 0; i < body.length && lines < LINES_MAX; i++) lines += body.data[i] == '\n';
  return lines;
}

static void publish_many(struct client *client, struct http_text body) {
  const char *rest = body.data;
  const char *end = body.data + body.length;
  size_t taken = 0;
  struct publish_request *own = create(client, true, count_lines(body));
  if (own == NULL) return;
  for (size_t number = 1; rest < end; number++) {
    const char *newline = memchr(rest, '\n', (size_t) (end - rest));
    const char *line_end = newline != NULL ? newline : end;
    size_t length = (size_t) (line_end - rest);
    if (length > 0) { /* empty lines are nothing */
      if (taken == LINES_MAX) {
        note_failed(own, number, UV_E2BIG, "too many lines: at most 1000 in one request");
        break;
      }
      if (!publish_line(own, number, rest, length)) break;
      taken++;
    }
    rest = newline != NULL ? newline + 1 : end;
  }
  finish(own);
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
