/* SPDX-License-Identifier: MIT */
/*
 * report_metrics: Prometheus text: the library's figures, and the server's own. No connection is a label: there are too
 * many of them.
 */
#include "report.h"

#include "server/backbone.h"
#include "server/permissions/authorizer.h"
#include "server/session/session_grants.h"

#include <inttypes.h>

static void print_library(const struct report *report, struct text *text) {
  char out[16384];
  size_t length = fluxbp_metrics_prometheus(&report->sum.metrics, out, sizeof out);
  text_add(text, out, length < sizeof out ? length : sizeof out - 1);
  length =
      fluxbp_histogram_prometheus(&report->sum.broadcast, "fluxbp_broadcast_duration_seconds",
                                  "From taking a message to having offered it to every subscriber", out, sizeof out);
  text_add(text, out, length < sizeof out ? length : sizeof out - 1);
}

static void print_head(struct text *text, const char *name, const char *type, const char *help) {
  text_print(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_one(struct text *text, const char *name, const char *type, const char *help, uint64_t value) {
  print_head(text, name, type, help);
  text_print(text, "%s %" PRIu64 "\n", name, value);
}

static void print_protocols(const struct report *report, struct text *text) {
  print_head(text, "fluxbp_gateway_subscribers", "gauge", "Subscribers by protocol");
  for (size_t kind = 0; kind < PROTOCOL_SUBSCRIBERS; kind++)
    text_print(text, "fluxbp_gateway_subscribers{protocol=\"%s\"} %" PRIu64 "\n", protocols[kind]->name,
               report->sum.served[kind]);
}

static void print_not_allowed(const fluxbp_server_t *server, struct text *text) {
  print_head(text, "fluxbp_gateway_not_allowed_total", "counter",
             "Wishes of clients that lacked a permission, by the role that it takes");
  for (size_t role = 0; role < ROLES; role++)
    text_print(text, "fluxbp_gateway_not_allowed_total{role=\"%s\"} %" PRIu64 "\n", role_names[role],
               (uint64_t) atomic_load(&server->not_allowed[role]));
}

static void print_state_topics(const fluxbp_server_t *server, struct text *text) {
  const fluxbp_text_list_t *topics = &server->options.state_topics;
  if (topics->count == 0) return;
  print_head(text, "fluxbp_gateway_state_keys", "gauge", "Keys that have a value, by state topic");
  for (size_t i = 0; i < topics->count; i++)
    text_print(text, "fluxbp_gateway_state_keys{topic=\"%s\"} %" PRIu32 "\n", topics->texts[i],
               state_keys_count(server->state_keys, i));
  print_one(text, "fluxbp_gateway_state_keys_limit", "gauge", "Keys that each state topic may have",
            server->options.state_keys);
  print_one(text, "fluxbp_gateway_state_refused_total", "counter",
            "Values refused as their state topic had all the keys that it may have",
            atomic_load(&server->state_refused));
  print_one(text, "fluxbp_gateway_state_expired_total", "counter",
            "Values taken back as they had reached the age limit of values", atomic_load(&server->state_expired));
}

static void print_compression(const struct report *report, struct text *text) {
  if (report->server->options.compress_bytes == 0) return;
  print_one(text, "fluxbp_gateway_compressed_messages_total", "counter",
            "Messages compressed, each once on a thread for all of its receivers", report->sum.compression.messages);
  print_one(text, "fluxbp_gateway_compressed_plain_bytes_total", "counter", "Bytes of these messages before",
            report->sum.compression.plain_bytes);
  print_one(text, "fluxbp_gateway_compressed_bytes_total", "counter", "Bytes of these messages after",
            report->sum.compression.compressed_bytes);
}

static void print_limit(const char *name, uint64_t reached, void *text) {
  text_print(text, "fluxbp_gateway_limited_total{limit=\"%s\"} %" PRIu64 "\n", name, reached);
}

static void print_limits(const fluxbp_server_t *server, struct text *text) {
  print_one(text, "fluxbp_gateway_accounts", "gauge", "Addresses and subjects for which something is counted",
            accounts_count(server->accounts));
  print_head(text, "fluxbp_gateway_limited_total", "counter",
             "Times that a client was refused or had to wait, by limit");
  limits_each(&server->limits, print_limit, text);
}

static void print_tls(const fluxbp_server_t *server, struct text *text) {
  if (server->options.tls == NULL) return;
  print_one(text, "fluxbp_gateway_tls_handshakes_total", "counter", "TLS handshakes that have ended well",
            atomic_load(&server->tls_handshakes));
  print_one(text, "fluxbp_gateway_tls_resumed_total", "counter", "TLS handshakes of them that had a session ticket",
            atomic_load(&server->tls_resumed));
  print_one(text, "fluxbp_gateway_tls_failed_total", "counter", "TLS handshakes that have failed",
            atomic_load(&server->tls_failed));
  print_one(text, "fluxbp_gateway_tls_certificate_expiry_seconds", "gauge",
            "Unix time at which the first certificate expires", fluxbp_tls_expires_s(server->options.tls));
}

static void print_authorizer(const fluxbp_server_t *server, struct text *text) {
  struct authorizer_stats stats;
  if (server->authorizer == NULL) return;
  authorizer_get_stats(server->authorizer, &stats);
  print_one(text, "fluxbp_gateway_authorize_questions_total", "counter", "Questions sent to the authorizer",
            stats.questions);
  print_one(text, "fluxbp_gateway_authorize_refused_total", "counter", "Questions whose client was refused",
            stats.refused);
  print_one(text, "fluxbp_gateway_authorize_failures_total", "counter",
            "Questions without an answer, or with one that can't be used", stats.failures);
  print_one(text, "fluxbp_gateway_authorize_cached_total", "counter", "Clients that got an answer that was kept",
            stats.cached);
  print_one(text, "fluxbp_gateway_authorize_joined_total", "counter",
            "Clients that got the answer to the question of another one", stats.joined);
  print_one(text, "fluxbp_gateway_authorize_unasked_total", "counter",
            "Questions not sent, as the authorizer was out of order or too many waited", stats.unasked);
  print_one(text, "fluxbp_gateway_authorize_under_way", "gauge", "Questions under way", stats.under_way);
  print_one(text, "fluxbp_gateway_authorize_waiting", "gauge", "Questions that wait for their turn", stats.waiting);
}

void report_metrics(const struct report *report, struct text *text) {
  const fluxbp_server_t *server = report->server;
  fluxbp_pool_stats_t pool;
  fluxbp_bus_stats_t bus;
  struct memory_stats input;
  memory_get_stats(&server->memory, &input);
  memory_get_pool_stats(&server->memory, &pool);
  fluxbp_bus_get_stats(server->bus, &bus);
  print_library(report, text);
  print_protocols(report, text);
  print_one(text, "fluxbp_gateway_subscribers_limit", "gauge", "Subscribers that there may be",
            server->options.max_connections);
  print_one(text, "fluxbp_gateway_stalled", "gauge", "Subscribers that have taken nothing for a second or longer",
            report->sum.stalled);
  print_one(text, "fluxbp_gateway_refused_total", "counter", "Connections refused as there were too many",
            atomic_load(&server->refused));
  print_one(text, "fluxbp_gateway_publish_refused_total", "counter",
            "Messages refused as clients or memory were behind", atomic_load(&server->publish_refused));
  print_not_allowed(server, text);
  print_one(text, "fluxbp_gateway_late_messages_total", "counter",
            "Connections closed as a message of the client was not whole in time", atomic_load(&server->late_messages));
  print_one(text, "fluxbp_gateway_wrong_tokens_total", "counter", "Tokens that were unknown, expired or revoked",
            atomic_load(&server->wrong_tokens));
  print_one(text, "fluxbp_gateway_slowed_tokens_total", "counter",
            "Tokens that were not looked at, as their address had shown too many wrong ones",
            atomic_load(&server->slowed_tokens));
  print_one(text, "fluxbp_gateway_revocations", "gauge", "Subjects and tokens that are revoked",
            revocations_count(server->credentials.revocations));
  print_tls(server, text);
  print_authorizer(server, text);
  print_state_topics(server, text);
  print_limits(server, text);
  print_compression(report, text);
  print_one(text, "fluxbp_gateway_commands_total", "counter", "Commands of clients", report->sum.commands);
  print_one(text, "fluxbp_gateway_read_pauses_total", "counter",
            "Times that a client was not read for a while, as what it had sent could not be done yet",
            report->sum.pauses);
  print_one(text, "fluxbp_gateway_topics", "gauge", "Topics of clients, on the thread that has most",
            report->sum.topics);
  print_one(text, "fluxbp_gateway_topics_limit", "gauge", "Topics of clients that a thread may have",
            server->options.max_topics);
  print_one(text, "fluxbp_gateway_topics_refused_total", "counter",
            "Subscriptions refused as there were too many topics", report->sum.topics_refused);
  print_one(text, "fluxbp_gateway_admin_evictions_total", "counter", "Connections closed by administrators",
            atomic_load(&server->admin_evictions));
  print_one(text, "fluxbp_pool_used_bytes", "gauge", "Memory in use for messages and queues", pool.used_bytes);
  print_one(text, "fluxbp_pool_peak_bytes", "gauge", "The most that was in use", pool.peak_used_bytes);
  print_one(text, "fluxbp_pool_limit_bytes", "gauge", "The budget", pool.max_bytes);
  print_one(text, "fluxbp_gateway_input_bytes", "gauge", "Part of the budget in what clients have sent in part",
            input.used_bytes);
  print_one(text, "fluxbp_gateway_input_limit_bytes", "gauge", "Part of the budget that such input may take",
            input.max_bytes);
  print_one(text, "fluxbp_gateway_input_refused_total", "counter",
            "Times that the memory for input was used up, and a client was refused", input.refused);
  print_one(text, "fluxbp_bus_messages_total", "counter", "Messages published on the bus", bus.published);
  print_one(text, "fluxbp_bus_refused_total", "counter", "Calls refused as the bus was full", bus.refused);
  print_one(text, "fluxbp_bus_topics", "gauge", "Names that messages on the bus use", bus.topics);
  print_one(text, "fluxbp_bus_lag_messages", "gauge", "Messages that the slowest hub has yet to take", bus.lag);
  if (server->options.backbone != NULL) server->options.backbone->table->metrics(server->options.backbone, text);
}
