/* SPDX-License-Identifier: MIT */
/*
 * conn_look: samples of the kernel's view, and what was observed, for the sweep and for the patrol. Carries out no
 * verdict.
 */
#include "conn_look.h"

#include "conn_backlog.h"
#include "conn_pressure.h"
#include "transport.h"

/* The cause of a verdict is told by what has changed between two samples; the older of two is 2.5 to 5 s old. */
enum { SAMPLE_MS = 2500 };

/* Two samples tell a cause, so the newest is taken in turn with the one before it. A verdict that is about what is
 * unanswered falls on a fresh one. */
void fluxbp__conn_take_sample(fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp__pressure_t *pressure = conn->pressure;
  fluxbp__sample_t *samples = pressure->samples;
  int fd = fluxbp__transport_fd(conn);
  if (fd < 0) return;
  if (!samples[1].is_known || now_ms - pressure->sampled_ms >= SAMPLE_MS) {
    samples[0] = samples[1];
    pressure->sampled_ms = now_ms;
  } else {
    bool is_crowd_slow = fluxbp__crowd_has_grace(&fluxbp__conn_engine(conn)->crowd, now_ms);
    if (!fluxbp__policy_is_unreachable_due(conn->policy, &pressure->clocks, is_crowd_slow, now_ms)) return;
  }
  fluxbp__probe_sample(fd, &samples[1]);
  pressure->heard_ms = uv_hrtime() / 1000000 - samples[1].last_ack_recv_ms;
}

/* The engine counts the bytes of refused and closing connections. */
uint64_t fluxbp__conn_note_kernel_bytes(fluxbp_conn_t *conn) {
  uint64_t unacked_bytes = fluxbp__conn_unacked_bytes(conn);
  uint64_t counted_bytes = conn->is_writing || conn->state != FLUXBP__CONN_OPEN ? unacked_bytes : 0;
  fluxbp__ledger_note_kernel_bytes(&fluxbp__conn_engine(conn)->ledger, conn->pressure->kernel_bytes, counted_bytes);
  conn->pressure->kernel_bytes = counted_bytes;
  return unacked_bytes;
}

fluxbp__observation_t fluxbp__conn_observe(fluxbp_conn_t *conn, uint64_t now_ms) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  uint64_t written_bytes = fluxbp__conn_written_bytes(conn);
  uint64_t unacked_bytes = fluxbp__conn_note_kernel_bytes(conn);
  return (fluxbp__observation_t){
      /* what the kernel hasn't been offered isn't held against it */
      .backlog = conn->is_writing ? fluxbp__conn_backlog(conn) : (fluxbp__backlog_t){0},
      .oldest_ms = fluxbp__conn_oldest_ms(conn),
      .written_bytes = written_bytes,
      .acked_bytes = fluxbp__conn_acked_bytes(written_bytes, unacked_bytes),
      .is_crowd_slow = fluxbp__crowd_has_grace(&engine->crowd, now_ms),
      .unanswered = fluxbp__sample_unanswered(&conn->pressure->samples[1]),
      .heard_ms = conn->pressure->heard_ms,
  };
}

void fluxbp__conn_watch(fluxbp_conn_t *conn) {
  uint64_t now_ms = fluxbp__engine_observe(fluxbp__conn_engine(conn));
  if (fluxbp__conn_take_pressure(conn) != 0) return; /* the patrol comes again */
  fluxbp__conn_take_sample(conn, now_ms);
  fluxbp__observation_t seen = fluxbp__conn_observe(conn, now_ms);
  (void) fluxbp__policy_judge(conn->policy, &conn->pressure->clocks, &seen, now_ms); /* it starts the clock */
  if (!conn->pressure->clocks.is_silent) fluxbp__conn_release_pressure(conn); /* the peer has answered just now */
}
