/* SPDX-License-Identifier: MIT */
/*
 * client: the handlers of a client of the library, which connects, comes back and reads; and, after the end, the share
 * of each client in the results, and a sentence if something was wrong.
 */
#include "client.h"

#include "common/random.h"
#include "common/units.h"
#include "worker.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Receive buffer of slow clients: small enough that the window moves more than once in a few seconds. */
static const int slow_rcvbuf_bytes = 16 * 1024;

static const uint32_t reconnect_pause_ms = 200; /* at most */

enum { CODE_SLOW = 4008, CODE_SHUTTING_DOWN = 4011 }; /* docs/protocol.md */

bool client_init(struct client *client, struct worker *worker, enum client_class class, uint32_t index) {
  *client = (struct client){.worker = worker,
                            .class = class,
                            .index = index,
                            .results = &worker->process->classes[class],
                            .times = &worker->process->times[class]};
  client->results->clients++;
  return integrity_init(&client->integrity, &worker->rules);
}

static void leave_connection(struct client *client, enum client_state state) {
  if (client->state == CLIENT_CONNECTING) client->worker->connecting--;
  if (client->state == CLIENT_OPEN) client->results->connected--;
  client->state = state;
}

/* The server gets a FIN, or a reset if bytes from it are unread. */
void client_close(struct client *client) {
  leave_connection(client, CLIENT_CLOSED);
  if (client->stream != NULL) fluxbp_client_close(client->stream, 1000, NULL, 0);
}

void client_become_ready(struct client *client) {
  if (client->is_ready) return;
  client->is_ready = true;
  client->worker->process->waited_for--;
}

void client_finish(struct client *client, enum client_failure failure) {
  struct process_results *process = client->worker->process;
  client_become_ready(client); /* it isn't waited for any more */
  client_close(client);
  if (client->is_finished) return;
  client->is_finished = true;
  client->failure = failure;
  if (client->class == CLIENT_STALLED) process->stalled_left--;
  if (!client_is_lossless(client)) return;
  if (process->unfinished > 0) process->unfinished--; /* it was counted without the client once it had everything */
  if (!client->has_fault && process->unfinished_clean > 0) process->unfinished_clean--;
}

static void note_fault(struct client *client) {
  if (client->integrity.first_fault == INTEGRITY_NO_FAULT || client->has_fault) return;
  if (!client_is_lossless(client) || client->is_finished) return;
  client->has_fault = true;
  if (client->worker->process->unfinished_clean > 0) client->worker->process->unfinished_clean--;
}

static void note_notice(struct client *client, const char *data, size_t length) {
  snprintf(client->notice, sizeof client->notice, "%.*s", (int) length, length > 0 ? data : "");
}

/* Messages and notices */

static void on_message(fluxbp_client_t *stream, const fluxbp_client_event_t *message) {
  struct client *client = fluxbp_client_user(stream);
  struct worker *worker = client->worker;
  struct integrity *integrity = &client->integrity;
  bool has_numbers = integrity->kind == INTEGRITY_NUMBERS;
  uint64_t expected = has_numbers ? integrity_expected(integrity) : INTEGRITY_ANY;
  uint64_t planned_ns = 0, now_ns = message->read_ns;
  if (client->is_finished) return;
  enum integrity_outcome outcome =
      integrity_take(integrity, &worker->rules, message->data, message->length, &planned_ns);
  note_fault(client);
  if (outcome == INTEGRITY_IGNORED) return;
  client->has_got_message = true;
  client->results->messages++;
  worker->process->last_message_ns = now_ns;
  if (worker->process->first_message_ns == 0) worker->process->first_message_ns = now_ns;
  if (outcome == INTEGRITY_MEASURED && now_ns >= planned_ns)
    histogram_record(&client->times->latency, now_ns - planned_ns);
  bool is_progress = !has_numbers || integrity_expected(integrity) != expected;
  if (is_progress && client_is_lossless(client)) worker->process->progress_ns = now_ns;
  if (worker->rules.until > 0 && integrity_has_last(integrity, &worker->rules))
    client_finish(client, CLIENT_NO_FAILURE);
}

static void on_event(fluxbp_client_t *stream, const fluxbp_client_event_t *event) {
  struct client *client = fluxbp_client_user(stream);
  switch (event->kind) {
  case FLUXBP_CLIENT_ANSWER:
    if (event->length >= 5 && memcmp(event->data, "+PONG", 5) == 0) client_become_ready(client);
    return;
  case FLUXBP_CLIENT_RESUMED:
    client->results->resumes++;
    return;
  case FLUXBP_CLIENT_ERROR:
    if (client_is_lossless(client) && client->class != CLIENT_RECONNECT)
      integrity_take_notice(&client->integrity, INTEGRITY_ERROR_NOTICE);
    break;
  case FLUXBP_CLIENT_GAP:
    integrity_take_notice(&client->integrity, INTEGRITY_GAP_NOTICE);
    break;
  case FLUXBP_CLIENT_TOO_OLD: /* a loss is seen by its number */
    client->results->too_old++;
    break;
  case FLUXBP_CLIENT_EVICTED:
    client->says_evicted = true;
    break;
  case FLUXBP_CLIENT_CLOSING:
    client->says_closing = true;
    break;
  default: /* a position; a value that was taken back: no message is missing */
    return;
  }
  note_notice(client, event->data, event->length);
  note_fault(client);
}

/* Connections */

static void on_connect(fluxbp_client_t *stream) {
  struct client *client = fluxbp_client_user(stream);
  struct worker *worker = client->worker;
  uint64_t now_ns = uv_hrtime();
  leave_connection(client, CLIENT_OPEN);
  client->results->connected++;
  client->has_got_message = client->says_evicted = client->says_closing = false;
  if (!client->was_connected) { /* coming back again and again is no progress */
    client->results->ever_connected++;
    worker->process->progress_ns = now_ns;
  }
  client->was_connected = true;
  behaviour_begin(client, now_ns);
  if (client->class == CLIENT_STALLED) client_become_ready(client);
  worker_open_more(worker);
}

/* A client of lines is known to be subscribed when the server answers its PING. */
static void on_open(fluxbp_client_t *stream) {
  struct client *client = fluxbp_client_user(stream);
  bool is_text = client->worker->options->target.kind == TARGET_TEXT;
  uint64_t now_ns = uv_hrtime();
  if (now_ns > client->connect_ns) histogram_record(&client->times->connect, now_ns - client->connect_ns);
  if (is_text && !client->is_ready && worker_has_publisher(client->worker))
    fluxbp_client_send(stream, "PING", 4, 0);
  else
    client_become_ready(client);
}

/* Return whether the server may close now: without a last line to wait for, its close is the end of the feed. */
static bool is_end_of_feed(const struct client *client, const fluxbp_client_disconnect_t *disconnect) {
  const struct worker *worker = client->worker;
  if (disconnect->error != UV_EOF || client->says_evicted || worker->rules.until > 0) return false;
  return !worker_has_publisher(worker) && !disconnect->is_mid_message && client->integrity.kind != INTEGRITY_UNDECIDED;
}

static enum client_failure failure_of(struct client *client, const fluxbp_client_disconnect_t *disconnect) {
  bool says_why = disconnect->code == CODE_SLOW || disconnect->code == CODE_SHUTTING_DOWN;
  int refusal = disconnect->status != 0 ? disconnect->status : says_why ? 0 : disconnect->code;
  client->error = refusal != 0 ? refusal : disconnect->error;
  if (refusal != 0) return CLIENT_REFUSED;
  if (disconnect->error != UV_EPROTO && disconnect->error != UV_EMSGSIZE) return CLIENT_DISCONNECTED;
  note_notice(client, disconnect->problem, strlen(disconnect->problem));
  return CLIENT_PROTOCOL;
}

static void on_disconnect(fluxbp_client_t *stream, const fluxbp_client_disconnect_t *disconnect) {
  struct client *client = fluxbp_client_user(stream);
  struct process_results *process = client->worker->process;
  bool is_evicted = client->says_evicted || (disconnect->error == UV_ECONNRESET && !client->says_closing);
  bool is_end = is_end_of_feed(client, disconnect);
  leave_connection(client, CLIENT_CUT);
  if (disconnect->retry_ms >= 0) client->connect_ns = uv_hrtime() + (uint64_t) disconnect->retry_ms * NS_PER_MS;
  client->is_mid_message = disconnect->is_mid_message;
  if (disconnect->reason[0] != '\0') note_notice(client, disconnect->reason, strlen(disconnect->reason));
  if (is_evicted && disconnect->was_connected) client->results->evicted++;
  if (!client->was_connected) { /* the first attempt has failed */
    if (process->connect_error == 0)
      snprintf(process->connect_problem, sizeof process->connect_problem, "%s", disconnect->problem);
    if (process->connect_error == 0) process->connect_error = disconnect->error;
    client_close(client);
  } else if (disconnect->retry_ms < 0 || !client->is_ready || is_end) {
    enum client_failure failure = is_evicted ? CLIENT_EVICTED : failure_of(client, disconnect);
    client_finish(client, is_end ? CLIENT_NO_FAILURE : failure);
  }
  worker_open_more(client->worker);
}

static void on_close(fluxbp_client_t *stream, int status) {
  struct client *client = fluxbp_client_user(stream);
  fluxbp_client_stats_t stats;
  (void) status;
  fluxbp_client_get_stats(stream, &stats);
  client->results->bytes += stats.received_bytes;
  client->stream = NULL;
}

static const fluxbp_client_handlers_t handlers = {.size = sizeof handlers,
                                                  .on_connect = on_connect,
                                                  .on_open = on_open,
                                                  .on_message = on_message,
                                                  .on_event = on_event,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

static uint64_t next_random(void *arg) {
  return random_bits(arg);
}

/* No deadline and no ping of the client's own: the run has a timeout. */
static void set_options(struct client *client, fluxbp_client_options_t *options, struct sockaddr_storage *source) {
  struct worker *worker = client->worker;
  const struct options *given = worker->options;
  fluxbp_client_options_init(options);
  options->url = given->target.text;
  options->address = (const struct sockaddr *) &given->target.address;
  options->handlers = &handlers;
  options->user = client;
  options->topics = given->topic;
  options->token = given->token;
  options->tls = given->tls.tls;
  options->resumes = options->reconnects = options->is_persistent = client->class == CLIENT_RECONNECT;
  options->passes_repeats = 1; /* a message that comes twice is a fault */
  options->ignores_retry_hints = 1;
  options->retry_first_ms = options->retry_max_ms = reconnect_pause_ms;
  options->connect_timeout_ms = options->handshake_timeout_ms = options->ping_interval_ms = 0;
  options->read_buffer = worker->buffer;
  options->read_buffer_bytes = WORKER_BUFFER_BYTES;
  options->random = next_random;
  options->arg = &worker->random;
  if (client->class == CLIENT_SLOW) options->receive_buffer_bytes = slow_rcvbuf_bytes;
  if (client->class == CLIENT_STALLED) options->receive_buffer_bytes = (int) given->stalled_rcvbuf_bytes;
  if (given->sources.count == 0) return;
  sources_pick(&given->sources, client->index, source);
  options->local_address = (const struct sockaddr *) source;
}

int client_open(struct client *client) {
  fluxbp_client_options_t options;
  struct sockaddr_storage source;
  set_options(client, &options, &source);
  int error = fluxbp_client_create(&client->worker->loop, &options, &client->stream);
  if (error != 0) return error;
  /* A slow client begins to read with its first allowance. */
  if (client->class == CLIENT_SLOW || client->class == CLIENT_STALLED) fluxbp_client_pause_read(client->stream);
  client->is_reading = true;
  client->state = CLIENT_CONNECTING;
  client->connect_ns = uv_hrtime();
  client->worker->connecting++;
  return fluxbp_client_connect(client->stream);
}

/* After the end */

/* A server's text may hold any byte, and is shown on a terminal. */
static void print_notice(FILE *out, const struct client *client) {
  if (client->notice[0] != '\0') fputs("; its last notice: ", out);
  for (const char *c = client->notice; *c != '\0'; c++) fputc(isprint((unsigned char) *c) ? *c : '.', out);
}

static void print_expected(FILE *out, const struct client *client, uint64_t expected) {
  const char *unit = client->integrity.kind == INTEGRITY_NUMBERS ? "line" : "message";
  if (expected == INTEGRITY_ANY)
    fprintf(out, "expected the first %s, got", unit);
  else
    fprintf(out, "expected %s %" PRIu64 ", got", unit, expected);
}

static void print_fault(FILE *out, const struct client *client) {
  static const char *const found[] = {[INTEGRITY_NO_FAULT] = " nothing more", /* it is missing at the end */
                                      [INTEGRITY_GAP] = "",
                                      [INTEGRITY_DUPLICATE] = " again",
                                      [INTEGRITY_DISORDER] = ", out of order",
                                      [INTEGRITY_GAP_NOTICE] = " a gap notice",
                                      [INTEGRITY_ERROR_NOTICE] = " an error",
                                      [INTEGRITY_CORRUPT] = " a corrupt one"};
  const struct integrity *integrity = &client->integrity;
  enum integrity_fault fault = integrity->first_fault;
  uint64_t expected = fault != INTEGRITY_NO_FAULT ? integrity->fault_expected : integrity_expected(integrity);
  print_expected(out, client, expected);
  if (fault == INTEGRITY_GAP || fault == INTEGRITY_DUPLICATE || fault == INTEGRITY_DISORDER)
    fprintf(out, " %" PRIu64, integrity->fault_got);
  fputs(found[fault], out);
  if (fault == INTEGRITY_GAP_NOTICE || fault == INTEGRITY_ERROR_NOTICE) print_notice(out, client);
  if (fault == INTEGRITY_GAP && expected == 1 && integrity->kind == INTEGRITY_NUMBERS)
    fputs(" (was the feed running already? gateway --wait-clients lets it wait)", out);
}

static void print_failure(FILE *out, const struct client *client, bool is_broken) {
  fprintf(out, "%s client %" PRIu32 ": ", mix_class_names[client->class], client->index + 1);
  if (is_broken && (client->integrity.first_fault != INTEGRITY_NO_FAULT || client->failure == CLIENT_NO_FAILURE)) {
    print_fault(out, client);
    return;
  }
  if (client->failure == CLIENT_NO_FAILURE) {
    if (client->was_connected) print_expected(out, client, integrity_expected(&client->integrity));
    fputs(client->was_connected ? " nothing" : "was not connected", out);
  } else if (client->failure == CLIENT_PROTOCOL) {
    fprintf(out, "could not understand the server: %s", client->notice);
  } else if (client->failure == CLIENT_EVICTED) {
    fputs("was evicted", out);
    print_notice(out, client);
  } else if (client->failure == CLIENT_REFUSED) {
    fprintf(out, client->error >= 1000 ? "was closed with code %d" : "was refused with status %d", client->error);
    print_notice(out, client);
  } else {
    print_expected(out, client, integrity_expected(&client->integrity));
    fputs(" disconnected", out);
    if (client->error != UV_EOF) fprintf(out, ": %s", uv_strerror(client->error));
    if (client->error == UV_EOF && client->is_mid_message) fputs(" in the middle of a message", out);
    print_notice(out, client);
  }
}

static void keep_failure(const struct client *client, bool is_broken) {
  struct process_results *process = client->worker->process;
  if (process->failure_count == RESULTS_FAILURES) return;
  FILE *out = fmemopen(process->failures[process->failure_count], RESULTS_FAILURE_BYTES - 1, "w");
  if (out == NULL) return;
  print_failure(out, client, is_broken);
  fclose(out);
  process->failure_count++;
}

/* Return whether the client got every message. Where no end is known, a client that is still connected did. */
static bool has_every_message(const struct client *client, const uint64_t *sent, const uint64_t *refused) {
  if (client->failure != CLIENT_NO_FAILURE || client->is_finished) return client->failure == CLIENT_NO_FAILURE;
  if (sent != NULL) return integrity_has_all(&client->integrity, sent, refused);
  return client->was_connected && client->worker->rules.until == 0;
}

void client_judge(struct client *client) {
  struct worker *worker = client->worker;
  const struct publisher_results *publisher = &worker->results->publisher;
  bool has_publisher = worker_has_publisher(worker), is_lossless = client_is_lossless(client);
  /* Messages after a client's disconnection are no loss: the disconnection is its failure. */
  bool is_whole = has_publisher && worker->results->end == RUN_COMPLETE && is_lossless && !client->is_finished;
  const uint64_t *sent = is_whole ? publisher->sent : NULL;
  struct integrity_totals totals;
  integrity_sum_up(&client->integrity, sent, has_publisher ? publisher->refused : NULL, &totals);
  results_add(&client->results->integrity, &totals, sizeof totals);
  bool is_wrong = totals.duplicates + totals.disorders + totals.corrupt > 0; /* for any class */
  bool is_broken = is_wrong || totals.lost + totals.gap_notices + totals.error_notices > 0;
  if (!is_lossless) {
    if (is_wrong) keep_failure(client, is_broken);
    return;
  }
  if (!is_broken && has_every_message(client, sent, publisher->refused)) {
    client->results->ok++;
  } else if (is_broken || client->failure != CLIENT_NO_FAILURE || worker->results->end != RUN_INTERRUPTED) {
    client->results->failed++;
    keep_failure(client, is_broken);
  }
}
