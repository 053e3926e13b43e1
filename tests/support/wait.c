/* SPDX-License-Identifier: MIT */
/*
 * wait: see wait.h.
 */
#include "support/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TURNS_MAX = 100 };

void wait_fail(const char *what, const char *file, int line) {
  print_error("gave up waiting for: %s\n", what);
  _fail(file, line);
}

void wait_for_end(uv_loop_t *loop) {
  for (int i = 0; i < TURNS_MAX && uv_run(loop, UV_RUN_NOWAIT) != 0; i++) {
  }
}
