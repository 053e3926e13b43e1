/* SPDX-License-Identifier: MIT */
/*
 * results: the memory, sums, rates, and whether the numbers are those of the server or of the load client itself.
 */
#define _DEFAULT_SOURCE
#include "results.h"

#include "common/units.h"
#include "publisher.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* From here on a process has no time left to be on time. */
static const double busy_percent = 90;
/* Over a shorter time a rate would say more about the clock than about anything else. */
static const double least_rate_s = 0.2;

static const uint64_t much_lag_ns = 10 * NS_PER_MS;

struct results *results_create(uint32_t process_count) {
  size_t bytes = sizeof(struct results) + process_count * sizeof(struct process_results);
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  struct results *results = memory; /* zeros */
  results->process_count = process_count;
  return results;
}

uint64_t results_cpu_ns(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return (uint64_t) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
         (uint64_t) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
}

struct results_view results_look(const struct results *results) {
  struct results_view view = {.connect_error = 0};
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    results_add(view.classes, process->classes, sizeof view.classes);
    if (view.connect_error == 0) view.connect_problem = process->connect_problem;
    if (view.connect_error == 0) view.connect_error = process->connect_error;
    view.waited_for += process->waited_for;
    view.unfinished += process->unfinished;
    view.unfinished_clean += process->unfinished_clean;
    view.stalled_left += process->stalled_left;
    view.unanswered += process->unanswered;
    if (process->progress_ns > view.progress_ns) view.progress_ns = process->progress_ns;
  }
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    results_add(&view.all, &view.classes[i], sizeof view.all);
    if (mix_is_lossless((enum client_class) i)) view.lossless += view.classes[i].clients;
  }
  return view;
}

static double seconds(uint64_t ns) {
  return (double) ns / 1e9;
}

static void add_processes(struct totals *totals, const struct results *results) {
  uint64_t first_ns = UINT64_MAX, last_ns = 0, cpu_ns = 0, messages = totals->view.all.messages;
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    double cpu_percent = totals->measured_s >= least_rate_s ? 100 * seconds(process->cpu_ns) / totals->measured_s : 0;
    uint64_t lag_ns = histogram_percentile(&process->loop_lag, 99);
    for (int j = 0; j < CLIENT_CLASSES; j++) {
      histogram_add(&totals->times[j].latency, &process->times[j].latency);
      histogram_add(&totals->times[j].connect, &process->times[j].connect);
      histogram_add(&totals->times[j].eviction, &process->times[j].eviction);
      totals->is_timed = totals->is_timed || totals->times[j].latency.count > 0;
    }
    cpu_ns += process->cpu_ns;
    if (cpu_percent > totals->busiest_cpu_percent) totals->busiest_cpu_percent = cpu_percent;
    if (lag_ns > totals->loop_lag_p99_ns) totals->loop_lag_p99_ns = lag_ns;
    if (process->first_message_ns != 0 && process->first_message_ns < first_ns) first_ns = process->first_message_ns;
    if (process->last_message_ns > last_ns) last_ns = process->last_message_ns;
  }
  if (last_ns > first_ns) totals->receiving_s = seconds(last_ns - first_ns);
  if (totals->receiving_s >= least_rate_s) totals->messages_per_second = (double) messages / totals->receiving_s;
  totals->cpu_ns_per_message = results_rate((double) cpu_ns, (double) messages);
}

static void add_publisher(struct totals *totals, const struct options *options, const struct results *results) {
  const struct publisher_results *publisher = &results->publisher;
  for (uint32_t i = 0; i < options->publishers; i++) {
    totals->sent += publisher->sent[i];
    totals->refused += publisher->refused[i];
  }
  totals->planned = publisher->planned > totals->sent ? publisher->planned : totals->sent;
  totals->missed = totals->planned - totals->sent;
  double sending_s = seconds(publisher->last_ns - publisher->first_ns);
  if (sending_s < least_rate_s) return;
  totals->sent_per_second = totals->sent > 1 ? results_rate((double) (totals->sent - 1), sending_s) : 0;
  totals->publisher_cpu_percent = results_rate(100 * seconds(publisher->cpu_ns), sending_s);
}

__attribute__((format(printf, 2, 3))) static void remark(struct totals *totals, const char *format, ...) {
  if (totals->remark_count == TOTALS_REMARKS) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(totals->remarks[totals->remark_count++], TOTALS_REMARK_BYTES, format, arguments);
  va_end(arguments);
}

static void judge_receivers(struct totals *totals, const struct options *options) {
  char lag[UNITS_TEXT_BYTES];
  bool is_busy = totals->busiest_cpu_percent >= busy_percent;
  totals->is_bottleneck = totals->is_timed && (is_busy || totals->loop_lag_p99_ns >= much_lag_ns);
  if (!totals->is_bottleneck) return;
  if (is_busy)
    remark(totals,
           "the load client is the bottleneck: one of its %" PRIu32 " processes used %.0f %% of a core. Latencies are "
           "its own in part; use more --processes, or fewer clients or messages.",
           options->processes, totals->busiest_cpu_percent);
  else
    remark(totals,
           "the load client came late to its clients (p99 %s) though it wasn't busy: the machine is. Latencies are its "
           "own in part.",
           units_write_duration(totals->loop_lag_p99_ns, lag));
}

static void judge_publisher(struct totals *totals, const struct options *options, const struct results *results) {
  const struct publisher_results *publisher = &results->publisher;
  uint64_t unanswered = totals->view.unanswered;
  bool has_rate = options->pace == PUBLISH_AT_RATE;
  if (has_rate && totals->publisher_cpu_percent >= busy_percent) {
    totals->is_bottleneck = true;
    remark(totals,
           "the publisher is the bottleneck: it used %.0f %% of a core and sent %.0f of %.0f messages a second.",
           totals->publisher_cpu_percent, totals->sent_per_second, options->rate);
  } else if (has_rate && totals->missed + publisher->late > totals->sent / 100) {
    remark(totals,
           "the server took messages later than planned: of %" PRIu64 " planned ones %" PRIu64
           " were sent more than 10 ms late and %" PRIu64 " never.%s Latencies count from the planned times.",
           totals->planned, publisher->late, totals->missed,
           options->publish.kind != TARGET_HTTP
               ? ""
               : " A POST waits for the answer to the one before: more --publishers help.");
  }
  if (totals->refused > 0)
    remark(totals, "the server was busy and refused %" PRIu64 " messages; no client is expected to have got those.",
           totals->refused);
  if (unanswered > 0)
    remark(totals,
           "%" PRIu64 " clients got no answer to PING, so it isn't known when they were subscribed: what they missed "
           "at the very beginning isn't seen.",
           unanswered);
}

void totals_add_up(struct totals *totals, const struct options *options, const struct results *results) {
  totals->view = results_look(results);
  totals->elapsed_s = seconds(results->over_ns - results->start_ns);
  if (results->running_ns != 0) totals->measured_s = seconds(results->over_ns - results->running_ns);
  add_processes(totals, results);
  judge_receivers(totals, options);
  if (!options->publishes) return;
  add_publisher(totals, options, results);
  judge_publisher(totals, options, results);
}

bool totals_is_intact(const struct totals *totals) {
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct integrity_totals *found = &totals->view.classes[i].integrity;
    if (found->duplicates + found->disorders + found->corrupt > 0) return false;
    if (mix_is_lossless((enum client_class) i) && found->lost + found->gap_notices > 0) return false;
  }
  return true;
}
