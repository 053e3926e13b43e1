/* SPDX-License-Identifier: MIT */
/*
 * log: events for the program's on_log, with their fields.
 */
#ifndef FLUXBP_LIB_SERVER_LOG_H
#define FLUXBP_LIB_SERVER_LOG_H

#include <fluxbp/server/server.h>

static inline fluxbp_log_field_t log_number(const char *name, uint64_t number) {
  return (fluxbp_log_field_t){.name = name, .number = number};
}

/** A text that is a single word as a rule: a name, an address. */
static inline fluxbp_log_field_t log_word(const char *name, const char *text) {
  return (fluxbp_log_field_t){.name = name, .text = text};
}

/** A sentence. */
static inline fluxbp_log_field_t log_phrase(const char *name, const char *text) {
  return (fluxbp_log_field_t){.name = name, .text = text, .is_phrase = 1};
}

static inline void log_fields(const fluxbp_server_options_t *options, fluxbp_log_level_t level, const char *event,
                              const fluxbp_log_field_t *fields, size_t count) {
  if (options->on_log != NULL) options->on_log(options->user, level, event, fields, count);
}

/** Report an event with one or more fields to the program with these options; `event` is a literal. */
#define log_to(options, level, event, ...)                                                                             \
  log_fields((options), (level), (event), (const fluxbp_log_field_t[]){__VA_ARGS__},                                   \
             sizeof((const fluxbp_log_field_t[]){__VA_ARGS__}) / sizeof(fluxbp_log_field_t))

/** The same of a server. */
#define server_log(server, ...) log_to(&(server)->options, __VA_ARGS__)

#endif
