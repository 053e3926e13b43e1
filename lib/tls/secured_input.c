/* SPDX-License-Identifier: MIT */
/*
 * secured_input: encrypted bytes that wait: a part of a record, or records for which the connection doesn't have its
 * turn. They are in the pool, no more than has come or than the record is long, and those of all connections together
 * in a part of the budget, so that unfinished records leave room for messages. When that part is used up, the
 * connection goes whose record has been unfinished for longest, so that others can go on. Connections whose handshake
 * hasn't ended have a part of their own: they may be anybody's.
 *
 * A record has a deadline from its first byte to its last. The time in which the connection isn't read doesn't count.
 * The program has a deadline for the handshake.
 */
#include "handshakes.h"
#include "secured.h"

#include <string.h>

/* How many are looked at for one that may go. */
enum { INPUT_BYTES_MIN = 256, LOOKS = 16 };

/* Of input_bytes, the part for connections whose handshake hasn't ended. */
enum { EARLY_PART = 4 };

static uint64_t *counter_of(const struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  return secured->is_early ? &transport->early_bytes : &transport->input_bytes;
}

char *secured_take_input(struct secured *secured, size_t *length, size_t *capacity) {
  char *input = secured->input;
  *length = secured->input_length;
  *capacity = secured->input_capacity;
  *counter_of(secured) -= secured->input_capacity;
  secured->input = NULL;
  secured->input_length = secured->input_capacity = 0;
  return input;
}

void secured_open_input(struct secured *secured) {
  *counter_of(secured) -= secured->input_capacity;
  secured->is_early = false;
  *counter_of(secured) += secured->input_capacity;
}

/* Return how many bytes to allocate for `length`: twice as many each time, but no more than the record at the front
 * has, whose length is `record_bytes` if it is known. */
static size_t capacity_for(const struct secured *secured, size_t length, ssize_t record_bytes) {
  size_t capacity = secured->input_capacity > 0 ? secured->input_capacity : INPUT_BYTES_MIN;
  if (record_bytes > 0 && (size_t) record_bytes < length) return length;
  while (capacity < length) capacity *= 2;
  return record_bytes > 0 && (size_t) record_bytes < capacity ? (size_t) record_bytes : capacity;
}

/* Return the first connection in a queue, other than this one, that has something and may go; or NULL. */
static struct secured *find_oldest(const struct queue *queue, const struct secured *secured) {
  struct queue_link *link = queue_first(queue);
  for (int i = 0; i < LOOKS && link != NULL && link != &queue->ends; i++, link = link->next) {
    struct secured *other = QUEUE_ITEM(link, struct secured, silent);
    if (other != secured && !other->is_taking && other->input_length > 0 && !other->has_ended) return other;
  }
  return NULL;
}

static struct secured *find_one_to_go(const struct secured *secured) {
  const fluxbp_tls_transport_t *transport = secured_transport(secured);
  if (!secured->is_early) return find_oldest(&transport->unfinished, secured);
  struct secured *oldest = find_oldest(&transport->early, secured);
  return oldest != NULL ? oldest : find_oldest(&transport->silent, secured);
}

/* Have others go until there is room for so many more bytes. @return false: there is none */
static bool clear_room(const struct secured *secured, size_t bytes) {
  const fluxbp_tls_transport_t *transport = secured_transport(secured);
  uint64_t limit = transport->options.input_bytes / (secured->is_early ? EARLY_PART : 1);
  while (*counter_of(secured) + bytes > limit) {
    struct secured *oldest = find_one_to_go(secured);
    if (oldest == NULL) return false;
    handshakes_leave(oldest);
    secured_drop(oldest, oldest->input_length);
    secured_end_reading(oldest, UV_ENOBUFS); /* the loop closes it */
  }
  return true;
}

static int make_room(struct secured *secured, size_t length, ssize_t record_bytes) {
  void *memory;
  size_t old_length, old_capacity;
  if (length <= secured->input_capacity) return 0;
  if (secured->input == NULL) secured->is_early = secured->phase < SECURED_OPEN;
  size_t capacity = capacity_for(secured, length, record_bytes);
  if (!clear_room(secured, capacity - secured->input_capacity)) return UV_ENOBUFS;
  int err = fluxbp_transport_alloc(secured->conn, capacity, &memory);
  if (err != 0) return err;
  char *old = secured_take_input(secured, &old_length, &old_capacity);
  if (old_length > 0) memcpy(memory, old, old_length);
  fluxbp_transport_free(secured->conn, old, old_capacity);
  secured->input = memory;
  secured->input_length = (uint32_t) old_length;
  secured->input_capacity = (uint32_t) capacity;
  *counter_of(secured) += capacity;
  return 0;
}

int secured_keep(struct secured *secured, const char *data, size_t length) {
  if (length == 0) return 0;
  bool is_empty = secured->input_length == 0;
  ssize_t record_bytes =
      fluxbp__tls_record_bytes(is_empty ? data : secured->input, is_empty ? length : secured->input_length);
  int err = make_room(secured, secured->input_length + length, record_bytes);
  if (err != 0) return err;
  memcpy(secured->input + secured->input_length, data, length);
  secured->input_length += (uint32_t) length;
  bool waits = secured->phase == SECURED_AWAITED && !queue_is_linked(&secured->silent);
  if (waits) queue_append(&secured_transport(secured)->early, &secured->silent);
  return 0;
}

void secured_drop(struct secured *secured, size_t length) {
  size_t left, capacity;
  secured->input_length -= (uint32_t) length;
  if (secured->input_length > 0) {
    memmove(secured->input, secured->input + length, secured->input_length);
    return;
  }
  char *input = secured_take_input(secured, &left, &capacity);
  fluxbp_transport_free(secured->conn, input, capacity);
}

bool secured_has_record(const struct secured *secured) {
  ssize_t bytes = fluxbp__tls_record_bytes(secured->input, secured->input_length);
  return bytes < 0 || (bytes > 0 && (size_t) bytes <= secured->input_length);
}

/* Deadlines. */

static void note_begun(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  queue_remove(&secured->silent);
  queue_append(&transport->unfinished, &secured->silent);
  secured->stepped_ms = uv_now(fluxbp_hub_loop(transport->hub));
}

/* The first record that is due, or NULL; then `*wait_ms` gets the time until the next one is, 0: there is none. */
static struct secured *first_due(const fluxbp_tls_transport_t *transport, uint64_t now_ms, uint64_t *wait_ms) {
  struct queue_link *first = queue_first(&transport->unfinished);
  *wait_ms = 0;
  if (first == NULL) return NULL;
  struct secured *secured = QUEUE_ITEM(first, struct secured, silent);
  uint64_t due_ms = secured->stepped_ms + transport->options.record_ms;
  if (due_ms <= now_ms) return secured;
  *wait_ms = due_ms - now_ms;
  return NULL;
}

static void on_record_timer(uv_timer_t *timer) {
  fluxbp_tls_transport_t *transport = timer->data;
  uint64_t now_ms = uv_now(timer->loop), wait_ms;
  struct secured *secured;
  while ((secured = first_due(transport, now_ms, &wait_ms)) != NULL) {
    bool is_read = secured_may_hand_over(secured);
    queue_remove(&secured->silent);
    if (is_read)
      secured_end_reading(secured, UV_ETIMEDOUT);
    else
      note_begun(secured); /* an answer of OpenSSL's waits: what is missing may have come */
    if (transport->is_closing) return;
  }
  if (wait_ms > 0) (void) uv_timer_start(timer, on_record_timer, wait_ms, 0);
}

void secured_watch_record(struct secured *secured, bool has_moved) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  uint32_t record_ms = transport->options.record_ms;
  if (secured->phase != SECURED_OPEN || transport->is_closing) return;
  if (secured->input_length == 0 || secured->has_ended || !secured->is_reading) {
    queue_remove(&secured->silent);
    return;
  }
  if (has_moved || !queue_is_linked(&secured->silent)) note_begun(secured);
  if (record_ms > 0 && !uv_is_active((uv_handle_t *) &transport->record_timer))
    (void) uv_timer_start(&transport->record_timer, on_record_timer, record_ms, 0);
}
