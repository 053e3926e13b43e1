/* SPDX-License-Identifier: MIT */
/*
 * options: the defaults of a server's options, and whether options go together.
 */
#include "options.h"

#include "http/request_token.h"
#include "permissions/networks.h"
#include "server.h"

#include <fluxbp/server/settings.h>

#include <string.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)

void options_init(void *options, size_t size, const void *defaults, size_t known) {
  memset(options, 0, size);
  memcpy(options, defaults, size < known ? size : known);
  memcpy(options, &size, sizeof size);
}

int options_copy(void *options, size_t known, const void *given) {
  size_t size;
  const char *bytes = given;
  memcpy(&size, given, sizeof size);
  if (size < sizeof size) return UV_EINVAL;
  for (size_t i = known; i < size; i++)
    if (bytes[i] != 0) return UV_E2BIG;
  memcpy(options, given, size < known ? size : known);
  memcpy(options, &known, sizeof known);
  return 0;
}

static const fluxbp_server_options_t defaults = {
    .parts = FLUXBP_PART_ALL,
    .max_connections = 100000,
    .replay_rate = {.per_client = 20000, .per_address = 100000, .per_subject = 100000},
    .replay_bytes = {.per_client = 16 * MIB, .per_address = 64 * MIB, .per_subject = 64 * MIB},
    .replay_rate_per_thread = 100000,
    .replay_bytes_per_thread = 64 * MIB,
    .command_rate = {.per_client = 1000, .per_address = 10000, .per_subject = 10000},
    .max_per_address = FLUXBP_LIMIT_AUTO,
    .max_per_subject = FLUXBP_LIMIT_AUTO,
    .max_subscriptions_per_address = 262144,
    .max_subscriptions_per_subject = 262144,
    .max_topics_per_address = FLUXBP_LIMIT_AUTO,
    .max_topics_per_subject = FLUXBP_LIMIT_AUTO,
    .max_topics = 65536,
    .max_topics_per_session = 256,
    .state_keys = 65536,
    .history_messages = 20000,
    .history_bytes = 32 * MIB,
    .history_topic_messages = 10000,
    .history_topic_bytes = 16 * MIB,
    .max_message = 64 * KIB,
    .max_body = MIB,
    .kernel_bytes = FLUXBP_KERNEL_BYTES_AUTO,
    .ping_ms = 25000,
    .handshake_ms = 10000,
    .message_ms = 30000,
    .keep_alive_ms = 75000,
    .max_wrong_tokens = 60,
    .authorize_timeout_ms = 2000,
    .authorize_at_once = 64,
    .authorize_cache = 10000,
    .compress_bytes = 256,
};

void fluxbp_server_options_init_sized(fluxbp_server_options_t *options, size_t size) {
  fluxbp_server_options_t full = defaults;
  fluxbp_pool_options_t pool;
  fluxbp_pool_options_init(&pool);
  full.budget = pool.max_bytes;
  fluxbp_policy_init(&full.policy);
  options_init(options, size, &full, sizeof full);
}

static bool are_topics(const fluxbp_text_list_t *topics) {
  for (size_t i = 0; i < topics->count; i++)
    if (!fluxbp_server_topic_is_right(topics->texts[i], strlen(topics->texts[i]))) return false;
  return true;
}

static bool are_networks(const fluxbp_text_list_t *networks) {
  for (size_t i = 0; i < networks->count; i++)
    if (!fluxbp_network_is_right(networks->texts[i])) return false;
  return true;
}

static bool is_authorizer_right(const fluxbp_server_options_t *options) {
  if (options->authorize_url == NULL) return true;
  return fluxbp_authorize_url_is_right(options->authorize_url) && options->authorize_timeout_ms > 0 &&
         options->authorize_at_once > 0 && options->authorize_at_once <= FLUXBP_AUTHORIZE_AT_ONCE_MAX &&
         options->authorize_cache <= FLUXBP_AUTHORIZE_CACHE_MAX;
}

static bool are_right(const fluxbp_server_options_t *options) {
  if (options->loop == NULL || options->threads > FLUXBP_WORKERS_MAX || options->max_connections == 0) return false;
  if (options->io_uring != FLUXBP_IO_URING_AUTO && options->io_uring != FLUXBP_IO_URING_OFF) return false;
  if (options->max_message == 0 || options->max_message > options->budget) return false;
  bool has_publishing = (options->parts & FLUXBP_PART_PUBLISH) != 0; /* a message is a body there */
  if (has_publishing && options->max_body < options->max_message) return false;
  if (options->history_bytes > options->budget / 2 || options->handshake_ms == 0) return false;
  if (options->topic != NULL && !fluxbp_server_topic_is_right(options->topic, strlen(options->topic))) return false;
  if (options->token_cookie != NULL && !request_token_is_cookie_name(options->token_cookie)) return false;
  for (size_t i = 0; i < options->public_topics.count; i++)
    if (!fluxbp_topic_pattern_is_right(options->public_topics.texts[i])) return false;
  return are_topics(&options->state_topics) && are_networks(&options->proxies) && is_authorizer_right(options);
}

int server_take_options(fluxbp_server_t *server, const fluxbp_server_options_t *options) {
  fluxbp_server_options_init(&server->options);
  int err = options_copy(&server->options, sizeof server->options, options);
  if (err != 0) return err;
  server->handlers.size = sizeof server->handlers;
  if (server->options.handlers != NULL)
    err = options_copy(&server->handlers, sizeof server->handlers, server->options.handlers);
  if (err != 0) return err;
  return are_right(&server->options) ? 0 : UV_EINVAL;
}
