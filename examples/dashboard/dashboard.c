/* SPDX-License-Identifier: MIT */
/*
 * dashboard: makes the parts, runs the loop, takes it down again.
 */
#include "dashboard.h"

#include "common/address.h"
#include "common/log.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS 250
#define VISITORS_MAX 500 /* well below the usual limit of 1024 descriptors */

/* A browser that can't keep up has at most one event of each key in its ring: it doesn't count as backpressured for
 * that, only one that takes nothing at all is evicted. */
#define RING_BYTES ((uint64_t) 32 << 20)

static void on_hub_closed(fluxbp_hub_t *hub) {
  struct dashboard *dashboard = fluxbp_hub_user(hub);
  uv_close((uv_handle_t *) &dashboard->on_sigterm, NULL);
  uv_close((uv_handle_t *) &dashboard->on_sigint, NULL);
  uv_close((uv_handle_t *) &dashboard->ticker, NULL);
}

static void stop_dashboard(struct dashboard *dashboard) {
  if (dashboard->is_stopping) return;
  dashboard->is_stopping = true;
  if (dashboard->listener != NULL) fluxbp_listener_close(dashboard->listener, NULL);
  for (size_t i = 0; i < dashboard->gateway_count; i++) gateway_watch_stop(&dashboard->gateways[i]);
  fluxbp_hub_close(dashboard->hub, on_hub_closed);
}

static void on_signal(uv_signal_t *handle, int number) {
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", strsignal(number)));
  stop_dashboard(handle->data);
}

static void on_tick(uv_timer_t *timer) {
  struct dashboard *dashboard = timer->data;
  if (dashboard->is_stopping) return;
  forwards_tick(&dashboard->forwards);
  visitors_tick(dashboard);
  log_report_suppressed();
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  visitors_take(fluxbp_listener_user(listener), listener, fd, peer, permit);
}

static enum exit_code fail_to_start(const char *what, int err) {
  fprintf(stderr, "dashboard: %s: %s\n", what, uv_strerror(err));
  return EXIT_CODE_RUNTIME;
}

static int create_hub(struct dashboard *dashboard) {
  fluxbp_policy_t policy;
  fluxbp_hub_options_t options;
  fluxbp_policy_init(&policy);
  policy.slots = 2 * BOARD_KEYS_MAX;
  policy.max_bytes = RING_BYTES;
  fluxbp_hub_options_init(&options);
  options.policy = &policy;
  options.user = dashboard;
  return fluxbp_hub_create(&dashboard->loop, &options, &dashboard->hub);
}

static int watch_gateways(struct dashboard *dashboard) {
  char topic[32];
  int err = 0;
  for (size_t i = 0; i < dashboard->options->gateway_count && err == 0; i++) {
    snprintf(topic, sizeof topic, "gateway-%zu", i);
    err = gateway_watch_init(&dashboard->gateways[i], &dashboard->options->gateways[i], dashboard->hub, topic);
    dashboard->gateway_count++;
  }
  return err;
}

/* Begins to listen; says so. */
static enum exit_code start_listening(struct dashboard *dashboard) {
  const struct options *options = dashboard->options;
  fluxbp_listener_options_t listener_options;
  char text[ADDRESS_TEXT_BYTES];
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  fluxbp_listener_options_init(&listener_options);
  listener_options.on_accept = on_accept;
  listener_options.max_connections = VISITORS_MAX;
  listener_options.user = dashboard;
  int err = fluxbp_listener_open_tcp(&dashboard->loop, (const struct sockaddr *) &options->listen, &listener_options,
                                     &dashboard->listener);
  if (err != 0) {
    fprintf(stderr, "dashboard: cannot listen on %s: %s: choose another address with --listen HOST:PORT\n",
            options->listen_text, uv_strerror(err));
    return EXIT_CODE_BIND;
  }
  (void) fluxbp_listener_address(dashboard->listener, (struct sockaddr *) &address, &length);
  address_format((const struct sockaddr *) &address, text, sizeof text);
  printf("ready http://%s\n", text);
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("http", text));
  log_event(LOG_LEVEL_INFO, "listening", log_word("http", text), log_number("gateways", dashboard->gateway_count),
            log_word("actions", options->everybody_may_act  ? "everybody"
                                : options->this_machine_may ? "loopback"
                                                            : "off"));
  return EXIT_CODE_OK;
}

static void init_handles(struct dashboard *dashboard) {
  uv_loop_t *loop = &dashboard->loop;
  uv_signal_init(loop, &dashboard->on_sigterm);
  uv_signal_init(loop, &dashboard->on_sigint);
  uv_timer_init(loop, &dashboard->ticker);
  dashboard->on_sigterm.data = dashboard;
  dashboard->on_sigint.data = dashboard;
  dashboard->ticker.data = dashboard;
}

static enum exit_code start(struct dashboard *dashboard) {
  dashboard->forwards.loop = &dashboard->loop;
  int err = uv_signal_start(&dashboard->on_sigterm, on_signal, SIGTERM);
  if (err == 0) err = uv_signal_start(&dashboard->on_sigint, on_signal, SIGINT);
  if (err == 0) err = uv_timer_start(&dashboard->ticker, on_tick, TICK_MS, TICK_MS);
  if (err == 0) err = watch_gateways(dashboard);
  if (err != 0) return fail_to_start("cannot start", err);
  return start_listening(dashboard);
}

enum exit_code dashboard_run(struct dashboard *dashboard, const struct options *options) {
  memset(dashboard, 0, sizeof *dashboard);
  dashboard->options = options;
  int err = uv_loop_init(&dashboard->loop);
  if (err != 0) return fail_to_start("cannot start", err);
  err = create_hub(dashboard);
  if (err != 0) {
    uv_loop_close(&dashboard->loop);
    return fail_to_start("cannot start", err);
  }
  init_handles(dashboard);
  enum exit_code exit_code = start(dashboard);
  if (exit_code != EXIT_CODE_OK) stop_dashboard(dashboard);
  uv_run(&dashboard->loop, UV_RUN_DEFAULT);
  err = uv_loop_close(&dashboard->loop);
  assert(err == 0 && "a handle was left open");
  log_report_suppressed();
  return exit_code;
}
