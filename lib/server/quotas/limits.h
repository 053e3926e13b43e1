/* SPDX-License-Identifier: MIT */
/*
 * limits: how much the clients of one address, those of one subject, and one client may have and do: the server's
 * options as tables, the words for a client that is refused, and how often a limit was reached. Thread: any.
 */
#ifndef FLUXBP_SERVER_LIMITS_H
#define FLUXBP_SERVER_LIMITS_H

#include <fluxbp/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Room for the words of a quota, with the NUL: they have to fit into a close frame. */
#define LIMIT_TEXT_BYTES (FLUXBP_CLOSE_REASON_BYTES + 1)

/* Room for the name of a limit, with the NUL. */
#define LIMIT_NAME_BYTES 32

/* Seconds after which a client that a quota has refused may try again (Retry-After). */
#define LIMIT_RETRY "Retry-After: 10\r\n"

/* What is counted. A client that would have more is refused. */
enum quota { QUOTA_CONNECTIONS, QUOTA_SUBSCRIPTIONS, QUOTA_TOPICS, QUOTA_KEYS, QUOTAS };

/* What has a rate. A client that is faster waits. */
enum rate { RATE_COMMANDS, RATE_PUBLISHES, RATES };

/* For whom. Those up to PAYERS have accounts; a single client has none, and rates only. */
enum payer { PAYER_ADDRESS, PAYER_SUBJECT, PAYERS, PAYER_CLIENT = PAYERS, RATE_PAYERS };

struct quota_limit {
  uint32_t most; /* 0: no limit */
  char text[LIMIT_TEXT_BYTES];
  atomic_uint_fast64_t reached; /* times that a client was refused */
};

struct rate_limit {
  uint64_t cost_ns;             /* of one, in time of a bucket; 0: no limit */
  atomic_uint_fast64_t reached; /* times that a client had to wait */
};

/* What is replayed for clients that resume. A client that would have more waits for its turn. */
struct replay_limit {
  uint64_t messages, bytes; /* a second; 0: no limit */
  atomic_uint_fast64_t reached;
};

struct replay_limits {
  struct replay_limit of[RATE_PAYERS];
  struct replay_limit thread; /* of all clients of a thread */
};

struct limits {
  struct quota_limit quotas[QUOTAS][PAYERS];
  struct rate_limit rates[RATES][RATE_PAYERS];
  struct replay_limits replays;
};

/** Take the limits from the options. */
void limits_init(struct limits *limits, const fluxbp_server_options_t *options);

/** Return whether a refusal is the text of one of the quotas. */
bool limits_have_text(const struct limits *limits, const char *text);

/** Return whether there is a limit. */
static inline bool replay_limit_is_set(const struct replay_limit *limit) {
  return limit->messages > 0 || limit->bytes > 0;
}

/** Return what so many messages with so many bytes together cost, in time of a bucket. */
uint64_t replay_cost_ns(const struct replay_limit *limit, uint64_t messages, uint64_t bytes);

/** Call `visit` with each limit's name, such as "subscriptions_per_address", and how often it was reached. */
void limits_each(const struct limits *limits, void (*visit)(const char *name, uint64_t reached, void *arg), void *arg);

#endif
