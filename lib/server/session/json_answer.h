/* SPDX-License-Identifier: MIT */
/*
 * json_answer: the answer to a command as an object, for clients that get their messages as JSON.
 */
#ifndef FLUXBP_SERVER_JSON_ANSWER_H
#define FLUXBP_SERVER_JSON_ANSWER_H

#include <stddef.h>

/* The longest object that an answer of 320 bytes becomes. */
#define JSON_ANSWER_BYTES 2048

/**
 * Write `{"ok":"PUB","id":"epoch:id"}` for "+OK PUB epoch:id", `{"error":"why"}` for "-ERR why".
 *
 * @return its length; nothing of use was written if that is more than `capacity`
 */
size_t json_answer(const char *text, size_t length, char *out, size_t capacity);

#endif
