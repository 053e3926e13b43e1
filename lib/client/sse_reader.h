/* SPDX-License-Identifier: MIT */
/*
 * sse_reader: from bytes that arrive in any pieces to Server-Sent Events, within a limit. Does no I/O.
 *
 * It knows the fields `event` and `data`; comments, ids and whatever else there may be are skipped.
 */
#ifndef FLUXBP_CLIENT_SSE_READER_H
#define FLUXBP_CLIENT_SSE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSE_NAME_BYTES 32 /* of a field's or an event's name, with the NUL; longer ones are ours in no case */

/** An event with data is complete. `name` is "message" where the stream gives none. Valid until it returns. */
typedef void (*sse_event_cb)(void *user, const char *name, const char *data, size_t length);

enum sse_place { SSE_FIELD, SSE_AFTER_COLON, SSE_VALUE };

struct sse_reader {
  size_t max_data_bytes; /* of one event; larger ones are skipped and counted */
  sse_event_cb on_event;
  void *user;
  uint64_t skipped;

  enum sse_place place;
  bool is_after_cr;
  bool is_skipping; /* this event, to its end */
  size_t field_length, name_length;
  char field[SSE_NAME_BYTES], name[SSE_NAME_BYTES];
  bool has_data;
  char *data; /* of the event so far */
  size_t length, capacity;
};

void sse_reader_init(struct sse_reader *reader, size_t max_data_bytes, sse_event_cb on_event, void *user);

/** Take the next bytes. Memory that runs out skips an event, too. */
void sse_reader_take(struct sse_reader *reader, const char *bytes, size_t length);

/** Forget what there is, for a stream that begins anew, and free the memory. */
void sse_reader_reset(struct sse_reader *reader);

#endif
