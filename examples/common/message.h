/* SPDX-License-Identifier: MIT */
/*
 * message: the form of the messages that the load client and the benches publish, to measure how long they take. A
 * message is one line of printable text, so that every protocol passes it unchanged, JSON included:
 *
 *   lc1 5f1c0de5.00 00000000002a 00001a2b3c4d5e6f 9b7c1e02 padding
 *       run      publisher       planned time     checksum of everything else
 *                   sequence, from 1 on
 *
 * All numbers are hexadecimal and of fixed width, which makes reading one cheap. The planned time is CLOCK_MONOTONIC in
 * nanoseconds: sender and receiver have to be on the same machine, and a clock that is set has no effect. Pure.
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

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

#endif
