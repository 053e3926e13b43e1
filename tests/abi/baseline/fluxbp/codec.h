/* SPDX-License-Identifier: MIT */
#ifndef FLUXBP_CODEC_H
#define FLUXBP_CODEC_H
#include "fluxbp/eviction.h"
#include "fluxbp/export.h"
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
typedef struct fluxbp_publication {
  const char *topic;
  uint64_t id;
  const void *data;
  size_t length;
  uint64_t key;
  const char *key_name;
  int is_removal;
} fluxbp_publication_t;
typedef struct fluxbp_gap {
  uint64_t first_id;
  uint64_t last_id;
  uint64_t count;
} fluxbp_gap_t;
typedef struct fluxbp_codec fluxbp_codec_t;
typedef struct fluxbp_conn fluxbp_conn_t;
struct fluxbp_codec {
  size_t size;
  const char *name;
  ptrdiff_t (*encode)(const fluxbp_codec_t *codec, const fluxbp_publication_t *publication, char *out, size_t capacity);
  ptrdiff_t (*encode_gap)(const fluxbp_codec_t *codec, const fluxbp_gap_t *gap, char *out, size_t capacity);
  ptrdiff_t (*encode_farewell)(const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason, char *out, size_t capacity);
  void *arg;
  size_t note_bytes;
  void (*written)(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, const void *note);
  ptrdiff_t (*encode_end)(const fluxbp_codec_t *codec, fluxbp_conn_t *conn, char *out, size_t capacity);
};
#define FLUXBP_CODEC_NOTE_BYTES_MAX 64
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_raw;
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_newline;
FLUXBP_EXTERN extern const fluxbp_codec_t fluxbp_codec_length32;
#ifdef __cplusplus
}
#endif
#endif
