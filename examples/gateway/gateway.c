/* SPDX-License-Identifier: MIT */
/*
 * gateway: the only file that knows all the parts.
 *
 * It stops in four steps, each begun when the one before is done: nothing new is let in (no clients, no input), the
 * hubs take what is in the bus, they are drained, everything is closed; then the loop ends by itself.
 */
#include "gateway.h"

#include "common/log.h"
#include "server/admin/evictions.h"
#include "server/backbone.h"
#include "server/codecs.h"
#include "systemd.h"

#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUSEKEEPING_MS 1000

/* Commands are short. libuv reads up to 32 such pieces of one client in a row, which is so much less for the others to wait. */
#define READ_BUFFER_BYTES 8192

#define DELIVERY_CHECK_MS 20

/*
 * Messages in the bus may take so much of the budget, if they all are as long as they may be. There is always room for what
 * one request may publish at once (publish_request.c); beyond that the pool refuses by bytes.
 */
#define BUS_PART_OF_BUDGET 4
#define BUS_SLOTS_MIN 1024
#define BUS_SLOTS_MAX 4096

static void on_control_closed(fluxbp_hub_t *hub) {
  struct gateway *gateway = fluxbp_hub_user(hub);
  uv_close((uv_handle_t *) &gateway->on_sigterm, NULL);
  uv_close((uv_handle_t *) &gateway->on_sigint, NULL);
  uv_close((uv_handle_t *) &gateway->housekeeping, NULL);
  uv_close((uv_handle_t *) &gateway->delivery, NULL);
  watch_close(&gateway->watch);
  systemd_watchdog_close();
}

/* As of the last answer. */
static fluxbp_metrics_t metrics_of_all(const struct gateway *gateway) {
  fluxbp_metrics_t sum = {0};
  for (size_t i = 0; i < gateway->shards.count; i++) fluxbp_metrics_add(&sum, &gateway->metrics[i]);
  return sum;
}

/* Write one field for each reason of evictions, and return how many these are. */
static size_t list_evictions(const fluxbp_metrics_t *metrics, struct log_field *fields) {
  size_t count = 0;
  for (int reason = FLUXBP_EVICT_NONE + 1; reason < FLUXBP_EVICT_REASON_COUNT; reason++)
    fields[count++] = log_number(fluxbp_evict_reason_name((fluxbp_evict_reason_t) reason), metrics->evictions[reason]);
  return count;
}

static void log_summary(const struct gateway *gateway) {
  const struct feed *feed = &gateway->feed;
  fluxbp_metrics_t metrics = metrics_of_all(gateway);
  fluxbp_pool_stats_t pool;
  fluxbp_pool_get_stats(gateway->server.pool, &pool);
  uint64_t evictions = 0;
  uint64_t refused = atomic_load(&gateway->server.refused);
  uint64_t commands = 0;
  uint64_t pauses = 0;
  for (size_t reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) evictions += metrics.evictions[reason];
  for (size_t i = 0; i < gateway->shards.count; i++) {
    const struct shard *shard = &gateway->shards.list[i];
    commands += shard->commands_total;
    pauses += shard->pauses_total;
  }
  const struct log_field first[] = {
      log_number("lines", feed->published),
      log_number("skipped_long", feed->skipped_long),
      log_number("skipped_empty", feed->skipped_empty),
      log_number("published", metrics.published),
      log_number("accepted", metrics.accepted),
      log_number("written", metrics.written),
      log_number("dropped", metrics.dropped),
      log_number("discarded", metrics.discarded),
      log_number("queued", metrics.queued),
      log_number("written_bytes", metrics.written_bytes),
      log_number("writes", metrics.writes),
      log_number("clients", metrics.opened),
      log_number("refused", refused),
      log_number("evictions", evictions),
  };
  const struct log_field last[] = {
      log_number("commands", commands),
      log_number("read_pauses", pauses),
      log_number("peak_bytes", pool.peak_used_bytes),
  };
  struct log_field fields[sizeof first / sizeof first[0] + FLUXBP_EVICT_REASON_COUNT + sizeof last / sizeof last[0]];
  size_t count = sizeof first / sizeof first[0];
  memcpy(fields, first, sizeof first);
  count += list_evictions(&metrics, fields + count);
  memcpy(fields + count, last, sizeof last);
  log_write(LOG_LEVEL_INFO, "summary", fields, count + sizeof last / sizeof last[0]);
}

/* Reset who is left, and let the main loop end. */
static void close_all(struct gateway *gateway) {
  listeners_close(&gateway->listeners);
  backbone_stop(gateway->server.backbone);
  shards_stop(&gateway->shards);
  fluxbp_hub_t *control = gateway->control;
  gateway->control = NULL;
  fluxbp_hub_close(control, on_control_closed);
}

static struct gateway *gateway_of(struct survey *question) {
  return (struct gateway *) (void *) ((char *) question - offsetof(struct gateway, question));
}

static void on_drained(struct survey *question) {
  struct gateway *gateway = gateway_of(question);
  log_report_suppressed();
  log_summary(gateway);
  close_all(gateway);
}

/* On the thread of a hub. */
static void on_hub_drained(fluxbp_hub_t *hub) {
  const struct shard *shard = fluxbp_hub_user(hub);
  struct gateway *gateway = shard->user;
  fluxbp_hub_get_metrics(hub, &gateway->metrics[shard->index]);
  shards_answer(&gateway->question);
}

static void visit_drain(struct shard *shard, struct survey *question) {
  shard_say_goodbye(shard);
  fluxbp_hub_drain(shard->hub, gateway_of(question)->drain_ms, on_hub_drained);
}

static void visit_metrics(struct shard *shard, struct survey *question) {
  fluxbp_hub_get_metrics(shard->hub, &gateway_of(question)->metrics[shard->index]);
}

static void let_nothing_in(struct gateway *gateway) {
  atomic_store(&gateway->server.is_stopping, true);
  listeners_close_subscribers(&gateway->listeners);
  feed_close(&gateway->feed);
}

/* What is under way by the backbone comes back by it. */
static bool is_bus_empty(const struct gateway *gateway) {
  fluxbp_bus_stats_t stats;
  if (gateway->server.backbone != NULL && !backbone_is_idle(gateway->server.backbone)) return false;
  fluxbp_bus_get_stats(gateway->server.bus, &stats);
  return stats.lag == 0;
}

/* Whoever is let in later has to be waited for, too. */
static void on_drain_deadline(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  listeners_close(&gateway->listeners);
}

/* Draining a hub leaves in the bus what it hasn't read. */
static void on_bus_check(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  uint64_t now_ms = uv_now(&gateway->loop);
  if (!is_bus_empty(gateway) && now_ms < gateway->drain_until_ms) return;
  uint64_t left_ms = now_ms < gateway->drain_until_ms ? gateway->drain_until_ms - now_ms : 0;
  uv_timer_start(timer, on_drain_deadline, left_ms, 0);
  gateway->drain_ms = (uint32_t) left_ms;
  gateway->question.visit = visit_drain;
  gateway->question.done = on_drained;
  shards_ask_later(&gateway->shards, &gateway->question);
}

static void stop(struct gateway *gateway, enum exit_code exit_code, const char *reason) {
  gateway->is_stopping = true;
  systemd_stopping();
  gateway->exit_code = exit_code;
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", reason),
            log_number("clients", atomic_load(&gateway->server.served)),
            log_number("drain_ms", gateway->options->drain_ms));
  let_nothing_in(gateway);
  gateway->drain_until_ms = uv_now(&gateway->loop) + gateway->options->drain_ms;
  if (!gateway->is_asking) uv_timer_start(&gateway->delivery, on_bus_check, 0, DELIVERY_CHECK_MS);
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
static void on_connected(struct shard *shard, size_t served) {
  struct gateway *gateway = shard->user;
  if (served != gateway->options->wait_clients) return;
  int err = fluxbp_hub_post(gateway->control, begin_to_feed, gateway);
  if (err != 0) log_event(LOG_LEVEL_ERROR, "input_not_started", log_phrase("error", uv_strerror(err)));
}

static void stop_after_input(struct gateway *gateway) {
  bool is_complete = gateway->exit_code == EXIT_CODE_OK;
  stop(gateway, gateway->exit_code, is_complete ? "end of input" : "standard input cannot be read");
}

static void on_delivery_check(uv_timer_t *timer);

static void on_queued_known(struct survey *question) {
  struct gateway *gateway = gateway_of(question);
  gateway->is_asking = false;
  if (gateway->is_stopping) { /* a signal was faster */
    uv_timer_start(&gateway->delivery, on_bus_check, 0, DELIVERY_CHECK_MS);
    return;
  }
  if (metrics_of_all(gateway).queued == 0)
    stop_after_input(gateway);
  else
    uv_timer_start(&gateway->delivery, on_delivery_check, DELIVERY_CHECK_MS, 0);
}

/* Draining has a deadline; this hasn't: every client takes what is queued for it, or is evicted by the policy. */
static void on_delivery_check(uv_timer_t *timer) {
  struct gateway *gateway = timer->data;
  if (!is_bus_empty(gateway)) {
    uv_timer_start(timer, on_delivery_check, DELIVERY_CHECK_MS, 0);
    return;
  }
  gateway->is_asking = true;
  gateway->question.visit = visit_metrics;
  gateway->question.done = on_queued_known;
  shards_ask(&gateway->shards, &gateway->question);
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

/* On the main loop. */
static void stop_for_backbone(fluxbp_hub_t *control, void *arg) {
  struct gateway *gateway = arg;
  (void) control;
  if (!gateway->is_stopping) stop(gateway, EXIT_CODE_RUNTIME, backbone_problem(gateway->server.backbone));
}

/* On a thread of the backbone's. */
static void on_backbone_failure(void *arg) {
  struct gateway *gateway = arg;
  if (gateway->control != NULL) (void) fluxbp_hub_post(gateway->control, stop_for_backbone, gateway);
}

static enum exit_code fail(const char *what, int err, const char *advice) {
  fprintf(stderr, "gateway: %s: %s%s%s\n", what, uv_strerror(err), advice != NULL ? ": " : "",
          advice != NULL ? advice : "");
  return EXIT_CODE_RUNTIME;
}

/* Hold those that have to be there whatever names publishers come up with. */
static int name_topics(const fluxbp_server_t *server) {
  const struct options *options = server->options;
  uint32_t number;
  int err = fluxbp_bus_topic(server->bus, WATCH_TOPIC, &number);
  if (err == 0) err = fluxbp_bus_topic(server->bus, options->topic, &number);
  for (size_t i = 0; err == 0 && i < options->state_topics.count; i++)
    err = fluxbp_bus_topic(server->bus, options->state_topics.texts[i], &number);
  return err;
}

static int create_bus(struct gateway *gateway) {
  const struct options *options = gateway->options;
  fluxbp_bus_options_t bus_options;
  fluxbp_bus_options_init(&bus_options);
  uint64_t lines = options->budget / BUS_PART_OF_BUDGET / options->max_message;
  bus_options.slots = BUS_SLOTS_MIN;
  while (bus_options.slots < BUS_SLOTS_MAX && bus_options.slots * 2 <= lines) bus_options.slots *= 2;
  if (gateway->server.backbone != NULL) {
    struct backbone_ids ids = backbone_ids(gateway->server.backbone);
    gateway->server.has_given_ids = ids.is_given;
    bus_options.own_ids = ids.is_given;
    if (ids.is_given) bus_options.epoch = ids.epoch;
    if (ids.is_given) bus_options.first_id = ids.first_id;
  }
  int err = fluxbp_bus_create(gateway->server.pool, &bus_options, &gateway->server.bus);
  if (err == 0) codecs_set_epoch(fluxbp_bus_epoch(gateway->server.bus));
  return err != 0 ? err : name_topics(&gateway->server);
}

static int create_control(struct gateway *gateway) {
  fluxbp_hub_options_t options;
  fluxbp_hub_options_init(&options);
  options.pool = gateway->server.pool;
  options.user = gateway;
  int err = fluxbp_hub_create(&gateway->loop, &options, &gateway->control);
  gateway->server.control = gateway->control;
  return err;
}

static int start_shards(struct gateway *gateway) {
  const struct options *options = gateway->options;
  fluxbp_hub_options_t hub_options;
  fluxbp_hub_options_init(&hub_options);
  hub_options.pool = gateway->server.pool;
  hub_options.bus = gateway->server.bus;
  hub_options.policy = &gateway->policy;
  hub_options.history_messages = options->history_messages;
  hub_options.history_bytes = options->history_bytes;
  hub_options.history_topic_messages = options->history_topic_messages;
  hub_options.history_topic_bytes = options->history_topic_bytes;
  hub_options.history_ms = options->history_ms;
  hub_options.patience_ms = options->patience_ms;
  hub_options.max_kernel_bytes = options->kernel_bytes;
  hub_options.read_buffer_bytes = READ_BUFFER_BYTES;
  gateway->shards.server = &gateway->server;
  gateway->shards.on_connected = on_connected;
  gateway->shards.user = gateway;
  return shards_start(&gateway->shards, &hub_options);
}

/* Pool, bus, and everything that reads it. */
static int create_parts(struct gateway *gateway) {
  fluxbp_pool_options_t pool_options;
  fluxbp_pool_options_init(&pool_options);
  pool_options.max_bytes = gateway->options->budget;
  int err = fluxbp_pool_create(&pool_options, &gateway->server.pool);
  if (err == 0) err = create_bus(gateway);
  if (err == 0) err = create_control(gateway);
  if (err == 0) err = start_shards(gateway);
  if (err == 0 && (gateway->server.evictions = evictions_create(&gateway->server)) == NULL) err = UV_ENOMEM;
  if (err == 0 && gateway->server.backbone != NULL) err = backbone_start(gateway->server.backbone);
  return err;
}

static void init_handles(struct gateway *gateway) {
  uv_loop_t *loop = &gateway->loop;
  uv_signal_init(loop, &gateway->on_sigterm);
  uv_signal_init(loop, &gateway->on_sigint);
  uv_timer_init(loop, &gateway->housekeeping);
  uv_timer_init(loop, &gateway->delivery);
  watch_start(&gateway->watch, loop);
  gateway->on_sigterm.data = gateway;
  gateway->on_sigint.data = gateway;
  gateway->delivery.data = gateway;
}

static enum exit_code open_feed(struct gateway *gateway) {
  struct feed *feed = &gateway->feed;
  feed->bus = gateway->server.bus;
  feed->backbone = gateway->server.backbone;
  feed->user = gateway;
  int err = fluxbp_bus_topic(gateway->server.bus, gateway->options->topic, &feed->topic);
  if (err != 0) return fail("cannot start", err, NULL);
  err = feed_open(feed, &gateway->loop, STDIN_FILENO, (uint32_t) gateway->options->max_message, on_feed_end);
  if (err != 0) return fail("cannot read standard input", err, "give --stdin a file, a pipe or a terminal");
  return EXIT_CODE_OK;
}

/* Behind proxies the listeners see the wrong addresses, so that the clients count themselves. */
static int set_proxies(fluxbp_server_t *server) {
  const struct text_list *texts = &server->options->proxies;
  uint32_t most = server->options->max_per_address;
  if (texts->count == 0) return 0;
  server->proxies = calloc(texts->count, sizeof server->proxies[0]);
  if (server->proxies == NULL) return UV_ENOMEM;
  for (size_t i = 0; i < texts->count; i++)
    if (network_parse(texts->texts[i], &server->proxies[i])) server->proxy_count++;
  if (most > 0 && (server->address_counts = address_counts_create(most)) == NULL) return UV_ENOMEM;
  return 0;
}

/* What is the same for all threads. */
static enum exit_code set_up_server(struct gateway *gateway) {
  const struct options *options = gateway->options;
  fluxbp_server_t *server = &gateway->server;
  char problem[512];
  server->options = options;
  server->shards = &gateway->shards;
  server->policy = &gateway->policy;
  server->started_ns = uv_hrtime();
  server->origins = (struct origins){options->allow_hosts.texts, options->allow_hosts.count,
                                     options->allow_origins.texts, options->allow_origins.count};
  gateway->policy = options->policy;
  if (options->tokens_path != NULL) {
    server->tokens = tokens_read(options->tokens_path, problem, sizeof problem);
    if (server->tokens == NULL) {
      fprintf(stderr, "gateway: --tokens %s\n", problem);
      return EXIT_CODE_USAGE;
    }
  }
  int err = set_proxies(server);
  if (err == 0) err = server_init(server);
  return err == 0 ? EXIT_CODE_OK : fail("cannot start", err, NULL);
}

static enum exit_code start(struct gateway *gateway) {
  init_handles(gateway);
  enum exit_code exit_code = set_up_server(gateway);
  if (exit_code != EXIT_CODE_OK) return exit_code;
  if (gateway->options->nats_url != NULL) {
    gateway->server.backbone = backbone_connect(&gateway->server, on_backbone_failure, gateway);
    if (gateway->server.backbone == NULL) return EXIT_CODE_RUNTIME;
  }
  int err = create_parts(gateway);
  if (err == 0) err = uv_signal_start(&gateway->on_sigterm, on_signal, SIGTERM);
  if (err == 0) err = uv_signal_start(&gateway->on_sigint, on_signal, SIGINT);
  if (err == 0) err = uv_timer_start(&gateway->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
  if (err != 0) return fail("cannot start", err, NULL);

  if (gateway->options->feeds_stdin) exit_code = open_feed(gateway);
  if (exit_code == EXIT_CODE_OK && listeners_open(&gateway->listeners, &gateway->loop) != 0) exit_code = EXIT_CODE_BIND;
  if (exit_code != EXIT_CODE_OK) return exit_code;
  log_event(LOG_LEVEL_INFO, "started", log_number("threads", gateway->options->threads),
            log_number("patience_ms", gateway->options->patience_ms));
  err = systemd_watchdog(&gateway->loop);
  if (err != 0) return fail("cannot start", err, NULL);
  systemd_ready("serving");
  if (gateway->options->wait_clients == 0) feed_start(&gateway->feed);
  return EXIT_CODE_OK;
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
  fluxbp_server_t *server = &gateway->server;
  evictions_free(server->evictions);
  tokens_free(server->tokens);
  address_counts_free(server->address_counts);
  free(server->proxies);
  backbone_stop(server->backbone);
  backbone_free(server->backbone);
  server_reset(server);
  int err = server->bus != NULL ? fluxbp_bus_destroy(server->bus) : 0;
  if (err == 0 && server->pool != NULL) err = fluxbp_pool_destroy(server->pool);
  assert(err == 0 && "a message was not given back");
}

enum exit_code gateway_run(struct gateway *gateway, const struct options *options, size_t max_connections) {
  memset(gateway, 0, sizeof *gateway);
  gateway->options = options;
  gateway->server.max_connections = max_connections;
  gateway->watch.server = &gateway->server;
  gateway->listeners.server = &gateway->server;
  gateway->listeners.shards = &gateway->shards;
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
