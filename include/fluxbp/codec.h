/* SPDX-License-Identifier: MIT */
/*
 * codec: how a message becomes bytes on the wire.
 *
 * A message is encoded once for each codec that its receivers use, however many receivers there are. A codec is a
 * table of functions without state of its own. The table must outlive every hub that it was given to. Three codecs are
 * built in; a program writes others in the same way.
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
 * A message to encode. The struct and everything that it points to belong to the library, and are valid during the
 * call. A later version may append fields, which codecs that were compiled before don't see.
 */
typedef struct fluxbp_publication {
  /* Name of the topic; NULL for a message that was sent to one connection. */
  const char *topic;
  /* Id of the publication; 0 for a message that was sent to one connection, and on a state topic. */
  uint64_t id;
  /* Payload: `length` bytes, at least 1. */
  const void *data;
  size_t length;
  /* Key of the message, or 0. */
  uint64_t key;
  /* Name of the key, if the message has one; or NULL. */
  const char *key_name;
  /* Whether the message removes its key: a state topic keeps no value of the key any more. */
  int is_removal;
} fluxbp_publication_t;

/** Messages that a connection has lost. A later version may append fields. */
typedef struct fluxbp_gap {
  /* Lowest id of the lost messages; 0 if none of them had an id. */
  uint64_t first_id;
  /* Highest id. */
  uint64_t last_id;
  /* Number of lost messages; less than last_id - first_id + 1 if ids have holes, or others had the ids between. */
  uint64_t count;
} fluxbp_gap_t;

typedef struct fluxbp_codec fluxbp_codec_t;
typedef struct fluxbp_conn fluxbp_conn_t;

/**
 * A table of functions, usually a constant. An entry that a table of an earlier version doesn't have counts as NULL.
 *
 * Each encode function writes at most `capacity` bytes to `out` and returns the number of bytes that it needs, as
 * snprintf does. If that is more than `capacity`, the function is called once more with a buffer of that size. A
 * negative libuv code refuses the message: then the publish fails with that code, and no connection gets the message.
 * Called on the loop's thread, inside publish, send or a flush. A codec must not call the library, except for
 * fluxbp_conn_user.
 */
struct fluxbp_codec {
  /* sizeof(fluxbp_codec_t) */
  size_t size;

  const char *name;

  /* Encode a message. NULL: the payload as it is, without a copy. */
  ptrdiff_t (*encode)(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out, size_t capacity);
  /* Encode the notice of a loss. NULL: a loss is told to the server alone (on_gap). */
  ptrdiff_t (*encode_gap)(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity);
  /* Encode the notice of an eviction. NULL: an evicted connection gets a FIN alone. */
  ptrdiff_t (*encode_farewell)(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out, size_t capacity);

  /* Pointer of the author's. */
  void *arg;

  /*
   * Bytes of a note that the library keeps behind each encoded message and notice, and never sends; at most
   * FLUXBP_CODEC_NOTE_BYTES_MAX. encode, encode_gap and encode_farewell write the note right behind what they encode,
   * and count it in what they return. 0: there are no notes.
   */
  size_t note_bytes;
  /*
   * A message or a notice with a note has been written whole to a connection. The calls come in the order of the bytes
   * on the wire, so a codec can keep a sum over all that a connection was sent, whatever was dropped for it. What was
   * queued while the connection had another codec is left out, unless that codec has notes of the same size. `note`
   * isn't aligned. NULL: nothing is done.
   */
  void (*written)(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, const void *note);
  /*
   * Encode what a connection is sent last: when it ends politely, everything queued for it has been written, and its
   * FIN is next. It has no note. A connection that is reset doesn't get it, nor one that doesn't take the rest by its
   * deadline. NULL: there is nothing.
   */
  ptrdiff_t (*encode_end)(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, char *out, size_t capacity);
};

/** The longest note, in bytes. */
#define FLUXBP_CODEC_NOTE_BYTES_MAX 64

/** Codec: the payload as it is. */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_raw;

/**
 * Codec: the payload and a newline. A gap is the line {"gap":{"from":F,"to":T,"count":N}}, a farewell the line
 * {"evicted":"REASON"}. A payload with a newline in it is refused with UV_EINVAL, as it would be read as two messages.
 * All other bytes are passed on, a carriage return too, at which some readers end a line.
 */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_newline;

/** Codec: the length of the payload as 4 bytes in network order, then the payload. */
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_length32;

#ifdef __cplusplus
}
#endif

#endif
