/* SPDX-License-Identifier: MIT */
/*
 * main: the gateway: a server of libfluxbp-server with options, standard input, the service manager and signals around
 * it.
 */
#include "common/log.h"
#include "common/server_log.h"
#include "feed.h"
#include "options.h"
#include "process.h"
#include "systemd.h"

#include <fluxbp/nats.h>
#include <fluxbp/server.h>

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOUSEKEEPING_MS 1000
#define PROBLEM_BYTES 512

struct gateway {
  struct options options;
  uv_loop_t loop;
  fluxbp_server_t *server; /* NULL: not made yet, or closed */
  fluxbp_tokens_t *tokens;
  fluxbp_keys_t *keys;
  fluxbp_tls_t *tls;
  struct feed feed;
  uv_signal_t on_sigterm, on_sigint, on_sighup;
  uv_timer_t housekeeping;
  uv_async_t clients_are_there; /* as many as --wait-clients says */
  bool is_stopping;
  enum exit_code exit_code;
};

/* What the server reports. */

static void on_log(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                   size_t count) {
  if (strcmp(event, "backbone_unusable") == 0) { /* the program is about to end: tell a person */
    fprintf(stderr, "gateway: %s\n", fields[0].text);
    return;
  }
  server_log_write(user, level, event, fields, count);
}

static void log_summary(const struct gateway *gateway) {
  const struct feed *feed = &gateway->feed;
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(gateway->server, &stats);
  const fluxbp_metrics_t *metrics = &stats.metrics;
  const uint64_t *evicted = metrics->evictions;
  uint64_t evictions = 0;
  for (size_t reason = 0; reason < FLUXBP_EVICT_REASON_COUNT; reason++) evictions += evicted[reason];
  log_event(LOG_LEVEL_INFO, "summary", log_number("lines", feed->published),
            log_number("skipped_long", feed->skipped_long), log_number("skipped_empty", feed->skipped_empty),
            log_number("published", metrics->published), log_number("accepted", metrics->accepted),
            log_number("written", metrics->written), log_number("dropped", metrics->dropped),
            log_number("discarded", metrics->discarded), log_number("queued", metrics->queued),
            log_number("written_bytes", metrics->written_bytes), log_number("writes", metrics->writes),
            log_number("clients", metrics->opened), log_number("refused", stats.refused),
            log_number("evictions", evictions), log_number("stalled", evicted[FLUXBP_EVICT_STALLED]),
            log_number("slow", evicted[FLUXBP_EVICT_SLOW]), log_number("lag", evicted[FLUXBP_EVICT_LAG]),
            log_number("overflow", evicted[FLUXBP_EVICT_OVERFLOW]), log_number("budget", evicted[FLUXBP_EVICT_BUDGET]),
            log_number("unreachable", evicted[FLUXBP_EVICT_UNREACHABLE]), log_number("commands", stats.commands),
            log_number("read_pauses", stats.read_pauses), log_number("peak_bytes", stats.pool.peak_used_bytes));
}

/* The end. */

static void close_handles(struct gateway *gateway) {
  feed_close(&gateway->feed);
  uv_close((uv_handle_t *) &gateway->on_sigterm, NULL);
  uv_close((uv_handle_t *) &gateway->on_sigint, NULL);
  uv_close((uv_handle_t *) &gateway->on_sighup, NULL);
  uv_close((uv_handle_t *) &gateway->housekeeping, NULL);
  uv_close((uv_handle_t *) &gateway->clients_are_there, NULL);
  systemd_watchdog_close();
}

static void on_closed(fluxbp_server_t *server) {
  struct gateway *gateway = fluxbp_server_user(server);
  log_report_suppressed();
  if (gateway->exit_code != EXIT_CODE_BIND) log_summary(gateway);
  gateway->server = NULL;
  close_handles(gateway);
}

static void stop_gateway(struct gateway *gateway, enum exit_code exit_code, const char *reason) {
  gateway->is_stopping = true;
  gateway->exit_code = exit_code;
  systemd_stopping();
  log_event(LOG_LEVEL_INFO, "stopping", log_phrase("reason", reason),
            log_number("clients", fluxbp_server_session_count(gateway->server)),
            log_number("drain_ms", gateway->options.drain_ms));
  feed_close(&gateway->feed);
  fluxbp_server_close(gateway->server, gateway->options.drain_ms, on_closed);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct gateway *gateway = handle->data;
  if (!gateway->is_stopping) {
    stop_gateway(gateway, EXIT_CODE_OK, strsignal(number));
    return;
  }
  log_event(LOG_LEVEL_WARN, "stopped", log_phrase("reason", "second signal"));
  _exit(EXIT_CODE_RUNTIME);
}

static void on_backbone_failure(fluxbp_server_t *server, const char *reason) {
  struct gateway *gateway = fluxbp_server_user(server);
  if (!gateway->is_stopping) stop_gateway(gateway, EXIT_CODE_RUNTIME, reason);
}

static void stop_after_input(fluxbp_server_t *server) {
  struct gateway *gateway = fluxbp_server_user(server);
  bool is_complete = gateway->exit_code == EXIT_CODE_OK;
  stop_gateway(gateway, gateway->exit_code, is_complete ? "end of input" : "standard input cannot be read");
}

static void on_feed_end(struct feed *feed, int status) {
  struct gateway *gateway = feed->user;
  if (!gateway->options.once) return;
  gateway->exit_code = status == 0 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
  if (gateway->options.server.patience_ms == 0) /* live: no client is waited for */
    stop_after_input(gateway->server);
  else
    fluxbp_server_finish(gateway->server, stop_after_input);
}

/* The beginning. */

static enum exit_code fail_to_start(const char *what, int err, const char *advice) {
  fprintf(stderr, "gateway: %s: %s%s%s\n", what, uv_strerror(err), advice != NULL ? ": " : "",
          advice != NULL ? advice : "");
  return EXIT_CODE_RUNTIME;
}

static void on_housekeeping(uv_timer_t *timer) {
  (void) timer;
  log_report_suppressed();
}

static void begin_to_feed(uv_async_t *async) {
  struct gateway *gateway = async->data;
  feed_start(&gateway->feed);
}

/* On the client's thread. */
static void on_open(fluxbp_session_t *session) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct gateway *gateway = fluxbp_server_user(server);
  uint64_t wanted = gateway->options.wait_clients;
  if (wanted > 0 && fluxbp_server_session_count(server) >= wanted) uv_async_send(&gateway->clients_are_there);
}

/* A page for a browser that comes by. */
static int on_request(fluxbp_request_t *request) {
  static const char page[] =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>fluxbp gateway</title>\n"
      "<h1>fluxbp gateway</h1>\n<p>Open this browser's console and paste:</p>\n"
      "<pre>ws = new WebSocket(location.origin.replace('http', 'ws') + '/ws'); ws.onmessage = m =&gt; "
      "console.log(m.data)</pre>\n"
      "<p>Then, in a terminal:</p>\n<pre>curl -d hello 'localhost:9001/api/v1/publish?topic=news'</pre>\n";
  static const char wrong[] = "{\"error\":\"not with this method\"}";
  const char *method = fluxbp_request_method(request);
  if (!fluxbp_text_is(fluxbp_request_path(request), "/")) return UV_ENOENT;
  if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
    (void) fluxbp_request_add_header(request, "Allow", "GET");
    fluxbp_request_answer(request, 405, "application/json", wrong, sizeof wrong - 1);
    return 0;
  }
  fluxbp_request_answer(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
  return 0;
}

static const fluxbp_server_handlers_t handlers = {
    .size = sizeof handlers, .on_open = on_open, .on_request = on_request};

static enum exit_code fail_to_listen(const char *name, const char *address, int err) {
  const char *advice = "choose another address";
  if (err == UV_EADDRINUSE)
    advice = "stop the other server or choose another port";
  else if (err == UV_EACCES)
    advice = "choose a port from 1024 on";
  else if (err == UV_EADDRNOTAVAIL)
    advice = "no interface has that address; choose another one";
  fprintf(stderr, "gateway: cannot listen on %s: %s: %s with --%s HOST:PORT\n",
          address != NULL ? address : "the given socket", uv_strerror(err), advice, name);
  return EXIT_CODE_BIND;
}

/* Where the options say, or on what the service manager has opened; then the ready line. */
static enum exit_code listen_everywhere(struct gateway *gateway) {
  int listeners[DOORS];
  for (size_t i = 0; i < DOORS; i++) {
    const char *address = door_text(&gateway->options, &doors[i]);
    int inherited = systemd_listen_fd(doors[i].name);
    listeners[i] = -1;
    if (address == NULL && inherited < 0) continue;
    listeners[i] = inherited >= 0 ? fluxbp_server_adopt(gateway->server, inherited, doors[i].speak)
                                  : fluxbp_server_listen(gateway->server, address, doors[i].speak);
    if (listeners[i] < 0) return fail_to_listen(doors[i].name, address, listeners[i]);
  }
  printf("ready");
  for (size_t i = 0; i < DOORS; i++) {
    char text[FLUXBP_ADDRESS_TEXT_BYTES];
    if (listeners[i] < 0) continue;
    fluxbp_server_address(gateway->server, listeners[i], text);
    printf(" %s=%s", doors[i].name, text);
    log_event(LOG_LEVEL_INFO, "listening", log_word("door", doors[i].name), log_word("address", text),
              log_number("max_connections", gateway->options.server.max_connections));
  }
  printf("\n");
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("to", "standard output"));
  return EXIT_CODE_OK;
}

static enum exit_code create_server(struct gateway *gateway) {
  fluxbp_server_options_t *options = &gateway->options.server;
  options->loop = &gateway->loop;
  options->handlers = &handlers;
  options->on_log = on_log;
  options->on_backbone_failure = on_backbone_failure;
  options->user = gateway;
  options->tokens = gateway->tokens;
  options->keys = gateway->keys;
  options->tls = gateway->tls;
  gateway->options.nats.name = "fluxbp gateway";
  gateway->options.nats.url = gateway->options.nats_url;
  int err = gateway->options.nats_url != NULL ? fluxbp_nats_create(&gateway->options.nats, &options->backbone) : 0;
  if (err == UV_ENOTSUP) {
    fputs("gateway: --nats: this gateway was built without libnats (Debian's libnats-dev)\n", stderr);
    return EXIT_CODE_RUNTIME;
  }
  if (err == 0) err = fluxbp_server_create(options, &gateway->server);
  if (err == 0)
    err = fluxbp_server_follow_files(gateway->server, gateway->options.tokens_path, gateway->options.keys_path);
  if (err == 0) return EXIT_CODE_OK;
  return err == UV_ENOTCONN ? EXIT_CODE_RUNTIME
                            : fail_to_start("cannot start", err, NULL); /* the backbone was told of */
}

static enum exit_code open_feed(struct gateway *gateway) {
  struct feed *feed = &gateway->feed;
  feed->server = gateway->server;
  feed->topic = gateway->options.server.topic;
  feed->max_message = (uint32_t) gateway->options.server.max_message;
  feed->on_end = on_feed_end;
  feed->user = gateway;
  int err = feed_open(feed, &gateway->loop, STDIN_FILENO);
  return err == 0 ? EXIT_CODE_OK
                  : fail_to_start("cannot read standard input", err, "give --stdin a file, a pipe or a terminal");
}

static void on_sighup(uv_signal_t *handle, int number) {
  struct gateway *gateway = handle->data;
  (void) number;
  if (gateway->server != NULL) fluxbp_server_reload(gateway->server);
}

static enum exit_code start(struct gateway *gateway) {
  enum exit_code exit_code = create_server(gateway);
  if (exit_code != EXIT_CODE_OK) return exit_code;
  uv_signal_start(&gateway->on_sigterm, on_signal, SIGTERM);
  uv_signal_start(&gateway->on_sigint, on_signal, SIGINT);
  /* without files to read again the signal ends the program, but no service */
  bool has_files = gateway->tokens != NULL || gateway->keys != NULL || gateway->tls != NULL;
  if (has_files || getenv("NOTIFY_SOCKET") != NULL) uv_signal_start(&gateway->on_sighup, on_sighup, SIGHUP);
  if (gateway->options.feeds_stdin) exit_code = open_feed(gateway);
  if (exit_code == EXIT_CODE_OK) exit_code = listen_everywhere(gateway);
  if (exit_code != EXIT_CODE_OK) return exit_code;
  uv_timer_start(&gateway->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
  log_event(LOG_LEVEL_INFO, "started", log_number("threads", gateway->options.server.threads),
            log_number("patience_ms", gateway->options.server.patience_ms));
  int err = systemd_watchdog(&gateway->loop);
  if (err != 0) return fail_to_start("cannot start", err, NULL);
  systemd_ready("serving");
  if (gateway->options.wait_clients == 0) feed_start(&gateway->feed);
  return EXIT_CODE_OK;
}

static void init_handles(struct gateway *gateway) {
  uv_signal_init(&gateway->loop, &gateway->on_sigterm);
  uv_signal_init(&gateway->loop, &gateway->on_sigint);
  uv_signal_init(&gateway->loop, &gateway->on_sighup);
  uv_timer_init(&gateway->loop, &gateway->housekeeping);
  uv_async_init(&gateway->loop, &gateway->clients_are_there, begin_to_feed);
  gateway->on_sigterm.data = gateway->on_sigint.data = gateway->on_sighup.data = gateway;
  gateway->clients_are_there.data = gateway;
}

static enum exit_code run_gateway(struct gateway *gateway) {
  int err = uv_loop_init(&gateway->loop);
  if (err != 0) return fail_to_start("cannot start", err, NULL);
  init_handles(gateway);
  gateway->exit_code = start(gateway);
  if (gateway->exit_code != EXIT_CODE_OK && gateway->server != NULL)
    fluxbp_server_close(gateway->server, 0, on_closed);
  else if (gateway->exit_code != EXIT_CODE_OK)
    close_handles(gateway);
  uv_run(&gateway->loop, UV_RUN_DEFAULT);
  err = uv_loop_close(&gateway->loop);
  assert(err == 0 && "a handle was left open");
  feed_free(&gateway->feed);
  log_report_suppressed();
  return gateway->exit_code;
}

/* TLS takes certificates, and certificates a door. The service manager may have opened it, which --check-config can't
 * know. */
static enum exit_code check_doors(const struct options *options) {
  const char *with_tls = NULL;
  for (size_t i = 0; i < DOORS; i++)
    if (door_is_tls(&doors[i]) && (door_text(options, &doors[i]) != NULL || systemd_listen_fd(doors[i].name) >= 0))
      with_tls = doors[i].name;
  bool has_certificates = options->tls_certificates.count > 0;
  if (has_certificates == (with_tls != NULL)) return EXIT_CODE_OK;
  if (has_certificates)
    fputs("gateway: --tls-cert is for TLS, and no address speaks that: add --http-tls HOST:PORT or --tcp-tls "
          "HOST:PORT\n",
          stderr);
  else
    fprintf(stderr, "gateway: the socket \"%s\" takes a certificate: add --tls-cert FILE and --tls-key FILE\n",
            with_tls);
  return EXIT_CODE_USAGE;
}

static enum exit_code read_certificates(struct gateway *gateway) {
  char problem[PROBLEM_BYTES];
  fluxbp_tls_certificate_t certificates[FLUXBP_TLS_CERTIFICATES_MAX];
  struct options *options = &gateway->options;
  for (size_t i = 0; i < options->tls_certificates.count; i++)
    certificates[i] = (fluxbp_tls_certificate_t){options->tls_certificates.texts[i], options->tls_keys.texts[i]};
  options->tls.certificates = certificates;
  options->tls.certificate_count = options->tls_certificates.count;
  int err = fluxbp_tls_create(&options->tls, &gateway->tls, problem, sizeof problem);
  options->tls.certificates = NULL;
  if (err == 0) return EXIT_CODE_OK;
  fprintf(stderr, "gateway: TLS: %s\n", problem);
  return EXIT_CODE_USAGE;
}

/* The options are right; the files that they name may not be. */
static enum exit_code read_files(struct gateway *gateway) {
  char problem[PROBLEM_BYTES]; /* begins with the path */
  const struct options *options = &gateway->options;
  if (options->tokens_path != NULL) {
    gateway->tokens = fluxbp_tokens_read(options->tokens_path, problem, sizeof problem);
    if (gateway->tokens == NULL) fprintf(stderr, "gateway: --tokens %s\n", problem);
    if (gateway->tokens == NULL) return EXIT_CODE_USAGE;
  }
  if (options->keys_path != NULL) {
    gateway->keys = fluxbp_keys_read(options->keys_path, problem, sizeof problem);
    if (gateway->keys == NULL) fprintf(stderr, "gateway: --jwt-keys %s\n", problem);
    if (gateway->keys == NULL) return EXIT_CODE_USAGE;
  }
  return options->tls_certificates.count > 0 ? read_certificates(gateway) : EXIT_CODE_OK;
}

static enum exit_code prepare(struct gateway *gateway, bool stdin_is_open) {
  if (gateway->options.feeds_stdin && !stdin_is_open) {
    fputs("gateway: standard input is closed: give --stdin a file, a pipe or a terminal\n", stderr);
    return EXIT_CODE_RUNTIME;
  }
  enum exit_code exit_code = check_doors(&gateway->options);
  if (exit_code != EXIT_CODE_OK) return exit_code;
  return process_limit_connections(&gateway->options) ? read_files(gateway) : EXIT_CODE_RUNTIME;
}

int main(int argc, char **argv) {
  static struct gateway gateway; /* with its buffers too large for some stacks */
  bool stdin_is_open;
  if (!process_fill_standard_descriptors(&stdin_is_open)) return EXIT_CODE_RUNTIME; /* there is nowhere to say so */
  enum options_outcome outcome = options_parse(&gateway.options, argc, argv);
  if (outcome == OPTIONS_DONE) return EXIT_CODE_OK;
  if (outcome == OPTIONS_REFUSED) return EXIT_CODE_USAGE;

  /* A write to a client that has gone must not end the process; libuv doesn't prevent it. */
  signal(SIGPIPE, SIG_IGN);
  enum exit_code exit_code = outcome == OPTIONS_CHECK ? read_files(&gateway) : prepare(&gateway, stdin_is_open);
  if (exit_code == EXIT_CODE_OK && outcome == OPTIONS_CHECK) puts("configuration is good");
  if (exit_code == EXIT_CODE_OK && outcome == OPTIONS_RUN) exit_code = run_gateway(&gateway);
  fluxbp_tokens_free(gateway.tokens);
  fluxbp_keys_free(gateway.keys);
  fluxbp_tls_free(gateway.tls);
  options_free(&gateway.options);
  return (int) exit_code;
}
