/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is, on a loop without sockets.
 */
#include "server/session/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKED_AT_ONCE = 16, CROWD = 100 };

struct one {
  struct room_waiter waiter;
  struct room *room;
  char name;
  unsigned left;     /* to be done, */
  unsigned share;    /* so much in a turn; 0: it is blocked */
  unsigned turns;    /* that it had */
  struct one *takes; /* one that leaves the queue in its turn */
};

static uv_loop_t loop;
static struct room room;
static char trace[256];

static bool go_on(struct room_waiter *waiter) {
  struct one *one = (struct one *) waiter;
  size_t length = strlen(trace);
  if (length < sizeof trace - 1) trace[length] = one->name;
  one->turns++;
  if (one->takes != NULL) room_leave(&one->takes->waiter);
  unsigned done = 0;
  for (; done < one->share && one->left > 0; done++) one->left--;
  if (one->left > 0) room_wait(one->room, waiter);
  return done > 0;
}

static struct one one_of(char name, unsigned left, unsigned share) {
  return (struct one){.waiter = {.go_on = go_on}, .room = &room, .name = name, .left = left, .share = share};
}

static int open_room(void **state) {
  (void) state;
  memset(trace, 0, sizeof trace);
  if (uv_loop_init(&loop) != 0) return -1;
  room_init(&room, &loop);
  return 0;
}

static int close_room(void **state) {
  (void) state;
  room_stop(&room);
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

static void each_has_its_share_in_turn(void **state) {
  struct one a = one_of('a', 3, 1), b = one_of('b', 1, 1), c = one_of('c', 2, 1);
  (void) state;
  room_wait(&room, &a.waiter);
  room_wait(&room, &b.waiter);
  room_wait(&room, &c.waiter);
  assert_string_equal(trace, ""); /* not in a call of ours */
  uv_run(&loop, UV_RUN_DEFAULT);  /* ends when nobody waits */
  assert_string_equal(trace, "abcaca");
}

static void blocked_ones_are_tried_in_turn_and_do_not_keep_others_away(void **state) {
  struct one crowd[CROWD];
  struct one last = one_of('z', 1, 1);
  (void) state;
  for (int i = 0; i < CROWD; i++) {
    crowd[i] = one_of('x', 1, 0);
    room_wait(&room, &crowd[i].waiter);
  }
  room_wait(&room, &last.waiter);
  uv_run(&loop, UV_RUN_NOWAIT);
  assert_int_equal(strlen(trace), BLOCKED_AT_ONCE);
  while (last.left > 0) uv_run(&loop, UV_RUN_ONCE);
  for (int i = 0; i < CROWD; i++) assert_int_equal(crowd[i].turns, 1);

  for (int i = 0; i < CROWD; i++) crowd[i].share = 1; /* there is room now */
  uv_run(&loop, UV_RUN_DEFAULT);
  for (int i = 0; i < CROWD; i++) assert_int_equal(crowd[i].turns, 2);
}

static void whoever_asks_twice_has_one_turn(void **state) {
  struct one a = one_of('a', 2, 1), b = one_of('b', 1, 1);
  (void) state;
  room_wait(&room, &a.waiter);
  room_wait(&room, &a.waiter);
  room_wait(&room, &b.waiter);
  room_wait(&room, &a.waiter);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_string_equal(trace, "aba");
}

static void whoever_leaves_has_no_turn(void **state) {
  struct one a = one_of('a', 1, 1), b = one_of('b', 1, 1), c = one_of('c', 1, 1);
  (void) state;
  room_wait(&room, &a.waiter);
  room_wait(&room, &b.waiter);
  room_wait(&room, &c.waiter);
  a.takes = &c;
  room_leave(&b.waiter);
  room_leave(&b.waiter);
  uv_run(&loop, UV_RUN_DEFAULT);
  assert_string_equal(trace, "a");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_has_its_share_in_turn, open_room, close_room),
      cmocka_unit_test_setup_teardown(blocked_ones_are_tried_in_turn_and_do_not_keep_others_away, open_room,
                                      close_room),
      cmocka_unit_test_setup_teardown(whoever_asks_twice_has_one_turn, open_room, close_room),
      cmocka_unit_test_setup_teardown(whoever_leaves_has_no_turn, open_room, close_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
