/* SPDX-License-Identifier: MIT */
/*
 * netns: a small network of this process's own, to be made slow and to be cut. Linux only.
 *
 *   home (where the process is) ─── router ─┬─ client 1
 *                                           ├─ client 2 ...
 *
 * Each is a network namespace, and each line a pair of virtual devices. Links are shaped in the router, on the way to
 * the client, so the server's kernel knows as little of it as of any network. The namespaces have no names: they go
 * with the process, however that ends.
 */
#ifndef FLUXBP_TESTS_NETNS_H
#define FLUXBP_TESTS_NETNS_H

typedef struct netns_link {
  int number;
  int client; /* its namespace */
} netns_link_t;

/* For netns_link_shape. A queue of 200 kB is 1.6 s long at this rate, as that of many a router is. */
#define NETNS_SLOW "rate 1mbit burst 16kb limit 200kb" /* bits: 125 kB/s with all headers */
#define NETNS_CUT "rate 8bit burst 10b limit 10b"      /* no packet fits */

/* Move the process, which has one thread still, into a network of its own. NULL, or why that can't be done. */
const char *netns_enter(void);

/* Make a link. 0, or -1 and a message on standard error. */
int netns_link_open(netns_link_t *link);
void netns_link_close(netns_link_t *link);

/* From now on it is as `how` says, instead of as fast as the machine. 0, or -1 and a message on standard error. */
int netns_link_shape(const netns_link_t *link, const char *how);

/* Connected TCP sockets, non-blocking: fds[0] at home, fds[1] at the client with a receive buffer of so many bytes, 0
 * for the kernel's own choice; closing that one resets. 0, or -1 and errno. */
int netns_link_connect(const netns_link_t *link, int receive_bytes, int fds[2]);

#endif
