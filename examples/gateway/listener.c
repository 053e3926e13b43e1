/* SPDX-License-Identifier: MIT */
/*
 * listener: accepts as fast as clients come, whether the server is full or not: a client in the kernel's queue would
 * hang without a word.
 */
#include "listener.h"

#include "common/address.h"
#include "common/log.h"

#define BACKLOG 4096 /* the kernel makes it net.core.somaxconn if that is less */
#define RETRY_MS 100

static void log_failure(int err) {
  log_event(LOG_LEVEL_WARN, "accept_failed", log_phrase("error", uv_strerror(err)));
}

/* libuv doesn't look for new connections until the one that waits was accepted: it is tried again until it works. */
static void on_retry(uv_timer_t *timer) {
  struct listener *listener = timer->data;
  int err = clients_accept(listener->clients, (uv_stream_t *) &listener->tcp);
  if (err == 0) return;
  log_failure(err);
  uv_timer_start(timer, on_retry, RETRY_MS, 0);
}

static void on_connection(uv_stream_t *server, int status) {
  struct listener *listener = server->data;
  if (status < 0) {
    log_failure(status);
    return;
  }
  on_retry(&listener->retry);
}

int listener_open(struct listener *listener, uv_loop_t *loop, struct clients *clients, const struct sockaddr *address) {
  listener->clients = clients;
  int err = uv_tcp_init(loop, &listener->tcp);
  if (err != 0) return err;
  uv_timer_init(loop, &listener->retry);
  listener->tcp.data = listener;
  listener->retry.data = listener;
  listener->is_open = true;
  err = uv_tcp_bind(&listener->tcp, address, 0);
  if (err != 0) return err;
  return uv_listen((uv_stream_t *) &listener->tcp, BACKLOG, on_connection);
}

void listener_address(const struct listener *listener, char *text, size_t size) {
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  uv_tcp_getsockname(&listener->tcp, (struct sockaddr *) &address, &length);
  address_format((const struct sockaddr *) &address, text, size);
}

void listener_close(struct listener *listener) {
  if (!listener->is_open) return;
  listener->is_open = false;
  uv_close((uv_handle_t *) &listener->tcp, NULL);
  uv_close((uv_handle_t *) &listener->retry, NULL);
}
