/* SPDX-License-Identifier: MIT */
/*
 * api_policy: the policy at run time. It is changed on the server's loop, which has the newest, and then on every hub.
 */
#include "api.h"

#include "api_call.h"
#include "describe.h"
#include "policy_text.h"
#include "server/http/http_client.h"
#include "server/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PROBLEM_BYTES 256

json_t *describe_policy(const fluxbp_policy_t *policy) {
  json_t *object = json_object();
  for (size_t i = 0; i < POLICY_SETTINGS; i++) {
    const fluxbp_policy_setting_t *setting = &policy_settings[i];
    uint64_t value = policy_get(policy, setting);
    json_t *described;
    if (setting->type.kind == FLUXBP_VALUE_CHOICE)
      described = json_string(setting->type.choices[value]);
    else if (setting->type.kind == FLUXBP_VALUE_SWITCH)
      described = json_boolean(value);
    else
      described = json_integer((json_int_t) value);
    json_object_set_new(object, setting->name, described);
  }
  return object;
}

struct policy_request {
  char by[FLUXBP_ACTOR_TEXT_BYTES];
  json_t *changes;
  fluxbp_policy_t policy;
  char problem[PROBLEM_BYTES];
};

static bool set_from_json(fluxbp_policy_t *policy, const char *name, const json_t *value, char *problem) {
  char text[FLUXBP_VALUE_TEXT_BYTES];
  if (json_is_string(value)) return policy_set(policy, name, json_string_value(value), problem, PROBLEM_BYTES);
  if (json_is_boolean(value))
    return policy_set(policy, name, json_is_true(value) ? "on" : "off", problem, PROBLEM_BYTES);
  if (json_is_integer(value)) {
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return policy_set(policy, name, text, problem, PROBLEM_BYTES);
  }
  snprintf(problem, PROBLEM_BYTES, "%s must be a number, a string, true or false", name);
  return false;
}

/* @return whether all of it is right; then `policy` has it */
static bool apply_changes(struct policy_request *wanted, const fluxbp_server_options_t *options) {
  const struct policy_surroundings surroundings = {.max_message = options->max_message, .budget = options->budget};
  const char *name;
  json_t *value;
  json_object_foreach(wanted->changes, name, value) {
    if (!set_from_json(&wanted->policy, name, value, wanted->problem)) return false;
  }
  return policy_check(&wanted->policy, &surroundings, wanted->problem, sizeof wanted->problem);
}

/* On the thread of a hub. Each setting was checked, so that it can't refuse them. */
static void visit_policy(struct shard *shard, struct survey *survey) {
  const struct policy_request *wanted = ((struct api_call *) survey)->request;
  int err = fluxbp_hub_set_policy(shard->hub, &wanted->policy);
  if (err != 0) server_log(shard->server, FLUXBP_LOG_ERROR, "policy_not_set", log_phrase("error", uv_strerror(err)));
}

static void finish_policy(struct api_call *call) {
  struct policy_request *wanted = call->request;
  call->object = describe_policy(&wanted->policy);
}

static void free_policy(struct api_call *call) {
  struct policy_request *wanted = call->request;
  if (wanted == NULL) return;
  json_decref(wanted->changes);
  free(wanted);
}

/* Return the settings that are changed, as the policy has them now. */
static json_t *describe_changes(const struct policy_request *wanted) {
  json_t *changed = json_object();
  json_t *policy = describe_policy(&wanted->policy);
  const char *name;
  json_t *value;
  json_object_foreach(wanted->changes, name, value) {
    json_object_set(changed, name, json_object_get(policy, name));
  }
  json_decref(policy);
  return changed;
}

static void note_change(fluxbp_server_t *server, const struct policy_request *wanted) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  json_t *changes = describe_changes(wanted);
  char *text = json_dumps(changes, JSON_COMPACT);
  server_log(server, FLUXBP_LOG_INFO, "policy_changed", log_word("by", wanted->by),
             log_phrase("changes", text != NULL ? text : "?"));
  free(text);
  json_decref(server->policy_change);
  server->policy_change = json_pack("{sf so so}", "time", (double) now.tv_sec + (double) now.tv_nsec / 1e9, "by",
                                    json_of_bytes(wanted->by, strlen(wanted->by)), "changes", changes);
}

/* On the server's loop: what is to be changed is known, and is told to all hubs if it is right. */
static void finish_changes(struct api_call *call) {
  struct policy_request *wanted = call->request;
  fluxbp_server_t *server = call->server;
  wanted->policy = server->policy;
  if (!apply_changes(wanted, &server->options)) {
    call->status = 400;
    call->object = json_pack("{ss}", "error", wanted->problem);
    return;
  }
  server->policy = wanted->policy;
  note_change(server, wanted);
  api_call_ask(call, visit_policy, finish_policy);
}

static void finish_get(struct api_call *call) {
  call->object = describe_policy(&call->server->policy);
}

void api_get_policy(fluxbp_session_t *session, const struct http_request *request) {
  (void) request;
  api_call_start(session, (struct api_call){.finish = finish_get});
}

void api_set_policy(fluxbp_session_t *session, const struct http_request *request) {
  json_t *changes = request->body.length > 0
                        ? json_loadb(request->body.data, request->body.length, JSON_REJECT_DUPLICATES, NULL)
                        : NULL;
  if (!json_is_object(changes)) {
    json_decref(changes);
    http_refuse(session, 400, "send a JSON object, such as {\"stall_ms\": 10000}", NULL);
    return;
  }
  struct policy_request *wanted = calloc(1, sizeof *wanted);
  if (wanted == NULL) {
    json_decref(changes);
    http_refuse(session, 503, "out of memory; try again later", NULL);
    return;
  }
  wanted->changes = changes;
  fluxbp_session_actor(session, FLUXBP_ROLE_ADMIN, wanted->by);
  api_call_start(session, (struct api_call){.finish = finish_changes, .free = free_policy, .request = wanted});
}
