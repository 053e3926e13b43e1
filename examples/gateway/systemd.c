/* SPDX-License-Identifier: MIT */
/*
 * systemd: by libsystemd, which looks into the environment for what the manager wants.
 */
#include "systemd.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define USEC_PER_MS 1000

static const char *const names_of_ours[] = {"tcp", "tcp-length", "http", "tcp-tls", "tcp-length-tls", "http-tls"};
#define NAMES_OF_OURS (sizeof names_of_ours / sizeof names_of_ours[0])

/* There is one manager, so there is one of these. */
static struct {
  bool is_open;
  uv_timer_t timer;
} watchdog;

static int place_of(const char *const *names, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(names[i], name) == 0) return (int) i;
  return -1;
}

static bool has_one_of_ours(const char *const *names, size_t count) {
  for (size_t i = 0; i < NAMES_OF_OURS; i++)
    if (place_of(names, count, names_of_ours[i]) != -1) return true;
  return false;
}

int systemd_listen_fd(const char *name) {
  char **names = NULL;
  int count = sd_listen_fds_with_names(0, &names);
  if (count <= 0) return -1;
  const char *const *given = (const char *const *) names;
  int place = has_one_of_ours(given, (size_t) count) ? place_of(given, (size_t) count, name)
                                                     : place_of(names_of_ours, NAMES_OF_OURS, name);
  for (int i = 0; i < count; i++) free(names[i]);
  free(names);
  return place != -1 && place < count ? SD_LISTEN_FDS_START + place : -1;
}

/* A manager that can't be told is one that isn't there: there is nothing to do about it. */
void systemd_ready(const char *status) {
  (void) sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void systemd_stopping(void) {
  (void) sd_notify(0, "STOPPING=1\nSTATUS=draining");
}

static void on_watchdog(uv_timer_t *timer) {
  (void) timer;
  (void) sd_notify(0, "WATCHDOG=1");
}

int systemd_watchdog(uv_loop_t *loop) {
  uint64_t limit_usec;
  if (sd_watchdog_enabled(0, &limit_usec) <= 0) return 0;
  int err = uv_timer_init(loop, &watchdog.timer);
  if (err != 0) return err;
  watchdog.is_open = true;
  uv_unref((uv_handle_t *) &watchdog.timer);
  uint64_t interval_ms = limit_usec / 2 / USEC_PER_MS;
  if (interval_ms == 0) interval_ms = 1;
  return uv_timer_start(&watchdog.timer, on_watchdog, 0, interval_ms);
}

void systemd_watchdog_close(void) {
  if (!watchdog.is_open) return;
  watchdog.is_open = false;
  uv_close((uv_handle_t *) &watchdog.timer, NULL);
}
