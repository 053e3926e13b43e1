/* SPDX-License-Identifier: MIT */
/*
 * topic_list: finds what is in it, whatever was added and removed before, from a few topics to thousands and back.
 */
#include "server/session/topic_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TOPICS = 4000, TOPIC_BYTES = 16 };

/* The list looks at addresses alone. */
static fluxbp_topic_t *topic_of(size_t number) {
  static char memory[TOPICS * TOPIC_BYTES];
  return (fluxbp_topic_t *) (void *) &memory[number * TOPIC_BYTES];
}

static void assert_is_exact(struct topic_list *list, const bool *is_there) {
  uint32_t count = 0;
  for (size_t i = 0; i < TOPICS; i++) {
    fluxbp_topic_t **place = topic_list_find(list, topic_of(i));
    count += is_there[i];
    assert_int_equal(place != NULL, is_there[i]);
    if (place != NULL) assert_ptr_equal(*place, topic_of(i));
  }
  assert_int_equal(list->count, count);
}

static void topic_list_finds_what_is_in_it(void **state) {
  static bool is_there[TOPICS];
  struct topic_list *list = NULL;
  uint32_t random = 3;
  (void) state;
  for (int step = 0; step < 80000; step++) {
    random = random * 1664525u + 1013904223u;
    size_t number = (random >> 8) % TOPICS;
    uint32_t adds_of_ten = step / 20000 % 2 == 0 ? 9 : 1; /* it grows, shrinks, and again */
    bool adds = (random >> 4) % 10 < adds_of_ten;
    if (adds && !is_there[number])
      assert_int_equal(topic_list_add(&list, topic_of(number)), 0);
    else if (!adds && is_there[number])
      topic_list_remove(list, topic_list_find(list, topic_of(number)));
    else
      continue;
    is_there[number] = adds;
    if (step % 2000 == 0 || list->count < 40) assert_is_exact(list, is_there);
  }
  assert_is_exact(list, is_there);
  free(list);
}

static void topic_list_keeps_the_order_in_which_topics_came(void **state) {
  struct topic_list *list = NULL;
  (void) state;
  for (size_t i = 0; i < 100; i++) assert_int_equal(topic_list_add(&list, topic_of(i)), 0);
  for (size_t i = 0; i < 100; i++) assert_ptr_equal(list->topics[i], topic_of(i));
  topic_list_remove(list, topic_list_find(list, topic_of(10)));
  assert_ptr_equal(list->topics[10], topic_of(99)); /* the last takes its place */
  for (size_t i = 11; i < 99; i++) assert_ptr_equal(list->topics[i], topic_of(i));
  free(list);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(topic_list_finds_what_is_in_it),
      cmocka_unit_test(topic_list_keeps_the_order_in_which_topics_came),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
