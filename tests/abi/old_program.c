/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's that was compiled against the headers of the baseline (baseline/) and runs with the library of
 * today. It has options, handlers, a policy, a codec and a histogram of its own, reads every kind of result, and looks
 * for bytes that the library has written behind its structs. It includes nothing of today's headers.
 */
#include <fluxbp/fluxbp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE_BYTES = 65536, GUARD_BYTES = 256, GUARD = 0xa5, TURNS_MAX = 20000, RECORDS = 4 };

#define REQUIRE(condition)                                                                                             \
  do {                                                                                                                 \
    if (condition) break;                                                                                              \
    (void) fprintf(stderr, "old_program.c:%d: %s\n", __LINE__, #condition);                                            \
    exit(1);                                                                                                           \
  } while (0)

/* A struct with bytes behind it that belong to the program. */
#define GUARDED(type)                                                                                                  \
  struct {                                                                                                             \
    type value;                                                                                                        \
    unsigned char guard[GUARD_BYTES];                                                                                  \
  }
#define GUARD_SET(guarded) memset(&(guarded), GUARD, sizeof(guarded))
#define GUARD_REQUIRE(guarded)                                                                                         \
  for (size_t i = 0; i < GUARD_BYTES; i++) REQUIRE((guarded).guard[i] == GUARD)

typedef struct told {
  int accepted, data, entered, left, gaps, verdicts, evicted, closed, hub_evictions, encoded, gaps_encoded, farewells;
  uint64_t lost;
  uint64_t evicted_id;
  fluxbp_evict_reason_t reason;
  int status;
} told_t;

static told_t told;
static uv_loop_t loop;
static uv_timer_t tick;
static fluxbp_pool_t *pool;
static fluxbp_hub_t *hub;
static fluxbp_topic_t *topic;
static fluxbp_listener_t *listener;
static fluxbp_permit_t permit;
static fluxbp_conn_t *conn;
static char large[LARGE_BYTES];

static void on_data(fluxbp_conn_t *from, const char *data, size_t length) {
  (void) data;
  REQUIRE(from == conn && length > 0);
  told.data++;
}

static void on_backpressure(fluxbp_conn_t *of, int entered) {
  (void) of;
  if (entered)
    told.entered++;
  else
    told.left++;
}

static void on_gap(fluxbp_conn_t *of, const fluxbp_gap_t *gap) {
  (void) of;
  REQUIRE(gap->first_id > 0 && gap->last_id >= gap->first_id && gap->count > 0);
  told.gaps++;
  told.lost += gap->count;
}

static int on_verdict(fluxbp_conn_t *of, const fluxbp_eviction_t *record) {
  (void) of, (void) record;
  told.verdicts++;
  return 1;
}

static void on_evicted(fluxbp_conn_t *of, const fluxbp_eviction_t *record) {
  fluxbp_eviction_t copy = *record;
  told.evicted++;
  told.evicted_id = copy.conn_id;
  told.reason = copy.reason;
  REQUIRE(copy.conn_id == fluxbp_conn_id(of) && !copy.is_shadow && copy.queued > 0);
}

static void on_close(fluxbp_conn_t *of, int status) {
  (void) of;
  told.closed++;
  told.status = status;
  conn = NULL;
}

static int on_half_close(fluxbp_conn_t *of) {
  (void) of;
  return 0;
}

static const fluxbp_conn_handlers_t handlers = {
    .size = sizeof handlers,
    .on_data = on_data,
    .on_backpressure = on_backpressure,
    .on_gap = on_gap,
    .on_verdict = on_verdict,
    .on_evicted = on_evicted,
    .on_close = on_close,
    .on_half_close = on_half_close,
};

static ptrdiff_t encode(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out,
                        size_t capacity) {
  REQUIRE(codec->arg == &told && strcmp(publication->topic, "news") == 0 && publication->id > 0);
  REQUIRE(publication->key == 0 && publication->key_name == NULL && !publication->is_removal);
  told.encoded++;
  if (publication->length + 2 <= capacity) {
    out[0] = '<';
    memcpy(out + 1, publication->data, publication->length);
    out[publication->length + 1] = '>';
  }
  return (ptrdiff_t) publication->length + 2;
}

static ptrdiff_t encode_gap(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity) {
  REQUIRE(codec->arg == &told && gap->count > 0);
  told.gaps_encoded++;
  if (capacity > 0) out[0] = '!';
  return 1;
}

static ptrdiff_t encode_farewell(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out,
                                 size_t capacity) {
  REQUIRE(codec->arg == &told && strcmp(fluxbp_evict_reason_name(reason), "overflow") == 0);
  told.farewells++;
  if (capacity > 0) out[0] = '.';
  return 1;
}

static const fluxbp_codec_t codec = {
    .size = sizeof codec,
    .name = "brackets",
    .encode = encode,
    .encode_gap = encode_gap,
    .encode_farewell = encode_farewell,
    .arg = &told,
};

static void on_eviction(fluxbp_hub_t *of, const fluxbp_eviction_t *record) {
  REQUIRE(of == hub && record->reason != FLUXBP_EVICT_NONE);
  told.hub_evictions++;
}

static void on_tick(uv_timer_t *timer) {
  (void) timer;
}

static void on_accept(fluxbp_listener_t *from, uv_os_sock_t fd, const struct sockaddr *peer, fluxbp_permit_t given) {
  GUARDED(fluxbp_conn_options_t) options;
  REQUIRE(from == listener && peer->sa_family == AF_INET && conn == NULL);
  permit = given;
  GUARD_SET(options);
  fluxbp_conn_options_init(&options.value);
  GUARD_REQUIRE(options);
  options.value.codec = &codec;
  options.value.handlers = &handlers;
  options.value.user_bytes = 32;
  REQUIRE(fluxbp_conn_create(hub, &options.value, &conn) == 0);
  REQUIRE(fluxbp_conn_of_user(fluxbp_conn_user(conn), 32) == conn);
  REQUIRE(uv_tcp_open((uv_tcp_t *) fluxbp_conn_stream(conn), fd) == 0);
  REQUIRE(fluxbp_conn_start(conn) == 0);
  REQUIRE(fluxbp_topic_subscribe(topic, conn) == 1);
  told.accepted++;
}

static void open_pool_and_hub(void) {
  GUARDED(fluxbp_pool_options_t) pool_options;
  GUARDED(fluxbp_hub_options_t) hub_options;
  GUARDED(fluxbp_policy_t) policy;
  GUARD_SET(pool_options);
  GUARD_SET(hub_options);
  GUARD_SET(policy);
  fluxbp_pool_options_init(&pool_options.value);
  fluxbp_hub_options_init(&hub_options.value);
  fluxbp_policy_init(&policy.value);
  GUARD_REQUIRE(pool_options);
  GUARD_REQUIRE(hub_options);
  GUARD_REQUIRE(policy);
  pool_options.value.max_bytes = 64 << 20;
  REQUIRE(fluxbp_pool_create(&pool_options.value, &pool) == 0);
  policy.value.slots = 16;
  hub_options.value.pool = pool;
  hub_options.value.policy = &policy.value;
  hub_options.value.history_messages = 8;
  hub_options.value.on_eviction = on_eviction;
  REQUIRE(fluxbp_hub_create(&loop, &hub_options.value, &hub) == 0);
  REQUIRE(fluxbp_topic_open(hub, "news", &topic) == 0);
}

/* Listen, and connect a client that doesn't wait. */
static int open_client(void) {
  GUARDED(fluxbp_listener_options_t) options;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int length = sizeof address;
  GUARD_SET(options);
  fluxbp_listener_options_init(&options.value);
  GUARD_REQUIRE(options);
  options.value.on_accept = on_accept;
  REQUIRE(fluxbp_listener_open_tcp(&loop, (const struct sockaddr *) &address, &options.value, &listener) == 0);
  REQUIRE(fluxbp_listener_address(listener, (struct sockaddr *) &address, &length) == 0);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(client >= 0 && connect(client, (const struct sockaddr *) &address, sizeof address) == 0);
  REQUIRE(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
  return client;
}

static size_t receive(int client, char *out, size_t capacity) {
  ssize_t length = recv(client, out, capacity, 0);
  REQUIRE(length > 0 || (length < 0 && errno == EAGAIN));
  return length > 0 ? (size_t) length : 0;
}

static void publish(const char *data, size_t length) {
  fluxbp_msg_t *msg;
  REQUIRE(fluxbp_msg_create(pool, data, length, &msg) == 0);
  REQUIRE(fluxbp_topic_publish(topic, msg) >= 0);
  fluxbp_msg_unref(msg);
}

/* Run the loop until `*counter` isn't 0, with `each` in each iteration. */
static void run_until(const int *counter, void (*each)(int client), int client) {
  for (int turn = 0; *counter == 0; turn++) {
    REQUIRE(turn < TURNS_MAX);
    if (each != NULL) each(client);
    (void) uv_run(&loop, UV_RUN_ONCE);
  }
}

static void publish_large(int client) {
  (void) client;
  publish(large, sizeof large);
}

static void read_on(int client) {
  static char data[4 * LARGE_BYTES];
  while (receive(client, data, sizeof data) > 0) continue;
  publish("x", 1); /* it ends the gap */
}

static void exchange_messages(int client) {
  char text[16] = {0};
  size_t length = 0;
  run_until(&told.accepted, NULL, client);
  publish("hello", 5);
  REQUIRE(send(client, "ping", 4, 0) == 4);
  run_until(&told.data, NULL, client);
  for (int turn = 0; length < 7; turn++) {
    REQUIRE(turn < TURNS_MAX);
    length += receive(client, text + length, sizeof text - 1 - length);
    (void) uv_run(&loop, UV_RUN_ONCE);
  }
  REQUIRE(strcmp(text, "<hello>") == 0);
}

static void lose_messages(int client) {
  run_until(&told.entered, publish_large, client);
  for (int i = 0; i < 32; i++) publish(large, sizeof large);
  run_until(&told.gaps, read_on, client);
  run_until(&told.left, read_on, client);
  REQUIRE(told.lost > 0 && told.gaps_encoded > 0);
}

static void read_results_of_the_connection(void) {
  GUARDED(fluxbp_conn_stats_t) stats;
  GUARDED(fluxbp_eviction_t) evidence;
  GUARDED(fluxbp_liveness_t) liveness;
  GUARD_SET(stats);
  GUARD_SET(evidence);
  GUARD_SET(liveness);
  fluxbp_conn_get_stats(conn, &stats.value);
  fluxbp_conn_get_evidence(conn, &evidence.value);
  fluxbp_conn_get_liveness(conn, &liveness.value);
  GUARD_REQUIRE(stats);
  GUARD_REQUIRE(evidence);
  GUARD_REQUIRE(liveness);
  const fluxbp_conn_stats_t *of = &stats.value;
  REQUIRE(of->accepted == of->written + of->dropped + of->conflated + of->discarded + of->queued);
  REQUIRE(of->dropped >= told.lost && of->written > 0);
  REQUIRE(evidence.value.conn_id == fluxbp_conn_id(conn) && evidence.value.reason == FLUXBP_EVICT_NONE);
  REQUIRE(liveness.value.accepted_bytes > LARGE_BYTES);
}

static void read_metrics(void) {
  static char text[32768];
  GUARDED(fluxbp_metrics_t) metrics;
  GUARDED(fluxbp_metrics_t) sum;
  GUARDED(fluxbp_histogram_t) times;
  GUARD_SET(metrics);
  GUARD_SET(sum);
  GUARD_SET(times);
  memset(&sum.value, 0, sizeof sum.value);
  fluxbp_hub_get_metrics(hub, &metrics.value);
  for (int i = 0; i < 2; i++) fluxbp_metrics_add(&sum.value, &metrics.value);
  GUARD_REQUIRE(metrics);
  GUARD_REQUIRE(sum);
  REQUIRE(metrics.value.published > 0 && metrics.value.received_bytes == 4 && metrics.value.gaps > 0);
  REQUIRE(metrics.value.evictions[FLUXBP_EVICT_OVERFLOW] == (uint64_t) told.evicted);
  REQUIRE(sum.value.published == 2 * metrics.value.published && sum.value.history_messages == 8);
  size_t length = fluxbp_metrics_prometheus(&metrics.value, text, sizeof text);
  REQUIRE(length < sizeof text && strstr(text, "\nfluxbp_messages_published_total ") != NULL);

  fluxbp_hub_get_broadcast_times(hub, &times.value);
  REQUIRE(fluxbp_histogram_count(&times.value) > 0);
  fluxbp_histogram_add(&times.value, &times.value);
  fluxbp_histogram_init(&times.value);
  fluxbp_histogram_record(&times.value, 5);
  REQUIRE(fluxbp_histogram_quantile(&times.value, 0.5) == 5);
  GUARD_REQUIRE(times);
}

static void read_other_results(void) {
  GUARDED(fluxbp_pool_stats_t) pool_stats;
  GUARDED(fluxbp_listener_stats_t) listener_stats;
  GUARDED(fluxbp_history_range_t) range;
  GUARD_SET(pool_stats);
  GUARD_SET(listener_stats);
  GUARD_SET(range);
  fluxbp_pool_get_stats(pool, &pool_stats.value);
  fluxbp_listener_get_stats(listener, &listener_stats.value);
  fluxbp_hub_history(hub, &range.value);
  GUARD_REQUIRE(pool_stats);
  GUARD_REQUIRE(listener_stats);
  GUARD_REQUIRE(range);
  REQUIRE(pool_stats.value.max_bytes == 64 << 20 && pool_stats.value.used_bytes > 0);
  REQUIRE(listener_stats.value.accepted == 1 && listener_stats.value.connections == 1);
  REQUIRE(range.value.newest_id > range.value.oldest_since_id);
}

static void use_a_bus(void) {
  GUARDED(fluxbp_bus_options_t) options;
  GUARDED(fluxbp_bus_stats_t) stats;
  fluxbp_bus_t *bus;
  fluxbp_msg_t *msg;
  uint64_t id;
  GUARD_SET(options);
  GUARD_SET(stats);
  fluxbp_bus_options_init(&options.value);
  GUARD_REQUIRE(options);
  options.value.slots = 16;
  options.value.first_id = 100;
  REQUIRE(fluxbp_bus_create(pool, &options.value, &bus) == 0);
  REQUIRE(fluxbp_msg_create(pool, "x", 1, &msg) == 0);
  REQUIRE(fluxbp_bus_publish_to(bus, "news", msg, &id) == 0 && id == 100);
  fluxbp_msg_unref(msg);
  fluxbp_bus_get_stats(bus, &stats.value);
  GUARD_REQUIRE(stats);
  REQUIRE(stats.value.published == 1 && stats.value.slots == 16 && stats.value.readers == 0);
  REQUIRE(fluxbp_bus_destroy(bus) == 0);
}

static int on_start(fluxbp_hub_t *of, size_t index, void *arg) {
  REQUIRE(of != NULL && index == 0);
  *(bool *) arg = true;
  return 0;
}

static void use_workers(void) {
  GUARDED(fluxbp_workers_options_t) options;
  fluxbp_workers_t *workers;
  bool was_started = false;
  GUARD_SET(options);
  fluxbp_workers_options_init(&options.value);
  GUARD_REQUIRE(options);
  options.value.threads = 1;
  options.value.on_start = on_start;
  options.value.arg = &was_started;
  REQUIRE(fluxbp_workers_start(&options.value, &workers) == 0);
  fluxbp_workers_stop(workers, 1000);
  REQUIRE(was_started);
}

static void read_to_the_end(int client) {
  static char data[LARGE_BYTES];
  while (recv(client, data, sizeof data, 0) > 0) continue;
}

static void be_evicted(int client) {
  GUARDED(fluxbp_eviction_t) last;
  fluxbp_eviction_t records[RECORDS];
  fluxbp_policy_t policy;
  fluxbp_policy_init(&policy);
  policy.slots = 8;
  policy.overflow = FLUXBP_OVERFLOW_EVICT;
  REQUIRE(fluxbp_conn_set_policy(conn, &policy) == 0);
  run_until(&told.evicted, publish_large, client);
  run_until(&told.closed, read_to_the_end, client);
  REQUIRE(told.reason == FLUXBP_EVICT_OVERFLOW && told.status == UV_ECONNABORTED);
  REQUIRE(told.hub_evictions == 1 && told.farewells == 1);
  REQUIRE(fluxbp_hub_evictions(hub, records, RECORDS) == 1);
  REQUIRE(records[0].conn_id == told.evicted_id && records[0].reason == told.reason);
  GUARD_SET(last);
  REQUIRE(fluxbp_hub_evictions(hub, &last.value, 1) == 1);
  GUARD_REQUIRE(last);
}

static void close_everything(int client) {
  (void) close(client);
  REQUIRE(fluxbp_listener_release(listener, permit) == 0);
  fluxbp_listener_close(listener, NULL);
  fluxbp_hub_close(hub, NULL);
  uv_close((uv_handle_t *) &tick, NULL);
  (void) uv_run(&loop, UV_RUN_DEFAULT);
  REQUIRE(fluxbp_pool_destroy(pool) == 0);
  REQUIRE(uv_loop_close(&loop) == 0);
}

int main(void) {
  (void) signal(SIGPIPE, SIG_IGN);
  memset(large, 'l', sizeof large);
  REQUIRE(uv_loop_init(&loop) == 0);
  REQUIRE(uv_timer_init(&loop, &tick) == 0 && uv_timer_start(&tick, on_tick, 1, 1) == 0);
  open_pool_and_hub();
  int client = open_client();
  exchange_messages(client);
  lose_messages(client);
  read_results_of_the_connection();
  read_metrics();
  read_other_results();
  use_a_bus();
  use_workers();
  be_evicted(client);
  read_metrics();
  close_everything(client);
  (void) printf("compiled with the headers of %s, runs with the library %s\n", FLUXBP_VERSION_STRING, fluxbp_version());
  return 0;
}
