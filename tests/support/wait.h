/* SPDX-License-Identifier: MIT */
/*
 * wait: what the fixtures' waits have in common. None of them may last for ever, for then ctest would end the program
 * and nobody would know which wait it was.
 */
#ifndef FLUXBP_TESTS_WAIT_H
#define FLUXBP_TESTS_WAIT_H

#include <uv.h>

enum { WAIT_MAX_MS = 60000 }; /* of a loop that sleeps: much longer than a busy machine makes it */

typedef struct wait_place {
  const char *file;
  int line;
} wait_place_t;

/* Fail the test that waits at `file`:`line` for `what`, which didn't come. */
void wait_fail(const char *what, const char *file, int line);

/* Let a loop tell the close callbacks that are due. It doesn't sleep: handles that are left are for uv_loop_close to
 * report. */
void wait_for_end(uv_loop_t *loop);

#endif
