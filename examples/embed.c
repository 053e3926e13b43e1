/* SPDX-License-Identifier: MIT */
/*
 * embed: broadcasts inside of a program that has a loop, accepts its sockets and answers HTTP requests already.
 *
 *   embed [PORT]      then: http://127.0.0.1:9001 in a browser, and curl -d hello localhost:9001/say
 *
 *   GET /       a page that shows the messages          GET /status   figures of the program
 *   POST /say   publish the body                        GET /sse      the messages as events: the server's own route
 *
 * The server of the library runs on the program's loop (threads = 0), listens nowhere, and serves the sockets that the
 * program has accepted and hands over.
 */
#include <fluxbp/server.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 128
#define DRAIN_MS 1000

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>embed</title><pre id=log></pre>\n"
    "<form><input id=text size=80 autofocus autocomplete=off></form><script>\n"
    "new EventSource('/sse').onmessage = event => document.getElementById('log').append(event.data + '\\n')\n"
    "document.forms[0].onsubmit = ({target: {text}}) => {\n"
    "  fetch('/say', {method: 'POST', body: text.value}); text.value = ''; return false\n"
    "}</script>\n";

/* The program: its handles are on its loop, beside those of the server. */
struct program {
  uv_tcp_t listener;
  uv_signal_t signals[2];
  fluxbp_server_t *server;
  unsigned accepted, published; /* sockets; messages */
};

static void answer_text(fluxbp_request_t *request, int status, const char *text) {
  fluxbp_request_answer(request, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void answer_page(struct program *program, fluxbp_request_t *request) {
  (void) program;
  (void) fluxbp_request_add_header(request, "Content-Security-Policy", "default-src 'self' 'unsafe-inline'");
  fluxbp_request_answer(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

/* The roles are for the program to check. UV_EAGAIN: there is no room now, and the client may try again. */
static void answer_say(struct program *program, fluxbp_request_t *request) {
  fluxbp_text_t body = fluxbp_request_body(request);
  int err = UV_EACCES;
  if ((fluxbp_request_roles(request) & FLUXBP_ROLE_PUBLISH) != 0)
    err = fluxbp_server_publish(program->server, "news", NULL, body.data, body.length);
  if (err == 0) program->published++;
  if (err == UV_EAGAIN) (void) fluxbp_request_add_header(request, "Retry-After", "1");
  int status = err == 0 ? 200 : err == UV_EAGAIN ? 503 : err == UV_EACCES ? 403 : 400;
  answer_text(request, status, err == 0 ? "published\n" : uv_strerror(err));
}

static void answer_status(struct program *program, fluxbp_request_t *request) {
  char text[128];
  (void) snprintf(text, sizeof text, "accepted %u\npublished %u\nsubscribers %zu\n", program->accepted,
                  program->published, fluxbp_server_session_count(program->server));
  answer_text(request, 200, text);
}

static const struct route {
  const char *path, *method;
  void (*answer)(struct program *program, fluxbp_request_t *request);
} routes[] = {{"/", "GET", answer_page}, {"/say", "POST", answer_say}, {"/status", "GET", answer_status}};

static int on_request(fluxbp_request_t *request) {
  struct program *program = fluxbp_server_user(fluxbp_session_server(fluxbp_request_session(request)));
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (!fluxbp_text_is(fluxbp_request_path(request), routes[i].path)) continue;
    if (strcmp(fluxbp_request_method(request), routes[i].method) == 0)
      routes[i].answer(program, request);
    else
      answer_text(request, 405, "use another method\n");
    return 0;
  }
  return UV_ENOENT; /* the server answers with 404 */
}

/* The program's own sockets. libuv keeps the descriptor of a handle, so the server gets a duplicate. */

static void on_handle_closed(uv_handle_t *handle) {
  free(handle);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct program *program = listener->data;
  uv_tcp_t *client = status == 0 ? malloc(sizeof *client) : NULL;
  uv_os_fd_t fd;
  int duplicate = -1;
  if (client == NULL) return;
  (void) uv_tcp_init(listener->loop, client); /* makes no socket yet, so it can't fail */
  int err = uv_accept(listener, (uv_stream_t *) client);
  if (err == 0) err = uv_fileno((const uv_handle_t *) client, &fd);
  if (err == 0 && (duplicate = dup(fd)) < 0) err = UV_EMFILE;
  if (err == 0) err = fluxbp_server_adopt_client(program->server, duplicate, FLUXBP_SPEAK_HTTP, NULL, 0);
  if (err == 0) program->accepted++;
  if (err != 0 && duplicate >= 0) (void) close(duplicate); /* the socket is still the program's */
  if (err != 0) fprintf(stderr, "embed: cannot serve a client: %s\n", uv_strerror(err));
  uv_close((uv_handle_t *) client, on_handle_closed);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct program *program = handle->data;
  (void) number;
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *) &program->signals[i], NULL);
  uv_close((uv_handle_t *) &program->listener, NULL);
  fluxbp_server_close(program->server, DRAIN_MS, NULL); /* the loop ends when the server is closed */
}

int main(int argc, char **argv) {
  static const fluxbp_server_handlers_t handlers = {.size = sizeof handlers, .on_request = on_request};
  static struct program program;
  uv_loop_t *loop = uv_default_loop();
  struct sockaddr_in address;
  int length = sizeof address;
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = loop;
  options.handlers = &handlers;
  options.user = &program;
  options.topic = "news";
  options.parts = FLUXBP_PART_SSE;
  options.trusts_loopback = 1; /* clients of this machine may publish without a token */
  signal(SIGPIPE, SIG_IGN);    /* a client that goes away must not end the program */
  program.listener.data = program.signals[0].data = program.signals[1].data = &program;

  int err = uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 9001, &address);
  if (err == 0) err = uv_tcp_init(loop, &program.listener);
  if (err == 0) err = uv_tcp_bind(&program.listener, (const struct sockaddr *) &address, 0);
  if (err == 0) err = uv_listen((uv_stream_t *) &program.listener, BACKLOG, on_connection);
  if (err == 0) err = uv_tcp_getsockname(&program.listener, (struct sockaddr *) &address, &length);
  for (int i = 0; i < 2 && err == 0; i++) {
    err = uv_signal_init(loop, &program.signals[i]);
    if (err == 0) err = uv_signal_start(&program.signals[i], on_signal, i == 0 ? SIGINT : SIGTERM);
  }
  if (err == 0) err = fluxbp_server_create(&options, &program.server);
  if (err != 0) return fprintf(stderr, "embed: cannot start: %s\n", uv_strerror(err)), 1;
  printf("embed: a page at http://127.0.0.1:%d\n", ntohs(address.sin_port));
  (void) fflush(stdout);
  return uv_run(loop, UV_RUN_DEFAULT);
}
