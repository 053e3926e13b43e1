/* SPDX-License-Identifier: MIT */
/*
 * hub: what the connections and topics of one loop share, and the order in which it comes and goes. What can be asked
 * of a hub is in hub_query.c.
 */
#include "hub.h"

#include "conn_close.h"
#include "conn_events.h"
#include "conn_input.h"
#include "conn_sent.h"
#include "conn_write.h"
#include "feed.h"
#include "input.h"
#include "options.h"
#include "pool.h"
#include "replay.h"
#include "submission.h"
#include "topic_events.h"
#include "topic_patterns.h"
#include "transport_stream.h"
#include "valve.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

void fluxbp_hub_options_init_sized(fluxbp_hub_options_t *options, size_t size) {
  fluxbp_hub_options_t defaults = {.slice_us = 2000,
                                   .sweep_ms = 250,
                                   .read_buffer_bytes = 65536,
                                   .max_kernel_bytes = FLUXBP_KERNEL_BYTES_AUTO,
                                   .history_bytes = 16u << 20,
                                   .input_us = 1000};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

static void visit_input(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__conn_deliver_input(FLUXBP__CONTAINER(link, fluxbp__rare_t, input)->conn);
}

static void visit_event(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__conn_deliver_events(FLUXBP__CONTAINER(link, fluxbp__pressure_t, event)->conn);
}

static void visit_verdict(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__conn_execute(FLUXBP__CONTAINER(link, fluxbp_conn_t, due));
}

static void visit_dirty(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  fluxbp__broadcast_t *broadcast = &fluxbp__hub_of_turn(turn)->topics.broadcast;
  if (link == &broadcast->marker)
    fluxbp__broadcast_offered(broadcast, turn);
  else
    fluxbp__conn_flush(FLUXBP__CONTAINER(link, fluxbp_conn_t, due));
}

static bool visit_dirty_together(fluxbp__turn_t *turn, fluxbp__link_t *list) {
  fluxbp_hub_t *hub = fluxbp__hub_of_turn(turn);
  fluxbp__link_t *marker = &hub->topics.broadcast.marker;
  fluxbp__link_t *first = list->next;
  if (first != marker && fluxbp__submission_flush(&hub->engine, list, marker)) return true;
  fluxbp__link_remove(first);
  visit_dirty(turn, first);
  return false;
}

static void visit_replays(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) link;
  fluxbp__replay_run(&fluxbp__hub_of_turn(turn)->topics);
}

static void visit_sent(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__sent_deliver(link);
}

static void visit_members(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__topic_tell_members(link);
}

static void tell_drained(fluxbp_hub_t *hub) {
  if (!hub->is_draining || hub->engine.conn_count > 0) return;
  hub->is_draining = false;
  if (hub->drain_cb != NULL) hub->drain_cb(hub);
}

static void tell_writable(fluxbp_hub_t *hub) {
  fluxbp__writability_t *writability = &hub->engine.writability;
  if (!writability->is_event_due || writability->holding > 0) return;
  writability->is_event_due = false;
  if (hub->options.on_writable != NULL) hub->options.on_writable(hub);
}

/* Tasks and what clients have sent are the host's work: they have shares of the iteration, but the time isn't taken
 * from the bus and the connections. A flood of tasks, such as a storm of new connections, would leave none. */
static bool run_host_work(fluxbp_hub_t *hub) {
  bool was_woken = fluxbp__inbox_run(&hub->inbox, hub, &hub->engine.turn);
  if (was_woken && !hub->engine.is_closing && hub->bus.reader.bus != NULL) hub->bus.is_due = true;
  bool has_input = fluxbp__input_run(&hub->engine);
  fluxbp__turn_restart(&hub->engine.turn);
  return has_input || fluxbp__inbox_has_more(&hub->inbox);
}

static bool do_hub_work(fluxbp__turn_t *turn) {
  fluxbp_hub_t *hub = fluxbp__hub_of_turn(turn);
  bool has_more = run_host_work(hub);
  if (fluxbp__sweep_continue(&hub->sweep)) has_more = true;
  if (fluxbp__valve_continue(&hub->topics, hub->options.max_kernel_bytes)) has_more = true;
  if (fluxbp__hub_bus_read(&hub->bus)) has_more = true;
  tell_drained(hub);
  tell_writable(hub);
  return has_more;
}

static void on_sweep_due(fluxbp__engine_t *engine) {
  fluxbp__sweep_begin(&FLUXBP__CONTAINER(engine, fluxbp_hub_t, engine)->sweep);
}

static int block_sigpipe(void) {
  sigset_t signals;
  (void) sigemptyset(&signals);
  (void) sigaddset(&signals, SIGPIPE);
  return uv_translate_sys_error(pthread_sigmask(SIG_BLOCK, &signals, NULL));
}

static int check_options(const fluxbp_hub_options_t *options) {
  if (options->slice_us == 0 || options->input_us == 0) return UV_EINVAL;
  if (options->sweep_ms == 0 || options->sweep_ms > FLUXBP_SWEEP_MS_MAX) return UV_EINVAL;
  if (options->patience_ms > FLUXBP_TIME_MS_MAX) return UV_EINVAL;
  if (options->read_buffer_bytes < FLUXBP_READ_BUFFER_BYTES_MIN) return UV_EINVAL;
  if (options->read_buffer_bytes > FLUXBP_READ_BUFFER_BYTES_MAX) return UV_EINVAL;
  if (options->history_messages > FLUXBP_HISTORY_MESSAGES_MAX) return UV_EINVAL;
  if (options->history_topic_messages > FLUXBP_HISTORY_MESSAGES_MAX) return UV_EINVAL;
  if (options->history_ms > FLUXBP_TIME_MS_MAX) return UV_EINVAL;
  if (options->io_uring != FLUXBP_IO_URING_AUTO && options->io_uring != FLUXBP_IO_URING_OFF) return UV_EINVAL;
  return 0;
}

/* A limit of a topic that isn't set is that of all. */
static fluxbp__history_limits_t history_limits(const fluxbp_hub_options_t *options) {
  bool has_messages = options->history_topic_messages != 0;
  bool has_bytes = options->history_topic_bytes != 0;
  return (fluxbp__history_limits_t){
      .messages = options->history_messages,
      .bytes = options->history_bytes,
      .topic_messages = has_messages ? options->history_topic_messages : options->history_messages,
      .topic_bytes = has_bytes ? options->history_topic_bytes : options->history_bytes,
  };
}

/* Everything that can fail before libuv holds a handle. */
static int allocate_parts(fluxbp_hub_t *hub) {
  fluxbp__engine_t *engine = &hub->engine;
  engine->read_buffer_bytes = hub->options.read_buffer_bytes;
  engine->read_buffer = fluxbp__pool_alloc_object(engine->pool, engine->read_buffer_bytes);
  engine->evictions.records =
      fluxbp__pool_alloc_object(engine->pool, FLUXBP_EVICTIONS_KEPT * sizeof *engine->evictions.records);
  if (engine->read_buffer == NULL || engine->evictions.records == NULL) return UV_ENOMEM;
  fluxbp__history_limits_t limits = history_limits(&hub->options);
  int err = fluxbp__topics_init(&hub->topics, &limits);
  if (!err) err = fluxbp__patterns_init(&hub->topics);
  if (err) return err;
  return hub->options.block_sigpipe ? block_sigpipe() : 0;
}

static void free_hub(fluxbp_hub_t *hub) {
  fluxbp_pool_t *pool = hub->engine.pool;
  bool owns_pool = hub->owns_pool;
  fluxbp__submission_free(&hub->engine);
  fluxbp__engine_free(&hub->engine);
  fluxbp__hub_bus_free(&hub->bus);
  fluxbp__pool_free_object(pool, hub, sizeof *hub);
  if (owns_pool) fluxbp__pool_orphan(pool); /* messages of it may still be held */
}

/* Of another thread: what it wants is looked for at the next turn, which comes before the loop sleeps again. */
static void on_wake(uv_async_t *async) {
  (void) async;
}

static int start_handles(fluxbp_hub_t *hub) {
  fluxbp__turn_t *turn = &hub->engine.turn;
  turn->visit[FLUXBP__DUE_INPUT] = visit_input;
  turn->visit[FLUXBP__DUE_EVENT] = visit_event;
  turn->visit[FLUXBP__DUE_VERDICT] = visit_verdict;
  turn->visit[FLUXBP__DUE_FLUSH] = visit_dirty;
  turn->visit[FLUXBP__DUE_REPLAY] = visit_replays;
  turn->visit[FLUXBP__DUE_SENT] = visit_sent;
  turn->visit[FLUXBP__DUE_MEMBERS] = visit_members;
  if (hub->options.io_uring == FLUXBP_IO_URING_AUTO) turn->flush_together = visit_dirty_together;
  turn->work = do_hub_work;
  turn->slice_ns = (uint64_t) hub->options.slice_us * 1000;
  uv_loop_t *loop = hub->engine.loop;
  int err =
      fluxbp__inbox_init(&hub->inbox, hub->engine.pool, loop, on_wake); /* it alone can fail: it takes a descriptor */
  if (!err) err = fluxbp__turn_init(turn, loop);
  if (!err) err = fluxbp__engine_init(&hub->engine);
  hub->open_handles = 4; /* async, prepare, idle, timer */
  return err;
}

static void on_conn_gone(fluxbp__engine_t *engine);

/* What the engine has of the options, and the layers above it. */
static void set_up_engine(fluxbp_hub_t *hub, uv_loop_t *loop, const fluxbp__policy_t *policy) {
  const fluxbp_hub_options_t *options = &hub->options;
  fluxbp__engine_t *engine = &hub->engine;
  engine->loop = loop;
  engine->policy = *policy;
  engine->sweep_ms = options->sweep_ms;
  engine->patience_ms = options->patience_ms;
  engine->clock_ms = options->clock_ms;
  engine->clock_arg = options->clock_arg;
  engine->evictions.on_eviction = options->on_eviction;
  fluxbp__input_init(&engine->input, engine->pool, (uint64_t) options->input_us * 1000, fluxbp__conn_left_queue);
  engine->input_key = options->input_key;
  engine->carried = &fluxbp__conn_carried;
  engine->feed = &fluxbp__topics_feed;
  engine->alarm.on_due = on_sweep_due;
  engine->on_conn_gone = on_conn_gone;
  fluxbp__transport_stream_init(engine);
  if (options->io_uring == FLUXBP_IO_URING_OFF) engine->submission.status = UV_ECANCELED;
  fluxbp__replay_init(&hub->topics, (uint64_t) options->slice_us * 1000);
  hub->topics.history_ms = options->history_ms;
  hub->topics.on_members = options->on_members;
  hub->sweep.topics = &hub->topics;
  hub->bus.topics = &hub->topics;
  hub->bus.inbox = &hub->inbox;
}

static int make_hub(const fluxbp_hub_options_t *options, fluxbp_hub_t **out) {
  fluxbp_pool_t *pool = options->pool;
  int err = pool == NULL ? fluxbp_pool_create(NULL, &pool) : 0;
  if (err) return err;
  fluxbp_hub_t *hub = fluxbp__pool_alloc_object(pool, sizeof *hub);
  if (hub == NULL) {
    if (options->pool == NULL) (void) fluxbp_pool_destroy(pool);
    return UV_ENOMEM;
  }
  hub->engine.pool = pool;
  hub->owns_pool = options->pool == NULL;
  hub->options = *options;
  hub->options.policy = NULL; /* copied, the caller's may go */
  if (options->max_kernel_bytes == FLUXBP_KERNEL_BYTES_AUTO)
    hub->options.max_kernel_bytes = fluxbp__probe_kernel_share();
  else if (options->max_kernel_bytes == 0)
    hub->options.max_kernel_bytes = UINT64_MAX;
  *out = hub;
  return 0;
}

int fluxbp_hub_create(uv_loop_t *loop, const fluxbp_hub_options_t *given, fluxbp_hub_t **out) {
  fluxbp_hub_options_t options;
  fluxbp__policy_t policy;
  fluxbp_hub_t *hub;
  fluxbp_hub_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (!err) err = check_options(&options);
  if (!err) err = fluxbp__policy_prepare(options.policy, &policy);
  if (!err) err = make_hub(&options, &hub);
  if (err) return err;

  set_up_engine(hub, loop, &policy);
  err = allocate_parts(hub);
  if (!err) err = fluxbp__hub_bus_join(&hub->bus, options.bus);
  if (!err) err = start_handles(hub);
  if (err) {
    fluxbp__hub_bus_leave(&hub->bus);
    free_hub(hub);
    return err;
  }
  fluxbp__hub_bus_begin(&hub->bus);
  *out = hub;
  return 0;
}

/* The last handle or connection is gone. */
static void finish_closing(fluxbp_hub_t *hub) {
  if (!hub->engine.is_closing || hub->open_handles > 0 || hub->engine.conn_count > 0) return;
  (void) fluxbp__inbox_run(&hub->inbox, hub, NULL); /* what was posted before the end is done */
  fluxbp__replay_destroy(&hub->topics);
  fluxbp__patterns_destroy(&hub->topics);
  fluxbp__topics_destroy(&hub->topics);
  if (hub->is_draining && hub->drain_cb != NULL) hub->drain_cb(hub);
  if (hub->close_cb != NULL) hub->close_cb(hub);
  fluxbp__inbox_destroy(&hub->inbox); /* not earlier: until here any thread may post, and is refused */
  free_hub(hub);
}

static void on_conn_gone(fluxbp__engine_t *engine) {
  fluxbp_hub_t *hub = FLUXBP__CONTAINER(engine, fluxbp_hub_t, engine);
  if (engine->is_closing)
    finish_closing(hub);
  else if (hub->is_draining && engine->conn_count == 0)
    fluxbp__turn_wake(&engine->turn);
}

static void note_handle_closed(fluxbp_hub_t *hub) {
  hub->open_handles--;
  finish_closing(hub);
}

static void on_turn_closed(uv_handle_t *handle) {
  note_handle_closed(handle->type == UV_PREPARE ? FLUXBP__CONTAINER(handle, fluxbp_hub_t, engine.turn.prepare)
                                                : FLUXBP__CONTAINER(handle, fluxbp_hub_t, engine.turn.idle));
}

static void on_timer_closed(uv_handle_t *handle) {
  note_handle_closed(FLUXBP__CONTAINER(handle, fluxbp_hub_t, engine.alarm.timer));
}

static void on_async_closed(uv_handle_t *handle) {
  note_handle_closed(FLUXBP__CONTAINER(handle, fluxbp_hub_t, inbox.async));
}

void fluxbp_hub_close(fluxbp_hub_t *hub, fluxbp_hub_cb cb) {
  fluxbp__engine_t *engine = &hub->engine;
  if (engine->is_closing) return;
  engine->is_closing = true;
  hub->close_cb = cb;
  fluxbp__hub_bus_leave(&hub->bus);
  for (size_t i = 0; i < engine->conn_count; i++) fluxbp_conn_reset(engine->conns[i]);
  fluxbp__turn_close(&engine->turn, on_turn_closed);
  uv_close((uv_handle_t *) &engine->alarm.timer, on_timer_closed);
  fluxbp__inbox_close(&hub->inbox, on_async_closed);
}

void fluxbp_hub_drain(fluxbp_hub_t *hub, uint32_t deadline_ms, fluxbp_hub_cb cb) {
  const fluxbp__engine_t *engine = &hub->engine;
  if (engine->is_closing) return;
  hub->is_draining = true;
  hub->drain_cb = cb;
  uint64_t deadline_clock_ms = fluxbp__engine_clock_ms(engine) + deadline_ms;
  for (size_t i = 0; i < engine->conn_count; i++) {
    fluxbp_conn_t *conn = engine->conns[i];
    bool ends_earlier = conn->state > FLUXBP__CONN_OPEN && conn->pressure != NULL && conn->pressure->deadline_ms != 0 &&
                        conn->pressure->deadline_ms <= deadline_clock_ms;
    if (!ends_earlier) fluxbp_conn_close(conn, deadline_ms);
  }
  fluxbp__turn_wake(&hub->engine.turn);
}

int fluxbp_hub_post(fluxbp_hub_t *hub, fluxbp_task_cb task, void *arg) {
  return fluxbp__inbox_post(&hub->inbox, task, arg);
}

void fluxbp_hub_flush(fluxbp_hub_t *hub) {
  fluxbp__turn_flush_all(&hub->engine.turn);
}

int fluxbp_hub_set_policy(fluxbp_hub_t *hub, const fluxbp_policy_t *policy) {
  fluxbp__engine_t *engine = &hub->engine;
  int err = fluxbp__policy_prepare(policy, &engine->policy);
  if (err) return err;
  if (!fluxbp__list_is_empty(&engine->pressured)) fluxbp__engine_sweep_soon(engine, &engine->policy);
  return 0;
}

void fluxbp_hub_set_user(fluxbp_hub_t *hub, void *user) {
  hub->options.user = user;
}
