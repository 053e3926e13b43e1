/* SPDX-License-Identifier: MIT */
/*
 * feed: the pump between an input and a server.
 *
 * It stops, and nothing more is read, when
 * - the server has no room (UV_EAGAIN), since a client is waited for, the backbone is behind, or the budget is used up:
 * a timer
 *   tries the same line again;
 * - it has published for one time slice: an idle handle goes on in the next iteration of the loop, so that timers,
 *   reads and new connections don't wait for a whole piece of input.
 * What was read and not yet published stays where it is, in the input's piece or in `kept`.
 *
 * A line ends with LF or CR LF; any other byte may be in it. A byte order mark at the beginning of the input is no part
 * of its first line. Empty lines are skipped, since a message has at least one byte; lines over the limit are skipped
 * whole; a last line without a newline is published.
 */
#include "feed.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_NS ((uint64_t) 2 * 1000 * 1000)
#define RETRY_MS 1
#define MEMORY_RETRY_MS 10
#define WARNING_MS 1000

/* Of the budget, that is in use when a message is refused for lack of memory. */
#define FULL_BUDGET_PERCENT 80

/* A byte order mark in front of a line, and the CR behind it. */
#define MARK_BYTES 3
#define MORE_THAN_MESSAGE_BYTES (MARK_BYTES + 1)

enum outcome { PUBLISHED, NO_ROOM, STOPPED };

static void skip_too_long(struct feed *feed) {
  feed->has_begun = true;
  feed->skipped_long++;
  log_event(LOG_LEVEL_WARN, "line_skipped", log_phrase("reason", "longer than --max-message"),
            log_number("max_message", feed->max_message), log_number("skipped", feed->skipped_long));
}

/* What of a line is the message; a last line has no newline, and may have a CR. */
static void take_message(struct feed *feed, const char *line, size_t length) {
  bool has_mark = !feed->has_begun && length >= MARK_BYTES && memcmp(line, "\xef\xbb\xbf", MARK_BYTES) == 0;
  size_t mark = has_mark ? MARK_BYTES : 0;
  feed->has_begun = true;
  if (length > mark && line[length - 1] == '\r') length--;
  if (length == mark) {
    feed->skipped_empty++;
  } else if (length - mark > feed->max_message) {
    skip_too_long(feed);
  } else {
    feed->line = line + mark;
    feed->line_length = length - mark;
  }
}

/* Keep what there is of a line, unless it is too long already. */
static void keep_part(struct feed *feed, size_t length) {
  if (!feed->skips && feed->kept_length + length > feed->max_message + MORE_THAN_MESSAGE_BYTES) {
    feed->skips = true;
    skip_too_long(feed);
  }
  if (!feed->skips && length > 0) memcpy(feed->kept + feed->kept_length, feed->rest, length);
  feed->kept_length = feed->skips ? 0 : feed->kept_length + length;
}

/* Take a line that has its end, or the last one. @return false: there is none in what was read */
static bool cut_line(struct feed *feed) {
  const char *newline = feed->rest_length > 0 ? memchr(feed->rest, '\n', feed->rest_length) : NULL;
  if (newline == NULL) {
    keep_part(feed, feed->rest_length);
    feed->rest_length = 0;
    if (!feed->has_ended || feed->kept_length == 0) return false;
  }
  const char *line = feed->rest;
  size_t length = newline != NULL ? (size_t) (newline - line) : 0;
  if (feed->kept_length > 0 || feed->skips) {
    keep_part(feed, length);
    line = feed->kept;
  }
  if (newline != NULL) {
    feed->rest += length + 1;
    feed->rest_length -= length + 1;
  }
  if (line == feed->kept) length = feed->kept_length;
  if (!feed->skips) take_message(feed, line, length);
  feed->skips = false;
  feed->kept_length = 0;
  return true;
}

/* Sets feed->line to the next line to publish. @return whether there is one in what was read */
static bool next_line(struct feed *feed) {
  while (feed->line == NULL)
    if (!cut_line(feed)) return false;
  return true;
}

static enum outcome publish_line(struct feed *feed) {
  int result = fluxbp_server_publish(feed->server, feed->topic, NULL, feed->line, feed->line_length);
  if (result == UV_EAGAIN || result == UV_ENOTCONN || result == UV_ENOBUFS) return NO_ROOM;
  if (result == UV_ECANCELED) return STOPPED;
  feed->line = NULL;
  if (result == 0) {
    feed->published++;
    return PUBLISHED;
  }
  feed->failed++;
  log_event(LOG_LEVEL_ERROR, "publish_failed", log_phrase("error", uv_strerror(result)),
            log_number("failed", feed->failed));
  return PUBLISHED; /* the next line may be better */
}

static void end_feed(struct feed *feed) {
  int status = feed->status;
  feed_close(feed);
  log_event(status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "input_ended",
            log_phrase("reason", status == 0 ? "end of input" : uv_strerror(status)),
            log_number("published", feed->published), log_number("skipped_long", feed->skipped_long),
            log_number("skipped_empty", feed->skipped_empty));
  feed->on_end(feed, status);
}

/* @return whether a piece will come; if reading fails, that is the end of the input */
static bool read_more(struct feed *feed) {
  if (feed->has_ended) return false;
  int err = input_read(&feed->input);
  if (err == 0) return true;
  feed->has_ended = true;
  feed->status = err;
  return false;
}

static void continue_feed(struct feed *feed);

static void on_next_slice(uv_idle_t *idle) {
  uv_idle_stop(idle);
  continue_feed(idle->data);
}

static void on_retry(uv_timer_t *timer) {
  continue_feed(timer->data);
}

static bool is_memory_used_up(const struct feed *feed) {
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(feed->server, &stats);
  return stats.pool.used_bytes > stats.pool.max_bytes / 100 * FULL_BUDGET_PERCENT;
}

static void wait_for_room(struct feed *feed) {
  uint64_t now_ms = uv_now(feed->loop);
  bool is_for_memory = is_memory_used_up(feed);
  if (is_for_memory && (feed->retries++ == 0 || now_ms - feed->warned_ms >= WARNING_MS)) {
    feed->warned_ms = now_ms;
    log_event(
        LOG_LEVEL_WARN, "input_waits",
        log_phrase("reason", "the budget is used up by what slow clients have not taken; raise --budget if this lasts"),
        log_number("retries", feed->retries));
  }
  uv_timer_start(&feed->retry, on_retry, is_for_memory ? MEMORY_RETRY_MS : RETRY_MS, 0);
}

static void continue_feed(struct feed *feed) {
  if (!feed->is_started || !feed->is_open) return;
  uint64_t slice_end = uv_hrtime() + SLICE_NS;
  for (;;) {
    if (!next_line(feed)) {
      if (read_more(feed)) return;
      if (next_line(feed)) continue; /* the last one had no newline */
      end_feed(feed);
      return;
    }
    switch (publish_line(feed)) {
    case PUBLISHED:
      break;
    case NO_ROOM:
      wait_for_room(feed);
      return;
    case STOPPED:
      return;
    }
    if (uv_hrtime() >= slice_end) {
      uv_idle_start(&feed->next_slice, on_next_slice);
      return;
    }
  }
}

static void on_piece(struct input *input, const char *data, ssize_t length) {
  struct feed *feed = input->user;
  if (length > 0) {
    feed->rest = data;
    feed->rest_length = (size_t) length;
  } else {
    feed->has_ended = true;
    feed->status = (int) length;
  }
  continue_feed(feed);
}

int feed_open(struct feed *feed, uv_loop_t *loop, uv_file fd) {
  feed->kept = malloc((size_t) feed->max_message + MORE_THAN_MESSAGE_BYTES);
  if (feed->kept == NULL) return UV_ENOMEM;
  int err = input_open(&feed->input, loop, fd, on_piece);
  if (err != 0) return err;
  feed->input.user = feed;
  feed->loop = loop;
  uv_idle_init(loop, &feed->next_slice);
  uv_timer_init(loop, &feed->retry);
  feed->next_slice.data = feed;
  feed->retry.data = feed;
  feed->is_open = true;
  return 0;
}

void feed_start(struct feed *feed) {
  if (feed->is_started || !feed->is_open) return;
  feed->is_started = true;
  log_event(LOG_LEVEL_INFO, "input_started", log_word("topic", feed->topic));
  continue_feed(feed);
}

void feed_close(struct feed *feed) {
  if (!feed->is_open) return;
  feed->is_open = false;
  input_close(&feed->input);
  uv_close((uv_handle_t *) &feed->next_slice, NULL);
  uv_close((uv_handle_t *) &feed->retry, NULL);
}

void feed_free(struct feed *feed) {
  free(feed->kept);
}
