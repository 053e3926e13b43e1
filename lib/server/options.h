/* SPDX-License-Identifier: MIT */
/*
 * options: what a server is asked to do. Constant once the server runs.
 */
#ifndef FLUXBP_SERVER_OPTIONS_H
#define FLUXBP_SERVER_OPTIONS_H

#include "common/log.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* A list of texts, each given by an option of its own. */
struct text_list {
  const char **texts;
  size_t count;
};

struct options {
  /* where to listen; the texts are as the user wrote them, for messages, or NULL for "off" */
  const char *tcp_text;
  const char *tcp_length_text;
  const char *http_text;
  struct sockaddr_storage tcp, tcp_length, http;

  uint64_t max_connections;    /* that are served, of all protocols together */
  uint32_t max_per_address;    /* 0: no limit */
  uint32_t accepts_per_second; /* 0: no limit */
  struct text_list proxies;    /* --proxy-from ADDRESS[/BITS], repeated */
  uint32_t threads;            /* with a hub each */

  const char *topic;             /* the default topic */
  uint32_t max_topics;           /* that clients hold, on each thread, besides that one and those of --state */
  uint32_t max_topics_per_client;
  struct text_list state_topics; /* --state NAME, repeated */
  uint32_t state_keys;           /* of each state topic, at most */
  uint64_t state_age_ms;         /* after which a value is taken back; 0: never */
  uint32_t history_messages;
  uint64_t history_bytes;
  uint32_t history_topic_messages;
  uint64_t history_topic_bytes;
  uint32_t history_ms;

  bool feeds_stdin;
  bool once; /* drain and exit at the end of the input */
  uint64_t wait_clients;
  uint64_t max_message; /* bytes, of whatever is published */
  uint64_t max_body;    /* bytes, of an HTTP request */
  uint32_t patience_ms;

  fluxbp_policy_t policy;
  uint64_t budget;       /* bytes, of the pool */
  uint64_t kernel_bytes; /* of all slow clients together; see fluxbp_hub_options_t.max_kernel_bytes */

  uint32_t ping_ms;               /* of WebSocket and SSE; 0 is off */
  uint32_t handshake_ms;          /* from the accept to the end of the headers */
  uint32_t keep_alive_ms;         /* between two requests on a connection */
  const char *tokens_path;        /* or NULL */
  bool trusts_loopback;           /* a client of a loopback address needs no token for anything */
  struct text_list allow_hosts;   /* --allow-host NAME, repeated */
  struct text_list allow_origins; /* --allow-origin ORIGIN, repeated */

  const char *nats_url;         /* of the backbone, or NULL */
  const char *nats_credentials; /* a file, or NULL */
  const char *subject;
  const char *jetstream; /* a stream, or NULL */

  uint32_t drain_ms;
  enum log_level log_level;
  enum log_format log_format;

  const char *config_path; /* or NULL */
  struct givens *givens;   /* what the texts are in; see options_free */
};

#endif
