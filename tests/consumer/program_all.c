/* SPDX-License-Identifier: MIT */
/*
 * A program of a user's with the archives of several libraries in it, HAS_NAME for each. Its own functions have names
 * that these libraries use inside, or that come with a library which became a part of them.
 */
#ifdef HAS_CLIENT
#include <fluxbp/client.h>
#endif
#ifdef HAS_SERVER
#include <fluxbp/server.h>
#endif
#ifdef HAS_NATS
#include <fluxbp/nats.h>
#endif
#include <fluxbp/fluxbp.h>

int llhttp_init(void);
int llhttp_execute(void);
int options_init(void);
int text_print(void);
int server_start(void);

int llhttp_init(void) {
  return 1;
}
int llhttp_execute(void) {
  return 1;
}
int options_init(void) {
  return 1;
}
int text_print(void) {
  return 1;
}
int server_start(void) {
  return 1;
}

int main(void) {
#ifdef HAS_CLIENT
  fluxbp_client_url_t url;
  if (fluxbp_client_url_parse("ws://localhost:9001/ws", &url, NULL) != 0 || url.port != 9001) return 1;
#endif
#ifdef HAS_SERVER
  fluxbp_server_options_t options;
  fluxbp_server_t *server;
  fluxbp_server_options_init(&options);
  options.loop = NULL;
  if (fluxbp_server_create(&options, &server) != UV_EINVAL) return 1;
#endif
#ifdef HAS_NATS
  if (fluxbp_nats_subject_is_right("fluxbp.>") != 1) return 1;
#endif
  return llhttp_init() + llhttp_execute() + options_init() + text_print() + server_start() == 5 ? 0 : 1;
}
