/* SPDX-License-Identifier: MIT */
/*
 * crowd: the clients of one server, in a process of their own, and what they do: connect, subscribe, unsubscribe,
 * leave, and receive what one more of them publishes. The process measures what that costs the server.
 *
 * The topics stand in blocks of as many as there are clients. In each block each topic has `per_topic` subscribers, and
 * each client as many topics; the subscribers of a topic are far from each other.
 */
#ifndef FLUXBP_TESTS_BENCH_MANY_CROWD_H
#define FLUXBP_TESTS_BENCH_MANY_CROWD_H

#include "child.h"
#include "dialects.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct crowd_plan {
  uint64_t topics; /* a multiple of `clients` */
  uint64_t clients;
  uint64_t per_topic;
  bool has_patterns; /* each topic is subscribed to by a pattern that matches it alone */
} crowd_plan_t;

typedef struct crowd {
  char name[24];
  const dialect_t *dialect;
  int pid; /* the server */
  unsigned port;
  child_t child;
} crowd_t;

/* How many subscriptions each client has. */
uint64_t crowd_topics_per_client(const crowd_plan_t *plan);

/* Start the process. Before the program has any thread. */
void crowd_start(crowd_t *crowd);

/*
 * What it is to do. Each is begun with crowd_begin, and ended with crowd_wait, which returns a figure.
 *
 *   CROWD_CONNECT      all clients, and the publisher, to a server without others; after the plan was given
 *   CROWD_SUBSCRIBE    `count` clients from `first` on, to all of their topics: us of a subscription
 *   CROWD_UNSUBSCRIBE  the same clients: us of a subscription
 *   CROWD_LEAVE        they send a FIN, and the server closes: us of a client. Others take their places, unsubscribed
 *   CROWD_PUBLISH      `count` messages on topics that follow each other in no order of the server's, `first` of them
 *                      outstanding: us of a delivery. Each client has to get all of its bytes, and none more
 *   CROWD_CALL         `count` messages to which nobody is subscribed, `first` of them outstanding: us of a message
 *   CROWD_MEMORY       bytes of the server's process (PSS), after `count` ms in which nothing happens
 *   CROWD_RESET        all are gone
 */
typedef enum crowd_what {
  CROWD_CONNECT,
  CROWD_SUBSCRIBE,
  CROWD_UNSUBSCRIBE,
  CROWD_LEAVE,
  CROWD_PUBLISH,
  CROWD_CALL,
  CROWD_MEMORY,
  CROWD_RESET
} crowd_what_t;

void crowd_begin(crowd_t *crowd, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count);
double crowd_wait(crowd_t *crowd);

/* Both. */
double crowd_do(crowd_t *crowd, const crowd_plan_t *plan, crowd_what_t what, uint64_t first, uint64_t count);

#endif
