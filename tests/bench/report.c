/* SPDX-License-Identifier: MIT */
/*
 * report: see report.h. JSON is written as the tables come, so nothing is kept.
 */
#include "report.h"

#include <stdarg.h>
#include <uv.h>

enum { NAME_WIDTH = 44, FIGURE_WIDTH = 12 };

static void json(const report_t *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void json(const report_t *report, const char *format, ...) {
  va_list args;
  if (report->json == NULL) return;
  va_start(args, format);
  (void) vfprintf(report->json, format, args);
  va_end(args);
}

/* Four digits that say something, whatever the size. */
static int decimals_of(double value) {
  if (value < 0) value = -value;
  return value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
}

static void print_figure(double value) {
  (void) printf(" %*.*f", FIGURE_WIDTH, decimals_of(value), value);
}

static void json_spread(const report_t *report, const bench_rounds_t *figures) {
  bench_spread_t spread = bench_spread(figures);
  json(report, "{\"median\": %.6g, \"lowest\": %.6g, \"highest\": %.6g, \"rounds\": %zu}", spread.median, spread.lowest,
       spread.highest, figures->count);
}

void report_begin(report_t *report, FILE *file) {
  *report = (report_t){.json = file};
  bench_load_begin(&report->load);
  json(report, "{\"tables\": [");
}

static void end_table(report_t *report) {
  if (report->tables > 0 && report->columns > 0) json(report, "\n  ]}");
  report->columns = 0;
}

void report_table(report_t *report, const char *title, const char *const *columns) {
  end_table(report);
  json(report, "%s\n {\"title\": \"%s\", \"rows\": [", report->tables++ > 0 ? "," : "", title);
  report->rows = 0;
  (void) printf("%s%-*s", report->tables > 1 ? "\n" : "", NAME_WIDTH, title);
  for (; columns[report->columns] != NULL; report->columns++) {
    report->names[report->columns] = columns[report->columns];
    (void) printf(" %*s", FIGURE_WIDTH, columns[report->columns]);
  }
  (void) printf(" %*s %*s\n", FIGURE_WIDTH, "lowest", FIGURE_WIDTH, "highest");
}

void report_row(report_t *report, const char *name, const bench_rounds_t *figures) {
  json(report, "%s\n  {\"name\": \"%s\"", report->rows++ > 0 ? "," : "", name);
  (void) printf("%-*s", NAME_WIDTH, name);
  for (size_t i = 0; i < report->columns; i++) {
    json(report, ", \"%s\": ", report->names[i]);
    json_spread(report, &figures[i]);
    print_figure(bench_spread(&figures[i]).median);
  }
  json(report, "}");
  bench_spread_t spread = bench_spread(&figures[report->columns - 1]);
  print_figure(spread.lowest);
  print_figure(spread.highest);
  (void) printf("\n");
}

void report_goal(report_t *report, const char *what, double most, const bench_rounds_t *figures) {
  end_table(report);
  bench_spread_t is = bench_spread(figures);
  const char *verdict = figures->count == 0 ? "not measured" : is.median <= most ? "met" : "not met";
  json(report, "%s\n {\"what\": \"%s\", \"most\": %.6g, \"is\": ", report->goals > 0 ? "," : "], \"goals\": [", what,
       most);
  json_spread(report, figures);
  json(report, ", \"verdict\": \"%s\"}", verdict);
  (void) printf("%s| %s | ≤ %.4g | %.*f | %.*f – %.*f | %s |\n", report->goals++ > 0 ? "" : "\n", what, most,
                decimals_of(is.median), is.median, decimals_of(is.lowest), is.lowest, decimals_of(is.highest),
                is.highest, verdict);
}

void report_end(report_t *report) {
  double others = bench_load_of_others(&report->load);
  end_table(report);
  json(report, "\n], \"others\": %.3f}\n", others);
  (void) printf("\nother processes took %.2f processors\n", others);
  if (report->json != NULL && fclose(report->json) != 0) bench_die("the JSON file", UV_EIO);
}
