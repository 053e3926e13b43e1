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
  struct client **clients = realloc(cells->clients, capacity * sizeof(struct client *));
  if (clients == NULL) return UV_ENOMEM;
  cells->clients = clients;
  cells->capacity = capacity;
  return 0;
}

int cells_take(struct cells *cells, struct client *client, uint32_t *cell) {
  uint32_t first = cells->first_free;
  while (first < cells->count && cells->clients[first] != NULL) first++;
  int err = make_room(cells, first + 1);
  if (err != 0) return err;
  if (first == cells->count) cells->count++;
  cells->clients[first] = client;
  cells->first_free = first + 1;
  *cell = first;
  return 0;
}

void cells_give_back(struct cells *cells, uint32_t cell) {
  cells->clients[cell] = NULL;
  if (cell < cells->first_free) cells->first_free = cell;
  while (cells->count > 0 && cells->clients[cells->count - 1] == NULL) cells->count--;
}

void cells_reset(struct cells *cells) {
  free(cells->clients);
  *cells = (struct cells){0};
}
