/* SPDX-License-Identifier: MIT */
/*
 * transport_fixture: see transport_fixture.h. Relies on public headers only, as a program does. The one entry of a
 * built-in transport that is called is `open`, for the socket options.
 *
 * A late answer waits for an idle handle, which is active only while one is due, and is closed before `close` is
 * answered.
 */
#include "support/transport_fixture.h"

#include "fluxbp/conn.h"

#include <assert.h>
#include <string.h>
#include <sys/socket.h>

enum { BUFFERS_MAX = 1024 };

transport_faults_t transport_faults;
transport_calls_t transport_calls;

typedef struct relay {
  fluxbp_conn_t *conn; /* NULL before `open` */
  uv_idle_t idle;
  uint32_t turns_left; /* until the late answers are given */

  uv_write_t write; /* under way while is_writing: of `record`, or of the rest of a message */
  bool is_writing;
  bool is_waiting;        /* for the answer to want_writable */
  bool is_rest_written;   /* by `write` */
  bool is_room_due;       /* that answer is late, */
  ssize_t taken;          /* and says this */
  size_t rest_bytes;      /* of the message that is waited for */
  char *record;           /* TRANSPORT_RECORD_BYTES, while a part of it is kept; else NULL */
  uv_shutdown_t shutdown; /* once nothing is kept */
  bool is_shutting;
  bool is_shut_due; /* that answer is late, */
  int shut_status;  /* and says this */

  bool is_reading;
  bool is_handing_over;
  char *input; /* `input_bytes` that were read, of which `input_done` were handed over; or NULL */
  size_t input_bytes, input_done;
  bool is_closing;
} relay_t;

static bool is_keeping(const relay_t *relay) {
  return fluxbp_transport_of(relay->conn) == transport_keeping();
}

static bool closes_late(const relay_t *relay) {
  return is_keeping(relay) || transport_faults.late_turns > 0;
}

static uv_stream_t *stream_of(const relay_t *relay) {
  return fluxbp_conn_stream(relay->conn);
}

void transport_fixture_reset(void) {
  memset(&transport_faults, 0, sizeof transport_faults);
  memset(&transport_calls, 0, sizeof transport_calls);
}

/* ---- answers ---- */

static bool may_answer(const relay_t *relay) {
  return !relay->is_closing || transport_faults.answers_after_close;
}

static void answer_room(relay_t *relay) {
  relay->is_room_due = false;
  relay->is_waiting = false;
  if (may_answer(relay)) fluxbp_transport_writable(relay->conn, relay->taken);
}

static void answer_shut(relay_t *relay) {
  relay->is_shut_due = false;
  if (!relay->is_closing) fluxbp_transport_shut(relay->conn, relay->shut_status);
}

static void on_idle(uv_idle_t *idle) {
  relay_t *relay = idle->data;
  if (relay->turns_left > 0 && --relay->turns_left > 0) return;
  (void) uv_idle_stop(idle);
  if (relay->is_room_due) answer_room(relay);
  if (relay->is_shut_due) answer_shut(relay);
}

static void put_off_answers(relay_t *relay) {
  relay->turns_left = transport_faults.late_turns;
  (void) uv_idle_start(&relay->idle, on_idle);
}

static void note_room(relay_t *relay, ssize_t taken) {
  relay->taken = taken;
  relay->is_room_due = true;
  if (transport_faults.is_mute) return;
  if (transport_faults.late_turns > 0 && !relay->is_closing)
    put_off_answers(relay);
  else
    answer_room(relay);
}

static void note_shut(relay_t *relay, int status) {
  relay->shut_status = status;
  relay->is_shut_due = true;
  if (transport_faults.is_mute) return;
  if (transport_faults.late_turns > 0)
    put_off_answers(relay);
  else
    answer_shut(relay);
}

/* ---- writing ---- */

static void on_shutdown(uv_shutdown_t *request, int status) {
  note_shut(request->data, status);
}

static int say_fin(relay_t *relay) {
  relay->shutdown.data = relay;
  return uv_shutdown(&relay->shutdown, stream_of(relay), on_shutdown);
}

static void free_record(relay_t *relay) {
  fluxbp_transport_free(relay->conn, relay->record, TRANSPORT_RECORD_BYTES);
  relay->record = NULL;
}

/* The kernel has all of the record, or the stream was closed. */
static void on_record_written(uv_write_t *request, int status) {
  relay_t *relay = request->data;
  relay->is_writing = false;
  free_record(relay);
  if (relay->is_closing) return;
  if (relay->is_waiting) {
    note_room(relay, status); /* in which the library may say that nothing follows */
    return;
  }
  if (!relay->is_shutting) return;
  int err = status ? status : say_fin(relay);
  if (err) note_shut(relay, err);
}

static void on_rest_written(uv_write_t *request, int status) {
  relay_t *relay = request->data;
  relay->is_writing = false;
  relay->is_rest_written = false;
  if (may_answer(relay)) note_room(relay, status == 0 ? (ssize_t) relay->rest_bytes : status);
}

static int begin_write(relay_t *relay, const uv_buf_t *buffer, uv_write_cb on_written) {
  relay->write.data = relay;
  int err = uv_write(&relay->write, stream_of(relay), buffer, 1, on_written);
  relay->is_writing = err == 0;
  return err;
}

/* Copy the first bytes of `buffers` to `to`, and take them off the buffers. Returns how many bytes. */
static size_t move_front(char *to, size_t bytes_max, uv_buf_t **buffers, unsigned *count) {
  size_t moved = 0;
  while (*count > 0 && moved < bytes_max) {
    uv_buf_t *first = *buffers;
    size_t step = first->len < bytes_max - moved ? first->len : bytes_max - moved;
    memcpy(to + moved, first->base, step);
    first->base += step;
    first->len -= step;
    moved += step;
    if (first->len > 0) break;
    ++*buffers;
    --*count;
  }
  return moved;
}

/* Write the record, of which the kernel may take any part; the rest is kept. */
static int write_record(relay_t *relay, size_t bytes) {
  uv_buf_t rest = uv_buf_init(relay->record, (unsigned) bytes);
  int written = uv_try_write(stream_of(relay), &rest, 1);
  if (written < 0 && written != UV_EAGAIN) return written;
  if (written > 0) {
    rest.base += written;
    rest.len -= (size_t) written;
  }
  if (rest.len > 0) return begin_write(relay, &rest, on_record_written);
  free_record(relay);
  return 0;
}

/* Take records until one of them is kept. */
static int write_records(relay_t *relay, uv_buf_t *buffers, unsigned count) {
  size_t taken = 0;
  while (count > 0 && !relay->is_writing) {
    void *memory;
    int err = fluxbp_transport_alloc(relay->conn, TRANSPORT_RECORD_BYTES, &memory);
    if (err) return err;
    relay->record = memory;
    size_t bytes = move_front(relay->record, TRANSPORT_RECORD_BYTES, &buffers, &count);
    err = write_record(relay, bytes);
    if (err) free_record(relay);
    if (err) return err;
    taken += bytes;
  }
  return (int) taken;
}

/* Write the front of `buffers`, at most so many bytes, to `to`. Returns how many buffers that are. */
static unsigned cut(uv_buf_t *to, const uv_buf_t *buffers, unsigned count, size_t bytes_max) {
  unsigned n = 0;
  for (; n < count && bytes_max > 0; n++) {
    to[n] = buffers[n];
    if (to[n].len > bytes_max) to[n].len = bytes_max;
    bytes_max -= to[n].len;
  }
  return n;
}

static int relay_try_write(fluxbp_conn_t *conn, const uv_buf_t *buffers, unsigned count) {
  static uv_buf_t front[BUFFERS_MAX];
  relay_t *relay = fluxbp_transport_data(conn);
  const transport_faults_t *faults = &transport_faults;
  assert(count >= 1 && count <= BUFFERS_MAX && !relay->is_closing && !relay->is_waiting && !relay->is_shutting);
  transport_calls.try_writes++;
  if (faults->try_write_error) return faults->try_write_error;
  bool is_refused = faults->again_every > 0 && transport_calls.try_writes % faults->again_every == 0;
  if (is_refused || relay->is_writing) {
    transport_calls.agains++;
    return UV_EAGAIN;
  }
  if (!is_keeping(relay) && faults->take_bytes_max == 0) return uv_try_write(stream_of(relay), buffers, count);
  count = cut(front, buffers, count, faults->take_bytes_max > 0 ? faults->take_bytes_max : SIZE_MAX);
  return is_keeping(relay) ? write_records(relay, front, count) : uv_try_write(stream_of(relay), front, count);
}

static int relay_want_writable(fluxbp_conn_t *conn, const uv_buf_t *rest) {
  relay_t *relay = fluxbp_transport_data(conn);
  assert(!relay->is_waiting && !relay->is_closing && rest->len > 0);
  transport_calls.waits++;
  if (transport_faults.want_writable_error) return transport_faults.want_writable_error;
  relay->is_waiting = true;
  relay->rest_bytes = rest->len;
  if (relay->is_writing) return 0; /* the record's end answers */
  relay->is_rest_written = true;
  return begin_write(relay, rest, on_rest_written);
}

static size_t relay_unwritten(const fluxbp_conn_t *conn) {
  const relay_t *relay = fluxbp_transport_data(conn);
  assert(relay->is_waiting);
  if (relay->is_rest_written) return uv_stream_get_write_queue_size(stream_of(relay));
  return relay->is_room_due && relay->taken > 0 ? 0 : relay->rest_bytes;
}

static size_t relay_kept(const fluxbp_conn_t *conn) {
  const relay_t *relay = fluxbp_transport_data(conn);
  if (transport_faults.kept_bytes > 0) return transport_faults.kept_bytes;
  return relay->record != NULL ? uv_stream_get_write_queue_size(stream_of(relay)) : 0;
}

static int relay_shutdown(fluxbp_conn_t *conn) {
  relay_t *relay = fluxbp_transport_data(conn);
  assert(!relay->is_waiting && !relay->is_shutting && !relay->is_closing);
  relay->is_shutting = true;
  if (transport_faults.shutdown_error) return transport_faults.shutdown_error;
  if (transport_faults.is_answering_at_once) note_shut(relay, 0);
  if (transport_faults.is_answering_at_once || relay->is_writing) return 0;
  return say_fin(relay);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void) suggested;
  fluxbp_transport_read_buffer(fluxbp_conn_of_stream((uv_stream_t *) handle), buffer);
}

/* Hand over `length` bytes in pieces while reading goes on. Returns how many were handed over. */
static size_t hand_over(relay_t *relay, const char *data, size_t length) {
  size_t piece_max = is_keeping(relay) ? TRANSPORT_PIECE_BYTES : length;
  size_t done = 0;
  relay->is_handing_over = true;
  while (relay->is_reading && done < length) {
    const char *piece = data + done;
    size_t bytes = length - done < piece_max ? length - done : piece_max;
    done += bytes;
    fluxbp_transport_received(relay->conn, piece, (ssize_t) bytes);
  }
  relay->is_handing_over = false;
  return done;
}

static int keep_input(relay_t *relay, const void *data, size_t length) {
  void *memory;
  assert(relay->input == NULL);
  int err = fluxbp_transport_alloc(relay->conn, length, &memory);
  if (err) return err;
  relay->input = memcpy(memory, data, length);
  relay->input_bytes = length;
  relay->input_done = 0;
  return 0;
}

static void free_input(relay_t *relay) {
  fluxbp_transport_free(relay->conn, relay->input, relay->input_bytes);
  relay->input = NULL;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  fluxbp_conn_t *conn = fluxbp_conn_of_stream(stream);
  relay_t *relay = fluxbp_transport_data(conn);
  if (count < 0) fluxbp_transport_received(conn, NULL, count);
  if (count == UV_EOF && transport_faults.says_eof_twice) fluxbp_transport_received(conn, NULL, count);
  if (count <= 0) return;
  size_t done = hand_over(relay, buffer->base, (size_t) count);
  if (relay->is_closing || done == (size_t) count) return;
  int err = keep_input(relay, buffer->base + done, (size_t) count - done);
  if (err) fluxbp_transport_received(conn, NULL, err);
}

static int read_stream(relay_t *relay) {
  int err = uv_read_start(stream_of(relay), on_alloc, on_read);
  return err == UV_EALREADY ? 0 : err;
}

static int relay_preread(fluxbp_conn_t *conn, const void *data, size_t length) {
  if (transport_faults.preread_error) return transport_faults.preread_error;
  return keep_input(fluxbp_transport_data(conn), data, length);
}

static int relay_read_start(fluxbp_conn_t *conn) {
  relay_t *relay = fluxbp_transport_data(conn);
  assert(!relay->is_reading && !relay->is_closing);
  if (transport_faults.read_start_error) return transport_faults.read_start_error;
  relay->is_reading = true;
  if (relay->input != NULL) return relay->is_handing_over ? 0 : fluxbp_transport_deliver_later(conn);
  return read_stream(relay);
}

static void relay_read_stop(fluxbp_conn_t *conn) {
  relay_t *relay = fluxbp_transport_data(conn);
  assert(relay->is_reading && !relay->is_closing);
  relay->is_reading = false;
  (void) uv_read_stop(stream_of(relay));
}

static void relay_deliver(fluxbp_conn_t *conn) {
  relay_t *relay = fluxbp_transport_data(conn);
  assert(relay->is_reading && !relay->is_closing && relay->input != NULL);
  transport_calls.delivers++;
  size_t done = hand_over(relay, relay->input + relay->input_done, relay->input_bytes - relay->input_done);
  if (relay->is_closing) return; /* the bytes are gone */
  relay->input_done += done;
  if (relay->input_done < relay->input_bytes) return;
  free_input(relay);
  int err = relay->is_reading ? read_stream(relay) : 0;
  if (err) fluxbp_transport_received(conn, NULL, err);
}

static int relay_is_at_end(fluxbp_conn_t *conn) {
  const relay_t *relay = fluxbp_transport_data(conn);
  uv_os_fd_t fd;
  char byte;
  assert(!relay->is_reading);
  if (relay->input != NULL || uv_fileno((uv_handle_t *) stream_of(relay), &fd) != 0) return 0;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* ---- the beginning and the end ---- */

static int relay_open(fluxbp_conn_t *conn) {
  relay_t *relay = fluxbp_transport_data(conn);
  if (transport_faults.open_error) return transport_faults.open_error;
  int err = fluxbp_transport_tcp()->open(conn);
  if (err) return err;
  relay->conn = conn;
  relay->idle.data = relay;
  transport_calls.open_now++;
  return closes_late(relay) ? uv_idle_init(stream_of(relay)->loop, &relay->idle) : 0;
}

static void answer_close(relay_t *relay) {
  transport_calls.open_now--;
  fluxbp_transport_closed(relay->conn);
}

static void on_idle_closed(uv_handle_t *idle) {
  answer_close(idle->data);
}

static void relay_close(fluxbp_conn_t *conn, int by_reset) {
  relay_t *relay = fluxbp_transport_data(conn);
  uv_os_fd_t fd;
  const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  assert(!relay->is_closing);
  transport_calls.closes++;
  transport_calls.resets += by_reset != 0;
  relay->is_closing = true;
  relay->is_reading = false;
  if (relay->conn == NULL) { /* `open` wasn't called, or has failed */
    fluxbp_transport_closed(conn);
    return;
  }
  (void) uv_read_stop(stream_of(relay));
  if (by_reset && uv_fileno((uv_handle_t *) stream_of(relay), &fd) == 0)
    (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  free_input(relay);
  if (relay->idle.loop != NULL)
    uv_close((uv_handle_t *) &relay->idle, on_idle_closed);
  else
    answer_close(relay);
}

static int keeping_fd(const fluxbp_conn_t *conn) {
  uv_os_fd_t fd;
  const uv_stream_t *stream = fluxbp_conn_stream((fluxbp_conn_t *) (uintptr_t) conn);
  return transport_faults.hides_fd || uv_fileno((const uv_handle_t *) stream, &fd) != 0 ? -1 : fd;
}

static int no_fd(const fluxbp_conn_t *conn) {
  (void) conn;
  return -1;
}

static const fluxbp_transport_t pass_through = {
    .size = sizeof(fluxbp_transport_t),
    .name = "pass-through",
    .stream = FLUXBP_STREAM_TCP,
    .data_bytes = sizeof(relay_t),
    .open = relay_open,
    .preread = relay_preread,
    .try_write = relay_try_write,
    .want_writable = relay_want_writable,
    .unwritten = relay_unwritten,
    .read_start = relay_read_start,
    .read_stop = relay_read_stop,
    .deliver = relay_deliver,
    .is_at_end = relay_is_at_end,
    .shutdown = relay_shutdown,
    .close = relay_close,
};

static const fluxbp_transport_t keeping = {
    .size = sizeof(fluxbp_transport_t),
    .name = "keeping",
    .stream = FLUXBP_STREAM_TCP,
    .data_bytes = sizeof(relay_t),
    .open = relay_open,
    .preread = relay_preread,
    .try_write = relay_try_write,
    .want_writable = relay_want_writable,
    .unwritten = relay_unwritten,
    .kept = relay_kept,
    .read_start = relay_read_start,
    .read_stop = relay_read_stop,
    .deliver = relay_deliver,
    .is_at_end = relay_is_at_end,
    .shutdown = relay_shutdown,
    .close = relay_close,
    .fd = keeping_fd,
};

static const fluxbp_transport_t blind = {
    .size = sizeof(fluxbp_transport_t),
    .name = "blind",
    .stream = FLUXBP_STREAM_TCP,
    .data_bytes = sizeof(relay_t),
    .open = relay_open,
    .try_write = relay_try_write,
    .want_writable = relay_want_writable,
    .read_start = relay_read_start,
    .read_stop = relay_read_stop,
    .shutdown = relay_shutdown,
    .close = relay_close,
    .fd = no_fd,
};

const fluxbp_transport_t *transport_pass_through(void) {
  return &pass_through;
}

const fluxbp_transport_t *transport_keeping(void) {
  return &keeping;
}

const fluxbp_transport_t *transport_blind(void) {
  return &blind;
}
