/* SPDX-License-Identifier: MIT */
/*
 * mix: how clients behave, and how many of them do so: "healthy=90,slow:64KB/s=5,stalled=5". Pure.
 */
#ifndef LOADCLIENT_MIX_H
#define LOADCLIENT_MIX_H

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

#endif
