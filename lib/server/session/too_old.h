/* SPDX-License-Identifier: MIT */
/*
 * too_old: why a client can't be continued, from where it could be, and which of its topics are to blame.
 */
#ifndef FLUXBP_SERVER_TOO_OLD_H
#define FLUXBP_SERVER_TOO_OLD_H

#include "server/codecs.h"

#include <stddef.h>

/** Names of topics, as far as they are said: a few of the longest. */
#define TOO_OLD_TOPICS_BYTES 256

struct too_old {
  const char *problem;               /* "too old", or what else is wrong with the id */
  char oldest[ID_TEXT_BYTES];        /* the id from which all topics of the client could be continued */
  char position[ID_TEXT_BYTES];      /* what is live begins behind it */
  char topics[TOO_OLD_TOPICS_BYTES]; /* those that don't reach back to the client's id, with commas; may be empty */
  size_t left_out;                   /* how many of them have no room there */
};

/** One more topic doesn't reach back. */
void too_old_add_topic(struct too_old *too_old, const char *name);

/**
 * Write "PROBLEM, oldest is ID", and behind it ", topics a,b" or ", topics a and 3 more" as far as whole names have
 * room.
 *
 * @return the length, without the NUL
 */
size_t too_old_write(const struct too_old *too_old, char *text, size_t capacity);

/** Write it as a JSON object, with "topics" and "more" if there are any. @return the length, 0 if there isn't so much
 * room */
size_t too_old_write_json(const struct too_old *too_old, char *text, size_t capacity);

#endif
