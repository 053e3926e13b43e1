/* SPDX-License-Identifier: MIT */
/*
 * backbone_outbox: first <= next <= end <= first + capacity, and what is before `first` holds nothing.
 */
#include "backbone_outbox.h"

#include <stdlib.h>
#include <string.h>

static struct outbox_entry *entry_of(struct outbox *outbox, uint64_t number) {
  return &outbox->entries[number % outbox->capacity];
}

int outbox_init(struct outbox *outbox, size_t capacity) {
  *outbox = (struct outbox){.capacity = capacity, .first = 1, .next = 1, .end = 1};
  outbox->entries = calloc(capacity, sizeof outbox->entries[0]);
  return outbox->entries != NULL ? 0 : UV_ENOMEM;
}

void outbox_free(struct outbox *outbox) {
  for (uint64_t number = outbox->first; number < outbox->end; number++) outbox_confirm(outbox, number);
  free(outbox->entries);
  outbox->entries = NULL;
}

int outbox_push(struct outbox *outbox, uint32_t topic, const char *key, fluxbp_msg_t *msg) {
  if (outbox->end - outbox->first == outbox->capacity) return UV_EAGAIN;
  char *copy = key != NULL ? strdup(key) : NULL;
  if (key != NULL && copy == NULL) return UV_ENOMEM;
  fluxbp_msg_ref(msg);
  *entry_of(outbox, outbox->end++) = (struct outbox_entry){.msg = msg, .key = copy, .topic = topic};
  return 0;
}

const struct outbox_entry *outbox_next(struct outbox *outbox, uint64_t *number) {
  while (outbox->next < outbox->end && entry_of(outbox, outbox->next)->msg == NULL) outbox->next++;
  *number = outbox->next;
  return outbox->next < outbox->end ? entry_of(outbox, outbox->next) : NULL;
}

void outbox_sent(struct outbox *outbox) {
  outbox->next++;
}

void outbox_confirm(struct outbox *outbox, uint64_t number) {
  if (number < outbox->first || number >= outbox->end) return;
  struct outbox_entry *entry = entry_of(outbox, number);
  if (entry->msg != NULL) fluxbp_msg_unref(entry->msg);
  free(entry->key);
  *entry = (struct outbox_entry){.msg = NULL};
  while (outbox->first < outbox->end && entry_of(outbox, outbox->first)->msg == NULL) outbox->first++;
  if (outbox->next < outbox->first) outbox->next = outbox->first;
}

void outbox_rewind(struct outbox *outbox) {
  outbox->next = outbox->first;
}

uint64_t outbox_forget_sent(struct outbox *outbox) {
  uint64_t forgotten = 0;
  uint64_t next = outbox->next;
  for (uint64_t number = outbox->first; number < next; number++) {
    forgotten += entry_of(outbox, number)->msg != NULL;
    outbox_confirm(outbox, number);
  }
  return forgotten;
}
