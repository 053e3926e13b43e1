/* SPDX-License-Identifier: MIT */
/*
 * gateway: the only file that knows all the parts.
 *
 * It stops in three steps, each begun when the one before is done: nothing new is let in (no clients, no input), the
 * hub is drained, the hub and everything else is closed; then the loop ends by itself.
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

static void on_hub_closed(fluxbp_hub_t *hub) {
  struct gateway *gateway = fluxbp_hub_user(hub);
  uv_close((uv_handle_t *) &gateway->on_sigterm, NULL);
  uv_close((uv_handle_t *) &gateway->on_sigint, NULL);
  uv_close((uv_handle_t *) &gateway->housekeeping, NULL);
  uv_close((uv_handle_t *) &gateway->delivery, NULL);
}

static void log_summary(const struct gateway *gateway) {
  const struct clients *clients = &gateway->clients;
  const struct feed *feed = &gateway->feed;
  fluxbp_metrics_t metrics;
  fluxbp_pool_stats_t pool;
  fluxbp_hub_get_metrics(gateway->hub, &metrics);
  fluxbp_pool_get_stats(gateway->pool, &pool);
  uint64_t evictions = 0;
  for (size_t reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) evictions += metrics.evictions[reason];
  const uint64_t *evicted = metrics.evictions;
  log_event(LOG_LEVEL_INFO, "summary", log_number("lines", feed->published),
            log_number("skipped_long", feed->skipped_long), log_number("skipped_empty", feed->skipped_empty),
            log_number("published", metrics.published), log_number("accepted", metrics.accepted),
            log_number("written", metrics.written), log_number("dropped", metrics.dropped),
            log_number("discarded", metrics.discarded), log_number("queued", metrics.queued),
            log_number("written_bytes", metrics.written_bytes), log_number("writes", metrics.writes),
            log_number("clients", metrics.opened), log_number("refused", clients->refused_total),
            log_number("evictions", evictions), log_number("stalled", evicted[FLUXBP_EVICT_STALLED]),
            log_number("slow", evicted[FLUXBP_EVICT_SLOW]), log_number("lag", evicted[FLUXBP_EVICT_LAG]),
            log_number("overflow", evicted[FLUXBP_EVICT_OVERFLOW]), log_number("budget", evicted[FLUXBP_EVICT_BUDGET]),
            log_number("unreachable", evicted[FLUXBP_EVICT_UNREACHABLE]),
            log_number("commands", clients->commands_total), log_number("commands_lost", clients->commands_lost_total),
            log_number("peak_bytes", pool.peak_used_bytes));
}

static void close_hub(struct gateway *gateway) {
  fluxbp_hub_t *hub = gateway->hub;
  gateway->clients.hub_is_closing = true;
  gateway->hub = NULL;
  fluxbp_hub_close(hub, on_hub_closed);
}

static void on_drained(fluxbp_hub_t *hub) {
  struct gateway *gateway = fluxbp_hub_user(hub);
  log_report_suppressed();
  log_summary(gateway);
  close_hub(gateway);
}

static void let_nothing_in(struct gateway *gateway) {
  listener_close(&gateway->listener);
  feed_close(&gateway->feed);
}

static void stop(struct gateway *gateway, enum exit_code exit_code, const char *reason) {
  gateway->is_stopping = true;
  gateway->exit_code = exit_code;
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", reason), log_number("clients", gateway->clients.count),
            log_number("drain_ms", gateway->options->drain_ms));
  let_nothing_in(gateway);
  uv_timer_stop(&gateway->delivery);
  fluxbp_hub_drain(gateway->hub, gateway->options->drain_ms, on_drained);
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

static void on_writable(fluxbp_hub_t *hub) {
  struct gateway *gateway = fluxbp_hub_user(hub);
  feed_go_on(&gateway->feed);
}

static void on_connected(struct clients *clients) {
  struct gateway *gateway = clients->user;
  if (clients->count >= gateway->options->wait_clients) feed_start(&gateway->feed);
}

static void stop_after_input(struct gateway *gateway) {
  bool is_complete = gateway->exit_code == EXIT_CODE_OK;
  stop(gateway, gateway->exit_code, is_complete ? "end of input" : "standard input cannot be read");
}

/* Draining has a deadline; this hasn't: every client takes what is queued for it, or is evicted by the policy. */
static void on_delivery_check(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  fluxbp_metrics_t metrics;
  fluxbp_hub_get_metrics(gateway->hub, &metrics);
  if (metrics.queued == 0) stop_after_input(gateway);
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
  uv_timer_start(&gateway->delivery, on_delivery_check, 0, DELIVERY_CHECK_MS);
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

static int create_hub(struct gateway *gateway) {
  fluxbp_pool_options_t pool_options;
  fluxbp_pool_options_init(&pool_options);
  pool_options.max_bytes = gateway->options->budget;
  int err = fluxbp_pool_create(&pool_options, &gateway->pool);
  if (err != 0) return err;

  fluxbp_hub_options_t hub_options;
  fluxbp_hub_options_init(&hub_options);
  hub_options.pool = gateway->pool;
  hub_options.policy = &gateway->options->policy;
  hub_options.patience_ms = gateway->options->patience_ms;
  hub_options.max_kernel_bytes = gateway->options->kernel_bytes;
  hub_options.on_writable = on_writable;
  hub_options.user = gateway;
  return fluxbp_hub_create(&gateway->loop, &hub_options, &gateway->hub);
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
  int err = feed_open(&gateway->feed, gateway->hub, gateway->clients.topics.first, STDIN_FILENO,
                      gateway->options->max_line, on_feed_end);
  if (err != 0) return fail("cannot read standard input", err, "give --stdin a file, a pipe or a terminal");
  gateway->feed.user = gateway;
  return EXIT_CODE_OK;
}

/* Begins to listen; says so. */
static enum exit_code start_listening(struct gateway *gateway) {
  char address[ADDRESS_TEXT_BYTES];
  int err = listener_open(&gateway->listener, &gateway->loop, &gateway->clients,
                          (const struct sockaddr *) &gateway->options->tcp);
  if (err != 0) return fail_to_listen(gateway, err);
  listener_address(&gateway->listener, address, sizeof address);
  printf("ready tcp=%s\n", address);
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("tcp", address));
  log_event(LOG_LEVEL_INFO, "listening", log_word("tcp", address), log_number("max_connections", gateway->clients.max),
            log_number("patience_ms", gateway->options->patience_ms));
  return EXIT_CODE_OK;
}

static enum exit_code start(struct gateway *gateway, size_t max_connections) {
  int err = create_hub(gateway);
  if (err != 0) return fail("cannot start", err, NULL);
  init_handles(gateway);
  gateway->clients.user = gateway;
  gateway->clients.on_connected = on_connected;
  err = clients_init(&gateway->clients, gateway->hub, gateway->options->topic, max_connections);
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

enum exit_code gateway_run(struct gateway *gateway, const struct options *options, size_t max_connections) {
  memset(gateway, 0, sizeof *gateway);
  gateway->options = options;
  int err = uv_loop_init(&gateway->loop);
  if (err != 0) return fail("cannot start", err, NULL);

  enum exit_code exit_code = start(gateway, max_connections);
  if (exit_code != EXIT_CODE_OK) {
    gateway->is_stopping = true;
    gateway->exit_code = exit_code;
    let_nothing_in(gateway);
    if (gateway->hub != NULL) close_hub(gateway);
  }
  uv_run(&gateway->loop, UV_RUN_DEFAULT);

  err = uv_loop_close(&gateway->loop);
  assert(err == 0 && "a handle was left open");
  feed_free(&gateway->feed);
  if (gateway->pool != NULL) {
    err = fluxbp_pool_destroy(gateway->pool);
    assert(err == 0 && "a message was not given back");
  }
  log_report_suppressed();
  return gateway->exit_code;
}
