/* SPDX-License-Identifier: MIT */
/*
 * proxy_protocol: the header of PROXY protocol v2, by which a proxy says whose connection it passes on. A parser that
 * takes bytes in any pieces and keeps no more than the addresses; it knows nothing of sockets.
 */
#ifndef FLUXBP_SERVER_PROXY_PROTOCOL_H
#define FLUXBP_SERVER_PROXY_PROTOCOL_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* Longer headers are refused. Addresses take 52 bytes; the rest is for what proxies say of TLS. */
#define PROXY_HEADER_BYTES_MAX 4096

enum proxy_outcome {
  PROXY_MORE,    /* all was taken, and the header goes on */
  PROXY_LOCAL,   /* it has ended: the proxy speaks for itself, as when it checks this server */
  PROXY_UNNAMED, /* it has ended: the proxy speaks for a client, and gives no address of TCP */
  PROXY_ADDRESS, /* it has ended, and the client's address is in `client` */
  PROXY_WRONG    /* it is none */
};

struct proxy_header {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } client;
  size_t taken;            /* bytes of the header */
  unsigned char bytes[52]; /* the first of them; the rest isn't looked at */
};

/**
 * Take what belongs to the header: `*data` and `*length` are moved on behind that. The header is all zero before the
 * first call; what is wrong is known from its first wrong byte on.
 */
enum proxy_outcome proxy_header_take(struct proxy_header *header, const char **data, size_t *length);

#endif
