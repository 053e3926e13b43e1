/* SPDX-License-Identifier: MIT */
/*
 * listeners: see the header.
 */
#include "listeners.h"

#include "common/log.h"
#include "server/permissions/access.h"
#include "systemd.h"

#include <stdio.h>

static const char *const option_names[DOOR_COUNT] = {"tcp", "tcp-length", "http"};

static const char *text_of(const struct options *options, enum door door) {
  const char *const texts[DOOR_COUNT] = {options->tcp_text, options->tcp_length_text, options->http_text};
  return texts[door];
}

static const struct sockaddr *address_of(const struct options *options, enum door door) {
  const struct sockaddr_storage *const addresses[DOOR_COUNT] = {&options->tcp, &options->tcp_length, &options->http};
  return (const struct sockaddr *) addresses[door];
}

/* Sockets of all doors together, so that there is always a descriptor for the next one to be told why not. */
static const char *refusal_of(fluxbp_server_t *server, enum door door) {
  size_t limit = server->max_connections + (door == DOOR_HTTP ? HTTP_RESERVE : 0);
  return atomic_fetch_add(&server->connections, 1) < limit ? NULL : "server full; try again later";
}

static void take(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer, fluxbp_permit_t permit,
                 const char *refusal) {
  const struct door_listener *door = fluxbp_listener_user(listener);
  const char *full = refusal_of(door->listeners->server, door->door);
  if (refusal == NULL) refusal = full;
  struct arrival arrival = {
      .permit = permit, .fd = fd, .peer = peer_address_of(peer), .door = door->door, .refusal = refusal};
  shards_take(door->listeners->shards, &arrival);
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  take(listener, fd, peer, permit, NULL);
}

static int on_refused(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_refusal_t reason, fluxbp_permit_t permit) {
  take(listener, fd, peer, permit,
       reason == FLUXBP_REFUSAL_ADDRESS ? "too many clients from your address; try again later"
                                        : "server full; try again later");
  return 1;
}

static void on_error(fluxbp_listener_t *listener, int err) {
  (void) listener;
  log_event(LOG_LEVEL_WARN, "accept_failed", log_phrase("error", uv_strerror(err)));
}

static void say_why(const struct options *options, enum door door, int err) {
  const char *name = option_names[door];
  const char *advice = "choose another address";
  if (err == UV_EADDRINUSE)
    advice = "stop the other server or choose another port";
  else if (err == UV_EACCES)
    advice = "choose a port from 1024 on";
  else if (err == UV_EADDRNOTAVAIL)
    advice = "no interface has that address; choose another one";
  const char *text = text_of(options, door);
  fprintf(stderr, "gateway: cannot listen on %s: %s: %s with --%s HOST:PORT\n",
          text != NULL ? text : "the given socket", uv_strerror(err), advice, name);
}

static int open_door(struct door_listener *door, uv_loop_t *loop, int inherited) {
  const fluxbp_server_t *server = door->listeners->server;
  fluxbp_listener_options_t options;
  fluxbp_listener_options_init(&options);
  options.pool = server->pool;
  options.on_accept = on_accept;
  options.on_refused = on_refused;
  options.on_error = on_error;
  options.max_connections = (uint32_t) server->max_connections + (door->door == DOOR_HTTP ? HTTP_RESERVE : 0);
  options.max_per_address = server->address_counts == NULL ? server->options->max_per_address : 0;
  options.accepts_per_second = server->options->accepts_per_second;
  options.user = door;
  if (inherited >= 0) return fluxbp_listener_adopt(loop, inherited, &options, &door->listener);
  return fluxbp_listener_open_tcp(loop, address_of(server->options, door->door), &options, &door->listener);
}

static void format_address(const fluxbp_listener_t *listener, char text[ADDRESS_TEXT_BYTES]) {
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  (void) fluxbp_listener_address(listener, (struct sockaddr *) &address, &length);
  address_format((const struct sockaddr *) &address, text, ADDRESS_TEXT_BYTES);
}

static void say_ready(const struct listeners *listeners) {
  printf("ready");
  for (int door = 0; door < DOOR_COUNT; door++) {
    char text[ADDRESS_TEXT_BYTES];
    if (listeners->doors[door].listener == NULL) continue;
    format_address(listeners->doors[door].listener, text);
    printf(" %s=%s", option_names[door], text);
    log_event(LOG_LEVEL_INFO, "listening", log_word("door", option_names[door]), log_word("address", text),
              log_number("max_connections", listeners->server->max_connections));
  }
  printf("\n");
  if (fflush(stdout) != 0) log_event(LOG_LEVEL_WARN, "ready_not_written", log_word("to", "standard output"));
}

/* What came from the service manager may listen elsewhere than the options say. */
static int find_roles(const struct door_listener *door, fluxbp_server_t *server) {
  struct sockaddr_storage address = {0};
  int length = sizeof address;
  int err = fluxbp_listener_address(door->listener, (struct sockaddr *) &address, &length);
  if (err != 0) return err;
  if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return UV_EINVAL;
  server->free_roles[door->door] = access_free_roles(server, (const struct sockaddr *) &address);
  return 0;
}

int listeners_open(struct listeners *listeners, uv_loop_t *loop) {
  const struct options *options = listeners->server->options;
  for (int i = 0; i < DOOR_COUNT; i++) {
    struct door_listener *door = &listeners->doors[i];
    *door = (struct door_listener){.listeners = listeners, .door = (enum door) i};
    int inherited = systemd_listen_fd(option_names[i]);
    if (text_of(options, door->door) == NULL && inherited < 0) continue;
    int err = open_door(door, loop, inherited);
    listeners->server->listeners[i] = door->listener;
    if (err == 0) err = find_roles(door, listeners->server);
    if (err != 0) {
      say_why(options, door->door, err);
      return err;
    }
  }
  say_ready(listeners);
  return 0;
}

static void close_door(struct door_listener *door) {
  if (door->listener != NULL) fluxbp_listener_close(door->listener, NULL);
  door->listener = NULL;
}

void listeners_close_subscribers(struct listeners *listeners) {
  close_door(&listeners->doors[DOOR_LINES]);
  close_door(&listeners->doors[DOOR_LENGTH]);
}

void listeners_close(struct listeners *listeners) {
  for (int door = 0; door < DOOR_COUNT; door++) close_door(&listeners->doors[door]);
}
