/* SPDX-License-Identifier: MIT */
/*
 * evictions: a note is made where the client is, and posted to the server's loop, which numbers it.
 *
 * The watch topic keeps the newest of each key, and the keys of evictions go round: who begins to watch gets the last
 * 256.
 */
#include "evictions.h"

#include "describe.h"
#include "server/log.h"
#include "server/session/session.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct note {
  fluxbp_server_t *server;
  double time;
  uint64_t id, cell;
  bool has_cell;
  fluxbp_eviction_t record;
  const char *reason;
  const char *protocol;
  char by[FLUXBP_ACTOR_TEXT_BYTES]; /* an administrator; empty for a verdict */
  char name[FLUXBP_SESSION_NAME_BYTES + 1];
  char peer[FLUXBP_ADDRESS_TEXT_BYTES];
};

struct evictions {
  fluxbp_server_t *server;
  uint64_t count;     /* so far; the newest is at (count - 1) % EVICTIONS_KEPT */
  uint64_t published; /* of them */
  struct note notes[EVICTIONS_KEPT];
};

struct evictions *evictions_create(fluxbp_server_t *server) {
  struct evictions *evictions = calloc(1, sizeof *evictions);
  if (evictions != NULL) evictions->server = server;
  return evictions;
}

void evictions_free(struct evictions *evictions) {
  free(evictions);
}

static void log_note(const char *event, const struct note *note) {
  const fluxbp_eviction_t *record = &note->record;
  const fluxbp_log_field_t fields[] = {
      log_number("conn", note->id),
      log_word("peer", note->peer),
      log_word("protocol", note->protocol),
      log_word("reason", note->reason),
      log_phrase("cause", fluxbp_cause_name(record->cause)),
      log_number("since_progress_ms", record->since_progress_ms),
      log_number("backpressured_ms", record->backpressured_ms),
      log_number("oldest_ms", record->oldest_ms),
      log_number("queued", record->queued),
      log_number("queued_bytes", record->queued_bytes),
      log_number("dropped", record->dropped),
      log_number("kernel_bytes", record->kernel_bytes),
      log_number("last_id", record->last_id),
      log_word("by", note->by), /* of an administrator's act alone */
  };
  size_t count = sizeof fields / sizeof fields[0];
  log_fields(&note->server->options, FLUXBP_LOG_INFO, event, fields, note->by[0] != '\0' ? count : count - 1);
}

/* On the server's loop. */
static void keep_record(fluxbp_hub_t *control, void *arg) {
  struct note *note = arg;
  struct evictions *evictions = note->server->evictions;
  (void) control;
  evictions->notes[evictions->count++ % EVICTIONS_KEPT] = *note;
  free(note);
  evictions_publish(evictions);
}

static void note_it(fluxbp_session_t *session, const fluxbp_eviction_t *record, const char *reason, const char *by,
                    const char *event) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct note *note = calloc(1, sizeof *note);
  if (note == NULL) return;
  note->server = server;
  note->time = (double) now.tv_sec + (double) now.tv_nsec / 1e9;
  note->id = fluxbp_session_id(session);
  note->cell = session_cell(session);
  note->has_cell = session->cell != CELL_NONE;
  note->record = *record;
  note->reason = reason;
  (void) snprintf(note->by, sizeof note->by, "%s", by);
  note->protocol = session_protocol(session)->name;
  const char *name = fluxbp_session_name(session);
  if (name != NULL) memcpy(note->name, name, strlen(name));
  fluxbp_session_address(session, note->peer);
  log_note(event, note);
  if (fluxbp_hub_post(server->control, keep_record, note) != 0) free(note);
}

void evictions_note(fluxbp_session_t *session, const fluxbp_eviction_t *record) {
  note_it(session, record, fluxbp_evict_reason_name(record->reason), "", record->is_shadow ? "would_evict" : "evicted");
}

void evictions_note_admin(fluxbp_session_t *session, const char *by) {
  fluxbp_eviction_t record;
  fluxbp_conn_get_evidence(fluxbp_session_conn(session), &record);
  atomic_fetch_add(&fluxbp_session_server(session)->admin_evictions, 1);
  note_it(session, &record, EVICTION_ADMIN, by, "evicted");
}

static json_t *describe(const struct note *note, uint64_t n) {
  const fluxbp_eviction_t *record = &note->record;
  json_t *cell = note->has_cell ? json_integer((json_int_t) note->cell) : json_null();
  json_t *by = note->by[0] != '\0' ? json_of_bytes(note->by, strlen(note->by)) : json_null();
  return json_pack("{sI sf sI so ss ss so ss so ss sI sI sI sI sI sI sI sI sI sb}", "n", (json_int_t) n, "time",
                   note->time, "id", (json_int_t) note->id, "cell", cell, "peer", note->peer, "protocol",
                   note->protocol, "name", json_of_bytes(note->name, strlen(note->name)), "reason", note->reason, "by",
                   by, "cause", fluxbp_cause_name(record->cause), "since_progress_ms",
                   (json_int_t) record->since_progress_ms, "backpressured_ms", (json_int_t) record->backpressured_ms,
                   "oldest_ms", (json_int_t) record->oldest_ms, "queued", (json_int_t) record->queued, "queued_bytes",
                   (json_int_t) record->queued_bytes, "dropped", (json_int_t) record->dropped, "unanswered_ms",
                   (json_int_t) record->unanswered_ms, "kernel_bytes", (json_int_t) record->kernel_bytes, "last_id",
                   (json_int_t) record->last_id, "is_shadow", record->is_shadow);
}

static uint64_t oldest(const struct evictions *evictions) {
  return evictions->count > EVICTIONS_KEPT ? evictions->count - EVICTIONS_KEPT : 0;
}

json_t *evictions_list(const struct evictions *evictions, size_t limit) {
  json_t *list = json_array();
  for (uint64_t n = evictions->count; n > oldest(evictions) && json_array_size(list) < limit; n--)
    json_array_append_new(list, describe(&evictions->notes[(n - 1) % EVICTIONS_KEPT], n));
  return list;
}

void evictions_publish(struct evictions *evictions) {
  if (evictions->published < oldest(evictions)) evictions->published = oldest(evictions);
  while (evictions->published < evictions->count) {
    uint64_t n = evictions->published + 1;
    json_t *event = describe(&evictions->notes[(n - 1) % EVICTIONS_KEPT], n);
    bool is_out = watch_publish(evictions->server, EVICTIONS_FIRST_KEY + n % EVICTIONS_KEPT, "evicted", event);
    json_decref(event);
    if (!is_out) return; /* the next look goes on with it */
    evictions->published = n;
  }
}
