/* SPDX-License-Identifier: MIT */
/*
 * metrics: a snapshot and a histogram as Prometheus text. Pure: both are made up here, no hub is needed. With --print
 * it prints them instead, for promtool.
 */
#include "fluxbp/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 16 * 1024 };

/* Every figure is another one, so that no two can be mixed up. */
static fluxbp_metrics_t snapshot(void) {
  fluxbp_metrics_t metrics = {
      .published = 101,
      .accepted = 102,
      .written = 103,
      .written_at_once = 104,
      .dropped = 105,
      .dropped_newest = 60,
      .dropped_oldest = 40,
      .conflated = 106,
      .discarded = 107,
      .written_bytes = 108,
      .received_bytes = 109,
      .writes = 110,
      .refusals = 111,
      .io_uring_writes = 121,
      .backpressure_events = 112,
      .ring_full_events = 113,
      .gaps = 114,
      .opened = 115,
      .closed = 116,
      .spared = 117,
      .unkept = 119,
      .crowd_slow_events = 118,
      .connections = 201,
      .topics = 202,
      .queued = 203,
      .queued_bytes = 204,
      .refused = 205,
      .backpressured = 206,
      .kernel_bytes = 207,
      .longest_turn_us = 1002003,
      .is_crowd_slow = 1,
      .backpressured_fill_percent = 75,
      .write_success_rate = 0.5,
      .history_forgotten = 500,
      .history_forgotten_by_topic = 300,
      .history_forgotten_by_age = 150,
      .history_messages = 208,
      .history_bytes = 209,
      .input_us = 2003004,
      .input_waits = 120,
      .input_waiting = 210,
  };
  for (int i = 0; i < FLUXBP_EVICT_REASON_COUNT; i++) {
    metrics.evictions[i] = 300 + (uint64_t) i;
    metrics.shadow_evictions[i] = 400 + (uint64_t) i;
  }
  return metrics;
}

static const char *text_of(const fluxbp_metrics_t *metrics) {
  static char text[ROOM];
  size_t len = fluxbp_metrics_prometheus(metrics, text, sizeof text);
  assert_true(len < sizeof text);
  assert_int_equal(len, strlen(text));
  return text;
}

/* How many lines begin with `start`. */
static int lines_with(const char *text, const char *start) {
  int lines = 0;
  for (const char *line = text; line != NULL && *line != '\0';) {
    lines += strncmp(line, start, strlen(start)) == 0;
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return lines;
}

static void assert_has_line(const char *text, const char *line) {
  char with_end[256];
  (void) snprintf(with_end, sizeof with_end, "%s\n", line);
  if (lines_with(text, with_end) != 1) fail_msg("not exactly one line: %s", line);
}

/* The recorded text: the file behind its comments. */
static const char *recorded_text(void) {
  static char text[ROOM];
  FILE *file = fopen(METRICS_TEXT, "r");
  assert_non_null(file);
  size_t length = fread(text, 1, sizeof text - 1, file);
  (void) fclose(file);
  text[length] = '\0';
  const char *start = strstr(text, "# HELP ");
  assert_non_null(start);
  return start;
}

/* Compare line by line, so that a failure names the line. */
static void metrics_text_is_the_recorded_one(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = snapshot();
  const char *text = text_of(&metrics);
  const char *recorded = recorded_text();
  while (*text != '\0' || *recorded != '\0') {
    int length = (int) strcspn(text, "\n");
    int recorded_length = (int) strcspn(recorded, "\n");
    if (length != recorded_length || memcmp(text, recorded, (size_t) length + 1) != 0)
      fail_msg("recorded: %.*s\n   written: %.*s", recorded_length, recorded, length, text);
    text += length + 1;
    recorded += recorded_length + 1;
  }
}

static void metrics_of_several_hubs_add_up(void **state) {
  (void) state;
  fluxbp_metrics_t sum = {0};
  fluxbp_metrics_t one = snapshot();
  fluxbp_metrics_t other = {.written = 10, .written_at_once = 5, .topics = 300, .backpressured = 206, .connections = 1};
  other.backpressured_fill_percent = 25;
  fluxbp_metrics_add(&sum, &one);
  one.write_success_rate = 104.0 / (103 + 105 + 106); /* what the figures say, which snapshot doesn't */
  assert_memory_equal(&sum, &one, sizeof sum);
  fluxbp_metrics_add(&sum, &other);
  assert_int_equal(sum.written, 113);
  assert_int_equal(sum.connections, 202);
  assert_int_equal(sum.topics, 300); /* the same ones, and some more */
  assert_int_equal(sum.history_messages, 208);
  assert_int_equal(sum.history_forgotten, 500);
  assert_int_equal(sum.backpressured, 412);
  assert_int_equal(sum.backpressured_fill_percent, 50);
  assert_true(sum.write_success_rate == 109.0 / (113 + 105 + 106));
  fluxbp_metrics_add(&sum, &one);
  assert_int_equal(sum.evictions[FLUXBP_EVICT_SLOW], 2 * one.evictions[FLUXBP_EVICT_SLOW]);
}

static void metrics_text_is_cut_as_snprintf_cuts(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = snapshot();
  const char *whole = text_of(&metrics);
  size_t len = strlen(whole);
  assert_int_equal(fluxbp_metrics_prometheus(&metrics, NULL, 0), len);

  static char out[ROOM];
  for (size_t capacity = 1; capacity <= len + 2; capacity++) {
    memset(out, 0x7e, sizeof out);
    size_t kept = capacity <= len ? capacity - 1 : len;
    assert_int_equal(fluxbp_metrics_prometheus(&metrics, out, capacity), len);
    assert_memory_equal(out, whole, kept);
    assert_int_equal(out[kept], '\0');
    assert_int_equal(out[capacity], 0x7e);
  }
}

static void metrics_write_nothing_without_room(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = snapshot();
  char out = 'x';
  assert_true(fluxbp_metrics_prometheus(&metrics, &out, 0) > 0);
  assert_int_equal(out, 'x');
}

static void metrics_counters_are_exact_up_to_the_last_one(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = snapshot();
  metrics.written_bytes = UINT64_MAX;
  metrics.evictions[FLUXBP_EVICT_SLOW] = UINT64_MAX - 1;
  const char *text = text_of(&metrics);
  assert_has_line(text, "fluxbp_written_bytes_total 18446744073709551615");
  assert_has_line(text, "fluxbp_evictions_total{reason=\"slow\"} 18446744073709551614");
}

static void metrics_gauges_of_bytes_are_exact_beyond_ten_digits(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = snapshot();
  metrics.queued_bytes = 12345678901; /* 12 GB pending: 12 000 connections with 1 MiB each */
  assert_has_line(text_of(&metrics), "fluxbp_pending_bytes 12345678901");
}

static void metrics_of_nothing_are_all_zero(void **state) {
  (void) state;
  fluxbp_metrics_t metrics = {.write_success_rate = 1.0};
  const char *text = text_of(&metrics);
  assert_has_line(text, "fluxbp_messages_published_total 0");
  assert_has_line(text, "fluxbp_backpressured_fill_ratio 0.000000");
  assert_has_line(text, "fluxbp_write_success_ratio 1.000000");
}

/* ---- the histogram ---- */

static const char *histogram_text(const fluxbp_histogram_t *histogram) {
  static char text[ROOM];
  size_t len =
      fluxbp_histogram_prometheus(histogram, "fluxbp_broadcast_duration_seconds", "How long.", text, sizeof text);
  assert_true(len < sizeof text);
  assert_int_equal(len, strlen(text));
  return text;
}

static fluxbp_histogram_t some_times(void) {
  fluxbp_histogram_t histogram = {0};
  fluxbp_histogram_record(&histogram, 63);
  fluxbp_histogram_record(&histogram, 64); /* at least 64 us, so not below that bound */
  fluxbp_histogram_record_many(&histogram, 5000, 3);
  fluxbp_histogram_record(&histogram, 100000000);
  return histogram;
}

static void histogram_text_is_complete(void **state) {
  static const char expected[] = "# HELP fluxbp_broadcast_duration_seconds How long.\n"
                                 "# TYPE fluxbp_broadcast_duration_seconds histogram\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.000064\"} 1\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.000256\"} 2\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.001024\"} 2\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.002048\"} 2\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.004096\"} 2\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.008192\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.016384\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.032768\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.065536\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"0.262144\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"1.048576\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"4.194304\"} 5\n"
                                 "fluxbp_broadcast_duration_seconds_bucket{le=\"+Inf\"} 6\n"
                                 "fluxbp_broadcast_duration_seconds_sum 100.015127\n"
                                 "fluxbp_broadcast_duration_seconds_count 6\n";
  (void) state;
  fluxbp_histogram_t histogram = some_times();
  assert_string_equal(histogram_text(&histogram), expected);
}

static void histogram_text_is_cut_as_snprintf_cuts(void **state) {
  fluxbp_histogram_t histogram = some_times();
  const char *whole = histogram_text(&histogram);
  char out[8];
  (void) state;
  memset(out, 0x7e, sizeof out);
  assert_int_equal(fluxbp_histogram_prometheus(&histogram, "fluxbp_broadcast_duration_seconds", "How long.", out, 7),
                   strlen(whole));
  assert_memory_equal(out, "# HELP\0\x7e", sizeof out);
}

static int print_all(void) {
  fluxbp_metrics_t metrics = snapshot();
  fluxbp_histogram_t histogram = some_times();
  return printf("%s%s", text_of(&metrics), histogram_text(&histogram)) > 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--print") == 0) return print_all();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(metrics_text_is_the_recorded_one),
      cmocka_unit_test(metrics_of_several_hubs_add_up),
      cmocka_unit_test(metrics_text_is_cut_as_snprintf_cuts),
      cmocka_unit_test(metrics_write_nothing_without_room),
      cmocka_unit_test(metrics_counters_are_exact_up_to_the_last_one),
      cmocka_unit_test(metrics_gauges_of_bytes_are_exact_beyond_ten_digits),
      cmocka_unit_test(metrics_of_nothing_are_all_zero),
      cmocka_unit_test(histogram_text_is_complete),
      cmocka_unit_test(histogram_text_is_cut_as_snprintf_cuts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
