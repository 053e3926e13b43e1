/* SPDX-License-Identifier: MIT */
/*
 * A listening socket: made for an address or a path, or taken over from the program that made it. Knows nothing of
 * loops.
 */
#ifndef FLUXBP_LIB_LISTENER_SOCKET_H
#define FLUXBP_LIB_LISTENER_SOCKET_H

#include "fluxbp/listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

typedef struct fluxbp__listener_socket {
  int fd;                  /* -1: closed */
  struct sockaddr_un file; /* the path of the file that was made for it; empty: there is none */
  dev_t device;            /* and which file that was: the path may be another's by the time it is closed */
  ino_t inode;
} fluxbp__listener_socket_t;

/* 0 or libuv's code; then there is no socket, and no file. */
int fluxbp__listener_socket_open_tcp(fluxbp__listener_socket_t *socket, const struct sockaddr *address,
                                     const fluxbp_listener_options_t *options);
int fluxbp__listener_socket_open_unix(fluxbp__listener_socket_t *socket, const char *path,
                                      const fluxbp_listener_options_t *options);

/* 0 or libuv's code; then nothing about `fd` has changed. */
int fluxbp__listener_socket_adopt(fluxbp__listener_socket_t *socket, int fd);

/* Also removes the file, if it is the one that was made. */
void fluxbp__listener_socket_close(fluxbp__listener_socket_t *socket);

#endif
