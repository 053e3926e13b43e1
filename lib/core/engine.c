/* SPDX-License-Identifier: MIT */
/*
 * engine: the clock, the alarm of the sweep, the table of codecs, the array of connections, and the log of evictions.
 * Knows connections as pointers only.
 */
#include "engine.h"

#include "frame.h"
#include "pool.h"

enum { CONNS_MIN = 16, CAREFUL_READ_BYTES = 8192 };

/* Engines that were made in this process. */
static atomic_uint_fast64_t engine_count;

static void on_alarm(uv_timer_t *timer) {
  fluxbp__engine_t *engine = FLUXBP__CONTAINER(timer, fluxbp__engine_t, alarm.timer);
  engine->alarm.due_ms = UINT64_MAX;
  engine->alarm.on_due(engine);
}

int fluxbp__engine_init(fluxbp__engine_t *engine) {
  engine->ring_memory.pool = engine->pool;
  engine->origins = (atomic_fetch_add_explicit(&engine_count, 1, memory_order_relaxed) + 1) << FLUXBP__ORIGIN_SHIFT;
  engine->patrol.due_ms = UINT64_MAX;
  fluxbp__list_init(&engine->pressured);
  fluxbp__list_init(&engine->unswept);
  fluxbp__list_init(&engine->paused.conns);
  fluxbp__list_init(&engine->paused.unseen);
  fluxbp__list_init(&engine->writability.refilling);
  engine->last_clock_ms = fluxbp__engine_clock_ms(engine);
  engine->alarm.due_ms = UINT64_MAX;
  int err = uv_timer_init(engine->loop, &engine->alarm.timer);
  if (!err) uv_unref((uv_handle_t *) &engine->alarm.timer);
  return err;
}

size_t fluxbp__engine_read_bytes(const fluxbp__engine_t *engine) {
  bool is_careful = engine->read_buffer_bytes > CAREFUL_READ_BYTES && !fluxbp__pool_is_roomy(engine->pool);
  return is_careful ? CAREFUL_READ_BYTES : engine->read_buffer_bytes;
}

void fluxbp__engine_free(fluxbp__engine_t *engine) {
  fluxbp_pool_t *pool = engine->pool;
  fluxbp__pool_free_object(pool, engine->read_buffer, engine->read_buffer_bytes);
  fluxbp__pool_free_object(pool, engine->evictions.records, FLUXBP_EVICTIONS_KEPT * sizeof *engine->evictions.records);
  fluxbp__pool_free_object(pool, engine->conns, engine->conn_capacity * sizeof(fluxbp_conn_t *));
  fluxbp__ring_memory_clear(&engine->ring_memory);
  fluxbp__fair_queue_free(&engine->input.queue);
}

uint64_t fluxbp__engine_clock_ms(const fluxbp__engine_t *engine) {
  return engine->clock_ms != NULL ? engine->clock_ms(engine->clock_arg) : uv_now(engine->loop);
}

uint64_t fluxbp__engine_observe(fluxbp__engine_t *engine) {
  uint64_t clock_ms = fluxbp__engine_clock_ms(engine);
  uint64_t elapsed_ms = clock_ms > engine->last_clock_ms ? clock_ms - engine->last_clock_ms : 0;
  uint64_t most_ms = 2 * (uint64_t) engine->sweep_ms;
  engine->observed_ms += elapsed_ms < most_ms ? elapsed_ms : most_ms;
  engine->last_clock_ms += elapsed_ms;
  return engine->observed_ms;
}

void fluxbp__engine_sweep_by(fluxbp__engine_t *engine, uint64_t due_ms) {
  fluxbp__alarm_t *alarm = &engine->alarm;
  if (due_ms >= alarm->due_ms || uv_is_closing((uv_handle_t *) &alarm->timer)) return;
  uint64_t now_ms = fluxbp__engine_clock_ms(engine);
  alarm->due_ms = due_ms;
  (void) uv_timer_start(&alarm->timer, on_alarm, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void fluxbp__engine_sweep_soon(fluxbp__engine_t *engine, const fluxbp__policy_t *policy) {
  uint32_t wait_ms = policy->shortest_ms < engine->sweep_ms ? policy->shortest_ms : engine->sweep_ms;
  fluxbp__engine_sweep_by(engine, fluxbp__engine_clock_ms(engine) + wait_ms);
}

int fluxbp__engine_codec(fluxbp__engine_t *engine, const fluxbp_codec_t *codec) {
  for (size_t i = 0; i < engine->codec_count; i++)
    if (engine->codecs[i] == codec) return (int) i;
  int err = fluxbp__codec_check(codec);
  if (err) return err;
  if (engine->codec_count == FLUXBP_CODECS_MAX) return UV_E2BIG;
  engine->codecs[engine->codec_count] = codec;
  return (int) engine->codec_count++;
}

int fluxbp__engine_add(fluxbp__engine_t *engine, fluxbp_conn_t *conn, uint32_t *index) {
  if (engine->conn_count == engine->conn_capacity) {
    uint32_t capacity = fluxbp__pool_next_capacity(engine->conn_capacity, CONNS_MIN);
    fluxbp_conn_t **conns =
        fluxbp__pool_grow_array(engine->pool, engine->conns, sizeof *conns, engine->conn_capacity, capacity);
    if (conns == NULL) return UV_ENOMEM;
    engine->conns = conns;
    engine->conn_capacity = capacity;
  }
  if (!engine->has_arrival) (void) atomic_fetch_add_explicit(&engine->load, 1, memory_order_relaxed);
  engine->has_arrival = false;
  *index = (uint32_t) engine->conn_count;
  engine->conns[engine->conn_count++] = conn;
  return 0;
}

fluxbp_conn_t *fluxbp__engine_remove(fluxbp__engine_t *engine, uint32_t index) {
  (void) atomic_fetch_sub_explicit(&engine->load, 1, memory_order_relaxed);
  fluxbp_conn_t *last = engine->conns[--engine->conn_count];
  if (index == engine->conn_count) return NULL;
  engine->conns[index] = last;
  return last;
}

void fluxbp__engine_patrol(fluxbp__engine_t *engine) {
  fluxbp__patrol_t *patrol = &engine->patrol;
  patrol->open_count++;
  if (patrol->due_ms != UINT64_MAX) return;
  patrol->due_ms = fluxbp__engine_clock_ms(engine) + FLUXBP__PATROL_ROUND_MS;
  fluxbp__engine_sweep_by(engine, patrol->due_ms);
}

void fluxbp__engine_record(fluxbp__engine_t *engine, const fluxbp_eviction_t *record) {
  fluxbp__eviction_log_t *log = &engine->evictions;
  log->records[log->count++ % FLUXBP_EVICTIONS_KEPT] = *record;
  if (log->on_eviction != NULL) log->on_eviction(fluxbp__engine_hub(engine), record);
}
