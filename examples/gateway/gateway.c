/* SPDX-License-Identifier: MIT */
/*
 * gateway: the only file that knows all the parts.
 *
 * It stops in four steps, each begun when the one before is done: nothing new is let in (no clients, no input), the
 * hubs take what is in the bus, they are drained, everything is closed; then the loop ends by itself.
 */
#include "gateway.h"

#include "common/log.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUSEKEEPING_MS 1000
#define DELIVERY_CHECK_MS 20

/* Lines in the bus may take so much of the budget, if they all are as long as they may be. */
#define BUS_PART_OF_BUDGET 8
#define BUS_SLOTS_MAX 4096

static void on_control_closed(fluxbp_hub_t *hub) {
  struct gateway *gateway = fluxbp_hub_user(hub);
  uv_close((uv_handle_t *) &gateway->on_sigterm, NULL);
  uv_close((uv_handle_t *) &gateway->on_sigint, NULL);
  uv_close((uv_handle_t *) &gateway->housekeeping, NULL);
  uv_close((uv_handle_t *) &gateway->delivery, NULL);
}

static void log_summary(const struct gateway *gateway) {
  const struct feed *feed = &gateway->feed;
  fluxbp_metrics_t metrics = shards_metrics(&gateway->shards);
  fluxbp_pool_stats_t pool;
  fluxbp_pool_get_stats(gateway->pool, &pool);
  uint64_t evictions = 0;
  uint64_t refused = 0;
  uint64_t commands = 0;
  uint64_t commands_lost = 0;
  for (size_t reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) evictions += metrics.evictions[reason];
  for (size_t i = 0; i < gateway->shards.count; i++) {
    const struct clients *clients = &gateway->shards.list[i].clients;
    refused += clients->refused_total;
    commands += clients->commands_total;
    commands_lost += clients->commands_lost_total;
  }
  const uint64_t *evicted = metrics.evictions;
  log_event(LOG_LEVEL_INFO, "summary", log_number("lines", feed->published),
            log_number("skipped_long", feed->skipped_long), log_number("skipped_empty", feed->skipped_empty),
            log_number("published", metrics.published), log_number("accepted", metrics.accepted),
            log_number("written", metrics.written), log_number("dropped", metrics.dropped),
            log_number("discarded", metrics.discarded), log_number("queued", metrics.queued),
            log_number("written_bytes", metrics.written_bytes), log_number("writes", metrics.writes),
            log_number("clients", metrics.opened), log_number("refused", refused), log_number("evictions", evictions),
            log_number("stalled", evicted[FLUXBP_EVICT_STALLED]), log_number("slow", evicted[FLUXBP_EVICT_SLOW]),
            log_number("lag", evicted[FLUXBP_EVICT_LAG]), log_number("overflow", evicted[FLUXBP_EVICT_OVERFLOW]),
            log_number("budget", evicted[FLUXBP_EVICT_BUDGET]),
            log_number("unreachable", evicted[FLUXBP_EVICT_UNREACHABLE]), log_number("commands", commands),
            log_number("commands_lost", commands_lost), log_number("peak_bytes", pool.peak_used_bytes));
}

/* Reset who is left, and let the main loop end. */
static void close_all(struct gateway *gateway) {
  shards_stop(&gateway->shards);
  fluxbp_hub_t *control = gateway->control;
  gateway->control = NULL;
  fluxbp_hub_close(control, on_control_closed);
}

static void on_drained(struct shards *shards) {
  struct gateway *gateway = shards->user;
  log_report_suppressed();
  log_summary(gateway);
  close_all(gateway);
}

static void let_nothing_in(struct gateway *gateway) {
  if (gateway->listener != NULL) fluxbp_listener_close(gateway->listener, NULL);
  gateway->listener = NULL;
  feed_close(&gateway->feed);
}

static bool is_bus_empty(const struct gateway *gateway) {
  fluxbp_bus_stats_t stats;
  fluxbp_bus_get_stats(gateway->bus, &stats);
  return stats.lag == 0;
}

/* Draining a hub leaves in the bus what it hasn't read. */
static void on_bus_check(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  uint64_t now_ms = uv_now(&gateway->loop);
  if (!is_bus_empty(gateway) && now_ms < gateway->drain_until_ms) return;
  uv_timer_stop(timer);
  uint64_t left_ms = now_ms < gateway->drain_until_ms ? gateway->drain_until_ms - now_ms : 0;
  shards_drain(&gateway->shards, (uint32_t) left_ms, on_drained);
}

static void stop(struct gateway *gateway, enum exit_code exit_code, const char *reason) {
  gateway->is_stopping = true;
  gateway->exit_code = exit_code;
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", reason),
            log_number("clients", atomic_load(&gateway->shards.served)),
            log_number("drain_ms", gateway->options->drain_ms));
  let_nothing_in(gateway);
  gateway->drain_until_ms = uv_now(&gateway->loop) + gateway->options->drain_ms;
  uv_timer_start(&gateway->delivery, on_bus_check, 0, DELIVERY_CHECK_MS);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct gateway *gateway = handle->data;
  if (!gateway->is_stopping) {
    stop(gateway, EXIT_CODE_OK, strsignal(number));
    return;
  }
  log_event(LOG_LEVEL_WARN, "stopped", log_phrase("reason", "second signal"));
  _exit(EXIT_CODE_RUNTIME);
}

static void on_housekeeping(uv_timer_t *timer) {
  (void) timer;
  log_report_suppressed();
}

/* On the main loop. */
static void begin_to_feed(fluxbp_hub_t *control, void *arg) {
  struct gateway *gateway = arg;
  (void) control;
  feed_start(&gateway->feed);
}

/* On the client's thread. */
static void on_connected(struct clients *clients, size_t served) {
  struct gateway *gateway = clients->user;
  if (served != gateway->options->wait_clients) return;
  int err = fluxbp_hub_post(gateway->control, begin_to_feed, gateway);
  if (err != 0) log_event(LOG_LEVEL_ERROR, "input_not_started", log_phrase("error", uv_strerror(err)));
}

static void stop_after_input(struct gateway *gateway) {
  bool is_complete = gateway->exit_code == EXIT_CODE_OK;
  stop(gateway, gateway->exit_code, is_complete ? "end of input" : "standard input cannot be read");
}

static void on_delivery_check(uv_timer_t *timer);

static void on_queued_known(struct shards *shards) {
  struct gateway *gateway = shards->user;
  if (gateway->is_stopping) return; /* a signal was faster */
  if (shards_metrics(shards).queued == 0)
    stop_after_input(gateway);
  else
    uv_timer_start(&gateway->delivery, on_delivery_check, DELIVERY_CHECK_MS, 0);
}

/* Draining has a deadline; this hasn't: every client takes what is queued for it, or is evicted by the policy. */
static void on_delivery_check(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  if (is_bus_empty(gateway))
    shards_ask_metrics(&gateway->shards, on_queued_known);
  else
    uv_timer_start(timer, on_delivery_check, DELIVERY_CHECK_MS, 0);
}

static void on_feed_end(struct feed *feed, int status) {
  struct gateway *gateway = feed->user;
  if (!gateway->options->once) return;
  gateway->exit_code = status == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
  if (gateway->options->patience_ms == 0) { /* live: nobody is waited for */
    stop_after_input(gateway);
    return;
  }
  let_nothing_in(gateway);
  uv_timer_start(&gateway->delivery, on_delivery_check, 0, 0);
}

static void take(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer, fluxbp_permit_t permit,
                 const char *refusal) {
  struct gateway *gateway = fluxbp_listener_user(listener);
  struct arrival arrival = {.listener = listener, .permit = permit, .fd = fd, .refusal = refusal};
  size_t length = peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  memcpy(&arrival.peer, peer, length);
  shards_take(&gateway->shards, &arrival);
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  take(listener, fd, peer, permit, NULL);
}

static int on_refused(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_refusal_t reason, fluxbp_permit_t permit) {
  take(listener, fd, peer, permit,
       reason == FLUXBP_REFUSAL_ADDRESS ? "too many clients from your address" : "server full");
  return 1;
}

static void on_accept_error(fluxbp_listener_t *listener, int err) {
  (void) listener;
  log_event(LOG_LEVEL_WARN, "accept_failed", log_phrase("error", uv_strerror(err)));
}

static enum exit_code fail(const char *what, int err, const char *advice) {
  fprintf(stderr, "gateway: %s: %s%s%s\n", what, uv_strerror(err), advice != NULL ? ": " : "",
          advice != NULL ? advice : "");
  return EXIT_CODE_RUNTIME;
}

static enum exit_code fail_to_listen(const struct gateway *gateway, int err) {
  const char *advice = "choose another address with --tcp HOST:PORT";
  if (err == UV_EADDRINUSE)
    advice = "stop the other server or choose another port with --tcp HOST:PORT";
  else if (err == UV_EACCES)
    advice = "choose a port from 1024 on with --tcp HOST:PORT";
  else if (err == UV_EADDRNOTAVAIL)
    advice = "no interface has that address; choose another one with --tcp HOST:PORT";
  fprintf(stderr, "gateway: cannot listen on %s: %s: %s\n", gateway->options->tcp_text, uv_strerror(err), advice);
  return EXIT_CODE_BIND;
}

static int create_bus(struct gateway *gateway) {
  const struct options *options = gateway->options;
  fluxbp_bus_options_t bus_options;
  fluxbp_bus_options_init(&bus_options);
  uint64_t lines = options->budget / BUS_PART_OF_BUDGET / options->max_message;
  bus_options.slots = 2;
  while (bus_options.slots < BUS_SLOTS_MAX && bus_options.slots * 2 <= lines) bus_options.slots *= 2;
  return fluxbp_bus_create(gateway->pool, &bus_options, &gateway->bus);
}

static int create_control(struct gateway *gateway) {
  fluxbp_hub_options_t options;
  fluxbp_hub_options_init(&options);
  options.pool = gateway->pool;
  options.user = gateway;
  return fluxbp_hub_create(&gateway->loop, &options, &gateway->control);
}

static int start_shards(struct gateway *gateway) {
  const struct options *options = gateway->options;
  fluxbp_hub_options_t hub_options;
  fluxbp_hub_options_init(&hub_options);
  hub_options.pool = gateway->pool;
  hub_options.bus = gateway->bus;
  hub_options.policy = &options->policy;
  hub_options.patience_ms = options->patience_ms;
  hub_options.max_kernel_bytes = options->kernel_bytes;
  hub_options.user = &gateway->shards;
  gateway->shards.control = gateway->control;
  gateway->shards.topic = options->topic;
  gateway->shards.on_connected = on_connected;
  gateway->shards.user = gateway;
  return shards_start(&gateway->shards, options->threads, &hub_options);
}

/* Pool, bus, and everything that reads it. */
static int create_parts(struct gateway *gateway) {
  fluxbp_pool_options_t pool_options;
  fluxbp_pool_options_init(&pool_options);
  pool_options.max_bytes = gateway->options->budget;
  int err = fluxbp_pool_create(&pool_options, &gateway->pool);
  if (err == 0) err = create_bus(gateway);
  if (err == 0) err = create_control(gateway);
  if (err == 0) err = start_shards(gateway);
  return err;
}

static void init_handles(struct gateway *gateway) {
  uv_loop_t *loop = &gateway->loop;
  uv_signal_init(loop, &gateway->on_sigterm);
  uv_signal_init(loop, &gateway->on_sigint);
  uv_timer_init(loop, &gateway->housekeeping);
  uv_timer_init(loop, &gateway->delivery);
  gateway->on_sigterm.data = gateway;
  gateway->on_sigint.data = gateway;
  gateway->delivery.data = gateway;
}

static enum exit_code open_feed(struct gateway *gateway) {
  struct feed *feed = &gateway->feed;
  feed->pool = gateway->pool;
  feed->bus = gateway->bus;
  feed->user = gateway;
  int err = fluxbp_bus_topic(gateway->bus, gateway->options->topic, &feed->topic);
  if (err != 0) return fail("cannot start", err, NULL);
  err = feed_open(feed, &gateway->loop, STDIN_FILENO, gateway->options->max_message, on_feed_end);
  if (err != 0) return fail("cannot read standard input", err, "give --stdin a file, a pipe or a terminal");
  return EXIT_CODE_OK;
}

static int open_listener(struct gateway *gateway) {
  fluxbp_listener_options_t options;
  fluxbp_listener_options_init(&options);
  options.pool = gateway->pool;
  options.on_accept = on_accept;
  options.on_refused = on_refused;
  options.on_error = on_accept_error;
  options.max_connections = (uint32_t) gateway->max_connections;
  options.max_per_address = gateway->options->max_per_address;
  options.accepts_per_second = gateway->options->accepts_per_second;
  options.user = gateway;
  return fluxbp_listener_open_tcp(&gateway->loop, (const struct sockaddr *) &gateway->options->tcp, &options,
                                  &gateway->listener);
}

/* Begins to listen; says so. */
static enum exit_code start_listening(struct gateway *gateway) {
  char text[ADDRESS_TEXT_BYTES];
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  int err = open_listener(gateway);
  if (err != 0) return fail_to_listen(gateway, err);
  (void) fluxbp_listener_address(gateway->listener, (struct sockaddr *) &address, &length);
  address_format((const struct sockaddr *) &address, text, sizeof text);
  printf("ready tcp=%s\n", text);
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("tcp", text));
  log_event(LOG_LEVEL_INFO, "listening", log_word("tcp", text), log_number("threads", gateway->options->threads),
            log_number("max_connections", gateway->max_connections),
            log_number("patience_ms", gateway->options->patience_ms));
  return EXIT_CODE_OK;
}

static enum exit_code start(struct gateway *gateway) {
  init_handles(gateway);
  int err = create_parts(gateway);
  if (err == 0) err = uv_signal_start(&gateway->on_sigterm, on_signal, SIGTERM);
  if (err == 0) err = uv_signal_start(&gateway->on_sigint, on_signal, SIGINT);
  if (err == 0) err = uv_timer_start(&gateway->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
  if (err != 0) return fail("cannot start", err, NULL);

  enum exit_code exit_code = EXIT_CODE_OK;
  if (gateway->options->feeds_stdin) exit_code = open_feed(gateway);
  if (exit_code == EXIT_CODE_OK) exit_code = start_listening(gateway);
  if (exit_code == EXIT_CODE_OK && gateway->options->wait_clients == 0) feed_start(&gateway->feed);
  return exit_code;
}

static void close_handle(uv_handle_t *handle, void *arg) {
  (void) arg;
  uv_close(handle, NULL);
}

static void abandon_start(struct gateway *gateway) {
  gateway->is_stopping = true;
  let_nothing_in(gateway);
  if (gateway->control != NULL) {
    close_all(gateway);
    return;
  }
  uv_walk(&gateway->loop, close_handle, NULL);
}

static void free_parts(struct gateway *gateway) {
  feed_free(&gateway->feed);
  int err = gateway->bus != NULL ? fluxbp_bus_destroy(gateway->bus) : 0;
  if (err == 0 && gateway->pool != NULL) err = fluxbp_pool_destroy(gateway->pool);
  assert(err == 0 && "a message was not given back");
}

enum exit_code gateway_run(struct gateway *gateway, const struct options *options, size_t max_connections) {
  memset(gateway, 0, sizeof *gateway);
  gateway->options = options;
  gateway->max_connections = max_connections;
  int err = uv_loop_init(&gateway->loop);
  if (err != 0) return fail("cannot start", err, NULL);

  gateway->exit_code = start(gateway);
  if (gateway->exit_code != EXIT_CODE_OK) abandon_start(gateway);
  uv_run(&gateway->loop, UV_RUN_DEFAULT);

  err = uv_loop_close(&gateway->loop);
  assert(err == 0 && "a handle was left open");
  free_parts(gateway);
  log_report_suppressed();
  return gateway->exit_code;
}
