/* SPDX-License-Identifier: MIT */
/*
 * gateway_watch: one call after the other. A tick decides everything that has to do with time.
 */
#include "gateway_watch.h"

#include "common/log.h"

#include <string.h>

#define SILENCE_MS 5000 /* snapshots come four times a second */
#define PAUSE_FIRST_MS 250
#define PAUSE_LONGEST_MS 4000
#define EVENT_BYTES_MAX ((size_t) 8 << 20) /* `slow` with half a million connections */

static uint64_t now_ms(const struct gateway_watch *watch) {
  return uv_now(fluxbp_hub_loop(watch->board.hub));
}

/* Between half of it and the whole: dashboards that lost the same gateway don't come back together. */
static uint64_t with_jitter(uint64_t pause_ms) {
  uint16_t random = 0;
  uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
  return pause_ms / 2 + pause_ms / 2 * random / UINT16_MAX;
}

/* A gateway that stops says so in a stream with nothing else in it. */
static void on_event(void *user, const char *name, const char *data, size_t length) {
  struct gateway_watch *watch = user;
  if (strcmp(name, "closing") == 0) return;
  if (!watch->has_begun) {
    board_begin_session(&watch->board);
    log_event(LOG_LEVEL_INFO, "gateway_connected", log_word("gateway", watch->target->name));
  }
  watch->has_begun = true;
  watch->pause_ms = PAUSE_FIRST_MS; /* it works: the next trouble is a new one */
  board_take_event(&watch->board, name, data, length);
}

static void on_head(struct gateway_call *call, int status) {
  struct gateway_watch *watch = call->user;
  watch->status = status;
}

static void on_body(struct gateway_call *call, const char *data, size_t length) {
  struct gateway_watch *watch = call->user;
  if (watch->status == 200) sse_reader_take(&watch->events, data, length);
}

static const char *problem_of(const struct gateway_watch *watch, const char *problem) {
  switch (watch->status) {
  case 0:
    return problem != NULL ? problem : "it closed the connection";
  case 200:
    return problem != NULL ? problem : "it ended the stream";
  case 401:
  case 403:
    return "it wants the admin token: start the dashboard with --token-file";
  case 404:
    return "it has no watch stream: is that the gateway's --http address?";
  default:
    return "it answered with an error";
  }
}

static void be_away(struct gateway_watch *watch, const char *problem) {
  uint64_t pause_ms = with_jitter(watch->pause_ms);
  watch->resume_ms = now_ms(watch) + pause_ms;
  if (watch->pause_ms < PAUSE_LONGEST_MS) watch->pause_ms *= 2;
  board_tell_away(&watch->board, problem, pause_ms);
  log_event(LOG_LEVEL_WARN, "gateway_away", log_word("gateway", watch->target->name), log_phrase("problem", problem),
            log_number("retry_ms", pause_ms));
}

static void on_end(struct gateway_call *call, const char *problem) {
  struct gateway_watch *watch = call->user;
  sse_reader_reset(&watch->events);
  if (!watch->is_stopping) be_away(watch, problem_of(watch, problem));
}

static const struct gateway_call_events call_events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static void begin(struct gateway_watch *watch) {
  static const struct gateway_question question = {.method = "GET", .path = "/api/v1/watch"};
  watch->status = 0;
  watch->has_begun = false;
  watch->resume_ms = 0;
  int err = gateway_call_begin(&watch->call, watch->board.hub, watch->target, &question);
  if (err != 0) be_away(watch, uv_strerror(err));
}

int gateway_watch_init(struct gateway_watch *watch, const struct gateway_target *target, fluxbp_hub_t *hub,
                       const char *topic) {
  *watch = (struct gateway_watch){.target = target, .pause_ms = PAUSE_FIRST_MS};
  watch->call.events = &call_events;
  watch->call.user = watch;
  sse_reader_init(&watch->events, EVENT_BYTES_MAX, on_event, watch);
  int err = board_init(&watch->board, hub, topic);
  if (err != 0) return err;
  board_tell_connecting(&watch->board);
  begin(watch);
  return 0;
}

void gateway_watch_tick(struct gateway_watch *watch) {
  if (watch->resume_ms != 0 && now_ms(watch) >= watch->resume_ms)
    begin(watch);
  else if (watch->resume_ms == 0 && now_ms(watch) - watch->call.heard_ms > SILENCE_MS)
    gateway_call_stop(&watch->call, "nothing was heard for 5 s");
}

void gateway_watch_stop(struct gateway_watch *watch) {
  watch->is_stopping = true;
}
