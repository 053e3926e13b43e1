/* SPDX-License-Identifier: MIT */
/*
 * settings: options as texts, for a program that reads them from a command line, a file or a request: the settings of a
 * policy by name, and checks of texts. Their values are those of fluxbp/value.h.
 *
 * Thread: any, for every function here.
 */
#ifndef FLUXBP_SERVER_SETTINGS_H
#define FLUXBP_SERVER_SETTINGS_H

#include "fluxbp/export.h"
#include "fluxbp/policy.h"
#include "fluxbp/value.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A setting of a fluxbp_policy_t, under the name that the HTTP API uses: slots, ring_bytes, high, low … */
typedef struct fluxbp_policy_setting {
  const char *name;
  fluxbp_value_type_t type;
  fluxbp_value_place_t place;
} fluxbp_policy_setting_t;

/** Return the setting of that name, or NULL. */
FLUXBP_EXTERN const fluxbp_policy_setting_t *fluxbp_policy_setting_of(const char *name);

/**
 * Return the least max_bytes of a policy for messages of up to `max_message` bytes. With less, one such message leaves
 * no room for the next one, and a client whose kernel is full loses every second message.
 */
FLUXBP_EXTERN uint64_t fluxbp_policy_least_ring_bytes(uint64_t max_message);

/** The rule of fluxbp_topic_pattern_is_right. */
#define FLUXBP_TOPIC_PATTERN_RULE                                                                                      \
  "a pattern of topics, of A-Z a-z 0-9 . _ : - and * or > in place of a part, such as status.> or user.*.public"

/** Return whether a text may stand in `public_topics`: a pattern (fluxbp/pattern.h) that the name of a topic can
 * match. */
FLUXBP_EXTERN int fluxbp_topic_pattern_is_right(const char *text);

/** The rule of fluxbp_network_is_right. */
#define FLUXBP_NETWORK_RULE                                                                                            \
  "an address, or the beginning of some and its length in bits, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8"

/** Return whether a text may stand in `proxies` of a server's options. */
FLUXBP_EXTERN int fluxbp_network_is_right(const char *text);

/** Return whether an address, with or without its port, belongs to a network. A wrong text belongs to none. */
FLUXBP_EXTERN int fluxbp_network_has(const char *network, const char *address);

/** Return whether a text may stand in `allow_hosts`. */
FLUXBP_EXTERN int fluxbp_host_is_right(const char *text);

/** Return whether a text may stand in `allow_origins`. */
FLUXBP_EXTERN int fluxbp_origin_is_right(const char *text);

/** The rule of fluxbp_authorize_url_is_right. */
#define FLUXBP_AUTHORIZE_URL_RULE                                                                                      \
  "a URL that begins with http:// or https://, and names no user, such as http://127.0.0.1:8080/who"

/** Return whether a text may be `authorize_url`. */
FLUXBP_EXTERN int fluxbp_authorize_url_is_right(const char *text);

#ifdef __cplusplus
}
#endif

#endif
