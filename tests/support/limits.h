/* SPDX-License-Identifier: MIT */
/*
 * limits: a walk over the limits of every field of an options struct. For each field the values around its limits are
 * tried one at a time, with all others as they are by default: those in the range must be taken, all others refused.
 */
#ifndef TESTS_SUPPORT_LIMITS_H
#define TESTS_SUPPORT_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct limits_field {
  const char *name;
  size_t offset, size;
  bool is_number; /* else a pointer, a struct or the size: nothing to walk over */
  bool is_signed; /* then min and max are int64_t */
  uint64_t min, max;
} limits_field_t;

#define LIMITS_NUMBER(type, member, least, most)                                                                       \
  { #member, offsetof(type, member), sizeof(((type *) 0)->member), true, false, (least), (most) }
#define LIMITS_SIGNED(type, member, least, most)                                                                       \
  {                                                                                                                    \
#member, offsetof(type, member), sizeof(((type *) 0)->member), true, true, (uint64_t) (int64_t) (least),           \
        (uint64_t) (int64_t) (most)                                                                                    \
  }
#define LIMITS_OTHER(type, member)                                                                                     \
  { #member, offsetof(type, member), sizeof(((type *) 0)->member), false, false, 0, 0 }

typedef struct limits_struct {
  const char *name;   /* "fluxbp_policy" */
  const char *header; /* "policy.h" */
  size_t size;        /* at most LIMITS_STRUCT_BYTES */
  const limits_field_t *fields;
  size_t count;
  void (*init)(void *options);
  /* Make the thing with these options, and use it if that worked. Returns what making it did. */
  int (*make)(const void *options);
} limits_struct_t;

#define LIMITS_STRUCT_BYTES 256

/* Fail unless the fields are those that the header has, and each is taken within its limits and refused beyond. */
void limits_walk(const limits_struct_t *walked);

#endif
