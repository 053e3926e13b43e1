/* SPDX-License-Identifier: MIT */
/*
 * Internal side of frames.
 */
#ifndef FLUXBP_LIB_FRAME_H
#define FLUXBP_LIB_FRAME_H

#include "fluxbp/frame.h"

#include <stdbool.h>

typedef enum fluxbp__frame_kind {
  FLUXBP__FRAME_MESSAGE, /* what somebody published or sent */
  FLUXBP__FRAME_NOTICE,  /* the library's own word to the peer: a gap, a farewell */
  FLUXBP__FRAME_GAP      /* a marker: messages are missing here; becomes a notice when it is written */
} fluxbp__frame_kind_t;

/* Somebody wants to know what becomes of a frame that one connection alone has. */
typedef struct fluxbp__watch {
  void (*on_gone)(struct fluxbp__watch *watch, int status); /* 0: it was written; see fluxbp__frame_abandon */
} fluxbp__watch_t;

/* What a delivery reads comes first. */
struct fluxbp_frame {
  const char *data;
  uint32_t len;
  uint32_t refs;      /* plain: a frame never leaves its hub's thread */
  uint8_t kind;       /* a fluxbp__frame_kind_t */
  bool is_outdated;   /* a value of a state topic that isn't the newest of its key any more */
  bool is_reply;      /* the kernel refused it; it stays in front of the ring until it is written */
  uint8_t note_bytes; /* of the codec's note, behind the `len` bytes of `data`; 0: there is none */
  uint32_t capacity;  /* of bytes[] */
  uint64_t id;        /* of the publication, or 0 */
  uint64_t time_ms;   /* observed time when it was staged; set by the code that stages */
  fluxbp_msg_t *msg;  /* whose bytes `data` are, or NULL: its own */
  fluxbp_pool_t *pool;
  union {
    fluxbp_gap_t gap; /* of a marker, and of the notice that it became; else all zero */
    struct {
      uint64_t topic; /* number of the state topic, or 0: it isn't a value of one */
      uint64_t key;
    } state; /* of a message */
    struct {
      uint64_t no_topic; /* 0 */
      fluxbp__watch_t *watch;
      int status;
    } sole; /* of a message to one connection; all zero of any other message of no state topic */
  };
  char bytes[];
};

/* Whether it is a value of a state topic. */
static inline bool fluxbp__frame_is_state(const fluxbp_frame_t *frame) {
  return frame->kind == FLUXBP__FRAME_MESSAGE && frame->state.topic != 0;
}

/* Check a codec's table: 0, UV_EINVAL (too short for an `encode`, or too long a note) or UV_E2BIG (an entry that this
 * version doesn't know). */
int fluxbp__codec_check(const fluxbp_codec_t *codec);

/* Encode a publication; see fluxbp_frame_create. The codec was checked. */
int fluxbp__frame_create(fluxbp_pool_t *pool, fluxbp_msg_t *msg, const fluxbp_codec_t *codec, const char *topic,
                         uint64_t id, fluxbp_frame_t **frame);

/* A marker for the loss of `lost`. */
int fluxbp__frame_create_gap(fluxbp_pool_t *pool, const fluxbp_frame_t *lost, fluxbp_frame_t **frame);

/* Have a gap cover another one, too. That may lie further back: of a connection that was sent back to older
 * messages. */
void fluxbp__gap_extend(fluxbp_gap_t *gap, const fluxbp_gap_t *more);

/* Count one more lost message, or all those of another marker. */
void fluxbp__frame_extend_gap(fluxbp_frame_t *marker, const fluxbp_frame_t *lost);

/* The words of a codec for a gap or a farewell. *frame is NULL, with 0, if the codec has none. */
int fluxbp__frame_create_gap_notice(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, const fluxbp_gap_t *gap,
                                    fluxbp_frame_t **frame);
int fluxbp__frame_create_farewell(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, fluxbp_evict_reason_t reason,
                                  fluxbp_frame_t **frame);

/* What a connection gets last, by its codec. *frame is NULL, with 0, if the codec has nothing for that. */
int fluxbp__frame_create_end(fluxbp_pool_t *pool, const fluxbp_codec_t *codec, fluxbp_conn_t *conn,
                             fluxbp_frame_t **frame);

void fluxbp__frame_free(fluxbp_frame_t *frame);

/* Give a reference of a frame back that isn't written, and note why: UV_ENOBUFS (the overflow rule) or UV_ECANCELED. */
void fluxbp__frame_abandon(fluxbp_frame_t *frame, int status);

static inline void fluxbp__frame_unref(fluxbp_frame_t *frame) {
  if (--frame->refs == 0) fluxbp__frame_free(frame);
}

#endif
