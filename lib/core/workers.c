/* SPDX-License-Identifier: MIT */
/*
 * workers: the life of threads that have a loop and a hub each. A thread's loop is kept alive by a handle of ours until
 * the hub is closed; then nothing is left on it, and the thread ends.
 */
#include "fluxbp/workers.h"

#include "hub.h"
#include "options.h"
#include "pool.h"
#include "probe.h"

#include <assert.h>

typedef struct worker {
  fluxbp_workers_t *workers;
  size_t index;
  uv_thread_t thread;
  uv_loop_t loop;
  uv_async_t keepalive;
  fluxbp_hub_t *hub;
  int err; /* why it didn't start */
} worker_t;

struct fluxbp_workers {
  fluxbp_workers_options_t options;
  fluxbp_hub_options_t hub_options;
  fluxbp_pool_t *pool;
  bool owns_pool;
  uint32_t drain_ms;
  uv_mutex_t lock;    /* over `started` */
  uv_cond_t has_more; /* it has grown */
  size_t started;     /* threads that are running, or have failed to */
  size_t count;
  worker_t list[];
};

void fluxbp_workers_options_init_sized(fluxbp_workers_options_t *options, size_t size) {
  fluxbp_workers_options_t defaults = {.threads = 0};
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

static void on_keepalive(uv_async_t *async) {
  (void) async;
}

static int set_up(worker_t *worker) {
  const fluxbp_workers_options_t *options = &worker->workers->options;
  int err = uv_async_init(&worker->loop, &worker->keepalive, on_keepalive);
  if (err) return err;
  err = fluxbp_hub_create(&worker->loop, &worker->workers->hub_options, &worker->hub);
  if (!err && options->on_start != NULL) err = options->on_start(worker->hub, worker->index, options->arg);
  if (err) {
    if (worker->hub != NULL) fluxbp_hub_close(worker->hub, NULL);
    worker->hub = NULL;
    uv_close((uv_handle_t *) &worker->keepalive, NULL);
  }
  return err;
}

static void tell_started(worker_t *worker, int err) {
  fluxbp_workers_t *workers = worker->workers;
  uv_mutex_lock(&workers->lock);
  worker->err = err;
  workers->started++;
  uv_cond_signal(&workers->has_more);
  uv_mutex_unlock(&workers->lock);
}

static void run_worker(void *arg) {
  worker_t *worker = arg;
  int err = uv_loop_init(&worker->loop);
  if (!err) {
    err = set_up(worker);
    tell_started(worker, err);
    (void) uv_run(&worker->loop, UV_RUN_DEFAULT);
    err = uv_loop_close(&worker->loop);
    assert(err == 0 && "on_stop left a handle open");
  } else {
    tell_started(worker, err);
  }
}

/* One after the other, so that the first failure is the only one. */
static int start_threads(fluxbp_workers_t *workers) {
  int err = 0;
  size_t wanted = workers->count;
  workers->count = 0;
  while (workers->count < wanted && !err) {
    worker_t *worker = &workers->list[workers->count];
    worker->workers = workers;
    worker->index = workers->count;
    err = uv_thread_create(&worker->thread, run_worker, worker);
    if (err) break;
    workers->count++;
    uv_mutex_lock(&workers->lock);
    while (workers->started < workers->count) uv_cond_wait(&workers->has_more, &workers->lock);
    err = worker->err;
    uv_mutex_unlock(&workers->lock);
  }
  return err;
}

static void divide_kernel_bytes(fluxbp_hub_options_t *options, size_t count) {
  if (options->max_kernel_bytes != FLUXBP_KERNEL_BYTES_AUTO) return;
  uint64_t share = fluxbp__probe_kernel_share();
  options->max_kernel_bytes = share == UINT64_MAX ? 0 : share / count; /* 0: nobody knows, no limit */
}

static uint32_t threads_by_default(void) {
  unsigned processors = uv_available_parallelism();
  return processors < FLUXBP_WORKERS_MAX ? processors : FLUXBP_WORKERS_MAX;
}

static int take_options(fluxbp_workers_options_t *options, fluxbp_hub_options_t *hub_options,
                        const fluxbp_workers_options_t *given) {
  fluxbp_workers_options_init(options);
  int err = fluxbp__options_copy(options, sizeof *options, given);
  if (err) return err;
  if (options->threads == 0) options->threads = threads_by_default();
  if (options->threads > FLUXBP_WORKERS_MAX) return UV_EINVAL;
  fluxbp_hub_options_init(hub_options);
  err = fluxbp__options_copy(hub_options, sizeof *hub_options, options->hub);
  hub_options->block_sigpipe = 1;
  divide_kernel_bytes(hub_options, options->threads);
  return err;
}

static void free_workers(fluxbp_workers_t *workers, size_t size) {
  fluxbp_pool_t *pool = workers->pool;
  bool owns_pool = workers->owns_pool;
  uv_cond_destroy(&workers->has_more);
  uv_mutex_destroy(&workers->lock);
  fluxbp__pool_free_object(pool, workers, size);
  if (owns_pool) fluxbp__pool_orphan(pool); /* messages of it may still be held */
}

static size_t size_of(const fluxbp_workers_t *workers) {
  return sizeof *workers + workers->options.threads * sizeof workers->list[0];
}

static int make(const fluxbp_workers_options_t *options, const fluxbp_hub_options_t *hub_options, fluxbp_pool_t *pool,
                fluxbp_workers_t **out) {
  fluxbp_workers_t *workers =
      fluxbp__pool_alloc_object(pool, sizeof *workers + options->threads * sizeof workers->list[0]);
  if (workers == NULL) return UV_ENOMEM;
  workers->options = *options;
  workers->hub_options = *hub_options;
  workers->hub_options.pool = workers->pool = pool;
  workers->count = options->threads;
  int err = uv_mutex_init(&workers->lock);
  if (!err) {
    err = uv_cond_init(&workers->has_more);
    if (err) uv_mutex_destroy(&workers->lock);
  }
  if (err)
    fluxbp__pool_free_object(pool, workers, size_of(workers));
  else
    *out = workers;
  return err;
}

int fluxbp_workers_start(const fluxbp_workers_options_t *given, fluxbp_workers_t **out) {
  fluxbp_workers_options_t options;
  fluxbp_hub_options_t hub_options;
  int err = take_options(&options, &hub_options, given);
  if (err) return err;
  fluxbp_pool_t *pool = hub_options.pool;
  if (pool == NULL) err = fluxbp_pool_create(NULL, &pool);
  if (err) return err;

  fluxbp_workers_t *workers;
  err = make(&options, &hub_options, pool, &workers);
  if (err) {
    if (hub_options.pool == NULL) (void) fluxbp_pool_destroy(pool);
    return err;
  }
  workers->owns_pool = hub_options.pool == NULL;
  err = start_threads(workers);
  if (err)
    fluxbp_workers_stop(workers, 0);
  else
    *out = workers;
  return err;
}

size_t fluxbp_workers_count(const fluxbp_workers_t *workers) {
  return workers->count;
}

fluxbp_hub_t *fluxbp_workers_hub(const fluxbp_workers_t *workers, size_t index) {
  return index < workers->count ? workers->list[index].hub : NULL;
}

typedef struct arrival {
  fluxbp_task_cb task;
  void *arg;
} arrival_t;

/* The connection that the task makes takes over its place in the load; if it makes none, that is free again. */
static void arrive(fluxbp_hub_t *hub, void *arg) {
  arrival_t *arrival = arg;
  hub->engine.has_arrival = true;
  arrival->task(hub, arrival->arg);
  if (hub->engine.has_arrival) (void) atomic_fetch_sub_explicit(&hub->engine.load, 1, memory_order_relaxed);
  hub->engine.has_arrival = false;
  fluxbp__pool_free_object(hub->engine.pool, arrival, sizeof *arrival);
}

int fluxbp_workers_hand_over(fluxbp_workers_t *workers, fluxbp_task_cb task, void *arg) {
  fluxbp_hub_t *hub = workers->list[0].hub;
  for (size_t i = 1; i < workers->count; i++) {
    fluxbp_hub_t *other = workers->list[i].hub;
    if (fluxbp__hub_load(other) < fluxbp__hub_load(hub)) hub = other;
  }
  arrival_t *arrival = fluxbp__pool_alloc_object(workers->pool, sizeof *arrival);
  if (arrival == NULL) return UV_ENOMEM;
  *arrival = (arrival_t){.task = task, .arg = arg};
  (void) atomic_fetch_add_explicit(&hub->engine.load, 1, memory_order_relaxed);
  int err = fluxbp_hub_post(hub, arrive, arrival);
  if (err) {
    (void) atomic_fetch_sub_explicit(&hub->engine.load, 1, memory_order_relaxed);
    fluxbp__pool_free_object(workers->pool, arrival, sizeof *arrival);
  }
  return err;
}

static void close_keepalive(fluxbp_hub_t *hub) {
  worker_t *worker = FLUXBP__CONTAINER(fluxbp_hub_loop(hub), worker_t, loop);
  uv_close((uv_handle_t *) &worker->keepalive, NULL);
}

static void close_hub(fluxbp_hub_t *hub) {
  fluxbp_hub_close(hub, close_keepalive);
}

static void begin_to_stop(fluxbp_hub_t *hub, void *arg) {
  worker_t *worker = arg;
  const fluxbp_workers_options_t *options = &worker->workers->options;
  if (options->on_stop != NULL) options->on_stop(hub, worker->index, options->arg);
  fluxbp_hub_drain(hub, worker->workers->drain_ms, close_hub);
}

void fluxbp_workers_stop(fluxbp_workers_t *workers, uint32_t drain_ms) {
  if (workers == NULL) return;
  workers->drain_ms = drain_ms;
  for (size_t i = 0; i < workers->count; i++) {
    worker_t *worker = &workers->list[i];
    if (worker->hub != NULL)
      while (fluxbp_hub_post(worker->hub, begin_to_stop, worker) == UV_ENOMEM) uv_sleep(1);
  }
  for (size_t i = 0; i < workers->count; i++) (void) uv_thread_join(&workers->list[i].thread);
  free_workers(workers, size_of(workers));
}
