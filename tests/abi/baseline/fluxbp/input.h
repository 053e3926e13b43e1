/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_INPUT_H
#define FLUXBP_INPUT_H
#include "fluxbp/conn.h"
#include "fluxbp/export.h"
#ifdef __cplusplus
extern "C" {
#endif
FLUXBP_EXTERN int fluxbp_conn_may_go_on(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_wait_turn(fluxbp_conn_t *conn);
FLUXBP_EXTERN int fluxbp_conn_is_waiting(const fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_begin_input(fluxbp_conn_t *conn);
FLUXBP_EXTERN void fluxbp_conn_end_input(fluxbp_conn_t *conn);
#ifdef __cplusplus
}
#endif
#endif
