/* SPDX-License-Identifier: MIT */
/*
 * client: the handlers of a client of the library, which connects, comes back and reads.
 */
#include "client.h"

#include "values.h"
#include "worker.h"

#include <stdio.h>
#include <string.h>

/* Receive buffer of slow clients: small enough that the window moves more than once in a few seconds. */
static const int slow_rcvbuf_bytes = 16 * 1024;

static const uint32_t reconnect_pause_ms = 200; /* at most */

enum { CODE_SLOW = 4008, CODE_SHUTTING_DOWN = 4011 }; /* docs/protocol.md */

bool client_init(struct client *client, struct worker *worker, enum client_class class, uint32_t index) {
  *client =
      (struct client){.worker = worker, .class = class, .index = index, .results = &worker->process->classes[class]};
  client->results->clients++;
  return integrity_init(&client->integrity, &worker->rules);
}

void client_free(struct client *client) {
  integrity_free(&client->integrity);
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

void client_cut(struct client *client, bool resets) {
  if (client->state == CLIENT_OPEN) fluxbp_client_reconnect(client->stream, resets);
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
  process->unfinished--;
  if (!client->has_fault) process->unfinished_clean--;
}

static void note_fault(struct client *client) {
  if (client->has_fault || !client_is_lossless(client) || client->is_finished) return;
  client->has_fault = true;
  client->worker->process->unfinished_clean--;
}

static void note_notice(struct client *client, const char *data, size_t length) {
  size_t kept = length < CLIENT_NOTICE_BYTES - 1 ? length : CLIENT_NOTICE_BYTES - 1;
  if (kept > 0) memcpy(client->notice, data, kept);
  client->notice[kept] = '\0';
}

/* Messages and notices */

static void on_message(fluxbp_client_t *stream, const fluxbp_client_event_t *message) {
  struct client *client = fluxbp_client_user(stream);
  struct worker *worker = client->worker;
  struct integrity *integrity = &client->integrity;
  uint64_t planned_ns = 0, expected = integrity_expected(integrity), now_ns = message->read_ns;
  if (client->is_finished) return;
  enum integrity_outcome outcome =
      integrity_take(integrity, &worker->rules, message->data, message->length, &planned_ns);
  if (integrity->first_fault != INTEGRITY_NO_FAULT) note_fault(client);
  if (outcome == INTEGRITY_IGNORED) return;
  client->has_got_message = true;
  client->results->messages++;
  worker->process->last_message_ns = now_ns;
  if (worker->process->first_message_ns == 0) worker->process->first_message_ns = now_ns;
  if (outcome == INTEGRITY_MEASURED && now_ns >= planned_ns)
    histogram_record(&client->results->latency, now_ns - planned_ns);
  bool is_progress = integrity->kind != INTEGRITY_NUMBERS || integrity_expected(integrity) != expected;
  if (is_progress && client_is_lossless(client)) worker->process->progress_ns = now_ns;
  if (integrity_has_last(integrity, &worker->rules)) client_finish(client, CLIENT_NO_FAILURE);
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
      integrity_take_error_notice(&client->integrity);
    break;
  case FLUXBP_CLIENT_GAP:
    integrity_take_gap_notice(&client->integrity);
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
  if (client->integrity.first_fault != INTEGRITY_NO_FAULT) note_fault(client);
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
  if (client->class == CLIENT_STALLED) {
    client_become_ready(client);
    stalled_add(&worker->stalled, client, now_ns);
  }
  worker_open_more(worker);
}

/* A client of lines is known to be subscribed when the server answers its PING. */
static void on_open(fluxbp_client_t *stream) {
  struct client *client = fluxbp_client_user(stream);
  bool is_text = target_is_text(&client->worker->options->target);
  uint64_t now_ns = uv_hrtime();
  if (now_ns > client->connect_ns) histogram_record(&client->results->connect, now_ns - client->connect_ns);
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

static uint64_t random_bits(void *arg) {
  return values_random(arg);
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
  options->resumes = options->reconnects = options->is_persistent = client->class == CLIENT_RECONNECT;
  options->passes_repeats = 1; /* a message that comes twice is a fault */
  options->ignores_retry_hints = 1;
  options->retry_first_ms = options->retry_max_ms = reconnect_pause_ms;
  options->connect_timeout_ms = options->handshake_timeout_ms = options->ping_interval_ms = 0;
  options->read_buffer = worker->buffer;
  options->read_buffer_bytes = WORKER_BUFFER_BYTES;
  options->random = random_bits;
  options->arg = &worker->random;
  if (client->class == CLIENT_SLOW) options->receive_buffer_bytes = slow_rcvbuf_bytes;
  if (client->class == CLIENT_STALLED) options->receive_buffer_bytes = given->stalled_rcvbuf_bytes;
  if (given->sources.count == 0) return;
  sources_pick(&given->sources, client->index, source);
  options->local_address = (const struct sockaddr *) source;
}

int client_open(struct client *client) {
  fluxbp_client_options_t options;
  struct sockaddr_storage source;
  set_options(client, &options, &source);
  int error = fluxbp_client_create(client->worker->loop, &options, &client->stream);
  if (error != 0) return error;
  /* A slow client begins to read with its first allowance. */
  if (client->class == CLIENT_SLOW || client->class == CLIENT_STALLED) fluxbp_client_pause_read(client->stream);
  client->is_reading = true;
  client->state = CLIENT_CONNECTING;
  client->connect_ns = uv_hrtime();
  client->worker->connecting++;
  return fluxbp_client_connect(client->stream);
}
