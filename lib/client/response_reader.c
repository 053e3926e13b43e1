/* SPDX-License-Identifier: MIT */
/*
 * response_reader: what llhttp finds, handed on.
 */
#include "response_reader.h"

#include <llhttp.h>
#include <stdlib.h>

static int on_headers_complete(llhttp_t *parser) {
  struct response_reader *reader = parser->data;
  reader->has_head = true;
  reader->on_head(reader->user, parser->status_code);
  return 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t length) {
  struct response_reader *reader = parser->data;
  reader->on_body(reader->user, data, length);
  return 0;
}

static int on_message_complete(llhttp_t *parser) {
  struct response_reader *reader = parser->data;
  reader->is_complete = true;
  return HPE_PAUSED; /* what follows is nothing that was asked for */
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

bool response_reader_init(struct response_reader *reader) {
  reader->parser = malloc(sizeof *reader->parser);
  if (reader->parser == NULL) return false;
  reader->has_head = false;
  reader->is_complete = false;
  reader->head_bytes = 0;
  llhttp_init(reader->parser, HTTP_RESPONSE, &settings);
  reader->parser->data = reader;
  return true;
}

void response_reader_free(struct response_reader *reader) {
  free(reader->parser);
  reader->parser = NULL;
}

bool response_reader_take(struct response_reader *reader, const char *data, size_t length) {
  if (reader->is_complete) return true;
  if (!reader->has_head) reader->head_bytes += length;
  llhttp_errno_t err = llhttp_execute(reader->parser, data, length);
  if (err != HPE_OK && !(err == HPE_PAUSED && reader->is_complete)) return false;
  return reader->has_head || reader->head_bytes <= RESPONSE_HEAD_BYTES;
}

void response_reader_end(struct response_reader *reader) {
  if (!reader->is_complete) llhttp_finish(reader->parser);
}
