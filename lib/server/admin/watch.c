/* SPDX-License-Identifier: MIT */
/*
 * watch: see the header. What is published is the text of the event as it goes out.
 */
#include "watch.h"

#include "evictions.h"
#include "report.h"

#include <stdlib.h>

#define INTERVAL_MS 250

struct look {
  struct survey survey;
  fluxbp_server_t *server;
  struct report *report;
};

static bool publish_event(fluxbp_server_t *server, uint64_t key, const struct text *text) {
  fluxbp_msg_t *msg;
  if (text->is_broken) return false;
  if (fluxbp_msg_create_keyed(server->pool, key, text->data, text->length, &msg) != 0) return false;
  int err = server->has_given_ids ? fluxbp_bus_publish_to_as(server->bus, WATCH_TOPIC, msg, 0)
                                  : fluxbp_bus_publish_to(server->bus, WATCH_TOPIC, msg, NULL);
  fluxbp_msg_unref(msg);
  if (err != 0) return false;
  server->watch_published++;
  return true;
}

bool watch_publish(fluxbp_server_t *server, uint64_t key, const char *event, const json_t *object) {
  struct text text = {0};
  char *data = object != NULL ? json_dumps(object, WATCH_JSON) : NULL;
  if (data == NULL) return false;
  text_print(&text, "event: %s\ndata: %s\n\n", event, data);
  free(data);
  bool is_out = publish_event(server, key, &text);
  text_free(&text);
  return is_out;
}

static void publish_slow(const struct look *look) {
  struct text text = {0};
  text_print(&text, "event: slow\ndata: ");
  report_slow(look->report, &text);
  text_print(&text, "\n\n");
  (void) publish_event(look->server, WATCH_KEY_SLOW, &text); /* the next one comes soon */
  text_free(&text);
}

static void visit(struct shard *shard, struct survey *survey) {
  report_take(((struct look *) survey)->report, shard, true);
}

static void done(struct survey *survey) {
  struct look *look = (struct look *) survey;
  fluxbp_server_t *server = look->server;
  report_add_up(look->report);
  json_t *snapshot = report_snapshot(look->report, &server->policy);
  (void) watch_publish(server, WATCH_KEY_SNAPSHOT, "snapshot", snapshot);
  json_decref(snapshot);
  publish_slow(look);
  evictions_publish(server->evictions);
  report_free(look->report);
  free(look);
  server->is_watch_asking = false;
}

static void on_timer(uv_timer_t *timer) {
  fluxbp_server_t *server = timer->data;
  if (atomic_load(&server->watchers) == 0 || server->is_watch_asking) return;
  struct look *look = calloc(1, sizeof *look);
  struct report *report = look != NULL ? report_create(server) : NULL;
  if (report == NULL) {
    free(look);
    return;
  }
  *look = (struct look){.survey = {.visit = visit, .done = done}, .server = server, .report = report};
  server->is_watch_asking = true;
  shards_ask(&server->shards, &look->survey);
}

void watch_start(fluxbp_server_t *server, uv_loop_t *loop) {
  uv_timer_init(loop, &server->watch_timer);
  server->watch_timer.data = server;
  uv_timer_start(&server->watch_timer, on_timer, INTERVAL_MS, INTERVAL_MS);
}
