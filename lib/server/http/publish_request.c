/* SPDX-License-Identifier: MIT */
/*
 * publish_request: the body is a message, or a bulk of them (publish_body reads it). What was published before
 * something went wrong stays published, and the answer says how much that was. DELETE of a state topic's key takes its
 * value back, as an object of a bulk may.
 *
 * A message for which the bus or the budget has no room waits for it, and those behind it do (room.h), while the body
 * stays where it is: in the reader, which takes nothing until the request is answered. Only a request that has waited
 * for as long as a handshake may take is refused.
 *
 * With a backbone the request is answered when it is known of every line what became of it. A line that can't be
 * published ends the reading; one that the backbone refuses later doesn't take back those behind it. The answer is
 * about the first of these lines.
 */
#include "publish_request.h"

#include "http_client.h"
#include "publish_body.h"
#include "server/session/decisions.h"
#include "server/session/publish_batch.h"
#include "server/session/room.h"
#include "server/session/session_quotas.h"
#include "server/session/session_rates.h"
#include "server/waiter.h"
#include "server/writer.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines of one request. */
#define LINES_MAX 1000

/* A character of a message may take six in JSON; topic, key and the rest are short. */
#define OBJECT_PARTS 6
#define OBJECT_EXTRA_BYTES 1024

#define PROBLEM_BYTES 320

/* An id, a number, and the names of both. */
#define ANSWER_BYTES 128

struct publish_request;

#define REQUEST_OF(waiter) QUEUE_ITEM(waiter, struct publish_request, room)

/* A line whose fate isn't known yet. */
struct line_waiter {
  struct waiter waiter;
  struct publish_request *request;
  size_t number;
};

struct publish_request {
  struct http_due due;
  struct room_waiter room;   /* while messages are left that there is no room for */
  fluxbp_session_t *session; /* the same */
  struct publish_body body;  /* of a bulk */
  struct publish_item item;  /* the message that is next, */
  size_t number;             /* and its place in the body */
  bool has_item;
  bool is_bulk;
  bool is_reading;                           /* messages are left */
  bool is_allowed;                           /* the one that is next, by the program */
  bool is_undecided;                         /* the same: the program has put it off */
  bool is_out_of_time;                       /* the turn of the client was over */
  size_t taken;                              /* messages */
  uint32_t since_ms;                         /* when it came */
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1]; /* of a single message, */
  char key[FLUXBP_SERVER_KEY_BYTES + 1];     /* and its key */
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
  case UV_ENOTCONN:
  case UV_ENOBUFS:
  case UV_ENOSPC:
    return 503;
  case UV_E2BIG:
    return 413;
  case UV_EACCES:
    return 403;
  case UV_ENFILE:
    return 429;
  case UV_EINVAL:
    return 400;
  default:
    return 500;
  }
}

static const char *retry_of(int err) {
  if (err == UV_ENFILE) return LIMIT_RETRY;
  return err == UV_EAGAIN || err == UV_ENOTCONN || err == UV_ECANCELED ? "Retry-After: 1\r\n" : NULL;
}

/* "id":"epoch:id", or "id":null for 0. */
static void write_id(struct writer *json, const fluxbp_session_t *session, uint64_t id) {
  char text[ID_TEXT_BYTES];
  id_format(&fluxbp_session_server(session)->codecs, id, text);
  writer_text(json, id != 0 ? "\"id\":\"" : "\"id\":null");
  if (id != 0) writer_text(json, text);
  if (id != 0) writer_text(json, "\"");
}

static uint32_t now_ms(const fluxbp_session_t *session) {
  return (uint32_t) uv_now(fluxbp_hub_loop(session_shard(session)->hub));
}

static struct publish_request *create(fluxbp_session_t *session, bool is_bulk, size_t lines) {
  size_t waiters = fluxbp_session_server(session)->options.backbone != NULL ? lines : 0;
  struct publish_request *own = calloc(1, sizeof *own + waiters * sizeof own->lines[0]);
  if (own == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return NULL;
  }
  own->session = session;
  own->is_bulk = is_bulk;
  own->since_ms = now_ms(session);
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

static void answer_bulk_error(fluxbp_session_t *session, const struct publish_request *own) {
  json_t *object = json_pack("{ss sI sI}", "error", own->problem, "line", (json_int_t) own->failed_line, "published",
                             (json_int_t) own->published);
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  if (text == NULL) {
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  http_answer(session, status_of(own->err), TYPE_JSON, text, strlen(text), retry_of(own->err));
  free(text);
}

/* Without jansson, which takes longer than publishing. */
static void answer_published(fluxbp_session_t *session, const struct publish_request *own) {
  char text[ANSWER_BYTES];
  struct writer json = {.out = text, .capacity = sizeof text};
  writer_text(&json, "{");
  if (own->is_bulk) {
    writer_text(&json, "\"published\":");
    writer_number(&json, own->published);
    writer_text(&json, ",");
  }
  write_id(&json, session, own->id);
  writer_text(&json, "}");
  http_answer(session, 200, TYPE_JSON, text, json.length, NULL);
}

static void answer(fluxbp_session_t *session, const struct publish_request *own) {
  if (own->failed_line != 0 && own->is_bulk)
    answer_bulk_error(session, own);
  else if (own->failed_line != 0)
    http_refuse(session, status_of(own->err), own->problem, retry_of(own->err));
  else
    answer_published(session, own);
}

static void free_item(struct publish_request *own) {
  if (own->has_item) publish_item_free(&own->item);
  own->has_item = false;
}

static void free_request(struct publish_request *own) {
  free_item(own);
  free(own);
}

/* What was due is there. */
static void complete(struct publish_request *own) {
  fluxbp_session_t *session = own->due.session;
  if (session != NULL) {
    http_is_answered(session);
    answer(session, own);
    http_go_on(session);
  }
  free_request(own);
}

static void on_known(struct waiter *waiter) {
  struct line_waiter *line = (struct line_waiter *) waiter;
  struct publish_request *own = line->request;
  if (waiter->err == 0)
    note_published(own, line->number, waiter->id);
  else
    note_failed(own, line->number, waiter->err, waiter_problem(waiter));
  waiter_reset(waiter);
  own->unknown--;
  if (own->unknown == 0 && !own->is_reading) complete(own);
}

static struct waiter *prepare_waiter(struct publish_request *own, size_t number) {
  const struct shard *shard = session_shard(own->session);
  if (shard->server->options.backbone == NULL) return NULL;
  struct line_waiter *line = &own->lines[own->waiters];
  line->request = own;
  line->number = number;
  line->waiter.hub = shard->hub;
  line->waiter.hub_index = shard->index;
  line->waiter.done = on_known;
  return &line->waiter;
}

enum outcome { TAKEN, REFUSED, NO_ROOM, UNDECIDED };

static bool is_overdue(const struct publish_request *own) {
  return now_ms(own->session) - own->since_ms >= fluxbp_session_server(own->session)->options.handshake_ms;
}

/* Have the program decide about the message, once. */
static fluxbp_decision_t ask_to_publish(const struct publish_request *own, const struct publication *wish,
                                        const char **reason) {
  if (own->is_allowed) return FLUXBP_ALLOW;
  if (!server_may_publish(fluxbp_session_server(own->session), wish))
    return FLUXBP_ALLOW; /* what is wrong with it is told below */
  return decisions_publish(own->session, wish->topic, wish->key, wish->data, wish->length, reason);
}

static struct publication publication_of(const struct publish_request *own) {
  const struct publish_item *item = &own->item;
  const char *data = item->data != NULL ? item->data : "";
  return (struct publication){.topic = item->topic,
                              .key = item->key,
                              .data = item->unsets ? NULL : data,
                              .length = item->unsets ? 0 : item->length,
                              .payers = session_payers(own->session)};
}

static enum outcome publish_next(struct publish_request *own) {
  const char *reason;
  struct publication publication = publication_of(own);
  fluxbp_decision_t decision = ask_to_publish(own, &publication, &reason);
  if (decision == FLUXBP_LATER) return UNDECIDED;
  if (decision == FLUXBP_REFUSE) {
    note_failed(own, own->number, UV_EACCES, reason);
    return REFUSED;
  }
  own->is_allowed = true;
  const char *problem = NULL;
  uint64_t id = 0;
  fluxbp_server_t *server = fluxbp_session_server(own->session);
  struct waiter *waiter = prepare_waiter(own, own->number);
  int err = server_publish(server, &publication, waiter, &id, &problem);
  if (err == UV_EAGAIN && !is_overdue(own)) return NO_ROOM;
  if (err != 0) {
    server_count_refusal(server, err);
    note_failed(own, own->number, err, problem);
    return REFUSED;
  }
  own->taken++;
  session_pay(own->session, RATE_PUBLISHES, 1);
  if (waiter == NULL) {
    note_published(own, own->number, id);
  } else {
    own->waiters++;
    own->unknown++;
  }
  return TAKEN;
}

/* The next message of a bulk. @return whether there is one that may be published */
static bool read_item(struct publish_request *own) {
  enum publish_body_outcome outcome = publish_body_next(&own->body, &own->item);
  if (outcome == PUBLISH_BODY_END) return false;
  own->has_item = true;
  own->number = own->body.number;
  if (outcome == PUBLISH_BODY_WRONG) {
    note_failed(own, own->number, own->body.err, own->body.problem);
    return false;
  }
  if (own->taken < LINES_MAX) return true;
  note_failed(own, own->number, UV_E2BIG, "too many messages: at most 1000 in one request");
  return false;
}

/* Add the item that was read to a batch, or leave it for publish_next. */
static bool add_to_batch(struct publish_batch *batch, const struct publish_item *item) {
  if (item->key != NULL || item->unsets) return false;
  if (batch->count == 0 && !publish_batch_set_topic(batch, item->topic, strlen(item->topic))) return false;
  if (strcmp(batch->topic, item->topic) != 0 || !publish_batch_takes(batch, item->length)) return false;
  return publish_batch_add(batch, item->data, item->length);
}

/* Read messages for one topic into a batch. `before` gets the state of the body before each of them. */
static void collect(struct publish_request *own, struct publish_batch *batch, struct publish_body *before) {
  while (batch->count < batch->most && own->taken + batch->count < LINES_MAX) {
    struct publish_body *state = &before[batch->count];
    *state = own->body;
    if (publish_body_next(&own->body, &own->item) != PUBLISH_BODY_ITEM) {
      own->body = *state;
      return;
    }
    own->has_item = true;
    own->number = own->body.number;
    if (!add_to_batch(batch, &own->item)) return;
    free_item(own);
    if (!publish_batch_has_time(batch, (size_t) (own->body.at - state->at))) return;
  }
}

/* Publish messages of a bulk that are for one topic together, as far as there is room; what was read and isn't
 * published is read again. @return how many were published */
static size_t publish_together(struct publish_request *own) {
  struct publish_batch batch;
  struct publish_body before[PUBLISH_BATCH_MAX];
  uint64_t first_id;
  if (!own->is_bulk || own->has_item || !publish_batch_init(&batch, own->session)) return 0;
  collect(own, &batch, before);
  if (batch.count == 0) return 0;
  size_t published = publish_batch_put(&batch, &first_id);
  if (published < batch.count) {
    free_item(own);
    own->body = before[published];
  }
  if (published == 0) return 0;
  own->taken += published;
  own->published += published;
  own->last_line = before[published - 1].number + 1; /* or later, but before what comes next */
  own->id = first_id + published - 1;
  return published;
}

/* @return how many messages were done; is_reading says whether some are left */
static size_t publish_rest(struct publish_request *own) {
  fluxbp_conn_t *conn = fluxbp_session_conn(own->session);
  size_t done = 0;
  own->is_reading = true;
  own->is_out_of_time = false;
  while (own->is_reading) {
    own->is_out_of_time = done > 0 && !fluxbp_conn_may_go_on(conn);
    if (own->is_out_of_time) break;
    size_t published = publish_together(own);
    done += published;
    if (published > 0) continue;
    enum outcome outcome = own->has_item || (own->is_bulk && read_item(own)) ? publish_next(own) : REFUSED;
    own->is_undecided = outcome == UNDECIDED;
    if (outcome == NO_ROOM || outcome == UNDECIDED) break;
    own->is_reading = outcome == TAKEN && own->is_bulk;
    free_item(own);
    own->is_allowed = false;
    done++;
  }
  return done;
}

/* Have it go on when it is its client's turn, or when there may be room. */
static void wait_to_go_on(struct publish_request *own) {
  bool waits_for_turn = own->is_out_of_time && fluxbp_conn_wait_turn(fluxbp_session_conn(own->session)) == 0;
  if (!waits_for_turn) room_wait(&session_shard(own->session)->room, &own->room);
}

static bool on_turn(struct room_waiter *waiter) {
  struct publish_request *own = REQUEST_OF(waiter);
  fluxbp_conn_t *conn = fluxbp_session_conn(own->session);
  room_leave(waiter);
  fluxbp_conn_begin_input(conn);
  size_t done = publish_rest(own);
  fluxbp_conn_end_input(conn);
  own->due.waits_for_room = own->is_reading;
  if (own->is_undecided)
    own->due.waits_for_room = false; /* it goes on when that is decided */
  else if (own->is_reading)
    wait_to_go_on(own);
  else if (own->unknown == 0)
    complete(own);
  return done > 0;
}

static void go_on(struct http_due *due) {
  struct publish_request *own = (struct publish_request *) due;
  (void) on_turn(&own->room);
}

/* The client has gone, and with it the messages that are left. */
static void on_forgotten(struct http_due *due) {
  struct publish_request *own = (struct publish_request *) due;
  room_leave(&own->room);
  own->is_reading = false;
  if (own->unknown == 0) free_request(own);
}

static void begin_publishing(struct publish_request *own) {
  fluxbp_session_t *session = own->session;
  (void) publish_rest(own);
  if (!own->is_reading && own->unknown == 0) {
    answer(session, own);
    free_request(own);
    return;
  }
  own->due.on_forgotten = on_forgotten;
  own->due.go_on = own->due.decided = go_on;
  own->due.waits_for_room = own->is_reading && !own->is_undecided;
  own->room.go_on = on_turn;
  http_wait(session, &own->due);
  if (own->is_reading && !own->is_undecided) wait_to_go_on(own);
}

/* No message: the value of the key is taken back. */
static void publish_one(fluxbp_session_t *session, const struct http_request *request,
                        const struct http_text *message) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  enum http_query_outcome has_topic = http_query(request->query, "topic", topic, sizeof topic);
  enum http_query_outcome has_key = http_query(request->query, "key", key, sizeof key);
  const char *problem = NULL;
  if (has_topic != HTTP_QUERY_OK)
    problem = message == NULL ? "say of which topic: DELETE /api/v1/state?topic=NAME&key=KEY"
                              : "say on which topic: POST /api/v1/publish?topic=NAME";
  if (has_key == HTTP_QUERY_WRONG) problem = "key has 1 to 64 bytes, percent-encoded";
  if (problem != NULL) {
    http_refuse(session, 400, problem, NULL);
    return;
  }
  struct publish_request *own = create(session, false, 1);
  if (own == NULL) return;
  memcpy(own->topic, topic, sizeof topic);
  if (has_key == HTTP_QUERY_OK) memcpy(own->key, key, sizeof key);
  own->item = (struct publish_item){.topic = own->topic,
                                    .key = has_key == HTTP_QUERY_OK ? own->key : NULL,
                                    .data = message != NULL ? message->data : NULL,
                                    .length = message != NULL ? message->length : 0,
                                    .unsets = message == NULL};
  own->has_item = true;
  own->number = 1;
  begin_publishing(own);
}

static void publish_message(fluxbp_session_t *session, const struct http_request *request,
                            enum publish_body_kind kind) {
  struct http_text message = publish_body_message(request->body, kind);
  publish_one(session, request, &message);
}

static void publish_many(fluxbp_session_t *session, enum publish_body_kind kind, struct http_text text) {
  size_t max_object_bytes = OBJECT_PARTS * fluxbp_session_server(session)->options.max_message + OBJECT_EXTRA_BYTES;
  bool has_waiters = fluxbp_session_server(session)->options.backbone != NULL;
  struct publish_request *own = create(session, true, has_waiters ? publish_body_count(kind, text, LINES_MAX) : 0);
  if (own == NULL) return;
  publish_body_begin(&own->body, kind, text, max_object_bytes);
  begin_publishing(own);
}

/* No body is taken that is encoded; a coding that does nothing may be named. */
static bool is_encoded(const struct http_request *request) {
  struct http_text coding = http_text_trim(http_request_header(request, "Content-Encoding"));
  return coding.length > 0 && !http_text_is_in_any_case(coding, "identity");
}

void publish_request_run(fluxbp_session_t *session, const struct http_request *request) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  bool has_topic = http_query(request->query, "topic", topic, sizeof topic) != HTTP_QUERY_NONE;
  enum publish_body_kind kind = publish_body_kind_of(http_request_header(request, "Content-Type"), has_topic);
  if (is_encoded(request))
    http_refuse(session, 415, "send the body as it is, without a Content-Encoding", "Accept-Encoding: identity\r\n");
  else if (kind == PUBLISH_BODY_NOT_HANDLED)
    http_refuse(session, 415, "send one message as the body, or several as application/x-ndjson or application/json",
                NULL);
  else if (kind == PUBLISH_BODY_BYTES || kind == PUBLISH_BODY_TEXT)
    publish_message(session, request, kind);
  else if (request->body.length == 0)
    http_refuse(session, 400, "the body is empty: send JSON objects with \"topic\" and \"data\"", NULL);
  else
    publish_many(session, kind, request->body);
}

void publish_request_unset(fluxbp_session_t *session, const struct http_request *request) {
  publish_one(session, request, NULL);
}
