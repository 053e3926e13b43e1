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
  outbox_give_up(outbox, NULL);
  free(outbox->entries);
  outbox->entries = NULL;
}

/* Both texts in one piece of memory, which begins with the topic's. */
static int copy_texts(struct outbox_entry *entry, const char *topic, const char *key) {
  size_t topic_bytes = strlen(topic) + 1;
  size_t key_bytes = key != NULL ? strlen(key) + 1 : 0;
  entry->topic = malloc(topic_bytes + key_bytes);
  if (entry->topic == NULL) return UV_ENOMEM;
  memcpy(entry->topic, topic, topic_bytes);
  if (key == NULL) return 0;
  memcpy(entry->topic + topic_bytes, key, key_bytes);
  entry->key = entry->topic + topic_bytes;
  return 0;
}

int outbox_push(struct outbox *outbox, const char *topic, const char *key, fluxbp_msg_t *msg, struct waiter *waiter) {
  struct outbox_entry entry = {.msg = msg, .waiter = waiter};
  if (outbox->end - outbox->first == outbox->capacity) return UV_EAGAIN;
  int err = copy_texts(&entry, topic, key);
  if (err != 0) return err;
  fluxbp_msg_ref(msg);
  *entry_of(outbox, outbox->end++) = entry;
  return 0;
}

const struct outbox_entry *outbox_next(struct outbox *outbox, uint64_t *number) {
  while (outbox->next < outbox->end && entry_of(outbox, outbox->next)->msg == NULL) outbox->next++;
  *number = outbox->next;
  return outbox->next < outbox->end ? entry_of(outbox, outbox->next) : NULL;
}

void outbox_sent(struct outbox *outbox, uint64_t newest) {
  struct outbox_entry *entry = entry_of(outbox, outbox->next++);
  if (!entry->was_sent) entry->above = newest;
  entry->was_sent = true;
}

bool outbox_believes(struct outbox *outbox, uint64_t number, uint64_t id) {
  if (number < outbox->first || number >= outbox->end) return true;
  struct outbox_entry *entry = entry_of(outbox, number);
  bool is_likely = id > entry->above;
  entry->above = 0;
  return is_likely;
}

/* @return who waits for it, or NULL */
static struct waiter *release_waiter(struct outbox *outbox, uint64_t number) {
  if (number < outbox->first || number >= outbox->end) return NULL;
  struct outbox_entry *entry = entry_of(outbox, number);
  struct waiter *waiter = entry->waiter;
  if (entry->msg != NULL) fluxbp_msg_unref(entry->msg);
  free(entry->topic);
  *entry = (struct outbox_entry){.msg = NULL};
  while (outbox->first < outbox->end && entry_of(outbox, outbox->first)->msg == NULL) outbox->first++;
  if (outbox->next < outbox->first) outbox->next = outbox->first;
  return waiter;
}

void outbox_confirm(struct outbox *outbox, uint64_t number, uint64_t id) {
  struct waiter *waiter = release_waiter(outbox, number);
  if (waiter == NULL) return;
  waiter->err = 0;
  waiter->id = id;
  waiters_append(&outbox->answered, waiter);
}

void outbox_refuse(struct outbox *outbox, uint64_t number, int err, const char *problem) {
  struct waiter *waiter = release_waiter(outbox, number);
  if (waiter == NULL) return;
  waiter->err = err;
  waiter->problem = problem != NULL ? strdup(problem) : NULL;
  waiters_append(&outbox->answered, waiter);
}

void outbox_unsend(struct outbox *outbox, uint64_t number) {
  if (number < outbox->next) outbox->next = number < outbox->first ? outbox->first : number;
}

void outbox_rewind(struct outbox *outbox) {
  outbox->next = outbox->first;
}

static uint64_t forget_before(struct outbox *outbox, uint64_t end, const char *problem) {
  uint64_t forgotten = 0;
  for (uint64_t number = outbox->first; number < end; number++) {
    forgotten += entry_of(outbox, number)->msg != NULL;
    outbox_refuse(outbox, number, UV_ECONNABORTED, problem);
  }
  return forgotten;
}

uint64_t outbox_forget_sent(struct outbox *outbox, const char *problem) {
  return forget_before(outbox, outbox->next, problem);
}

void outbox_give_up(struct outbox *outbox, const char *problem) {
  (void) forget_before(outbox, outbox->end, problem);
}
