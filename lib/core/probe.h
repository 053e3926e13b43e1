/* SPDX-License-Identifier: MIT */
/*
 * probe: what the kernel knows about a socket. Linux has probe_linux.c, everything else probe_none.c, which knows
 * nothing and says so; probe_cause.c says what the samples mean. Knows nothing of connections and policies.
 */
#ifndef FLUXBP_LIB_PROBE_H
#define FLUXBP_LIB_PROBE_H

#include "fluxbp/eviction.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* What the kernel says of a TCP connection at one moment. */
typedef struct fluxbp__sample {
  bool is_known;              /* false: everything else is 0 */
  uint32_t window;            /* bytes that the peer is ready to take */
  uint32_t unacked_packets;   /* on their way */
  uint32_t retransmits;       /* of the oldest of them, one after the other without an answer */
  uint64_t acked_bytes;       /* ever */
  uint64_t busy_us;           /* time with something to send, ever */
  uint64_t window_limited_us; /* the part of it in which the peer's window was what limited the flow */
  uint32_t probes; /* of a closed window, or of a connection with nothing to send: so many without an answer */
  uint32_t last_ack_recv_ms;  /* since the peer's kernel last acknowledged something, or answered a probe */
  uint32_t last_data_recv_ms; /* since it last sent something */
} fluxbp__sample_t;

/* Set what a broadcast connection wants of TCP, as far as the system has it. 0 or what the kernel says. */
int fluxbp__probe_prepare(uv_os_fd_t fd);

/* The same for all that a TCP socket is about to accept, where they inherit it: then preparing them finds it done,
 * which saves most of the system calls of a new connection. */
void fluxbp__probe_prepare_listening(uv_os_sock_t fd);

/* Return the bytes sent that the peer's kernel hasn't acknowledged, a FIN counted as one; -1 where that isn't known, as
 * for an `fd` of -1. */
int64_t fluxbp__probe_unacked(uv_os_fd_t fd);

/* Take a sample; its is_known is false where nothing is known, as for an `fd` of -1. */
void fluxbp__probe_sample(uv_os_fd_t fd, fluxbp__sample_t *sample);

/* Retransmissions or probes of it, one after the other, without an answer. Pure. */
static inline uint32_t fluxbp__sample_unanswered(const fluxbp__sample_t *sample) {
  return sample->retransmits > sample->probes ? sample->retransmits : sample->probes;
}

/* How long nothing has come from the peer, of a sample that is known. Pure. */
static inline uint32_t fluxbp__sample_since_heard_ms(const fluxbp__sample_t *sample) {
  return sample->last_ack_recv_ms < sample->last_data_recv_ms ? sample->last_ack_recv_ms : sample->last_data_recv_ms;
}

/* Why it is slow, from a sample of some seconds ago and one of now; `has_moved` is false if it is known that nothing
 * has moved lately, whatever the samples say. Pure. */
fluxbp_cause_t fluxbp__sample_cause(const fluxbp__sample_t *before, const fluxbp__sample_t *now, bool has_moved);

/* A quarter of what the kernel keeps for TCP of the whole system before it becomes sparing; UINT64_MAX where that isn't
 * known. */
uint64_t fluxbp__probe_kernel_share(void);

#endif
