/* SPDX-License-Identifier: MIT */
/*
 * server: from its options to a server that runs, and what is freed at the end. What happens between
 * fluxbp_server_close and that is in closing.c.
 */
#include "server.h"

#include "admin/evictions.h"
#include "admin/watch.h"
#include "backbone.h"
#include "permissions/authorizer.h"
#include "session/session.h"

#include <assert.h>
#include <stdlib.h>

/* Many commands at a time are done for less. What can't be done of a read is copied; the hub reads less when memory is
 * in use. */
#define READ_BUFFER_BYTES 32768

/*
 * Messages in the bus may take so much of the budget, if they all are as long as they may be. There is always room for
 * what one request may publish at once (publish_request.c); beyond that the pool refuses by bytes.
 */
#define BUS_PART_OF_BUDGET 4
#define BUS_SLOTS_MIN 1024
#define BUS_SLOTS_MAX 4096

void *fluxbp_server_user(const fluxbp_server_t *server) {
  return server->options.user;
}

size_t fluxbp_server_session_count(const fluxbp_server_t *server) {
  return atomic_load(&server->served);
}

static int set_proxies(fluxbp_server_t *server) {
  const fluxbp_text_list_t *texts = &server->options.proxies;
  if (texts->count == 0) return 0;
  server->proxies = calloc(texts->count, sizeof server->proxies[0]);
  if (server->proxies == NULL) return UV_ENOMEM;
  for (size_t i = 0; i < texts->count; i++)
    if (network_parse(texts->texts[i], &server->proxies[i])) server->proxy_count++;
  return 0;
}

static int create_accounts(fluxbp_server_t *server) {
  limits_init(&server->limits, &server->options);
  server->accounts = accounts_create(&server->limits);
  return server->accounts != NULL ? 0 : UV_ENOMEM;
}

static int limit_wrong_tokens(fluxbp_server_t *server) {
  uint32_t most = server->options.max_wrong_tokens;
  if (most > 0) server->token_guesses = token_guesses_create(most);
  return most > 0 && server->token_guesses == NULL ? UV_ENOMEM : 0;
}

static int create_pool(fluxbp_server_t *server) {
  fluxbp_pool_options_t options;
  fluxbp_pool_options_init(&options);
  options.max_bytes = server->options.budget;
  int err = fluxbp_pool_create(&options, &server->pool);
  return err == 0 ? memory_init(&server->memory, server->pool) : err;
}

/* Hold those that have to be there whatever names publishers come up with. */
static int name_topics(fluxbp_server_t *server) {
  const fluxbp_server_options_t *options = &server->options;
  uint32_t number;
  int err = fluxbp_bus_topic(server->bus, WATCH_TOPIC, &number);
  if (err == 0 && options->topic != NULL) err = fluxbp_bus_topic(server->bus, options->topic, &server->topic_number);
  for (size_t i = 0; err == 0 && i < options->state_topics.count; i++)
    err = fluxbp_bus_topic(server->bus, options->state_topics.texts[i], &number);
  return err;
}

static int create_bus(fluxbp_server_t *server) {
  const fluxbp_server_options_t *options = &server->options;
  fluxbp_bus_options_t bus_options;
  fluxbp_bus_options_init(&bus_options);
  uint64_t lines = options->budget / BUS_PART_OF_BUDGET / options->max_message;
  bus_options.slots = BUS_SLOTS_MIN;
  while (bus_options.slots < BUS_SLOTS_MAX && bus_options.slots * 2 <= lines) bus_options.slots *= 2;
  if (options->backbone != NULL) {
    struct backbone_ids ids = options->backbone->table->ids(options->backbone);
    server->has_given_ids = ids.is_given;
    bus_options.own_ids = ids.is_given;
    if (ids.is_given) bus_options.epoch = ids.epoch;
    if (ids.is_given) bus_options.first_id = ids.first_id;
  }
  int err = fluxbp_bus_create(server->pool, &bus_options, &server->bus);
  if (err == 0) codecs_init(&server->codecs, fluxbp_bus_epoch(server->bus), 0);
  return err != 0 ? err : name_topics(server);
}

static int start_shards(fluxbp_server_t *server) {
  const fluxbp_server_options_t *options = &server->options;
  fluxbp_hub_options_t hub_options;
  fluxbp_hub_options_init(&hub_options);
  hub_options.pool = server->pool;
  hub_options.bus = server->bus;
  hub_options.policy = &server->policy;
  hub_options.history_messages = options->history_messages;
  hub_options.history_bytes = options->history_bytes;
  hub_options.history_topic_messages = options->history_topic_messages;
  hub_options.history_topic_bytes = options->history_topic_bytes;
  hub_options.history_ms = options->history_ms;
  hub_options.patience_ms = options->patience_ms;
  hub_options.max_kernel_bytes = options->kernel_bytes;
  hub_options.read_buffer_bytes = READ_BUFFER_BYTES;
  hub_options.input_key = session_input_key;
  hub_options.io_uring = options->io_uring;
  return shards_start(&server->shards, server, &hub_options);
}

/* The handles of the loop: what follows may fail, and then they are closed by the loop. */
static int create_handles(fluxbp_server_t *server) {
  uv_loop_t *loop = server->options.loop;
  fluxbp_hub_options_t options;
  fluxbp_hub_options_init(&options);
  options.pool = server->pool;
  options.user = server;
  int err = fluxbp_hub_create(loop, &options, &server->control);
  if (err != 0) return err;
  uv_timer_init(loop, &server->delivery);
  server->delivery.data = server;
  watch_start(server, loop);
  server->open_handles = 2; /* the watch, and the hub; the other one is closed behind all */
  return 0;
}

/* On the loop. */
static void tell_failure(fluxbp_hub_t *control, void *arg) {
  fluxbp_server_t *server = arg;
  fluxbp_backbone_t *backbone = server->options.backbone;
  (void) control;
  if (server->options.on_backbone_failure != NULL && !server->is_closing)
    server->options.on_backbone_failure(server, backbone->table->problem(backbone));
}

static void note_failure(fluxbp_server_t *server) {
  (void) fluxbp_hub_post(server->control, tell_failure, server);
}

static int connect_backbone(fluxbp_server_t *server) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  if (backbone == NULL) return 0;
  server->backbone_host = (struct backbone_host){.server = server,
                                                 .options = &server->options,
                                                 .pool = server->pool,
                                                 .hub_count = server->shard_count,
                                                 .is_state = server_is_state,
                                                 .topic_key = server_topic_key,
                                                 .deliver = server_deliver,
                                                 .recall = server_recall,
                                                 .print = text_print,
                                                 .fail = note_failure};
  return backbone->table->connect(backbone, &server->backbone_host);
}

static int start_parts(fluxbp_server_t *server) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  if (server->options.authorize_url != NULL && (server->authorizer = authorizer_create(server)) == NULL)
    return UV_ENOMEM;
  int err = connect_backbone(server);
  if (err == 0) err = create_bus(server);
  if (err == 0) err = start_shards(server);
  if (err == 0 && (server->evictions = evictions_create(server)) == NULL) err = UV_ENOMEM;
  if (err == 0 && backbone != NULL) err = backbone->table->start(backbone);
  return err;
}

/* What needs no loop. */
static int init(fluxbp_server_t *server) {
  const fluxbp_server_options_t *options = &server->options;
  server->shard_count = options->threads > 0 ? options->threads : 1;
  server->policy = options->policy;
  server->started_ns = uv_hrtime();
  server->origins = (struct origins){options->allow_hosts.texts, options->allow_hosts.count,
                                     options->allow_origins.texts, options->allow_origins.count};
  int err = set_proxies(server);
  if (err == 0) err = create_accounts(server);
  if (err == 0) err = limit_wrong_tokens(server);
  if (err == 0) err = server_init_publishing(server);
  if (err == 0) err = credentials_init(&server->credentials, &server->hash, options);
  return err == 0 ? create_pool(server) : err;
}

static void free_server(fluxbp_server_t *server) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  evictions_free(server->evictions);
  json_decref(server->policy_change);
  token_guesses_free(server->token_guesses);
  free(server->proxies);
  authorizer_free(server->authorizer);
  credentials_free(&server->credentials);
  secret_files_free(server);
  if (backbone != NULL) backbone->table->free(backbone);
  state_keys_free(server->state_keys);
  accounts_free(server->accounts);
  int err = server->bus != NULL ? fluxbp_bus_destroy(server->bus) : 0;
  memory_end(&server->memory);
  if (err == 0 && server->pool != NULL) err = fluxbp_pool_destroy(server->pool);
  assert(err == 0 && "a message was not given back");
  (void) err;
  free(server);
}

/* The last handle, so that the callbacks of all others have returned. */
static void on_all_closed(uv_handle_t *handle) {
  fluxbp_server_t *server = handle->data;
  if (server->on_closed != NULL) server->on_closed(server);
  free_server(server);
}

void server_handle_closed(fluxbp_server_t *server) {
  if (--server->open_handles == 0) uv_close((uv_handle_t *) &server->delivery, on_all_closed);
}

static void on_handle_closed(uv_handle_t *handle) {
  server_handle_closed(handle->data);
}

static void on_control_closed(fluxbp_hub_t *hub) {
  server_handle_closed(fluxbp_hub_user(hub));
}

static void on_shards_stopped(struct shards *shards) {
  fluxbp_server_t *server = shards->server;
  fluxbp_hub_close(server->control, on_control_closed);
  uv_timer_stop(&server->delivery);
  uv_close((uv_handle_t *) &server->watch_timer, on_handle_closed);
}

void server_end(fluxbp_server_t *server) {
  fluxbp_backbone_t *backbone = server->options.backbone;
  listeners_close(server);
  secret_files_close(server);
  authorizer_close(server->authorizer);
  if (backbone != NULL) backbone->table->stop(backbone);
  shards_stop(&server->shards, on_shards_stopped);
}

int fluxbp_server_create(const fluxbp_server_options_t *options, fluxbp_server_t **out) {
  *out = NULL;
  fluxbp_server_t *server = calloc(1, sizeof *server);
  if (server == NULL) return UV_ENOMEM;
  int err = server_take_options(server, options);
  if (err == 0) err = init(server);
  if (err == 0) err = create_handles(server);
  if (err != 0) {
    free_server(server);
    return err;
  }
  server->shards.server = server;
  err = start_parts(server);
  if (err == 0) {
    *out = server;
    return 0;
  }
  atomic_store(&server->is_stopping, true);
  server->is_closing = true;
  server_end(server);
  return err;
}
