/* SPDX-License-Identifier: MIT */
/*
 * systemd: telling the service manager how we are, and taking the sockets that it opened for us. Nothing happens if
 * there is no such manager, or if this was built without libsystemd (systemd_none.c). Main thread only.
 */
#ifndef GATEWAY_SYSTEMD_H
#define GATEWAY_SYSTEMD_H

#include <uv.h>

/**
 * A socket that listens and was given to us under the name of a door, such as "http" or "http-tls", the
 * FileDescriptorName= of a socket unit. If none of those that were given has one of these names, they are taken in this
 * order.
 *
 * @return the descriptor, or -1: there is none
 */
int systemd_listen_fd(const char *name);

/** We serve; `status` is one line for people, as systemctl shows it. */
void systemd_ready(const char *status);

/** We are about to end. */
void systemd_stopping(void);

/**
 * Tell the manager again and again, twice as often as it wants to hear it (WatchdogSec=), that this loop runs. It
 * doesn't keep the loop alive. To be undone by systemd_watchdog_close before the loop is closed.
 *
 * @return 0 (also if the manager doesn't want it), or a libuv error
 */
int systemd_watchdog(uv_loop_t *loop);

void systemd_watchdog_close(void);

#endif
