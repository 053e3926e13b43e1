/* SPDX-License-Identifier: MIT */
/*
 * message: the form and the sizes of published messages. A message is one line of printable text, so that every
 * protocol passes it unchanged, JSON included:
 *
 *   lc1 5f1c0de5.00 00000000002a 00001a2b3c4d5e6f 9b7c1e02 padding
 *       run      publisher       planned time     checksum of everything else
 *                   sequence, from 1 on
 *
 * All numbers are hexadecimal and of fixed width, which makes reading one cheap. The planned time is CLOCK_MONOTONIC in
 * nanoseconds: sender and receiver have to be on the same machine, and a clock that is set has no effect. Pure.
 */
#ifndef LOADCLIENT_MESSAGE_H
#define LOADCLIENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MESSAGE_HEADER_BYTES 54 /* the shortest message */
#define MESSAGE_MAX_BYTES (1 << 20)

struct message {
  uint32_t run; /* a random number, by which runs that share a server are told apart */
  uint32_t publisher;
  uint64_t sequence;
  uint64_t planned_ns;
};

enum message_outcome {
  MESSAGE_OK,
  MESSAGE_FOREIGN, /* doesn't begin like one */
  MESSAGE_CORRUPT  /* does, but the rest is wrong */
};

/** Return whether a text begins as a message; other text is foreign. */
static inline int message_is_one(const char *data, size_t length) {
  return length >= 4 && memcmp(data, "lc1 ", 4) == 0;
}

/** Read and check a message. */
enum message_outcome message_read(const char *data, size_t length, struct message *message);

/** Write a message with a text behind its header, which may be empty. @return its length in bytes */
size_t message_write(const struct message *message, const char *text, size_t length, char *out);

/** Return the length of the text that makes a message of so many bytes. */
static inline size_t message_text_length(size_t bytes) {
  return bytes > MESSAGE_HEADER_BYTES + 1 ? bytes - MESSAGE_HEADER_BYTES - 1 : 0;
}

/* The messages that were read lately. All clients of a process get the same ones, so all but the first need only
 * compare: the same bytes as those of a whole message are whole, and mean the same. */
struct message_cache;

/** Make an empty cache, to be freed by free(). @return NULL: out of memory */
struct message_cache *message_cache_create(void);

/** Read and check a message, as message_read() does. */
enum message_outcome message_cache_read(struct message_cache *cache, const char *data, size_t length,
                                        struct message *message);

#define SIZES_PARTS 16
#define SIZES_MAX_BYTES (MESSAGE_MAX_BYTES - 1024)

/* Sizes of published messages: one size, anything within a range, or a few of these by weight. */
struct sizes {
  uint32_t count;
  uint64_t weight_sum;
  struct size_part {
    uint64_t least, most; /* any size in between is as likely */
    uint64_t weight;
  } parts[SIZES_PARTS];
};

/** Read 200, 100-1000, or 64:90,1024-2048:9,16384:1 (size or range, and weight). @return NULL, or a sentence */
const char *sizes_parse(void *sizes, const char *text);

/** Return the size for a random number. */
uint32_t sizes_pick(const struct sizes *sizes, uint64_t random);

#endif
