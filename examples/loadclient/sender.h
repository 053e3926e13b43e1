/* SPDX-License-Identifier: MIT */
/*
 * sender: a connection that messages are published over: commands on lines or frames, POST in HTTP, NATS, or standard
 * output.
 *
 * Lines and frames are sent without waiting for the answers, which are counted as they come. HTTP has one request on
 * its way at a time, since messages on two connections could overtake each other. NATS answers nothing but PING, which
 * says that it has what came before.
 */
#ifndef LOADCLIENT_SENDER_H
#define LOADCLIENT_SENDER_H

#include "client/http_answer.h"
#include "client/stream.h"
#include "options.h"

#include <uv.h>

struct sender_buffer {
  char *data;
  size_t length, capacity;
};

struct sender;
typedef void (*sender_cb)(struct sender *sender);

struct sender {
  const struct options *options;
  uv_loop_t *loop;
  sender_cb on_change; /* it can take more, or has nothing more on its way, or has failed */
  void *data;          /* the owner's */
  uint32_t index;

  bool is_connected, is_closed, is_handle_busy;
  bool has_request; /* HTTP: one is on its way */
  bool is_writing;  /* `writing` is libuv's */
  struct sender_buffer waiting, writing;
  uint64_t sent, accepted, refused; /* messages */
  uint64_t pinged;        /* NATS: how many it has when it answers the PING that is on its way; 0: there is none */
  uint32_t other_answers; /* that come before those to messages */
  int error;
  char problem[160]; /* it has failed: why; "" if not */

  struct stream stream;
  struct http_answer *answer;
  int status; /* of the answer in HTTP */
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_write_t write;
};

/** Begin to connect. */
void sender_open(struct sender *sender, uv_loop_t *loop, const struct options *options, uint32_t index,
                 sender_cb on_change);

/** Whether a message could go out now. */
bool sender_can_take(const struct sender *sender);

/** Take a message, and write it with those before it at sender_flush(). */
void sender_put(struct sender *sender, const char *message, size_t length);
void sender_flush(struct sender *sender);

/** Everything has been written, and answered where that is known to come. */
bool sender_is_idle(const struct sender *sender);

void sender_close(struct sender *sender);

/** After the loop has ended. */
void sender_free(struct sender *sender);

#endif
