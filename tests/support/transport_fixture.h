/* SPDX-License-Identifier: MIT */
/*
 * transport_fixture: transports as a program would bring them: the same bytes, by functions, requests and buffers of
 * their own.
 *
 * There are three. The pass-through behaves as the built-in TCP transport does. The keeping one behaves as TLS does: it
 * takes whole records, keeps what the kernel refuses of one, hands over what it reads in pieces, keeps what it has read
 * before a pause, and closes late. The blind one gives the library no descriptor and doesn't say what it has written.
 * Faults are for the connections of all three.
 */
#ifndef FLUXBP_TESTS_TRANSPORT_FIXTURE_H
#define FLUXBP_TESTS_TRANSPORT_FIXTURE_H

#include "fluxbp/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that the keeping transport takes at once, and so keeps; and the size of the pieces that it hands over. */
enum { TRANSPORT_RECORD_BYTES = 16384, TRANSPORT_PIECE_BYTES = 1000 };

typedef struct transport_faults {
  size_t take_bytes_max;    /* try_write takes no more at a time; 0: no limit */
  uint32_t again_every;     /* each so many-th try_write returns UV_EAGAIN; 0: none */
  uint32_t late_turns;      /* iterations of the loop by which each answer is late */
  bool is_mute;             /* want_writable and shutdown get no answer */
  size_t kept_bytes;        /* what the keeping transport says that it keeps; 0: what is so */
  bool hides_fd;            /* the keeping transport has no descriptor */
  bool answers_after_close; /* want_writable, though the connection is closing */
  bool says_eof_twice;
  bool is_answering_at_once; /* shutdown is answered inside of the entry, and says no FIN */
  /* what these entries return, unless 0 */
  int open_error, preread_error, try_write_error, want_writable_error, read_start_error, shutdown_error;
} transport_faults_t;

/* Calls of the entries since transport_fixture_reset. */
typedef struct transport_calls {
  uint64_t try_writes, agains, waits, delivers, closes, resets;
  uint64_t open_now; /* connections between `open` and the answer to `close` */
} transport_calls_t;

extern transport_faults_t transport_faults;
extern transport_calls_t transport_calls;

/* Remove all faults, and count from 0. */
void transport_fixture_reset(void);

const fluxbp_transport_t *transport_pass_through(void);
const fluxbp_transport_t *transport_keeping(void);
const fluxbp_transport_t *transport_blind(void);

#endif
