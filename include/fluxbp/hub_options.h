/* SPDX-License-Identifier: MIT */
/*
 * hub_options: what a hub is made with, and the limits of that. hub.h makes it.
 */
#ifndef FLUXBP_HUB_OPTIONS_H
#define FLUXBP_HUB_OPTIONS_H

#include "fluxbp/bus.h"
#include "fluxbp/conn.h"
#include "fluxbp/eviction.h"
#include "fluxbp/policy.h"
#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most codecs that the connections of one hub may use together. */
#define FLUXBP_CODECS_MAX 13

/**
 * The longest time between two looks at slow connections, in milliseconds: a minute. The library holds up to twice
 * sweep_ms against slow connections when the server itself was late.
 */
#define FLUXBP_SWEEP_MS_MAX 60000

/**
 * The most messages of a history: the history counts distances between them in 32 bits. Each takes 136 bytes besides
 * its own, and 8 bytes more once a message with an origin (fluxbp_topic_publish_from) has been kept.
 */
#define FLUXBP_HISTORY_MESSAGES_MAX (1u << 30)

/** The least and the most bytes that connections are read into: sockets don't hold more than the most. */
#define FLUXBP_READ_BUFFER_BYTES_MIN 1024
#define FLUXBP_READ_BUFFER_BYTES_MAX ((size_t) 64 << 20)

/** How many eviction records a hub keeps. */
#define FLUXBP_EVICTIONS_KEPT 256

/**
 * A quarter of the mark at which the kernel begins to save memory for TCP: the second number of
 * /proc/sys/net/ipv4/tcp_mem, read when the hub is made. Beyond that mark every TCP connection of the host is slowed
 * down.
 */
#define FLUXBP_KERNEL_BYTES_AUTO UINT64_MAX

/** Whether the hub uses io_uring; see fluxbp_hub_io_uring. */
typedef enum fluxbp_io_uring {
  FLUXBP_IO_URING_AUTO = 0, /* where it is to be had */
  FLUXBP_IO_URING_OFF
} fluxbp_io_uring_t;

typedef struct fluxbp_topic fluxbp_topic_t; /* see topic.h */

typedef void (*fluxbp_writable_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_eviction_cb)(fluxbp_hub_t *hub, const fluxbp_eviction_t *record);
typedef void (*fluxbp_hub_cb)(fluxbp_hub_t *hub);
typedef void (*fluxbp_members_cb)(fluxbp_hub_t *hub, fluxbp_topic_t *topic, size_t before);
typedef void (*fluxbp_task_cb)(fluxbp_hub_t *hub, void *arg);

typedef struct fluxbp_hub_options {
  /* Set by fluxbp_hub_options_init. */
  size_t size;

  /* Pool for memory; default NULL: a pool of the hub's own, with default options. */
  fluxbp_pool_t *pool;

  /* Bus to join until the hub is closed. Then only the bus publishes on topics; fluxbp_conn_send still sends to one
   * connection. Default NULL. */
  fluxbp_bus_t *bus;

  /* Policy of connections without a policy of their own, which is copied; default NULL: the defaults. */
  const fluxbp_policy_t *policy;

  /* Time for writing in one iteration of the loop, in microseconds; at least 1; default 2000. */
  uint32_t slice_us;

  /* Time between two looks at slow connections, or the policy's shortest limit if that is less; 1 …
   * FLUXBP_SWEEP_MS_MAX; default 250. */
  uint32_t sweep_ms;

  /* Time that one connection may hold the publisher up without progress; see fluxbp_hub_is_writable. 0 …
   * FLUXBP_TIME_MS_MAX; default 0. */
  uint32_t patience_ms;

  /* Size of the buffer that connections are read into, which all share; FLUXBP_READ_BUFFER_BYTES_MIN …
   * FLUXBP_READ_BUFFER_BYTES_MAX; default 65536. While 1/32 of the pool's budget is in use, or more, no more than 8192
   * bytes are read at a time: what a program can't do of a read it has to keep. */
  size_t read_buffer_bytes;

  /* Unacknowledged bytes that the kernel may hold for all refused connections together (TCP on Linux). Beyond it
   * connections are evicted (BUDGET). 0: no limit. Default FLUXBP_KERNEL_BYTES_AUTO. */
  uint64_t max_kernel_bytes;

  /* Newest messages of log topics to keep for fluxbp_topic_subscribe_since; 0 … FLUXBP_HISTORY_MESSAGES_MAX; default
   * 0. */
  uint32_t history_messages;

  /* Bytes of these messages at most; default 16 MiB. They count against the budget, and are forgotten first when the
   * budget is nearly used up. */
  uint64_t history_bytes;

  /* Not 0: block SIGPIPE on the thread that creates the hub. Default 0. */
  int block_sigpipe;

  /* Called from the loop when the hub has become writable again; default NULL. */
  fluxbp_writable_cb on_writable;

  /* Called from the loop for every eviction, after the connection's on_evicted, and for every verdict of a shadow
   * policy; default NULL. */
  fluxbp_eviction_cb on_eviction;

  /* Clock in monotonic milliseconds; default NULL: the loop's clock. */
  uint64_t (*clock_ms)(void *clock_arg);
  void *clock_arg;

  /* Pointer of the program's; see fluxbp_hub_user. */
  void *user;

  /* Part of history_messages and history_bytes that one topic may have; beyond it the oldest messages of that topic are
   * forgotten. history_topic_messages has the range of history_messages. Default 0: all of it. */
  uint32_t history_topic_messages;
  uint64_t history_topic_bytes;

  /* Age beyond which messages are forgotten, within sweep_ms; 0 … FLUXBP_TIME_MS_MAX; default 0: no limit. */
  uint32_t history_ms;

  /* A topic or a pattern of this hub has another number of subscribers (fluxbp_topic_subscribers) than `before`, which
   * is what it had when this was last called for it, or when it was opened. Called from the loop, once for a topic
   * however many connections have come and gone, and not at all if the number is the same again by then. It may call
   * anything: a program that fetches a topic only while it has subscribers begins when `before` is 0, and ends and
   * destroys the topic when it has no more. Not called for a topic that was destroyed, nor after fluxbp_hub_close.
   * Takes 40 bytes for each topic. Default NULL. */
  fluxbp_members_cb on_members;

  /* Time for what clients have sent in one iteration of the loop, in microseconds; see input.h. It isn't taken from
   * slice_us. At least 1; default 1000. */
  uint32_t input_us;

  /* Return the key of those with which the connection shares its turns, such as the address of a client behind a proxy.
   * It must not change while the connection waits. Called while a connection begins to wait, also inside of
   * fluxbp_conn_wait_turn; it must call nothing that changes a connection. Default NULL: the IPv4 address of the peer,
   * or the first 64 bits of its IPv6 address; all peers on UNIX sockets have one key. */
  uint64_t (*input_key)(fluxbp_conn_t *conn);

  /* Whether several TCP connections are written to by one call of io_uring. Default FLUXBP_IO_URING_AUTO. */
  fluxbp_io_uring_t io_uring;
} fluxbp_hub_options_t;

#ifdef __cplusplus
}
#endif

#endif
