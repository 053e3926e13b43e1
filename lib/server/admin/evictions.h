/* SPDX-License-Identifier: MIT */
/*
 * evictions: who was evicted, and why: a line in the log, a note for administrators, and an event of the watch stream.
 * The last 256 are kept, on the server's loop.
 */
#ifndef FLUXBP_SERVER_EVICTIONS_H
#define FLUXBP_SERVER_EVICTIONS_H

#include <fluxbp/fluxbp.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define EVICTIONS_KEPT 256

/* Keys of the watch topic; evictions have the 256 behind these. */
enum { WATCH_KEY_SNAPSHOT, WATCH_KEY_SLOW, EVICTIONS_FIRST_KEY };

typedef struct fluxbp_session fluxbp_session_t;
typedef struct fluxbp_server fluxbp_server_t;
struct evictions;

/** The reason of what an administrator has closed. */
#define EVICTION_ADMIN "admin"

/** Note a verdict of the library's, on the client's thread. */
void evictions_note(fluxbp_session_t *session, const fluxbp_eviction_t *record);

/** Note that an administrator has closed it; `by` as fluxbp_session_actor names the administrator. */
void evictions_note_admin(fluxbp_session_t *session, const char *by);

/** Make the list; it belongs to the server's loop. NULL: out of memory. */
struct evictions *evictions_create(fluxbp_server_t *server);
void evictions_free(struct evictions *evictions);

/** The newest first, at most `limit`. @return a new array, or NULL: out of memory */
json_t *evictions_list(const struct evictions *evictions, size_t limit);

/** Publish those on the watch topic that it had no room for so far. */
void evictions_publish(struct evictions *evictions);

#endif
