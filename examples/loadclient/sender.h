/* SPDX-License-Identifier: MIT */
/*
 * sender: a connection that messages are published over: commands on lines or frames, POST in HTTP, NATS, or standard
 * output. All but the last are clients of fluxbp/client.h.
 *
 * Lines and frames are sent without waiting for the answers, which are counted as they come. HTTP has one request on
 * its way at a time, since messages on two connections could overtake each other. NATS answers nothing but PING, which
 * says that it has everything before it.
 */
#ifndef LOADCLIENT_SENDER_H
#define LOADCLIENT_SENDER_H

#include "results.h"

struct sender {
  const struct options *options;
  struct publisher_results *results; /* of all senders; its problem ends all of them */
  uint32_t index;

  fluxbp_client_t *stream; /* NULL: standard output, or closed */
  bool is_connected, is_closed;
  bool has_request;        /* HTTP: one is on its way */
  uint64_t sent, answered; /* messages */
  uint64_t pinged;         /* NATS: how many it has when it answers the PING that is on its way; 0: there is none */
  uint32_t other_answers;  /* that come before those to messages */
  char place[1024];        /* HTTP: path; NATS: subject; lines and frames: the command before a message */
  char text[MESSAGE_MAX_BYTES + 1024];
};

/** Begin to connect. */
void sender_open(struct sender *sender, uv_loop_t *loop, const struct options *options,
                 struct publisher_results *results, uint32_t index);

/** Return whether a message could go out now. */
bool sender_can_take(const struct sender *sender);

/** Queue a message, which sender_flush() writes with those before it. */
void sender_put(struct sender *sender, const char *message, size_t length);
void sender_flush(struct sender *sender);

/** Return whether everything has been written, and answered where the protocol has answers. */
bool sender_is_idle(const struct sender *sender);

/** Close the connection. The memory has to stay until the loop has ended. */
void sender_close(struct sender *sender);

#endif
