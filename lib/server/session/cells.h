/* SPDX-License-Identifier: MIT */
/*
 * cells: a small number for each subscriber of one hub, which is given to another one when it is gone. A picture of all
 * clients has a place for each of them. Thread: the hub's.
 */
#ifndef FLUXBP_SERVER_CELLS_H
#define FLUXBP_SERVER_CELLS_H

#include <stdint.h>

/* No cell: the client is no subscriber. */
#define CELL_NONE UINT32_MAX

typedef struct fluxbp_session fluxbp_session_t;

/* All zero: there are none. */
struct cells {
  fluxbp_session_t **sessions; /* by cell; NULL: free */
  uint32_t count;              /* one more than the largest cell in use */
  uint32_t capacity;
  uint32_t first_free; /* no cell below is free */
};

/** Give the client the lowest cell that is free. @return 0, with the cell in `*cell`, or UV_ENOMEM */
int cells_take(struct cells *cells, fluxbp_session_t *session, uint32_t *cell);

/** The client of that cell is gone. */
void cells_give_back(struct cells *cells, uint32_t cell);

/** Free the memory. */
void cells_reset(struct cells *cells);

#endif
