/* SPDX-License-Identifier: MIT */
/*
 * foreign_client: a client of fluxbp/client.h for servers that aren't ours. It says on standard output what it is
 * told, a line each, sends each line of standard input as a message, and closes with code 4321 at its end.
 *
 *   foreign_client URL [SUBPROTOCOLS [FIRST_MESSAGE]]       $CA: a file of authorities to trust, for TLS
 */
#include <fluxbp/client.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fluxbp_client_t *client;
static uv_pipe_t input;
static char line[1 << 20];
static size_t line_length;

static void say(const char *what, const char *data, size_t length) {
  if (length > 200)
    printf("%s %zu bytes\n", what, length);
  else
    printf("%s %.*s\n", what, (int) length, data != NULL ? data : "");
  fflush(stdout);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void) handle;
  (void) suggested;
  *buffer = uv_buf_init(line + line_length, (unsigned) (sizeof line - line_length));
}

static void on_input(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  char *newline;
  (void) buffer;
  if (length < 0) {
    uv_close((uv_handle_t *) stream, NULL);
    if (client != NULL) fluxbp_client_close(client, 4321, "enough", 5000);
    return;
  }
  line_length += (size_t) length;
  while ((newline = memchr(line, '\n', line_length)) != NULL) {
    size_t taken = (size_t) (newline - line);
    int is_binary = taken > 0 && line[0] == '\1';
    if (client != NULL) fluxbp_client_send(client, line, taken, is_binary);
    memmove(line, newline + 1, line_length - taken - 1);
    line_length -= taken + 1;
  }
}

static void on_open(fluxbp_client_t *opened) {
  fluxbp_client_stats_t stats;
  fluxbp_client_get_stats(opened, &stats);
  say("open", fluxbp_client_position(opened), strlen(fluxbp_client_position(opened)));
  if (stats.opens == 1) uv_read_start((uv_stream_t *) &input, lend_buffer, on_input);
}

static void on_message(fluxbp_client_t *told, const fluxbp_client_event_t *message) {
  (void) told;
  say(message->is_binary ? "binary" : "message", message->data, message->length);
}

static void on_disconnect(fluxbp_client_t *told, const fluxbp_client_disconnect_t *end) {
  (void) told;
  printf("disconnect %d %s%s%s\n", end->code, end->problem, end->reason[0] != '\0' ? ": " : "", end->reason);
  fflush(stdout);
}

static void on_close(fluxbp_client_t *closed, int status) {
  (void) closed;
  client = NULL;
  printf("close %d\n", status);
  fflush(stdout);
  if (!uv_is_closing((uv_handle_t *) &input)) uv_close((uv_handle_t *) &input, NULL);
}

static const fluxbp_client_handlers_t handlers = {.size = sizeof handlers,
                                                  .on_open = on_open,
                                                  .on_message = on_message,
                                                  .on_disconnect = on_disconnect,
                                                  .on_close = on_close};

static fluxbp_client_tls_t *make_tls(void) {
  fluxbp_client_tls_options_t options;
  fluxbp_client_tls_t *tls = NULL;
  char problem[256];
  fluxbp_client_tls_options_init(&options);
  options.ca_file = getenv("CA");
  if (fluxbp_client_tls_create(&options, &tls, problem, sizeof problem) != 0)
    fprintf(stderr, "foreign_client: %s\n", problem);
  return tls;
}

int main(int argc, char **argv) {
  fluxbp_client_options_t options;
  signal(SIGPIPE, SIG_IGN);
  if (argc < 2) return 2;
  fluxbp_client_options_init(&options);
  options.url = argv[1];
  options.dialect = FLUXBP_CLIENT_DIALECT_PLAIN;
  options.handlers = &handlers;
  options.ping_interval_ms = 200;
  fluxbp_client_tls_t *tls = make_tls();
  options.tls = tls;
  if (argc > 2 && argv[2][0] != '\0') options.subprotocols = argv[2];
  if (argc > 3) options.first_message = argv[3];
  if (argc > 3) options.first_message_length = strlen(argv[3]);
  uv_pipe_init(uv_default_loop(), &input, 0);
  uv_pipe_open(&input, 0);
  int error = fluxbp_client_create(uv_default_loop(), &options, &client);
  fluxbp_client_tls_free(tls);
  if (error == 0) error = fluxbp_client_connect(client);
  if (error != 0) fprintf(stderr, "foreign_client: %s\n", uv_strerror(error));
  return error != 0 || uv_run(uv_default_loop(), UV_RUN_DEFAULT) != 0;
}
