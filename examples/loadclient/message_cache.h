/* SPDX-License-Identifier: MIT */
/*
 * message_cache: the messages that were read and checked lately. All clients of a process get the same ones, so all but
 * the first need only compare: what is the same, byte for byte, as a message that was whole is whole, and says the
 * same.
 */
#ifndef LOADCLIENT_MESSAGE_CACHE_H
#define LOADCLIENT_MESSAGE_CACHE_H

#include "message.h"

struct message_cache;

/** @return NULL: out of memory */
struct message_cache *message_cache_create(void);
void message_cache_free(struct message_cache *cache);

/** As message_read(). */
enum message_outcome message_cache_read(struct message_cache *cache, const char *data, size_t length,
                                        struct message *message);

#endif
