/* SPDX-License-Identifier: MIT */
/*
 * conn_lane: the block of replies that wait, from the pool. Knows nothing of reading and writing.
 */
#include "conn_lane.h"

#include "conn_blocks.h"
#include "pool.h"

#include <assert.h>
#include <string.h>

int fluxbp__lane_take(fluxbp_conn_t *conn) {
  if (fluxbp__conn_lane(conn) != NULL) return 0;
  if (!fluxbp__conn_take_rare(conn)) return UV_ENOMEM;
  void *memory;
  int err = fluxbp__pool_alloc(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, sizeof(fluxbp__lane_t), &memory);
  if (err) {
    fluxbp__conn_release_rare(conn);
    return err;
  }
  conn->rare->lane = memset(memory, 0, sizeof(fluxbp__lane_t));
  conn->catching_up++;
  return 0;
}

void fluxbp__lane_release(fluxbp_conn_t *conn) {
  fluxbp__lane_t *lane = fluxbp__conn_lane(conn);
  if (lane == NULL || lane->count > 0) return;
  fluxbp__pool_free(fluxbp__conn_engine(conn)->pool, FLUXBP__CONTROL, lane, sizeof *lane);
  conn->rare->lane = NULL;
  conn->catching_up--;
  fluxbp__conn_release_rare(conn);
}

unsigned fluxbp__lane_collect(const fluxbp__lane_t *lane, uv_buf_t *buffers) {
  for (uint32_t i = 0; i < lane->count; i++) {
    buffers[i].base = (char *) (uintptr_t) lane->frames[i]->data; /* it is only read */
    buffers[i].len = lane->frames[i]->len;
  }
  return lane->count;
}

static void remove_first(fluxbp__lane_t *lane, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) lane->bytes -= lane->frames[i]->len;
  lane->count -= count;
  memmove(lane->frames, lane->frames + count, lane->count * sizeof(fluxbp_frame_t *));
}

uint32_t fluxbp__lane_consume(fluxbp__lane_t *lane, size_t *bytes) {
  fluxbp_frame_t *gone[FLUXBP_REPLIES_MAX];
  uint32_t count = 0;
  while (count < lane->count && lane->frames[count]->len <= *bytes) {
    gone[count] = lane->frames[count];
    *bytes -= gone[count]->len;
    count++;
  }
  remove_first(lane, count);
  for (uint32_t i = 0; i < count; i++) fluxbp__frame_unref(gone[i]);
  return count;
}

fluxbp_frame_t *fluxbp__lane_pop(fluxbp__lane_t *lane) {
  assert(lane->count > 0);
  fluxbp_frame_t *frame = lane->frames[0];
  remove_first(lane, 1);
  return frame;
}

uint32_t fluxbp__lane_discard(fluxbp_conn_t *conn, uint64_t *bytes) {
  fluxbp__lane_t *lane = fluxbp__conn_lane(conn);
  *bytes = 0;
  if (lane == NULL) return 0;
  uint32_t count = lane->count;
  *bytes = lane->bytes;
  lane->count = 0;
  for (uint32_t i = 0; i < count; i++) fluxbp__frame_abandon(lane->frames[i], UV_ECANCELED);
  conn->is_lane_full = false;
  fluxbp__lane_release(conn);
  return count;
}
