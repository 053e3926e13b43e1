/* SPDX-License-Identifier: MIT */
/*
 * options: what the command line, the environment and a config file ask for, complete and consistent.
 */
#ifndef GATEWAY_OPTIONS_H
#define GATEWAY_OPTIONS_H

#include "common/log.h"
#include "common/options.h"

#include <fluxbp/fluxbp.h>
#include <fluxbp/nats.h>
#include <fluxbp/server.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct options {
  fluxbp_server_options_t server; /* what the program itself fills in is left as it is */
  fluxbp_nats_options_t nats;
  const char *nats_url; /* NULL: no backbone */

  /* Where to listen; the texts are as the user wrote them, for messages, or NULL for "off". */
  const char *tcp_text, *tcp_length_text, *http_text, *tcp_tls_text, *tcp_length_tls_text, *http_tls_text;
  struct sockaddr_storage tcp, tcp_length, http, tcp_tls, tcp_length_tls, http_tls;

  fluxbp_text_list_t tls_certificates, tls_keys; /* paths; as many of the one as of the other */
  fluxbp_tls_options_t tls;

  bool feeds_stdin;
  bool once; /* drain and exit at the end of the input */
  uint64_t wait_clients;

  const char *tokens_path, *keys_path; /* or NULL */
  uint32_t drain_ms;
  enum log_level log_level;
  enum log_format log_format;

  const char *config_path; /* or NULL */
  struct givens *givens;   /* what the texts are in; see options_free */
};

/* An address where clients may come. */
struct door {
  const char *name; /* of its option, and of its socket in a unit of systemd */
  fluxbp_speak_t speak;
  size_t text_offset, address_offset; /* in the options */
};

/* All of them. */
enum { DOORS = 6 };
extern const struct door doors[DOORS];

/** Return whether clients have to speak TLS there. */
bool door_is_tls(const struct door *door);

/** Return where a door is, as the user wrote it; NULL: nowhere. */
const char *door_text(const struct options *options, const struct door *door);

/* What the process ends with. */
enum exit_code { EXIT_CODE_OK = 0, EXIT_CODE_RUNTIME = 1, EXIT_CODE_USAGE = 2, EXIT_CODE_BIND = 3 };

/**
 * Read all options, see common/options.h. Sets the log's level and format, too.
 *
 * With OPTIONS_RUN and OPTIONS_CHECK there is memory to be given back by options_free.
 */
enum options_outcome options_parse(struct options *options, int argc, char **argv);

void options_free(struct options *options);

#endif
