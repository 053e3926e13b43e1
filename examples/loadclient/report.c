/* SPDX-License-Identifier: MIT */
/*
 * report: the table for people, JSON for programs, whose names are only ever added, and percentiles for plots.
 */
#include "report.h"

#include "common/address.h"
#include "fluxbp/version.h"
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
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
  struct results_view view = results_look(results);
  int error = view.connect_error;
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
  if (view.ever_connected > 0)
    fprintf(stderr, ", after %" PRIu64 " of %" PRIu32 " connections", view.ever_connected, options->connections);
  fprintf(stderr, ". %s\n", advice_for(error));
}

/* JSON, as docs/loadclient.md describes it */

/* jansson takes signed numbers. */
static json_int_t number(uint64_t value) {
  return (json_int_t) value;
}

static double ms(uint64_t ns) {
  return (double) ns / 1e6;
}

static json_t *times(const struct histogram *histogram) {
  if (histogram->count == 0) return json_null();
  return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "count", number(histogram->count), "mean",
                   histogram_mean_ns(histogram) / 1e6, "min", ms(histogram->min_ns), "p50",
                   ms(histogram_percentile(histogram, 50)), "p90", ms(histogram_percentile(histogram, 90)), "p99",
                   ms(histogram_percentile(histogram, 99)), "p999", ms(histogram_percentile(histogram, 99.9)), "p9999",
                   ms(histogram_percentile(histogram, 99.99)), "max", ms(histogram->max_ns));
}

static json_t *integrity(const struct integrity_totals *found) {
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "lost", number(found->lost), "duplicates",
                   number(found->duplicates), "out_of_order", number(found->disorders), "corrupt",
                   number(found->corrupt), "gap_notices", number(found->gap_notices), "errors",
                   number(found->error_notices), "foreign", number(found->foreign));
}

static json_t *class_of(const struct class_results *class, bool is_lossless, double seconds) {
  json_t *object =
      json_pack("{s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:I, s:o}", "clients", number(class->clients), "connected",
                number(class->ever_connected), "messages", number(class->messages), "bytes", number(class->bytes),
                "messages_per_second", seconds > 0 ? (double) class->messages / seconds : 0.0, "latency_ms",
                times(&class->latency), "connect_ms", times(&class->connect), "integrity", integrity(&class->integrity),
                "evicted", number(class->evicted), "eviction_ms", times(&class->eviction));
  if (!is_lossless) return object;
  json_t *more =
      json_pack("{s:I, s:I, s:I, s:I, s:I}", "ok", number(class->ok), "failed", number(class->failed), "cuts",
                number(class->cuts), "resumed", number(class->resumes), "too_old", number(class->too_old));
  json_object_update(object, more);
  json_decref(more);
  return object;
}

/* Classes without clients are left out. */
static json_t *classes(const struct totals *totals) {
  json_t *object = json_object();
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_results *class = &totals->classes[i];
    if (class->clients == 0) continue;
    json_object_set_new(object, mix_class_names[i],
                        class_of(class, mix_is_lossless((enum client_class) i), totals->receiving_s));
  }
  return object;
}

static json_t *publisher(const struct options *options, const struct results *results, const struct totals *totals) {
  const struct publisher_results *found = &results->publisher;
  if (!options->publishes) return json_null();
  json_t *asked = options->pace == PUBLISH_AT_RATE ? json_real(options->rate) : json_null();
  json_t *problem = found->problem[0] != '\0' ? json_string(found->problem) : json_null();
  return json_pack("{s:s, s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f, s:o}", "url", options->publish.text,
                   "asked_per_second", asked, "sent_per_second", totals->sent_per_second, "planned",
                   number(totals->planned), "sent", number(totals->sent), "missed_sends", number(totals->missed),
                   "late_sends", number(found->late), "accepted", number(found->accepted), "refused",
                   number(totals->refused), "bytes", number(found->bytes), "lateness_ms", times(&found->lateness),
                   "cpu_percent", totals->publisher_cpu_percent, "problem", problem);
}

static json_t *generator(const struct options *options, const struct totals *totals) {
  json_t *remarks = json_array();
  for (uint32_t i = 0; i < totals->remark_count; i++) json_array_append_new(remarks, json_string(totals->remarks[i]));
  return json_pack("{s:i, s:b, s:f, s:f, s:f, s:o}", "processes", (int) options->processes, "is_bottleneck",
                   (int) totals->is_bottleneck, "cpu_ns_per_message", totals->cpu_ns_per_message, "busiest_cpu_percent",
                   totals->busiest_cpu_percent, "loop_lag_p99_ms", ms(totals->loop_lag_p99_ns), "remarks", remarks);
}

static json_t *objectives(const struct options *options, const struct totals *totals) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < options->slo_count; i++) {
    const struct slo *slo = &options->slos[i];
    double measured;
    bool is_met = slo_is_met(slo, totals, &measured);
    json_array_append_new(array, json_pack("{s:s, s:b, s:f, s:s}", "objective", slo->text, "met", (int) is_met,
                                           "measured", slo_is_time(slo) ? measured / 1e6 : measured, "unit",
                                           slo_is_time(slo)          ? "ms"
                                           : slo->metric == SLO_RATE ? "messages/s"
                                                                     : "count"));
  }
  return array;
}

static json_t *failures(const struct results *results) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    for (uint32_t j = 0; j < process->failure_count; j++)
      json_array_append_new(array, json_string(process->failures[j]));
  }
  return array;
}

static bool write_json(FILE *file, const struct options *options, const struct results *results,
                       const struct totals *totals, int code) {
  json_t *report = json_pack(
      "{s:s, s:s, s:i, s:i, s:b, s:s, s:f, s:f, s:f, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o}", "loadclient",
      FLUXBP_VERSION_STRING, "target", options->target.text, "connections", (int) options->connections, "exit_code",
      code, "ok", code == EXIT_CODE_OK, "verdict", report_verdict(options, results, code), "elapsed_s",
      totals->elapsed_s, "measured_s", totals->measured_s, "receiving_s", totals->receiving_s, "messages",
      number(totals->messages), "bytes", number(totals->bytes), "messages_per_second", totals->messages_per_second,
      "classes", classes(totals), "publisher", publisher(options, results, totals), "generator",
      generator(options, totals), "objectives", objectives(options, totals), "failures", failures(results));
  bool is_written = report != NULL && json_dumpf(report, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 &&
                    fputc('\n', file) != EOF;
  json_decref(report);
  return is_written;
}

/* Files */

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
    is_written = file != NULL && close_file(file, options->json_file, write_json(file, options, results, totals, code));
  }
  if (options->hgrm_file != NULL) {
    FILE *file = open_file(options->hgrm_file);
    if (file != NULL) histogram_write_hgrm(&totals->classes[CLIENT_HEALTHY].latency, file);
    is_written = file != NULL && close_file(file, options->hgrm_file, true) && is_written;
  }
  return is_written;
}
