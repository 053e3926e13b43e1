/* SPDX-License-Identifier: MIT */
/*
 * report_json: the table for programs. docs/loadclient.md describes it; names are only ever added.
 */
#include "report.h"

#include "fluxbp/version.h"

#include <jansson.h>

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

bool report_json(FILE *file, const struct options *options, const struct results *results, const struct totals *totals,
                 int code) {
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
