/* SPDX-License-Identifier: MIT */
/*
 * probe: what the kernel knows about a socket. Linux has probe_linux.c, everything else probe_none.c, which knows
 * nothing and says so. Knows nothing of connections and policies.
 */
#ifndef FLUXBP_LIB_PROBE_H
#define FLUXBP_LIB_PROBE_H

#include <stdint.h>
#include <uv.h>

/* Set what a broadcast connection wants of TCP, as far as the system has it. 0 or what the kernel says. */
int fluxbp__probe_prepare(uv_tcp_t *tcp, uint32_t user_timeout_ms);

/* Bytes sent that the peer's kernel hasn't acknowledged, a FIN counted as one; -1 if nobody knows. */
int64_t fluxbp__probe_unacked(const uv_tcp_t *tcp);

/* Close it so that the kernel forgets what it hasn't sent, and the peer gets a reset. */
void fluxbp__probe_close_resets(const uv_tcp_t *tcp);

#endif
