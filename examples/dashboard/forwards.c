/* SPDX-License-Identifier: MIT */
/*
 * forwards: a call each, whose answer is collected up to a limit.
 */
#include "forwards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARDS_MAX 32
#define DEADLINE_MS 5000
#define ANSWER_BYTES_MAX 65536

static const char late[] = "it did not answer within 5 s";

struct forward {
  struct forwards *forwards;
  struct forward *next;
  struct gateway_call call;
  uint64_t deadline_ms;
  forward_cb on_answer; /* NULL: cancelled */
  void *user;
  int status;
  size_t length;
  char answer[ANSWER_BYTES_MAX];
};

static void on_head(struct gateway_call *call, int status) {
  struct forward *forward = call->user;
  forward->status = status;
}

static void on_body(struct gateway_call *call, const char *data, size_t length) {
  struct forward *forward = call->user;
  if (length > sizeof forward->answer - forward->length) {
    gateway_call_stop(call, "its answer is too long");
    return;
  }
  memcpy(forward->answer + forward->length, data, length);
  forward->length += length;
}

static void remove_forward(struct forward *forward) {
  struct forward **place = &forward->forwards->first;
  while (*place != forward) place = &(*place)->next;
  *place = forward->next;
  forward->forwards->count--;
  free(forward);
}

static void on_end(struct gateway_call *call, const char *problem) {
  struct forward *forward = call->user;
  char text[256];
  if (forward->on_answer == NULL) {
    /* nobody waits */
  } else if (problem != NULL) {
    int length = snprintf(text, sizeof text, "{\"error\":\"The gateway gave no answer: %s\"}", problem);
    forward->on_answer(forward->user, problem == late ? 504 : 502, text, (size_t) length);
  } else {
    forward->on_answer(forward->user, forward->status, forward->answer, forward->length);
  }
  remove_forward(forward);
}

static const struct gateway_call_events call_events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

struct forward *forwards_ask(struct forwards *forwards, const struct gateway_target *target,
                             const struct gateway_question *question, forward_cb on_answer, void *user) {
  if (forwards->count == FORWARDS_MAX) return NULL;
  struct forward *forward = malloc(sizeof *forward);
  if (forward == NULL) return NULL;
  forward->forwards = forwards;
  forward->call = (struct gateway_call){.events = &call_events, .user = forward};
  forward->deadline_ms = uv_now(fluxbp_hub_loop(forwards->hub)) + DEADLINE_MS;
  forward->on_answer = on_answer;
  forward->user = user;
  forward->status = 0;
  forward->length = 0;
  if (gateway_call_begin(&forward->call, forwards->hub, target, question) != 0) {
    free(forward);
    return NULL;
  }
  forward->next = forwards->first;
  forwards->first = forward;
  forwards->count++;
  return forward;
}

void forward_cancel(struct forward *forward) {
  forward->on_answer = NULL;
  gateway_call_stop(&forward->call, "nobody waits for it");
}

void forwards_tick(struct forwards *forwards) {
  uint64_t now_ms = uv_now(fluxbp_hub_loop(forwards->hub));
  for (struct forward *forward = forwards->first; forward != NULL; forward = forward->next)
    if (now_ms >= forward->deadline_ms) gateway_call_stop(&forward->call, late);
}
