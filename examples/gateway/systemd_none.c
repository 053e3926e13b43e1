/* SPDX-License-Identifier: MIT */
/*
 * systemd: without libsystemd.
 */
#include "systemd.h"

int systemd_listen_fd(const char *name) {
  (void) name;
  return -1;
}

void systemd_ready(const char *status) {
  (void) status;
}

void systemd_stopping(void) {}

int systemd_watchdog(uv_loop_t *loop) {
  (void) loop;
  return 0;
}

void systemd_watchdog_close(void) {}
