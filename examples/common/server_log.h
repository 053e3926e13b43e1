/* SPDX-License-Identifier: MIT */
/*
 * server_log: the events of a libfluxbp server, as lines of the program's log.
 */
#ifndef COMMON_SERVER_LOG_H
#define COMMON_SERVER_LOG_H

#include <fluxbp/server/log.h>

/** Write one event. It is a fluxbp_log_cb; `user` is ignored. */
void server_log_write(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                      size_t count);

#endif
