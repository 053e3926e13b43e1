/* SPDX-License-Identifier: MIT */
/*
 * value: an option's value, between the text that a person writes and the field of a struct that holds it. A type says
 * once what the value may be; reading, refusing and writing follow it.
 *
 * Thread: any, for every function here.
 */
#ifndef FLUXBP_VALUE_H
#define FLUXBP_VALUE_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fluxbp_value_kind {
  FLUXBP_VALUE_NUMBER,
  FLUXBP_VALUE_BYTES,  /* a number, which may have a suffix K, M or G */
  FLUXBP_VALUE_CHOICE, /* one of some names; the value is its place among them */
  FLUXBP_VALUE_SWITCH  /* on or off */
} fluxbp_value_kind_t;

/** The values that a setting may have. */
typedef struct fluxbp_value_type {
  fluxbp_value_kind_t kind;
  uint64_t min, max;          /* of a number, or bytes */
  const char *const *choices; /* ends with NULL */
} fluxbp_value_type_t;

/** The place of a value in a struct: of a bool, an enum or an unsigned integer. */
typedef struct fluxbp_value_place {
  size_t offset, size;
} fluxbp_value_place_t;

#define FLUXBP_VALUE_PLACE(type, member)                                                                               \
  { offsetof(type, member), sizeof(((type *) 0)->member) }

/** Room for the text of any value or rule, with the NUL. */
#define FLUXBP_VALUE_TEXT_BYTES 128

/** Read a value. @return whether the text is a value of that type */
FLUXBP_EXTERN int fluxbp_value_parse(const fluxbp_value_type_t *type, const char *text, uint64_t *value);

/** Write a value in the shortest form that fluxbp_value_parse reads. */
FLUXBP_EXTERN void fluxbp_value_format(const fluxbp_value_type_t *type, uint64_t value, char *text, size_t capacity);

/** Write the rule for texts of a type, for a message "it must be …". */
FLUXBP_EXTERN void fluxbp_value_rule(const fluxbp_value_type_t *type, char *text, size_t capacity);

/** Return the value at its place in the struct at `base`. */
FLUXBP_EXTERN uint64_t fluxbp_value_get(const void *base, const fluxbp_value_place_t *place);

/** Set the value at its place in the struct at `base`. */
FLUXBP_EXTERN void fluxbp_value_set(void *base, const fluxbp_value_place_t *place, uint64_t value);

#ifdef __cplusplus
}
#endif

#endif
