/* SPDX-License-Identifier: MIT */
/*
 * client: options, creation, and the calls of the public header that aren't about one of the other files' subjects.
 */
#include "client.h"

#include "websocket.h"

#include <netinet/in.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX ((size_t) 1 << 30)

static const fluxbp_client_options_t default_options = {
    .resumes = 1,
    .max_message_bytes = (size_t) 2 << 20,
    .max_header_bytes = 16384,
    .max_queued_bytes = (size_t) 1 << 20,
    .connect_timeout_ms = 10000,
    .handshake_timeout_ms = 10000,
    .ping_interval_ms = 25000,
    .ping_timeout_ms = 10000,
    .reconnects = 1,
    .retry_first_ms = 250,
    .retry_max_ms = 30000,
};

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

void fluxbp_client_options_init_sized(fluxbp_client_options_t *options, size_t size) {
  memset(options, 0, size);
  memcpy(options, &default_options, smaller(size, sizeof default_options));
  memcpy(options, &size, sizeof size);
}

int fluxbp__client_copy_sized(void *to, size_t known, const void *given) {
  size_t size;
  if (given == NULL) return UV_EINVAL;
  memcpy(&size, given, sizeof size);
  if (size < sizeof size) return UV_EINVAL;
  for (size_t i = known; i < size; i++)
    if (((const unsigned char *) given)[i] != 0) return UV_E2BIG;
  memcpy(to, given, smaller(size, known));
  memcpy(to, &known, sizeof known);
  return 0;
}

/* Options */

/* Return whether a text may stand in a query and in a command. */
static bool is_plain_text(const char *text) {
  for (; text != NULL && *text != '\0'; text++)
    if ((unsigned char) *text <= ' ' || (unsigned char) *text >= 0x7f || strchr("&#%+?\"\\", *text) != NULL)
      return false;
  return true;
}

static bool is_header_or_null(const char *text, bool may_have_lines) {
  return text == NULL || fluxbp__is_header_text(text, may_have_lines);
}

static bool is_address_or_null(const struct sockaddr *address) {
  return address == NULL || address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

static bool are_options_valid(const fluxbp_client_options_t *options) {
  bool is_line = options->protocol == FLUXBP_CLIENT_LINES;
  bool has_newline = is_line && options->first_message != NULL && options->first_message_length > 0 &&
                     memchr(options->first_message, '\n', options->first_message_length) != NULL;
  return options->protocol >= FLUXBP_CLIENT_LINES && options->protocol <= FLUXBP_CLIENT_HTTP &&
         (options->dialect == FLUXBP_CLIENT_DIALECT_FLUXBP || options->dialect == FLUXBP_CLIENT_DIALECT_PLAIN) &&
         is_plain_text(options->topics) && is_plain_text(options->since) && is_header_or_null(options->token, false) &&
         is_header_or_null(options->subprotocols, false) && is_header_or_null(options->headers, true) &&
         is_address_or_null(options->address) && is_address_or_null(options->local_address) && !has_newline &&
         options->max_message_bytes > 0 && options->max_message_bytes <= MESSAGE_BYTES_MAX &&
         options->max_header_bytes > 0 && options->max_queued_bytes > 0 && options->receive_buffer_bytes >= 0 &&
         options->retry_first_ms > 0 && (options->read_buffer == NULL || options->read_buffer_bytes >= 1024);
}

static size_t text_bytes(const char *text) {
  return text != NULL ? strlen(text) + 1 : 0;
}

/* Move a text to the client's memory. */
static void keep_text(char **room, const char **text) {
  size_t bytes = text_bytes(*text);
  if (bytes == 0) return;
  memcpy(*room, *text, bytes);
  *text = *room;
  *room += bytes;
}

static bool keep_texts(fluxbp_client_t *client) {
  fluxbp_client_options_t *options = &client->options;
  size_t bytes = text_bytes(options->url) + text_bytes(options->topics) + text_bytes(options->token) +
                 text_bytes(options->headers) + text_bytes(options->subprotocols) + options->first_message_length;
  char *room = client->texts = malloc(bytes);
  if (room == NULL) return false;
  keep_text(&room, &options->url);
  keep_text(&room, &options->topics);
  keep_text(&room, &options->token);
  keep_text(&room, &options->headers);
  keep_text(&room, &options->subprotocols);
  if (options->first_message_length > 0) memcpy(room, options->first_message, options->first_message_length);
  if (options->first_message != NULL) options->first_message = room;
  if (options->since == NULL) return true;
  size_t length = strlen(options->since);
  if (!fluxbp__buffer_append(&client->position, options->since, length + 1)) return false;
  client->position.length = length;
  options->since = NULL;
  return true;
}

static size_t address_bytes(const struct sockaddr *address) {
  if (address == NULL) return 0;
  return address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static bool keep_addresses(fluxbp_client_t *client) {
  fluxbp_client_options_t *options = &client->options;
  size_t bytes = address_bytes(options->address), local_bytes = address_bytes(options->local_address);
  if (bytes + local_bytes == 0) return true;
  char *room = client->addresses = malloc(bytes + local_bytes);
  if (room == NULL) return false;
  if (bytes > 0) options->address = memcpy(room, options->address, bytes);
  if (local_bytes > 0) options->local_address = memcpy(room + bytes, options->local_address, local_bytes);
  return true;
}

static int take_options(fluxbp_client_t *client, const fluxbp_client_options_t *given) {
  fluxbp_client_options_t *options = &client->options;
  *options = default_options;
  int error = fluxbp__client_copy_sized(options, sizeof *options, given);
  if (error != 0) return error;
  if (options->url == NULL) return UV_EINVAL;
  error = fluxbp_client_url_parse(options->url, &client->url, NULL);
  if (error != 0) return error;
  if (options->protocol == FLUXBP_CLIENT_BY_URL) {
    bool is_http = client->url.protocol == FLUXBP_CLIENT_HTTP;
    options->protocol = is_http ? FLUXBP_CLIENT_SSE : client->url.protocol;
  }
  if (!are_options_valid(options)) return UV_EINVAL;
  if (options->handlers != NULL)
    error = fluxbp__client_copy_sized(&client->handlers, sizeof client->handlers, options->handlers);
  if (error != 0) return error;
  if (!keep_texts(client) || !keep_addresses(client)) return UV_ENOMEM;
  error = fluxbp_client_url_parse(options->url, &client->url, NULL); /* of the text that stays */
  if (client->url.is_secure) client->secure = fluxbp__secure_create(client);
  options->tls = NULL; /* may be freed from now on */
  return client->url.is_secure && client->secure == NULL ? UV_ENOMEM : error;
}

/* The life */

void fluxbp__client_free(fluxbp_client_t *client) {
  fluxbp__stream_reset(&client->stream);
  fluxbp__http_free(client->http);
  fluxbp__secure_free(client->secure);
  fluxbp__buffer_free(&client->position);
  fluxbp__buffer_free(&client->waiting);
  fluxbp__buffer_free(&client->writing);
  fluxbp__buffer_free(&client->body);
  free(client->sending);
  free(client->loss.reason);
  free(client->own_buffer);
  free(client->addresses);
  free(client->token);
  free(client->texts);
  free(client);
}

static void init_handles(fluxbp_client_t *client) {
  uv_timer_init(client->loop, &client->timer);
  uv_idle_init(client->loop, &client->flusher);
  client->timer.data = client->flusher.data = client;
  client->handles = 2;
}

static void init_stream(fluxbp_client_t *client) {
  fluxbp__stream_init(&client->stream, client->options.protocol);
  client->stream.max_bytes = client->options.max_message_bytes;
  client->stream.on_event = fluxbp__client_on_event;
  client->stream.on_control = fluxbp__client_on_control;
}

int fluxbp_client_create(uv_loop_t *loop, const fluxbp_client_options_t *options, fluxbp_client_t **client) {
  fluxbp_client_t *created = calloc(1, sizeof *created);
  if (created == NULL) return UV_ENOMEM;
  int error = take_options(created, options);
  if (error != 0) {
    fluxbp__client_free(created);
    return error;
  }
  created->loop = loop;
  created->due_ms = UINT64_MAX;
  created->allowance = UINT64_MAX;
  init_stream(created);
  init_handles(created);
  *client = created;
  return 0;
}

int fluxbp_client_connect(fluxbp_client_t *client) {
  if (client->state != FLUXBP__CLIENT_NEW) return UV_EALREADY;
  client->state = FLUXBP__CLIENT_WAITING;
  client->due_ms = 0;
  fluxbp__client_wake_timer(client);
  return 0;
}

int fluxbp_client_set_token(fluxbp_client_t *client, const char *token) {
  if (!is_header_or_null(token, false)) return UV_EINVAL;
  char *copy = token != NULL ? strdup(token) : NULL;
  if (token != NULL && copy == NULL) return UV_ENOMEM;
  free(client->token);
  client->options.token = client->token = copy;
  client->has_new_token = true;
  return 0;
}

/* Sending */

static bool append_message(fluxbp_client_t *client, const void *data, size_t length, int is_binary) {
  if (client->options.protocol != FLUXBP_CLIENT_WEBSOCKET) return fluxbp__client_append_command(client, data, length);
  int opcode = is_binary ? FLUXBP__BINARY : FLUXBP__TEXT;
  return fluxbp__websocket_append(&client->stream, &client->waiting, opcode, data, length);
}

int fluxbp_client_send(fluxbp_client_t *client, const void *data, size_t length, int is_binary) {
  const fluxbp_client_options_t *options = &client->options;
  if (options->protocol == FLUXBP_CLIENT_SSE || options->protocol == FLUXBP_CLIENT_HTTP) return UV_ENOTSUP;
  if (client->state != FLUXBP__CLIENT_OPEN) return UV_ENOTCONN;
  if (options->protocol == FLUXBP_CLIENT_LINES && length > 0 && memchr(data, '\n', length) != NULL) return UV_EINVAL;
  size_t queued = fluxbp__client_queued(client);
  if (queued > 0 && queued + length > options->max_queued_bytes) {
    client->wants_drain = true;
    return UV_EAGAIN;
  }
  if (!append_message(client, data, length, is_binary)) return UV_ENOMEM;
  fluxbp__client_wake_flusher(client);
  return 0;
}

/* Reading */

void fluxbp_client_pause_read(fluxbp_client_t *client) {
  client->is_read_paused = client->stream.is_paused = true;
  fluxbp__client_update_reading(client);
}

void fluxbp_client_resume_read(fluxbp_client_t *client) {
  fluxbp_client_resume_read_for(client, UINT64_MAX);
}

void fluxbp_client_resume_read_for(fluxbp_client_t *client, uint64_t bytes) {
  client->allowance = bytes;
  client->is_read_paused = client->stream.is_paused = false;
  if (fluxbp__stream_is_holding(&client->stream))
    fluxbp__client_wake_flusher(client); /* held bytes are read from the loop, and first */
  else
    fluxbp__client_update_reading(client);
}

/* Properties */

int fluxbp_client_is_open(const fluxbp_client_t *client) {
  return client->state == FLUXBP__CLIENT_OPEN || client->state == FLUXBP__CLIENT_SLEEPING;
}

const char *fluxbp_client_position(const fluxbp_client_t *client) {
  return client->position.length > 0 ? client->position.data : "";
}

int fluxbp_client_fileno(const fluxbp_client_t *client, uv_os_fd_t *fd) {
  if (!client->is_tcp_open) return UV_EBADF;
  return uv_fileno((const uv_handle_t *) &client->tcp, fd);
}

void *fluxbp_client_user(const fluxbp_client_t *client) {
  return client->options.user;
}

void fluxbp_client_set_user(fluxbp_client_t *client, void *user) {
  client->options.user = user;
}

void fluxbp_client_get_stats_sized(const fluxbp_client_t *client, fluxbp_client_stats_t *stats, size_t size) {
  fluxbp_client_stats_t known = client->stats;
  known.queued_bytes = fluxbp__client_queued(client);
  memset(stats, 0, size);
  memcpy(stats, &known, smaller(size, sizeof known));
}
