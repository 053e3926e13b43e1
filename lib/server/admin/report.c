/* SPDX-License-Identifier: MIT */
/*
 * report: gathering on the threads of the hubs, adding up and wording on the server's loop.
 */
#include "report.h"

#include "server/permissions/authorizer.h"
#include "server/session/session_grants.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

struct report *report_create(const fluxbp_server_t *server) {
  size_t count = server->shard_count;
  struct report *report = calloc(1, sizeof *report + count * sizeof report->hubs[0]);
  if (report == NULL) return NULL;
  report->server = server;
  report->count = count;
  return report;
}

void report_free(struct report *report) {
  for (size_t i = 0; i < report->count; i++) {
    free(report->hubs[i].free_cells);
    text_free(&report->hubs[i].slow);
    listing_free(report->hubs[i].worst);
  }
  listing_free(report->sum.worst);
  free(report);
}

/* Gathering. */

static int take_condition(fluxbp_conn_t *conn, void *arg) {
  struct hub_report *hub = arg;
  const fluxbp_session_t *session = fluxbp_conn_user(conn);
  fluxbp_conn_stats_t stats;
  if (!session->is_served) return 0;
  fluxbp_conn_get_stats(conn, &stats);
  enum condition condition = condition_of(&stats);
  hub->stalled += condition == CONDITION_STALLED;
  hub->backpressured += condition == CONDITION_BACKPRESSURED;
  if (hub->free_cells != NULL) /* with details */
    text_print(&hub->slow, "%s[%" PRIu64 ",%" PRIu32 ",%d]", hub->slow.length > 0 ? "," : "", session_cell(session),
               stats.fill_percent, condition == CONDITION_STALLED);
  return 0;
}

static void take_details(struct hub_report *hub, struct shard *shard) {
  hub->cell_count = shard->cells.count;
  hub->free_cells = malloc((shard->cells.count + 1) * sizeof hub->free_cells[0]);
  for (uint32_t cell = 0; hub->free_cells != NULL && cell < shard->cells.count; cell++)
    if (shard->cells.sessions[cell] == NULL) hub->free_cells[hub->free_count++] = cell;
  hub->worst = listing_create(SORT_FILL, REPORT_WORST);
  if (hub->worst != NULL) listing_take_refused(hub->worst, shard);
}

void report_take(struct report *report, struct shard *shard, bool has_details) {
  struct hub_report *hub = &report->hubs[shard->index];
  fluxbp_hub_get_metrics(shard->hub, &hub->metrics);
  fluxbp_hub_get_broadcast_times(shard->hub, &hub->broadcast);
  fluxbp_hub_history(shard->hub, &hub->history);
  for (size_t kind = 0; kind < PROTOCOL_SUBSCRIBERS; kind++) hub->served[kind] = shard->served[kind];
  hub->commands = shard->commands_total;
  hub->pauses = shard->pauses_total;
  hub->topics = shard->topics.count;
  hub->topics_refused = shard->topics.refused;
  hub->compression = shard->codecs.compressor.figures;
  if (has_details) take_details(hub, shard);
  fluxbp_hub_each_refused(shard->hub, take_condition, hub);
}

void report_add_up(struct report *report) {
  struct hub_report *sum = &report->sum;
  for (size_t i = 0; i < report->count; i++) {
    struct hub_report *hub = &report->hubs[i];
    fluxbp_metrics_add(&sum->metrics, &hub->metrics);
    fluxbp_histogram_add(&sum->broadcast, &hub->broadcast);
    for (size_t kind = 0; kind < PROTOCOL_SUBSCRIBERS; kind++) sum->served[kind] += hub->served[kind];
    sum->backpressured += hub->backpressured;
    sum->stalled += hub->stalled;
    sum->commands += hub->commands;
    sum->pauses += hub->pauses;
    if (hub->topics > sum->topics) sum->topics = hub->topics; /* each has the limit for itself */
    sum->topics_refused += hub->topics_refused;
    compression_figures_add(&sum->compression, &hub->compression);
    if (hub->history.newest_id >= sum->history.newest_id) sum->history = hub->history;
  }
}

/* Wording. */

static void set(json_t *object, const char *name, uint64_t number) {
  json_object_set_new(object, name, json_integer((json_int_t) number));
}

static void set_id(json_t *object, const char *name, const fluxbp_server_t *server, uint64_t id) {
  char text[ID_TEXT_BYTES];
  id_format(&server->codecs, id, text);
  json_object_set_new(object, name, json_string(text));
}

static uint64_t total_of(const struct hub_report *sum) {
  uint64_t total = 0;
  for (size_t kind = 0; kind < PROTOCOL_SUBSCRIBERS; kind++) total += sum->served[kind];
  return total;
}

static double seconds_of(const fluxbp_server_t *server) {
  return (double) (uv_hrtime() - server->started_ns) / 1e9;
}

static json_t *word_gateway(const fluxbp_server_t *server) {
  json_t *gateway = json_object();
  bool is_stopping = atomic_load(&server->is_stopping);
  json_object_set_new(gateway, "version", json_string(fluxbp_version()));
  set(gateway, "threads", server->shard_count);
  json_object_set_new(gateway, "uptime_s", json_real(seconds_of(server)));
  json_object_set_new(gateway, "state", json_string(is_stopping ? "shutting down" : "ready"));
  return gateway;
}

static json_t *word_connections(const struct report *report) {
  const struct hub_report *sum = &report->sum;
  json_t *connections = json_object();
  json_t *by_protocol = json_object();
  uint64_t total = total_of(sum);
  uint64_t slow = sum->backpressured + sum->stalled;
  set(connections, "total", total);
  set(connections, "healthy", total > slow ? total - slow : 0);
  set(connections, "backpressured", sum->backpressured);
  set(connections, "stalled", sum->stalled);
  set(connections, "limit", report->server->options.max_connections);
  for (size_t kind = 0; kind < PROTOCOL_SUBSCRIBERS; kind++) set(by_protocol, protocols[kind]->name, sum->served[kind]);
  json_object_set_new(connections, "protocols", by_protocol);
  return connections;
}

static json_t *word_not_allowed(const fluxbp_server_t *server) {
  json_t *not_allowed = json_object();
  for (size_t role = 0; role < ROLES; role++)
    set(not_allowed, role_names[role], atomic_load(&server->not_allowed[role]));
  return not_allowed;
}

static json_t *word_counters(const struct report *report) {
  const fluxbp_metrics_t *metrics = &report->sum.metrics;
  fluxbp_bus_stats_t bus;
  json_t *counters = json_object();
  fluxbp_bus_get_stats(report->server->bus, &bus);
  set(counters, "published", bus.published - report->server->watch_published);
  set(counters, "accepted", metrics->accepted);
  set(counters, "written", metrics->written);
  set(counters, "written_at_once", metrics->written_at_once);
  set(counters, "dropped", metrics->dropped);
  set(counters, "conflated", metrics->conflated);
  set(counters, "discarded", metrics->discarded);
  set(counters, "queued", metrics->queued);
  set(counters, "written_bytes", metrics->written_bytes);
  set(counters, "received_bytes", metrics->received_bytes);
  set(counters, "writes", metrics->writes);
  set(counters, "refusals", metrics->refusals);
  set(counters, "gaps", metrics->gaps);
  set(counters, "opened", metrics->opened);
  set(counters, "closed", metrics->closed);
  set(counters, "refused_connections", atomic_load(&report->server->refused));
  set(counters, "publish_refused", atomic_load(&report->server->publish_refused));
  json_object_set_new(counters, "not_allowed", word_not_allowed(report->server));
  set(counters, "late_messages", atomic_load(&report->server->late_messages));
  set(counters, "wrong_tokens", atomic_load(&report->server->wrong_tokens));
  set(counters, "slowed_tokens", atomic_load(&report->server->slowed_tokens));
  set(counters, "compressed_messages", report->sum.compression.messages);
  set(counters, "compressed_plain_bytes", report->sum.compression.plain_bytes);
  set(counters, "compressed_bytes", report->sum.compression.compressed_bytes);
  set(counters, "state_refused", atomic_load(&report->server->state_refused));
  set(counters, "state_expired", atomic_load(&report->server->state_expired));
  return counters;
}

static json_t *word_authorizer(const fluxbp_server_t *server) {
  struct authorizer_stats stats;
  json_t *authorizer = json_object();
  authorizer_get_stats(server->authorizer, &stats);
  set(authorizer, "questions", stats.questions);
  set(authorizer, "refused", stats.refused);
  set(authorizer, "failures", stats.failures);
  set(authorizer, "cached", stats.cached);
  set(authorizer, "joined", stats.joined);
  set(authorizer, "unasked", stats.unasked);
  set(authorizer, "under_way", stats.under_way);
  set(authorizer, "waiting", stats.waiting);
  return authorizer;
}

static json_t *word_evictions(const struct report *report) {
  json_t *evictions = json_object();
  for (int reason = FLUXBP_EVICT_NONE + 1; reason < FLUXBP_EVICT_REASON_COUNT; reason++)
    set(evictions, fluxbp_evict_reason_name((fluxbp_evict_reason_t) reason), report->sum.metrics.evictions[reason]);
  set(evictions, "admin", atomic_load(&report->server->admin_evictions));
  return evictions;
}

/* How often each of the limits was reached. */
static void word_limit(const char *name, uint64_t reached, void *limits) {
  set(limits, name, reached);
}

static json_t *word_limits(const fluxbp_server_t *server) {
  json_t *limits = json_object();
  limits_each(&server->limits, word_limit, limits);
  return limits;
}

static json_t *word_memory(const struct report *report) {
  fluxbp_pool_stats_t pool;
  json_t *memory = json_object();
  struct memory_stats input;
  memory_get_stats(&report->server->memory, &input);
  memory_get_pool_stats(&report->server->memory, &pool);
  set(memory, "used_bytes", pool.used_bytes);
  set(memory, "peak_bytes", pool.peak_used_bytes);
  set(memory, "budget_bytes", pool.max_bytes);
  set(memory, "input_bytes", input.used_bytes);
  set(memory, "input_limit_bytes", input.max_bytes);
  set(memory, "input_refused", input.refused);
  set(memory, "allocator_calls", pool.allocator_calls);
  set(memory, "queued_bytes", report->sum.metrics.queued_bytes);
  set(memory, "kernel_bytes", report->sum.metrics.kernel_bytes);
  return memory;
}

static json_t *word_broadcast(const fluxbp_histogram_t *times) {
  json_t *broadcast = json_object();
  set(broadcast, "count", fluxbp_histogram_count(times));
  set(broadcast, "p50_us", fluxbp_histogram_quantile(times, 0.5));
  set(broadcast, "p99_us", fluxbp_histogram_quantile(times, 0.99));
  set(broadcast, "p999_us", fluxbp_histogram_quantile(times, 0.999));
  set(broadcast, "max_us", fluxbp_histogram_max(times));
  return broadcast;
}

static json_t *word_state(const fluxbp_server_t *server) {
  const fluxbp_text_list_t *topics = &server->options.state_topics;
  json_t *list = json_array();
  for (size_t i = 0; i < topics->count; i++) {
    json_t *topic = json_object();
    json_object_set_new(topic, "topic", json_string(topics->texts[i]));
    set(topic, "keys", state_keys_count(server->state_keys, i));
    set(topic, "limit", server->options.state_keys);
    json_array_append_new(list, topic);
  }
  return list;
}

static json_t *word_bus(const struct report *report) {
  fluxbp_bus_stats_t stats;
  json_t *bus = json_object();
  fluxbp_bus_get_stats(report->server->bus, &stats);
  set(bus, "lag", stats.lag);
  set(bus, "slots", stats.slots);
  set_id(bus, "newest", report->server, report->sum.history.newest_id);
  set_id(bus, "oldest_since", report->server, report->sum.history.oldest_since_id);
  return bus;
}

/* A copy, since the snapshot goes to another thread. */
static json_t *word_policy_change(const fluxbp_server_t *server) {
  return server->policy_change != NULL ? json_deep_copy(server->policy_change) : json_null();
}

json_t *report_snapshot(const struct report *report, const fluxbp_policy_t *policy) {
  const fluxbp_metrics_t *metrics = &report->sum.metrics;
  struct timespec now;
  json_t *snapshot = json_object();
  clock_gettime(CLOCK_REALTIME, &now);
  json_object_set_new(snapshot, "time", json_real((double) now.tv_sec + (double) now.tv_nsec / 1e9));
  json_object_set_new(snapshot, "gateway", word_gateway(report->server));
  json_object_set_new(snapshot, "connections", word_connections(report));
  json_object_set_new(snapshot, "counters", word_counters(report));
  json_object_set_new(snapshot, "write_success_rate", json_real(metrics->write_success_rate));
  json_object_set_new(snapshot, "evictions", word_evictions(report));
  json_object_set_new(snapshot, "limits", word_limits(report->server));
  json_object_set_new(snapshot, "memory", word_memory(report));
  json_object_set_new(snapshot, "broadcast", word_broadcast(&report->sum.broadcast));
  json_object_set_new(snapshot, "bus", word_bus(report));
  json_object_set_new(snapshot, "state_topics", word_state(report->server));
  if (report->server->authorizer != NULL) json_object_set_new(snapshot, "authorizer", word_authorizer(report->server));
  json_object_set_new(snapshot, "is_crowd_slow", json_boolean(metrics->is_crowd_slow));
  json_object_set_new(snapshot, "policy", describe_policy(policy));
  json_object_set_new(snapshot, "policy_change", word_policy_change(report->server));
  return snapshot;
}
