/* SPDX-License-Identifier: MIT */
/*
 * http_reader: see the header.
 *
 * Design notes. What two programs understand differently in a request is what attackers look for (request smuggling),
 * so two look at each byte here: llhttp, and a scanner that knows nothing but lines. The scanner wants CR LF at the end
 * of each line and no control characters in it, and cuts the input: a line, or the data of a body, is fed to llhttp
 * alone. So it is known at every line end whether the head, a chunk or the whole request must be complete now, and a
 * request that llhttp sees otherwise is refused. This also makes every verdict depend on the bytes only, never on the
 * pieces in which they arrive: a piece is fed up to the first byte that is wrong for the scanner, and llhttp's opinion
 * comes first.
 *
 * The head is kept as it came, in one buffer; llhttp's spans are remembered as offsets into it.
 */
#include "http_reader.h"

#include "http_head.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* llhttp has an enumerator of the name of one of ours. */
#define HTTP_REQUEST LLHTTP_REQUEST
#include <llhttp.h>
#undef HTTP_REQUEST

#define BUFFER_BYTES_AT_FIRST 512
#define BLANK_BYTES_MAX 16       /* of empty lines before a request, which old clients send after a body */
#define CHUNK_LINE_FREE_BYTES 20 /* a size and its line ends; what is over that counts towards HTTP_HEAD_BYTES */

enum phase { IN_REQUEST_LINE, IN_HEADERS, IN_CHUNK_LINES /* and trailers */, IN_DATA };

struct span {
  uint16_t offset, length; /* in the head */
};

struct buffer {
  struct memory *memory;
  enum memory_kind kind;
  char *data;
  size_t length, capacity, max_bytes;
};

struct http_parse {
  llhttp_t llhttp;
  enum phase phase;
  bool is_complete;
  bool awaits_continue;
  size_t line_bytes;    /* of the line that isn't complete */
  bool is_after_return; /* the last of them is a CR */
  size_t head_bytes;    /* what counts towards HTTP_HEAD_BYTES: the head, extensions of chunks, trailers */
  struct buffer head, body;
  uint64_t data_left; /* of the body, or of the chunk */
  struct span target, names[HTTP_HEADERS_MAX], values[HTTP_HEADERS_MAX];
  size_t field_count; /* with trailers */
  int status;         /* what it is refused with, or 0 */
  const char *problem;
  struct http_request request;
};

/* ---- small things ---- */

static void parse_free(struct http_parse *parse) {
  if (parse == NULL) return;
  memory_free(parse->head.data);
  memory_free(parse->body.data);
  memory_free(parse);
}

/* The first reason counts. @return false, for the caller to pass on */
static bool refuse_parse(struct http_parse *parse, int status, const char *problem) {
  if (parse->status != 0) return false;
  parse->status = status;
  parse->problem = problem;
  return false;
}

/* The same in a callback of llhttp, which then stops. */
static int stop_parse(struct http_parse *parse, int status, const char *problem) {
  refuse_parse(parse, status, problem);
  return HPE_USER;
}

/* It must not happen; if it does, somebody is trying something. */
static bool refuse_ambiguous(struct http_parse *parse) {
  return refuse_parse(parse, 400, "the request can be understood in two ways");
}

/* @return where the copy is, or NULL */
static char *append_bytes(struct buffer *buffer, const char *data, size_t size) {
  size_t wanted = buffer->length + size; /* never over max_bytes: the callers see to that */
  if (wanted > buffer->capacity) {
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_BYTES_AT_FIRST;
    while (capacity < wanted) capacity *= 2;
    if (capacity > buffer->max_bytes) capacity = buffer->max_bytes;
    char *moved = memory_resize(buffer->memory, buffer->kind, buffer->data, capacity);
    if (moved == NULL) return NULL;
    buffer->data = moved;
    buffer->capacity = capacity;
  }
  memcpy(buffer->data + buffer->length, data, size);
  buffer->length = wanted;
  return buffer->data + wanted - size;
}

/* ---- what a head must be ---- */

static bool check_request_line(struct http_parse *parse) {
  const char *method = llhttp_method_name((llhttp_method_t) parse->llhttp.method);
  const char *target = parse->head.data + parse->target.offset;
  size_t version = parse->target.offset + parse->target.length; /* where the blank before it is */

  if (parse->llhttp.http_major != 1 || parse->llhttp.http_minor > 1)
    return refuse_parse(parse, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
  if (parse->target.offset != strlen(method) + 1 || parse->head.length - version != strlen(" HTTP/1.x\r\n") ||
      memcmp(parse->head.data + version, " HTTP/1.", strlen(" HTTP/1.")) != 0)
    return refuse_parse(parse, 400, "a request line is METHOD TARGET HTTP/1.1 with single blanks");
  if (parse->llhttp.method == HTTP_CONNECT) return refuse_parse(parse, 501, "this server is no proxy");
  for (size_t i = 0; i < parse->target.length; i++)
    if (target[i] < '!' || target[i] > '~' || target[i] == '#')
      return refuse_parse(parse, 400, "a target has visible ASCII only and no fragment; percent-encode the rest");
  return true;
}

/* Sets the names and values: the head doesn't move any more. */
static void list_headers(struct http_parse *parse) {
  struct http_request *request = &parse->request;
  request->header_count = parse->field_count;
  for (size_t i = 0; i < parse->field_count; i++) {
    struct span name = parse->names[i], value = parse->values[i];
    request->headers[i].name = (struct http_text){parse->head.data + name.offset, name.length};
    request->headers[i].value = http_text_trim((struct http_text){parse->head.data + value.offset, value.length});
  }
}

/* How long the body is: llhttp's opinion has to be that of the headers. */
static bool check_length(struct http_parse *parse) {
  bool is_chunked = http_request_count(&parse->request, "Transfer-Encoding") > 0;
  bool has_size = http_request_count(&parse->request, "Content-Length") > 0;
  if (is_chunked != ((parse->llhttp.flags & F_CHUNKED) != 0) ||
      (!has_size && !is_chunked && parse->llhttp.content_length != 0))
    return refuse_ambiguous(parse);
  if (has_size && parse->llhttp.content_length > parse->body.max_bytes)
    return refuse_parse(parse, 413, "the body is too long");
  return true;
}

static bool check_head(struct http_parse *parse) {
  struct http_text target = {parse->head.data + parse->target.offset, parse->target.length};
  int status;
  const char *problem = http_head_check(&parse->request, parse->llhttp.http_minor == 0, &status);
  if (problem != NULL) return refuse_parse(parse, status, problem);
  if (!check_length(parse)) return false;
  problem = http_head_split_target(&parse->request, target, parse->llhttp.method == HTTP_OPTIONS);
  return problem == NULL || refuse_parse(parse, 400, problem);
}

static void finish_head(struct http_parse *parse) {
  struct http_request *request = &parse->request;
  bool is_chunked = (parse->llhttp.flags & F_CHUNKED) != 0;
  bool has_body = is_chunked || parse->llhttp.content_length > 0;

  request->method = llhttp_method_name((llhttp_method_t) parse->llhttp.method);
  request->keeps_alive = llhttp_should_keep_alive(&parse->llhttp) != 0;
  parse->awaits_continue =
      has_body && parse->llhttp.http_minor == 1 && http_request_has_token(request, "Expect", "100-continue");
  parse->phase = is_chunked ? IN_CHUNK_LINES : IN_DATA;
  parse->data_left = is_chunked ? 0 : parse->llhttp.content_length;
  if (has_body && !is_chunked) parse->body.max_bytes = (size_t) parse->llhttp.content_length; /* so it grows to that */
}

/* ---- what llhttp calls ---- */

/* Makes the span longer by what has come. */
static int extend(struct http_parse *parse, struct span *span, const char *at, size_t length) {
  size_t offset = (size_t) (at - parse->head.data);
  if (span->length == 0) span->offset = (uint16_t) offset;
  if (offset != span->offset + (size_t) span->length || offset + length > parse->head.length) {
    refuse_ambiguous(parse);
    return HPE_USER;
  }
  span->length = (uint16_t) (span->length + length);
  return 0;
}

/* The last method that version 8 of llhttp knows is FLUSH; version 9 knows QUERY, too. */
static int on_method_complete(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  return llhttp->method <= HTTP_FLUSH ? 0 : stop_parse(parse, 400, "this server doesn't know the method");
}

static int on_url(llhttp_t *llhttp, const char *at, size_t length) {
  struct http_parse *parse = llhttp->data;
  return extend(parse, &parse->target, at, length);
}

/* Trailers are not; they only count. */
static bool is_kept(const struct http_parse *parse) {
  return parse->phase == IN_HEADERS && parse->field_count < HTTP_HEADERS_MAX;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t length) {
  struct http_parse *parse = llhttp->data;
  return is_kept(parse) ? extend(parse, &parse->names[parse->field_count], at, length) : 0;
}

/* Not sooner: spans come as often as there are pieces, this comes with the colon. */
static int on_header_field_complete(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  return parse->field_count < HTTP_HEADERS_MAX ? 0 : stop_parse(parse, 431, "there are too many headers");
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t length) {
  struct http_parse *parse = llhttp->data;
  return is_kept(parse) ? extend(parse, &parse->values[parse->field_count], at, length) : 0;
}

static int on_header_value_complete(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  parse->field_count++;
  return 0;
}

static int on_headers_complete(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  if (parse->phase != IN_HEADERS)
    return stop_parse(parse, 400, "a request has a request line with a version, and headers");
  list_headers(parse);
  if (!check_head(parse)) return HPE_USER;
  finish_head(parse);
  return 0;
}

static int on_chunk_header(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  if (llhttp->content_length > parse->body.max_bytes - parse->body.length)
    return stop_parse(parse, 413, "the body is too long");
  parse->data_left = llhttp->content_length;
  if (parse->data_left > 0) parse->phase = IN_DATA;
  /* What follows the last chunk is ignored. Without this version 9 of llhttp refuses a Content-Length there. */
  if (parse->data_left == 0) llhttp_set_lenient_chunked_length(llhttp, 1);
  return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t length) {
  struct http_parse *parse = llhttp->data;
  if (append_bytes(&parse->body, at, length) == NULL) return stop_parse(parse, 503, MEMORY_REFUSAL);
  return 0;
}

static int on_message_complete(llhttp_t *llhttp) {
  struct http_parse *parse = llhttp->data;
  parse->is_complete = true;
  return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_method_complete = on_method_complete,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- lines and data ---- */

static bool refuse_as_llhttp(struct http_parse *parse, llhttp_errno_t error) {
  if (error == HPE_INVALID_VERSION || error == HPE_PAUSED_H2_UPGRADE)
    return refuse_parse(parse, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
  bool has_size = (parse->llhttp.flags & F_CONTENT_LENGTH) != 0; /* then version 9 calls any coding invalid */
  if (error == HPE_INVALID_TRANSFER_ENCODING && has_size)
    return refuse_parse(parse, 400, "Content-Length and Transfer-Encoding exclude each other");
  return refuse_parse(parse, 400, llhttp_get_error_reason(&parse->llhttp));
}

static bool feed(struct http_parse *parse, const char *data, size_t length) {
  llhttp_errno_t error = llhttp_execute(&parse->llhttp, data, length);
  if (error == HPE_OK) return true;
  if (!parse->is_complete) return refuse_as_llhttp(parse, error);
  return llhttp_get_error_pos(&parse->llhttp) == data + length || refuse_ambiguous(parse);
}

struct line {
  size_t length;       /* of what belongs to it, up to a byte that is wrong */
  bool has_ended;      /* the last of it is its LF */
  const char *problem; /* with the byte after it, or NULL */
};

static const char *problem_of(const struct http_parse *parse, unsigned char byte) {
  if (parse->is_after_return) return byte == '\n' ? NULL : "there is a carriage return without a newline";
  if (byte == '\n') return "there is a newline without a carriage return";
  if ((byte < ' ' && byte != '\t' && byte != '\r') || byte == 0x7f) return "there is a control character";
  if (parse->line_bytes == 0 && (byte == ' ' || byte == '\t')) return "a line begins with a blank";
  if (parse->line_bytes == 0 && byte == ':') return "a header has no name"; /* llhttp takes that */
  return NULL;
}

static struct line scan_line(struct http_parse *parse, const char *data, size_t length) {
  struct line line = {.length = 0};
  while (line.length < length && !line.has_ended) {
    unsigned char byte = (unsigned char) data[line.length];
    line.problem = problem_of(parse, byte);
    if (line.problem != NULL) break;
    line.length++;
    line.has_ended = byte == '\n';
    parse->is_after_return = byte == '\r';
    parse->line_bytes++;
  }
  return line;
}

/* At a line end both must agree on where we are; within a line nothing may happen. */
static bool check_agreement(struct http_parse *parse, enum phase before, const struct line *line) {
  bool is_blank = line->has_ended && parse->line_bytes == strlen("\r\n");
  bool has_moved = parse->phase != before || parse->is_complete;
  if (before == IN_REQUEST_LINE && has_moved) return refuse_ambiguous(parse);
  if (before == IN_HEADERS && has_moved != is_blank) return refuse_ambiguous(parse);
  if (before == IN_CHUNK_LINES && has_moved && !line->has_ended) return refuse_ambiguous(parse);
  if (parse->is_complete && parse->data_left > 0) return refuse_ambiguous(parse);
  return true;
}

static bool refuse_too_long(struct http_parse *parse) {
  if (parse->phase == IN_REQUEST_LINE) return refuse_parse(parse, 414, "the request line is too long");
  return refuse_parse(parse, 431, "the headers are too long");
}

/* Take a line, or what there is of it. */
static bool take_line(struct http_parse *parse, const char **data, size_t *length) {
  enum phase before = parse->phase;
  size_t allowance = before == IN_CHUNK_LINES ? CHUNK_LINE_FREE_BYTES : 0;
  size_t free_bytes = allowance > parse->line_bytes ? allowance - parse->line_bytes : 0;
  size_t room = HTTP_HEAD_BYTES - parse->head_bytes + free_bytes;
  if (room == 0) return refuse_too_long(parse);

  struct line line = scan_line(parse, *data, *length < room ? *length : room);
  const char *begin = *data;
  *data += line.length;
  *length -= line.length;
  if (line.length > free_bytes) parse->head_bytes += line.length - free_bytes;
  if (before != IN_CHUNK_LINES && line.length > 0) begin = append_bytes(&parse->head, begin, line.length);
  if (begin == NULL) return refuse_parse(parse, 503, MEMORY_REFUSAL);

  if (line.length > 0 && !feed(parse, begin, line.length)) return false;
  if (!check_agreement(parse, before, &line)) return false;
  if (line.problem != NULL) return refuse_parse(parse, 400, line.problem);
  if (!line.has_ended) return true;
  parse->line_bytes = 0;
  if (before != IN_REQUEST_LINE) return true;
  parse->phase = IN_HEADERS;
  return check_request_line(parse);
}

/* Take of the body, or of the chunk. */
static bool take_data(struct http_parse *parse, const char **data, size_t *length) {
  size_t size = *length < parse->data_left ? *length : (size_t) parse->data_left;
  const char *begin = *data;
  *data += size;
  *length -= size;
  parse->data_left -= size;
  if (!feed(parse, begin, size)) return false;

  bool is_chunked = (parse->llhttp.flags & F_CHUNKED) != 0;
  if (parse->is_complete != (!is_chunked && parse->data_left == 0)) return refuse_ambiguous(parse);
  if (is_chunked && parse->data_left == 0) parse->phase = IN_CHUNK_LINES;
  return true;
}

/* ---- the reader ---- */

static void drop_parse(struct http_reader *reader) {
  parse_free(reader->parse);
  reader->parse = NULL;
}

void http_reader_init(struct http_reader *reader, size_t max_body_bytes) {
  *reader = (struct http_reader){.max_body_bytes = max_body_bytes};
}

void http_reader_reset(struct http_reader *reader) {
  struct memory *memory = reader->memory;
  bool is_tls = reader->is_tls;
  drop_parse(reader);
  http_reader_init(reader, reader->max_body_bytes);
  reader->memory = memory;
  reader->is_tls = is_tls;
}

bool http_reader_is_busy(const struct http_reader *reader) {
  return reader->status == 0 && reader->parse != NULL && !reader->parse->is_complete;
}

bool http_reader_begins_with(const struct http_reader *reader, const char *text) {
  const struct http_parse *parse = reader->parse;
  size_t length = strlen(text);
  return parse != NULL && parse->head.length >= length && memcmp(parse->head.data, text, length) == 0;
}

const struct http_request *http_reader_head(const struct http_reader *reader) {
  const struct http_parse *parse = reader->parse;
  return http_reader_is_busy(reader) && parse->phase >= IN_CHUNK_LINES ? &parse->request : NULL;
}

const struct http_request *http_reader_refused_head(const struct http_reader *reader) {
  const struct http_parse *parse = reader->parse;
  return reader->status != 0 && parse != NULL && parse->request.header_count > 0 ? &parse->request : NULL;
}

/* A complete head stays for the answer. */
static enum http_outcome refuse_in_reader(struct http_reader *reader, int status, const char *problem) {
  if (reader->parse != NULL && reader->parse->request.header_count > 0) {
    memory_free(reader->parse->body.data);
    reader->parse->body.data = NULL;
  } else {
    drop_parse(reader);
  }
  reader->status = status;
  reader->problem = problem;
  return HTTP_REFUSED;
}

/* llhttp never sees these, so they cost no memory. @return false if there are too many */
static bool skip_blank_lines(struct http_reader *reader, const char **data, size_t *length) {
  while (*length > 0 && **data == "\r\n"[reader->blank_bytes % 2]) {
    if (++reader->blank_bytes > BLANK_BYTES_MAX) return false;
    ++*data;
    --*length;
  }
  return *length == 0 || reader->blank_bytes % 2 == 0; /* no CR without its LF */
}

static bool begin_parse(struct http_reader *reader) {
  struct http_parse *parse = memory_alloc(reader->memory, MEMORY_HEADS, sizeof *parse);
  if (parse == NULL) return false;
  llhttp_init(&parse->llhttp, LLHTTP_REQUEST, &SETTINGS);
  parse->llhttp.data = parse;
  parse->request.is_tls = reader->is_tls;
  parse->head = (struct buffer){.memory = reader->memory, .kind = MEMORY_HEADS, .max_bytes = HTTP_HEAD_BYTES};
  parse->body =
      (struct buffer){.memory = reader->memory, .kind = MEMORY_INPUT, .max_bytes = reader->max_body_bytes};
  reader->parse = parse;
  reader->blank_bytes = 0;
  return true;
}

enum http_outcome http_reader_take(struct http_reader *reader, const char **data, size_t *length,
                                   const struct http_request **request) {
  if (reader->status != 0) return HTTP_REFUSED;
  if (reader->parse != NULL && reader->parse->is_complete) drop_parse(reader);
  if (reader->parse == NULL && !skip_blank_lines(reader, data, length))
    return refuse_in_reader(reader, 400, "there are empty lines before the request");
  if (*length == 0) return HTTP_MORE;
  if (reader->parse == NULL && !begin_parse(reader))
    return refuse_in_reader(reader, 503, MEMORY_REFUSAL);

  struct http_parse *parse = reader->parse;
  while (*length > 0 && !parse->is_complete) {
    if (parse->phase >= IN_CHUNK_LINES) parse->awaits_continue = false; /* it didn't wait */
    if (!(parse->phase == IN_DATA ? take_data : take_line)(parse, data, length))
      return refuse_in_reader(reader, parse->status, parse->problem);
  }
  if (parse->is_complete) {
    parse->request.body = (struct http_text){parse->body.data, parse->body.length};
    *request = &parse->request;
    return HTTP_REQUEST;
  }
  enum http_outcome outcome = parse->awaits_continue ? HTTP_CONTINUE : HTTP_MORE; /* it is set by the head's end */
  parse->awaits_continue = false;
  return outcome;
}
