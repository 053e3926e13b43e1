/* SPDX-License-Identifier: MIT */
/*
 * policy_text: the settings of a policy by name, as text or as numbers; the same for the command line, the config file
 * and the HTTP API. The names are those of the API (docs/protocol.md). One table says what there is.
 *
 * To change several at once, change a copy, and take it when policy_check has nothing against it.
 */
#ifndef FLUXBP_SERVER_POLICY_TEXT_H
#define FLUXBP_SERVER_POLICY_TEXT_H

#include "server/value.h"

#include <fluxbp/fluxbp.h>

struct policy_setting {
  const char *name;
  struct value_type type;
  struct value_place place; /* in a fluxbp_policy_t */
};

#define POLICY_SETTINGS 12
extern const struct policy_setting policy_settings[POLICY_SETTINGS];

/** @return the setting of that name, or NULL */
const struct policy_setting *policy_setting_of(const char *name);

/**
 * Set one setting by name. Switches are on and off, or true and false; rules drop-newest, drop-oldest and evict; bytes
 * may have a suffix K, M or G.
 *
 * @return whether it was set; if not, `problem` says what would be right, for the user
 */
bool policy_set(fluxbp_policy_t *policy, const char *name, const char *text, char *problem, size_t capacity);

/** The value of a setting; of a rule, its place in type.choices; of a switch, 0 or 1. */
uint64_t policy_get(const fluxbp_policy_t *policy, const struct policy_setting *setting);

/** Write the value of a setting as policy_set reads it; VALUE_TEXT_BYTES are enough. */
void policy_format(const fluxbp_policy_t *policy, const struct policy_setting *setting, char *text, size_t capacity);

/* What of the server's other options a policy has to go together with, in bytes. */
struct policy_surroundings {
  uint64_t max_message, budget;
};

/** The fewest bytes that rings need for messages of up to `max_message`: with less room one such message leaves none for
 * the next, and every second one is lost for each client that the kernel makes wait. */
uint64_t policy_least_ring_bytes(uint64_t max_message);

/** Whether settings that are right each for itself go together, and with `surroundings`; if not, `problem` says what would
 * be right. */
bool policy_check(const fluxbp_policy_t *policy, const struct policy_surroundings *surroundings, char *problem,
                  size_t capacity);

#endif
