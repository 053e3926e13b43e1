/* SPDX-License-Identifier: MIT */
/*
 * report: the table for people.
 */
#include "report.h"

#include "common/address.h"
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <uv.h>

static void print_latencies(FILE *file, const struct histogram *latency) {
  static const double percentiles[] = {50, 90, 99, 99.9, 99.99, 100};
  char text[VALUES_TEXT_BYTES];
  for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
    uint64_t ns = histogram_percentile(latency, percentiles[i]);
    fprintf(file, " %9s", latency->count > 0 ? values_write_duration(ns, text) : "-");
  }
}

static void print_classes(FILE *file, const struct totals *totals) {
  fprintf(file, "\n%-10s %9s %9s %9s %9s %9s %9s %9s %9s %9s\n", "latency", "clients", "messages", "a second", "p50",
          "p90", "p99", "p99.9", "p99.99", "max");
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_results *class = &totals->classes[i];
    char messages[VALUES_TEXT_BYTES], rate[VALUES_TEXT_BYTES];
    if (class->clients == 0) continue;
    double per_second = totals->receiving_s > 0 ? (double) class->messages / totals->receiving_s : 0;
    fprintf(file, "%-10s %9" PRIu64 " %9s %9s", mix_class_names[i], class->clients,
            values_write_count(class->messages, messages), values_write_count((uint64_t) per_second, rate));
    print_latencies(file, &class->latency);
    fputc('\n', file);
  }
}

static void print_integrity(FILE *file, const struct totals *totals) {
  fprintf(file, "\n%-10s %9s %9s %9s %9s %9s %9s %9s %9s\n", "integrity", "ok", "failed", "lost", "twice", "disorder",
          "corrupt", "gaps", "evicted");
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_results *class = &totals->classes[i];
    const struct integrity_totals *found = &class->integrity;
    if (class->clients == 0) continue;
    fprintf(file, "%-10s", mix_class_names[i]);
    if (mix_is_lossless((enum client_class) i))
      fprintf(file, " %9" PRIu64 " %9" PRIu64, class->ok, class->failed);
    else
      fprintf(file, " %9s %9s", "-", "-");
    fprintf(file, " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n", found->lost,
            found->duplicates, found->disorders, found->corrupt, found->gap_notices, class->evicted);
  }
}

static void print_times(FILE *file, const char *title, const struct histogram *times) {
  char least[VALUES_TEXT_BYTES], median[VALUES_TEXT_BYTES], p99[VALUES_TEXT_BYTES], most[VALUES_TEXT_BYTES];
  if (times->count == 0) return;
  fprintf(file, "%-10s %s to %s, median %s, p99 %s\n", title, values_write_duration(times->min_ns, least),
          values_write_duration(times->max_ns, most), values_write_duration(histogram_percentile(times, 50), median),
          values_write_duration(histogram_percentile(times, 99), p99));
}

static void print_behaviours(FILE *file, const struct totals *totals) {
  const struct class_results *stalled = &totals->classes[CLIENT_STALLED];
  const struct class_results *reconnect = &totals->classes[CLIENT_RECONNECT];
  struct histogram connect = {0};
  for (int i = 0; i < CLIENT_CLASSES; i++) histogram_add(&connect, &totals->classes[i].connect);
  print_times(file, "connecting", &connect);
  if (stalled->clients > 0)
    fprintf(file, "%-10s %" PRIu64 " of %" PRIu64 " evicted\n", "stalled", stalled->evicted, stalled->clients);
  print_times(file, "eviction", &stalled->eviction);
  if (reconnect->clients > 0)
    fprintf(file, "%-10s %" PRIu64 " cuts, %" PRIu64 " resumed, %" PRIu64 " too old\n", "reconnect", reconnect->cuts,
            reconnect->resumes, reconnect->too_old);
}

static void print_publisher(FILE *file, const struct options *options, const struct totals *totals) {
  if (!options->publishes) return;
  fprintf(file, "%-10s %" PRIu64 " messages to %s, %.0f a second", "published", totals->sent, options->publish.text,
          totals->sent_per_second);
  if (options->pace == PUBLISH_AT_RATE)
    fprintf(file, " of %.0f asked for; %" PRIu64 " planned, %" PRIu64 " missed", options->rate, totals->planned,
            totals->missed);
  fprintf(file, ", %" PRIu64 " refused\n", totals->refused);
}

static void print_costs(FILE *file, const struct totals *totals) {
  char lag[VALUES_TEXT_BYTES];
  fprintf(file, "%-10s %.0f ns of CPU for a received message; %.0f %% of a core at most, loop lag p99 %s\n", "own cost",
          totals->cpu_ns_per_message, totals->busiest_cpu_percent, values_write_duration(totals->loop_lag_p99_ns, lag));
}

static void print_clients(FILE *file, const struct options *options, const struct totals *totals) {
  uint64_t connected = 0;
  for (int i = 0; i < CLIENT_CLASSES; i++) connected += totals->classes[i].ever_connected;
  fprintf(file, "%-10s %s\n%-10s %" PRIu64 " of %" PRIu32 " clients\n", "target", options->target.text, "connected",
          connected, options->connections);
  print_behaviours(file, totals);
  print_classes(file, totals);
  print_integrity(file, totals);
  fputc('\n', file);
  print_costs(file, totals);
}

static void print_slos(FILE *file, const struct options *options, const struct totals *totals) {
  for (uint32_t i = 0; i < options->slo_count; i++) {
    const struct slo *slo = &options->slos[i];
    char text[VALUES_TEXT_BYTES];
    double measured;
    bool is_met = slo_is_met(slo, totals, &measured);
    if (slo_is_time(slo))
      values_write_duration((uint64_t) measured, text);
    else
      snprintf(text, sizeof text, "%.0f", measured);
    fprintf(file, "%-10s %s %s: %s\n", "objective", is_met ? "met   " : "MISSED", slo->text, text);
  }
}

static void print_failures(FILE *file, const struct results *results, const struct totals *totals) {
  uint64_t shown = 0, failed = totals_failed(totals);
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    for (uint32_t j = 0; j < process->failure_count && shown < RESULTS_FAILURES; j++, shown++)
      fprintf(file, "  %s\n", process->failures[j]);
  }
  if (failed > shown) fprintf(file, "  and %" PRIu64 " more\n", failed - shown);
  if (results->publisher.problem[0] != '\0') fprintf(file, "  publisher: %s\n", results->publisher.problem);
}

const char *report_verdict(const struct options *options, const struct results *results, int code) {
  bool has_lossless = options->mix.shares[CLIENT_HEALTHY] + options->mix.shares[CLIENT_RECONNECT] > 0;
  switch (code) {
  case EXIT_CODE_OK:
    if (has_lossless) return "ok: every healthy client got every message once and in order";
    return options->mix.shares[CLIENT_STALLED] > 0 ? "ok: every stalled client was evicted" : "ok";
  case EXIT_CODE_RUNTIME:
    if (results->publisher.problem[0] != '\0') return "FAILED: publishing did not work";
    if (results->end == RUN_FAILED) return "FAILED: a process of the load client ended too early";
    return has_lossless ? "FAILED: a healthy client did not get every message"
                        : "FAILED: a stalled client was not evicted";
  case EXIT_CODE_CONNECT:
    return "FAILED: could not connect";
  case EXIT_CODE_INTEGRITY:
    return "FAILED: a client got a message lost, twice, out of order or corrupt";
  case EXIT_CODE_SLO:
    return "FAILED: an objective was missed";
  default:
    return "interrupted";
  }
}

void report_table(FILE *file, const struct options *options, const struct results *results, const struct totals *totals,
                  int code) {
  print_publisher(file, options, totals);
  if (options->connections > 0) print_clients(file, options, totals);
  print_slos(file, options, totals);
  for (uint32_t i = 0; i < totals->remark_count; i++) fprintf(file, "%-10s %s\n", "note", totals->remarks[i]);
  fprintf(file, "%-10s %.1f s\n%-10s %s\n", "elapsed", totals->elapsed_s, "result",
          report_verdict(options, results, code));
  print_failures(file, results, totals);
  fflush(file);
}

static const char *advice_for(int error) {
  if (error == UV_ECONNREFUSED)
    return "Start a server there, such as build/examples/gateway, or name another one by --target.";
  if (error == UV_EADDRNOTAVAIL)
    return "If the local ports are used up: use more addresses by --source, wait a minute after other runs, or lower "
           "--connections.";
  if (error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM || error == UV_ENOBUFS)
    return "This machine has not enough for so many: raise the limit, or lower --connections.";
  return "Check the address, and the way to it.";
}

void report_connect_error(const struct options *options, const struct results *results) {
  const struct target *target = &options->target;
  uint64_t connected = 0;
  int error = 0;
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    if (error == 0) error = process->connect_error;
    for (int j = 0; j < CLIENT_CLASSES; j++) connected += process->classes[j].ever_connected;
  }
  if (error == 0) { /* the publisher's connection, then */
    error = results->publisher.error;
    target = &options->publish;
  }
  char address[ADDRESS_TEXT_BYTES];
  address_format((const struct sockaddr *) &target->address, address, sizeof address);
  fprintf(stderr, "loadclient: could not connect to %s", target->text);
  if (strstr(target->text, address) == NULL)
    fprintf(stderr, " (%s)", address); /* what a name stands for may be the surprise */
  fprintf(stderr, ": %s", uv_strerror(error));
  if (connected > 0) fprintf(stderr, ", after %" PRIu64 " of %" PRIu32 " connections", connected, options->connections);
  fprintf(stderr, ". %s\n", advice_for(error));
}

static bool close_file(FILE *file, const char *name, bool is_written) {
  is_written = fflush(file) == 0 && ferror(file) == 0 && is_written;
  if (fclose(file) != 0) is_written = false;
  if (!is_written) fprintf(stderr, "loadclient: could not write %s\n", name);
  return is_written;
}

static FILE *open_file(const char *name) {
  FILE *file = fopen(name, "w");
  if (file == NULL) fprintf(stderr, "loadclient: could not write %s: %s\n", name, strerror(errno));
  return file;
}

bool report_files(const struct options *options, const struct results *results, const struct totals *totals, int code) {
  bool is_written = true;
  if (options->json_file != NULL) {
    FILE *file = open_file(options->json_file);
    is_written =
        file != NULL && close_file(file, options->json_file, report_json(file, options, results, totals, code));
  }
  if (options->hgrm_file != NULL) {
    FILE *file = open_file(options->hgrm_file);
    if (file != NULL) histogram_write_hgrm(&totals->classes[CLIENT_HEALTHY].latency, file);
    is_written = file != NULL && close_file(file, options->hgrm_file, true) && is_written;
  }
  return is_written;
}
