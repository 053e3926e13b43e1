/* SPDX-License-Identifier: MIT */
/*
 * response_reader: from bytes that arrive in any pieces to the status and the body of one HTTP/1.1 response. llhttp parses.
 * Does no I/O and keeps nothing: the body is handed on as it comes.
 */
#ifndef FLUXBP_CLIENT_RESPONSE_READER_H
#define FLUXBP_CLIENT_RESPONSE_READER_H

#include <stdbool.h>
#include <stddef.h>

#define RESPONSE_HEAD_BYTES 16384 /* of the status line and all headers; more is refused */

struct response_reader {
  void (*on_head)(void *user, int status);
  void (*on_body)(void *user, const char *data, size_t length);
  void *user;

  bool has_head;
  bool is_complete;
  size_t head_bytes;
  struct llhttp__internal_s *parser; /* llhttp's names stay out of here: some are ours, too */
};

/** Begin. The callbacks and `user` are set already. @return false without memory */
bool response_reader_init(struct response_reader *reader);

/** Free the memory; does nothing when there is none. */
void response_reader_free(struct response_reader *reader);

/** Take the next bytes; behind the end of the response they are ignored. @return whether that is HTTP */
bool response_reader_take(struct response_reader *reader, const char *data, size_t length);

/** Nothing more will come, which ends a body without a length. */
void response_reader_end(struct response_reader *reader);

#endif
