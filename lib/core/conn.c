/* SPDX-License-Identifier: MIT */
/*
 * conn: a connection's beginning, and what its user sets and reads. Reading is in conn_read.c and conn_input.c, writing
 * in conn_stage.c and conn_write.c, the ways in which a connection ends are in conn_close.c.
 */
#include "conn.h"

#include "conn_blocks.h"
#include "conn_pressure.h"
#include "conn_reply.h"
#include "conn_sent.h"
#include "conn_stage.h"
#include "conn_write.h"
#include "msg.h"
#include "options.h"
#include "pool.h"
#include "transport.h"

#include <assert.h>
#include <string.h>

void fluxbp_conn_options_init_sized(fluxbp_conn_options_t *options, size_t size) {
  fluxbp_conn_options_t defaults = {.transport = FLUXBP_TCP, .codec = &fluxbp_codec_raw};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

/* Every table has on_data, which is called without a look at the size. */
static int check_handlers(const fluxbp_conn_handlers_t *handlers) {
  if (handlers == NULL) return 0;
  return fluxbp__table_check(handlers, sizeof *handlers, FLUXBP__END_OF(handlers, on_data));
}

static int check_options(const fluxbp_conn_options_t *options) {
  if (options->codec == NULL) return UV_EINVAL;
  if (options->user_bytes > UINT16_MAX || (options->user_bytes > 0 && options->user != NULL)) return UV_EINVAL;
  return check_handlers(options->handlers);
}

static int init_stream(fluxbp_conn_t *conn, fluxbp_stream_kind_t stream) {
  uv_loop_t *loop = fluxbp__conn_engine(conn)->loop;
  return stream == FLUXBP_STREAM_TCP ? uv_tcp_init(loop, &conn->uv.tcp) : uv_pipe_init(loop, &conn->uv.pipe, 0);
}

/* The connection joins the engine, and gets a stream. */
static int join_engine(fluxbp__engine_t *engine, fluxbp_conn_t *conn) {
  int err = fluxbp__engine_add(engine, conn, &conn->index);
  if (err) return err;
  conn->id = ++engine->last_conn_id;
  err = init_stream(conn, fluxbp__conn_transport(conn)->stream);
  if (err) (void) fluxbp__engine_remove(engine, conn->index);
  return err;
}

int fluxbp_conn_create(fluxbp_hub_t *hub, const fluxbp_conn_options_t *given, fluxbp_conn_t **out) {
  fluxbp__engine_t *engine = fluxbp__engine_of(hub);
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (!err) err = out != NULL ? check_options(&options) : UV_EINVAL;
  if (err) return err;
  if (engine->is_closing) return UV_ECANCELED;
  int codec = fluxbp__engine_codec(engine, options.codec);
  int transport = fluxbp__transport_number(engine, options.transport);
  if (codec < 0 || transport < 0) return codec < 0 ? codec : transport;

  size_t size = fluxbp__conn_size(options.transport, options.user_bytes);
  char *memory = fluxbp__pool_alloc_object(engine->pool, size);
  if (memory == NULL) return UV_ENOMEM;
  fluxbp_conn_t *conn = (void *) (memory + fluxbp__conn_user_size(options.user_bytes));
  conn->uv.handle.data = engine; /* libuv leaves it alone */
  conn->policy = &engine->policy;
  fluxbp__conn_use_codec(conn, (uint8_t) codec);
  conn->transport = (unsigned) transport & 0xfU;
  conn->user_bytes = (uint16_t) options.user_bytes;
  conn->handlers = options.handlers;
  fluxbp__ring_init(&conn->ring);
  err = join_engine(engine, conn);
  if (err) {
    fluxbp__pool_free_object(engine->pool, memory, size);
    return err;
  }
  fluxbp_conn_set_user(conn, options.user);
  *out = conn;
  return 0;
}

uv_stream_t *fluxbp_conn_stream(fluxbp_conn_t *conn) {
  return &conn->uv.stream;
}

/* Have the transport set itself up. */
static int open_transport(fluxbp_conn_t *conn, const void *data, size_t length) {
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  if (length > 0 && transport->preread == NULL) return UV_ENOTSUP;
  int err = transport->open != NULL ? transport->open(conn) : 0;
  if (!err && length > 0) err = transport->preread(conn, data, length);
  return err ? err : transport->read_start(conn);
}

int fluxbp__conn_start(fluxbp_conn_t *conn, const void *data, size_t length) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->state != FLUXBP__CONN_NEW) return UV_EINVAL;
  if (engine->is_closing) return UV_ECANCELED;

  int err = open_transport(conn, data, length);
  if (err) return err;
  conn->state = FLUXBP__CONN_OPEN;
  conn->was_started = true;
  fluxbp__conn_begin_grace(conn);
  engine->open_count++;
  fluxbp__ledger_open(&engine->ledger);
  if (fluxbp__conn_is_patrolled(conn)) fluxbp__engine_patrol(engine);
  if (conn->catching_up > 0 || conn->ring.count > 0) fluxbp__conn_catch_up(conn); /* or has lost some of it */
  return 0;
}

int fluxbp_conn_start(fluxbp_conn_t *conn) {
  return fluxbp__conn_start(conn, NULL, 0);
}

static int queue_frame(fluxbp_conn_t *conn, fluxbp_frame_t *frame, bool is_reply) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (!is_reply) {
    fluxbp__ledger_publish(&engine->ledger);
    return fluxbp__conn_stage(conn, frame);
  }
  int err = fluxbp__reply_push(conn, frame);
  if (err) return err;
  fluxbp__ledger_publish(&engine->ledger);
  fluxbp__ledger_queue(&engine->ledger, frame->len);
  if (!conn->is_writing) fluxbp__conn_mark_dirty(conn);
  return 1;
}

static int send_frame(fluxbp_conn_t *conn, fluxbp_frame_t *frame, const fluxbp_send_options_t *options) {
  frame->time_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  int err = options->on_sent != NULL ? fluxbp__sent_watch(conn, frame, options->on_sent, options->arg) : 0;
  if (err) return err;
  int is_queued = queue_frame(conn, frame, options->is_reply);
  if (is_queued != 1 && options->on_sent != NULL) fluxbp__sent_forget(conn, frame);
  return is_queued;
}

void fluxbp_send_options_init_sized(fluxbp_send_options_t *options, size_t size) {
  fluxbp_send_options_t defaults = {.is_reply = 0};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

int fluxbp_conn_send_with(fluxbp_conn_t *conn, fluxbp_msg_t *msg, const fluxbp_send_options_t *given) {
  const fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  fluxbp_send_options_t options;
  fluxbp_send_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (err) return err;
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;

  fluxbp_frame_t *frame;
  err = fluxbp__frame_create(engine->pool, msg, engine->codecs[conn->codec], NULL, 0, &frame);
  if (err) return err;
  int result = send_frame(conn, frame, &options);
  fluxbp__frame_unref(frame);
  return result;
}

int fluxbp_conn_send(fluxbp_conn_t *conn, fluxbp_msg_t *msg) {
  return fluxbp_conn_send_with(conn, msg, NULL);
}

int fluxbp_conn_send_bytes(fluxbp_conn_t *conn, const void *data, size_t length) {
  fluxbp_msg_t *msg;
  int result = fluxbp_msg_create(fluxbp__conn_engine(conn)->pool, data, length, &msg);
  if (result < 0) return result;
  result = fluxbp_conn_send(conn, msg);
  fluxbp_msg_unref(msg);
  return result;
}

int fluxbp_conn_set_codec(fluxbp_conn_t *conn, const fluxbp_codec_t *codec) {
  if (codec == NULL) return UV_EINVAL;
  int number = fluxbp__engine_codec(fluxbp__conn_engine(conn), codec);
  return number < 0 ? number : fluxbp__conn_engine(conn)->feed->recode(conn, (uint8_t) number);
}

int fluxbp_conn_set_policy(fluxbp_conn_t *conn, const fluxbp_policy_t *policy) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->state >= FLUXBP__CONN_DOOMED) return UV_ENOTCONN;
  if (policy == NULL) {
    fluxbp__conn_free_policy(conn);
  } else {
    fluxbp__policy_t prepared;
    int err = fluxbp__policy_prepare(policy, &prepared);
    if (err) return err;
    fluxbp__policy_t *own = fluxbp__pool_alloc_object(engine->pool, sizeof *own);
    if (own == NULL) return UV_ENOMEM;
    *own = prepared;
    fluxbp__conn_free_policy(conn);
    conn->policy = own;
  }
  if (conn->pressure != NULL) fluxbp__engine_sweep_soon(engine, conn->policy);
  return 0;
}

uint64_t fluxbp_conn_origin(const fluxbp_conn_t *conn) {
  return fluxbp__conn_origin(conn);
}

uint64_t fluxbp_conn_id(const fluxbp_conn_t *conn) {
  return conn->id;
}

fluxbp_hub_t *fluxbp_conn_hub(const fluxbp_conn_t *conn) {
  return fluxbp__engine_hub(fluxbp__conn_engine(conn));
}

void *fluxbp_conn_user(const fluxbp_conn_t *conn) {
  void *memory = fluxbp__conn_memory(conn);
  return conn->user_bytes > 0 ? memory : *(void **) memory;
}

void fluxbp_conn_set_user(fluxbp_conn_t *conn, void *user) {
  if (conn->user_bytes == 0) *(void **) fluxbp__conn_memory(conn) = user;
}

fluxbp_conn_t *fluxbp_conn_of_user(const void *user, size_t user_bytes) {
  assert(user_bytes > 0 && "a connection without memory of the user's has a pointer, from which no way leads back");
  fluxbp_conn_t *conn = (void *) ((char *) (uintptr_t) user + fluxbp__conn_user_size(user_bytes));
  assert(conn->user_bytes == user_bytes && "this isn't the memory of a connection with so many bytes");
  return conn;
}
