/* SPDX-License-Identifier: MIT */
/*
 * client: connections and what comes over them.
 *
 * Reads are libuv's: the library has no reading side for the far end of a broadcast, and none is wanted here, since
 * what a client costs should be the kernel's reading and our checking, nothing else. All clients of a process share one
 * large buffer; a stream copies only what is cut off at its end.
 */
#define _GNU_SOURCE /* IP_BIND_ADDRESS_NO_PORT */
#include "pace.h"
#include "worker.h"

#include <netinet/in.h>
#include <string.h>

/* Of clients that read slowly: small enough that the window moves more than once in a few seconds. */
static const int slow_rcvbuf_bytes = 16 * 1024;

static const uint64_t reconnect_pause_max_ns = 200 * UINT64_C(1000000);

static void on_event(struct stream *stream, const struct stream_event *event);

bool client_init(struct client *client, struct worker *worker, enum client_class class, uint32_t index) {
  *client =
      (struct client){.worker = worker, .class = class, .index = index, .results = &worker->process->classes[class]};
  client->results->clients++;
  return integrity_init(&client->integrity, &worker->rules);
}

void client_free(struct client *client) {
  stream_reset(&client->stream);
  integrity_free(&client->integrity);
}

static void on_closed(uv_handle_t *handle) {
  struct client *client = handle->data;
  client->is_handle_busy = false;
}

static void leave_connection(struct client *client) {
  if (client->state == CLIENT_CONNECTING) client->worker->connecting--;
  if (client->state == CLIENT_OPEN) client->results->connected--;
  client->is_reading = false;
}

/* The server finds a FIN, or a reset if something of it is unread. */
static void end_connection(struct client *client, enum client_state state) {
  bool has_handle = client->state == CLIENT_CONNECTING || client->state == CLIENT_OPEN;
  leave_connection(client);
  client->state = state;
  stream_stop(&client->stream);
  if (has_handle) uv_close((uv_handle_t *) &client->tcp, on_closed);
}

void client_close(struct client *client) {
  end_connection(client, CLIENT_CLOSED);
}

void client_cut(struct client *client, bool resets) {
  if (client->state != CLIENT_OPEN) return;
  leave_connection(client);
  client->state = CLIENT_CUT;
  client->due_ns = uv_hrtime() + worker_random(client->worker) % reconnect_pause_max_ns;
  stream_stop(&client->stream);
  if (!resets || uv_tcp_close_reset(&client->tcp, on_closed) != 0) uv_close((uv_handle_t *) &client->tcp, on_closed);
}

void client_become_ready(struct client *client) {
  if (client->is_ready) return;
  client->is_ready = true;
  client->worker->process->waited_for--;
}

void client_finish(struct client *client, enum client_failure failure) {
  struct process_results *process = client->worker->process;
  client_become_ready(client); /* it isn't waited for any more */
  end_connection(client, CLIENT_CLOSED);
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

static void note_position(struct client *client, const char *id, size_t length) {
  if (length >= CLIENT_POSITION_BYTES) return;
  memcpy(client->position, id, length);
  client->position[length] = '\0';
}

/* What comes */

static void take_message(struct client *client, const struct stream_event *event) {
  struct worker *worker = client->worker;
  struct integrity *integrity = &client->integrity;
  uint64_t planned_ns = 0, expected = integrity_expected(integrity);
  enum integrity_outcome outcome = integrity_take(integrity, &worker->rules, event->data, event->length, &planned_ns);
  if (integrity->first_fault != INTEGRITY_NO_FAULT) note_fault(client);
  if (event->id_length > 0 && client->class == CLIENT_RECONNECT) note_position(client, event->id, event->id_length);
  if (outcome == INTEGRITY_IGNORED) return;
  client->has_got_message = true;
  client->results->messages++;
  worker->process->last_message_ns = worker->now_ns;
  if (worker->process->first_message_ns == 0) worker->process->first_message_ns = worker->now_ns;
  if (outcome == INTEGRITY_MEASURED && worker->now_ns >= planned_ns)
    histogram_record(&client->results->latency, worker->now_ns - planned_ns);
  bool is_progress = integrity->kind != INTEGRITY_NUMBERS || integrity_expected(integrity) != expected;
  if (is_progress && client_is_lossless(client)) worker->process->progress_ns = worker->now_ns;
  if (integrity_has_last(integrity, &worker->rules)) client_finish(client, CLIENT_NO_FAILURE);
}

static void record_connected(struct client *client) {
  histogram_record(&client->results->connect, uv_hrtime() - client->connect_ns);
}

/* What a server closes with is answered with the same, or it would wait. */
static void answer_close(struct client *client, int code) {
  if (code == STREAM_WEBSOCKET_NO_CODE) code = STREAM_WEBSOCKET_NORMAL;
  char code_bytes[2] = {(char) (code >> 8), (char) code}, frame[16];
  size_t length = stream_websocket_frame(STREAM_WEBSOCKET_CLOSE, code_bytes, sizeof code_bytes, frame, sizeof frame);
  uv_buf_t buffer = uv_buf_init(frame, (unsigned) length);
  uv_try_write((uv_stream_t *) &client->tcp, &buffer, 1);
}

static void answer_ping(struct client *client, const struct stream_event *event) {
  char pong[160];
  size_t length = stream_websocket_frame(STREAM_WEBSOCKET_PONG, event->data, event->length, pong, sizeof pong);
  uv_buf_t buffer = uv_buf_init(pong, (unsigned) length);
  if (length > 0) uv_try_write((uv_stream_t *) &client->tcp, &buffer, 1);
}

static void take_notice(struct client *client, const struct stream_event *event) {
  bool is_lossless = client_is_lossless(client);
  note_notice(client, event->data, event->length);
  switch (event->kind) {
  case STREAM_ERROR:
    if (is_lossless && client->class != CLIENT_RECONNECT) integrity_take_error_notice(&client->integrity);
    break;
  case STREAM_GAP:
    integrity_take_gap_notice(&client->integrity);
    break;
  case STREAM_EVICTED:
    client->says_evicted = true;
    break;
  case STREAM_CLOSING:
    client->says_closing = true;
    break;
  default: /* STREAM_TOO_OLD: what is lost is seen by its number */
    client->results->too_old++;
    client->is_resuming = false;
    client->position[0] = '\0';
    if (event->id_length > 0) note_position(client, event->id, event->id_length);
    break;
  }
  if (client->integrity.first_fault != INTEGRITY_NO_FAULT) note_fault(client);
}

static void on_event(struct stream *stream, const struct stream_event *event) {
  struct client *client = stream->data;
  if (stream->websocket != NULL && event->code != 0) answer_close(client, event->code);
  switch (event->kind) {
  case STREAM_MESSAGE:
    if (!client->is_resuming) take_message(client, event);
    break;
  case STREAM_OPENED:
    record_connected(client);
    client_become_ready(client);
    break;
  case STREAM_ANSWER:
    if (event->length >= 5 && memcmp(event->data, "+PONG", 5) == 0) client_become_ready(client);
    break;
  case STREAM_POSITION: /* while it waits for what it has missed, it isn't there yet */
    if (event->id_length > 0 && !client->is_resuming) note_position(client, event->id, event->id_length);
    break;
  case STREAM_RESUMED:
    client->is_resuming = false;
    client->results->resumes++;
    break;
  case STREAM_PING:
    answer_ping(client, event);
    break;
  case STREAM_UNSET: /* no message is missing */
    break;
  case STREAM_CLOSED:
    note_notice(client, event->data, event->length);
    client->error = event->code; /* of HTTP or WebSocket: positive */
    break;
  default:
    take_notice(client, event);
    break;
  }
}

/* Whether it is in order that the server closes now: without a last line to wait for, the feed has ended. */
static bool is_end_of_feed(const struct client *client, int error) {
  const struct worker *worker = client->worker;
  if (error != UV_EOF || client->says_evicted || worker->rules.until > 0 || worker_has_publisher(worker)) return false;
  return stream_is_between_messages(&client->stream) && client->integrity.kind != INTEGRITY_UNDECIDED;
}

static void lost_connection(struct client *client, int error) {
  bool is_evicted = client->says_evicted || (error == UV_ECONNRESET && !client->says_closing);
  if (is_evicted) client->results->evicted++;
  bool comes_back = client->class == CLIENT_RECONNECT && client->is_ready && !is_end_of_feed(client, error);
  if (comes_back) { /* as if it had cut the connection itself */
    client_cut(client, false);
    return;
  }
  if (client->error == 0) client->error = error;
  bool is_refused = client->stream.http != NULL && client->error > 0;
  enum client_failure failure = is_evicted                       ? CLIENT_EVICTED
                                : client->stream.problem != NULL ? CLIENT_PROTOCOL
                                                                 : CLIENT_DISCONNECTED;
  if (is_refused && !is_evicted) failure = CLIENT_REFUSED;
  if (is_end_of_feed(client, error)) failure = CLIENT_NO_FAILURE;
  client_finish(client, failure);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  struct client *client = handle->data;
  (void) suggested;
  size_t length = WORKER_BUFFER_BYTES;
  if (client->class == CLIENT_SLOW && client->allowance < length) length = (size_t) client->allowance;
  *buffer = uv_buf_init(client->worker->buffer, (unsigned) length);
}

static void on_read(uv_stream_t *tcp, ssize_t length, const uv_buf_t *buffer) {
  struct client *client = tcp->data;
  struct worker *worker = client->worker;
  if (length == 0) return;
  if (length < 0) {
    lost_connection(client, (int) length);
    return;
  }
  worker->now_ns = uv_hrtime();
  client->results->bytes += (uint64_t) length;
  bool is_understood = stream_feed(&client->stream, buffer->base, (size_t) length);
  if (!is_understood && client->state == CLIENT_OPEN) {
    lost_connection(client, UV_EPROTO);
    return;
  }
  if (client->class != CLIENT_SLOW) return;
  client->allowance -= (uint64_t) length < client->allowance ? (uint64_t) length : client->allowance;
  if (client->allowance == 0) client_pause(client);
}

void client_read(struct client *client) {
  if (client->state != CLIENT_OPEN || client->is_reading) return;
  int error = uv_read_start((uv_stream_t *) &client->tcp, lend_buffer, on_read);
  client->is_reading = error == 0;
  if (error != 0) lost_connection(client, error);
}

void client_pause(struct client *client) {
  if (client->state != CLIENT_OPEN || !client->is_reading) return;
  uv_read_stop((uv_stream_t *) &client->tcp);
  client->is_reading = false;
}

/* Connecting */

/* The few bytes always fit into the send buffer of a new connection. */
static int send_request(struct client *client) {
  struct worker *worker = client->worker;
  struct wish wish = worker->wish;
  bool is_text = client->stream.protocol == PROTOCOL_LINES || client->stream.protocol == PROTOCOL_LENGTH;
  wish.wants_ids = client->class == CLIENT_RECONNECT;
  wish.wants_answer = is_text && !client->is_ready && worker_has_publisher(worker) && client->class != CLIENT_STALLED;
  if (wish.wants_ids && client->position[0] != '\0') wish.since = client->position;
  client->stream.has_ids = wish.wants_ids;
  client->is_resuming = is_text && wish.since != NULL;
  if (is_text && !wish.wants_answer) client_become_ready(client);
  if (client->class == CLIENT_STALLED) client_become_ready(client);
  char request[TARGET_REQUEST_BYTES];
  size_t length = target_request(&worker->options->target, &wish, request);
  uv_buf_t buffer = uv_buf_init(request, (unsigned) length);
  if (length == 0) return 0;
  int written = uv_try_write((uv_stream_t *) &client->tcp, &buffer, 1);
  if (written < 0) return written;
  return (size_t) written == length ? 0 : UV_ENOBUFS;
}

static void begin(struct client *client) {
  struct worker *worker = client->worker;
  uint64_t now_ns = uv_hrtime();
  client->state = CLIENT_OPEN;
  client->results->connected++;
  if (!client->was_connected) { /* coming back again and again is no progress */
    client->results->ever_connected++;
    worker->process->progress_ns = now_ns;
  }
  client->was_connected = true;
  worker->connecting--;
  if (client->stream.protocol == PROTOCOL_LINES || client->stream.protocol == PROTOCOL_LENGTH) record_connected(client);
  pace_begin(client, now_ns);
  int error = send_request(client);
  if (client->class == CLIENT_STALLED) { /* whatever the error, the watch finds it */
    stalled_add(&worker->stalled, client, now_ns);
  } else if (error != 0) {
    lost_connection(client, error);
  } else if (client->class != CLIENT_SLOW) { /* a slow one begins with its first allowance */
    client_read(client);
  }
}

static void connecting_failed(struct client *client, int error) {
  struct worker *worker = client->worker;
  if (client->was_connected) { /* it will come back later */
    leave_connection(client);
    client->state = CLIENT_CUT;
    client->due_ns = uv_hrtime() + reconnect_pause_max_ns + worker_random(worker) % reconnect_pause_max_ns;
    uv_close((uv_handle_t *) &client->tcp, on_closed);
    return;
  }
  if (worker->process->connect_error == 0) worker->process->connect_error = error;
  end_connection(client, CLIENT_CLOSED);
}

static void on_connect(uv_connect_t *request, int status) {
  struct client *client = request->data;
  if (status == UV_ECANCELED) return; /* closed meanwhile */
  if (status != 0)
    connecting_failed(client, status);
  else
    begin(client);
  worker_connected_one(client->worker);
}

/* The port is chosen when the other end is known, or connections to one server would use up those of all. */
static int bind_source(struct client *client) {
  const struct sources *sources = &client->worker->options->sources;
  if (sources->count == 0) return 0;
  struct sockaddr_storage address;
  sources_pick(sources, client->index, &address);
#ifdef IP_BIND_ADDRESS_NO_PORT
  uv_os_fd_t fd;
  int is_on = 1;
  if (uv_fileno((uv_handle_t *) &client->tcp, &fd) == 0)
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &is_on, sizeof is_on);
#endif
  return uv_tcp_bind(&client->tcp, (const struct sockaddr *) &address, 0);
}

/* The receive buffer decides about the window that the connection begins with, so it is set before connecting. */
static int set_receive_buffer(struct client *client) {
  int bytes = 0;
  if (client->class == CLIENT_SLOW) bytes = slow_rcvbuf_bytes;
  if (client->class == CLIENT_STALLED) bytes = client->worker->options->stalled_rcvbuf_bytes;
  return bytes > 0 ? uv_recv_buffer_size((uv_handle_t *) &client->tcp, &bytes) : 0;
}

int client_open(struct client *client) {
  struct worker *worker = client->worker;
  const struct sockaddr *address = (const struct sockaddr *) &worker->options->target.address;
  int status = uv_tcp_init_ex(worker->loop, &client->tcp, address->sa_family); /* with its socket, at once */
  if (status != 0) return status;
  stream_reset(&client->stream);
  stream_init(&client->stream, worker->options->target.protocol, on_event);
  client->stream.data = client;
  client->tcp.data = client->connect.data = client;
  client->is_handle_busy = true;
  client->has_got_message = client->says_evicted = client->says_closing = false;
  client->error = 0;
  client->state = CLIENT_CONNECTING;
  client->connect_ns = uv_hrtime();
  worker->connecting++;
  status = set_receive_buffer(client);
  if (status == 0) status = bind_source(client);
  if (status == 0) status = uv_tcp_connect(&client->connect, &client->tcp, address, on_connect);
  if (status != 0) end_connection(client, CLIENT_CLOSED);
  return status;
}
