/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's on libfluxbp-nats: a server with a backbone at an address where there is no NATS. The server is
 * made, and publishing says that the backbone is away. Exits with 0 if it does. It includes public headers only.
 */
#include <fluxbp/nats.h>
#include <fluxbp/server.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void check(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "program: cannot %s: %s\n", what, uv_strerror(result));
  exit(1);
}

int main(void) {
  uv_loop_t loop;
  fluxbp_nats_options_t nats;
  fluxbp_server_options_t options;
  fluxbp_server_t *server;
  signal(SIGPIPE, SIG_IGN);
  check(uv_loop_init(&loop), "make a loop");
  fluxbp_server_options_init(&options);
  fluxbp_nats_options_init(&nats);
  nats.url = "nats://127.0.0.1:1";
  options.loop = &loop;
  check(fluxbp_nats_create(&nats, &options.backbone), "make a backbone");
  check(fluxbp_server_create(&options, &server), "make a server");
  int result = fluxbp_server_publish(server, "news", NULL, "hello", 5);
  fluxbp_server_close(server, 0, NULL);
  check(uv_run(&loop, UV_RUN_DEFAULT), "run");
  check(uv_loop_close(&loop), "close the loop");
  printf("hello from libfluxbp-nats\n");
  return result == UV_ENOTCONN ? 0 : 1;
}
