/* SPDX-License-Identifier: MIT */
/*
 * publish_request: the body is a message, or a bulk of them (publish_body reads it). What was published before something went
 * wrong stays published, and the answer says how much that was.
 *
 * With a backbone the request is answered when it is known of every line what became of it. A line that can't be published
 * ends the reading; one that the backbone refuses later doesn't take back those behind it. The answer is about the first of
 * these lines.
 */
#include "publish_request.h"

#include "http_client.h"
#include "publish_body.h"
#include "server/waiter.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines of one request: they are done in one go, which takes a few milliseconds. */
#define LINES_MAX 1000

/* A character of a message may take six in JSON; topic, key and the rest are short. */
#define OBJECT_PARTS 6
#define OBJECT_EXTRA_BYTES 1024

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
static bool publish(struct publish_request *own, size_t number, const struct publish_item *item) {
  const char *problem = NULL;
  uint64_t id = 0;
  struct waiter *waiter = prepare_waiter(own, number);
  int err = server_publish(client_server(own->client), item->topic, item->key, item->data, item->length, waiter, &id,
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

static void publish_one(struct client *client, const struct http_request *request, struct http_text message) {
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
  const struct publish_item item = {
      .topic = topic, .key = has_key == HTTP_QUERY_OK ? key : NULL, .data = message.data, .length = message.length};
  (void) publish(own, 1, &item);
  finish(own);
}

/* @return whether it was taken */
static bool publish_of_many(struct publish_request *own, size_t taken, size_t number, const struct publish_item *item) {
  if (taken < LINES_MAX) return publish(own, number, item);
  note_failed(own, number, UV_E2BIG, "too many messages: at most 1000 in one request");
  return false;
}

static void publish_many(struct client *client, enum publish_body_kind kind, struct http_text text) {
  size_t max_object_bytes = OBJECT_PARTS * client_server(client)->options->max_message + OBJECT_EXTRA_BYTES;
  struct publish_request *own = create(client, true, publish_body_count(kind, text, LINES_MAX));
  if (own == NULL) return;
  struct publish_body body;
  struct publish_item item;
  enum publish_body_outcome outcome;
  bool is_taken = true;
  publish_body_begin(&body, kind, text, max_object_bytes);
  for (size_t taken = 0; is_taken && (outcome = publish_body_next(&body, &item)) != PUBLISH_BODY_END; taken++) {
    is_taken = outcome == PUBLISH_BODY_ITEM && publish_of_many(own, taken, body.number, &item);
    if (outcome == PUBLISH_BODY_WRONG) note_failed(own, body.number, body.err, body.problem);
    publish_item_free(&item);
  }
  finish(own);
}

/* No body is taken that is encoded; a coding that does nothing may be named. */
static bool is_encoded(const struct http_request *request) {
  struct http_text coding = http_text_trim(http_request_header(request, "Content-Encoding"));
  return coding.length > 0 && !http_text_is_in_any_case(coding, "identity");
}

void publish_request_run(struct client *client, const struct http_request *request) {
  char topic[TOPICS_NAME_BYTES + 1];
  bool has_topic = http_query(request->query, "topic", topic, sizeof topic) != HTTP_QUERY_NONE;
  enum publish_body_kind kind = publish_body_kind_of(http_request_header(request, "Content-Type"), has_topic);
  if (is_encoded(request))
    http_refuse(client, 415, "send the body as it is, without a Content-Encoding", "Accept-Encoding: identity\r\n");
  else if (kind == PUBLISH_BODY_NOT_HANDLED)
    http_refuse(client, 415, "send one message as the body, or several as application/x-ndjson or application/json",
                NULL);
  else if (kind == PUBLISH_BODY_BYTES || kind == PUBLISH_BODY_TEXT)
    publish_one(client, request, publish_body_message(request->body, kind));
  else if (request->body.length == 0)
    http_refuse(client, 400, "the body is empty: send JSON objects with \"topic\" and \"data\"", NULL);
  else
    publish_many(client, kind, request->body);
}
