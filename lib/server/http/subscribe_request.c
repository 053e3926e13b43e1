/* SPDX-License-Identifier: MIT */
/*
 * subscribe_request: see the header.
 */
#include "subscribe_request.h"

#include "parameters.h"
#include "server/session/decisions.h"
#include "server/session/position.h"
#include "server/session/session_grants.h"
#include "server/session/subscriptions.h"

#include <string.h>

/* One "topic" of the query: names, separated by commas. */
static const char *add_topics(struct subscribe_request *wanted, struct http_text value, size_t max_topics) {
  char *rest = wanted->topics + wanted->topics_length;
  if (!http_query_decode(value, rest, sizeof wanted->topics - wanted->topics_length))
    return "topic is not percent-encoded properly";
  for (const char *topic = strsep(&rest, ","); topic != NULL; topic = strsep(&rest, ",")) {
    size_t length = strlen(topic);
    if (wanted->topic_count == max_topics)
      return "too many topics: they are over this server's limit of topics per client";
    if (!fluxbp_server_topic_is_right(topic, length))
      return "topic needs names, separated by commas, of " FLUXBP_SERVER_TOPIC_RULE;
    wanted->topic_count++;
    wanted->topics_length += length + 1;
  }
  return NULL;
}

static bool is_named(struct http_text name, const char *literal) {
  char decoded[PARAMETER_NAME_BYTES];
  return http_query_decode(name, decoded, sizeof decoded) && strcmp(decoded, literal) == 0;
}

static const char *read_topics(struct subscribe_request *wanted, struct http_text query, size_t max_topics) {
  struct http_text name, value;
  const char *problem = NULL;
  while (problem == NULL && http_query_next(&query, &name, &value))
    if (is_named(name, "topic")) problem = add_topics(wanted, value, max_topics);
  return problem;
}

static const char *read_format(struct subscribe_request *wanted, struct http_text query) {
  char format[8];
  enum http_query_outcome outcome = http_query(query, "format", format, sizeof format);
  wanted->has_format = outcome == HTTP_QUERY_OK;
  wanted->is_json = outcome == HTTP_QUERY_OK && strcmp(format, "json") == 0;
  if (outcome == HTTP_QUERY_NONE || wanted->is_json) return NULL;
  return outcome == HTTP_QUERY_OK && strcmp(format, "raw") == 0 ? NULL : "format is raw or json";
}

/* What an EventSource says that it has seen last: in its header; or, as polyfills that can't set headers do, in the
 * query, where the last one is the newest. An empty one says nothing. */
static enum http_query_outcome find_last_event_id(const struct http_request *request, char text[ID_TEXT_BYTES]) {
  struct http_text header = http_request_header(request, "Last-Event-ID");
  struct http_text query = request->query, name, value;
  enum http_query_outcome outcome = HTTP_QUERY_NONE;
  if (header.length >= ID_TEXT_BYTES) return HTTP_QUERY_WRONG;
  if (header.length > 0) {
    memcpy(text, header.data, header.length);
    text[header.length] = '\0';
    return HTTP_QUERY_OK;
  }
  while (http_query_next(&query, &name, &value))
    if (value.length > 0 && (is_named(name, "lastEventId") || is_named(name, "last_event_id")))
      outcome = http_query_decode(value, text, ID_TEXT_BYTES) ? HTTP_QUERY_OK : HTTP_QUERY_WRONG;
  return outcome;
}

/* What a client has seen last goes before `since`, which may have been in its address for hours. It need not be an id
 * of ours: a browser sends what it had from whoever was at this address before, and would never ask again if that were
 * an error. */
static const char *read_since(struct subscribe_request *wanted, const struct http_request *request) {
  char text[ID_TEXT_BYTES];
  enum http_query_outcome outcome = find_last_event_id(request, text);
  wanted->resumes = outcome != HTTP_QUERY_NONE;
  if (wanted->resumes) {
    wanted->point = (struct resume_point){.kind = RESUME_SINCE, .epoch = EPOCH_NONE};
    uint64_t epoch, since;
    if (outcome == HTTP_QUERY_WRONG || !id_parse(text, &epoch, &since)) return NULL;
    wanted->point.epoch = epoch;
    wanted->point.since = since;
    return NULL;
  }
  outcome = http_query(request->query, "since", text, sizeof text);
  wanted->resumes = outcome == HTTP_QUERY_OK && resume_point_parse(text, &wanted->point);
  return wanted->resumes || outcome == HTTP_QUERY_NONE ? NULL
                                                       : "since needs an id such as 5f1c0de5a7b3c9d2:17, or oldest";
}

static const char *read_last(struct subscribe_request *wanted, const struct http_request *request) {
  char text[ID_TEXT_BYTES];
  struct resume_point point;
  enum http_query_outcome outcome = http_query(request->query, "last", text, sizeof text);
  if (outcome == HTTP_QUERY_NONE) return NULL;
  if (outcome == HTTP_QUERY_WRONG || !resume_point_parse_last(text, &point))
    return "last needs a number of messages, from 1 to 999999999";
  if (http_query(request->query, "since", text, sizeof text) != HTTP_QUERY_NONE) return "say since or last, not both";
  if (!wanted->resumes) wanted->point = point; /* else it has seen something since */
  wanted->resumes = true;
  return NULL;
}

const char *subscribe_request_read(struct subscribe_request *wanted, const struct http_request *request,
                                   size_t max_topics) {
  *wanted = (struct subscribe_request){0};
  const char *problem = read_topics(wanted, request->query, max_topics);
  if (problem == NULL) problem = read_format(wanted, request->query);
  if (problem == NULL) problem = read_since(wanted, request);
  if (problem == NULL) problem = read_last(wanted, request);
  if (problem == NULL && http_query(request->query, "name", wanted->name, sizeof wanted->name) == HTTP_QUERY_WRONG)
    problem = "name has at most 64 bytes, percent-encoded";
  return problem;
}

bool subscribe_request_may_have_all(const struct subscribe_request *wanted, const fluxbp_session_t *session) {
  const char *end = wanted->topics + wanted->topics_length;
  if ((session->roles & FLUXBP_ROLE_SUBSCRIBE) == 0) return false;
  for (const char *topic = wanted->topics; topic < end; topic += strlen(topic) + 1)
    if (!session_may(session, FLUXBP_ROLE_SUBSCRIBE, topic)) return false;
  return true;
}

static int hold_topics(const struct subscribe_request *wanted, fluxbp_session_t *session) {
  const char *fallback = fluxbp_session_server(session)->options.topic;
  if (wanted->topic_count == 0) {
    bool may_have = fallback != NULL && session_may(session, FLUXBP_ROLE_SUBSCRIBE, fallback);
    return may_have ? session_hold(session, fallback) : 0;
  }
  const char *end = wanted->topics + wanted->topics_length;
  for (const char *topic = wanted->topics; topic < end; topic += strlen(topic) + 1) {
    int err = session_hold(session, topic);
    if (err < 0) return err;
  }
  return 0;
}

static void run_again(struct http_due *due) {
  http_run_again(due->session);
}

/* Question 0 is whether the client may subscribe at all; then each of its topics is one. */
fluxbp_decision_t subscribe_request_decide(const struct subscribe_request *wanted, fluxbp_session_t *session,
                                           const struct http_request *request, const char **reason) {
  const char *topic = wanted->topics;
  size_t begin = decisions_place(session);
  for (size_t place = 0; place <= wanted->topic_count; place++) {
    fluxbp_decision_t decision = FLUXBP_ALLOW;
    if (place >= begin && place == 0) decision = decisions_connect(session, request, reason);
    if (place >= begin && place > 0) decision = decisions_subscribe(session, topic, reason);
    if (place > 0) topic += strlen(topic) + 1;
    if (decision == FLUXBP_LATER && !session->is_closing) decisions_wait(session, place, run_again);
    if (decision != FLUXBP_ALLOW || session->is_closing) return session->is_closing ? FLUXBP_LATER : decision;
  }
  return FLUXBP_ALLOW;
}

void subscribe_request_carry_out(const struct subscribe_request *wanted, fluxbp_session_t *session) {
  (void) fluxbp_session_set_name(session, wanted->name, strlen(wanted->name));
  int err = session_serve(session);
  if (session->is_closing) return; /* the program doesn't want it after all */
  if (err == 0) err = hold_topics(wanted, session);
  if (err >= 0 && !wanted->resumes) err = session_subscribe_held(session);
  if (err == UV_EMFILE)
    session_close(session, FLUXBP_CLOSE_TRY_LATER,
                  "too many topics: this server's limit of topics is reached; try again later");
  else if (err == UV_ENFILE)
    session_close(session, FLUXBP_CLOSE_TRY_LATER, session_quota_problem(session));
  else if (err < 0)
    session_close(session, FLUXBP_CLOSE_TRY_LATER, "the server has no room for this subscription; try again later");
  else if (wanted->resumes)
    session_resume(session, &wanted->point);
  else
    (void) session_say_position(session);
}
