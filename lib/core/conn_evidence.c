/* SPDX-License-Identifier: MIT */
/*
 * conn_evidence: reads a connection, its clocks and the kernel, for the user and for the records of evictions. Changes
 * nothing of the connection.
 */
#include "conn_evidence.h"

#include "conn_backlog.h"
#include "options.h"
#include "transport.h"

static fluxbp_cause_t cause_of(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  if (reason == FLUXBP_EVICT_UNREACHABLE) return FLUXBP_CAUSE_UNREACHABLE;
  if (conn->pressure == NULL) return FLUXBP_CAUSE_UNKNOWN;
  const fluxbp__sample_t *samples = conn->pressure->samples;
  fluxbp__sample_t now;
  fluxbp__probe_sample(fluxbp__transport_fd(conn), &now);
  return fluxbp__sample_cause(samples[0].is_known ? &samples[0] : &samples[1], &now, reason != FLUXBP_EVICT_STALLED);
}

/* Which verdict is nearest, of a connection that is judged. */
static void add_standing(fluxbp_eviction_t *record, const fluxbp_conn_t *conn, uint64_t now_ms) {
  if (conn->state != FLUXBP__CONN_OPEN && conn->state != FLUXBP__CONN_DOOMED) return;
  fluxbp__observation_t seen = {
      .backlog = conn->is_writing ? fluxbp__conn_backlog(conn) : (fluxbp__backlog_t){0},
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .is_crowd_slow = fluxbp__crowd_has_grace(&fluxbp__conn_engine(conn)->crowd, now_ms),
  };
  fluxbp__standing_t standing = fluxbp__policy_standing(conn->policy, &conn->pressure->clocks, &seen, now_ms);
  record->nearest = standing.reason;
  record->used_ms = standing.used_ms;
  record->limit_ms = standing.limit_ms;
  record->put_off = standing.put_off;
}

fluxbp_eviction_t fluxbp__conn_record(const fluxbp_conn_t *conn, fluxbp_evict_reason_t reason) {
  uint64_t now_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  fluxbp_eviction_t record = {
      .conn_id = conn->id,
      .reason = reason,
      .cause = cause_of(conn, reason),
      .time_ms = fluxbp__engine_clock_ms(fluxbp__conn_engine(conn)),
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .queued = fluxbp__conn_queued(conn),
      .queued_bytes = fluxbp__conn_queued_bytes(conn, fluxbp__conn_head_written(conn)),
      .dropped = fluxbp__conn_dropped(conn),
      .kernel_bytes = fluxbp__conn_unacked_bytes(conn),
      .last_id = conn->last_id,
  };
  if (conn->pressure != NULL) {
    const fluxbp__clocks_t *clocks = &conn->pressure->clocks;
    record.since_progress_ms = now_ms - clocks->progress_ms;
    if (clocks->is_behind) record.backpressured_ms = now_ms - clocks->min_fill_ms;
    record.unanswered = clocks->unanswered;
    if (clocks->is_silent) record.unanswered_ms = now_ms - clocks->silent_ms;
    add_standing(&record, conn, now_ms);
  }
  return record;
}

int fluxbp_conn_is_backpressured(const fluxbp_conn_t *conn) {
  return conn->pressure != NULL && conn->pressure->clocks.is_backpressured;
}

/* Ages in the statistics have 32 bits. Without a limit that evicts it a connection may be older. */
static uint32_t age_ms(uint64_t ms) {
  return ms < UINT32_MAX ? (uint32_t) ms : UINT32_MAX;
}

static uint64_t since_progress_ms(const fluxbp_conn_t *conn) {
  return conn->is_writing ? fluxbp__engine_observe(fluxbp__conn_engine(conn)) - conn->pressure->clocks.progress_ms : 0;
}

uint32_t fluxbp_conn_fill_percent(const fluxbp_conn_t *conn) {
  return fluxbp__fill_percent(fluxbp__conn_fill(conn));
}

void fluxbp_conn_get_stats_sized(const fluxbp_conn_t *conn, fluxbp_conn_stats_t *out, size_t size) {
  fluxbp_conn_stats_t stats = {
      .accepted = fluxbp__conn_accepted(conn),
      .written = conn->written,
      .dropped = fluxbp__conn_dropped(conn),
      .conflated = fluxbp__conn_conflated(conn),
      .discarded = conn->discarded,
      .queued = fluxbp__conn_queued(conn),
      .queued_bytes = fluxbp__conn_queued_bytes(conn, fluxbp__conn_head_written(conn)),
      .written_bytes = fluxbp__conn_written_bytes(conn),
      .last_id = conn->last_id,
      .fill_percent = fluxbp_conn_fill_percent(conn),
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
  fluxbp__sample_t sample;
  fluxbp__probe_sample(fluxbp__transport_fd(conn), &sample);
  fluxbp_liveness_t liveness = {
      .accepted_bytes = conn->written_bytes + fluxbp__conn_queued_bytes(conn, conn->head_written),
      .acked_bytes = fluxbp__conn_acked_bytes(written_bytes, unacked_bytes),
      .since_heard_ms = sample.is_known ? fluxbp__sample_since_heard_ms(&sample) : since_progress_ms(conn),
      .is_known = sample.is_known,
  };
  fluxbp__result_write(out, size, &liveness, sizeof liveness);
}

int fluxbp_conn_is_replaying(const fluxbp_conn_t *conn) {
  return fluxbp__conn_replay(conn) != NULL;
}
