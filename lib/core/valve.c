/* SPDX-License-Identifier: MIT */
/*
 * valve: keeps memory below its marks by evicting connections that hold it: those that the kernel refuses.
 *
 * There are two marks: 7/8 of the pool's budget, and the loop's limit of bytes that the kernel holds for refused
 * connections. Creating a message never evicts, as it may happen on any thread; the valve runs in the turn. It works
 * with what is really in use, since an eviction gives back at once what the ring held. Only a head in flight goes
 * later, with the socket, and is counted as freed before. While no connection can be evicted yet, publishers are
 * refused (UV_ENOBUFS); the sweep's timer sees to it that the valve is asked again. A connection whose policy is exempt
 * from BUDGET is counted, and never evicted here.
 */
#include "valve.h"

#include "conn_backlog.h"
#include "conn_close.h"
#include "conn_pressure.h"
#include "pool.h"
#include "replay.h"

/* So many candidates are found by one walk over the refused connections. */
enum { BATCH = 64 };

/* Backpressured ones go first, then those whose oldest message has been waiting for longest. */
static bool goes_before(const fluxbp_conn_t *a, const fluxbp_conn_t *b) {
  bool is_a_backpressured = fluxbp_conn_is_backpressured(a);
  if (is_a_backpressured != (bool) fluxbp_conn_is_backpressured(b)) return is_a_backpressured;
  return fluxbp__conn_head_ms(a) > fluxbp__conn_head_ms(b);
}

/* A connection that was refused less than a sweep ago may just be taking a burst. */
static bool is_candidate(const fluxbp_conn_t *conn) {
  if (conn->policy->set.is_budget_exempt) return false;
  if (!conn->is_writing || fluxbp__conn_head_ms(conn) < fluxbp__conn_engine(conn)->sweep_ms) return false;
  return conn->state == FLUXBP__CONN_OPEN || conn->state == FLUXBP__CONN_DRAINING;
}

/* Keep the first BATCH of all that are offered, in their order. */
static void offer(fluxbp_conn_t **batch, size_t *count, fluxbp_conn_t *conn) {
  if (*count == BATCH && !goes_before(conn, batch[BATCH - 1])) return;
  size_t place = *count < BATCH ? (*count)++ : BATCH - 1;
  for (; place > 0 && goes_before(conn, batch[place - 1]); place--) batch[place] = batch[place - 1];
  batch[place] = conn;
}

static size_t find_candidates(const fluxbp__engine_t *engine, fluxbp_conn_t **batch) {
  size_t count = 0;
  for (fluxbp_conn_t *conn = fluxbp__pressured_next(engine, NULL); conn != NULL;
       conn = fluxbp__pressured_next(engine, conn))
    if (is_candidate(conn)) offer(batch, &count, conn);
  return count;
}

static bool is_going_with(const fluxbp_conn_t *conn, const fluxbp_frame_t *head) {
  return conn->state == FLUXBP__CONN_CLOSING && conn->ring.count > 0 && fluxbp__ring_at(&conn->ring, 0) == head;
}

/* The bytes that are freed only when sockets are closed: the head in flight, once all connections with it are going. */
static uint64_t head_bytes(fluxbp_conn_t *const *batch, size_t place) {
  const fluxbp_frame_t *head = fluxbp__ring_at(&batch[place]->ring, 0);
  uint32_t going = 1;
  for (size_t i = 0; i < place; i++) going += is_going_with(batch[i], head);
  return head->refs == going ? head->len : 0;
}

static bool is_tight(const fluxbp__engine_t *engine, uint64_t max_kernel_bytes, uint64_t going_bytes,
                     uint64_t going_kernel_bytes) {
  return fluxbp__pool_is_tight(engine->pool, going_bytes) ||
         engine->ledger.totals.kernel_bytes - going_kernel_bytes > max_kernel_bytes;
}

/* The history goes before connections do, even if another hub's history has the same messages: that one does the
 * same. */
static void shrink_history(fluxbp__topics_t *topics) {
  while (!fluxbp__history_is_empty(&topics->history) && fluxbp__pool_is_tight(topics->engine.pool, 0))
    fluxbp__replay_forget_oldest(topics);
}

bool fluxbp__valve_continue(fluxbp__topics_t *topics, uint64_t max_kernel_bytes) {
  const fluxbp__engine_t *engine = &topics->engine;
  if (!is_tight(engine, max_kernel_bytes, 0, 0)) return false;
  shrink_history(topics);
  fluxbp_conn_t *batch[BATCH];
  size_t count = find_candidates(engine, batch);
  uint64_t going_bytes = 0;
  uint64_t going_kernel_bytes = 0;
  for (size_t i = 0; i < count && is_tight(engine, max_kernel_bytes, going_bytes, going_kernel_bytes); i++) {
    if (!fluxbp__turn_has_time(&engine->turn)) return true;
    if (!is_candidate(batch[i])) continue; /* a callback has closed it */
    going_bytes += head_bytes(batch, i);
    going_kernel_bytes += batch[i]->pressure->kernel_bytes;
    fluxbp__conn_evict_for_room(batch[i]);
  }
  return count == BATCH && is_tight(engine, max_kernel_bytes, going_bytes, going_kernel_bytes);
}
