/* SPDX-License-Identifier: MIT */
/*
 * broadcast: how long it takes until every subscriber of a message has been offered it. broadcast.c says how that is
 * measured.
 */
#ifndef FLUXBP_LIB_BROADCAST_H
#define FLUXBP_LIB_BROADCAST_H

#include "fluxbp/histogram.h"
#include "turn.h"

/* Messages that are offered together. */
typedef struct fluxbp__batch {
  uint64_t begun_ns; /* when the first of them was taken */
  uint64_t messages;
} fluxbp__batch_t;

/* Zeroed at first. */
typedef struct fluxbp__broadcast {
  fluxbp__link_t marker; /* in the dirty list, behind all connections that are to be offered `marked` */
  fluxbp__batch_t marked;
  fluxbp__batch_t waiting; /* the next one; the marker is on its way for the other */
  fluxbp_histogram_t times;
} fluxbp__broadcast_t;

/* A message is going to be staged. */
void fluxbp__broadcast_begin(fluxbp__broadcast_t *broadcast, const fluxbp__turn_t *turn);

/* The message was staged, for the connections that are in the dirty list now. */
void fluxbp__broadcast_staged(fluxbp__broadcast_t *broadcast, fluxbp__turn_t *turn);

/* The marker's turn has come. */
void fluxbp__broadcast_offered(fluxbp__broadcast_t *broadcast, fluxbp__turn_t *turn);

#endif
