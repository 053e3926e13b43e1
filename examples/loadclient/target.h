/* SPDX-License-Identifier: MIT */
/*
 * target: where clients connect to or messages are published: the URLs of fluxbp/client.h, and besides
 *
 *   nats://HOST:PORT[/SUBJECT]    publishing to a backbone
 *   -                             publishing to standard output
 */
#ifndef LOADCLIENT_TARGET_H
#define LOADCLIENT_TARGET_H

#include <fluxbp/client.h>
#include <stdbool.h>

enum target_kind { TARGET_URL, TARGET_NATS, TARGET_STDOUT };

struct target {
  const char *text; /* as given */
  enum target_kind kind;
  fluxbp_client_protocol_t protocol; /* of a URL; FLUXBP_CLIENT_LINES for NATS */
  struct sockaddr_storage address;
  const char *path; /* with the query; "" where there is none */
};

/** Read a URL; a name is looked up. `text` has to stay. @return NULL, or what is wrong with it */
const char *target_parse(struct target *target, const char *text);

/** Whether clients can get messages there, or messages be published. */
bool target_is_feed(const struct target *target);
bool target_takes_messages(const struct target *target);

static inline bool target_is_text(const struct target *target) {
  return target->protocol == FLUXBP_CLIENT_LINES || target->protocol == FLUXBP_CLIENT_LENGTH;
}

#endif
