/* SPDX-License-Identifier: MIT */
/*
 * A small interface with a struct of each kind, for compare_test.sh. Nothing implements it.
 */
#ifndef FLUXBP_FLUXBP_H
#define FLUXBP_FLUXBP_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#define FLUXBP_COLOURS_MAX 8

typedef struct fluxbp_sample fluxbp_sample_t;

typedef enum fluxbp_colour { FLUXBP_RED = 0, FLUXBP_GREEN, FLUXBP_COLOUR_COUNT } fluxbp_colour_t;

typedef struct fluxbp_memory {
  void *(*alloc)(size_t size);
} fluxbp_memory_t;

typedef struct fluxbp_sample_options {
  size_t size;
  fluxbp_memory_t memory;
  uint64_t first;
  uint64_t second;
  uint32_t third;
} fluxbp_sample_options_t;

typedef struct fluxbp_sample_stats {
  uint64_t counts[FLUXBP_COLOURS_MAX];
  uint64_t total;
} fluxbp_sample_stats_t;

typedef struct fluxbp_sample_handlers {
  size_t size;
  void (*on_data)(fluxbp_sample_t *sample, size_t length);
} fluxbp_sample_handlers_t;

FLUXBP_EXTERN extern const fluxbp_sample_handlers_t fluxbp_sample_handlers_none;

FLUXBP_EXTERN int fluxbp_sample_create(const fluxbp_sample_options_t *options, const fluxbp_sample_handlers_t *handlers,
                                       fluxbp_sample_t **sample);
FLUXBP_EXTERN void fluxbp_sample_get_stats_sized(fluxbp_sample_t *sample, fluxbp_sample_stats_t *stats, size_t size);
FLUXBP_EXTERN void fluxbp_sample_paint(fluxbp_sample_t *sample, fluxbp_colour_t colour);
FLUXBP_EXTERN void fluxbp_sample_destroy(fluxbp_sample_t *sample);

#endif
