/* SPDX-License-Identifier: MIT */
/*
 * http_reader: from bytes that arrive in any pieces to HTTP/1.1 requests, within limits. llhttp parses; what it lets
 * pass and shouldn't (two Host headers, Content-Length with Transfer-Encoding …) is refused here. Does no I/O.
 *
 * Between two requests a reader owns no memory. After a refusal it owns the head, if that is complete.
 */
#ifndef FLUXBP_SERVER_HTTP_READER_H
#define FLUXBP_SERVER_HTTP_READER_H

#include "server/memory.h"

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_BYTES 8192 /* of the request line and all headers together */
#define HTTP_HEADERS_MAX 64

/* Not ended by a NUL; data is NULL if there is none. */
struct http_text {
  const char *data;
  size_t length;
};

struct http_header {
  struct http_text name, value;
};

struct http_request {
  const char *method;     /* "GET" … */
  struct http_text path;  /* as it was sent, percent-encoded: begins with '/', or is "*" (OPTIONS) */
  struct http_text query; /* what comes after the '?', or none */
  struct http_text body;
  bool keeps_alive; /* the peer wants to send another one */
  bool is_tls;      /* it came over TLS */
  size_t header_count;
  struct http_header headers[HTTP_HEADERS_MAX];
};

enum http_outcome {
  HTTP_MORE,     /* the piece is used up; more bytes are needed */
  HTTP_CONTINUE, /* the same, and the peer waits for "100 Continue" before it sends the body; said once */
  HTTP_REQUEST,  /* there is one */
  HTTP_REFUSED   /* answer with `status` and `problem`, and close: what follows has no meaning any more; said again
                    until the reader is reset */
};

struct http_reader {
  size_t max_body_bytes;
  struct memory *memory;    /* against which a request counts; NULL: against none. Set after the init */
  bool is_tls;              /* the connection speaks TLS. Set after the init */
  struct http_parse *parse; /* of the request that has begun, or NULL */
  size_t blank_bytes;       /* of empty lines before the next one */
  int status;               /* 400, 413, 414, 431, 501, 503, 505 */
  const char *problem;      /* one sentence for the peer: what is wrong */
};

void http_reader_init(struct http_reader *reader, size_t max_body_bytes);

/** Forget what there is, and free the memory. It may be used again. */
void http_reader_reset(struct http_reader *reader);

/** Whether a request has begun and isn't complete. */
bool http_reader_is_busy(const struct http_reader *reader);

/** Whether what has come of the request so far begins with that text. */
bool http_reader_begins_with(const struct http_reader *reader, const char *text);

/** The request that has begun, when its head is complete and its body isn't: to refuse it before the body comes. Else
 * NULL. */
const struct http_request *http_reader_head(const struct http_reader *reader);

/**
 * Return the request that has been refused (HTTP_REFUSED) if all of its headers have come, until the reader is reset.
 * Else NULL. The request has its headers, and may lack its method and its path.
 */
const struct http_request *http_reader_refused_head(const struct http_reader *reader);

/**
 * Take what belongs to the next request from `*data`, of which there are `*length` bytes; both are moved on, to right
 * behind the request if there is one. With HTTP_REQUEST `*request` is set; it is valid until the next call.
 * A request with "Upgrade" ends like any other one, behind its headers if it has no body: what follows is for the
 * protocol that is changed to, or a request if it isn't changed.
 */
enum http_outcome http_reader_take(struct http_reader *reader, const char **data, size_t *length,
                                   const struct http_request **request);

/** The value of a header, its name in any case. Of several the first: those that must not be there twice are refused
 * by the reader. */
struct http_text http_request_header(const struct http_request *request, const char *name);

/** Whether a comma-separated header has that token, in any case: "Connection: keep-alive, Upgrade". All headers of that
 * name are looked at. */
bool http_request_has_token(const struct http_request *request, const char *name, const char *token);

/** Which of these values (the list ends with NULL) comes first in a comma-separated header, by its index; all headers
 * of that name are looked at. @return -1: none of them */
int http_request_first_of(const struct http_request *request, const char *name, const char *const *values);

/** The value of a cookie, without the quotes around it. Of several of that name the first that isn't empty. Data is
 * NULL if there is none. */
struct http_text http_request_cookie(const struct http_request *request, const char *name);

/** How many headers have that name, in any case. */
size_t http_request_count(const struct http_request *request, const char *name);

/** Whether a proxy says that it passes the request on for somebody else (Forwarded, X-Forwarded-For, X-Real-IP, Via). A
 * proxy need not say so. */
bool http_request_is_forwarded(const struct http_request *request);

/** Compare; `literal` ends with a NUL. */
bool http_text_is(struct http_text text, const char *literal);
bool http_text_is_in_any_case(struct http_text text, const char *literal);

/** Without the blanks and tabs around it. */
struct http_text http_text_trim(struct http_text text);

/** Take the next element off a list that is separated by commas, without blanks around it. @return false: there is no
 * more */
bool http_text_next(struct http_text *list, struct http_text *element);

enum http_query_outcome { HTTP_QUERY_NONE, HTTP_QUERY_OK, HTTP_QUERY_WRONG /* percent-encoding, a NUL, or too long */ };

/** The first value of that name in a query, decoded ('+' is a blank), with a NUL, into `out`. */
enum http_query_outcome http_query(struct http_text query, const char *name, char *out, size_t capacity);

/** Take the next `name=value` off `*query`, both as they were sent; empty ones ("a=1&&b=2") are skipped. A name without
 * a '=' has an empty value. @return false: there is no more */
bool http_query_next(struct http_text *query, struct http_text *name, struct http_text *value);

/** Decode a name or a value ('+' is a blank), with a NUL, into `out`. @return false: HTTP_QUERY_WRONG */
bool http_query_decode(struct http_text text, char *out, size_t capacity);

#endif
