/* SPDX-License-Identifier: MIT */
/*
 * Internal side of topic: what ends with a connection, and changes with its codec.
 */
#ifndef FLUXBP_LIB_TOPIC_H
#define FLUXBP_LIB_TOPIC_H

#include "topics.h"

/* Unsubscribe a connection from all its topics. */
void fluxbp__topic_leave_all(fluxbp_conn_t *conn);

/* Encode by another codec what the connection's topics publish from now on. 0, or the error of a state topic that has
 * no room for what it keeps in that codec; then nothing was changed. */
int fluxbp__topic_recode_all(fluxbp_conn_t *conn, uint8_t codec);

#endif
