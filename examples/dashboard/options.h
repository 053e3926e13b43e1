/* SPDX-License-Identifier: MIT */
/*
 * options: the command line of the dashboard.
 */
#ifndef DASHBOARD_OPTIONS_H
#define DASHBOARD_OPTIONS_H

#include "common/client_tls.h"
#include "common/options.h"

#include <fluxbp/server.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define GATEWAYS_MAX 16
#define TOKEN_BYTES 257        /* with the NUL */
#define GATEWAY_NAME_BYTES 272 /* a host of 255 bytes, and a port */

/* Where a gateway is, and what it takes to be let in. */
struct gateway_target {
  const char *scheme;            /* "http" or "https" */
  char name[GATEWAY_NAME_BYTES]; /* HOST:PORT, as the user wrote it */
  struct sockaddr_storage address;
  const char *token;              /* NULL: none */
  const fluxbp_client_tls_t *tls; /* NULL: as the library has it */
};

/* Exit codes; --help lists them. */
enum exit_code { EXIT_CODE_OK = 0, EXIT_CODE_RUNTIME = 1, EXIT_CODE_USAGE = 2, EXIT_CODE_BIND = 3 };

struct options {
  const char *listen;
  size_t gateway_count;
  struct gateway_target gateways[GATEWAYS_MAX];
  struct client_tls tls;
  char token[TOKEN_BYTES];       /* the gateways', or "" */
  char login_token[TOKEN_BYTES]; /* the dashboard's own, or "" */
  fluxbp_text_list_t allow_hosts;
  fluxbp_text_list_t proxies; /* networks whose X-Forwarded-For and X-Forwarded-Proto count */
  bool is_on_loopback;        /* `listen` is a loopback address */
  bool everybody_may_act;     /* evict, and change the policy: --actions */
  bool trusts_loopback;
};

/** Read the command line into a zeroed struct; see options_read. Prints what is wrong. To be called once. */
enum options_outcome options_parse(struct options *options, int argc, char **argv);

#endif
