/* SPDX-License-Identifier: MIT */
/*
 * client_fixture: a loop with one client of fluxbp/client.h and a small server that the test scripts: it says what it
 * is told to say, and the test reads what it has received. The client's clock and randomness are the test's; nothing
 * waits for time.
 */
#ifndef FLUXBP_TESTS_CLIENT_FIXTURE_H
#define FLUXBP_TESTS_CLIENT_FIXTURE_H

#include "fluxbp/client.h"
#include "support/tls_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT_TOLD_BYTES 65536

typedef struct client_fixture {
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_timer_t tick; /* keeps the loop from sleeping for long */
  int port;
  char url[64];
  uint64_t now_ms, random;         /* the client's */
  fluxbp_client_options_t options; /* may be changed before client_fixture_connect */
  fluxbp_client_t *client;         /* NULL after on_close */
  int calls;                       /* how deep the test is in calls of the library: no handler may come then */
  int disconnects;
  fluxbp_client_disconnect_t last; /* without its texts */
  char problem[256], reason[128];
  /* What the handlers were told, one after the other: "connect open message(x)#id answer(+OK) … disconnect(EOF)
   * close(0)". */
  char told[CLIENT_TOLD_BYTES];
  size_t told_length;
  void (*hook)(struct client_fixture *fx, const char *told); /* called in each handler, with what was just told */

  /* The server's side: of the connection that was accepted last. */
  uv_tcp_t *peer; /* NULL: none */
  int accepted;
  char received[CLIENT_TOLD_BYTES];
  size_t received_length;
  bool has_eof, has_error;
  const char *greeting; /* said to each connection as soon as it is accepted; or NULL */

  /* With TLS, set before the connection: what the server says is encrypted, and `received` is decrypted. */
  SSL_CTX *tls;        /* NULL: without */
  tls_peer_t *secured; /* of the connection */
  size_t cut;          /* the server hangs up when it has sent so many bytes of TLS; 0: it doesn't */
} client_fixture_t;

/** Listen on a port of the kernel's choice, and set options: scheme "ws" and the like, path "/x" or "". */
void client_fixture_open(client_fixture_t *fx, const char *scheme, const char *path);

/** Create the client and connect. */
void client_fixture_connect(client_fixture_t *fx);

/** Reset the client if there still is one, and prove that nothing is left. */
void client_fixture_close(client_fixture_t *fx);

/** Run until `told` contains the text, or `received` does; the test fails when it takes too many iterations. */
#define client_expects(fx, text) client_fixture_wait((fx), (text), true, __FILE__, __LINE__)
#define server_expects(fx, text) client_fixture_wait((fx), (text), false, __FILE__, __LINE__)
void client_fixture_wait(client_fixture_t *fx, const char *text, bool is_told, const char *file, int line);

/** A few iterations that don't wait. */
void client_fixture_turns(client_fixture_t *fx, int turns);

/** Let time pass for the client, and have it look at its clock. */
void client_fixture_advance(client_fixture_t *fx, uint64_t ms);

/** Forget what was told and received so far. */
void client_fixture_forget(client_fixture_t *fx);

void server_say(client_fixture_t *fx, const void *data, size_t length);
void server_say_text(client_fixture_t *fx, const char *text);
void server_hang_up(client_fixture_t *fx, bool resets);

/** TLS: say that nothing follows (close_notify). */
void server_end_tls(client_fixture_t *fx);

/** Answer the handshake of a WebSocket, with the right key unless `accept` names another, and further header lines. */
void server_accept_websocket(client_fixture_t *fx, const char *accept, const char *more);

/** An unmasked frame. */
void server_say_frame(client_fixture_t *fx, int first_byte, const void *payload, size_t length);

/** Take the first frame that the client has sent out of `received`. @return its opcode, or -1: there is none */
int server_take_frame(client_fixture_t *fx, char *payload, size_t capacity, size_t *length);

/** Read on until a frame has come. */
int server_wait_frame(client_fixture_t *fx, char *payload, size_t capacity, size_t *length);

/** Make an event of a WebSocket client: connected, its handshake answered. */
void client_fixture_open_websocket(client_fixture_t *fx);

#endif
