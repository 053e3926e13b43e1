/* SPDX-License-Identifier: MIT */
/*
 * fixture: a loop, a pool, a hub with a virtual clock, and peers that write down what they are told. For integration
 * tests: everything that waits is bounded by iterations, and only the end of the test closes what it opened.
 */
#ifndef FLUXBP_TESTS_FIXTURE_H
#define FLUXBP_TESTS_FIXTURE_H

#include "fluxbp/fluxbp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub.h"
#include "support/sanitized.h"
#include "support/transport_fixture.h"
#include "transport.h"

/* A test with a transport as its argument, to be run with each: FIXTURE_BOTH(name) and then FIXTURE_TESTS(name). */
#define FIXTURE_BOTH(name)                                                                                             \
  static void name##_tcp(void **state) {                                                                               \
    (void) state;                                                                                                      \
    name(FLUXBP_TCP);                                                                                                  \
  }                                                                                                                    \
  static void name##_pipe(void **state) {                                                                              \
    (void) state;                                                                                                      \
    name(FLUXBP_PIPE);                                                                                                 \
  }
#define FIXTURE_TESTS(name) cmocka_unit_test(name##_tcp), cmocka_unit_test(name##_pipe)

/* The same with transports of the tests' own besides (transport_fixture.h): FIXTURE_ALL(name) and
 * FIXTURE_ALL_TESTS(name). A test that knows how many bytes are taken or read at a time is FIXTURE_PLAIN: the keeping
 * transport differs in that. */
#define FIXTURE_PLAIN(name)                                                                                            \
  FIXTURE_BOTH(name)                                                                                                   \
  static void name##_pass_through(void **state) {                                                                      \
    (void) state;                                                                                                      \
    transport_fixture_reset();                                                                                         \
    name(transport_pass_through());                                                                                    \
    assert_int_equal(transport_calls.open_now, 0);                                                                     \
  }
#define FIXTURE_ALL(name)                                                                                              \
  FIXTURE_PLAIN(name)                                                                                                  \
  static void name##_keeping(void **state) {                                                                           \
    (void) state;                                                                                                      \
    transport_fixture_reset();                                                                                         \
    name(transport_keeping());                                                                                         \
    assert_int_equal(transport_calls.open_now, 0);                                                                     \
  }
#define FIXTURE_PLAIN_TESTS(name) FIXTURE_TESTS(name), cmocka_unit_test(name##_pass_through)
#define FIXTURE_ALL_TESTS(name) FIXTURE_PLAIN_TESTS(name), cmocka_unit_test(name##_keeping)

typedef struct peer peer_t;

typedef struct fixture {
  uv_loop_t loop;
  uv_timer_t tick;                    /* keeps the loop from sleeping for long */
  fluxbp_pool_options_t pool_options; /* may be changed before fixture_open */
  fluxbp_hub_options_t options;
  fluxbp_policy_t policy;
  fluxbp_pool_t *pool;
  fluxbp_hub_t *hub; /* NULL after it was closed */
  fluxbp_topic_t *topic;
  uint64_t now_ms; /* the hub's clock */
  int calls;       /* how deep we are in calls of ours: no callback may come then */
  int hub_closes;
  int writables;
  int evictions;
  void (*on_writable)(struct fixture *fx);
  void (*on_eviction)(struct fixture *fx, const fluxbp_eviction_t *record);
  peer_t *peers;
  bool frees_peers; /* they were made by peer_new */
  void *arg;
} fixture_t;

/* What a peer was told, one letter each, in order, in peer->trace. */
#define TOLD_DATA 'D'
#define TOLD_ENTERED 'B'
#define TOLD_LEFT 'b'
#define TOLD_GAP 'G'
#define TOLD_VERDICT 'V'
#define TOLD_EVICTED 'E'
#define TOLD_HUB_EVICTION 'H'
#define TOLD_REPLY_ROOM 'R'
#define TOLD_TURN 'T'
#define TOLD_CLOSED 'X'

/* A connection, and the client at its other end. */
struct peer {
  fixture_t *fx;
  fluxbp_conn_t *conn; /* NULL after on_close */
  int fd;              /* the client's, non-blocking; -1 when it is closed */
  char *data;          /* what the client has received */
  size_t len;
  size_t capacity;
  bool has_eof;
  int error; /* errno of the client's read, 0 if there was none */

  char trace[64];
  size_t told;
  int close_status;
  fluxbp_eviction_t record;
  fluxbp_gap_t gap;
  uint64_t lost;   /* the sum of its gaps */
  size_t received; /* bytes that the connection's on_data got */

  bool is_spared;                        /* what its on_verdict answers */
  void (*hook)(peer_t *peer, char told); /* called in every callback of the connection, after it was noted */
  void *arg;
  peer_t *next;
};

/* Set the defaults, to be changed before fixture_open. */
void fixture_init(fixture_t *fx);
void fixture_open(fixture_t *fx);

/* The books balance; then close everything, and prove that nothing is left. */
void fixture_close(fixture_t *fx);
void fixture_balances(const fixture_t *fx);

/* Close the hub (if it is open), run until that is done. */
void fixture_close_hub(fixture_t *fx);
void fixture_on_hub_closed(fluxbp_hub_t *hub);

/*
 * Run the loop until `is_done`, clients reading if `clients_read`. Fails the test, with the line of the call and the
 * name of the condition, when it takes too many iterations.
 */
typedef bool (*fixture_condition)(fixture_t *fx, void *arg);
#define fixture_run_until(fx, is_done, arg, clients_read)                                                              \
  fixture_run_until_at(fx, is_done, arg, clients_read, #is_done, __FILE__, __LINE__)
void fixture_run_until_at(fixture_t *fx, fixture_condition is_done, void *arg, bool clients_read, const char *what,
                          const char *file, int line);

/* uv_run, for a test that lets the loop sleep. Fails the test, with the line of the call, when it lasts too long. */
#define fixture_run(fx, mode) fixture_run_at(fx, mode, __FILE__, __LINE__)
int fixture_run_at(fixture_t *fx, uv_run_mode mode, const char *file, int line);

/* A few iterations that don't wait. */
void fixture_turns(fixture_t *fx, int turns);

/* Let virtual time pass in steps of a sweep interval, each with its sweep and a few iterations. */
void fixture_advance(fixture_t *fx, uint64_t ms);

/* Make, publish (or send) and give up a message. */
int fixture_publish(fixture_t *fx, fluxbp_topic_t *topic, const void *data, size_t len);
int fixture_publish_text(fixture_t *fx, fluxbp_topic_t *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int fixture_send(peer_t *peer, const void *data, size_t len);

fluxbp_metrics_t fixture_metrics(const fixture_t *fx);

#define FIXTURE_LARGE_BUFFERS 0
#define FIXTURE_SMALL_BUFFERS 1

/* Connect a peer, start it, and subscribe it to fx->topic. */
void peer_open(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec,
               int small);
peer_t *peer_new(fixture_t *fx, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec, int small);

/* The same with sockets that the caller has connected, as socketpair_make does. */
void peer_adopt(fixture_t *fx, peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec,
                const int fds[2]);
fluxbp_conn_options_t peer_options(peer_t *peer, const fluxbp_transport_t *transport, const fluxbp_codec_t *codec);

/* Send to it until the kernel refuses; returns how many bytes of payload that took. Its rings may hold something
 * then. */
size_t peer_refuse(peer_t *peer);

/* Read what has arrived, without waiting. */
void peer_read(peer_t *peer);

/* Turn the loop a few times, and read after each turn. */
void peer_read_turns(peer_t *peer);
void peer_hang_up(peer_t *peer); /* close the client's socket */
void peer_break(peer_t *peer);   /* the same with a reset */
void peer_forget(peer_t *peer);  /* what it has received */

fluxbp_conn_stats_t peer_stats(const peer_t *peer);
fluxbp__conn_state_t peer_state(const peer_t *peer);
int peer_times_told(const peer_t *peer, char what);

/* Run until it has received `len` bytes; until it is closed and the client knows. No other client reads. */
void peer_wait_for(peer_t *peer, size_t len);
void peer_wait_for_eof(peer_t *peer); /* or an error of its socket */
void peer_wait_for_close(peer_t *peer);
void peer_wait_for_state(peer_t *peer, fluxbp__conn_state_t state);
void peer_expects(const peer_t *peer, const char *text);

#endif
