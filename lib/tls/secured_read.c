/* SPDX-License-Identifier: MIT */
/*
 * secured_read: what comes from the socket is given to OpenSSL in whole records, one at a time. So OpenSSL keeps no
 * buffer between two reads, and the library can stop reading between two records.
 */
#include "handshakes.h"
#include "secured.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A read takes one of the longest records and some more, so that what is kept when the connection's turn is over is
 * little. */
enum { READ_BYTES = 20480 };

/* Whether something is kept that can be done. */
static bool has_kept(const struct secured *secured) {
  return secured->phase == SECURED_PLAIN ? secured->input_length > 0 : secured_has_record(secured);
}

/* How many bytes of `length` the record lacks that is kept in part. */
static size_t missing_bytes(const struct secured *secured, size_t length) {
  ssize_t bytes = fluxbp__tls_record_bytes(secured->input, secured->input_length);
  size_t end = bytes > 0 ? (size_t) bytes : FLUXBP__TLS_HEADER_BYTES;
  size_t missing = bytes >= 0 && end > secured->input_length ? end - secured->input_length : 0;
  return missing < length ? missing : length;
}

/* Handing over. */

bool secured_may_hand_over(const struct secured *secured) {
  return secured->is_reading && !secured->is_blocked && !secured->has_ended &&
         (secured->phase == SECURED_OPEN || secured->phase == SECURED_PLAIN);
}

void secured_end_reading(struct secured *secured, ssize_t status) {
  if (secured->has_ended || !secured_is_alive(secured)) return;
  secured->has_ended = true;
  (void) uv_read_stop(secured_stream(secured));
  fluxbp_transport_received(secured->conn, NULL, status);
}

/* Return the bytes of the record at the front if it is whole, 0 if not, or UV_EPROTO. */
static ssize_t whole_record(const char *data, size_t length) {
  ssize_t bytes = fluxbp__tls_record_bytes(data, length);
  return bytes > 0 && (size_t) bytes > length ? 0 : bytes;
}

/* The first bytes are no record: OpenSSL tells the client so. Returns why reading has ended. */
static ssize_t refuse_record(struct secured *secured, const char *data, size_t length) {
  char plain[1];
  secured->tls.window = data;
  secured->tls.window_length = length;
  ssize_t err = fluxbp__tls_read(&secured->tls, plain, sizeof plain);
  secured->tls.window_length = 0;
  return err < 0 && err != UV_EAGAIN ? err : UV_EPROTO;
}

/* Decrypt records at the front of `data` as long as there is room for the next one, and the connection has its turn.
 * Returns bytes of `data`; `*status` gets 0 or why reading has ended. */
static size_t decrypt(struct secured *secured, const char *data, size_t length, char *plain, size_t *plain_length,
                      ssize_t *status) {
  size_t used = 0;
  ssize_t bytes;
  *plain_length = 0;
  while ((bytes = whole_record(data + used, length - used)) > 0) {
    const struct secured_output *output = secured->output;
    if (*plain_length > 0 && *plain_length + (size_t) bytes > FLUXBP__TLS_PLAIN_BYTES) return used;
    if (used > 0 && fluxbp_conn_may_go_on(secured->conn) == 0) return used;
    secured->tls.window = data + used;
    secured->tls.window_length = (size_t) bytes;
    used += (size_t) bytes;
    ssize_t got = fluxbp__tls_read(&secured->tls, plain + *plain_length, FLUXBP__TLS_PLAIN_BYTES - *plain_length);
    if (got > 0) *plain_length += (size_t) got;
    if (got < 0 && got != UV_EAGAIN) *status = got;
    if (fluxbp__tls_is_in_handshake(&secured->tls)) *status = UV_EPROTO; /* nothing could be written before its rest */
    secured->is_blocked = secured->output != output;
    if (*status != 0 || secured->is_blocked) return used;
  }
  if (bytes < 0) *status = refuse_record(secured, data + used, length - used);
  return used;
}

/* Hand over what the records at the front of `data` hold, as long as the library takes it. Returns bytes of `data`. */
static size_t consume(struct secured *secured, const char *data, size_t length) {
  char plain[FLUXBP__TLS_PLAIN_BYTES];
  size_t used = 0, plain_length;
  ssize_t status = 0;
  do {
    used += decrypt(secured, data + used, length - used, plain, &plain_length, &status);
    if (plain_length > 0) fluxbp_transport_received(secured->conn, plain, (ssize_t) plain_length);
  } while (plain_length > 0 && status == 0 && secured_may_hand_over(secured) &&
           fluxbp_conn_may_go_on(secured->conn) != 0);
  if (status != 0) secured_end_reading(secured, status);
  return used;
}

/* Take what is kept, then what has come. `*has_moved` gets whether a record was done with. */
static int take_open(struct secured *secured, const char *data, size_t length, bool *has_moved) {
  if (secured->input_length > 0) {
    for (int part = 0; part < 2; part++) { /* the header, then the rest */
      size_t missing = missing_bytes(secured, length);
      int err = secured_keep(secured, data, missing);
      if (err != 0) return err;
      if (missing > 0) data += missing;
      length -= missing;
    }
    if (secured_may_hand_over(secured)) {
      size_t used = consume(secured, secured->input, secured->input_length);
      if (!secured_is_alive(secured)) return 0; /* nothing is kept any more */
      if (used > 0) secured_drop(secured, used);
      *has_moved = used > 0;
    }
  }
  if (length > 0 && secured->input_length == 0 && secured_may_hand_over(secured)) {
    size_t used = consume(secured, data, length);
    data += used;
    length -= used;
    *has_moved = *has_moved || used > 0;
  }
  return secured->has_ended || !secured_is_alive(secured) ? 0 : secured_keep(secured, data, length);
}

static int take_plain(struct secured *secured, const char *data, size_t length) {
  size_t kept_length, capacity;
  char *kept = secured_take_input(secured, &kept_length, &capacity);
  if (kept != NULL) fluxbp_transport_received(secured->conn, kept, (ssize_t) kept_length);
  fluxbp_transport_free(secured->conn, kept, capacity);
  if (length == 0 || !secured_is_alive(secured)) return 0;
  if (secured->phase == SECURED_PLAIN && secured_may_hand_over(secured)) {
    fluxbp_transport_received(secured->conn, data, (ssize_t) length);
    return 0;
  }
  return secured_keep(secured, data, length);
}

/* Have the rest of what is kept handed over by another call of the loop's. */
static void expect_more(struct secured *secured) {
  if (!secured_may_hand_over(secured) || !has_kept(secured)) return;
  secured_read_stop(secured); /* FIN would be found before that is handed over */
  int err = fluxbp_transport_deliver_later(secured->conn);
  if (err != 0) secured_end_reading(secured, err);
}

static void take(struct secured *secured, const char *data, size_t length) {
  fluxbp_conn_t *conn = secured->conn;
  bool is_plain = secured->phase == SECURED_PLAIN, has_moved = false;
  fluxbp_conn_begin_input(conn);
  secured->is_taking = true;
  int err = is_plain ? take_plain(secured, data, length) : take_open(secured, data, length, &has_moved);
  secured->is_taking = false;
  if (err != 0) secured_end_reading(secured, err);
  secured_watch_record(secured, has_moved);
  fluxbp_conn_end_input(conn); /* which may stop reading */
  if (!secured_is_alive(secured)) return;
  if (secured->is_blocked) secured_read_stop(secured);
  expect_more(secured);
}

/* The client's first bytes are no TLS: answer, and fail. */
static void refuse_plain(struct secured *secured) {
  const fluxbp_tls_transport_t *transport = secured_transport(secured);
  char answer[512];
  size_t length = 0;
  if (transport->options.on_plain != NULL)
    length = transport->options.on_plain(secured->conn, secured->input, secured->input_length, answer, sizeof answer);
  if (secured->phase == SECURED_CLOSED) return;
  uv_buf_t buffer = uv_buf_init(answer, (unsigned) length);
  if (length > 0) (void) uv_try_write(secured_stream(secured), &buffer, 1);
  secured_fail(secured, UV_EPROTO, "the client does not speak TLS");
}

/* Whether the client's first bytes are those of a record of a handshake, as far as there are any. */
static bool begins_handshake(const struct secured *secured) {
  if (secured->input_length > 0 && secured->input[0] != SSL3_RT_HANDSHAKE) return false;
  return secured->input_length < 2 || secured->input[1] == SSL3_VERSION_MAJOR;
}

static void take_handshake(struct secured *secured, const char *data, size_t length) {
  int err = secured_keep(secured, data, length);
  if (err != 0)
    secured_fail(secured, err, "no memory for what the client has sent");
  else if (secured->phase == SECURED_AWAITED && !begins_handshake(secured))
    refuse_plain(secured);
  else if (!secured_has_record(secured))
    return;
  else if (handshakes_may_go_on(secured))
    handshakes_step(secured);
  else
    handshakes_wait(secured);
}

/* FIN or an error, as the socket says it. A client that has sent nothing has begun no handshake. */
static void take_end(struct secured *secured, ssize_t status) {
  bool is_cut = status == UV_EOF && secured->phase == SECURED_OPEN && secured->input_length > 0;
  bool is_awaited = secured->phase == SECURED_AWAITED && secured->input_length > 0;
  handshakes_leave(secured);
  if (secured->phase == SECURED_HANDSHAKE || is_awaited)
    secured_fail(secured, (int) status, "the connection was closed during the handshake");
  else
    secured_end_reading(secured, is_cut ? UV_ECONNRESET : status);
}

void secured_receive(struct secured *secured, const char *data, ssize_t count) {
  if (secured->phase >= SECURED_FAILED && count >= 0) return; /* thrown away */
  if (secured->phase == SECURED_FAILED) {
    (void) uv_read_stop(secured_stream(secured));
    if (secured->has_ended) return;
    secured->has_ended = true;
    fluxbp_transport_received(secured->conn, NULL, count);
  } else if (count < 0) {
    take_end(secured, count);
  } else if (secured_is_in_handshake(secured)) {
    take_handshake(secured, data, (size_t) count);
  } else {
    take(secured, data, (size_t) count);
  }
}

void secured_go_on(struct secured *secured) {
  if (secured_may_hand_over(secured) && !has_kept(secured)) {
    secured_read_start(secured);
  } else if (secured_may_hand_over(secured)) {
    expect_more(secured);
  } else {
    secured_read_stop(secured);
  }
  secured_answer_writable(secured);
}

/* libuv. */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  const fluxbp_conn_t *conn = fluxbp_conn_of_stream((uv_stream_t *) handle);
  const struct secured *secured = secured_of(conn);
  (void) suggested;
  bool may_read =
      secured_is_in_handshake(secured) ? handshakes_may_go_on(secured) : fluxbp_transport_may_read(conn) != 0;
  if (secured->phase >= SECURED_FAILED) may_read = true;
  *buffer = uv_buf_init(NULL, 0);
  if (!may_read) return; /* libuv says UV_ENOBUFS to on_read then */
  fluxbp_transport_read_buffer(conn, buffer);
  if (buffer->len > READ_BYTES) buffer->len = READ_BYTES;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  fluxbp_conn_t *conn = fluxbp_conn_of_stream(stream);
  struct secured *secured = secured_of(conn);
  if (count == UV_ENOBUFS && buffer->len == 0) {
    if (secured_is_in_handshake(secured))
      handshakes_wait(secured);
    else
      fluxbp_transport_wait_turn(conn);
  } else if (count != 0) {
    secured_receive(secured, buffer->base, count);
  }
}

void secured_read_start(struct secured *secured) {
  if (secured->has_ended || secured->phase == SECURED_CLOSED) return;
  int err = uv_read_start(secured_stream(secured), on_alloc, on_read);
  if (err != 0 && err != UV_EALREADY) secured_end_reading(secured, err);
}

void secured_read_stop(struct secured *secured) {
  (void) uv_read_stop(secured_stream(secured)); /* always 0 */
}

ssize_t secured_read(const struct secured *secured, uv_buf_t *buffer) {
  uv_os_fd_t fd;
  ssize_t count;
  int err = uv_fileno((const uv_handle_t *) secured_stream(secured), &fd);
  if (err != 0) return err;
  fluxbp_transport_read_buffer(secured->conn, buffer);
  if (buffer->len > READ_BYTES) buffer->len = READ_BYTES;
  while ((count = read(fd, buffer->base, buffer->len)) < 0 && errno == EINTR) {
  }
  if (count > 0) return count;
  if (count == 0) return UV_EOF;
  return errno == EAGAIN || errno == EWOULDBLOCK ? UV_EAGAIN : uv_translate_sys_error(errno);
}

bool secured_is_readable(const struct secured *secured) {
  uv_os_fd_t fd;
  char byte;
  if (uv_fileno((const uv_handle_t *) secured_stream(secured), &fd) != 0) return true;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

/* Entries. */

int secured_preread(fluxbp_conn_t *conn, const void *data, size_t length) {
  return secured_keep(secured_of(conn), data, length);
}

int secured_start_reading(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  secured->is_reading = true;
  if (secured->has_ended || secured->is_blocked || queue_is_linked(&secured->turn)) return 0;
  if (secured->input_length > 0) return fluxbp_transport_deliver_later(conn);
  int err = uv_read_start(secured_stream(secured), on_alloc, on_read);
  return err == UV_EALREADY ? 0 : err;
}

/* A handshake goes on. */
void secured_stop_reading(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  secured->is_reading = false;
  if (secured->phase == SECURED_OPEN) queue_remove(&secured->silent); /* a record that isn't read has no deadline */
  if (secured->phase == SECURED_OPEN || secured->phase == SECURED_PLAIN) secured_read_stop(secured);
}

/* Have libuv read, if anything is to be read. */
static void read_on(struct secured *secured) {
  bool waits = queue_is_linked(&secured->turn);
  secured_watch_record(secured, false);
  if (secured_may_hand_over(secured) || (secured_is_in_handshake(secured) && !waits)) secured_read_start(secured);
}

void secured_deliver(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  if (secured->phase >= SECURED_FAILED) return;
  if (secured_is_in_handshake(secured))
    take_handshake(secured, NULL, 0);
  else if (secured_may_hand_over(secured))
    take(secured, NULL, 0);
  read_on(secured);
}

int secured_read_once(fluxbp_conn_t *conn) {
  struct secured *secured = secured_of(conn);
  uv_buf_t buffer = {0};
  secured->is_reading = true;
  if (secured->has_ended || secured->is_blocked || secured->phase > SECURED_OPEN) return 0;
  if (queue_is_linked(&secured->turn)) return 0;
  ssize_t count = has_kept(secured) ? 0 : secured_read(secured, &buffer);
  if (count != UV_EAGAIN) secured_receive(secured, buffer.base, count);
  bool has_more = has_kept(secured) || (count > 0 && (size_t) count == buffer.len);
  if (has_more && secured_may_hand_over(secured)) return 1;
  read_on(secured);
  return 0;
}
