/* SPDX-License-Identifier: MIT */
/*
 * listener: accepts connections on TCP and UNIX sockets, within limits, and hands over plain descriptors.
 *
 * A listener accepts up to 32 connections each time that the loop finds some waiting. After 32 it rests for a
 * millisecond, so that connections which are there are served during a storm of new ones: about 20 000 connections a
 * second are accepted, and the others wait in the kernel. Several listeners that share a port (reuse_port) accept so
 * many each. At its limits a listener does this:
 *
 *   max_connections     by `at_limit`: refuse the peer, or accept nothing until a connection is released (then the peer
 *                       waits in the kernel's backlog)
 *   max_per_address     refuse the peer
 *   accepts_per_second  accept nothing until the next token is due; refused peers cost no token
 *   EMFILE, ENFILE, ENOBUFS, ENOMEM   try again after 100 ms; the peers wait
 *   an error of one connection (ECONNABORTED, EINTR, EPROTO, EPERM and the like)   go on with the next one
 *   any other error, or 32 errors in a row   try again after 100 ms
 *
 * A refused peer is offered to `on_refused`, which may take the socket and say why. Otherwise the peer is reset.
 *
 * Thread: the loop's, except where a function says otherwise. A listener keeps the loop alive until it is closed. All
 * callbacks are called from the loop, never inside of a call of the program. Any function of the library may be called
 * in a callback.
 */
#ifndef FLUXBP_LISTENER_H
#define FLUXBP_LISTENER_H

#include "fluxbp/export.h"
#include "fluxbp/pool.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The largest values of max_connections and max_refusals. */
#define FLUXBP_LISTENER_CONNECTIONS_MAX 16777216

typedef struct fluxbp_listener fluxbp_listener_t;

/** A place within the limits, until fluxbp_listener_release gives it back. Never 0. */
typedef uint64_t fluxbp_permit_t;

/** What happens to a peer that connects while there are max_connections. */
typedef enum fluxbp_at_limit { FLUXBP_AT_LIMIT_REFUSE = 0, FLUXBP_AT_LIMIT_PAUSE } fluxbp_at_limit_t;

/** Why a peer is refused. */
typedef enum fluxbp_refusal {
  FLUXBP_REFUSAL_CONNECTIONS = 0, /* there are max_connections */
  FLUXBP_REFUSAL_ADDRESS          /* there are max_per_address of its address */
} fluxbp_refusal_t;

/**
 * A connection was accepted. The callback owns `fd` from now on, which is non-blocking and close-on-exec. The program
 * has to call fluxbp_listener_release once for `permit` when the connection is gone.
 *
 * @param peer address of the peer, valid until the callback returns; for a peer on a UNIX socket only the family
 */
typedef void (*fluxbp_accept_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_permit_t permit);

/**
 * A peer is refused. The callback may take the socket, to tell the peer why: then the callback owns `fd`, and the
 * program has to release `permit`, as in fluxbp_accept_cb. Otherwise the library resets the connection, which may also
 * destroy what was written to it, and the permit is void.
 *
 * @return 1 if the callback has taken the socket, otherwise 0
 */
typedef int (*fluxbp_refused_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_refusal_t reason, fluxbp_permit_t permit);

/** Accepting failed with `err`, a libuv code. The listener tries again after 100 ms. For a log: at most 10 a second. */
typedef void (*fluxbp_listener_error_cb)(fluxbp_listener_t *listener, int err);

typedef void (*fluxbp_listener_cb)(fluxbp_listener_t *listener);

typedef struct fluxbp_listener_options {
  /* Set by fluxbp_listener_options_init. */
  size_t size;
  /* Must be set. */
  fluxbp_accept_cb on_accept;
  /* Default NULL: refused peers are reset. */
  fluxbp_refused_cb on_refused;
  /* Default NULL. */
  fluxbp_listener_error_cb on_error;
  /* Pool for the listener's memory, part of which is held until the last permit is released; default NULL: a pool of
   * its own. */
  fluxbp_pool_t *pool;
  /* Connections that wait in the kernel, whose own limit applies as well (net.core.somaxconn); at least 1; default
   * 4096. */
  int backlog;
  /* Not 0: SO_REUSEPORT. Several listeners share an address. The kernel deals connections out, also to a listener that
   * is paused. Default 0. */
  int reuse_port;
  /* Not 0: an IPv6 socket accepts no IPv4 peers. Default 0. */
  int ipv6_only;
  /* Permissions of a UNIX socket's file, 0 … 0777; default -1: by the umask. */
  int unix_mode;
  /* Default FLUXBP_AT_LIMIT_REFUSE. */
  fluxbp_at_limit_t at_limit;
  /* Connections accepted and not released; 1 … FLUXBP_LISTENER_CONNECTIONS_MAX; default 65536. */
  uint32_t max_connections;
  /* Connections of them from one IPv4 address or one IPv6 /64 prefix; all link-local peers have the same prefix. Not
   * for UNIX sockets. Default 0: off. */
  uint32_t max_per_address;
  /* Refused sockets that on_refused has taken and not released; further ones are reset without asking; 0 …
   * FLUXBP_LISTENER_CONNECTIONS_MAX; default 8. */
  uint32_t max_refusals;
  /* Default 0: off. */
  uint32_t accepts_per_second;
  /* Connections accepted at once after a quiet time; at least 1; default 100. */
  uint32_t accept_burst;
  /* Clock in monotonic milliseconds; default NULL: the loop's clock. */
  uint64_t (*clock_ms)(void *clock_arg);
  void *clock_arg;
  /* Pointer of the program's; see fluxbp_listener_user. */
  void *user;
} fluxbp_listener_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_listener_options_init(options) fluxbp_listener_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_listener_options_init_sized(fluxbp_listener_options_t *options, size_t size);

/**
 * Listen on an IPv4 or IPv6 address. Port 0: the kernel chooses a port; see fluxbp_listener_address.
 *
 * @return 0, or
 *   UV_EINVAL     an option is out of its range, or the address is of another family
 *   UV_E2BIG      options that this version of the library doesn't know
 *   UV_ENOMEM     the allocator refused
 *   UV_EADDRINUSE, UV_EACCES, UV_EMFILE and whatever else the kernel said
 */
FLUXBP_EXTERN int fluxbp_listener_open_tcp(uv_loop_t *loop, const struct sockaddr *address,
                                           const fluxbp_listener_options_t *options, fluxbp_listener_t **listener);

/**
 * Listen on a UNIX socket. Closing the listener removes the socket's file, if it is still the file that was made here.
 * A stale socket file, on which no process listens, is replaced; no other file ever is. (If two servers start at the
 * same moment on the same stale file, both may replace it, and the later one gets the name.)
 *
 * @return 0, or
 *   UV_ENAMETOOLONG the path doesn't fit into a socket address (107 bytes on Linux)
 *   UV_EADDRINUSE   a process listens there
 *   UV_EEXIST       there is a file of that name that isn't a socket
 *   and what fluxbp_listener_open_tcp returns
 */
FLUXBP_EXTERN int fluxbp_listener_open_unix(uv_loop_t *loop, const char *path, const fluxbp_listener_options_t *options,
                                            fluxbp_listener_t **listener);

/**
 * Accept on a socket that is bound and listens already, such as one that systemd has passed. The socket becomes
 * non-blocking and close-on-exec, and belongs to the listener from then on. After an error the socket is still the
 * caller's. The path of a UNIX socket is never removed. `backlog`, `reuse_port`, `ipv6_only` and `unix_mode` are
 * ignored.
 *
 * @return 0, or
 *   UV_EBADF    not a descriptor
 *   UV_ENOTSOCK not a socket
 *   UV_EINVAL   not a stream socket of IPv4, IPv6 or UNIX that listens; or an option is out of its range
 *   UV_EEXIST   the loop watches the socket already
 *   and what fluxbp_listener_open_tcp returns
 */
FLUXBP_EXTERN int fluxbp_listener_adopt(uv_loop_t *loop, uv_os_sock_t fd, const fluxbp_listener_options_t *options,
                                        fluxbp_listener_t **listener);

/**
 * Close the listener. The socket is closed at once, and the kernel resets the peers that wait in its backlog. `cb` (may
 * be NULL) is called from the loop when the listener's handles are closed. After that only fluxbp_listener_release may
 * be called; the memory is freed with the last permit. A further call does nothing.
 */
FLUXBP_EXTERN void fluxbp_listener_close(fluxbp_listener_t *listener, fluxbp_listener_cb cb);

/**
 * Give a permit back: the connection that was accepted, or the refused one that was taken, is gone. Close the
 * descriptor first, as the next peer may need it. Any thread, also after the listener and its loop were closed.
 *
 * @return 0, or
 *   UV_EINVAL the permit was never issued, or has been released; nothing was done
 */
FLUXBP_EXTERN int fluxbp_listener_release(fluxbp_listener_t *listener, fluxbp_permit_t permit);

/** Accept nothing until fluxbp_listener_resume. Peers wait in the kernel's backlog. Calls don't add up. */
FLUXBP_EXTERN void fluxbp_listener_pause(fluxbp_listener_t *listener);

/** Accept again, unless a limit or an error says otherwise. */
FLUXBP_EXTERN void fluxbp_listener_resume(fluxbp_listener_t *listener);

/**
 * Write the address that the listener is bound to, as getsockname does.
 *
 * @param length size of `address` in bytes; afterwards the size of the address
 * @return 0, UV_EBADF (the listener was closed), or an error of the kernel
 */
FLUXBP_EXTERN int fluxbp_listener_address(const fluxbp_listener_t *listener, struct sockaddr *address, int *length);

/** Return the loop of the listener. Any thread. */
FLUXBP_EXTERN uv_loop_t *fluxbp_listener_loop(const fluxbp_listener_t *listener);

/** Return the pointer from the options. Any thread. */
FLUXBP_EXTERN void *fluxbp_listener_user(const fluxbp_listener_t *listener);

/** Why the listener accepts nothing now: bits of fluxbp_listener_stats_t.paused. */
typedef enum fluxbp_paused {
  /* fluxbp_listener_pause was called. */
  FLUXBP_PAUSED_BY_HOST = 1,
  /* There are max_connections. */
  FLUXBP_PAUSED_BY_LIMIT = 2,
  /* The next token isn't due. */
  FLUXBP_PAUSED_BY_RATE = 4,
  /* last_error came less than 100 ms ago. */
  FLUXBP_PAUSED_BY_ERROR = 8
} fluxbp_paused_t;

/** Figures of one moment. Counters begin with the listener and never go back. */
typedef struct fluxbp_listener_stats {
  /* Counter: connections passed to on_accept. */
  uint64_t accepted;
  /* Counter: peers refused because of max_connections. */
  uint64_t refused_connections;
  /* Counter: peers refused because of max_per_address. */
  uint64_t refused_address;
  /* Counter: refused peers of both kinds that on_refused was not asked about. */
  uint64_t refused_silently;
  /* Counter: EMFILE, ENFILE. */
  uint64_t error_descriptors;
  /* Counter: ENOBUFS, ENOMEM, and refusals of the pool's allocator. */
  uint64_t error_memory;
  /* Counter: ECONNABORTED, EPROTO, and network errors that the kernel reports by accept. */
  uint64_t error_aborted;
  /* Counter: EINTR. */
  uint64_t error_interrupted;
  /* Counter: EPERM, from a firewall rule. */
  uint64_t error_forbidden;
  /* Counter: other errors. */
  uint64_t error_other;

  /* Gauge: connections accepted and not released. */
  uint64_t connections;
  /* Gauge: refused sockets taken by on_refused and not released. */
  uint64_t refusals;
  /* Bits of fluxbp_paused_t; 0: the listener accepts. */
  uint32_t paused;
  /* Newest error, a libuv code; 0: there was none. */
  int last_error;
} fluxbp_listener_stats_t;

/** Read the figures. Any thread, until the callback of fluxbp_listener_close has returned, or while a permit is out. */
#define fluxbp_listener_get_stats(listener, stats)                                                                     \
  fluxbp_listener_get_stats_sized((listener), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_listener_get_stats_sized(fluxbp_listener_t *listener, fluxbp_listener_stats_t *stats,
                                                   size_t size);

#ifdef __cplusplus
}
#endif

#endif
