/* SPDX-License-Identifier: MIT */
/*
 * connect: one attempt. A name is looked up on libuv's threads; its addresses are tried one after the other, each for
 * its part of the time that is left.
 */
#define _GNU_SOURCE /* IP_BIND_ADDRESS_NO_PORT */
#include "client.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static void attempt_free(fluxbp__attempt_t *attempt) {
  uv_freeaddrinfo(attempt->found);
  free(attempt);
}

void fluxbp__client_drop_attempt(fluxbp_client_t *client) {
  fluxbp__attempt_t *attempt = client->attempt;
  if (attempt == NULL) return;
  client->attempt = NULL;
  bool is_looking_up = attempt->client != NULL;
  attempt->client = NULL;
  if (is_looking_up)
    uv_cancel((uv_req_t *) &attempt->lookup); /* its callback frees the attempt, whenever it comes */
  else
    attempt_free(attempt);
}

static void on_connected(uv_connect_t *request, int status) {
  fluxbp_client_t *client = request->data;
  if (client->state != FLUXBP__CLIENT_CONNECTING || status == UV_ECANCELED) return;
  if (status != 0) {
    client->attempt->error = status;
    fluxbp__client_close_socket(client); /* on_socket_closed tries the next address */
    return;
  }
  if (client->secure != NULL)
    fluxbp__secure_begin(client);
  else
    fluxbp__client_become_connected(client);
}

void fluxbp__client_become_connected(fluxbp_client_t *client) {
  client->is_connected = true;
  client->stats.connects++;
  client->heard_ms = fluxbp__client_now(client);
  fluxbp__client_greet(client);
}

/* The port is chosen when the other end is known, or connections to one server would use up those of all. */
static int bind_local(fluxbp_client_t *client) {
  if (client->options.local_address == NULL) return 0;
#ifdef IP_BIND_ADDRESS_NO_PORT
  uv_os_fd_t fd;
  int is_on = 1;
  if (uv_fileno((uv_handle_t *) &client->tcp, &fd) == 0)
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &is_on, sizeof is_on);
#endif
  return uv_tcp_bind(&client->tcp, client->options.local_address, 0);
}

/* The receive buffer decides about the window that the connection begins with, so it is set before connecting. */
static int open_socket(fluxbp_client_t *client, const struct sockaddr *address) {
  int error = uv_tcp_init_ex(client->loop, &client->tcp, address->sa_family); /* with its socket, at once */
  if (error != 0) return error;
  client->tcp.data = client;
  client->attempt->connect.data = client;
  client->is_tcp_open = true;
  client->handles++;
  uv_tcp_nodelay(&client->tcp, 1);
  int bytes = client->options.receive_buffer_bytes;
  if (bytes > 0) error = uv_recv_buffer_size((uv_handle_t *) &client->tcp, &bytes);
  if (error == 0) error = bind_local(client);
  if (error == 0) error = uv_tcp_connect(&client->attempt->connect, &client->tcp, address, on_connected);
  return error;
}

/* `others` are the addresses behind this one. @return whether something comes of it: without a socket nothing does */
static bool try_address(fluxbp_client_t *client, const struct sockaddr *address, unsigned others) {
  uint32_t left = client->options.connect_timeout_ms;
  if (left > 0) {
    uint64_t now = fluxbp__client_now(client), end = client->attempt->end_ms;
    uint64_t share = (end > now ? end - now : 0) / (others + 1);
    fluxbp__client_set_due(client, share > 0 ? share : 1);
  }
  int error = open_socket(client, address);
  if (error == 0) return true;
  client->attempt->error = error;
  fluxbp__client_close_socket(client);
  return client->is_tcp_open; /* until it is closed; then comes the next */
}

void fluxbp__client_try_next_address(fluxbp_client_t *client) {
  fluxbp__attempt_t *attempt = client->attempt;
  const struct addrinfo *address;
  while ((address = attempt->next) != NULL) {
    unsigned others = 0;
    for (const struct addrinfo *other = address->ai_next; other != NULL; other = other->ai_next) others++;
    attempt->next = address->ai_next;
    if (try_address(client, address->ai_addr, others)) return;
  }
  fluxbp__client_lose(client, attempt->error, NULL);
}

static void try_only_address(fluxbp_client_t *client, const struct sockaddr *address) {
  if (!try_address(client, address, 0)) fluxbp__client_lose(client, client->attempt->error, NULL);
}

void fluxbp__client_connect_timed_out(fluxbp_client_t *client) {
  fluxbp__attempt_t *attempt = client->attempt;
  if (client->is_tcp_open && uv_is_closing((uv_handle_t *) &client->tcp)) return; /* the next one's turn comes */
  attempt->error = UV_ETIMEDOUT;
  if (client->is_tcp_open && attempt->next != NULL)
    fluxbp__client_close_socket(client);
  else
    fluxbp__client_lose(client, UV_ETIMEDOUT,
                        fluxbp__client_is_securing(client) ? "the TLS handshake takes too long"
                                                           : "connecting takes too long");
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
  fluxbp__attempt_t *attempt = request->data;
  fluxbp_client_t *client = attempt->client;
  attempt->client = NULL;
  attempt->found = found;
  if (client == NULL) { /* given up meanwhile */
    attempt_free(attempt);
    return;
  }
  if (status != 0) {
    fluxbp__client_lose(client, status, NULL);
    return;
  }
  attempt->next = found;
  fluxbp__client_try_next_address(client);
}

/* An address in digits isn't looked up. */
static bool read_address(const char *host, int port, struct sockaddr_storage *address) {
  return uv_ip4_addr(host, port, (struct sockaddr_in *) address) == 0 ||
         uv_ip6_addr(host, port, (struct sockaddr_in6 *) address) == 0;
}

void fluxbp__client_copy_host(const fluxbp_client_url_t *url, char host[256]) {
  memcpy(host, url->host, url->host_length);
  host[url->host_length] = '\0';
}

static void look_up(fluxbp_client_t *client) {
  static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  struct sockaddr_storage address = {0};
  char host[256], port[8];
  fluxbp__client_copy_host(&client->url, host);
  snprintf(port, sizeof port, "%u", client->url.port);
  if (read_address(host, client->url.port, &address)) {
    try_only_address(client, (const struct sockaddr *) &address);
    return;
  }
  fluxbp__attempt_t *attempt = client->attempt;
  attempt->lookup.data = attempt;
  int error = uv_getaddrinfo(client->loop, &attempt->lookup, on_found, host, port, &hints);
  if (error == 0)
    attempt->client = client;
  else
    fluxbp__client_lose(client, error, NULL);
}

void fluxbp__client_begin_attempt(fluxbp_client_t *client) {
  client->state = FLUXBP__CLIENT_CONNECTING;
  client->is_connected = client->was_open = client->resets = client->has_pinged = false;
  client->swallowed_pongs = 0;
  client->loss = (fluxbp__loss_t){.hint_ms = -1};
  fluxbp__client_set_due(client, client->options.connect_timeout_ms);
  client->attempt = calloc(1, sizeof *client->attempt);
  if (client->attempt == NULL) {
    fluxbp__client_lose(client, UV_ENOMEM, NULL);
    return;
  }
  client->attempt->end_ms = client->due_ms;
  if (client->options.address != NULL)
    try_only_address(client, client->options.address);
  else
    look_up(client);
}
