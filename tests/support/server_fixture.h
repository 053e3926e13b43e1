/* SPDX-License-Identifier: MIT */
/*
 * server_fixture: a server on the loop of the test, and clients of it as bare sockets: the public headers, as a foreign
 * program has them.
 */
#ifndef TESTS_SUPPORT_SERVER_FIXTURE_H
#define TESTS_SUPPORT_SERVER_FIXTURE_H

#include <fluxbp/server.h>

#include <stdbool.h>
#include <stddef.h>

struct server_fixture {
  uv_loop_t loop;
  fluxbp_server_options_t options;
  fluxbp_server_handlers_t handlers;
  fluxbp_server_t *server;
  int lines, length, http; /* numbers of its listeners */
  bool is_closed;
};

/* A client, and what it has received. */
struct peer {
  struct server_fixture *fixture;
  int fd;
  bool has_ended;
  size_t received;
  char text[16384];
};

/** Prepare loop and options; the test changes these and `handlers`, and then starts. */
void server_fixture_init(struct server_fixture *fixture);

/** Read tokens from the text of a file, with a reference for the caller. */
fluxbp_tokens_t *server_fixture_tokens(const char *text);

/** Make the server, and have it listen for all that can be spoken. */
void server_fixture_start(struct server_fixture *fixture);

/** Close the server if it is there, and the loop; no handle may be left. */
void server_fixture_end(struct server_fixture *fixture);

/** Begin to close it, and run the loop until it is closed. */
void server_fixture_close(struct server_fixture *fixture, uint32_t drain_ms);

/** Run the loop until `*flag` is true, or a count reaches `least`. */
void run_until(struct server_fixture *fixture, const bool *flag);
void run_until_count(struct server_fixture *fixture, const size_t *count, size_t least);

/** Connect to one of the listeners. */
void peer_connect(struct peer *peer, struct server_fixture *fixture, int listener);

/** Send text as it is. */
void peer_send(struct peer *peer, const char *text);
void peer_send_bytes(struct peer *peer, const void *data, size_t length);

/** Run the loop once, and wait a moment for something to happen. */
void step_once(struct server_fixture *fixture);

/** Run the loop once, and take what has come. */
void peer_receive(struct peer *peer);

/** Run the loop until that text has come; everything up to its end is forgotten. */
void peer_expect(struct peer *peer, const char *text);

/** Run the loop until the server has ended the connection. */
void peer_expect_end(struct peer *peer);

void peer_close(struct peer *peer);

/** Become a WebSocket by a request for `target`; send and expect frames. */
void peer_upgrade(struct peer *peer, const char *target);
void peer_send_frame(struct peer *peer, unsigned char opcode, const void *data, size_t length);
void peer_expect_frame(struct peer *peer, unsigned char opcode, const void *data, size_t length);
void peer_expect_close_frame(struct peer *peer, unsigned code, const char *reason);

#endif
