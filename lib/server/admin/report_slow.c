/* SPDX-License-Identifier: MIT */
/*
 * report_slow: the `slow` event. There may be many entries, so they are text from the beginning.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

/* How many cells there are when those of all hubs are dealt out in turn. */
static size_t count_cells(const struct report *report) {
  size_t count = 0;
  for (size_t i = 0; i < report->count; i++) {
    size_t own = report->hubs[i].cell_count;
    size_t needed = own > 0 ? (own - 1) * report->count + i + 1 : 0;
    if (needed > count) count = needed;
  }
  return count;
}

static void mark_free(const struct report *report, bool *is_free, size_t cells) {
  for (size_t i = 0; i < report->count; i++) {
    const struct hub_report *hub = &report->hubs[i];
    for (size_t k = 0; k < hub->free_count; k++) is_free[hub->free_cells[k] * report->count + i] = true;
    for (size_t cell = hub->cell_count * report->count + i; cell < cells; cell += report->count) is_free[cell] = true;
  }
}

static void print_free(const struct report *report, struct text *text, size_t cells) {
  bool *is_free = calloc(cells + 1, sizeof *is_free);
  if (is_free == NULL) {
    text->is_broken = true;
    return;
  }
  mark_free(report, is_free, cells);
  const char *comma = "";
  for (size_t cell = 0; cell < cells; cell++) {
    if (!is_free[cell]) continue;
    size_t first = cell;
    while (cell + 1 < cells && is_free[cell + 1]) cell++;
    text_print(text, "%s[%zu,%zu]", comma, first, cell);
    comma = ",";
  }
  free(is_free);
}

static void print_slow(const struct report *report, struct text *text) {
  const char *comma = "";
  for (size_t i = 0; i < report->count; i++) {
    const struct text *slow = &report->hubs[i].slow;
    if (slow->length == 0) continue;
    text_add(text, comma, comma[0] != '\0');
    text_add(text, slow->data, slow->length);
    comma = ",";
  }
}

static void print_worst(const struct report *report, struct text *text) {
  struct listing *worst = listing_create(SORT_FILL, REPORT_WORST);
  for (size_t i = 0; worst != NULL && i < report->count; i++)
    if (report->hubs[i].worst != NULL) listing_merge(worst, report->hubs[i].worst);
  json_t *array = worst != NULL ? listing_array(worst) : NULL;
  char *dumped = array != NULL ? json_dumps(array, WATCH_JSON) : NULL;
  text_print(text, "%s", dumped != NULL ? dumped : "[]");
  free(dumped);
  json_decref(array);
  listing_free(worst);
}

void report_slow(const struct report *report, struct text *text) {
  size_t cells = count_cells(report);
  text_print(text, "{\"cells\":%zu,\"free\":[", cells);
  print_free(report, text, cells);
  text_print(text, "],\"slow\":[");
  print_slow(report, text);
  text_print(text, "],\"worst\":");
  print_worst(report, text);
  text_print(text, "}");
}
