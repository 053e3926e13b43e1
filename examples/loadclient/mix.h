/* SPDX-License-Identifier: MIT */
/*
 * mix: how clients behave, and how many of them do so: "healthy=90,slow:64KB/s=5,stalled=5". Pure.
 */
#ifndef LOADCLIENT_MIX_H
#define LOADCLIENT_MIX_H

#include <stdbool.h>
#include <stddef.h>
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
  uint64_t slow_bytes_per_second;
  uint64_t bursty_pause_ns;        /* and as long it reads */
  uint64_t reconnect_mean_ns;      /* between two cuts */
  uint32_t shares[CLIENT_CLASSES]; /* clients of each class, by mix_share_out() */
};

#define MIX_PROBLEM_BYTES 160

extern const char *const mix_class_names[CLIENT_CLASSES];

/** Return the class of that name, or -1. */
int mix_class_by_name(const char *name, size_t length);

/**
 * Read CLASS[:HOW]=WEIGHT,… into `mix`. HOW is a rate for slow, a pause for bursty, a mean time between cuts for
 * reconnect.
 *
 * @return false with a sentence in `problem`
 */
bool mix_parse(struct mix *mix, const char *text, char problem[MIX_PROBLEM_BYTES]);

/** Give each class its share of the clients; each class with a weight gets at least one if there are enough. */
void mix_share_out(struct mix *mix, uint32_t clients);

/* The clients in the order of connecting, classes evenly spread. */
struct mix_walk {
  const struct mix *mix;
  uint32_t clients;
  uint32_t given; /* so far */
  uint32_t given_of[CLIENT_CLASSES];
};

void mix_walk_init(struct mix_walk *walk, const struct mix *mix, uint32_t clients);

/** Return the class of the next client. */
enum client_class mix_walk_next(struct mix_walk *walk);

/** Return whether clients of a class have to get every message. */
static inline bool mix_is_lossless(enum client_class class) {
  return class == CLIENT_HEALTHY || class == CLIENT_RECONNECT;
}

#endif
