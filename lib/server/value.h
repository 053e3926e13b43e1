/* SPDX-License-Identifier: MIT */
/*
 * value: one setting's value, between the text that a person writes and the field of a struct that holds it. What a
 * setting may be is said once, by its type; reading, refusing and writing follow it. Knows no setting by name.
 */
#ifndef FLUXBP_SERVER_VALUE_H
#define FLUXBP_SERVER_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)
#define GIB ((uint64_t) 1 << 30)

enum value_kind {
  VALUE_NUMBER,
  VALUE_BYTES,  /* with a suffix K, M or G if one likes */
  VALUE_CHOICE, /* one of some names; the value is its place among them */
  VALUE_SWITCH  /* on or off */
};

struct value_type {
  enum value_kind kind;
  uint64_t min, max;          /* of a number, or bytes */
  const char *const *choices; /* ends with NULL */
};

/* Where in a struct the value is: a bool, an enum or an unsigned integer. */
struct value_place {
  size_t offset, size;
};

#define VALUE_PLACE(type, member)                                                                                      \
  { offsetof(type, member), sizeof(((type *) 0)->member) }

/* The longest text of a value or a rule, with its zero. */
#define VALUE_TEXT_BYTES 128

/** @return whether the text is a value of that type */
bool value_parse(const struct value_type *type, const char *text, uint64_t *value);

/** Write it as value_parse reads it, in the shortest form. */
void value_format(const struct value_type *type, uint64_t value, char *text, size_t capacity);

/** What the text has to be, for a message "it must be …". */
void value_rule(const struct value_type *type, char *text, size_t capacity);

uint64_t value_get(const void *base, struct value_place place);
void value_set(void *base, struct value_place place, uint64_t value);

#endif
