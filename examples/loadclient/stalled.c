/* SPDX-License-Identifier: MIT */
/*
 * stalled: a look costs one poll and an ioctl for each client. What grew since the look before is taken to have grown
 * just now, so a time from stall to eviction can be too short by one interval of the looks, never too long by more than
 * that.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "worker.h"

#include <stdlib.h>
#include <sys/ioctl.h>

#ifdef POLLRDHUP
static const short closed_by_peer = POLLRDHUP; /* a FIN, without having to read up to it */
#else
static const short closed_by_peer = 0;
#endif

bool stalled_init(struct stalled *stalled, uint32_t capacity) {
  size_t room = (size_t) capacity + 1; /* never none */
  *stalled = (struct stalled){.sockets = calloc(room, sizeof *stalled->sockets),
                              .entries = calloc(room, sizeof *stalled->entries)};
  return stalled->sockets != NULL && stalled->entries != NULL;
}

void stalled_free(struct stalled *stalled) {
  free(stalled->sockets);
  free(stalled->entries);
}

void stalled_add(struct stalled *stalled, struct client *client, uint64_t now_ns) {
  uv_os_fd_t fd;
  if (fluxbp_client_fileno(client->stream, &fd) != 0) return;
  stalled->sockets[stalled->count] = (struct pollfd){.fd = fd, .events = closed_by_peer};
  stalled->entries[stalled->count] = (struct stalled_entry){.client = client, .grew_ns = now_ns};
  stalled->count++;
}

static void look_at_unread(struct stalled_entry *entry, int fd, uint64_t now_ns) {
  int unread;
  if (ioctl(fd, FIONREAD, &unread) != 0 || unread <= entry->unread_bytes) return;
  entry->client->results->bytes += (uint64_t) (unread - entry->unread_bytes);
  entry->unread_bytes = unread;
  entry->grew_ns = now_ns;
}

static void evict(struct stalled_entry *entry, uint64_t now_ns) {
  struct class_results *results = entry->client->results;
  results->evicted++;
  if (entry->client->worker->process->unfinished == 0) entry->client->worker->process->progress_ns = now_ns;
  histogram_record(&results->eviction, now_ns - entry->grew_ns);
  client_finish(entry->client, CLIENT_NO_FAILURE);
}

void stalled_look(struct stalled *stalled, uint64_t now_ns) {
  if (stalled->count == 0) return;
  int found = poll(stalled->sockets, stalled->count, 0);
  for (nfds_t i = stalled->count; i-- > 0;) { /* backwards, as the last one takes the place of a removed one */
    if (found <= 0 || stalled->sockets[i].revents == 0) {
      look_at_unread(&stalled->entries[i], stalled->sockets[i].fd, now_ns);
      continue;
    }
    evict(&stalled->entries[i], now_ns);
    stalled->count--;
    stalled->sockets[i] = stalled->sockets[stalled->count];
    stalled->entries[i] = stalled->entries[stalled->count];
  }
}
