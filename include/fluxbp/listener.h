/* SPDX-License-Identifier: MIT */
/*
 * listener: accepts connections on TCP and UNIX sockets, within limits, and hands over plain descriptors.
 *
 * It accepts up to 32 connections each time that the loop finds some waiting, and rests for a millisecond if there were
 * so many: a storm of them waits in the kernel, some 20 000 a second get in, and those who are connected are served
 * meanwhile. Several listeners that share a port (reuse_port) accept as many more. What it does at each limit:
 *
 *   max_connections     by `at_limit`: refuses (the peer gets an answer), or accepts nothing until one is released (the
 *                       peer waits in the kernel's backlog)
 *   max_per_address     refuses; the others aren't kept waiting for it
 *   accepts_per_second  accepts nothing until the next token is due; refused peers cost no token
 *   no descriptor, no memory    (EMFILE, ENFILE, ENOBUFS, ENOMEM) tries again after 100 ms; the peers wait
 *   an error of one connection  (ECONNABORTED, EINTR, EPROTO, EPERM and the like) goes on with the next
 *   any other error, or nothing but errors 32 times in a row    tries again after 100 ms
 *
 * To refuse is to offer the socket to `on_refused`, which may take it and say why; whoever isn't taken is reset.
 *
 * Thread: the loop's, except where a function says otherwise. A listener keeps the loop alive until it is closed. No
 * callback runs inside a call of yours: all are called from the loop, and anything of the library may be called there.
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

/** Stands for a place within the limits, until it is given to fluxbp_listener_release. Never 0. */
typedef uint64_t fluxbp_permit_t;

/** What happens to a peer that comes while there are max_connections. */
typedef enum fluxbp_at_limit { FLUXBP_AT_LIMIT_REFUSE = 0, FLUXBP_AT_LIMIT_PAUSE } fluxbp_at_limit_t;

/** Why a peer is refused. */
typedef enum fluxbp_refusal {
  FLUXBP_REFUSAL_CONNECTIONS = 0, /* there are max_connections */
  FLUXBP_REFUSAL_ADDRESS          /* there are max_per_address of its address */
} fluxbp_refusal_t;

/**
 * A connection, non-blocking and close-on-exec. The callee owns `fd` from now on, and owes exactly one
 * fluxbp_listener_release of `permit` when the connection is gone.
 *
 * @param peer its address, valid until the callback returns; of a peer on a UNIX socket only the family
 */
typedef void (*fluxbp_accept_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_permit_t permit);

/**
 * A peer that is refused. The callee may take the socket, to tell it why: then it owns `fd` and owes the release of
 * `permit`, as in fluxbp_accept_cb. Otherwise the library resets the connection, which may also destroy what was
 * written to it, and the permit is void.
 *
 * @return whether it was taken: 1 or 0
 */
typedef int (*fluxbp_refused_cb)(fluxbp_listener_t *listener, uv_os_sock_t fd, const struct sockaddr *peer,
                                 fluxbp_refusal_t reason, fluxbp_permit_t permit);

/** Accepting failed with `err`, a code of libuv's; it is tried again after 100 ms. For the log: at most 10 a second. */
typedef void (*fluxbp_listener_error_cb)(fluxbp_listener_t *listener, int err);

typedef void (*fluxbp_listener_cb)(fluxbp_listener_t *listener);

typedef struct fluxbp_listener_options {
  size_t size;                           /* set by fluxbp_listener_options_init */
  fluxbp_accept_cb on_accept;            /* must be set */
  fluxbp_refused_cb on_refused;          /* default NULL: whoever is refused is reset */
  fluxbp_listener_error_cb on_error;     /* default NULL */
  fluxbp_pool_t *pool;                   /* where its memory comes from, which it holds until its last permit is
                                            released; default NULL: one of its own */
  int backlog;                           /* connections that wait in the kernel, which has a limit of its own
                                            (net.core.somaxconn); default 4096; at least 1 */
  int reuse_port;                        /* SO_REUSEPORT: several listeners share an address, and the kernel deals the
                                            connections out, also to one that is paused; default 0 */
  int ipv6_only;                         /* an IPv6 socket doesn't take IPv4 peers; default 0: it does */
  int unix_mode;                         /* permissions of a UNIX socket's file, 0 … 0777; default -1: by the umask */
  fluxbp_at_limit_t at_limit;            /* default FLUXBP_AT_LIMIT_REFUSE */
  uint32_t max_connections;              /* accepted and not released; default 65536; at least 1 */
  uint32_t max_per_address;              /* of them, from one IPv4 address or one IPv6 /64 prefix (all link-local peers
                                            have the same); not for UNIX sockets; default 0, which is off */
  uint32_t max_refusals;                 /* taken by on_refused and not released; with as many, the next are reset
                                            without a word; default 8 */
  uint32_t accepts_per_second;           /* default 0, which is off */
  uint32_t accept_burst;                 /* accepted at once after a quiet time; default 100; at least 1 */
  uint64_t (*clock_ms)(void *clock_arg); /* monotonic milliseconds; default NULL: the loop's clock */
  void *clock_arg;
  void *user; /* see fluxbp_listener_user */
} fluxbp_listener_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_listener_options_init(options) fluxbp_listener_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_listener_options_init_sized(fluxbp_listener_options_t *options, size_t size);

/**
 * Listen on an IPv4 or IPv6 address. Port 0: one that the kernel chooses; see fluxbp_listener_address.
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
 * Listen on a UNIX socket. Its file is removed when the listener is closed, if it is still the one that was made here.
 * A socket file that nobody listens on is replaced; nothing else ever is. (Two servers that start at the same moment on
 * the same stale file may both think so, and the later one gets the name.)
 *
 * @return 0, or
 *   UV_ENAMETOOLONG the path doesn't fit into a socket address (107 bytes on Linux)
 *   UV_EADDRINUSE   somebody listens there
 *   UV_EEXIST       there is a file of that name that isn't a socket
 *   and what fluxbp_listener_open_tcp returns
 */
FLUXBP_EXTERN int fluxbp_listener_open_unix(uv_loop_t *loop, const char *path, const fluxbp_listener_options_t *options,
                                            fluxbp_listener_t **listener);

/**
 * Accept on a socket that is bound and listens already, as one inherited from systemd. It is made non-blocking and
 * close-on-exec, and belongs to the listener from then on; after an error it is still the caller's. Its path, if it has
 * one, is never removed. `backlog`, `reuse_port`, `ipv6_only` and `unix_mode` say nothing here.
 *
 * @return 0, or
 *   UV_EBADF    not a descriptor
 *   UV_ENOTSOCK not a socket
 *   UV_EINVAL   not a stream socket of IPv4, IPv6 or UNIX that listens; or an option is out of its range
 *   UV_EEXIST   the loop watches it already
 *   and what fluxbp_listener_open_tcp returns
 */
FLUXBP_EXTERN int fluxbp_listener_adopt(uv_loop_t *loop, uv_os_sock_t fd, const fluxbp_listener_options_t *options,
                                        fluxbp_listener_t **listener);

/**
 * Stop for good: the socket is closed at once, and the kernel resets the peers that wait in its backlog. `cb` (may be
 * NULL) is called from the loop when the loop has no more to do with it; from then on only fluxbp_listener_release may
 * be called, and its memory goes with the last permit. Calling it again does nothing.
 */
FLUXBP_EXTERN void fluxbp_listener_close(fluxbp_listener_t *listener, fluxbp_listener_cb cb);

/**
 * A connection that was accepted, or a refused one that was taken, is gone. Close its descriptor first: the next peer
 * may need it. Any thread, also after the listener was closed, and after its loop was.
 *
 * @return 0, or
 *   UV_EINVAL the permit was never issued, or has been released; nothing was done
 */
FLUXBP_EXTERN int fluxbp_listener_release(fluxbp_listener_t *listener, fluxbp_permit_t permit);

/** Accept nothing until fluxbp_listener_resume: peers wait in the kernel's backlog. Calls don't add up. */
FLUXBP_EXTERN void fluxbp_listener_pause(fluxbp_listener_t *listener);

/** Accept again, unless a limit or an error says otherwise. */
FLUXBP_EXTERN void fluxbp_listener_resume(fluxbp_listener_t *listener);

/**
 * The address that it listens on, as getsockname gives it.
 *
 * @param length the size of `address` in bytes; afterwards that of what was written
 * @return 0, UV_EBADF (it was closed), or what the kernel said
 */
FLUXBP_EXTERN int fluxbp_listener_address(const fluxbp_listener_t *listener, struct sockaddr *address, int *length);

FLUXBP_EXTERN uv_loop_t *fluxbp_listener_loop(const fluxbp_listener_t *listener);
FLUXBP_EXTERN void *fluxbp_listener_user(const fluxbp_listener_t *listener);

/** Why nothing is accepted at the moment: bits of fluxbp_listener_stats_t.paused. */
typedef enum fluxbp_paused {
  FLUXBP_PAUSED_BY_HOST = 1,  /* fluxbp_listener_pause */
  FLUXBP_PAUSED_BY_LIMIT = 2, /* there are max_connections */
  FLUXBP_PAUSED_BY_RATE = 4,  /* the next token isn't due */
  FLUXBP_PAUSED_BY_ERROR = 8  /* last_error, not yet 100 ms ago */
} fluxbp_paused_t;

/** All figures belong to the same moment. Counters begin with the listener and never go back. */
typedef struct fluxbp_listener_stats {
  /* counters */
  uint64_t accepted;            /* handed to on_accept */
  uint64_t refused_connections; /* because of max_connections */
  uint64_t refused_address;     /* because of max_per_address */
  uint64_t refused_silently;    /* of both, those that on_refused was not asked about */
  uint64_t error_descriptors;   /* EMFILE, ENFILE */
  uint64_t error_memory;        /* ENOBUFS, ENOMEM, and the pool's allocator */
  uint64_t error_aborted;       /* ECONNABORTED, EPROTO, and network errors that the kernel reports by accept */
  uint64_t error_interrupted;   /* EINTR */
  uint64_t error_forbidden;     /* EPERM: a firewall rule */
  uint64_t error_other;

  /* gauges */
  uint64_t connections; /* accepted and not released */
  uint64_t refusals;    /* taken by on_refused and not released */
  uint32_t paused;      /* bits of fluxbp_paused_t; 0: it accepts */
  int last_error;       /* a code of libuv's; 0 if there was none */
} fluxbp_listener_stats_t;

/** Take a snapshot. Any thread, until the callback of fluxbp_listener_close has returned, or with a permit in hand. */
#define fluxbp_listener_get_stats(listener, stats)                                                                     \
  fluxbp_listener_get_stats_sized((listener), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_listener_get_stats_sized(fluxbp_listener_t *listener, fluxbp_listener_stats_t *stats,
                                                   size_t size);

#ifdef __cplusplus
}
#endif

#endif
