/* SPDX-License-Identifier: MIT */
/*
 * options: from the sources to options that go together. What can be known to be wrong without opening anything but the
 * config file is refused here, with a message that says what would be right.
 */
#include "options.h"

#include "common/option_print.h"
#include "common/option_sources.h"
#include "common/option_values.h"
#include "option_table.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message is in memory as it came and once for each codec, in blocks of the next larger size, and others want
 * room. */
#define MESSAGES_IN_BUDGET 16 /* check_memory names it */

/* What "auto" is. */
#define MIB ((uint64_t) 1 << 20)
#define HISTORY_BYTES (32 * MIB)
#define HISTORIES_IN_BUDGET_BY_DEFAULT 4
#define BODY_BYTES MIB
#define HISTORY_MESSAGES 20000
#define TOPICS_IN_HISTORY 2 /* that have as much as they may: one busy topic leaves the others as much as it has */
#define STATE_KEYS 65536
#define MESSAGES_IN_RING 4 /* of the largest, with what codecs add to them */

/* Bytes of a message of the past or of a key, besides the message itself; they count against the budget. */
#define ENTRY_BYTES 136

/* A client that answers a ping takes a round trip, and may be behind another client in line. */
#define PING_MIN_MS 1000

/*
 * Slots where the input waits for clients. Long rings make larger batches and fewer waits: a million short lines to 220
 * clients take half of the time that they take with 256 slots. Clients that stall at about the same time do so within
 * one wait: their kernels take amounts that differ by some tens of KB, which the rings hide.
 */
#define SLOTS_WITH_PATIENCE 16384

/* The stall limit that --patience falls back to where --stall is off. */
#define PATIENCE_WITHOUT_STALL_MS 5000

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

/* How many entries half of the budget has room for; the rest has to do for everything else. */
static uint64_t most_entries(const struct options *options) {
  return options->server.budget / 2 / ENTRY_BYTES;
}

static uint64_t most_state_keys(const struct options *options) {
  return most_entries(options) / most(options->server.state_topics.count, 1);
}

/* Limits of all topics that somebody chose are meant for one topic, too, unless that has limits of its own. */
static void settle_history(struct options *options, const struct givens *givens) {
  bool are_bytes_auto = option_is_auto(givens, "history-bytes");
  bool is_count_auto = option_is_auto(givens, "history");
  if (are_bytes_auto)
    options->server.history_bytes = least(HISTORY_BYTES, options->server.budget / HISTORIES_IN_BUDGET_BY_DEFAULT);
  if (is_count_auto) options->server.history_messages = (uint32_t) least(HISTORY_MESSAGES, most_entries(options));
  if (option_is_auto(givens, "history-topic-bytes"))
    options->server.history_topic_bytes = options->server.history_bytes / (are_bytes_auto ? TOPICS_IN_HISTORY : 1);
  if (option_is_auto(givens, "history-topic"))
    options->server.history_topic_messages = options->server.history_messages / (is_count_auto ? TOPICS_IN_HISTORY : 1);
}

/* What "auto" comes to. */
static void settle(struct options *options, const struct givens *givens) {
  fluxbp_policy_t *policy = &options->server.policy;
  if (option_is_auto(givens, "patience") && options->feeds_stdin)
    options->server.patience_ms = policy->stall_ms != 0 ? policy->stall_ms : PATIENCE_WITHOUT_STALL_MS;
  if (option_is_auto(givens, "overflow"))
    policy->overflow = options->server.patience_ms > 0 ? FLUXBP_OVERFLOW_EVICT : FLUXBP_OVERFLOW_DROP_NEWEST;
  if (option_is_auto(givens, "slots") && options->server.patience_ms > 0) policy->slots = SLOTS_WITH_PATIENCE;

  if (option_is_auto(givens, "max-body")) options->server.max_body = most(options->server.max_message, BODY_BYTES);
  if (option_is_auto(givens, "ring-bytes"))
    policy->max_bytes = most(policy->max_bytes, MESSAGES_IN_RING * options->server.max_message);
  settle_history(options, givens);
  if (option_is_auto(givens, "state-keys"))
    options->server.state_keys = (uint32_t) least(STATE_KEYS, most_state_keys(options));
}

/* An option with its value and where that is from. */
struct description {
  char text[GIVEN_TEXT_BYTES];
};

static struct description describe(const struct options *options, const struct givens *givens, const char *name) {
  struct description description;
  option_describe(options, givens, name, description.text, sizeof description.text);
  return description;
}

static bool refuse_pair(const struct options *options, struct givens *givens, const char *name, const char *relation,
                        const char *other, const char *advice) {
  return givens_refuse(givens, "%s %s %s%s", describe(options, givens, name).text, relation,
                       describe(options, givens, other).text, advice);
}

/* A text that is part of a message. */
struct phrase {
  char text[2 * FLUXBP_VALUE_TEXT_BYTES];
};

/* "make it 8M or less" */
static struct phrase make_it(const char *what, uint64_t bytes, const char *direction) {
  static const fluxbp_value_type_t type = {.kind = FLUXBP_VALUE_BYTES};
  char amount[FLUXBP_VALUE_TEXT_BYTES];
  struct phrase phrase;
  fluxbp_value_format(&type, bytes, amount, sizeof amount);
  snprintf(phrase.text, sizeof phrase.text, ": make %s %s or %s", what, amount, direction);
  return phrase;
}

/* Each has an entry, besides the message itself. */
static bool check_count(const struct options *options, struct givens *givens, const char *name, uint64_t count,
                        uint64_t right) {
  if (count <= right) return true;
  char advice[FLUXBP_VALUE_TEXT_BYTES];
  snprintf(advice, sizeof advice, ": make it %" PRIu64 " or less", right);
  return refuse_pair(options, givens, name, "needs more than half of", "budget", advice);
}

static bool check_memory(const struct options *options, struct givens *givens) {
  uint64_t least_budget = MESSAGES_IN_BUDGET * options->server.max_message;
  uint64_t least_ring = fluxbp_policy_least_ring_bytes(options->server.max_message);
  uint64_t most_history = options->server.budget / 2;
  if (options->server.budget < least_budget)
    return refuse_pair(options, givens, "budget", "is less than 16 times", "max-message",
                       make_it("the budget", least_budget, "more").text);
  if (options->server.policy.max_bytes < least_ring)
    return refuse_pair(options, givens, "ring-bytes", "must be at least twice", "max-message",
                       make_it("it", least_ring, "more").text);
  if (options->server.policy.max_bytes > options->server.budget)
    return refuse_pair(options, givens, "ring-bytes", "is more than", "budget",
                       make_it("it", options->server.budget, "less").text);
  if (options->server.policy.soft_bytes >= options->server.policy.max_bytes)
    return refuse_pair(options, givens, "soft-bytes", "must be below", "ring-bytes", "");
  if (options->server.history_bytes > most_history)
    return refuse_pair(options, givens, "history-bytes", "is more than half of", "budget",
                       make_it("it", most_history, "less").text);
  if (options->server.max_body < options->server.max_message)
    return refuse_pair(options, givens, "max-body", "must be at least", "max-message", "");
  return check_count(options, givens, "history", options->server.history_messages, most_entries(options)) &&
         (options->server.state_topics.count == 0 ||
          check_count(options, givens, "state-keys", options->server.state_keys, most_state_keys(options)));
}

/* What one topic may have is a part of what all may have. */
static bool check_history(const struct options *options, struct givens *givens) {
  char advice[FLUXBP_VALUE_TEXT_BYTES];
  snprintf(advice, sizeof advice, ": make it %" PRIu32 " or less", options->server.history_messages);
  if (options->server.history_topic_messages > options->server.history_messages)
    return refuse_pair(options, givens, "history-topic", "is more than", "history", advice);
  if (options->server.history_topic_bytes > options->server.history_bytes)
    return refuse_pair(options, givens, "history-topic-bytes", "is more than", "history-bytes",
                       make_it("it", options->server.history_bytes, "less").text);
  return true;
}

static bool check_ping(const struct options *options, struct givens *givens) {
  if (options->server.ping_ms == 0 || options->server.ping_ms >= PING_MIN_MS) return true;
  return givens_refuse(givens, "%s is too short for an answer: make it %d or more, or 0 for no pings",
                       describe(options, givens, "ping").text, PING_MIN_MS);
}

static bool check_input(const struct options *options, struct givens *givens) {
  if (!options->feeds_stdin && (options->once || options->wait_clients != 0))
    return givens_refuse(givens, "%s is about standard input: add --stdin",
                         describe(options, givens, options->once ? "once" : "wait-clients").text);
  if (options->wait_clients > options->server.max_connections)
    return refuse_pair(options, givens, "wait-clients", "would wait for ever: it is more than", "max-connections", "");
  return true;
}

static bool check_topics(const struct options *options, struct givens *givens) {
  const fluxbp_text_list_t *states = &options->server.state_topics;
  for (size_t i = 0; i < states->count; i++) {
    if (strcmp(states->texts[i], options->server.topic) == 0)
      return givens_refuse(givens, "%s can't be a state topic, too: name another one with --topic or --state",
                           describe(options, givens, "topic").text);
    for (size_t j = 0; j < i; j++)
      if (strcmp(states->texts[i], states->texts[j]) == 0)
        return givens_refuse(givens, "--state %s is there twice: once is enough", states->texts[i]);
  }
  return true;
}

/* The same port of the same host; port 0 is another one each time. */
static bool is_same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
  if (a->ss_family != b->ss_family) return false;
  if (a->ss_family == AF_INET6) {
    const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *) a;
    const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *) b;
    return a6->sin6_port != 0 && a6->sin6_port == b6->sin6_port &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
  }
  const struct sockaddr_in *a4 = (const struct sockaddr_in *) a;
  const struct sockaddr_in *b4 = (const struct sockaddr_in *) b;
  return a4->sin_port != 0 && a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

#define DOOR(name, speak, member)                                                                                      \
  { name, speak, offsetof(struct options, member##_text), offsetof(struct options, member) }

const struct door doors[DOORS] = {
    DOOR("tcp", FLUXBP_SPEAK_LINES, tcp),
    DOOR("tcp-length", FLUXBP_SPEAK_LENGTH, tcp_length),
    DOOR("http", FLUXBP_SPEAK_HTTP, http),
    DOOR("tcp-tls", FLUXBP_SPEAK_LINES_TLS, tcp_tls),
    DOOR("tcp-length-tls", FLUXBP_SPEAK_LENGTH_TLS, tcp_length_tls),
    DOOR("http-tls", FLUXBP_SPEAK_HTTP_TLS, http_tls),
};

bool door_is_tls(const struct door *door) {
  return door->speak >= FLUXBP_SPEAK_LINES_TLS;
}

const char *door_text(const struct options *options, const struct door *door) {
  return *(const char *const *) (const void *) ((const char *) options + door->text_offset);
}

static const struct sockaddr_storage *door_address(const struct options *options, const struct door *door) {
  return (const void *) ((const char *) options + door->address_offset);
}

static bool check_addresses(const struct options *options, struct givens *givens) {
  bool is_any_on = false;
  for (size_t i = 0; i < DOORS; i++) {
    if (door_text(options, &doors[i]) == NULL) continue;
    is_any_on = true;
    for (size_t j = 0; j < i; j++)
      if (door_text(options, &doors[j]) != NULL &&
          is_same_address(door_address(options, &doors[i]), door_address(options, &doors[j])))
        return refuse_pair(options, givens, doors[i].name, "is the address of", doors[j].name,
                           ", too: choose another port");
  }
  return is_any_on ||
         givens_refuse(givens, "nobody could connect: --tcp, --tcp-length, --http and the like are all off");
}

/* A socket of the service manager's may be a door for TLS without an option of its own. */
static bool check_tls(const struct options *options, struct givens *givens) {
  size_t certificates = options->tls_certificates.count;
  for (size_t i = 0; i < DOORS; i++)
    if (door_is_tls(&doors[i]) && door_text(options, &doors[i]) != NULL && certificates == 0)
      return givens_refuse(givens, "%s takes a certificate: add --tls-cert FILE and --tls-key FILE",
                           describe(options, givens, doors[i].name).text);
  if (certificates != options->tls_keys.count)
    return givens_refuse(givens, "each --tls-cert takes a --tls-key, in the same order: there are %zu and %zu",
                         certificates, options->tls_keys.count);
  if (certificates > FLUXBP_TLS_CERTIFICATES_MAX)
    return givens_refuse(givens, "there are %zu times --tls-cert: make it %d or fewer", certificates,
                         FLUXBP_TLS_CERTIFICATES_MAX);
  if (options->tls.clients != FLUXBP_TLS_CLIENTS_REQUIRED && options->tls.client_ca == NULL)
    return givens_refuse(givens, "%s is about clients' certificates: add --tls-client-ca FILE",
                         describe(options, givens, "tls-clients").text);
  return options->tls.client_ca == NULL || certificates > 0 ||
         givens_refuse(givens, "%s is about TLS: add --tls-cert FILE and --tls-key FILE",
                       describe(options, givens, "tls-client-ca").text);
}

static bool check_backbone(const struct options *options, struct givens *givens) {
  if (options->nats_url != NULL) return true;
  if (options->nats.stream == NULL && options->nats.credentials == NULL) return true;
  return givens_refuse(givens, "%s is about NATS: add --nats URL",
                       describe(options, givens, options->nats.stream != NULL ? "jetstream" : "nats-creds").text);
}

static bool check_together(const struct options *options, struct givens *givens) {
  if (options->server.policy.low_percent >= options->server.policy.high_percent)
    return refuse_pair(options, givens, "low", "must be below", "high", "");
  return check_memory(options, givens) && check_history(options, givens) && check_ping(options, givens) &&
         check_input(options, givens) && check_topics(options, givens) && check_addresses(options, givens) &&
         check_tls(options, givens) && check_backbone(options, givens);
}

static enum options_outcome parse(struct options *options, struct givens *givens, int argc, char **argv) {
  enum options_outcome outcome = options_read(givens, options, argc, argv);
  if (outcome != OPTIONS_RUN) return outcome;
  settle(options, givens);
  if (!check_together(options, givens)) return OPTIONS_REFUSED;
  if (options_have(givens, "print-config")) {
    print_config(options, givens);
    return OPTIONS_DONE;
  }
  return options_have(givens, "check-config") ? OPTIONS_CHECK : OPTIONS_RUN;
}

enum options_outcome options_parse(struct options *options, int argc, char **argv) {
  *options = (struct options){0};
  fluxbp_server_options_init(&options->server);
  fluxbp_nats_options_init(&options->nats);
  fluxbp_tls_options_init(&options->tls);
  options->givens = calloc(1, sizeof *options->givens);
  if (options->givens == NULL) {
    fputs("gateway: out of memory while options are read\n", stderr);
    return OPTIONS_REFUSED;
  }
  options->givens->table = &gateway_table;
  enum options_outcome outcome = parse(options, options->givens, argc, argv);
  if (outcome == OPTIONS_REFUSED) options_refuse(options->givens);
  if (outcome == OPTIONS_REFUSED || outcome == OPTIONS_DONE) {
    options_free(options);
    return outcome;
  }
  log_set_level(options->log_level);
  log_set_format(options->log_format);
  sources_warn_of_variables(&gateway_table);
  return outcome;
}

void options_free(struct options *options) {
  option_values_free(&gateway_table, options);
  givens_free(options->givens);
  free(options->givens);
  *options = (struct options){0};
}
