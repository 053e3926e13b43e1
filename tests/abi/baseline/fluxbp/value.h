/* SPDX-License-Identifier: MIT */
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
  FLUXBP_VALUE_BYTES,
  FLUXBP_VALUE_CHOICE,
  FLUXBP_VALUE_SWITCH
} fluxbp_value_kind_t;
typedef struct fluxbp_value_type {
  fluxbp_value_kind_t kind;
  uint64_t min, max;
  const char *const *choices;
} fluxbp_value_type_t;
typedef struct fluxbp_value_place {
  size_t offset, size;
} fluxbp_value_place_t;
#define FLUXBP_VALUE_PLACE(type,member) \
  { offsetof(type, member), sizeof(((type *) 0)->member) }
#define FLUXBP_VALUE_TEXT_BYTES 128
FLUXBP_EXTERN int fluxbp_value_parse(const fluxbp_value_type_t *type, const char *text, uint64_t *value);
FLUXBP_EXTERN void fluxbp_value_format(const fluxbp_value_type_t *type, uint64_t value, char *text, size_t capacity);
FLUXBP_EXTERN void fluxbp_value_rule(const fluxbp_value_type_t *type, char *text, size_t capacity);
FLUXBP_EXTERN uint64_t fluxbp_value_get(const void *base, const fluxbp_value_place_t *place);
FLUXBP_EXTERN void fluxbp_value_set(void *base, const fluxbp_value_place_t *place, uint64_t value);
#ifdef __cplusplus
}
#endif
#endif
