/* SPDX-License-Identifier: MIT */
/*
 * log: the events that a server reports while it runs. The library itself writes to no file and no terminal.
 *
 * An event has a name that never changes, and fields with a type. A text may come from a client: escape it, so that it
 * can't look like another line of the log.
 */
#ifndef FLUXBP_SERVER_LOG_H
#define FLUXBP_SERVER_LOG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fluxbp_log_level {
  FLUXBP_LOG_DEBUG, /* each connection that comes and goes */
  FLUXBP_LOG_INFO,  /* an act of the server itself */
  FLUXBP_LOG_WARN,  /* a client or a peer is refused, evicted, or loses something */
  FLUXBP_LOG_ERROR  /* a failure that an operator has to look at */
} fluxbp_log_level_t;

/** A detail of an event. All pointers are valid until the callback returns. */
typedef struct fluxbp_log_field {
  const char *name;
  const char *text; /* NULL: the field is a number */
  uint64_t number;
  int is_phrase; /* the text is a sentence, rather than a name or an address */
} fluxbp_log_field_t;

/** Write one event. `user` comes from the server's options. Any thread of the server calls it, also several at the same
 * time. */
typedef void (*fluxbp_log_cb)(void *user, fluxbp_log_level_t level, const char *event, const fluxbp_log_field_t *fields,
                              size_t count);

#ifdef __cplusplus
}
#endif

#endif
