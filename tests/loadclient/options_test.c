/* SPDX-License-Identifier: MIT */
/*
 * What the load client reads from its options: values, mixes, sizes, addresses, objectives; and what fits into limits.
 */
#include "common/units.h"
#include "loadclient/limits.h"
#include "loadclient/mix.h"
#include "loadclient/results.h"
#include "loadclient/slo.h"
#include "loadclient/target.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Values */

static bool reads(const char *text, enum units_kind kind, uint64_t expected) {
  uint64_t value = 0;
  return units_read_whole(text, kind, UINT64_MAX, &value) && value == expected;
}

static void durations_have_units(void **state) {
  (void) state;
  uint64_t ns;
  assert_true(reads("250ns", UNITS_DURATION, 250));
  assert_true(reads("100us", UNITS_DURATION, 100000));
  assert_true(reads("5ms", UNITS_DURATION, 5000000));
  assert_true(reads("1.5s", UNITS_DURATION, 1500000000));
  assert_true(reads("2m", UNITS_DURATION, UINT64_C(120000000000)));
  assert_false(units_read_whole("5", UNITS_DURATION, UINT64_MAX, &ns));
  assert_true(reads("5", UNITS_SECONDS, 5000000000));
  assert_true(reads("5ms", UNITS_SECONDS, 5000000));
  static const char *const wrong[] = {"",     "ms",     "-1s", "1e3s", " 1s",  "1 s",
                                      "0x1s", "1.2.3s", ".s",  "infs", "5s/s", "99999999999999h"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_false(units_read_whole(wrong[i], UNITS_SECONDS, UINT64_MAX, &ns));
}

static void sizes_and_rates_have_units(void **state) {
  (void) state;
  uint64_t value;
  assert_true(reads("64KB", UNITS_BYTES, 65536));
  assert_true(reads("1.5M", UNITS_BYTES, 1572864));
  assert_false(units_read_whole("64X", UNITS_BYTES, UINT64_MAX, &value));
  assert_false(units_read_whole("64KB/s", UNITS_BYTES, UINT64_MAX, &value));
  assert_true(reads("64KB/s", UNITS_BYTE_RATE, 65536));
  assert_false(units_read_whole("64KB", UNITS_BYTE_RATE, UINT64_MAX, &value));
  assert_true(reads("500/s", UNITS_RATE, 500));
  assert_true(reads("500", UNITS_RATE, 500));
  assert_false(units_read_whole("5000", UNITS_RATE, 1000, &value));
  assert_false(units_read_whole("0", UNITS_RATE, 1000, &value));
}

static void times_are_written_with_three_digits(void **state) {
  (void) state;
  char text[UNITS_TEXT_BYTES];
  assert_string_equal(units_write_duration(812, text), "812 ns");
  assert_string_equal(units_write_duration(95300, text), "95.3 us");
  assert_string_equal(units_write_duration(999499, text), "999 us");
  assert_string_equal(units_write_duration(999999, text), "1.00 ms");
  assert_string_equal(units_write_duration(1270000, text), "1.27 ms");
  assert_string_equal(units_write_duration(12000000000, text), "12.0 s");
  assert_string_equal(units_write_count(99999, text), "99999");
  assert_string_equal(units_write_count(1234567, text), "1.23M");
}

/* Mixes */

static void a_mix_is_shared_out_by_weight(void **state) {
  (void) state;
  struct mix mix;
  assert_null(mix_parse(&mix, "healthy=90,slow=5,stalled=3,bursty=1,reconnect=1"));
  mix_share_out(&mix, 1000);
  assert_int_equal(mix.shares[CLIENT_HEALTHY], 900);
  assert_int_equal(mix.shares[CLIENT_SLOW], 50);
  assert_int_equal(mix.shares[CLIENT_STALLED], 30);
  assert_int_equal(mix.shares[CLIENT_BURSTY], 10);
  assert_int_equal(mix.shares[CLIENT_RECONNECT], 10);
  mix_share_out(&mix, 7); /* each of them at least one */
  assert_int_equal(mix.shares[CLIENT_HEALTHY], 3);
  assert_int_equal(mix.shares[CLIENT_RECONNECT], 1);
  mix_share_out(&mix, 0);
  assert_int_equal(mix.shares[CLIENT_HEALTHY], 0);
}

static void classes_may_say_how(void **state) {
  (void) state;
  struct mix mix;
  assert_null(mix_parse(&mix, "slow:32KB/s=5,bursty:500ms=1,reconnect:3s=1"));
  assert_int_equal(mix.how[CLIENT_SLOW], 32768);
  assert_int_equal(mix.how[CLIENT_BURSTY], 500000000);
  assert_int_equal(mix.how[CLIENT_RECONNECT], 3000000000);
  assert_int_equal(mix.weights[CLIENT_SLOW], 5);
}

static void mixes_that_are_wrong_are_refused(void **state) {
  (void) state;
  static const char *const wrong[] = {"",
                                      "healthy",
                                      "healthy=",
                                      "healthy=x",
                                      "healthy=0",
                                      "healthy=-1",
                                      "fast=1",
                                      "healthy=1,",
                                      "slow:5=1",
                                      "healthy=1,healthy=2",
                                      "slow:=1",
                                      "healthy:1s=1",
                                      "bursty:0s=1",
                                      "=1",
                                      "healthy=99999999",
                                      "slow=1:64KB/s"};
  struct mix mix;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    assert_non_null(mix_parse(&mix, wrong[i]));
  }
}

static void classes_are_spread_over_the_order_of_connecting(void **state) {
  (void) state;
  struct mix mix;
  uint32_t given[CLIENT_CLASSES] = {0};
  uint32_t stalled = 0;
  assert_null(mix_parse(&mix, "healthy=9,stalled=1"));
  mix_share_out(&mix, 100);
  for (uint32_t i = 1; i <= 100; i++) {
    stalled += mix_next(&mix, given) == CLIENT_STALLED;
    assert_in_range(stalled, i / 10, (i + 9) / 10); /* at any time of a ramp */
  }
}

/* Sizes and addresses */

static void sizes_are_fixed_a_range_or_weighted(void **state) {
  (void) state;
  struct sizes sizes;
  uint32_t small = 0;
  assert_null(sizes_parse(&sizes, "200"));
  assert_int_equal(sizes_pick(&sizes, UINT64_MAX), 200);
  assert_null(sizes_parse(&sizes, "64:90,500-1000:10"));
  uint64_t random = 1;
  for (int i = 0; i < 100000; i++) {
    random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint32_t size = sizes_pick(&sizes, random);
    assert_true(size == 64 || (size >= 500 && size <= 1000));
    small += size == 64;
  }
  assert_in_range(small, 89000, 91000);
  static const char *const wrong[] = {"",        "0",    "x",    "10-5",
                                      "2000000", "64:x", "64:0", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_non_null(sizes_parse(&sizes, wrong[i]));
}

static void sources_are_taken_in_turn(void **state) {
  (void) state;
  struct sources sources;
  struct sockaddr_storage address;
  const struct sockaddr_in *ipv4 = (const struct sockaddr_in *) &address;
  assert_null(sources_parse(&sources, "127.0.0.2-127.0.0.9"));
  assert_int_equal(sources.count, 8);
  sources_pick(&sources, 0, &address);
  assert_int_equal(ntohl(ipv4->sin_addr.s_addr), 0x7f000002);
  sources_pick(&sources, 15, &address);
  assert_int_equal(ntohl(ipv4->sin_addr.s_addr), 0x7f000009);
  assert_null(sources_parse(&sources, "::1"));
  sources_pick(&sources, 3, &address);
  assert_int_equal(address.ss_family, AF_INET6);
  static const char *const wrong[] = {"", "x", "127.0.0.9-127.0.0.2", "127.0.0.2-", "::1-::2", "0.0.0.1-200.0.0.1"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_non_null(sources_parse(&sources, wrong[i]));
}

/* Limits */

static void what_does_not_fit_is_said_with_a_way_out(void **state) {
  (void) state;
  static struct options options = {.connections = 1008, .processes = 1};
  struct limits limits = {.descriptors = 1024, .ports = 28232};
  char problem[LIMITS_PROBLEM_BYTES];
  assert_null(target_parse(&options.target, "tcp://127.0.0.1:9000"));
  assert_true(limits_fit(&limits, &options, problem));
  options.connections = 1009;
  assert_false(limits_fit(&limits, &options, problem));
  assert_non_null(strstr(problem, "so 1008 connections fit"));
  assert_non_null(strstr(problem, "--processes 2,"));
  options.processes = 2;
  assert_true(limits_fit(&limits, &options, problem));

  limits.descriptors = 1000000;
  options.connections = 60000;
  assert_false(limits_fit(&limits, &options, problem));
  assert_non_null(strstr(problem, "so 28232 connections fit"));
  assert_non_null(strstr(problem, "--source 127.0.0.2-127.0.0.4."));
  options.sources.count = 3;
  assert_true(limits_fit(&limits, &options, problem));
  limits.descriptors = limits.ports = UINT64_MAX; /* not known */
  options.sources.count = 0;
  assert_true(limits_fit(&limits, &options, problem));
}

/* Objectives */

static struct totals *totals;

static int make_totals(void **state) {
  (void) state;
  totals = calloc(1, sizeof *totals);
  if (totals == NULL) return -1;
  struct class_counts *stalled = &totals->view.classes[CLIENT_STALLED];
  totals->view.classes[CLIENT_HEALTHY].clients = 90;
  stalled->clients = 10;
  stalled->evicted = 9;
  for (uint64_t i = 1; i <= 100; i++) histogram_record(&totals->times[CLIENT_HEALTHY].latency, i * NS_PER_MS);
  histogram_record(&totals->times[CLIENT_STALLED].eviction, 5200 * NS_PER_MS);
  totals->messages_per_second = 45000;
  return 0;
}

static int free_totals(void **state) {
  (void) state;
  free(totals);
  return 0;
}

static bool is_met(const char *text) {
  struct slo slo;
  double measured;
  assert_null(slo_parse(&slo, text));
  return slo_is_met(&slo, totals, &measured);
}

static void objectives_are_judged_by_what_was_measured(void **state) {
  (void) state;
  assert_true(is_met("p50<51ms"));
  assert_false(is_met("p50 < 50ms"));
  assert_true(is_met("p99.9<=0.1s"));
  assert_false(is_met("max<100ms"));
  assert_true(is_met("max(healthy)<=100ms"));
  assert_true(is_met("loss(healthy)==0"));
  totals->view.classes[CLIENT_HEALTHY].integrity.lost = 1;
  assert_false(is_met("loss(healthy)==0"));
  assert_true(is_met("evicted(stalled)==9"));
  assert_false(is_met("evicted(stalled)==all"));
  assert_true(is_met("evicted(healthy)==0"));
  assert_true(is_met("eviction<5.5s"));
  assert_false(is_met("eviction<5s"));
  assert_true(is_met("rate>40000"));
  assert_false(is_met("rate>=50000"));
}

static void what_was_not_measured_meets_nothing(void **state) {
  (void) state;
  assert_false(is_met("p99(slow)<1h"));
  assert_false(is_met("loss(slow)==0"));
}

static void objectives_that_are_wrong_are_refused(void **state) {
  (void) state;
  static const char *const wrong[] = {
      "",         "p99",     "p99<5",         "p<5ms",        "p0<5ms",       "p101<5ms", "p99=5ms",
      "p99!=5ms", "loss==0", "loss(none)==0", "rate(slow)>5", "p99(slow<5ms", "rate>5ms", "evicted(stalled)==some",
      "p99<all"};
  struct slo slo;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_non_null(slo_parse(&slo, wrong[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(durations_have_units),
      cmocka_unit_test(sizes_and_rates_have_units),
      cmocka_unit_test(times_are_written_with_three_digits),
      cmocka_unit_test(a_mix_is_shared_out_by_weight),
      cmocka_unit_test(classes_may_say_how),
      cmocka_unit_test(mixes_that_are_wrong_are_refused),
      cmocka_unit_test(classes_are_spread_over_the_order_of_connecting),
      cmocka_unit_test(sizes_are_fixed_a_range_or_weighted),
      cmocka_unit_test(sources_are_taken_in_turn),
      cmocka_unit_test(what_does_not_fit_is_said_with_a_way_out),
      cmocka_unit_test_setup_teardown(objectives_are_judged_by_what_was_measured, make_totals, free_totals),
      cmocka_unit_test_setup_teardown(what_was_not_measured_meets_nothing, make_totals, free_totals),
      cmocka_unit_test(objectives_that_are_wrong_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
