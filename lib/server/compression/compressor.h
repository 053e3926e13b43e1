/* SPDX-License-Identifier: MIT */
/*
 * compressor: which messages are worth compressing, and what that takes: a deflater, room for a message before and
 * after, and the figures. Each shard has one, for all of its clients.
 *
 * Thread: the shard's.
 */
#ifndef FLUXBP_SERVER_COMPRESSOR_H
#define FLUXBP_SERVER_COMPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A longer message is sent as it is: to compress one of this length takes 5 ms, in which the thread does nothing
 * else. */
#define COMPRESSOR_MOST_BYTES (256 * 1024)

struct deflater;

struct compression_figures {
  uint64_t messages;         /* that were compressed, each once for all of its receivers */
  uint64_t plain_bytes;      /* of these before */
  uint64_t compressed_bytes; /* and after */
};

struct compressor {
  uint32_t min_bytes;        /* shorter messages are sent as they are; 0: all are */
  struct deflater *deflater; /* NULL: no client has needed it yet */
  char *room;                /* outside of the budget; or NULL */
  size_t room_bytes;
  struct compression_figures figures;
};

/** Make what it takes to compress, if that isn't there yet. @return false: compression is off, or there is no memory */
bool compressor_start(struct compressor *compressor);

/** Free the memory. */
void compressor_end(struct compressor *compressor);

/** Return whether a message may become shorter: it is neither too short nor too long, and its bytes don't look as if
 * they were compressed already. */
bool compressor_is_for(const struct compressor *compressor, const void *message, size_t length);

/** Have room for so many bytes. Those that are there stay. @return NULL: there is no memory */
char *compressor_room(struct compressor *compressor, size_t bytes);

/** Free room that is rarely needed, after each use. */
void compressor_trim(struct compressor *compressor);

/**
 * Compress `length` bytes of the room, behind the first `skipped` ones. The result comes right behind them, without the
 * bytes that every result ends with (DEFLATER_TAIL_BYTES). The room may move.
 *
 * @return the length of the result; 0: it isn't shorter by a sixteenth, or there is no memory
 */
size_t compressor_run(struct compressor *compressor, size_t skipped, size_t length);

/** Count a message, if it was sent so. */
void compressor_count(struct compressor *compressor, size_t plain_bytes, size_t compressed_bytes);

/** Add the figures of another compressor to a sum. */
void compression_figures_add(struct compression_figures *sum, const struct compression_figures *figures);

#endif
