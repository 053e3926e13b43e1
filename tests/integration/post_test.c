/* SPDX-License-Identifier: MIT */
/*
 * fluxbp_hub_post while the hub closes: until the close callback has returned, a task is either run or refused with
 * UV_ECANCELED, on each thread. How many threads post to a hub that stays open is in workers_test.c.
 */
#include "fluxbp/fluxbp.h"

#include "support/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WATCH_SECONDS = 60 };

/* The user pointer of the hub. */
typedef struct scene {
  uv_loop_t loop;
  uv_async_t alive; /* a hub without connections doesn't keep the loop from ending */
  fluxbp_hub_t *hub;
  int from_task; /* results of fluxbp_hub_post, by the place of the call */
  int from_drain;
  int from_close;
  int closes;

  uv_thread_t poster;
  uint64_t posted;
  uint64_t run;
  atomic_bool is_last; /* the poster posts once more, and ends */
  int last_result;
} scene_t;

static void scene_open(scene_t *scene) {
  fluxbp_hub_options_t options;
  fluxbp_hub_options_init(&options);
  options.user = scene;
  scene->from_task = scene->from_drain = scene->from_close = scene->last_result = 1;
  assert_int_equal(uv_loop_init(&scene->loop), 0);
  assert_int_equal(uv_async_init(&scene->loop, &scene->alive, NULL), 0);
  assert_int_equal(fluxbp_hub_create(&scene->loop, &options, &scene->hub), 0);
}

static void scene_end(scene_t *scene) {
  assert_int_equal(uv_run(&scene->loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(scene->closes, 1);
  assert_int_equal(uv_loop_close(&scene->loop), 0);
}

static void scene_closes(scene_t *scene) {
  scene->closes++;
  uv_close((uv_handle_t *) &scene->alive, NULL);
}

static void never_run(fluxbp_hub_t *hub, void *arg) {
  (void) hub;
  (void) arg;
  fail_msg("a task was run that had been refused");
}

static void post_in_task(fluxbp_hub_t *hub, void *arg) {
  scene_t *scene = arg;
  scene->from_task = fluxbp_hub_post(hub, never_run, NULL);
}

static void post_in_drain(fluxbp_hub_t *hub) {
  scene_t *scene = fluxbp_hub_user(hub);
  scene->from_drain = fluxbp_hub_post(hub, never_run, NULL);
}

static void post_in_close(fluxbp_hub_t *hub) {
  scene_t *scene = fluxbp_hub_user(hub);
  scene->from_close = fluxbp_hub_post(hub, never_run, NULL);
  scene_closes(scene);
}

static void posting_in_the_last_callbacks_is_refused(void **state) {
  scene_t scene = {0};
  (void) state;
  scene_open(&scene);
  assert_int_equal(fluxbp_hub_post(scene.hub, post_in_task, &scene), 0);
  fluxbp_hub_drain(scene.hub, 0, post_in_drain);
  fluxbp_hub_close(scene.hub, post_in_close);
  scene_end(&scene);
  assert_int_equal(scene.from_task, UV_ECANCELED);
  assert_int_equal(scene.from_drain, UV_ECANCELED);
  assert_int_equal(scene.from_close, UV_ECANCELED);
}

static void count_run(fluxbp_hub_t *hub, void *arg) {
  scene_t *scene = arg;
  (void) hub;
  scene->run++;
}

/* On a thread of its own. */
static void post_to_the_end(void *arg) {
  scene_t *scene = arg;
  bool is_last = false;
  while (!is_last) {
    is_last = atomic_load(&scene->is_last);
    scene->last_result = fluxbp_hub_post(scene->hub, count_run, scene);
    scene->posted += scene->last_result == 0;
    THREADS_CHECK(scene->last_result == 0 || scene->last_result == UV_ECANCELED);
  }
}

static void end_poster(fluxbp_hub_t *hub) {
  scene_t *scene = fluxbp_hub_user(hub);
  atomic_store(&scene->is_last, true);
  threads_join(&scene->poster);
  scene_closes(scene);
}

static void close_hub(fluxbp_hub_t *hub, void *arg) {
  (void) arg;
  fluxbp_hub_close(hub, end_poster);
}

/* The documented end: the close callback ends the threads that post. */
static void other_threads_may_post_until_the_close_callback_returns(void **state) {
  (void) state;
  threads_watch(WATCH_SECONDS);
  for (int round = 0; round < 20; round++) {
    scene_t scene = {0};
    scene_open(&scene);
    threads_start(&scene.poster, post_to_the_end, &scene);
    assert_int_equal(fluxbp_hub_post(scene.hub, close_hub, NULL), 0);
    scene_end(&scene);
    assert_int_equal(scene.last_result, UV_ECANCELED);
    assert_int_equal(scene.run, scene.posted);
    threads_progress();
  }
  threads_unwatch();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(posting_in_the_last_callbacks_is_refused),
      cmocka_unit_test(other_threads_may_post_until_the_close_callback_returns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
