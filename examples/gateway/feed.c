/* SPDX-License-Identifier: MIT */
/*
 * feed: the pump between an input and a bus.
 *
 * It stops, and nothing more is read, when
 * - the bus is full, since a hub is busy or waits for a client, or the backbone is: a timer tries the same line again;
 * - the pool's budget is used up: the same;
 * - it has published for one time slice: an idle handle goes on in the next iteration of the loop, so that timers,
 *   reads and new connections don't wait for a whole piece of input.
 * What was read and not yet published stays where it is, in the input's piece and in the splitter.
 *
 * A line ends with LF or CR LF; any other byte may be in it. A byte order mark at the beginning of the input is no part of its
 * first line. Empty lines are skipped, since a message has at least one byte; lines over the limit are skipped whole; a last
 * line without a newline is published.
 */
#include "feed.h"

#include "common/log.h"
#include "server/backbone.h"
#include "server/lines/line_text.h"

#define SLICE_NS ((uint64_t) 2 * 1000 * 1000)
#define BUS_RETRY_MS 1
#define MEMORY_RETRY_MS 10
#define WARNING_MS 1000

enum outcome { PUBLISHED, BUS_IS_FULL, NO_MEMORY, STOPPED };

static void skip_too_long(struct feed *feed, enum line_outcome outcome) {
  feed->has_begun = true;
  feed->skipped_long++;
  if (outcome == LINE_TOO_LONG)
    log_event(LOG_LEVEL_WARN, "line_skipped", log_phrase("reason", "longer than --max-message"),
              log_number("max_message", feed->max_message), log_number("skipped", feed->skipped_long));
  else
    log_event(LOG_LEVEL_ERROR, "line_skipped", log_phrase("reason", "out of memory"),
              log_number("skipped", feed->skipped_long));
}

/* A byte order mark in front of a line, and the CR behind it. */
#define MORE_THAN_MESSAGE_BYTES (BYTE_ORDER_MARK_BYTES + 1)

/* What of a line is the message; a last line has no newline, and may have a CR. */
static void take_message(struct feed *feed, const char *line, size_t length) {
  size_t mark = feed->has_begun ? 0 : line_text_mark(line, length);
  feed->has_begun = true;
  if (length > mark && line[length - 1] == '\r') length--;
  if (length == mark) {
    feed->skipped_empty++;
  } else if (length - mark > feed->max_message) {
    skip_too_long(feed, LINE_TOO_LONG);
  } else {
    feed->line = line + mark;
    feed->line_length = length - mark;
  }
}

/* Sets feed->line to the next line to publish. @return whether there is one in what was read */
static bool next_line(struct feed *feed) {
  while (feed->line == NULL) {
    const char *line = NULL;
    size_t length = 0;
    switch (line_splitter_next(&feed->lines, feed->max_message + MORE_THAN_MESSAGE_BYTES, &feed->rest,
                               &feed->rest_length, &line, &length)) {
    case LINE_WHOLE:
      break;
    case LINE_NONE:
      if (!feed->has_ended || !line_splitter_finish(&feed->lines, &line, &length)) return false;
      break;
    case LINE_TOO_LONG:
      skip_too_long(feed, LINE_TOO_LONG);
      continue;
    case LINE_OUT_OF_MEMORY:
      skip_too_long(feed, LINE_OUT_OF_MEMORY);
      continue;
    }
    take_message(feed, line, length);
  }
  return true;
}

static int publish_on_backbone(struct feed *feed) {
  const char *problem;
  const char *topic = fluxbp_bus_topic_name(feed->bus, feed->topic);
  return backbone_publish(feed->backbone, topic, NULL, feed->line, feed->line_length, NULL, &problem);
}

static int publish_on_bus(struct feed *feed) {
  return fluxbp_bus_publish_bytes(feed->bus, feed->topic, feed->line, feed->line_length, NULL);
}

static enum outcome publish_line(struct feed *feed) {
  int result = feed->backbone != NULL ? publish_on_backbone(feed) : publish_on_bus(feed);
  if (result == UV_EAGAIN || result == UV_ENOTCONN) return BUS_IS_FULL;
  if (result == UV_ENOBUFS || result == UV_ENOMEM) return NO_MEMORY;
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

static void end(struct feed *feed) {
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

static void go_on(struct feed *feed);

static void on_next_slice(uv_idle_t *idle) {
  uv_idle_stop(idle);
  go_on(idle->data);
}

static void on_retry(uv_timer_t *timer) {
  go_on(timer->data);
}

static void wait_for_memory(struct feed *feed) {
  uint64_t now_ms = uv_now(feed->loop);
  if (feed->retries++ == 0 || now_ms - feed->warned_ms >= WARNING_MS) {
    feed->warned_ms = now_ms;
    log_event(
        LOG_LEVEL_WARN, "input_waits",
        log_phrase("reason", "the budget is used up by what slow clients have not taken; raise --budget if this lasts"),
        log_number("retries", feed->retries));
  }
  uv_timer_start(&feed->retry, on_retry, MEMORY_RETRY_MS, 0);
}

static void go_on(struct feed *feed) {
  if (!feed->is_started || !feed->is_open) return;
  uint64_t slice_end = uv_hrtime() + SLICE_NS;
  for (;;) {
    if (!next_line(feed)) {
      if (read_more(feed)) return;
      if (next_line(feed)) continue; /* the last one had no newline */
      end(feed);
      return;
    }
    switch (publish_line(feed)) {
    case PUBLISHED:
      break;
    case BUS_IS_FULL:
      uv_timer_start(&feed->retry, on_retry, BUS_RETRY_MS, 0);
      return;
    case NO_MEMORY:
      wait_for_memory(feed);
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
  go_on(feed);
}

int feed_open(struct feed *feed, uv_loop_t *loop, uv_file fd, uint32_t max_message, feed_cb on_end) {
  int err = input_open(&feed->input, loop, fd, on_piece);
  if (err != 0) return err;
  feed->input.user = feed;
  feed->loop = loop;
  feed->on_end = on_end;
  feed->max_message = max_message;
  line_splitter_init(&feed->lines);
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
  log_event(LOG_LEVEL_INFO, "input_started", log_word("topic", fluxbp_bus_topic_name(feed->bus, feed->topic)));
  go_on(feed);
}

void feed_close(struct feed *feed) {
  if (!feed->is_open) return;
  feed->is_open = false;
  input_close(&feed->input);
  uv_close((uv_handle_t *) &feed->next_slice, NULL);
  uv_close((uv_handle_t *) &feed->retry, NULL);
}

void feed_free(struct feed *feed) {
  line_splitter_reset(&feed->lines);
}
