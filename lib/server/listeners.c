/* SPDX-License-Identifier: MIT */
/*
 * listeners: see the header.
 */
#include "listeners.h"

#include "address.h"
#include "log.h"
#include "permissions/access.h"
#include "server.h"
#include "session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Count a socket among those of all listeners together. A descriptor is left for the next client to be told why it
 * isn't served. @return whether the socket is within max_connections */
static bool count_connection(fluxbp_server_t *server, const struct protocol *protocol) {
  size_t limit = server->options.max_connections + (protocol->has_reserve ? FLUXBP_SERVER_HTTP_RESERVE : 0);
  return atomic_fetch_add(&server->connections, 1) < limit;
}

static void take_arrival(fluxbp_listener_t *source, uv_os_sock_t fd, const struct sockaddr *peer,
                         fluxbp_permit_t permit, const char *refusal) {
  struct listener *listener = fluxbp_listener_user(source);
  const char *full = count_connection(listener->server, listener->protocol) ? NULL : "server full; try again later";
  struct arrival arrival = {.permit = permit,
                            .fd = fd,
                            .peer = peer_address_of(peer),
                            .listener = listener,
                            .refusal = refusal != NULL ? refusal : full};
  shards_take(&listener->server->shards, &arrival);
}

static void on_accept(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_permit_t permit) {
  take_arrival(listener, fd, peer, permit, NULL);
}

static int on_refused(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                      fluxbp_refusal_t reason, fluxbp_permit_t permit) {
  (void) reason; /* addresses are counted by the sessions, for all listeners together */
  take_arrival(listener, fd, peer, permit, "server full; try again later");
  return 1;
}

static void on_error(fluxbp_listener_t *source, int err) {
  const struct listener *listener = fluxbp_listener_user(source);
  server_log(listener->server, FLUXBP_LOG_WARN, "accept_failed", log_phrase("error", uv_strerror(err)));
}

void listener_release(const struct listener *listener, fluxbp_permit_t permit) {
  if (listener->listener != NULL) fluxbp_listener_release(listener->listener, permit);
}

static int read_address(const struct listener *listener, struct sockaddr_storage *address) {
  int length = sizeof *address;
  *address = (struct sockaddr_storage){0};
  return fluxbp_listener_address(listener->listener, (struct sockaddr *) address, &length);
}

/* A socket that was listening before may do so at another address than anybody said. */
static int find_roles(struct listener *listener) {
  struct sockaddr_storage address;
  int err = read_address(listener, &address);
  if (err != 0) return err;
  listener->free_roles = access_free_roles(listener->server, (const struct sockaddr *) &address);
  return 0;
}

/* Return the protocol of `speak`, and whether over TLS; NULL: the server can't speak that. */
static const struct protocol *find_protocol(const fluxbp_server_t *server, fluxbp_speak_t speak, bool *is_tls) {
  const struct protocol *protocol = protocol_of_speak(speak, is_tls);
  return *is_tls && server->options.tls == NULL ? NULL : protocol;
}

/* `address` is NULL: `socket` listens already. */
static int open_listener(fluxbp_server_t *server, const struct sockaddr *address, uv_os_sock_t socket,
                         fluxbp_speak_t speak) {
  struct listener *listener = &server->listeners[server->listener_count];
  if (server->is_closing) return UV_ECANCELED;
  if (server->listener_count == FLUXBP_SERVER_LISTENERS_MAX) return UV_ENOSPC;
  *listener = (struct listener){.server = server};
  listener->protocol = find_protocol(server, speak, &listener->is_tls);
  if (listener->protocol == NULL) return UV_EINVAL;
  fluxbp_listener_options_t options;
  fluxbp_listener_options_init(&options);
  options.pool = server->pool;
  options.on_accept = on_accept;
  options.on_refused = on_refused;
  options.on_error = on_error;
  options.max_connections = server->options.max_connections;
  if (listener->protocol->has_reserve) options.max_connections += FLUXBP_SERVER_HTTP_RESERVE;
  options.accepts_per_second = server->options.accepts_per_second;
  options.user = listener;
  int err = address != NULL ? fluxbp_listener_open_tcp(server->options.loop, address, &options, &listener->listener)
                            : fluxbp_listener_adopt(server->options.loop, socket, &options, &listener->listener);
  if (err != 0) return err;
  err = find_roles(listener);
  server->listener_count++; /* in any case: it has to be closed */
  server->open_handles++;
  return err == 0 ? (int) server->listener_count - 1 : err;
}

int fluxbp_server_listen(fluxbp_server_t *server, const char *address, fluxbp_speak_t speak) {
  struct sockaddr_storage socket_address;
  int err = server_address_parse(address, &socket_address);
  return err == 0 ? open_listener(server, (const struct sockaddr *) &socket_address, -1, speak) : err;
}

/* A socket that is refused stays the program's, so its address is looked at before a listener owns it. */
static int check_socket(uv_os_sock_t socket) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (getsockname(socket, (struct sockaddr *) &address, &length) != 0) return uv_translate_sys_error(errno);
  return address.ss_family == AF_INET || address.ss_family == AF_INET6 ? 0 : UV_EINVAL;
}

int fluxbp_server_adopt(fluxbp_server_t *server, uv_os_sock_t socket, fluxbp_speak_t speak) {
  int err = check_socket(socket);
  return err != 0 ? err : open_listener(server, NULL, socket, speak);
}

/* Sockets that the program has accepted. */

/* Return the entry for clients of that protocol and those roles, which may be a new one; NULL: there is no room for
 * it. */
static struct listener *find_adopter(fluxbp_server_t *server, const struct protocol *protocol, bool is_tls,
                                     unsigned free_roles) {
  for (size_t i = 0; i < server->listener_count; i++) {
    struct listener *listener = &server->listeners[i];
    bool is_same = listener->protocol == protocol && listener->is_tls == is_tls;
    if (listener->listener == NULL && is_same && listener->free_roles == free_roles) return listener;
  }
  if (server->listener_count == FLUXBP_SERVER_LISTENERS_MAX) return NULL;
  struct listener *adopter = &server->listeners[server->listener_count++];
  *adopter = (struct listener){.server = server, .protocol = protocol, .is_tls = is_tls, .free_roles = free_roles};
  return adopter;
}

/* Read both addresses of a connected TCP socket. @return 0 or a libuv error */
static int read_ends(uv_os_sock_t socket, struct sockaddr_storage *own, struct sockaddr_storage *peer) {
  int type;
  socklen_t type_length = sizeof type, own_length = sizeof *own, peer_length = sizeof *peer;
  if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &type_length) != 0 ||
      getsockname(socket, (struct sockaddr *) own, &own_length) != 0)
    return uv_translate_sys_error(errno);
  if (type != SOCK_STREAM || (own->ss_family != AF_INET && own->ss_family != AF_INET6)) return UV_EINVAL;
  return getpeername(socket, (struct sockaddr *) peer, &peer_length) == 0 ? 0 : uv_translate_sys_error(errno);
}

/* Copy what the program has read of a client. @return false: out of memory */
static bool copy_data(struct arrival *arrival, const void *data, size_t length) {
  if (length == 0) return true;
  arrival->data = malloc(length);
  if (arrival->data == NULL) return false;
  memcpy(arrival->data, data, length);
  arrival->length = length;
  return true;
}

int fluxbp_server_adopt_client(fluxbp_server_t *server, uv_os_sock_t socket, fluxbp_speak_t speak, const void *data,
                               size_t length) {
  struct sockaddr_storage own, peer;
  bool is_tls;
  const struct protocol *protocol = find_protocol(server, speak, &is_tls);
  if (protocol == NULL) return UV_EINVAL;
  if (atomic_load(&server->is_stopping)) return UV_ECANCELED;
  int err = read_ends(socket, &own, &peer);
  if (err != 0) return err;
  unsigned free_roles = access_free_roles(server, (const struct sockaddr *) &own);
  struct listener *adopter = find_adopter(server, protocol, is_tls, free_roles);
  if (adopter == NULL) return UV_ENOSPC;
  struct arrival arrival = {
      .fd = socket, .peer = peer_address_of((const struct sockaddr *) &peer), .listener = adopter};
  if (!copy_data(&arrival, data, length)) return UV_ENOMEM;
  if (!count_connection(server, protocol)) {
    atomic_fetch_sub(&server->connections, 1);
    free(arrival.data);
    return UV_EMFILE;
  }
  (void) fcntl(socket, F_SETFD, FD_CLOEXEC);
  shards_take(&server->shards, &arrival);
  return 0;
}

void fluxbp_server_address(const fluxbp_server_t *server, int listener, char text[FLUXBP_ADDRESS_TEXT_BYTES]) {
  struct sockaddr_storage address;
  (void) read_address(&server->listeners[listener], &address);
  server_address_format((const struct sockaddr *) &address, text);
}

static void on_listener_closed(fluxbp_listener_t *source) {
  const struct listener *listener = fluxbp_listener_user(source);
  server_handle_closed(listener->server);
}

static void close_listener(struct listener *listener) {
  if (listener->is_closed || listener->listener == NULL) return;
  listener->is_closed = true;
  fluxbp_listener_close(listener->listener, on_listener_closed);
}

void listeners_close_subscribers(fluxbp_server_t *server) {
  for (size_t i = 0; i < server->listener_count; i++)
    if (!server->listeners[i].protocol->has_reserve) close_listener(&server->listeners[i]);
}

void listeners_close(fluxbp_server_t *server) {
  for (size_t i = 0; i < server->listener_count; i++) close_listener(&server->listeners[i]);
}
