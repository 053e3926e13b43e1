/* SPDX-License-Identifier: MIT */
/*
 * report: see the header. Names in JSON are only ever added.
 */
#include "report.h"

#include "common/address.h"
#include "common/units.h"
#include "fluxbp/version.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static void print_classes(FILE *file, const struct totals *totals) {
  static const double percentiles[] = {50, 90, 99, 99.9, 99.99, 100};
  char text[UNITS_TEXT_BYTES];
  fprintf(file, "\n%-10s %9s %9s %9s %9s %9s %9s %9s %9s %9s\n", "latency", "clients", "messages", "a second", "p50",
          "p90", "p99", "p99.9", "p99.99", "max");
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_counts *class = &totals->view.classes[i];
    if (class->clients == 0) continue;
    fprintf(file, "%-10s %9" PRIu64, mix_class_names[i], class->clients);
    fprintf(file, " %9s", units_write_count(class->messages, text));
    fprintf(file, " %9s",
            units_write_count((uint64_t) results_rate((double) class->messages, totals->receiving_s), text));
    for (size_t j = 0; j < sizeof percentiles / sizeof percentiles[0]; j++) {
      units_write_duration(histogram_percentile(&totals->times[i].latency, percentiles[j]), text);
      fprintf(file, " %9s", totals->times[i].latency.count > 0 ? text : "-");
    }
    fputc('\n', file);
  }
}

static void print_integrity(FILE *file, const struct totals *totals) {
  fprintf(file, "\n%-10s %9s %9s %9s %9s %9s %9s %9s %9s\n", "integrity", "ok", "failed", "lost", "twice", "disorder",
          "corrupt", "gaps", "evicted");
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_counts *class = &totals->view.classes[i];
    const struct integrity_totals *found = &class->integrity;
    if (class->clients == 0) continue;
    const uint64_t columns[] = {class->ok,        class->failed,  found->lost,        found->duplicates,
                                found->disorders, found->corrupt, found->gap_notices, class->evicted};
    fprintf(file, "%-10s", mix_class_names[i]);
    for (size_t j = 0; j < sizeof columns / sizeof columns[0]; j++)
      if (j < 2 && !mix_is_lossless((enum client_class) i)) /* nothing has to come */
        fprintf(file, " %9s", "-");
      else
        fprintf(file, " %9" PRIu64, columns[j]);
    fputc('\n', file);
  }
}

static void print_times(FILE *file, const char *title, const struct histogram *times) {
  char least[UNITS_TEXT_BYTES], median[UNITS_TEXT_BYTES], p99[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];
  if (times->count == 0) return;
  fprintf(file, "%-10s %s to %s, median %s, p99 %s\n", title, units_write_duration(times->min_ns, least),
          units_write_duration(times->max_ns, most), units_write_duration(histogram_percentile(times, 50), median),
          units_write_duration(histogram_percentile(times, 99), p99));
}

static void print_behaviours(FILE *file, const struct totals *totals) {
  const struct class_counts *stalled = &totals->view.classes[CLIENT_STALLED];
  const struct class_counts *reconnect = &totals->view.classes[CLIENT_RECONNECT];
  struct histogram connect = {0};
  for (int i = 0; i < CLIENT_CLASSES; i++) histogram_add(&connect, &totals->times[i].connect);
  print_times(file, "connecting", &connect);
  if (stalled->clients > 0)
    fprintf(file, "%-10s %" PRIu64 " of %" PRIu64 " evicted\n", "stalled", stalled->evicted, stalled->clients);
  print_times(file, "eviction", &totals->times[CLIENT_STALLED].eviction);
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

static void print_clients(FILE *file, const struct options *options, const struct totals *totals) {
  char lag[UNITS_TEXT_BYTES];
  fprintf(file, "%-10s %s\n%-10s %" PRIu64 " of %" PRIu32 " clients\n", "target", options->target.text, "connected",
          totals->view.all.ever_connected, options->connections);
  print_behaviours(file, totals);
  print_classes(file, totals);
  print_integrity(file, totals);
  fprintf(file, "\n%-10s %.0f ns of CPU for a received message; %.0f %% of a core at most, loop lag p99 %s\n",
          "own cost", totals->cpu_ns_per_message, totals->busiest_cpu_percent,
          units_write_duration(totals->loop_lag_p99_ns, lag));
}

static void print_slos(FILE *file, const struct options *options, const struct totals *totals) {
  for (uint32_t i = 0; i < options->slo_count; i++) {
    const struct slo *slo = &options->slos[i];
    char text[UNITS_TEXT_BYTES];
    double measured;
    bool is_met = slo_is_met(slo, totals, &measured);
    if (slo->is_time)
      units_write_duration((uint64_t) measured, text);
    else
      snprintf(text, sizeof text, "%.0f", measured);
    fprintf(file, "%-10s %s %s: %s\n", "objective", is_met ? "met   " : "MISSED", slo->text, text);
  }
}

static void print_failures(FILE *file, const struct results *results, const struct totals *totals) {
  uint64_t shown = 0, failed = totals->view.all.failed;
  for (uint32_t i = 0; i < results->process_count; i++) {
    const struct process_results *process = &results->processes[i];
    for (uint32_t j = 0; j < process->failure_count && shown < RESULTS_FAILURES; j++, shown++)
      fprintf(file, "  %s\n", process->failures[j]);
  }
  if (failed > shown) fprintf(file, "  and %" PRIu64 " more\n", failed - shown);
  if (results->publisher.problem[0] != '\0') fprintf(file, "  publisher: %s\n", results->publisher.problem);
}

static const char *verdict_of(const struct options *options, const struct results *results, int code) {
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

static void print_table(FILE *file, const struct options *options, const struct results *results,
                        const struct totals *totals, int code) {
  print_publisher(file, options, totals);
  if (options->connections > 0) print_clients(file, options, totals);
  print_slos(file, options, totals);
  for (uint32_t i = 0; i < totals->remark_count; i++) fprintf(file, "%-10s %s\n", "note", totals->remarks[i]);
  fprintf(file, "%-10s %.1f s\n%-10s %s\n", "elapsed", totals->elapsed_s, "result", verdict_of(options, results, code));
  print_failures(file, results, totals);
  fflush(file);
}

static void print_connect_error(const struct options *options, const struct results *results) {
  struct results_view view = results_look(results);
  bool is_publisher = view.connect_error == 0;
  int error = is_publisher ? results->publisher.error : view.connect_error;
  const char *problem = is_publisher ? results->publisher.connect_problem : view.connect_problem;
  const struct target *target = is_publisher ? &options->publish : &options->target;
  char address[ADDRESS_TEXT_BYTES];
  const char *advice = "Check the address, and the way to it.";
  if (error == UV_ECONNREFUSED)
    advice = "Start a server there, such as build/examples/gateway, or name another one by --target.";
  if (error == UV_EADDRNOTAVAIL)
    advice = "If the local ports are used up: use more addresses by --source, wait a minute after other runs, or lower "
             "--connections.";
  if (error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM || error == UV_ENOBUFS)
    advice = "This machine has not enough for so many: raise the limit, or lower --connections.";
  if (target->is_secure && error == UV_EPROTO)
    advice = "For a certificate: --tls-ca FILE names the authority, --insecure accepts any, --tls-cert shows one.";
  address_format((const struct sockaddr *) &target->address, address, sizeof address);
  fprintf(stderr, "loadclient: could not connect to %s (%s): %s", target->text, address,
          problem[0] != '\0' ? problem : uv_strerror(error));
  if (view.all.ever_connected > 0)
    fprintf(stderr, ", after %" PRIu64 " of %" PRIu32 " connections", view.all.ever_connected, options->connections);
  fprintf(stderr, ". %s\n", advice);
}

/* A line a second: "12 s  500/500 connected  45012 msg/s  p99 1.27 ms  15 evicted" */

/* Write the 99th percentile of the healthy clients' latencies in the last second. */
static void write_p99(const struct results *results) {
  static struct histogram before, now;
  char text[UNITS_TEXT_BYTES];
  memset(&now, 0, sizeof now);
  for (uint32_t i = 0; i < results->process_count; i++)
    histogram_add(&now, &results->processes[i].times[CLIENT_HEALTHY].latency);
  if (now.count == before.count) return;
  fprintf(stderr, "  p99 %s", units_write_duration(histogram_percentile_since(&now, &before, 99), text));
  before = now;
}

void report_progress(const struct options *options, const struct results *results, uint64_t now_ns) {
  static uint64_t shown_ns, shown_messages;
  if (options->is_quiet) return;
  if (shown_ns == 0) shown_ns = results->start_ns;
  uint64_t passed_ns = now_ns - shown_ns;
  if (passed_ns < NS_PER_S) return;
  bool is_terminal = isatty(STDERR_FILENO) != 0;
  struct results_view view = results_look(results);
  char rate[UNITS_TEXT_BYTES];
  double per_second = (double) (view.all.messages - shown_messages) * 1e9 / (double) passed_ns;
  if (is_terminal) fputs("\r", stderr);
  fprintf(stderr, "%.0f s", (double) (now_ns - results->start_ns) / 1e9);
  if (options->connections > 0) {
    fprintf(stderr, "  %" PRIu64 "/%" PRIu32 " connected  %s msg/s", view.all.connected, options->connections,
            units_write_count((uint64_t) per_second, rate));
    write_p99(results);
    fprintf(stderr, "  %" PRIu64 " evicted", view.all.evicted);
  } else {
    fprintf(stderr, "  %s sent", units_write_count(results->publisher.lateness.count, rate));
  }
  if (options->until > 0) fprintf(stderr, "  %" PRIu64 " done", view.lossless - view.unfinished);
  if (view.unfinished > view.unfinished_clean)
    fprintf(stderr, "  %" PRIu64 " with faults", view.unfinished - view.unfinished_clean);
  fputs(is_terminal ? "\033[K" : "\n", stderr); /* \033[K clears the rest of a longer line before */
  fflush(stderr);
  shown_ns = now_ns;
  shown_messages = view.all.messages;
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

/* Classes without clients are left out. */
static json_t *classes(const struct totals *totals) {
  json_t *object = json_object();
  for (int i = 0; i < CLIENT_CLASSES; i++) {
    const struct class_counts *class = &totals->view.classes[i];
    const struct class_times *took = &totals->times[i];
    const struct integrity_totals *found = &class->integrity;
    if (class->clients == 0) continue;
    json_t *entry = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:I, s:o}", "clients",
        number(class->clients), "connected", number(class->ever_connected), "messages", number(class->messages),
        "bytes", number(class->bytes), "messages_per_second",
        results_rate((double) class->messages, totals->receiving_s), "latency_ms", times(&took->latency), "connect_ms",
        times(&took->connect), "integrity", "lost", number(found->lost), "duplicates", number(found->duplicates),
        "out_of_order", number(found->disorders), "corrupt", number(found->corrupt), "gap_notices",
        number(found->gap_notices), "errors", number(found->error_notices), "foreign", number(found->foreign),
        "evicted", number(class->evicted), "eviction_ms", times(&took->eviction));
    if (mix_is_lossless((enum client_class) i))
      json_object_update_new(entry, json_pack("{s:I, s:I, s:I, s:I, s:I}", "ok", number(class->ok), "failed",
                                              number(class->failed), "cuts", number(class->cuts), "resumed",
                                              number(class->resumes), "too_old", number(class->too_old)));
    json_object_set_new(object, mix_class_names[i], entry);
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
                                           "measured", slo->is_time ? measured / 1e6 : measured, "unit", slo->unit));
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

static json_t *report_of(const struct options *options, const struct results *results, const struct totals *totals,
                         int code) {
  return json_pack("{s:s, s:s, s:i, s:i, s:b, s:s, s:f, s:f, s:f, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o}",
                   "loadclient", FLUXBP_VERSION_STRING, "target", options->target.text, "connections",
                   (int) options->connections, "exit_code", code, "ok", code == EXIT_CODE_OK, "verdict",
                   verdict_of(options, results, code), "elapsed_s", totals->elapsed_s, "measured_s", totals->measured_s,
                   "receiving_s", totals->receiving_s, "messages", number(totals->view.all.messages), "bytes",
                   number(totals->view.all.bytes), "messages_per_second", totals->messages_per_second, "classes",
                   classes(totals), "publisher", publisher(options, results, totals), "generator",
                   generator(options, totals), "objectives", objectives(options, totals), "failures",
                   failures(results));
}

/* Write one of the two, the other is NULL, into a file that was asked for. */
static bool write_file(const char *name, const json_t *json, const struct histogram *latency) {
  if (name == NULL) return true;
  FILE *file = fopen(name, "w");
  bool is_written = file != NULL;
  if (is_written && latency != NULL)
    histogram_write_hgrm(latency, file);
  else if (is_written)
    is_written = json_dumpf(json, file, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0 && fputc('\n', file) != EOF;
  if (file != NULL && ferror(file) + fclose(file) != 0) is_written = false;
  if (!is_written) fprintf(stderr, "loadclient: could not write %s: %s\n", name, strerror(errno));
  return is_written;
}

bool report_write(const struct options *options, const struct results *results, const struct totals *totals, int code) {
  /* The table goes to standard error where the messages go to standard output. */
  bool is_stdout_taken = options->publishes && options->publish.kind == TARGET_STDOUT;
  if (!options->is_quiet && isatty(STDERR_FILENO) != 0) fputs("\r\033[K", stderr); /* takes the progress away */
  print_table(is_stdout_taken ? stderr : stdout, options, results, totals, code);
  if (code == EXIT_CODE_CONNECT) print_connect_error(options, results);
  json_t *report = report_of(options, results, totals, code);
  bool is_json_written = write_file(options->json_file, report, NULL);
  json_decref(report);
  return write_file(options->hgrm_file, NULL, &totals->times[CLIENT_HEALTHY].latency) && is_json_written;
}
