/* SPDX-License-Identifier: MIT */
/*
 * value: one setting's value, between the text that a person writes and the field of a struct that holds it. What a
 * setting may be is said once, by its type; reading, refusing and writing follow it. Knows no setting by name.
 */
#ifndef FLUXBP_LIB_SERVER_VALUE_H
#define FLUXBP_LIB_SERVER_VALUE_H

#include <fluxbp/server/settings.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)

#endif
