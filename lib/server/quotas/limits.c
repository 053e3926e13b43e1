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

static const char *const quota_names[QUOTAS] = {"connections", "subscriptions", "topics", "keys"};
static const char *const payer_names[PAYERS] = {"address", "subject"};

void limit_name(enum quota quota, enum payer payer, char name[LIMIT_NAME_BYTES]) {
  (void) snprintf(name, LIMIT_NAME_BYTES, "%s_per_%s", quota_names[quota], payer_names[payer]);
}

static uint32_t most_of(uint32_t option, uint32_t all) {
  return option == FLUXBP_LIMIT_AUTO ? (all - 1) / PART_OF_ALL + 1 : option;
}

static void set_limit(struct limits *limits, enum quota quota, enum payer payer, uint32_t most) {
  struct limit *limit = &limits->list[quota][payer];
  limit->most = most;
  (void) snprintf(limit->text, sizeof limit->text,
                  "too many %s of your %s: this server's limit of %s per %s is %" PRIu32, quota_names[quota],
                  payer_names[payer], quota_names[quota], payer_names[payer], most);
}

void limits_init(struct limits *limits, const fluxbp_server_options_t *options) {
  uint32_t connections = options->max_connections, topics = options->max_topics;
  set_limit(limits, QUOTA_CONNECTIONS, PAYER_ADDRESS, most_of(options->max_per_address, connections));
  set_limit(limits, QUOTA_CONNECTIONS, PAYER_SUBJECT, most_of(options->max_per_subject, connections));
  set_limit(limits, QUOTA_SUBSCRIPTIONS, PAYER_ADDRESS, options->max_subscriptions_per_address);
  set_limit(limits, QUOTA_SUBSCRIPTIONS, PAYER_SUBJECT, options->max_subscriptions_per_subject);
  set_limit(limits, QUOTA_TOPICS, PAYER_ADDRESS, most_of(options->max_topics_per_address, topics));
  set_limit(limits, QUOTA_TOPICS, PAYER_SUBJECT, most_of(options->max_topics_per_subject, topics));
  set_limit(limits, QUOTA_KEYS, PAYER_ADDRESS, options->max_keys_per_address);
  set_limit(limits, QUOTA_KEYS, PAYER_SUBJECT, options->max_keys_per_subject);
}

bool limits_have_text(const struct limits *limits, const char *text) {
  for (int quota = 0; quota < QUOTAS; quota++)
    for (int payer = 0; payer < PAYERS; payer++)
      if (text == limits->list[quota][payer].text) return true;
  return false;
}
