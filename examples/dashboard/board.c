/* SPDX-License-Identifier: MIT */
/*
 * board: each thing that is kept has a key of the state topic. The server encodes each message once for all browsers.
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
#define KEY_BYTES 32

/* A line end in JSON is a blank between two tokens; a message of a state topic is one line. */
static void copy_as_one_line(char *to, const char *from, size_t length) {
  for (size_t i = 0; i < length; i++) to[i] = from[i] == '\n' || from[i] == '\r' ? ' ' : from[i];
}

static void publish_on_board(const struct board *board, const char *key, const char *event, const char *data,
                             size_t length) {
  int err = UV_ENOMEM;
  char *text = malloc(BOARD_FRAME_BYTES + length);
  if (text != NULL) {
    size_t used = (size_t) snprintf(text, BOARD_FRAME_BYTES,
                                    "{\"event\":\"%s\",\"session\":%" PRIu64 ",\"data\":", event, board->session);
    copy_as_one_line(text + used, data, length);
    text[used + length] = '}';
    err = fluxbp_server_publish(board->server, board->topic, key, text, used + length + 1);
    free(text);
  }
  if (err != 0 && err != UV_ECANCELED)
    log_event(LOG_LEVEL_WARN, "not_shown", log_word("what", event), log_phrase("error", uv_strerror(err)));
}

/* One of several things of the same name, under a key of its own. */
static void publish_numbered(const struct board *board, const char *event, uint64_t number, const char *data,
                             size_t length) {
  char key[KEY_BYTES];
  snprintf(key, sizeof key, "%s.%" PRIu64, event, number);
  publish_on_board(board, key, event, data, length);
}

static void publish_state(const struct board *board, const char *data) {
  publish_on_board(board, "gateway", "gateway", data, strlen(data));
}

void board_name(size_t number, char name[BOARD_NAME_BYTES]) {
  snprintf(name, BOARD_NAME_BYTES, "gateway-%u", (unsigned) number);
}

void board_init(struct board *board, fluxbp_server_t *server, size_t number) {
  *board = (struct board){.server = server};
  board_name(number, board->topic);
}

/* The time of the day, so that sessions rise across restarts of the dashboard as well. */
static uint64_t new_session(uint64_t last) {
  uv_timeval64_t now = {0};
  uv_gettimeofday(&now);
  uint64_t session = (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_usec / 1000;
  return session > last ? session : last + 1;
}

static void remove_evictions(struct board *board) {
  char key[KEY_BYTES];
  for (uint64_t i = 0; i < board->evictions && i < EVICTIONS_KEPT; i++) {
    snprintf(key, sizeof key, "evicted.%" PRIu64, i);
    (void) fluxbp_server_unset(board->server, board->topic, key); /* if it stays, it is of an earlier session */
  }
  board->evictions = 0;
}

void board_begin_session(struct board *board) {
  remove_evictions(board);
  board->session = new_session(board->session);
  publish_state(board, "{\"state\":\"connected\"}");
}

void board_show_connecting(struct board *board) {
  publish_state(board, "{\"state\":\"connecting\"}");
}

void board_show_away(struct board *board, const char *problem, uint64_t retry_ms) {
  char text[512];
  snprintf(text, sizeof text, "{\"state\":\"away\",\"problem\":\"%s\",\"retry_ms\":%" PRIu64 "}", problem, retry_ms);
  publish_state(board, text);
}

static void show_snapshot(struct board *board, const char *data, size_t length, uint64_t now_ms) {
  publish_on_board(board, "snapshot", "snapshot", data, length);
  if (board->past_points > 0 && now_ms - board->past_ms < PAST_EVERY_MS) return;
  board->past_ms = now_ms;
  publish_numbered(board, "past", board->past_points++ % PAST_KEPT, data, length);
}

void board_show_event(struct board *board, const char *name, const char *data, size_t length, uint64_t now_ms) {
  if (strcmp(name, "snapshot") == 0)
    show_snapshot(board, data, length, now_ms);
  else if (strcmp(name, "slow") == 0)
    publish_on_board(board, "slow", "slow", data, length);
  else if (strcmp(name, "evicted") == 0)
    publish_numbered(board, "evicted", board->evictions++ % EVICTIONS_KEPT, data, length);
}
