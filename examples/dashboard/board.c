/* SPDX-License-Identifier: MIT */
/*
 * board: each thing that is kept has a key of the state topic; the messages are whole events, encoded once for all.
 */
#include "board.h"

#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVICTIONS_KEPT 256
#define PAST_KEPT 150
#define PAST_EVERY_MS 2000

enum key { KEY_GATEWAY = 1, KEY_SNAPSHOT, KEY_SLOW, KEY_EVICTIONS = 256, KEY_PAST = 512 };

/* Writes data that may have newlines as an event may have them: each of its lines is a `data` of its own. */
static void write_data(FILE *out, const char *data, size_t length) {
  const char *newline;
  while ((newline = memchr(data, '\n', length)) != NULL) {
    size_t line = (size_t) (newline - data);
    fprintf(out, "data: %.*s\n", (int) line, data);
    data = newline + 1;
    length -= line + 1;
  }
  fputs("data: ", out);
  fwrite(data, 1, length, out);
  fputs("\n\n", out);
}

static void publish_on_board(struct board *board, uint64_t key, const char *name, const char *data, size_t length) {
  char *text = NULL;
  size_t text_length = 0;
  FILE *out = open_memstream(&text, &text_length);
  int err = UV_ENOMEM;
  if (out != NULL) {
    fprintf(out, "event: %s\nid: %" PRIu64 "\n", name, board->session);
    write_data(out, data, length);
    if (fclose(out) == 0) err = fluxbp_topic_publish_bytes_keyed(board->topic, key, text, text_length);
    free(text);
  }
  if (err < 0 && err != UV_ECANCELED)
    log_event(LOG_LEVEL_WARN, "not_shown", log_word("what", name), log_phrase("error", uv_strerror(err)));
}

static void publish_text(struct board *board, uint64_t key, const char *name, const char *data) {
  publish_on_board(board, key, name, data, strlen(data));
}

int board_init(struct board *board, fluxbp_hub_t *hub, const char *topic) {
  *board = (struct board){.hub = hub};
  return fluxbp_topic_open_state(hub, topic, BOARD_KEYS_MAX, &board->topic);
}

/* The time of the day, so that it rises across restarts of ours as well. */
static uint64_t new_session(uint64_t last) {
  uv_timeval64_t now = {0};
  uv_gettimeofday(&now);
  uint64_t session = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_usec / 1000;
  return session > last ? session : last + 1;
}

void board_begin_session(struct board *board) {
  board->session = new_session(board->session);
  board->evictions = 0;
  for (uint64_t i = 0; i < EVICTIONS_KEPT; i++) fluxbp_topic_forget(board->topic, KEY_EVICTIONS + i);
  publish_text(board, KEY_GATEWAY, "gateway", "{\"state\":\"connected\"}");
}

void board_tell_connecting(struct board *board) {
  publish_text(board, KEY_GATEWAY, "gateway", "{\"state\":\"connecting\"}");
}

void board_tell_away(struct board *board, const char *problem, uint64_t retry_ms) {
  char text[512];
  snprintf(text, sizeof text, "{\"state\":\"away\",\"problem\":\"%s\",\"retry_ms\":%" PRIu64 "}", problem, retry_ms);
  publish_text(board, KEY_GATEWAY, "gateway", text);
}

static void take_snapshot(struct board *board, const char *data, size_t length) {
  publish_on_board(board, KEY_SNAPSHOT, "snapshot", data, length);
  uint64_t now_ms = uv_now(fluxbp_hub_loop(board->hub));
  if (board->past_points > 0 && now_ms - board->past_ms < PAST_EVERY_MS) return;
  board->past_ms = now_ms;
  publish_on_board(board, KEY_PAST + board->past_points++ % PAST_KEPT, "past", data, length);
}

void board_take_event(struct board *board, const char *name, const char *data, size_t length) {
  if (strcmp(name, "snapshot") == 0)
    take_snapshot(board, data, length);
  else if (strcmp(name, "slow") == 0)
    publish_on_board(board, KEY_SLOW, "slow", data, length);
  else if (strcmp(name, "evicted") == 0)
    publish_on_board(board, KEY_EVICTIONS + board->evictions++ % EVICTIONS_KEPT, "evicted", data, length);
}
