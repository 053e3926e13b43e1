/* SPDX-License-Identifier: MIT */
/*
 * publish_run: commands PUB that follow each other, for one topic, done together: one look at what the client may do,
 * one claim on the bus, one answer for all. Each of them is done as commands.c would do it, and answered in its order;
 * what is not as simple as that is left to commands.c. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_PUBLISH_RUN_H
#define FLUXBP_SERVER_PUBLISH_RUN_H

#include "session.h"

#include <stdbool.h>
#include <stddef.h>

/* A command as it lies in what the client has sent. */
struct run_piece {
  const char *text;
  size_t length;
  size_t bytes;              /* that the command takes with all that its protocol puts around it */
  const unsigned char *mask; /* 4 bytes with which the text is masked, of a WebSocket; or NULL */
};

/** Find the whole command with which `data` begins. @return false: there is none, or it takes a closer look */
typedef bool (*run_cut_t)(const char *data, size_t length, struct run_piece *piece);

/**
 * Do the commands PUB with which `data` begins, as far as that may be done now. Nothing of an earlier command is left
 * to come.
 *
 * @return how many bytes are done with. What follows is for commands.c; if it can't be done either, that keeps it
 */
size_t publish_run_take(fluxbp_session_t *session, const char *data, size_t length, run_cut_t cut);

#endif
