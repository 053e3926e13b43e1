/* SPDX-License-Identifier: MIT */
/*
 * tls: a clock for browsers and programs, over TLS: https://localhost:9443 and wss://localhost:9443/ws.
 *
 *   tls CERTIFICATE KEY [HOST:PORT]
 *
 *   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
 *     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem
 *   build/examples/tls cert.pem key.pem &
 *   curl -N --cacert cert.pem https://localhost:9443/sse
 *
 * SIGHUP reads the files again, as after a renewal of the certificate: connections that are there go on.
 */
#include <fluxbp/server.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DRAIN_MS 1000
#define PERIOD_MS 1000

static const char page[] = "<!doctype html><meta charset=utf-8><title>tls</title><h1 id=time></h1><script>\n"
                           "new WebSocket(`wss://${location.host}/ws`).onmessage = ({data}) => "
                           "document.getElementById('time').innerText = data\n"
                           "</script>\n";

struct program {
  fluxbp_server_t *server;
  uv_timer_t timer;
  uv_signal_t signals[3];
};

static int on_request(fluxbp_request_t *request) {
  if (!fluxbp_text_is(fluxbp_request_path(request), "/")) return UV_ENOENT; /* the server answers with 404 */
  fluxbp_request_answer(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
  return 0;
}

static void on_timer(uv_timer_t *timer) {
  const struct program *program = timer->data;
  char text[32];
  time_t now = time(NULL);
  size_t length = strftime(text, sizeof text, "%H:%M:%S", localtime(&now));
  (void) fluxbp_server_publish(program->server, "time", NULL, text, length); /* a tick without room is left out */
}

static void on_signal(uv_signal_t *handle, int number) {
  struct program *program = handle->data;
  if (number == SIGHUP) {
    fluxbp_server_reload(program->server); /* on_log is told how that went */
    return;
  }
  for (int i = 0; i < 3; i++) uv_close((uv_handle_t *) &program->signals[i], NULL);
  uv_close((uv_handle_t *) &program->timer, NULL);
  fluxbp_server_close(program->server, DRAIN_MS, NULL); /* the loop ends when the server is closed */
}

static void on_log(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                   size_t count) {
  (void) user;
  if (level == FLUXBP_LOG_DEBUG) return;
  fprintf(stderr, "tls: %s", event);
  for (size_t i = 0; i < count; i++)
    if (fields[i].text != NULL) fprintf(stderr, " %s=\"%s\"", fields[i].name, fields[i].text);
  fputc('\n', stderr);
}

static int start_handles(struct program *program, uv_loop_t *loop) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  int err = uv_timer_init(loop, &program->timer);
  if (err == 0) err = uv_timer_start(&program->timer, on_timer, PERIOD_MS, PERIOD_MS);
  for (int i = 0; i < 3 && err == 0; i++) {
    err = uv_signal_init(loop, &program->signals[i]);
    program->signals[i].data = program;
    if (err == 0) err = uv_signal_start(&program->signals[i], on_signal, numbers[i]);
  }
  program->timer.data = program;
  return err;
}

int main(int argc, char **argv) {
  static const fluxbp_server_handlers_t handlers = {.size = sizeof handlers, .on_request = on_request};
  static struct program program;
  char problem[256], address[FLUXBP_ADDRESS_TEXT_BYTES];
  uv_loop_t *loop = uv_default_loop();
  fluxbp_tls_t *tls;
  if (argc < 3) return fputs("usage: tls CERTIFICATE KEY [HOST:PORT]\n", stderr), 2;
  signal(SIGPIPE, SIG_IGN); /* a client that goes away must not end the program */

  const fluxbp_tls_certificate_t certificate = {.certificate = argv[1], .key = argv[2]};
  fluxbp_tls_options_t tls_options;
  fluxbp_tls_options_init(&tls_options);
  tls_options.certificates = &certificate;
  tls_options.certificate_count = 1;
  if (fluxbp_tls_create(&tls_options, &tls, problem, sizeof problem) != 0)
    return fprintf(stderr, "tls: %s\n", problem), 2;

  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = loop;
  options.handlers = &handlers;
  options.on_log = on_log;
  options.topic = "time"; /* of clients that ask for none */
  options.tls = tls;
  int listener = -1;
  int err = fluxbp_server_create(&options, &program.server);
  if (err == 0)
    listener = fluxbp_server_listen(program.server, argc > 3 ? argv[3] : "127.0.0.1:9443", FLUXBP_SPEAK_HTTP_TLS);
  if (listener < 0 && err == 0) err = listener;
  if (err == 0) err = start_handles(&program, loop);
  if (err != 0) return fprintf(stderr, "tls: cannot start: %s\n", uv_strerror(err)), 1;
  fluxbp_server_address(program.server, listener, address);
  printf("tls: a clock at https://%s\n", address);
  (void) fflush(stdout);
  err = uv_run(loop, UV_RUN_DEFAULT);
  fluxbp_tls_free(tls);
  return err;
}
