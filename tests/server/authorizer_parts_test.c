/* SPDX-License-Identifier: MIT */
/*
 * authorizer_parts: what an answer of a backend means and how long it holds, answers that are kept, when a backend that
 * has failed is asked again, and when two questions are the same. No socket and no clock.
 */
#include "server/permissions/authorizer_answer.h"
#include "server/permissions/authorizer_cache.h"
#include "server/permissions/authorizer_circuit.h"
#include "server/permissions/authorizer_question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ASKED_S 1000

static struct authorizer_answer answer;
static const char *problem;

static struct authorizer_reply reply_of(long status, const char *cache_control, const char *body) {
  return (struct authorizer_reply){
      .status = status, .body = body, .length = strlen(body), .cache_control = cache_control};
}

static enum authorizer_outcome read_answer(long status, const char *body) {
  struct authorizer_reply reply = reply_of(status, "", body);
  grant_unref(answer.grant);
  authorizer_answer_read(&reply, ASKED_S, &answer, &problem);
  return answer.outcome;
}

static int teardown(void **state) {
  (void) state;
  grant_unref(answer.grant);
  answer.grant = NULL;
  return 0;
}

/* Answers. */

static void an_object_gives_rights(void **state) {
  (void) state;
  assert_int_equal(read_answer(200, "{\"subscribe\":[\"user.${sub}.>\"],\"sub\":\"alice\",\"name\":\"Alice\","
                                    "\"jti\":\"a-1\",\"expires_in\":60,\"more\":{}}"),
                   AUTHORIZER_GIVES);
  const struct grant *grant = answer.grant;
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.alice.mail"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.bob.mail"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_ADMIN, NULL));
  assert_string_equal(grant->subject, "alice");
  assert_string_equal(grant->id, "a-1");
  assert_string_equal(grant_holder(grant), "Alice");
  assert_int_equal(grant->issued_s, ASKED_S);
  assert_int_equal(grant->expires_s, ASKED_S + 60);
  assert_int_equal(read_answer(200, "{\"publish\":[\">\"]}"), AUTHORIZER_GIVES);
  assert_int_equal(answer.grant->expires_s, 0);
}

static void a_status_or_an_object_without_rights_refuses(void **state) {
  (void) state;
  assert_int_equal(read_answer(401, ""), AUTHORIZER_REFUSES);
  assert_int_equal(read_answer(403, "{\"publish\":[\">\"]}"), AUTHORIZER_REFUSES);
  assert_null(answer.grant);
  assert_int_equal(read_answer(200, "{\"sub\":\"alice\"}"), AUTHORIZER_REFUSES);
  assert_int_equal(read_answer(200, "{\"admin\":false,\"publish\":[]}"), AUTHORIZER_REFUSES);
  assert_null(answer.grant);
}

static void anything_else_says_nothing(void **state) {
  static const char *const bodies[] = {"",
                                       "true",
                                       "[{}]",
                                       "{\"admin\":1}",
                                       "{\"sub\":\"a\\u0001\",\"admin\":true}",
                                       "{\"admin\":true,\"expires_in\":1.5}",
                                       "{\"admin\":true,\"expires_in\":-1}",
                                       "{\"admin\":true} {}",
                                       "{\"subscribe\":[\"${sub}\"]}"};
  static const long statuses[] = {201, 204, 301, 400, 404, 500, 503};
  (void) state;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    assert_int_equal(read_answer(200, bodies[i]), AUTHORIZER_AWAY);
    assert_null(answer.grant);
    assert_non_null(problem);
  }
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
    assert_int_equal(read_answer(statuses[i], "{\"admin\":true}"), AUTHORIZER_AWAY);
}

static void what_one_client_causes_is_no_outage(void **state) {
  static const long outages[] = {0, 429, 502, 503, 504}, answers[] = {200, 302, 400, 401, 403, 404, 431, 500};
  (void) state;
  for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++) {
    struct authorizer_reply reply = reply_of(outages[i], "", "");
    assert_true(authorizer_answer_is_outage(&reply));
  }
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    struct authorizer_reply reply = reply_of(answers[i], "", "");
    assert_false(authorizer_answer_is_outage(&reply));
  }
}

static uint64_t fresh_s(const char *cache_control) {
  struct authorizer_reply reply = reply_of(200, cache_control, "");
  return authorizer_answer_fresh_s(&reply, &answer, ASKED_S + 1);
}

static void an_answer_says_how_long_it_holds(void **state) {
  (void) state;
  assert_int_equal(read_answer(200, "{\"admin\":true}"), AUTHORIZER_GIVES);
  assert_int_equal(fresh_s(""), 0);
  assert_int_equal(fresh_s("max-age=5"), 5);
  assert_int_equal(fresh_s("private, Max-Age=7 ,must-revalidate"), 7);
  assert_int_equal(fresh_s("max-age=5, no-store"), 0);
  assert_int_equal(fresh_s("no-cache,max-age=5"), 0);
  assert_int_equal(fresh_s("max-age=-5"), 0);
  assert_int_equal(fresh_s("max-age="), 0);
  assert_int_equal(fresh_s("s-maxage=5, x-max-age=9"), 0);
  assert_int_equal(fresh_s("max-age=99999999999999999999"), AUTHORIZER_FRESH_S_MAX);
  assert_int_equal(read_answer(200, "{\"admin\":true,\"expires_in\":10}"), AUTHORIZER_GIVES);
  assert_int_equal(fresh_s("max-age=100"), 9); /* a second has passed */
  assert_int_equal(read_answer(500, ""), AUTHORIZER_AWAY);
  assert_int_equal(fresh_s("max-age=100"), 0);
}

/* Kept answers. */

static const unsigned char *key_of(unsigned char number) {
  static unsigned char key[SECRET_HASH_DIGEST_BYTES];
  memset(key, number, sizeof key);
  return key;
}

static bool is_kept(struct authorizer_cache *cache, unsigned char number, uint64_t now_ms) {
  struct authorizer_answer found;
  return authorizer_cache_find(cache, key_of(number), now_ms, &found);
}

static void kept_answers_end_and_make_room(void **state) {
  struct authorizer_answer found;
  (void) state;
  struct authorizer_cache *cache = authorizer_cache_create(3);
  assert_int_equal(read_answer(200, "{\"admin\":true}"), AUTHORIZER_GIVES);
  for (unsigned char i = 1; i <= 3; i++) authorizer_cache_add(cache, key_of(i), &answer, 100 * i);
  assert_true(authorizer_cache_find(cache, key_of(1), 99, &found));
  assert_ptr_equal(found.grant, answer.grant);
  authorizer_cache_add(cache, key_of(4), &answer, 400); /* 2 was used longest ago */
  assert_int_equal(authorizer_cache_count(cache), 3);
  assert_false(is_kept(cache, 2, 0));
  assert_true(is_kept(cache, 1, 99));
  assert_false(is_kept(cache, 1, 100));
  assert_int_equal(authorizer_cache_count(cache), 2);
  authorizer_cache_add(cache, key_of(3), &(struct authorizer_answer){.outcome = AUTHORIZER_REFUSES}, 500);
  assert_int_equal(authorizer_cache_count(cache), 2);
  assert_true(authorizer_cache_find(cache, key_of(3), 499, &found));
  assert_int_equal(found.outcome, AUTHORIZER_REFUSES);
  authorizer_cache_remove(cache, key_of(3));
  authorizer_cache_remove(cache, key_of(3));
  assert_false(is_kept(cache, 3, 0));
  authorizer_cache_free(cache);
}

static void a_cache_of_none_keeps_nothing(void **state) {
  (void) state;
  struct authorizer_cache *cache = authorizer_cache_create(0);
  authorizer_cache_add(cache, key_of(1), &(struct authorizer_answer){.outcome = AUTHORIZER_REFUSES}, 100);
  assert_false(is_kept(cache, 1, 0));
  authorizer_cache_free(cache);
}

/* The circuit. */

static void failures_in_a_row_open_the_circuit_for_a_while(void **state) {
  struct authorizer_circuit circuit = {0};
  (void) state;
  for (int i = 1; i < AUTHORIZER_CIRCUIT_FAILURES; i++) assert_false(authorizer_circuit_fail(&circuit, 1000));
  assert_false(authorizer_circuit_succeed(&circuit));
  for (int i = 1; i < AUTHORIZER_CIRCUIT_FAILURES; i++) assert_false(authorizer_circuit_fail(&circuit, 1000));
  assert_false(authorizer_circuit_is_open(&circuit));
  assert_true(authorizer_circuit_fail(&circuit, 1000));
  assert_true(authorizer_circuit_is_open(&circuit));
  assert_false(authorizer_circuit_probe(&circuit, 1000 + AUTHORIZER_CIRCUIT_MS - 1));
  assert_true(authorizer_circuit_probe(&circuit, 1000 + AUTHORIZER_CIRCUIT_MS));
  assert_false(authorizer_circuit_probe(&circuit, 9000)); /* one is under way */
  assert_false(authorizer_circuit_fail(&circuit, 3000));
  assert_true(authorizer_circuit_is_open(&circuit));
  assert_false(authorizer_circuit_probe(&circuit, 3000 + AUTHORIZER_CIRCUIT_MS - 1));
  assert_true(authorizer_circuit_probe(&circuit, 3000 + AUTHORIZER_CIRCUIT_MS));
  assert_true(authorizer_circuit_succeed(&circuit));
  assert_false(authorizer_circuit_is_open(&circuit));
}

/* Questions. */

static struct authorizer_question *ask(const struct secret_hash *hash, const char *token, const char *cookie) {
  struct authorizer_lines lines = {.length = 0};
  assert_true(authorizer_lines_add(&lines, "Authorization", "Bearer ", token, strlen(token)));
  assert_true(authorizer_lines_add(&lines, "Cookie", "", cookie, strlen(cookie)));
  return authorizer_question_create(NULL, hash, &lines);
}

static void questions_are_the_same_if_all_of_their_lines_are(void **state) {
  struct secret_hash hash;
  (void) state;
  assert_int_equal(secret_hash_init(&hash), 0);
  struct authorizer_question *one = ask(&hash, "a", "b"), *same = ask(&hash, "a", "b"), *other = ask(&hash, "a", "c");
  assert_true(authorizer_question_is(one, same));
  assert_memory_equal(one->key, same->key, sizeof one->key);
  assert_false(authorizer_question_is(one, other));
  assert_memory_not_equal(one->key, other->key, sizeof one->key);
  authorizer_question_free(one);
  authorizer_question_free(same);
  authorizer_question_free(other);
}

static void a_line_has_no_line_end_in_it_and_has_to_fit(void **state) {
  static const char *const wrong[] = {"a\r\nCookie: b", "a\nb", "a\rb", "\x7f", "\x01"};
  static char longest[AUTHORIZER_LINES_BYTES];
  struct authorizer_lines lines = {.length = 0};
  (void) state;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_false(authorizer_lines_add(&lines, "Origin", "", wrong[i], strlen(wrong[i])));
  assert_false(authorizer_lines_add(&lines, "Origin", "", "a\0b", 3));
  memset(longest, 'a', sizeof longest);
  assert_false(authorizer_lines_add(&lines, "A", "", longest, sizeof longest - 3));
  assert_int_equal(lines.length, 0);
  assert_true(authorizer_lines_add(&lines, "A", "", longest, sizeof longest - 4)); /* "A: " and the NUL */
  assert_int_equal(lines.length, sizeof longest);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(an_object_gives_rights, teardown),
      cmocka_unit_test_teardown(a_status_or_an_object_without_rights_refuses, teardown),
      cmocka_unit_test_teardown(anything_else_says_nothing, teardown),
      cmocka_unit_test(what_one_client_causes_is_no_outage),
      cmocka_unit_test_teardown(an_answer_says_how_long_it_holds, teardown),
      cmocka_unit_test_teardown(kept_answers_end_and_make_room, teardown),
      cmocka_unit_test(a_cache_of_none_keeps_nothing),
      cmocka_unit_test(failures_in_a_row_open_the_circuit_for_a_while),
      cmocka_unit_test(questions_are_the_same_if_all_of_their_lines_are),
      cmocka_unit_test(a_line_has_no_line_end_in_it_and_has_to_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
