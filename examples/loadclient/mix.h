/* SPDX-License-Identifier: MIT */
/*
 * mix: what a run is made of, by weights. Pure. How clients behave, and how many of them do so:
 * "healthy=90,slow:64KB/s=5,stalled=5"; and how large messages are: "64:90,1024-2048:9,16384:1".
 */
#ifndef LOADCLIENT_MIX_H
#define LOADCLIENT_MIX_H

#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

enum client_class {
  CLIENT_HEALTHY,   /* reads everything at once, and has to get everything */
  CLIENT_SLOW,      /* reads at a rate */
  CLIENT_STALLED,   /* never reads */
  CLIENT_BURSTY,    /* reads for a while, pauses for a while */
  CLIENT_RECONNECT, /* reads at once, is cut at random, comes back and resumes; has to get everything, once */
  CLIENT_CLASSES
};

struct mix {
  uint32_t weights[CLIENT_CLASSES];
  uint64_t how[CLIENT_CLASSES];    /* slow: bytes a second; bursty: ns of a pause; reconnect: mean ns between cuts */
  uint32_t shares[CLIENT_CLASSES]; /* clients of each class, by mix_share_out() */
};

extern const char *const mix_class_names[CLIENT_CLASSES];

/** Return the class of that name, or -1. */
int mix_class_by_name(const char *name);

/** Read CLASS[:HOW]=WEIGHT,… @return NULL, or a sentence on the problem */
const char *mix_parse(void *mix, const char *text);

/** Give each class its share of the clients; each class with a weight gets at least one if there are enough. */
void mix_share_out(struct mix *mix, uint32_t clients);

/** Choose the class of the next client, so that classes are evenly spread, and count it in `given`, 0 at first. */
enum client_class mix_next(const struct mix *mix, uint32_t given[CLIENT_CLASSES]);

/** Return whether clients of a class have to get every message. */
static inline bool mix_is_lossless(enum client_class class) {
  return class == CLIENT_HEALTHY || class == CLIENT_RECONNECT;
}

/* Sizes of messages */

#define SIZES_PARTS 16
#define SIZES_MAX_BYTES (MESSAGE_MAX_BYTES - 1024)

struct sizes {
  uint32_t count;
  uint64_t weight_sum;
  struct size_part {
    uint64_t least, most; /* any size in between is as likely */
    uint64_t weight;
  } parts[SIZES_PARTS];
};

/** Read 200, 100-1000, or 64:90,1024-2048:9,16384:1 (size or range, and weight). @return NULL, or a sentence */
const char *sizes_parse(void *sizes, const char *text);

/** Return the size for a random number. */
uint32_t sizes_pick(const struct sizes *sizes, uint64_t random);

#endif
