/* SPDX-License-Identifier: MIT */
/*
 * hub: what the connections and topics of one loop share, and the order in which it comes and goes.
 */
#include "hub.h"

#include "conn_close.h"
#include "frame.h"
#include "options.h"
#include "pool.h"
#include "replay.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

enum { CONNS_MIN = 16 };

void fluxbp_hub_options_init_sized(fluxbp_hub_options_t *options, size_t size) {
  fluxbp_hub_options_t defaults = {.slice_us = 2000,
                                   .sweep_ms = 250,
                                   .read_buffer_bytes = 65536,
                                   .max_kernel_bytes = FLUXBP_KERNEL_BYTES_AUTO,
                                   .history_bytes = 16u << 20};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

static void visit_event(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__conn_deliver_event(FLUXBP__CONTAINER(link, fluxbp__pressure_t, event)->conn);
}

static void visit_verdict(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  (void) turn;
  fluxbp__conn_execute(FLUXBP__CONTAINER(link, fluxbp_conn_t, due));
}

static void visit_dirty(fluxbp__turn_t *turn, fluxbp__link_t *link) {
  fluxbp__broadcast_t *broadcast = &fluxbp__hub_of_turn(turn)->broadcast;
  if (link == &broadcast->marker)
    fluxbp__broadcast_offered(broadcast, turn);
  else
    fluxbp__conn_flush(FLUXBP__CONTAINER(link, fluxbp_conn_t, due));
}

static void tell_drained(fluxbp_hub_t *hub) {
  if (!hub->is_draining || hub->conn_count > 0) return;
  hub->is_draining = false;
  if (hub->drain_cb != NULL) hub->drain_cb(hub);
}

static void tell_writable(fluxbp_hub_t *hub) {
  if (!hub->writability.is_event_due || hub->writability.holding > 0) return;
  hub->writability.is_event_due = false;
  if (hub->options.on_writable != NULL) hub->options.on_writable(hub);
}

/* Tasks are the host's work, as what it does when a connection has data: they have a share of the iteration, but the time
 * isn't taken from the bus and the connections. A flood of tasks, such as a storm of new connections, would leave none. */
static bool run_tasks(fluxbp_hub_t *hub) {
  bool was_woken = fluxbp__inbox_run(&hub->inbox, hub, true);
  if (was_woken && !hub->is_closing && hub->bus.reader.bus != NULL) hub->bus.is_due = true;
  fluxbp__turn_restart(&hub->turn);
  return fluxbp__inbox_has_more(&hub->inbox);
}

static bool do_hub_work(fluxbp__turn_t *turn) {
  fluxbp_hub_t *hub = fluxbp__hub_of_turn(turn);
  bool has_more = run_tasks(hub);
  if (fluxbp__sweep_continue(hub)) has_more = true;
  if (fluxbp__valve_continue(hub)) has_more = true;
  if (fluxbp__hub_read_bus(hub)) has_more = true;
  tell_drained(hub);
  tell_writable(hub);
  return has_more;
}

static int block_sigpipe(void) {
  sigset_t signals;
  (void) sigemptyset(&signals);
  (void) sigaddset(&signals, SIGPIPE);
  return uv_translate_sys_error(pthread_sigmask(SIG_BLOCK, &signals, NULL));
}

static int check_options(const fluxbp_hub_options_t *options) {
  if (options->slice_us == 0) return UV_EINVAL;
  if (options->sweep_ms == 0 || options->sweep_ms > FLUXBP_SWEEP_MS_MAX) return UV_EINVAL;
  if (options->patience_ms > FLUXBP_TIME_MS_MAX) return UV_EINVAL;
  if (options->read_buffer_bytes < FLUXBP_READ_BUFFER_BYTES_MIN) return UV_EINVAL;
  if (options->read_buffer_bytes > FLUXBP_READ_BUFFER_BYTES_MAX) return UV_EINVAL;
  if (options->history_messages > FLUXBP_HISTORY_MESSAGES_MAX) return UV_EINVAL;
  if (options->history_topic_messages > FLUXBP_HISTORY_MESSAGES_MAX) return UV_EINVAL;
  if (options->history_ms > FLUXBP_TIME_MS_MAX) return UV_EINVAL;
  return 0;
}

/* Everything that can fail before libuv holds a handle. */
static int allocate_parts(fluxbp_hub_t *hub) {
  hub->read_buffer = fluxbp__pool_alloc_object(hub->pool, hub->options.read_buffer_bytes);
  hub->evictions = fluxbp__pool_alloc_object(hub->pool, FLUXBP_EVICTIONS_KEPT * sizeof *hub->evictions);
  if (hub->read_buffer == NULL || hub->evictions == NULL) return UV_ENOMEM;
  int err = uv_random(NULL, NULL, &hub->topics.seed, sizeof hub->topics.seed, 0, NULL);
  if (!err) err = uv_random(NULL, NULL, &hub->epoch, sizeof hub->epoch, 0, NULL);
  if (err) return err;
  hub->last_state_topic = hub->topics.seed; /* their numbers are part of a hash, too */
  return hub->options.block_sigpipe ? block_sigpipe() : 0;
}

static void free_hub(fluxbp_hub_t *hub) {
  fluxbp_pool_t *pool = hub->pool;
  bool owns_pool = hub->owns_pool;
  fluxbp__pool_free_object(pool, hub->read_buffer, hub->options.read_buffer_bytes);
  fluxbp__pool_free_object(pool, hub->evictions, FLUXBP_EVICTIONS_KEPT * sizeof *hub->evictions);
  fluxbp__pool_free_object(pool, hub->conns, hub->conn_capacity * sizeof *hub->conns);
  fluxbp__ring_memory_clear(&hub->ring_memory);
  fluxbp__hub_free_bus(hub);
  fluxbp__pool_free_object(pool, hub, sizeof *hub);
  if (owns_pool) fluxbp__pool_orphan(pool); /* messages of it may still be held */
}

/* Of another thread: what it wants is looked for at the next turn, which comes before the loop sleeps again. */
static void on_wake(uv_async_t *async) {
  (void) async;
}

static int start_handles(fluxbp_hub_t *hub) {
  hub->turn.visit[FLUXBP__DUE_EVENT] = visit_event;
  hub->turn.visit[FLUXBP__DUE_VERDICT] = visit_verdict;
  hub->turn.visit[FLUXBP__DUE_FLUSH] = visit_dirty;
  hub->turn.work = do_hub_work;
  hub->turn.slice_ns = (uint64_t) hub->options.slice_us * 1000;
  int err = fluxbp__inbox_init(&hub->inbox, hub->loop, on_wake); /* the only one that can fail: it takes a descriptor */
  if (!err) err = fluxbp__turn_init(&hub->turn, hub->loop);
  if (!err) err = fluxbp__sweep_init(hub);
  hub->open_handles = 4; /* async, prepare, idle, timer */
  hub->last_clock_ms = fluxbp__hub_clock_ms(hub);
  return err;
}

/* A limit of a topic that isn't set is that of all. */
static void init_history(fluxbp_hub_t *hub) {
  const fluxbp_hub_options_t *options = &hub->options;
  bool has_messages = options->history_topic_messages != 0;
  bool has_bytes = options->history_topic_bytes != 0;
  fluxbp__history_limits_t limits = {
      .messages = options->history_messages,
      .bytes = options->history_bytes,
      .topic_messages = has_messages ? options->history_topic_messages : options->history_messages,
      .topic_bytes = has_bytes ? options->history_topic_bytes : options->history_bytes,
  };
  fluxbp__history_init(&hub->history, hub->pool, &limits);
}

int fluxbp_hub_create(uv_loop_t *loop, const fluxbp_hub_options_t *given, fluxbp_hub_t **out) {
  fluxbp_hub_options_t options;
  fluxbp__policy_t policy;
  fluxbp_hub_options_init(&options);
  int err = fluxbp__options_copy(&options, sizeof options, given);
  if (!err) err = check_options(&options);
  if (!err) err = fluxbp__policy_prepare(options.policy, &policy);
  if (err) return err;

  fluxbp_pool_t *pool = options.pool;
  if (pool == NULL) err = fluxbp_pool_create(NULL, &pool);
  if (err) return err;
  fluxbp_hub_t *hub = fluxbp__pool_alloc_object(pool, sizeof *hub);
  if (hub == NULL) {
    if (options.pool == NULL) (void) fluxbp_pool_destroy(pool);
    return UV_ENOMEM;
  }
  hub->loop = loop;
  hub->pool = pool;
  hub->ring_memory.pool = pool;
  hub->owns_pool = options.pool == NULL;
  hub->options = options;
  hub->options.policy = NULL; /* copied, the caller's may go */
  hub->policy = policy;
  if (options.max_kernel_bytes == FLUXBP_KERNEL_BYTES_AUTO)
    hub->options.max_kernel_bytes = fluxbp__probe_kernel_share();
  else if (options.max_kernel_bytes == 0)
    hub->options.max_kernel_bytes = UINT64_MAX;
  fluxbp__list_init(&hub->replays);
  fluxbp__list_init(&hub->writability.refilling);
  hub->patrol.due_ms = UINT64_MAX;
  init_history(hub);
  err = allocate_parts(hub);
  if (!err) err = fluxbp__hub_join_bus(hub, options.bus);
  if (!err) err = start_handles(hub);
  if (err) {
    fluxbp__hub_leave_bus(hub);
    free_hub(hub);
    return err;
  }
  fluxbp__hub_begin_bus(hub);
  *out = hub;
  return 0;
}

/* The last handle or connection is gone. */
static void finish_closing(fluxbp_hub_t *hub) {
  if (!hub->is_closing || hub->open_handles > 0 || hub->conn_count > 0) return;
  (void) fluxbp__inbox_run(&hub->inbox, hub, false); /* what was posted before the end is done */
  fluxbp__replay_destroy(hub);
  fluxbp__topics_destroy(hub);
  if (hub->is_draining && hub->drain_cb != NULL) hub->drain_cb(hub);
  if (hub->close_cb != NULL) hub->close_cb(hub);
  fluxbp__inbox_destroy(&hub->inbox); /* not earlier: until here any thread may post, and is refused */
  free_hub(hub);
}

static void on_turn_closed(uv_handle_t *handle) {
  fluxbp_hub_t *hub = handle->type == UV_PREPARE ? FLUXBP__CONTAINER(handle, fluxbp_hub_t, turn.prepare)
                                                 : FLUXBP__CONTAINER(handle, fluxbp_hub_t, turn.idle);
  hub->open_handles--;
  finish_closing(hub);
}

static void on_timer_closed(uv_handle_t *handle) {
  fluxbp_hub_t *hub = FLUXBP__CONTAINER(handle, fluxbp_hub_t, sweep.timer);
  hub->open_handles--;
  finish_closing(hub);
}

static void on_async_closed(uv_handle_t *handle) {
  fluxbp_hub_t *hub = FLUXBP__CONTAINER(handle, fluxbp_hub_t, inbox.async);
  hub->open_handles--;
  finish_closing(hub);
}

void fluxbp_hub_close(fluxbp_hub_t *hub, fluxbp_hub_cb cb) {
  if (hub->is_closing) return;
  hub->is_closing = true;
  hub->close_cb = cb;
  fluxbp__hub_leave_bus(hub);
  for (size_t i = 0; i < hub->conn_count; i++) fluxbp_conn_reset(hub->conns[i]);
  fluxbp__turn_close(&hub->turn, on_turn_closed);
  uv_close((uv_handle_t *) &hub->sweep.timer, on_timer_closed);
  fluxbp__inbox_close(&hub->inbox, on_async_closed);
}

void fluxbp_hub_drain(fluxbp_hub_t *hub, uint32_t deadline_ms, fluxbp_hub_cb cb) {
  if (hub->is_closing) return;
  hub->is_draining = true;
  hub->drain_cb = cb;
  uint64_t deadline_clock_ms = fluxbp__hub_clock_ms(hub) + deadline_ms;
  for (size_t i = 0; i < hub->conn_count; i++) {
    fluxbp_conn_t *conn = hub->conns[i];
    bool ends_earlier = conn->state > FLUXBP__CONN_OPEN && conn->pressure != NULL && conn->pressure->deadline_ms != 0 &&
                        conn->pressure->deadline_ms <= deadline_clock_ms;
    if (!ends_earlier) fluxbp_conn_close(conn, deadline_ms);
  }
  fluxbp__turn_wake(&hub->turn);
}

int fluxbp__hub_add(fluxbp_hub_t *hub, fluxbp_conn_t *conn) {
  if (hub->conn_count == hub->conn_capacity) {
    uint32_t capacity = fluxbp__pool_next_capacity(hub->conn_capacity, CONNS_MIN);
    fluxbp_conn_t **conns = fluxbp__pool_grow_array(hub->pool, hub->conns, sizeof *conns, hub->conn_capacity, capacity);
    if (conns == NULL) return UV_ENOMEM;
    hub->conns = conns;
    hub->conn_capacity = capacity;
  }
  if (!hub->has_arrival) (void) atomic_fetch_add_explicit(&hub->load, 1, memory_order_relaxed);
  hub->has_arrival = false;
  conn->id = ++hub->last_conn_id;
  conn->index = (uint32_t) hub->conn_count;
  hub->conns[hub->conn_count++] = conn;
  return 0;
}

void fluxbp__hub_remove(fluxbp_hub_t *hub, fluxbp_conn_t *conn) {
  (void) atomic_fetch_sub_explicit(&hub->load, 1, memory_order_relaxed);
  fluxbp__books_add(&hub->gone, conn);
  fluxbp_conn_t *last = hub->conns[--hub->conn_count];
  hub->conns[conn->index] = last;
  last->index = conn->index;
  if (hub->is_closing)
    finish_closing(hub);
  else if (hub->is_draining && hub->conn_count == 0)
    fluxbp__turn_wake(&hub->turn);
}

uint64_t fluxbp__hub_clock_ms(const fluxbp_hub_t *hub) {
  return hub->options.clock_ms != NULL ? hub->options.clock_ms(hub->options.clock_arg) : uv_now(hub->loop);
}

uint64_t fluxbp__hub_observe(fluxbp_hub_t *hub) {
  uint64_t clock_ms = fluxbp__hub_clock_ms(hub);
  uint64_t elapsed_ms = clock_ms > hub->last_clock_ms ? clock_ms - hub->last_clock_ms : 0;
  uint64_t most_ms = 2 * (uint64_t) hub->options.sweep_ms;
  hub->observed_ms += elapsed_ms < most_ms ? elapsed_ms : most_ms;
  hub->last_clock_ms += elapsed_ms;
  return hub->observed_ms;
}

int fluxbp__hub_codec(fluxbp_hub_t *hub, const fluxbp_codec_t *codec) {
  for (size_t i = 0; i < hub->codec_count; i++)
    if (hub->codecs[i] == codec) return (int) i;
  int err = fluxbp__codec_check(codec);
  if (err) return err;
  if (hub->codec_count == FLUXBP_CODECS_MAX) return UV_E2BIG;
  hub->codecs[hub->codec_count] = codec;
  return (int) hub->codec_count++;
}

void fluxbp__hub_record(fluxbp_hub_t *hub, const fluxbp_eviction_t *record) {
  hub->evictions[hub->eviction_count++ % FLUXBP_EVICTIONS_KEPT] = *record;
  if (hub->options.on_eviction != NULL) hub->options.on_eviction(hub, record);
}

size_t fluxbp_hub_evictions_sized(const fluxbp_hub_t *hub, fluxbp_eviction_t *out, size_t capacity, size_t size) {
  size_t count = hub->eviction_count < FLUXBP_EVICTIONS_KEPT ? (size_t) hub->eviction_count : FLUXBP_EVICTIONS_KEPT;
  if (count > capacity) count = capacity;
  for (size_t i = 0; i < count; i++) {
    const fluxbp_eviction_t *record = &hub->evictions[(hub->eviction_count - 1 - i) % FLUXBP_EVICTIONS_KEPT];
    fluxbp__result_write((char *) out + i * size, size, record, sizeof *record);
  }
  return count;
}

void fluxbp_hub_history_sized(const fluxbp_hub_t *hub, fluxbp_history_range_t *out, size_t size) {
  fluxbp_history_range_t range = {
      .epoch = hub->epoch,
      .oldest_since_id = hub->history.lost_id,
      .newest_id = hub->last_id,
  };
  fluxbp__result_write(out, size, &range, sizeof range);
}

uint64_t fluxbp_hub_oldest_id(const fluxbp_hub_t *hub) {
  const fluxbp__history_t *history = &hub->history;
  return fluxbp__history_is_empty(history) ? 0 : fluxbp__history_at(history, history->first)->id;
}

void fluxbp_hub_flush(fluxbp_hub_t *hub) {
  fluxbp__turn_flush_all(&hub->turn);
}

int fluxbp_hub_is_writable(const fluxbp_hub_t *hub) {
  return hub->writability.holding == 0;
}

int fluxbp_hub_set_policy(fluxbp_hub_t *hub, const fluxbp_policy_t *policy) {
  int err = fluxbp__policy_prepare(policy, &hub->policy);
  if (err) return err;
  if (!fluxbp__list_is_empty(&hub->sweep.pressured)) fluxbp__sweep_soon(hub, &hub->policy);
  return 0;
}

size_t fluxbp_hub_connections(const fluxbp_hub_t *hub) {
  return hub->conn_count;
}

int fluxbp_hub_each_conn(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  int result = 0;
  for (size_t i = 0; i < hub->conn_count && result == 0; i++) result = visit(hub->conns[i], arg);
  return result;
}

static bool has_refused(const fluxbp_conn_t *conn) {
  return conn->ring.count > 0 && conn->state != FLUXBP__CONN_CLOSING;
}

int fluxbp_hub_each_refused(fluxbp_hub_t *hub, int (*visit)(fluxbp_conn_t *conn, void *arg), void *arg) {
  int result = 0;
  for (fluxbp_conn_t *conn = fluxbp__sweep_next(hub, NULL), *next; conn != NULL && result == 0; conn = next) {
    next = fluxbp__sweep_next(hub, conn); /* beforehand: `visit` may end what makes it one of these */
    if (has_refused(conn)) result = visit(conn, arg);
  }
  return result;
}

fluxbp_pool_t *fluxbp_hub_pool(const fluxbp_hub_t *hub) {
  return hub->pool;
}

uv_loop_t *fluxbp_hub_loop(const fluxbp_hub_t *hub) {
  return hub->loop;
}

void *fluxbp_hub_user(const fluxbp_hub_t *hub) {
  return hub->options.user;
}

void fluxbp_hub_set_user(fluxbp_hub_t *hub, void *user) {
  hub->options.user = user;
}
