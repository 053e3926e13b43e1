/* SPDX-License-Identifier: MIT */
/*
 * hub_query: what can be asked of a hub. Changes nothing of the hub; a `visit` of the user's may.
 */
#include "hub.h"

#include "conn_pressure.h"
#include "options.h"

size_t fluxbp_hub_evictions_sized(const fluxbp_hub_t *hub, fluxbp_eviction_t *out, size_t capacity, size_t size) {
  const fluxbp__eviction_log_t *log = &hub->engine.evictions;
  size_t count = log->count < FLUXBP_EVICTIONS_KEPT ? (size_t) log->count : FLUXBP_EVICTIONS_KEPT;
  if (count > capacity) count = capacity;
  for (size_t i = 0; i < count; i++) {
    const fluxbp_eviction_t *record = &log->records[(log->count - 1 - i) % FLUXBP_EVICTIONS_KEPT];
    fluxbp__result_write((char *) out + i * size, size, record, sizeof *record);
  }
  return count;
}

void fluxbp_hub_history_sized(const fluxbp_hub_t *hub, fluxbp_history_range_t *out, size_t size) {
  const fluxbp__topics_t *topics = &hub->topics;
  fluxbp_history_range_t range = {
      .epoch = topics->epoch,
      .oldest_since_id = topics->history.lost_id,
      .newest_id = topics->last_id,
  };
  fluxbp__result_write(out, size, &range, sizeof range);
}

uint64_t fluxbp_hub_oldest_id(const fluxbp_hub_t *hub) {
  const fluxbp__history_t *history = &hub->topics.history;
  return fluxbp__history_is_empty(history) ? 0 : fluxbp__history_at(history, history->first)->id;
}

int fluxbp_hub_is_writable(const fluxbp_hub_t *hub) {
  return hub->engine.writability.holding == 0;
}

int fluxbp_hub_io_uring(const fluxbp_hub_t *hub) {
  return hub->engine.submission.status;
}

size_t fluxbp_hub_connections(const fluxbp_hub_t *hub) {
  return hub->engine.conn_count;
}

int fluxbp_hub_each_conn(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  const fluxbp__engine_t *engine = &hub->engine;
  int result = 0;
  for (size_t i = 0; i < engine->conn_count && result == 0; i++) result = visit(engine->conns[i], arg);
  return result;
}

/* Whether something is queued of a connection with a pressure block, which isn't closed yet. */
static bool is_behind(const fluxbp_conn_t *conn) {
  return conn->ring.count > 0 && conn->state != FLUXBP__CONN_CLOSING;
}

int fluxbp_hub_each_refused(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  const fluxbp__engine_t *engine = &hub->engine;
  int result = 0;
  for (fluxbp_conn_t *conn = fluxbp__pressured_next(engine, NULL), *next; conn != NULL && result == 0; conn = next) {
    next = fluxbp__pressured_next(engine, conn); /* beforehand: `visit` may end what makes it one of these */
    if (is_behind(conn)) result = visit(conn, arg);
  }
  return result;
}

fluxbp_pool_t *fluxbp_hub_pool(const fluxbp_hub_t *hub) {
  return hub->engine.pool;
}

uv_loop_t *fluxbp_hub_loop(const fluxbp_hub_t *hub) {
  return hub->engine.loop;
}

void *fluxbp_hub_user(const fluxbp_hub_t *hub) {
  return hub->options.user;
}
