/* SPDX-License-Identifier: MIT */
/*
 * subscribe_request: see the header.
 */
#include "subscribe_request.h"

#include "server/session/resume.h"
#include "server/session/subscriptions.h"

#include <string.h>

static const char *read_topics(struct subscribe_request *wanted, struct http_text query) {
  char list[CLIENT_TOPICS_MAX * (TOPICS_NAME_BYTES + 1) + 1];
  char *rest = list;
  enum http_query_outcome outcome = http_query(query, "topic", list, sizeof list);
  if (outcome == HTTP_QUERY_NONE) return NULL;
  if (outcome == HTTP_QUERY_WRONG) return "topic is too long, or not percent-encoded properly: at most 16 topics";
  for (const char *topic = strsep(&rest, ","); topic != NULL; topic = strsep(&rest, ",")) {
    if (wanted->topic_count == CLIENT_TOPICS_MAX) return "too many topics: at most 16 for one client";
    if (!topics_is_name(topic, strlen(topic))) return "topic needs names, separated by commas, of " TOPICS_NAME_RULE;
    strcpy(wanted->topics[wanted->topic_count++], topic);
  }
  return NULL;
}

static const char *read_format(struct subscribe_request *wanted, struct http_text query) {
  char format[8];
  enum http_query_outcome outcome = http_query(query, "format", format, sizeof format);
  wanted->is_json = outcome == HTTP_QUERY_OK && strcmp(format, "json") == 0;
  if (outcome == HTTP_QUERY_NONE || wanted->is_json) return NULL;
  return outcome == HTTP_QUERY_OK && strcmp(format, "raw") == 0 ? NULL : "format is raw or json";
}

/* Last-Event-ID is what a browser has seen last; since may have been in its address for hours. */
static const char *read_since(struct subscribe_request *wanted, const struct http_request *request) {
  static const char form[] = "since and Last-Event-ID need an id such as 5f1c0de5a7b3c9d2:17";
  char text[ID_TEXT_BYTES];
  struct http_text last = http_request_header(request, "Last-Event-ID");
  if (last.data != NULL && last.length > 0) {
    if (last.length >= sizeof text) return form;
    memcpy(text, last.data, last.length);
    text[last.length] = '\0';
  } else {
    enum http_query_outcome outcome = http_query(request->query, "since", text, sizeof text);
    if (outcome == HTTP_QUERY_NONE) return NULL;
    if (outcome == HTTP_QUERY_WRONG) return form;
  }
  wanted->resumes = true;
  return id_parse(text, &wanted->epoch, &wanted->since) ? NULL : form;
}

const char *subscribe_request_read(struct subscribe_request *wanted, const struct http_request *request) {
  *wanted = (struct subscribe_request){0};
  const char *problem = read_topics(wanted, request->query);
  if (problem == NULL) problem = read_format(wanted, request->query);
  if (problem == NULL) problem = read_since(wanted, request);
  if (problem == NULL && http_query(request->query, "name", wanted->name, sizeof wanted->name) == HTTP_QUERY_WRONG)
    problem = "name has at most 64 bytes, percent-encoded";
  return problem;
}

static int hold_topics(const struct subscribe_request *wanted, struct client *client) {
  if (wanted->topic_count == 0) return client_hold(client, client_server(client)->options->topic);
  for (size_t i = 0; i < wanted->topic_count; i++) {
    int err = client_hold(client, wanted->topics[i]);
    if (err < 0) return err;
  }
  return 0;
}

void subscribe_request_carry_out(const struct subscribe_request *wanted, struct client *client) {
  client_set_name(client, wanted->name, strlen(wanted->name));
  int err = client_serve(client);
  if (err == 0) err = hold_topics(wanted, client);
  if (err >= 0 && !wanted->resumes) err = client_subscribe_held(client);
  if (err < 0)
    client_close(client, WEBSOCKET_TRY_LATER, "the server has no room for this subscription; try again later");
  else if (wanted->resumes)
    client_resume(client, wanted->epoch, wanted->since);
}
