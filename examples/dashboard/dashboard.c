/* SPDX-License-Identifier: MIT */
/*
 * dashboard: makes the parts, runs the loop, takes it down again.
 */
#include "dashboard.h"

#include "common/log.h"
#include "common/server_log.h"
#include "login.h"
#include "routes.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS 250
#define VISITORS_MAX 500 /* well below the usual limit of 1024 descriptors */
#define BODY_BYTES_MAX 4096
#define DRAIN_MS 1000

/* A browser that can't keep up has at most one event of each key in its ring. That alone doesn't make it backpressured;
 * only a browser that takes nothing at all is evicted. */
#define RING_BYTES ((uint64_t) 32 << 20)

static void close_handles(struct dashboard *dashboard) {
  uv_close((uv_handle_t *) &dashboard->on_sigterm, NULL);
  uv_close((uv_handle_t *) &dashboard->on_sigint, NULL);
  uv_close((uv_handle_t *) &dashboard->ticker, NULL);
}

static void on_server_closed(fluxbp_server_t *server) {
  close_handles(fluxbp_server_user(server));
}

static void stop_dashboard(struct dashboard *dashboard) {
  if (dashboard->is_stopping) return;
  dashboard->is_stopping = true;
  for (size_t i = 0; i < dashboard->gateway_count; i++) gateway_watch_stop(&dashboard->gateways[i]);
  forwards_stop(&dashboard->forwards);
  fluxbp_server_close(dashboard->server, DRAIN_MS, on_server_closed);
}

static void on_signal(uv_signal_t *handle, int number) {
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", strsignal(number)));
  stop_dashboard(handle->data);
}

static void on_tick(uv_timer_t *timer) {
  struct dashboard *dashboard = timer->data;
  if (dashboard->is_stopping) return;
  login_tick(dashboard);
  log_report_suppressed();
}

static enum exit_code fail_to_start(int err) {
  fprintf(stderr, "dashboard: cannot start: %s\n", uv_strerror(err));
  return EXIT_CODE_RUNTIME;
}

static int create_server(struct dashboard *dashboard) {
  static char names[GATEWAYS_MAX][BOARD_NAME_BYTES];
  static const char *topics[GATEWAYS_MAX]; /* the server keeps pointers to these */
  const struct options *options = dashboard->options;
  fluxbp_server_options_t server;
  for (size_t i = 0; i < options->gateway_count; i++) {
    board_name(i, names[i]);
    topics[i] = names[i];
  }
  fluxbp_server_options_init(&server);
  server.loop = &dashboard->loop;
  server.handlers = &routes_handlers;
  server.on_log = server_log_write;
  server.user = dashboard;
  server.parts = FLUXBP_PART_SSE;
  server.max_connections = VISITORS_MAX;
  server.state_topics = (fluxbp_text_list_t){topics, options->gateway_count};
  server.state_keys = BOARD_KEYS_MAX;
  server.max_message = BOARD_DATA_BYTES_MAX + BOARD_FRAME_BYTES;
  server.max_body = BODY_BYTES_MAX;
  server.policy.slots = 2 * BOARD_KEYS_MAX;
  server.policy.max_bytes = RING_BYTES;
  server.trusts_loopback = options->trusts_loopback;
  server.allow_hosts = options->allow_hosts;
  return fluxbp_server_create(&server, &dashboard->server);
}

static int watch_gateways(struct dashboard *dashboard) {
  const struct options *options = dashboard->options;
  int err = 0;
  for (size_t i = 0; i < options->gateway_count && err == 0; i++) {
    err = gateway_watch_init(&dashboard->gateways[i], &options->gateways[i], &dashboard->loop, dashboard->server, i);
    dashboard->gateway_count++;
  }
  return err;
}

/* Return who may act, for the log. */
static const char *actions_of(const struct options *options) {
  if (options->login_token[0] != '\0') return "login";
  if (!options->is_on_loopback) return "off";
  return options->everybody_may_act ? "everybody" : options->trusts_loopback ? "loopback" : "off";
}

/* Begin to listen, and print the ready line. */
static enum exit_code start_listening(struct dashboard *dashboard) {
  const struct options *options = dashboard->options;
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  int listener = fluxbp_server_listen(dashboard->server, options->listen, FLUXBP_SPEAK_HTTP);
  if (listener < 0) {
    fprintf(stderr, "dashboard: cannot listen on %s: %s: choose another address with --listen HOST:PORT\n",
            options->listen, uv_strerror(listener));
    return EXIT_CODE_BIND;
  }
  fluxbp_server_address(dashboard->server, listener, text);
  snprintf(dashboard->cookie, sizeof dashboard->cookie, "fluxbp_login_%s", strrchr(text, ':') + 1);
  printf("ready http://%s\n", text);
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("http", text));
  log_event(LOG_LEVEL_INFO, "listening", log_word("http", text), log_number("gateways", dashboard->gateway_count),
            log_word("actions", actions_of(options)));
  return EXIT_CODE_OK;
}

static void init_handles(struct dashboard *dashboard) {
  uv_loop_t *loop = &dashboard->loop;
  uv_signal_init(loop, &dashboard->on_sigterm);
  uv_signal_init(loop, &dashboard->on_sigint);
  uv_timer_init(loop, &dashboard->ticker);
  dashboard->on_sigterm.data = dashboard->on_sigint.data = dashboard->ticker.data = dashboard;
}

static enum exit_code start_dashboard(struct dashboard *dashboard) {
  dashboard->forwards.loop = &dashboard->loop;
  int err = uv_signal_start(&dashboard->on_sigterm, on_signal, SIGTERM);
  if (err == 0) err = uv_signal_start(&dashboard->on_sigint, on_signal, SIGINT);
  if (err == 0) err = uv_timer_start(&dashboard->ticker, on_tick, TICK_MS, TICK_MS);
  if (err == 0) err = watch_gateways(dashboard);
  return err == 0 ? start_listening(dashboard) : fail_to_start(err);
}

/* Serve until a signal comes. */
static enum exit_code run_dashboard(struct dashboard *dashboard, const struct options *options) {
  enum exit_code exit_code;
  dashboard->options = options;
  int err = uv_loop_init(&dashboard->loop);
  if (err != 0) return fail_to_start(err);
  init_handles(dashboard);
  err = fluxbp_logins_create(LOGIN_SECONDS, &dashboard->logins);
  if (err == 0) err = create_server(dashboard);
  if (err == 0) {
    exit_code = start_dashboard(dashboard);
    if (exit_code != EXIT_CODE_OK) stop_dashboard(dashboard);
  } else {
    exit_code = fail_to_start(err);
    close_handles(dashboard);
  }
  uv_run(&dashboard->loop, UV_RUN_DEFAULT);
  err = uv_loop_close(&dashboard->loop);
  assert(err == 0 && "a handle was left open");
  fluxbp_logins_free(dashboard->logins);
  log_report_suppressed();
  return exit_code;
}

int main(int argc, char **argv) {
  static struct dashboard dashboard;
  static struct options options;
  enum options_outcome outcome = options_parse(&options, argc, argv);
  if (outcome != OPTIONS_RUN) return outcome == OPTIONS_DONE ? EXIT_CODE_OK : EXIT_CODE_USAGE;
  signal(SIGPIPE, SIG_IGN); /* a browser that goes away must not end the program */
  return (int) run_dashboard(&dashboard, &options);
}
