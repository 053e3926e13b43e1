/* SPDX-License-Identifier: MIT */
/*
 * report: turns what the clients found into words. It never decides anything: whether a run has failed is told to it.
 */
#include "report.h"

#include "common/address.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t progress_interval_ms = 1000;

/* Over a shorter time a rate would say more about the clock than about the server. */
static const uint64_t least_rate_ms = 100;

/* A time in seconds with one digit behind the point, by integers as they are exact. */
#define SECONDS_FORMAT "%" PRIu64 ".%" PRIu64
#define SECONDS_OF(ms) (ms) / 1000, (ms) % 1000 / 100

void report_init(struct report *report, const struct options *options, uint64_t now_ms) {
  *report = (struct report){.is_terminal = isatty(STDERR_FILENO) != 0, .shown_ms = now_ms};
  report->is_shown = report->is_terminal || options->always_shows_progress;
}

void report_progress(struct report *report, const struct clients *clients, uint64_t now_ms) {
  const struct options *options = clients->options;
  uint64_t passed_ms = now_ms - report->shown_ms;
  if (!report->is_shown || passed_ms < progress_interval_ms) return;
  struct clients_totals totals;
  clients_sum_up(clients, &totals);
  fprintf(stderr, "%s" SECONDS_FORMAT " s: %" PRIu32 " of %" PRIu32 " connected", report->is_terminal ? "\r" : "",
          SECONDS_OF(now_ms - clients->start_ms), totals.connected, options->connections);
  if (options->share[CLIENT_HEALTHY] > 0) {
    uint64_t per_second = (totals.received - report->shown_received) * 1000 / passed_ms;
    fprintf(stderr, ", %" PRIu64 " lines, %" PRIu64 "/s, %" PRIu32 " done, %" PRIu32 " failed", totals.received,
            per_second, totals.ok, totals.failed);
  }
  if (options->share[CLIENT_STALLED] > 0)
    fprintf(stderr, ", %" PRIu32 " of %" PRIu32 " stalled evicted", totals.evicted, options->share[CLIENT_STALLED]);
  fputs(report->is_terminal ? "\033[K" : "\n", stderr); /* \033[K clears what is left of a longer line before */
  fflush(stderr);
  report->shown_ms = now_ms;
  report->shown_received = totals.received;
}

void report_end_progress(struct report *report) {
  if (report->is_terminal && report->is_shown) fputs("\r\033[K", stderr);
  report->is_shown = false;
}

void report_connect_error(const struct clients *clients, int error) {
  const struct options *options = clients->options;
  struct clients_totals totals;
  clients_sum_up(clients, &totals);
  char address[ADDRESS_TEXT_BYTES];
  address_format((const struct sockaddr *) &options->address, address, sizeof address);
  fprintf(stderr, "loadclient: could not connect to %s", options->target);
  if (strstr(options->target, address) == NULL) /* what the name stands for may be the surprise */
    fprintf(stderr, " (%s)", address);
  fprintf(stderr, ": %s", uv_strerror(error));
  if (totals.connected > 0)
    fprintf(stderr, ", after %" PRIu32 " of %" PRIu32 " connections", totals.connected, options->connections);
  fputs(". ", stderr);
  if (error == UV_ECONNREFUSED)
    fputs("Start a server there, such as build/examples/gateway, or name another one by --target.\n", stderr);
  else if (error == UV_EADDRNOTAVAIL)
    fputs("If the local ports are used up: widen net.ipv4.ip_local_port_range by sysctl, wait a minute after other "
          "runs, or lower --connections.\n",
          stderr);
  else if (error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM || error == UV_ENOBUFS)
    fputs("This machine has not enough for so many: raise the limit, or lower --connections.\n", stderr);
  else
    fputs("Check the address given by --target, and the way to it.\n", stderr);
}

/* What a server sent may hold anything, and is shown on a terminal. */
static void print_notice(const struct lines *lines) {
  if (lines->notice[0] == '\0') return;
  fputs("; its last notice: ", stdout);
  for (const char *c = lines->notice; *c != '\0'; c++) putchar(isprint((unsigned char) *c) ? *c : '.');
}

static void print_expected(uint64_t expected) {
  if (expected == LINES_UNKNOWN)
    fputs("the first line", stdout);
  else
    printf("line %" PRIu64, expected);
}

static void print_lines_fault(const struct lines *lines) {
  uint64_t expected = lines->fault_expected, got = lines->fault_got;
  switch (lines->first_fault) {
  case LINES_FAULT_GAP:
    printf("expected line %" PRIu64 ", got %" PRIu64, expected, got);
    if (expected == lines->first) fputs(" (was the feed running already? gateway --wait-clients lets it wait)", stdout);
    break;
  case LINES_FAULT_DUPLICATE:
    printf("expected line %" PRIu64 ", got %" PRIu64 " again", expected, got);
    break;
  case LINES_FAULT_DISORDER:
    printf("expected line %" PRIu64 ", got %" PRIu64 ", out of order", expected, got);
    break;
  case LINES_FAULT_GAP_NOTICE:
  case LINES_FAULT_ERROR_NOTICE:
    fputs("expected ", stdout);
    print_expected(expected);
    fputs(lines->first_fault == LINES_FAULT_GAP_NOTICE ? ", got a gap notice" : ", got an error", stdout);
    print_notice(lines);
    break;
  case LINES_FAULT_CORRUPT:
    fputs("expected ", stdout);
    print_expected(expected);
    if (got == '\n')
      fputs(", got one without a number", stdout);
    else
      printf(", got a corrupt one: unexpected byte 0x%02" PRIx64, got);
    break;
  case LINES_FAULT_TOO_LONG:
    fputs("expected ", stdout);
    print_expected(expected);
    printf(", got one longer than %" PRIu64 " bytes", got);
    break;
  case LINES_FAULT_NONE:
    break;
  }
}

static void print_failure(const struct client *client) {
  printf("  client %td: ", client - client->clients->all + 1);
  switch (client->failure) {
  case CLIENT_FAILURE_LINES:
    print_lines_fault(&client->lines);
    break;
  case CLIENT_FAILURE_DISCONNECTED:
    fputs("expected ", stdout);
    print_expected(client->lines.expected);
    if (client->error == UV_EOF)
      printf(", got disconnected%s", client->lines.state == LINES_AT_START ? "" : " in the middle of a line");
    else
      printf(", got disconnected: %s", uv_strerror(client->error));
    print_notice(&client->lines);
    break;
  case CLIENT_FAILURE_TIMEOUT:
    fputs("expected ", stdout);
    print_expected(client->lines.expected);
    printf(", %s for " SECONDS_FORMAT " s", client->was_connected ? "got nothing" : "was not connected",
           SECONDS_OF(client->clients->options->timeout_ms));
    break;
  case CLIENT_FAILURE_NONE:
    break;
  }
  putchar('\n');
}

static void print_healthy(const struct clients *clients, const struct clients_totals *totals) {
  uint32_t healthy = clients->options->share[CLIENT_HEALTHY];
  uint64_t lasted_ms = clients->last_line_ms - clients->first_line_ms;
  printf("healthy     %" PRIu32 " ok, %" PRIu32 " failed", totals->ok, totals->failed);
  if (totals->ok + totals->failed < healthy)
    printf(", %" PRIu32 " not finished", healthy - totals->ok - totals->failed);
  printf("\nlines       %" PRIu64 " received", totals->received);
  if (lasted_ms >= least_rate_ms)
    printf(", %" PRIu64 " lines/s from the first to the last", totals->received * 1000 / lasted_ms);
  putchar('\n');
  printf("faults      %" PRIu64 " lost, %" PRIu64 " duplicate, %" PRIu64 " out of order, %" PRIu64 " corrupt, %" PRIu64
         " gap notices, %" PRIu64 " errors\n",
         totals->lost, totals->duplicates, totals->disorders, totals->corrupt, totals->gap_notices,
         totals->error_notices);
}

static void print_stalled(const struct clients *clients, const struct clients_totals *totals) {
  printf("stalled     %" PRIu32 " of %" PRIu32 " evicted", totals->evicted, clients->options->share[CLIENT_STALLED]);
  if (totals->evicted > 0)
    printf(", " SECONDS_FORMAT " s to " SECONDS_FORMAT " s after the start", SECONDS_OF(totals->first_evicted_ms),
           SECONDS_OF(totals->last_evicted_ms));
  putchar('\n');
}

static const char *verdict(const struct clients *clients, int code) {
  switch (code) {
  case EXIT_CODE_OK:
    return clients->options->share[CLIENT_HEALTHY] > 0 ? "ok: every healthy client saw every line once and in order"
                                                       : "ok: every stalled client was evicted";
  case EXIT_CODE_RUNTIME:
    return clients->options->share[CLIENT_HEALTHY] > 0 ? "FAILED: a healthy client did not see every line"
                                                       : "FAILED: a stalled client was not evicted";
  case EXIT_CODE_CONNECT:
    return "FAILED: could not connect";
  case EXIT_CODE_INTEGRITY:
    return "FAILED: a healthy client saw a line lost, twice, out of order or corrupt";
  default:
    return "interrupted";
  }
}

void report_summary(const struct clients *clients, const struct clients_totals *totals, int code, uint64_t now_ms) {
  const struct options *options = clients->options;
  printf("target      %s\nconnected   %" PRIu32 " of %" PRIu32 "\n", options->target, totals->connected,
         options->connections);
  if (options->share[CLIENT_HEALTHY] > 0) print_healthy(clients, totals);
  if (options->share[CLIENT_STALLED] > 0) print_stalled(clients, totals);
  printf("elapsed     " SECONDS_FORMAT " s\nresult      %s\n", SECONDS_OF(now_ms - clients->start_ms),
         verdict(clients, code));
  for (uint32_t i = 0; i < clients->shown_failures_count; i++) print_failure(&clients->all[clients->shown_failures[i]]);
  if (totals->failed > clients->shown_failures_count)
    printf("  and %" PRIu32 " more\n", totals->failed - clients->shown_failures_count);
  fflush(stdout);
}
