/* SPDX-License-Identifier: MIT */
/*
 * progress: "[#######-------------]  12 s  500/500 connected  45012 msg/s  p99 1.27 ms  15 evicted"
 */
#include "progress.h"

#include "values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_CELLS 20

enum { BEFORE, NOW, LATENCIES };

void progress_init(struct progress *progress, const struct options *options) {
  *progress = (struct progress){.is_terminal = isatty(STDERR_FILENO) != 0, .is_shown = !options->is_quiet};
  if (progress->is_shown) progress->latency = calloc(LATENCIES, sizeof *progress->latency);
}

/* Add up the latencies of the healthy clients. */
static void sum_latencies(struct progress *progress, const struct results *results) {
  if (progress->latency == NULL) return;
  memset(&progress->latency[NOW], 0, sizeof progress->latency[NOW]);
  for (uint32_t i = 0; i < results->process_count; i++)
    histogram_add(&progress->latency[NOW], &results->processes[i].classes[CLIENT_HEALTHY].latency);
}

/* Return how much of the run is over, from 0 to 1; less than 0 if that isn't known. */
static double part_done(const struct options *options, const struct results *results, const struct results_view *view,
                        uint64_t now_ns) {
  if (results->running_ns == 0) return options->connections > 0 ? (double) view->connected / options->connections : -1;
  if (options->duration_ns > 0) return (double) (now_ns - results->running_ns) / (double) options->duration_ns;
  uint64_t last = options->until > 0 ? options->until : options->messages;
  uint64_t lossless = options->mix.shares[CLIENT_HEALTHY] + options->mix.shares[CLIENT_RECONNECT];
  if (last == 0 || lossless == 0) return -1;
  return (double) view->messages / ((double) last * (double) lossless);
}

static void write_bar(double part) {
  char bar[BAR_CELLS + 1];
  int filled = part > 1 ? BAR_CELLS : (int) (part * BAR_CELLS);
  for (int i = 0; i < BAR_CELLS; i++) bar[i] = i < filled ? '#' : '-';
  bar[BAR_CELLS] = '\0';
  fprintf(stderr, "[%s]  ", bar);
}

static void write_p99(struct progress *progress) {
  char text[VALUES_TEXT_BYTES];
  struct histogram *latency = progress->latency;
  if (latency == NULL || latency[NOW].count == latency[BEFORE].count) return;
  fprintf(stderr, "  p99 %s",
          values_write_duration(histogram_percentile_since(&latency[NOW], &latency[BEFORE], 99), text));
  latency[BEFORE] = latency[NOW];
}

void progress_show(struct progress *progress, const struct options *options, const struct results *results,
                   uint64_t now_ns) {
  if (!progress->is_shown) return;
  if (progress->shown_ns == 0) progress->shown_ns = results->start_ns;
  uint64_t passed_ns = now_ns - progress->shown_ns;
  if (passed_ns < NS_PER_S) return;
  struct results_view view = results_look(results);
  uint64_t failed = view.unfinished - view.unfinished_clean;
  sum_latencies(progress, results);
  char rate[VALUES_TEXT_BYTES];
  double part = part_done(options, results, &view, now_ns);
  double per_second = (double) (view.messages - progress->shown_messages) * 1e9 / (double) passed_ns;
  if (progress->is_terminal) fputs("\r", stderr);
  if (progress->is_terminal && part >= 0) write_bar(part);
  fprintf(stderr, "%.0f s", (double) (now_ns - results->start_ns) / 1e9);
  if (options->connections > 0) {
    fprintf(stderr, "  %" PRIu64 "/%" PRIu32 " connected  %s msg/s", view.connected, options->connections,
            values_write_count((uint64_t) per_second, rate));
    write_p99(progress);
    fprintf(stderr, "  %" PRIu64 " evicted", view.evicted);
  } else {
    fprintf(stderr, "  %s sent", values_write_count(results->publisher.lateness.count, rate));
  }
  if (options->until > 0) fprintf(stderr, "  %" PRIu64 " done", view.lossless - view.unfinished);
  if (failed > 0) fprintf(stderr, "  %" PRIu64 " with faults", failed);
  fputs(progress->is_terminal ? "\033[K" : "\n", stderr); /* \033[K clears what is left of a longer line before */
  fflush(stderr);
  progress->shown_ns = now_ns;
  progress->shown_messages = view.messages;
}

void progress_end(struct progress *progress) {
  if (progress->is_terminal && progress->is_shown) fputs("\r\033[K", stderr);
  free(progress->latency);
  progress->latency = NULL;
  progress->is_shown = false;
}
