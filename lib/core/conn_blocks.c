/* SPDX-License-Identifier: MIT */
/*
 * conn_blocks: takes and gives back what few connections own. Writes to no stream, and calls no callback.
 */
#include "conn_blocks.h"

#include "pool.h"

bool fluxbp__conn_take_rare(fluxbp_conn_t *conn) {
  if (conn->rare == NULL) conn->rare = fluxbp__pool_alloc_object(fluxbp__conn_engine(conn)->pool, sizeof *conn->rare);
  return conn->rare != NULL;
}

void fluxbp__conn_release_rare(fluxbp_conn_t *conn) {
  const fluxbp__rare_t *rare = conn->rare;
  if (rare == NULL || rare->dropped > 0 || rare->conflated > 0) return;
  if (rare->replay != NULL || rare->patience_full_ms != 0) return;
  if (conn->is_read_paused || rare->lane != NULL) return;
  if (rare->preread != NULL || fluxbp__link_is_linked(&rare->input)) return;
  if (conn->is_held || conn->wants_turn || !fluxbp__fair_item_is_out(&rare->turn)) return;
  fluxbp__pool_free_object(fluxbp__conn_engine(conn)->pool, conn->rare, sizeof *conn->rare);
  conn->rare = NULL;
}

void fluxbp__conn_note_pause(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  conn->is_read_paused = true;
  conn->rare->conn = conn;
  fluxbp__list_append(&engine->paused.conns, &conn->rare->paused);
  if (engine->paused.count++ == 0) uv_ref((uv_handle_t *) &engine->alarm.timer);
  fluxbp__engine_sweep_by(engine, fluxbp__engine_clock_ms(engine) + engine->sweep_ms);
}

void fluxbp__conn_forget_pause(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (!conn->is_read_paused) return;
  conn->is_read_paused = conn->is_pause_wanted = conn->is_lane_full = false;
  fluxbp__link_remove(&conn->rare->paused);
  if (--engine->paused.count == 0) uv_unref((uv_handle_t *) &engine->alarm.timer);
  fluxbp__conn_release_rare(conn);
}

int fluxbp__conn_note_input(fluxbp_conn_t *conn) {
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  conn->rare->conn = conn;
  fluxbp__link_t *input = &conn->rare->input;
  if (!fluxbp__link_is_linked(input)) fluxbp__turn_add(&fluxbp__conn_engine(conn)->turn, FLUXBP__DUE_INPUT, input);
  return 0;
}

void fluxbp__conn_forget_input(fluxbp_conn_t *conn) {
  if (conn->rare == NULL || !fluxbp__link_is_linked(&conn->rare->input)) return;
  fluxbp__link_remove(&conn->rare->input);
  fluxbp__conn_release_rare(conn);
}

void fluxbp__conn_forget_turn(fluxbp_conn_t *conn) {
  if (conn->rare == NULL) return;
  conn->is_held = conn->wants_turn = false;
  fluxbp__fair_queue_remove(&fluxbp__conn_engine(conn)->input.queue, &conn->rare->turn);
  fluxbp__conn_release_rare(conn);
}

void fluxbp__conn_free_policy(fluxbp_conn_t *conn) {
  fluxbp__engine_t *engine = fluxbp__conn_engine(conn);
  if (conn->policy == &engine->policy) return;
  fluxbp__pool_free_object(engine->pool, (void *) (uintptr_t) conn->policy, sizeof *conn->policy);
  conn->policy = &engine->policy;
}
