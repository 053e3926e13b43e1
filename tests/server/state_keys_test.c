/* SPDX-License-Identifier: MIT */
/*
 * Which keys the state topics have: a key too many is refused before it is published, whatever came, went and failed
 * before; and the numbers that stand for keys are of this process alone.
 */
#include "server/secret_hash.h"
#include "server/state_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct state_change change(size_t topic, const char *key, bool removes) {
  static struct secret_hash hash;
  return (struct state_change){.topic = topic, .key = key, .number = secret_hash_of(&hash, key), .removes = removes};
}

static int put(struct state_keys *keys, struct state_change *change, bool is_published, uint64_t now_ms) {
  int err = state_keys_begin(keys, change);
  if (err == 0) state_keys_end(keys, change, is_published, now_ms);
  return err;
}

static int set(struct state_keys *keys, size_t topic, const char *key, uint64_t now_ms) {
  struct state_change set = change(topic, key, false);
  return put(keys, &set, true, now_ms);
}

static void unset(struct state_keys *keys, size_t topic, const char *key) {
  struct state_change unset = change(topic, key, true);
  assert_int_equal(put(keys, &unset, true, 1), 0);
}

static void one_key_too_many_is_refused(void **state) {
  (void) state;
  struct state_keys *keys = state_keys_create(2, 2);
  assert_int_equal(set(keys, 0, "a", 1), 0);
  assert_int_equal(set(keys, 0, "b", 1), 0);
  assert_int_equal(set(keys, 0, "c", 1), UV_ENOSPC);
  assert_int_equal(set(keys, 0, "a", 1), 0);
  assert_int_equal(set(keys, 1, "c", 1), 0); /* another topic */
  unset(keys, 0, "c");                       /* isn't there */
  assert_int_equal(set(keys, 0, "c", 1), UV_ENOSPC);
  unset(keys, 0, "a");
  assert_int_equal(state_keys_count(keys, 0), 1);
  assert_int_equal(set(keys, 0, "c", 1), 0);
  assert_int_equal(state_keys_count(keys, 0), 2);
  assert_int_equal(state_keys_count(keys, 1), 1);
  state_keys_free(keys);
}

static void what_was_not_published_has_changed_nothing(void **state) {
  (void) state;
  struct state_keys *keys = state_keys_create(1, 1);
  struct state_change a = change(0, "a", false), gone = change(0, "a", true);
  assert_int_equal(put(keys, &a, false, 1), 0);
  assert_int_equal(state_keys_count(keys, 0), 0);
  assert_int_equal(set(keys, 0, "b", 1), 0);
  unset(keys, 0, "b");
  assert_int_equal(put(keys, &a, true, 1), 0);
  assert_int_equal(put(keys, &a, false, 1), 0);
  assert_int_equal(put(keys, &gone, false, 1), 0);
  assert_int_equal(state_keys_count(keys, 0), 1);
  assert_int_equal(set(keys, 0, "b", 1), UV_ENOSPC);
  state_keys_free(keys);
}

/* What is on its way through the backbone has a place, until it comes back or ten seconds have passed. */
static void promises_keep_a_place(void **state) {
  (void) state;
  struct state_keys *keys = state_keys_create(1, 2);
  struct state_change a = change(0, "a", false), b = change(0, "b", false), c = change(0, "c", false);
  assert_int_equal(state_keys_promise(keys, &a, 1000), 0);
  assert_int_equal(state_keys_promise(keys, &a, 1001), 0);
  assert_int_equal(state_keys_promise(keys, &b, 2000), 0);
  assert_int_equal(state_keys_promise(keys, &c, 3000), UV_ENOSPC);
  assert_int_equal(state_keys_count(keys, 0), 0);
  assert_int_equal(set(keys, 0, "a", 3000), 0);
  assert_int_equal(put(keys, &b, false, 3000), 0); /* a promise that the bus has refused stays one */
  assert_int_equal(state_keys_promise(keys, &c, 11999), UV_ENOSPC);
  assert_int_equal(state_keys_promise(keys, &c, 12000), 0);
  assert_int_equal(set(keys, 0, "b", 12000), 0); /* of another gateway: values alone count */
  assert_int_equal(set(keys, 0, "c", 12000), UV_ENOSPC);
  assert_int_equal(state_keys_count(keys, 0), 2);
  state_keys_free(keys);
}

/* Threads look at the clock before they have the lock, so they may come in another order. */
static void a_promise_of_a_moment_later_is_kept(void **state) {
  (void) state;
  struct state_keys *keys = state_keys_create(1, 1);
  struct state_change a = change(0, "a", false), b = change(0, "b", false);
  assert_int_equal(state_keys_promise(keys, &a, 1001), 0);
  assert_int_equal(state_keys_promise(keys, &b, 1000), UV_ENOSPC);
  assert_int_equal(set(keys, 0, "a", 1002), 0);
  state_keys_free(keys);
}

/* The first value was lost on its way: the second has its ten seconds, too. */
static void a_promise_is_given_again(void **state) {
  (void) state;
  struct state_keys *keys = state_keys_create(1, 2);
  struct state_change a = change(0, "a", false), b = change(0, "b", false), c = change(0, "c", false);
  assert_int_equal(state_keys_promise(keys, &a, 1000), 0);
  assert_int_equal(state_keys_promise(keys, &b, 2000), 0);
  assert_int_equal(state_keys_promise(keys, &a, 10999), 0);
  assert_int_equal(state_keys_promise(keys, &c, 11000), UV_ENOSPC);
  assert_int_equal(state_keys_promise(keys, &c, 12000), 0); /* b's place */
  assert_int_equal(set(keys, 0, "a", 20998), 0);
  assert_int_equal(set(keys, 0, "c", 20998), 0);
  assert_int_equal(set(keys, 0, "b", 20998), UV_ENOSPC);
  state_keys_free(keys);
}

static void the_oldest_values_expire_first(void **state) {
  (void) state;
  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  struct state_change expired;
  struct state_keys *keys = state_keys_create(2, 100);
  assert_int_equal(set(keys, 1, "a", 10), 0);
  assert_int_equal(set(keys, 1, "b", 20), 0);
  assert_int_equal(set(keys, 1, "a", 30), 0);
  assert_false(state_keys_begin_expiry(keys, 19, &expired, key));
  assert_true(state_keys_begin_expiry(keys, 20, &expired, key));
  assert_string_equal(key, "b");
  assert_int_equal(expired.topic, 1);
  assert_int_equal(expired.number, change(1, "b", true).number);
  assert_true(expired.removes);
  state_keys_end(keys, &expired, false, 0); /* the bus was full */
  assert_true(state_keys_begin_expiry(keys, 20, &expired, key));
  state_keys_end(keys, &expired, true, 0);
  assert_false(state_keys_begin_expiry(keys, 29, &expired, key));
  assert_true(state_keys_begin_expiry(keys, 30, &expired, key));
  assert_string_equal(key, "a");
  state_keys_end(keys, &expired, true, 0);
  assert_int_equal(state_keys_count(keys, 1), 0);
  state_keys_free(keys);
}

static void many_keys_come_and_go(void **state) {
  enum { KEYS = 5000, MOST = 3000, STEPS = 100000 };
  (void) state;
  static bool is_there[KEYS];
  uint32_t seed = 1, count = 0;
  struct state_keys *keys = state_keys_create(1, MOST);
  for (int i = 0; i < STEPS; i++) {
    char key[16];
    seed = seed * 1664525u + 1013904223u;
    uint32_t number = (seed >> 8) % KEYS;
    (void) snprintf(key, sizeof key, "key %u", (unsigned) number);
    if ((seed >> 8) % 3 == 0) {
      unset(keys, 0, key);
      count -= is_there[number];
      is_there[number] = false;
      continue;
    }
    bool fits = is_there[number] || count < MOST;
    assert_int_equal(set(keys, 0, key, 1), fits ? 0 : UV_ENOSPC);
    count += fits && !is_there[number];
    is_there[number] |= fits;
    assert_int_equal(state_keys_count(keys, 0), count);
  }
  state_keys_free(keys);
}

static void the_numbers_of_texts_are_of_one_secret(void **state) {
  (void) state;
  struct secret_hash one, other;
  assert_int_equal(secret_hash_init(&one), 0);
  assert_int_equal(secret_hash_init(&other), 0);
  assert_int_equal(secret_hash_of(&one, "gold"), secret_hash_of(&one, "gold"));
  assert_true(secret_hash_of(&one, "gold") != secret_hash_of(&one, "silver"));
  assert_true(secret_hash_of(&one, "gold") != secret_hash_of(&other, "gold"));
  /* the first test case of RFC 4231 has a shorter key, which HMAC fills up with zeros */
  struct secret_hash known = {{0}};
  memset(known.secret, 0x0b, 20);
  assert_true(secret_hash_of(&known, "Hi There") == 0xb0344c61d8db3853u);
}

static void a_key_counts_for_its_payer_until_it_goes(void **state) {
  static struct limits limits;
  fluxbp_server_options_t options;
  uint32_t over;
  (void) state;
  fluxbp_server_options_init(&options);
  options.max_keys_per_address = 2;
  limits_init(&limits, &options);
  struct accounts *accounts = accounts_create(&limits);
  struct account *account = accounts_join(accounts, PAYER_ADDRESS, 1, 1, &over);
  struct state_keys *keys = state_keys_create(1, 100);
  struct state_change a = change(0, "a", false), b = change(0, "b", false), c = change(0, "c", false);
  a.payers.list[PAYER_ADDRESS] = b.payers.list[PAYER_ADDRESS] = c.payers.list[PAYER_ADDRESS] = account;
  assert_int_equal(put(keys, &a, true, 1), 0);
  assert_int_equal(put(keys, &a, true, 2), 0);          /* no other key */
  assert_int_equal(put(keys, &b, false, 2), 0);         /* not published: it never was there */
  assert_int_equal(state_keys_promise(keys, &b, 3), 0); /* a promise counts */
  assert_int_equal(put(keys, &c, true, 3), UV_ENFILE);
  assert_ptr_equal(c.refusal, limits.quotas[QUOTA_KEYS][PAYER_ADDRESS].text);
  assert_int_equal(state_keys_promise(keys, &c, 3), UV_ENFILE);
  assert_int_equal(set(keys, 0, "c", 3), 0); /* of a publisher without an account */
  unset(keys, 0, "a");                       /* by whomever */
  unset(keys, 0, "c");
  assert_int_equal(put(keys, &c, true, 4), 0);
  assert_int_equal(put(keys, &a, true, 4), UV_ENFILE);
  account_remove(account, QUOTA_CONNECTIONS, 1);
  state_keys_free(keys);
  assert_int_equal(accounts_count(accounts), 0);
  accounts_free(accounts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_key_too_many_is_refused),
      cmocka_unit_test(what_was_not_published_has_changed_nothing),
      cmocka_unit_test(promises_keep_a_place),
      cmocka_unit_test(a_promise_of_a_moment_later_is_kept),
      cmocka_unit_test(a_promise_is_given_again),
      cmocka_unit_test(the_oldest_values_expire_first),
      cmocka_unit_test(many_keys_come_and_go),
      cmocka_unit_test(the_numbers_of_texts_are_of_one_secret),
      cmocka_unit_test(a_key_counts_for_its_payer_until_it_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
