/* SPDX-License-Identifier: MIT */
/*
 * limits: how much the clients of one address, and those of one subject, may have: the server's options as a table, the
 * words for a client that is refused, and how often that has happened. Thread: any.
 */
#ifndef FLUXBP_SERVER_LIMITS_H
#define FLUXBP_SERVER_LIMITS_H

#include <fluxbp/server.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Room for the words of a limit, with the NUL: they have to fit into a close frame. */
#define LIMIT_TEXT_BYTES (FLUXBP_CLOSE_REASON_BYTES + 1)

/* Room for the name of a limit, with the NUL. */
#define LIMIT_NAME_BYTES 32

/* Seconds after which a client that a limit has refused may try again (Retry-After). */
#define LIMIT_RETRY "Retry-After: 10\r\n"

/* What is counted. */
enum quota { QUOTA_CONNECTIONS, QUOTA_SUBSCRIPTIONS, QUOTA_TOPICS, QUOTA_KEYS, QUOTAS };

/* For whom. */
enum payer { PAYER_ADDRESS, PAYER_SUBJECT, PAYERS };

struct limit {
  uint32_t most; /* 0: no limit */
  char text[LIMIT_TEXT_BYTES];
  atomic_uint_fast64_t reached; /* times that a client was refused */
};

struct limits {
  struct limit list[QUOTAS][PAYERS];
};

/** Take the limits from the options. */
void limits_init(struct limits *limits, const fluxbp_server_options_t *options);

/** Return whether a refusal is the text of one of these limits. */
bool limits_have_text(const struct limits *limits, const char *text);

/** Write the name of a limit, such as "subscriptions_per_address". */
void limit_name(enum quota quota, enum payer payer, char name[LIMIT_NAME_BYTES]);

#endif
