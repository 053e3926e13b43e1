/* SPDX-License-Identifier: MIT */
/*
 * cells: an array that is searched for a free cell from the lowest that may be free. That costs less than making the
 * connection did.
 */
#include "cells.h"

#include <stdlib.h>
#include <uv.h>

/* The array grows like this, and by an eighth when there are thousands. */
#define CELLS_MIN 64
#define CELLS_DOUBLED 1024

static int make_room(struct cells *cells, uint32_t wanted) {
  if (wanted <= cells->capacity) return 0;
  uint32_t capacity = cells->capacity;
  capacity = capacity < CELLS_DOUBLED ? capacity * 2 + CELLS_MIN : capacity + capacity / 8;
  fluxbp_session_t **sessions = realloc(cells->sessions, capacity * sizeof(fluxbp_session_t *));
  if (sessions == NULL) return UV_ENOMEM;
  cells->sessions = sessions;
  cells->capacity = capacity;
  return 0;
}

int cells_take(struct cells *cells, fluxbp_session_t *session, uint32_t *cell) {
  uint32_t first = cells->first_free;
  while (first < cells->count && cells->sessions[first] != NULL) first++;
  int err = make_room(cells, first + 1);
  if (err != 0) return err;
  if (first == cells->count) cells->count++;
  cells->sessions[first] = session;
  cells->first_free = first + 1;
  *cell = first;
  return 0;
}

void cells_give_back(struct cells *cells, uint32_t cell) {
  cells->sessions[cell] = NULL;
  if (cell < cells->first_free) cells->first_free = cell;
  while (cells->count > 0 && cells->sessions[cells->count - 1] == NULL) cells->count--;
}

void cells_reset(struct cells *cells) {
  free(cells->sessions);
  *cells = (struct cells){0};
}
