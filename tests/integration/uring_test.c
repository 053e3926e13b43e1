/* SPDX-License-Identifier: MIT */
/*
 * Many dirty connections are written to together, by io_uring where it is to be had. Each scenario runs with it and
 * without it, and ends the same. Without liburing, or where the kernel refuses it, both are the same path.
 */
#include "support/fixture.h"
#include "support/shim.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* More than one call takes. */
enum { PEERS = 40, FEW = 7 };

#define BOTH_WAYS(name)                                                                                                \
  static void name##_with_io_uring(void **state) {                                                                     \
    (void) state;                                                                                                      \
    name(FLUXBP_IO_URING_AUTO);                                                                                        \
  }                                                                                                                    \
  static void name##_without(void **state) {                                                                           \
    (void) state;                                                                                                      \
    name(FLUXBP_IO_URING_OFF);                                                                                         \
  }
#define BOTH_TESTS(name) cmocka_unit_test(name##_with_io_uring), cmocka_unit_test(name##_without)

typedef struct crowd {
  fixture_t fx;
  peer_t peers[PEERS];
} crowd_t;

/* Before fixture_open. */
static void begin_crowd(crowd_t *crowd, fluxbp_io_uring_t io_uring) {
  shim_reset();
  memset(crowd, 0, sizeof *crowd);
  fixture_init(&crowd->fx);
  crowd->fx.options.io_uring = io_uring;
  crowd->fx.options.slice_us = 10000000; /* a turn writes everything, also on a busy machine */
}

static void open_crowd(crowd_t *crowd, fluxbp_io_uring_t io_uring, int small) {
  begin_crowd(crowd, io_uring);
  fixture_open(&crowd->fx);
  for (int i = 0; i < PEERS; i++) peer_open(&crowd->fx, &crowd->peers[i], FLUXBP_TCP, &fluxbp_codec_raw, small);
}

/* Whether io_uring is used now, which this machine may not have. */
static bool has_uring(const crowd_t *crowd) {
  return fluxbp_hub_io_uring(crowd->fx.hub) == 1;
}

static void publish(crowd_t *crowd, const char *text) {
  (void) fixture_publish_text(&crowd->fx, crowd->fx.topic, "%s", text);
}

static void turn(crowd_t *crowd) {
  fixture_turns(&crowd->fx, 1);
}

static void expect_text(peer_t *peer, const char *text) {
  peer_wait_for(peer, strlen(text));
  peer_expects(peer, text);
  peer_forget(peer);
}

static void each_gets_everything_in_order(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  open_crowd(&crowd, io_uring, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  publish(&crowd, "two;");
  publish(&crowd, "three;");
  turn(&crowd);
  publish(&crowd, "four;");
  turn(&crowd);
  fluxbp_metrics_t metrics = fixture_metrics(&crowd.fx);
  assert_int_equal(metrics.writes, 3 * PEERS);
  assert_int_equal(metrics.written_at_once, 4 * PEERS);
  assert_int_equal(metrics.io_uring_writes, has_uring(&crowd) ? 3 * PEERS : 0);
  assert_int_equal(shim_calls(SHIM_URING_SUBMIT), has_uring(&crowd) ? 6 : 0);
  for (int i = 0; i < PEERS; i++) expect_text(&crowd.peers[i], "one;two;three;four;");
  if (io_uring == FLUXBP_IO_URING_OFF) assert_int_equal(fluxbp_hub_io_uring(crowd.fx.hub), UV_ECANCELED);
  fixture_close(&crowd.fx);
}
BOTH_WAYS(each_gets_everything_in_order)

/* Two runs in turn, so that the second one is due while sends with the bytes of the first one aren't done. */
static void bursts_of_several_codecs_are_not_mixed_up(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  begin_crowd(&crowd, io_uring);
  fixture_open(&crowd.fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&crowd.fx, &crowd.peers[i], FLUXBP_TCP, i / 3 % 2 == 0 ? &fluxbp_codec_raw : &fluxbp_codec_newline,
              FIXTURE_LARGE_BUFFERS);
  for (int round = 0; round < 3; round++) {
    publish(&crowd, "first burst");
    publish(&crowd, "its end");
    turn(&crowd);
    for (int i = 0; i < PEERS; i++)
      expect_text(&crowd.peers[i], i / 3 % 2 == 0 ? "first burstits end" : "first burst\nits end\n");
  }
  fixture_close(&crowd.fx);
}
BOTH_WAYS(bursts_of_several_codecs_are_not_mixed_up)

/* The kernel takes a part from each, and nothing more until the clients read. */
static void what_is_refused_comes_when_there_is_room(fluxbp_io_uring_t io_uring) {
  enum { MESSAGES = 60, BYTES = 5000 };
  static char data[BYTES];
  crowd_t crowd;
  open_crowd(&crowd, io_uring, FIXTURE_SMALL_BUFFERS);
  for (int i = 0; i < MESSAGES; i++) {
    memset(data, ' ' + i, sizeof data);
    assert_int_equal(fixture_publish(&crowd.fx, crowd.fx.topic, data, sizeof data), PEERS);
    if (i % 5 == 4) turn(&crowd);
  }
  fluxbp_metrics_t metrics = fixture_metrics(&crowd.fx);
  assert_int_equal(metrics.refused, PEERS);
  assert_int_equal(metrics.io_uring_writes > 0, has_uring(&crowd));
  fixture_balances(&crowd.fx);
  for (int i = 0; i < PEERS; i++) {
    peer_wait_for(&crowd.peers[i], (size_t) MESSAGES * BYTES);
    for (size_t at = 0; at < (size_t) MESSAGES * BYTES; at += 100)
      assert_int_equal(crowd.peers[i].data[at], ' ' + (int) (at / BYTES));
  }
  fixture_close(&crowd.fx);
}
BOTH_WAYS(what_is_refused_comes_when_there_is_room)

static void clients_that_are_stalled_or_gone_hold_up_no_other(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  begin_crowd(&crowd, io_uring);
  fixture_open(&crowd.fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&crowd.fx, &crowd.peers[i], FLUXBP_TCP, &fluxbp_codec_raw,
              i == 5 || i == 20 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS);
  size_t sent = peer_refuse(&crowd.peers[5]);
  peer_break(&crowd.peers[7]);
  for (int round = 0; round < 3; round++) {
    publish(&crowd, "news;");
    turn(&crowd);
  }
  assert_int_equal(fixture_metrics(&crowd.fx).refused, 1);
  fixture_balances(&crowd.fx);
  for (int i = 0; i < PEERS; i++)
    if (i != 5 && i != 7) expect_text(&crowd.peers[i], "news;news;news;");
  peer_wait_for(&crowd.peers[5], sent + strlen("news;news;news;"));
  assert_memory_equal(crowd.peers[5].data + sent, "news;news;news;", strlen("news;news;news;"));
  peer_wait_for_close(&crowd.peers[7]);
  assert_int_not_equal(crowd.peers[7].close_status, 0);
  fixture_close(&crowd.fx);
}
BOTH_WAYS(clients_that_are_stalled_or_gone_hold_up_no_other)

/* Each eviction closes another connection, which is dirty, and publishes. */
static void close_next(peer_t *peer, char told) {
  peer_t *next = peer->arg;
  if (told != TOLD_EVICTED) return;
  if (next->conn != NULL) fluxbp_conn_reset(next->conn);
  (void) fixture_publish_text(peer->fx, peer->fx->topic, "farewell;");
}

static void evictions_may_close_others_that_are_due(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  begin_crowd(&crowd, io_uring);
  crowd.fx.policy.overflow = FLUXBP_OVERFLOW_EVICT;
  crowd.fx.policy.slots = 4;
  fixture_open(&crowd.fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&crowd.fx, &crowd.peers[i], FLUXBP_TCP, &fluxbp_codec_raw,
              i % 10 == 3 ? FIXTURE_SMALL_BUFFERS : FIXTURE_LARGE_BUFFERS);
  for (int i = 3; i < PEERS; i += 10) {
    (void) peer_refuse(&crowd.peers[i]);
    crowd.peers[i].hook = close_next;
    crowd.peers[i].arg = &crowd.peers[i + 1];
  }
  for (int round = 0; round < 5; round++) {
    publish(&crowd, "news;");
    turn(&crowd);
    fixture_balances(&crowd.fx);
  }
  fixture_turns(&crowd.fx, 3);
  assert_int_equal(crowd.fx.evictions, PEERS / 10);
  for (int i = 0; i < PEERS; i++) {
    if (i % 10 == 3) continue;
    if (i % 10 == 4)
      peer_wait_for_close(&crowd.peers[i]);
    else
      peer_wait_for(&crowd.peers[i], 5 * strlen("news;") + (PEERS / 10) * strlen("farewell;"));
  }
  fixture_close(&crowd.fx);
}
BOTH_WAYS(evictions_may_close_others_that_are_due)

static void other_transports_take_part_on_their_own(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  begin_crowd(&crowd, io_uring);
  transport_fixture_reset();
  fixture_open(&crowd.fx);
  const fluxbp_transport_t *const transports[] = {FLUXBP_TCP, FLUXBP_PIPE, FLUXBP_TCP, transport_pass_through()};
  for (int i = 0; i < PEERS; i++)
    peer_open(&crowd.fx, &crowd.peers[i], transports[i % 4], &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  publish(&crowd, "two;");
  publish(&crowd, "three;");
  turn(&crowd);
  assert_int_equal(fixture_metrics(&crowd.fx).writes, 2 * PEERS);
  assert_int_equal(fixture_metrics(&crowd.fx).io_uring_writes, has_uring(&crowd) ? PEERS : 0);
  for (int i = 0; i < PEERS; i++) expect_text(&crowd.peers[i], "one;two;three;");
  fixture_close(&crowd.fx);
}
BOTH_WAYS(other_transports_take_part_on_their_own)

/* Connections that drain get their FIN when everything is written. */
static void a_hub_drains_to_the_last_message(fluxbp_io_uring_t io_uring) {
  crowd_t crowd;
  open_crowd(&crowd, io_uring, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  publish(&crowd, "the end;");
  fluxbp_hub_drain(crowd.fx.hub, 1000, NULL);
  for (int i = 0; i < PEERS; i++) {
    peer_wait_for_eof(&crowd.peers[i]);
    peer_expects(&crowd.peers[i], "one;the end;");
  }
  fixture_close(&crowd.fx);
}
BOTH_WAYS(a_hub_drains_to_the_last_message)

/* A ring with more messages than one call has buffers. */
static void long_rings_are_written_to_their_end(fluxbp_io_uring_t io_uring) {
  enum { MESSAGES = 600 };
  char expected[MESSAGES * 4 + 1];
  crowd_t crowd;
  begin_crowd(&crowd, io_uring);
  crowd.fx.policy.slots = 1024;
  fixture_open(&crowd.fx);
  for (int i = 0; i < PEERS; i++)
    peer_open(&crowd.fx, &crowd.peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  for (int i = 0; i < MESSAGES; i++) {
    (void) snprintf(expected + i * 4, 5, "%03u;", (unsigned) i % 1000);
    (void) fixture_publish_text(&crowd.fx, crowd.fx.topic, "%03d;", i);
  }
  turn(&crowd);
  for (int i = 0; i < PEERS; i++) expect_text(&crowd.peers[i], expected);
  fixture_close(&crowd.fx);
}
BOTH_WAYS(long_rings_are_written_to_their_end)

/* Each has messages of its own, so that a call has no buffers left before it has all connections. */
static void different_bursts_of_many_are_all_written(fluxbp_io_uring_t io_uring) {
  enum { MESSAGES = 32 };
  char text[16], expected[MESSAGES * 8 + 1];
  crowd_t crowd;
  open_crowd(&crowd, io_uring, FIXTURE_LARGE_BUFFERS);
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < PEERS; i++)
      for (int j = 0; j < (i % 9 == 8 ? 1 : MESSAGES); j++)
        assert_int_equal(fixture_send(&crowd.peers[i], text, (size_t) snprintf(text, sizeof text, "%02d.%02d;", i, j)),
                         1);
    turn(&crowd);
    for (int i = 0; i < PEERS; i++) {
      size_t length = 0;
      for (int j = 0; j < (i % 9 == 8 ? 1 : MESSAGES); j++)
        length += (size_t) snprintf(expected + length, sizeof expected - length, "%02d.%02d;", i, j);
      expect_text(&crowd.peers[i], expected);
    }
  }
  fixture_close(&crowd.fx);
}
BOTH_WAYS(different_bursts_of_many_are_all_written)

/* ---- where it is to be had, and where not ---- */

static void few_connections_need_no_ring(void **state) {
  crowd_t crowd;
  (void) state;
  begin_crowd(&crowd, FLUXBP_IO_URING_AUTO);
  fixture_open(&crowd.fx);
  for (int i = 0; i < FEW; i++)
    peer_open(&crowd.fx, &crowd.peers[i], FLUXBP_TCP, &fluxbp_codec_raw, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  for (int i = 0; i < FEW; i++) expect_text(&crowd.peers[i], "one;");
  assert_int_equal(fluxbp_hub_io_uring(crowd.fx.hub), 0);
  assert_int_equal(shim_calls(SHIM_URING_SETUP), 0);
  fixture_close(&crowd.fx);
}

static void a_kernel_that_refuses_is_asked_once(void **state) {
  static const int errors[] = {ENOSYS, EPERM, EINVAL, EMFILE, ENOMEM};
  (void) state;
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    crowd_t crowd;
    open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
    shim_fail(SHIM_URING_SETUP, errors[i], SHIM_ALWAYS);
    publish(&crowd, "one;");
    turn(&crowd);
    publish(&crowd, "two;");
    turn(&crowd);
    for (int j = 0; j < PEERS; j++) expect_text(&crowd.peers[j], "one;two;");
    if (fluxbp_hub_io_uring(crowd.fx.hub) != UV_ENOTSUP) {
      assert_int_equal(fluxbp_hub_io_uring(crowd.fx.hub), uv_translate_sys_error(errors[i]));
      assert_int_equal(shim_calls(SHIM_URING_SETUP), 1);
    }
    assert_int_equal(fixture_metrics(&crowd.fx).io_uring_writes, 0);
    fixture_close(&crowd.fx);
  }
}

/* As a sandbox does that forbids the second one of the two system calls. What the failed call was to send isn't lost,
 * and isn't sent twice. */
static void a_call_that_fails_is_the_last_one(void **state) {
  crowd_t crowd;
  (void) state;
  open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  bool had_uring = has_uring(&crowd);
  uint64_t calls = shim_calls(SHIM_URING_SUBMIT);
  shim_fail(SHIM_URING_SUBMIT, EPERM, 1);
  publish(&crowd, "two;");
  turn(&crowd);
  publish(&crowd, "three;");
  turn(&crowd);
  if (had_uring) {
    assert_int_equal(fluxbp_hub_io_uring(crowd.fx.hub), UV_EPERM);
    assert_int_equal(shim_calls(SHIM_URING_SUBMIT), calls + 1);
    assert_int_equal(shim_calls(SHIM_URING_SETUP), 1);
    assert_int_equal(fixture_metrics(&crowd.fx).io_uring_writes, PEERS);
  }
  for (int i = 0; i < PEERS; i++) expect_text(&crowd.peers[i], "one;two;three;");
  fixture_close(&crowd.fx);
}

static void a_call_that_a_signal_interrupts_is_continued(void **state) {
  crowd_t crowd;
  (void) state;
  open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  bool had_uring = has_uring(&crowd);
  shim_fail(SHIM_URING_SUBMIT, EINTR, 1);
  publish(&crowd, "two;");
  turn(&crowd);
  assert_int_equal(has_uring(&crowd), had_uring);
  for (int i = 0; i < PEERS; i++) expect_text(&crowd.peers[i], "one;two;");
  fixture_close(&crowd.fx);
}

/* The clock can't be read within a call: of long messages a call has few. */
static void calls_with_long_messages_are_short(void **state) {
  static char data[16384];
  crowd_t crowd;
  (void) state;
  open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  uint64_t calls = shim_calls(SHIM_URING_SUBMIT);
  (void) fixture_publish(&crowd.fx, crowd.fx.topic, data, sizeof data);
  turn(&crowd);
  if (has_uring(&crowd)) assert_int_equal(shim_calls(SHIM_URING_SUBMIT) - calls, PEERS / 4);
  for (int i = 0; i < PEERS; i++) peer_wait_for(&crowd.peers[i], sizeof data + strlen("one;"));
  fixture_close(&crowd.fx);
}

static volatile sig_atomic_t sigpipes;

static void count_sigpipe(int number) {
  (void) number;
  sigpipes++;
}

static void no_send_raises_sigpipe(void **state) {
  crowd_t crowd;
  (void) state;
  open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  if (has_uring(&crowd)) {
    uv_os_fd_t fd;
    void (*before)(int) = signal(SIGPIPE, count_sigpipe);
    sigpipes = 0;
    assert_int_equal(uv_fileno((uv_handle_t *) fluxbp_conn_stream(crowd.peers[9].conn), &fd), 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    publish(&crowd, "two;");
    turn(&crowd);
    (void) signal(SIGPIPE, before);
    assert_int_equal(sigpipes, 0);
    peer_wait_for_close(&crowd.peers[9]);
    assert_int_equal(crowd.peers[9].close_status, UV_EPIPE);
  }
  fixture_close(&crowd.fx);
}

static int count_descriptors(void) {
  DIR *directory = opendir("/proc/self/fd");
  int count = 0;
  if (directory == NULL) return 0;
  while (readdir(directory) != NULL) count++;
  (void) closedir(directory);
  return count;
}

static void a_closed_hub_leaves_no_descriptor(void **state) {
  (void) state;
  int before = count_descriptors();
  crowd_t crowd;
  open_crowd(&crowd, FLUXBP_IO_URING_AUTO, FIXTURE_LARGE_BUFFERS);
  publish(&crowd, "one;");
  turn(&crowd);
  fixture_close(&crowd.fx);
  for (int i = 0; i < PEERS; i++) assert_int_equal(crowd.peers[i].fd, -1);
  assert_int_equal(count_descriptors(), before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH_TESTS(each_gets_everything_in_order),
      BOTH_TESTS(bursts_of_several_codecs_are_not_mixed_up),
      BOTH_TESTS(what_is_refused_comes_when_there_is_room),
      BOTH_TESTS(clients_that_are_stalled_or_gone_hold_up_no_other),
      BOTH_TESTS(evictions_may_close_others_that_are_due),
      BOTH_TESTS(other_transports_take_part_on_their_own),
      BOTH_TESTS(a_hub_drains_to_the_last_message),
      BOTH_TESTS(long_rings_are_written_to_their_end),
      BOTH_TESTS(different_bursts_of_many_are_all_written),
      cmocka_unit_test(few_connections_need_no_ring),
      cmocka_unit_test(a_kernel_that_refuses_is_asked_once),
      cmocka_unit_test(a_call_that_fails_is_the_last_one),
      cmocka_unit_test(a_call_that_a_signal_interrupts_is_continued),
      cmocka_unit_test(calls_with_long_messages_are_short),
      cmocka_unit_test(no_send_raises_sigpipe),
      cmocka_unit_test(a_closed_hub_leaves_no_descriptor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
