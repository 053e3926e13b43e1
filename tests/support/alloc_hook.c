/* SPDX-License-Identifier: MIT */
/*
 * alloc_hook: malloc with a header that remembers the size. A test can't go on with a broken heap, so what is wrong
 * aborts.
 */
#include "support/alloc_hook.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH = 0xa5, GONE = 0xdd };

typedef struct header {
  alignas(max_align_t) alloc_hook_t *owner;
  size_t size;
} header_t;

static void *hook_alloc(size_t size, void *arg) {
  alloc_hook_t *hook = arg;
  hook->allocs++;
  if (hook->fail_from != 0 && hook->allocs >= hook->fail_from && hook->allocs <= hook->fail_to) {
    hook->failures++;
    return NULL;
  }

  header_t *header = malloc(sizeof *header + size);
  if (header == NULL) return NULL;
  header->owner = hook;
  header->size = size;
  hook->live_blocks++;
  hook->live_bytes += size;
  if (hook->live_bytes > hook->peak_bytes) hook->peak_bytes = hook->live_bytes;
  return memset(header + 1, FRESH, size);
}

static void hook_free(void *memory, size_t size, void *arg) {
  alloc_hook_t *hook = arg;
  header_t *header = (header_t *) memory - 1;
  if (header->owner != hook || header->size != size) {
    (void) fprintf(stderr, "alloc_hook: %p was freed with %zu bytes, but isn't such a block\n", memory, size);
    abort();
  }
  hook->frees++;
  hook->live_blocks--;
  hook->live_bytes -= size;
  memset(header, GONE, sizeof *header + size);
  free(header);
}

void alloc_hook_init(alloc_hook_t *hook) {
  memset(hook, 0, sizeof *hook);
}

fluxbp_allocator_t alloc_hook_allocator(alloc_hook_t *hook) {
  return (fluxbp_allocator_t){.alloc = hook_alloc, .free = hook_free, .arg = hook};
}

void alloc_hook_fail_once(alloc_hook_t *hook, uint64_t nth) {
  hook->fail_from = hook->allocs + nth;
  hook->fail_to = hook->fail_from;
}

void alloc_hook_fail_from(alloc_hook_t *hook, uint64_t nth) {
  hook->fail_from = hook->allocs + nth;
  hook->fail_to = UINT64_MAX;
}

void alloc_hook_heal(alloc_hook_t *hook) {
  hook->fail_from = 0;
}
