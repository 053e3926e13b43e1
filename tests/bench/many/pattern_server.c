/* SPDX-License-Identifier: MIT */
/*
 * pattern_server: a program on the server library whose clients subscribe to patterns, which is a program's to allow:
 * `JOIN PATTERN` and `PART PATTERN` on lines. All else is the library's, with the limits and the history of its
 * defaults.
 *
 *   pattern_server PORT      on 127.0.0.1
 */
#include <fluxbp/server.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 128, PATTERNS_MAX = 1000 };

static int on_message(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind) {
  char line[LINE_BYTES], pattern[LINE_BYTES] = "";
  (void) kind;
  (void) snprintf(line, sizeof line, "%.*s", (int) length, (const char *) data);
  int err = UV_EINVAL;
  if (sscanf(line, "JOIN %127s", pattern) == 1) err = fluxbp_session_subscribe(session, pattern);
  if (sscanf(line, "PART %127s", pattern) == 1) err = fluxbp_session_unsubscribe(session, pattern);
  if (err == 0) return 0;
  (void) snprintf(line, sizeof line, "-ERR %s", uv_strerror(err));
  return fluxbp_session_send(session, line, strlen(line));
}

int main(int argc, char **argv) {
  static const fluxbp_server_handlers_t handlers = {sizeof handlers, .on_message = on_message};
  char address[LINE_BYTES];
  fluxbp_server_t *server;
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = uv_default_loop();
  options.handlers = &handlers;
  options.trusts_loopback = 1;
  options.command_rate.per_client = 0;
  options.max_topics_per_session = PATTERNS_MAX;
  (void) signal(SIGPIPE, SIG_IGN); /* a client that goes away must not end the server */
  (void) snprintf(address, sizeof address, "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
  int err = fluxbp_server_create(&options, &server);
  if (err == 0) err = fluxbp_server_listen(server, address, FLUXBP_SPEAK_LINES);
  if (err < 0) return fprintf(stderr, "pattern_server: cannot start: %s\n", uv_strerror(err)), 1;
  return uv_run(options.loop, UV_RUN_DEFAULT);
}
