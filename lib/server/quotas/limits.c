/* SPDX-License-Identifier: MIT */
/*
 * limits: see the header.
 */
#include "limits.h"

#include <inttypes.h>
#include <stdio.h>

/* One address, or one subject, may have a quarter of what there is for all, unless the option says otherwise: three
 * others like it can't take everything. */
#define PART_OF_ALL 4

#define SECOND_NS ((uint64_t) 1000 * 1000 * 1000)

static const char *const quota_names[QUOTAS] = {"connections", "subscriptions", "topics", "keys"};
static const char *const rate_names[RATES] = {"commands", "publishes"};
static const char *const payer_names[RATE_PAYERS] = {"address", "subject", "client"};

static uint32_t most_of(uint32_t option, uint32_t all) {
  return option == FLUXBP_LIMIT_AUTO ? (all - 1) / PART_OF_ALL + 1 : option;
}

static void set_quota(struct limits *limits, enum quota quota, enum payer payer, uint32_t most) {
  struct quota_limit *limit = &limits->quotas[quota][payer];
  limit->most = most;
  (void) snprintf(limit->text, sizeof limit->text,
                  "too many %s of your %s: this server's limit of %s per %s is %" PRIu32, quota_names[quota],
                  payer_names[payer], quota_names[quota], payer_names[payer], most);
}

static uint64_t cost_of(uint32_t per_second) {
  return per_second > 0 ? SECOND_NS / per_second : 0;
}

static void set_rates(struct rate_limit rates[RATE_PAYERS], const fluxbp_rate_t *option) {
  rates[PAYER_CLIENT].cost_ns = cost_of(option->per_client);
  rates[PAYER_ADDRESS].cost_ns = cost_of(option->per_address);
  rates[PAYER_SUBJECT].cost_ns = cost_of(option->per_subject);
}

static void set_replays(struct replay_limits *limits, const fluxbp_server_options_t *options) {
  const fluxbp_rate_t *messages = &options->replay_rate, *bytes = &options->replay_bytes;
  limits->of[PAYER_CLIENT] = (struct replay_limit){.messages = messages->per_client, .bytes = bytes->per_client};
  limits->of[PAYER_ADDRESS] = (struct replay_limit){.messages = messages->per_address, .bytes = bytes->per_address};
  limits->of[PAYER_SUBJECT] = (struct replay_limit){.messages = messages->per_subject, .bytes = bytes->per_subject};
  limits->thread =
      (struct replay_limit){.messages = options->replay_rate_per_thread, .bytes = options->replay_bytes_per_thread};
}

static uint64_t time_of(uint64_t count, uint64_t per_second) {
  return per_second > 0 ? (uint64_t) ((double) count * (double) SECOND_NS / (double) per_second) : 0;
}

uint64_t replay_cost_ns(const struct replay_limit *limit, uint64_t messages, uint64_t bytes) {
  uint64_t messages_ns = time_of(messages, limit->messages), bytes_ns = time_of(bytes, limit->bytes);
  return messages_ns > bytes_ns ? messages_ns : bytes_ns;
}

void limits_init(struct limits *limits, const fluxbp_server_options_t *options) {
  uint32_t connections = options->max_connections, topics = options->max_topics;
  set_quota(limits, QUOTA_CONNECTIONS, PAYER_ADDRESS, most_of(options->max_per_address, connections));
  set_quota(limits, QUOTA_CONNECTIONS, PAYER_SUBJECT, most_of(options->max_per_subject, connections));
  set_quota(limits, QUOTA_SUBSCRIPTIONS, PAYER_ADDRESS, options->max_subscriptions_per_address);
  set_quota(limits, QUOTA_SUBSCRIPTIONS, PAYER_SUBJECT, options->max_subscriptions_per_subject);
  set_quota(limits, QUOTA_TOPICS, PAYER_ADDRESS, most_of(options->max_topics_per_address, topics));
  set_quota(limits, QUOTA_TOPICS, PAYER_SUBJECT, most_of(options->max_topics_per_subject, topics));
  set_quota(limits, QUOTA_KEYS, PAYER_ADDRESS, options->max_keys_per_address);
  set_quota(limits, QUOTA_KEYS, PAYER_SUBJECT, options->max_keys_per_subject);
  set_rates(limits->rates[RATE_COMMANDS], &options->command_rate);
  set_rates(limits->rates[RATE_PUBLISHES], &options->publish_rate);
  set_replays(&limits->replays, options);
}

bool limits_have_text(const struct limits *limits, const char *text) {
  for (int quota = 0; quota < QUOTAS; quota++)
    for (int payer = 0; payer < PAYERS; payer++)
      if (text == limits->quotas[quota][payer].text) return true;
  return false;
}

void limits_each(const struct limits *limits, void (*visit)(const char *name, uint64_t reached, void *arg), void *arg) {
  char name[LIMIT_NAME_BYTES];
  for (int quota = 0; quota < QUOTAS; quota++)
    for (int payer = 0; payer < PAYERS; payer++) {
      (void) snprintf(name, sizeof name, "%s_per_%s", quota_names[quota], payer_names[payer]);
      visit(name, atomic_load(&limits->quotas[quota][payer].reached), arg);
    }
  for (int rate = 0; rate < RATES; rate++)
    for (int payer = 0; payer < RATE_PAYERS; payer++) {
      (void) snprintf(name, sizeof name, "%s_per_%s", rate_names[rate], payer_names[payer]);
      visit(name, atomic_load(&limits->rates[rate][payer].reached), arg);
    }
  for (int payer = 0; payer < RATE_PAYERS; payer++) {
    (void) snprintf(name, sizeof name, "replays_per_%s", payer_names[payer]);
    visit(name, atomic_load(&limits->replays.of[payer].reached), arg);
  }
  visit("replays_per_thread", atomic_load(&limits->replays.thread.reached), arg);
}
