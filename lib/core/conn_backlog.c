/* SPDX-License-Identifier: MIT */
/*
 * conn_backlog: reads the ring of a connection and asks the kernel. Changes nothing.
 */
#include "conn_backlog.h"

#include "transport.h"

uint32_t fluxbp__conn_head_written(const fluxbp_conn_t *conn) {
  if (!conn->is_writing) return conn->head_written;
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  if (transport->unwritten == NULL) return conn->head_written;
  return fluxbp__ring_at(&conn->ring, 0)->len - (uint32_t) transport->unwritten(conn);
}

uint64_t fluxbp__conn_kept_bytes(const fluxbp_conn_t *conn) {
  const fluxbp_transport_t *transport = fluxbp__conn_transport(conn);
  return transport->kept != NULL ? transport->kept(conn) : 0;
}

uint64_t fluxbp__conn_written_bytes(const fluxbp_conn_t *conn) {
  uint64_t taken_bytes = conn->written_bytes + (fluxbp__conn_head_written(conn) - conn->head_written);
  uint64_t kept_bytes = fluxbp__conn_kept_bytes(conn);
  return kept_bytes < taken_bytes ? taken_bytes - kept_bytes : 0;
}

uint64_t fluxbp__conn_acked_bytes(uint64_t written_bytes, uint64_t unacked_bytes) {
  return unacked_bytes < written_bytes ? written_bytes - unacked_bytes : 0;
}

uint64_t fluxbp__conn_unacked_bytes(const fluxbp_conn_t *conn) {
  /* on a UNIX socket the kernel counts its own overhead, which says nothing */
  int64_t bytes = fluxbp__probe_unacked(fluxbp__transport_fd(conn));
  return bytes > 0 ? (uint64_t) bytes : 0;
}

fluxbp__backlog_t fluxbp__conn_backlog(const fluxbp_conn_t *conn) {
  const fluxbp__ring_t *ring = &conn->ring;
  if (ring->count == 0) return (fluxbp__backlog_t){0};
  return (fluxbp__backlog_t){.queued = ring->count,
                             .bytes = ring->bytes,
                             .head_bytes = fluxbp__ring_at(ring, 0)->len,
                             .head_written = fluxbp__conn_head_written(conn)};
}

uint32_t fluxbp__conn_fill(const fluxbp_conn_t *conn) {
  fluxbp__backlog_t backlog = fluxbp__conn_backlog(conn);
  uint64_t fill = fluxbp__backlog_fill(&conn->policy->limits, &backlog);
  return fill < FLUXBP__FILL_FULL ? (uint32_t) fill : FLUXBP__FILL_FULL;
}

/* How long the frame at `offset` has been waiting; 0 if there is none. */
static uint64_t frame_age_ms(const fluxbp_conn_t *conn, uint32_t offset) {
  if (conn->ring.count <= offset) return 0;
  uint64_t now_ms = fluxbp__conn_engine(conn)->observed_ms;
  uint64_t age_ms = now_ms - fluxbp__ring_at(&conn->ring, offset)->time_ms;
  if (conn->pressure == NULL) return conn->catching_up > 0 ? 0 : age_ms;
  /* a frame that was published long ago may have been staged just now, but not before the ring last was empty */
  uint64_t refused_ms = now_ms - conn->pressure->clocks.refused_ms;
  return age_ms < refused_ms ? age_ms : refused_ms;
}

uint64_t fluxbp__conn_head_ms(const fluxbp_conn_t *conn) {
  return frame_age_ms(conn, 0);
}

uint64_t fluxbp__conn_oldest_ms(const fluxbp_conn_t *conn) {
  return frame_age_ms(conn, fluxbp__conn_head_written(conn) > 0);
}
