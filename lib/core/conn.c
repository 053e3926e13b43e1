/* SPDX-License-Identifier: MIT */
/*
 * conn: a connection's beginning, its events and what can be asked of it. Reading is in conn_read.c, writing in conn_write.c,
 * the ways in which it ends are in conn_close.c.
 */
#include "conn_close.h"
#include "conn_stage.h"

#include "msg.h"
#include "options.h"
#include "pool.h"
#include "writability.h"

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

static int init_stream(fluxbp_conn_t *conn, fluxbp_transport_t transport) {
  switch (transport) {
  case FLUXBP_TCP:
    return uv_tcp_init(fluxbp__conn_hub(conn)->loop, &conn->uv.tcp);
  case FLUXBP_PIPE:
    return uv_pipe_init(fluxbp__conn_hub(conn)->loop, &conn->uv.pipe, 0);
  }
  return UV_EINVAL;
}

int fluxbp_conn_create(fluxbp_hub_t *hub, const fluxbp_conn_options_t *given, fluxbp_conn_t **out) {
  fluxbp_conn_options_t options;
  fluxbp_conn_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (err) return err;
  if (options.codec == NULL || out == NULL) return UV_EINVAL;
  if (hub->is_closing) return UV_ECANCELED;
  if (options.user_bytes > UINT16_MAX || (options.user_bytes > 0 && options.user != NULL)) return UV_EINVAL;
  err = check_handlers(options.handlers);
  if (err) return err;
  int codec = fluxbp__hub_codec(hub, options.codec);
  if (codec < 0) return codec;

  size_t size = fluxbp__conn_size(options.transport, options.user_bytes);
  char *memory = fluxbp__pool_alloc_object(hub->pool, size);
  if (memory == NULL) return UV_ENOMEM;
  fluxbp_conn_t *conn = (void *) (memory + fluxbp__conn_user_size(options.user_bytes));
  conn->uv.handle.data = hub; /* libuv leaves it alone */
  conn->policy = &hub->policy;
  conn->codec = (uint8_t) codec;
  conn->user_bytes = (uint16_t) options.user_bytes;
  conn->handlers = options.handlers;
  fluxbp__ring_init(&conn->ring);
  err = fluxbp__hub_add(hub, conn);
  if (!err) {
    err = init_stream(conn, options.transport);
    if (err) fluxbp__hub_remove(hub, conn);
  }
  if (err) {
    fluxbp__pool_free_object(hub->pool, memory, size);
    return err;
  }
  fluxbp_conn_set_user(conn, options.user);
  *out = conn;
  return 0;
}

uv_stream_t *fluxbp_conn_stream(fluxbp_conn_t *conn) {
  return &conn->uv.stream;
}

int fluxbp_conn_start(fluxbp_conn_t *conn) {
  if (conn->state != FLUXBP__CONN_NEW) return UV_EINVAL;
  if (fluxbp__conn_hub(conn)->is_closing) return UV_ECANCELED;

  int err = conn->uv.handle.type == UV_TCP ? fluxbp__probe_prepare(&conn->uv.tcp) : 0;
  if (!err) err = fluxbp__conn_read_start(conn);
  if (err) return err;
  conn->state = FLUXBP__CONN_OPEN;
  conn->was_started = true;
  fluxbp__conn_begin_grace(conn);
  fluxbp__conn_hub(conn)->open_count++;
  fluxbp__conn_hub(conn)->totals.opened++;
  if (conn->uv.handle.type == UV_TCP) fluxbp__patrol_add(fluxbp__conn_hub(conn));
  if (conn->catching_up > 0 || conn->ring.count > 0) fluxbp__conn_catch_up(conn); /* or has lost some of it */
  return 0;
}

int fluxbp_conn_send(fluxbp_conn_t *conn, fluxbp_msg_t *msg) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (conn->state != FLUXBP__CONN_OPEN) return UV_ENOTCONN;
  if (!fluxbp__msg_is_committed(msg)) return UV_EINVAL;

  fluxbp_frame_t *frame;
  int err = fluxbp__frame_create(hub->pool, msg, hub->codecs[conn->codec], NULL, 0, &frame);
  if (err) return err;
  frame->time_ms = fluxbp__hub_observe(hub);
  hub->totals.published++;
  int is_queued = fluxbp__conn_stage(conn, frame);
  fluxbp__frame_unref(frame);
  return is_queued;
}

int fluxbp_conn_set_codec(fluxbp_conn_t *conn, const fluxbp_codec_t *codec) {
  if (codec == NULL) return UV_EINVAL;
  int index = fluxbp__hub_codec(fluxbp__conn_hub(conn), codec);
  return index < 0 ? index : fluxbp__conn_change_codec(conn, (uint8_t) index);
}

void fluxbp__conn_free_policy(fluxbp_conn_t *conn) {
  if (conn->policy == &fluxbp__conn_hub(conn)->policy) return;
  fluxbp__pool_free_object(fluxbp__conn_hub(conn)->pool, (void *) (uintptr_t) conn->policy, sizeof *conn->policy);
  conn->policy = &fluxbp__conn_hub(conn)->policy;
}

int fluxbp_conn_set_policy(fluxbp_conn_t *conn, const fluxbp_policy_t *policy) {
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  if (conn->state >= FLUXBP__CONN_DOOMED) return UV_ENOTCONN;
  if (policy == NULL) {
    fluxbp__conn_free_policy(conn);
  } else {
    fluxbp__policy_t prepared;
    int err = fluxbp__policy_prepare(policy, &prepared);
    if (err) return err;
    fluxbp__policy_t *own = fluxbp__pool_alloc_object(hub->pool, sizeof *own);
    if (own == NULL) return UV_ENOMEM;
    *own = prepared;
    fluxbp__conn_free_policy(conn);
    conn->policy = own;
  }
  if (conn->pressure != NULL) fluxbp__sweep_soon(hub, conn->policy);
  return 0;
}

void fluxbp__conn_begin_grace(fluxbp_conn_t *conn) {
  conn->grace_from_ms = (uint32_t) fluxbp__hub_observe(fluxbp__conn_hub(conn));
}

static void start_clocks(fluxbp_conn_t *conn) {
  uint64_t now_ms = fluxbp__hub_observe(fluxbp__conn_hub(conn));
  uint32_t since_grace_ms = (uint32_t) now_ms - conn->grace_from_ms;
  fluxbp__clocks_drained(&conn->pressure->clocks, now_ms - since_grace_ms, now_ms, conn->written_bytes,
                         conn->written_bytes - fluxbp__conn_unacked_bytes(conn));
}

bool fluxbp__conn_take_rare(fluxbp_conn_t *conn) {
  if (conn->rare == NULL) conn->rare = fluxbp__pool_alloc_object(fluxbp__conn_hub(conn)->pool, sizeof *conn->rare);
  return conn->rare != NULL;
}

void fluxbp__conn_release_rare(fluxbp_conn_t *conn) {
  const fluxbp__rare_t *rare = conn->rare;
  if (rare == NULL || rare->dropped > 0 || rare->conflated > 0) return;
  if (rare->replay != NULL || rare->walks > 0 || rare->missing > 0 || rare->patience_full_ms != 0) return;
  if (conn->is_read_paused) return;
  fluxbp__pool_free_object(fluxbp__conn_hub(conn)->pool, conn->rare, sizeof *conn->rare);
  conn->rare = NULL;
}

int fluxbp__conn_take_pressure(fluxbp_conn_t *conn) {
  if (conn->pressure != NULL) return 0;
  fluxbp_hub_t *hub = fluxbp__conn_hub(conn);
  void *memory;
  int err = fluxbp__pool_alloc(hub->pool, FLUXBP__CONTROL, sizeof(fluxbp__pressure_t), &memory);
  if (err) return err;

  conn->pressure = memset(memory, 0, sizeof(fluxbp__pressure_t));
  conn->pressure->conn = conn;
  start_clocks(conn);
  fluxbp__list_append(&hub->sweep.pressured, &conn->pressure->sweep);
  fluxbp__writability_take_up(conn, hub->observed_ms);
  fluxbp__sweep_soon(hub, conn->policy);
  return 0;
}

void fluxbp__conn_release_pressure(fluxbp_conn_t *conn) {
  fluxbp__pressure_t *pressure = conn->pressure;
  if (pressure == NULL) return;
  /* an event that hasn't been delivered keeps the block, but not its clocks; its delivery comes back here. So does a
   * peer that doesn't answer, until it does */
  bool is_needed = fluxbp__link_is_linked(&pressure->event) || pressure->clocks.is_silent;
  if (is_needed && conn->state != FLUXBP__CONN_CLOSING) {
    start_clocks(conn);
    return;
  }
  fluxbp__writability_put_away(conn);
  assert(!conn->is_writing);

  if (pressure->clocks.is_backpressured) fluxbp__conn_hub(conn)->totals.backpressured--;
  fluxbp__conn_hub(conn)->totals.kernel_bytes -= pressure->kernel_bytes;
  fluxbp__link_remove(&pressure->event);
  fluxbp__link_remove(&pressure->sweep);
  fluxbp__pool_free(fluxbp__conn_hub(conn)->pool, FLUXBP__CONTROL, pressure, sizeof *pressure);
  conn->pressure = NULL;
  fluxbp__conn_release_rare(conn); /* it was taken for values that might have been conflated */
}

void fluxbp__conn_watermarks(fluxbp_conn_t *conn) {
  fluxbp_metrics_t *totals = &fluxbp__conn_hub(conn)->totals;
  fluxbp__clocks_t *clocks = &conn->pressure->clocks;
  fluxbp__backlog_t backlog = fluxbp__conn_backlog(conn);
  if (!fluxbp__clocks_watermarks(clocks, conn->policy, &backlog, fluxbp__hub_observe(fluxbp__conn_hub(conn)))) return;
  if (clocks->is_backpressured) {
    totals->backpressured++;
    totals->backpressure_events++;
  } else {
    totals->backpressured--;
  }
  fluxbp__conn_event(conn);
}

void fluxbp__conn_event(fluxbp_conn_t *conn) {
  fluxbp__link_t *event = &conn->pressure->event;
  if (!fluxbp__link_is_linked(event)) fluxbp__turn_add(&fluxbp__conn_hub(conn)->turn, FLUXBP__DUE_EVENT, event);
}

static void report_gap(fluxbp_conn_t *conn) {
  fluxbp_gap_t gap = conn->pressure->gap;
  if (gap.count == 0) return;
  conn->pressure->gap = (fluxbp_gap_t){0};
  void (*on_gap)(fluxbp_conn_t *, const fluxbp_gap_t *) = FLUXBP__HANDLER(conn, on_gap);
  if (on_gap != NULL) on_gap(conn, &gap);
}

static void report_backpressure(fluxbp_conn_t *conn) {
  bool is_backpressured = conn->pressure->clocks.is_backpressured;
  if (is_backpressured == conn->pressure->reported_backpressure) return;
  conn->pressure->reported_backpressure = is_backpressured;
  void (*on_backpressure)(fluxbp_conn_t *, int) = FLUXBP__HANDLER(conn, on_backpressure);
  if (on_backpressure != NULL) on_backpressure(conn, is_backpressured);
}

void fluxbp__conn_shadow(fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  if (conn->pressure->shadow_reason != FLUXBP_EVICT_NONE) return; /* once is enough, until it is drained */
  conn->pressure->shadow_reason = (uint8_t) reason;
  fluxbp__conn_event(conn);
}

static void report_shadow(fluxbp_conn_t *conn) {
  fluxbp__pressure_t *pressure = conn->pressure;
  if (pressure->shadow_reason == FLUXBP_EVICT_NONE || pressure->is_shadow_told) return;
  pressure->is_shadow_told = true;
  fluxbp_eviction_t record = fluxbp__conn_record(conn, (fluxbp_evict_reason_t) pressure->shadow_reason);
  record.is_shadow = 1;
  fluxbp__conn_hub(conn)->totals.shadow_evictions[record.reason]++;
  int (*on_verdict)(fluxbp_conn_t *, const fluxbp_eviction_t *) = FLUXBP__HANDLER(conn, on_verdict);
  if (on_verdict != NULL) (void) on_verdict(conn, &record);
  fluxbp__hub_record(fluxbp__conn_hub(conn), &record);
}

void fluxbp__conn_deliver_event(fluxbp_conn_t *conn) {
  /* a callback may close the connection, or flush it, and then the pressure block may be gone */
  if (conn->state == FLUXBP__CONN_OPEN) report_gap(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->pressure != NULL) report_backpressure(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->pressure != NULL) report_shadow(conn);
  if (conn->state == FLUXBP__CONN_OPEN && conn->ring.count == 0 && !conn->is_writing)
    fluxbp__conn_release_pressure(conn);
}

int fluxbp_conn_is_backpressured(const fluxbp_conn_t *conn) {
  return conn->pressure != NULL && conn->pressure->clocks.is_backpressured;
}

uint64_t fluxbp_conn_id(const fluxbp_conn_t *conn) {
  return conn->id;
}

fluxbp_hub_t *fluxbp_conn_hub(const fluxbp_conn_t *conn) {
  return fluxbp__conn_hub(conn);
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

/* Ages in the statistics have 32 bits. Without a limit that evicts it a connection may be older. */
static uint32_t age_ms(uint64_t ms) {
  return ms < UINT32_MAX ? (uint32_t) ms : UINT32_MAX;
}

uint32_t fluxbp__conn_fill(const fluxbp_conn_t *conn) {
  fluxbp__backlog_t backlog = fluxbp__conn_backlog(conn);
  uint64_t fill = fluxbp__backlog_fill(&conn->policy->limits, &backlog);
  return fill < FLUXBP__FILL_FULL ? (uint32_t) fill : FLUXBP__FILL_FULL;
}

static uint64_t since_progress_ms(const fluxbp_conn_t *conn) {
  return conn->is_writing ? fluxbp__hub_observe(fluxbp__conn_hub(conn)) - conn->pressure->clocks.progress_ms : 0;
}

void fluxbp_conn_get_stats_sized(const fluxbp_conn_t *conn, fluxbp_conn_stats_t *out, size_t size) {
  const fluxbp__ring_t *ring = &conn->ring;
  fluxbp_conn_stats_t stats = {
      .accepted = fluxbp__conn_accepted(conn),
      .written = conn->written,
      .dropped = fluxbp__conn_dropped(conn),
      .conflated = fluxbp__conn_conflated(conn),
      .discarded = conn->discarded,
      .queued = fluxbp__ring_messages(ring),
      .queued_bytes = ring->bytes - fluxbp__conn_head_written(conn),
      .written_bytes = fluxbp__conn_written_bytes(conn),
      .last_id = conn->last_id,
      .fill_percent = fluxbp__fill_percent(fluxbp__conn_fill(conn)),
      .oldest_ms = age_ms(fluxbp__conn_oldest_ms(conn)),
      .since_progress_ms = age_ms(since_progress_ms(conn)),
      .is_refused = conn->is_writing,
      .is_backpressured = fluxbp_conn_is_backpressured(conn),
  };
  fluxbp__result_write(out, size, &stats, sizeof stats);
}

void fluxbp_conn_get_evidence_sized(const fluxbp_conn_t *conn, fluxbp_eviction_t *out, size_t size) {
  fluxbp_eviction_t evidence = fluxbp__conn_record(conn, FLUXBP_EVICT_NONE);
  fluxbp__result_write(out, size, &evidence, sizeof evidence);
}

void fluxbp_conn_get_liveness_sized(const fluxbp_conn_t *conn, fluxbp_liveness_t *out, size_t size) {
  uint64_t written_bytes = fluxbp__conn_written_bytes(conn);
  uint64_t unacked_bytes = fluxbp__conn_unacked_bytes(conn); /* a FIN is one of them */
  uint64_t not_acked_bytes = unacked_bytes < written_bytes ? unacked_bytes : written_bytes;
  fluxbp__sample_t sample = {0};
  if (conn->uv.handle.type == UV_TCP) fluxbp__probe_sample(&conn->uv.tcp, &sample);
  fluxbp_liveness_t liveness = {
      .accepted_bytes = conn->written_bytes + conn->ring.bytes - conn->head_written,
      .acked_bytes = written_bytes - not_acked_bytes,
      .since_heard_ms = sample.is_known ? fluxbp__sample_since_heard_ms(&sample) : since_progress_ms(conn),
      .is_known = sample.is_known,
  };
  fluxbp__result_write(out, size, &liveness, sizeof liveness);
}
