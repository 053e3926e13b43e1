/* SPDX-License-Identifier: MIT */
/*
 * codec: how a message becomes bytes on the wire.
 *
 * A message is encoded once for each codec that its receivers use, however many there are. A codec is a table of
 * functions without state of its own; it must outlive every hub that it was given to. The three here are ready to use;
 * others (WebSocket, Server-Sent Events, yours) are written the same way.
 */
#ifndef FLUXBP_CODEC_H
#define FLUXBP_CODEC_H

#include "fluxbp/eviction.h"
#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What there is to encode: memory of the library's, valid during the call alone, and so are the pointers. A later
 * version may append fields, which codecs that were compiled before don't see.
 */
typedef struct fluxbp_publication {
  const char *topic; /* its name, or NULL for a message that was sent to one connection */
  uint64_t id;       /* of the publication; 0 for a message sent to one connection or on a state topic */
  const void *data;
  size_t len;           /* in bytes, at least 1 */
  uint64_t key;         /* of the message, or 0 */
  const char *key_name; /* what the key stands for, if the message says so; or NULL */
  int is_removal;       /* the message removes its key: a state topic keeps none any more */
} fluxbp_publication_t;

/** Messages of one log topic that a connection has not received. A later version may append fields. */
typedef struct fluxbp_gap {
  uint64_t first_id; /* the lowest of them; 0 if none of them had an id */
  uint64_t last_id;  /* the highest */
  uint64_t count;    /* how many were lost; fewer than last - first + 1 where ids have holes */
} fluxbp_gap_t;

typedef struct fluxbp_codec fluxbp_codec_t;

/**
 * A table of functions, usually a constant. An entry that a table of an earlier version doesn't have counts as NULL.
 *
 * Each function writes at most `capacity` bytes to `out` and returns how many it needs, as snprintf does: with a larger
 * number than `capacity` it is called once more with a buffer of that size. A negative libuv code refuses: the publish
 * fails with it, nothing was sent to anybody. Called on the loop's thread, inside publish, send or a flush; it must not
 * call the library.
 */
struct fluxbp_codec {
  /* sizeof(fluxbp_codec_t) */
  size_t size;

  const char *name;

  /* NULL: the payload as it is, without a copy */
  ptrdiff_t (*encode)(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out, size_t capacity);
  /* NULL: a loss is reported to the server alone (the connection's on_gap) */
  ptrdiff_t (*encode_gap)(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity);
  /* NULL: an evicted connection gets a FIN without a word */
  ptrdiff_t (*encode_farewell)(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out, size_t capacity);

  void *arg; /* the author's */
};

/** The payload as it is. */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_raw;

/**
 * The payload and a newline. A gap is the line {"gap":{"from":F,"to":T,"count":N}}, a farewell the line
 * {"evicted":"REASON"}. A payload with a newline in it is refused with UV_EINVAL: it would be two messages.
 * Other bytes are passed on as they are, a carriage return too, at which some readers end a line.
 */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_newline;

/** The payload's length as 4 bytes in network order, then the payload. */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_length32;

#ifdef __cplusplus
}
#endif

#endif
