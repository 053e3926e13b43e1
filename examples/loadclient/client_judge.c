/* SPDX-License-Identifier: MIT */
/*
 * client_judge: the share of a client in the results after the end, and a sentence if something was wrong.
 */
#include "worker.h"

#include "values.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct sentence {
  size_t length;
  char bytes[RESULTS_FAILURE_BYTES];
};

__attribute__((format(printf, 2, 3))) static void say(struct sentence *sentence, const char *format, ...) {
  size_t room = sizeof sentence->bytes - sentence->length;
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(sentence->bytes + sentence->length, room, format, arguments);
  va_end(arguments);
  if (length > 0) sentence->length += (size_t) length < room ? (size_t) length : room - 1;
}

/* A server's text may hold any byte, and is shown on a terminal. */
static void say_notice(struct sentence *sentence, const struct client *client) {
  if (client->notice[0] == '\0') return;
  say(sentence, "; its last notice: ");
  for (const char *c = client->notice; *c != '\0'; c++) say(sentence, "%c", isprint((unsigned char) *c) ? *c : '.');
}

static const char *unit_of(const struct client *client) {
  return client->integrity.kind == INTEGRITY_NUMBERS ? "line" : "message";
}

static void say_expected(struct sentence *sentence, const struct client *client, uint64_t expected) {
  if (expected == INTEGRITY_ANY)
    say(sentence, "expected the first %s", unit_of(client));
  else
    say(sentence, "expected %s %" PRIu64, unit_of(client), expected);
}

static void say_fault(struct sentence *sentence, const struct client *client) {
  static const struct {
    bool has_number, has_notice;
    const char *rest;
  } found[] = {[INTEGRITY_NO_FAULT] = {.rest = " nothing more"}, /* it is missing at the end */
               [INTEGRITY_GAP] = {.has_number = true, .rest = ""},
               [INTEGRITY_DUPLICATE] = {.has_number = true, .rest = " again"},
               [INTEGRITY_DISORDER] = {.has_number = true, .rest = ", out of order"},
               [INTEGRITY_GAP_NOTICE] = {.has_notice = true, .rest = " a gap notice"},
               [INTEGRITY_ERROR_NOTICE] = {.has_notice = true, .rest = " an error"},
               [INTEGRITY_CORRUPT] = {.rest = " a corrupt one"}};
  const struct integrity *integrity = &client->integrity;
  enum integrity_fault fault = integrity->first_fault;
  uint64_t expected = fault != INTEGRITY_NO_FAULT ? integrity->fault_expected : integrity_expected(integrity);
  say_expected(sentence, client, expected);
  say(sentence, ", got");
  if (found[fault].has_number) say(sentence, " %" PRIu64, integrity->fault_got);
  say(sentence, "%s", found[fault].rest);
  if (found[fault].has_notice) say_notice(sentence, client);
  if (fault == INTEGRITY_GAP && expected == 1 && integrity->kind == INTEGRITY_NUMBERS)
    say(sentence, " (was the feed running already? gateway --wait-clients lets it wait)");
}

static void say_disconnected(struct sentence *sentence, const struct client *client) {
  say_expected(sentence, client, integrity_expected(&client->integrity));
  if (client->error != UV_EOF)
    say(sentence, ", got disconnected: %s", uv_strerror(client->error));
  else
    say(sentence, ", got disconnected%s", client->is_mid_message ? " in the middle of a message" : "");
  say_notice(sentence, client);
}

static void say_failure(struct sentence *sentence, const struct client *client, const struct integrity_totals *totals) {
  bool is_broken = totals->lost + totals->duplicates + totals->disorders + totals->corrupt + totals->gap_notices +
                       totals->error_notices >
                   0;
  say(sentence, "%s client %" PRIu32 ": ", mix_class_names[client->class], client->index + 1);
  if (is_broken && (client->integrity.first_fault != INTEGRITY_NO_FAULT || client->failure == CLIENT_NO_FAILURE)) {
    say_fault(sentence, client);
  } else if (client->failure == CLIENT_EVICTED) {
    say(sentence, "was evicted");
    say_notice(sentence, client);
  } else if (client->failure == CLIENT_REFUSED) {
    say(sentence, client->error >= 1000 ? "was closed with code %d" : "was refused with status %d", client->error);
    say_notice(sentence, client);
  } else if (client->failure == CLIENT_PROTOCOL) {
    say(sentence, "could not understand the server: %s", client->notice);
  } else if (client->failure == CLIENT_DISCONNECTED) {
    say_disconnected(sentence, client);
  } else if (client->was_connected) {
    say_expected(sentence, client, integrity_expected(&client->integrity));
    say(sentence, ", got nothing");
  } else {
    say(sentence, "was not connected");
  }
}

static void show_failure(const struct client *client, const struct integrity_totals *totals) {
  struct process_results *process = client->worker->process;
  if (process->failure_count == RESULTS_FAILURES) return;
  struct sentence sentence = {.length = 0};
  say_failure(&sentence, client, totals);
  memcpy(process->failures[process->failure_count++], sentence.bytes, sizeof sentence.bytes);
}

/* Return whether the client got every message. Where no end is known, a client that is still connected did. */
static bool has_every_message(const struct client *client, const uint64_t *sent, const uint64_t *refused) {
  const struct worker *worker = client->worker;
  if (client->failure != CLIENT_NO_FAILURE) return false;
  if (client->is_finished) return true;
  if (sent != NULL) return integrity_has_all(&client->integrity, sent, refused);
  return client->was_connected && worker->rules.until == 0;
}

void client_judge(struct client *client) {
  struct worker *worker = client->worker;
  const struct publisher_results *publisher = &worker->results->publisher;
  bool has_publisher = worker_has_publisher(worker);
  bool is_complete = worker->results->end == RUN_COMPLETE;
  /* Messages after a client's disconnection are no loss: the disconnection is its failure. */
  bool is_whole = has_publisher && is_complete && client_is_lossless(client) && !client->is_finished;
  const uint64_t *sent = is_whole ? publisher->sent : NULL;
  struct integrity_totals totals;
  integrity_sum_up(&client->integrity, sent, has_publisher ? publisher->refused : NULL, &totals);
  results_add_counters(&client->results->integrity, &totals, sizeof totals);
  uint64_t wrong = totals.duplicates + totals.disorders + totals.corrupt;
  if (client_is_lossless(client)) wrong += totals.lost + totals.gap_notices + totals.error_notices;
  bool is_ok = wrong == 0;
  if (client_is_lossless(client)) {
    is_ok = is_ok && has_every_message(client, sent, publisher->refused);
    bool is_unfinished = wrong == 0 && client->failure == CLIENT_NO_FAILURE && worker->results->end == RUN_INTERRUPTED;
    client->results->ok += is_ok;
    client->results->failed += !is_ok && !is_unfinished;
    if (is_unfinished) return;
  }
  if (!is_ok) show_failure(client, &totals);
}
