/* SPDX-License-Identifier: MIT */
/*
 * policy_text: the settings of a policy by name, as text or as numbers; the same for the command line, the config file
 * and the HTTP API. The names are those of the API (docs/protocol.md). One table says what there is.
 *
 * To change several at once, change a copy, and take it when policy_check has nothing against it.
 */
#ifndef FLUXBP_SERVER_POLICY_TEXT_H
#define FLUXBP_SERVER_POLICY_TEXT_H

#include <fluxbp/fluxbp.h>
#include <fluxbp/server/settings.h>

#include <stdbool.h>

#define POLICY_SETTINGS 12
extern const fluxbp_policy_setting_t policy_settings[POLICY_SETTINGS];

/**
 * Set one setting by name. Switches are on and off, or true and false; rules drop-newest, drop-oldest and evict; bytes
 * may have a suffix K, M or G.
 *
 * @return whether it was set; if not, `problem` says what would be right, for the user
 */
bool policy_set(fluxbp_policy_t *policy, const char *name, const char *text, char *problem, size_t capacity);

/** The value of a setting; of a rule, its place in type.choices; of a switch, 0 or 1. */
uint64_t policy_get(const fluxbp_policy_t *policy, const fluxbp_policy_setting_t *setting);

/* What of the server's other options a policy has to go together with, in bytes. */
struct policy_surroundings {
  uint64_t max_message, budget;
};

/** Whether settings that are right each for itself go together, and with `surroundings`; if not, `problem` says what
 * would be right. */
bool policy_check(const fluxbp_policy_t *policy, const struct policy_surroundings *surroundings, char *problem,
                  size_t capacity);

#endif
