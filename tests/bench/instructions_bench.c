/* SPDX-License-Identifier: MIT */
/*
 * bench_instructions: a fixed load for instructions.sh, which has callgrind count what one delivery takes in user
 * space: publishing, staging, flushing, the accounts, libuv's and libc's part of the write; what the kernel does is not
 * in it. All that is to be counted happens in the three functions that begin with `measured_`. Clients are in this
 * process, and read in between.
 *
 * Without valgrind it only prints how many deliveries each of those functions makes.
 */
#include "bench.h"
#include "clients.h"
#include "room.h"
#include "sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 128, BURST_MAX = 64 };

typedef struct settings {
  uint64_t rounds;
  uint64_t connections;
  uint64_t bursts;
  uint64_t burst;
} settings_t;

static const char message[MESSAGE_BYTES] = "the same for everybody";

void measured_library(room_t *room, uint64_t burst);
void measured_try_write(room_t *room, uint64_t burst);
void measured_send(const int *fds, size_t count, uint64_t burst);

__attribute__((noinline)) void measured_library(room_t *room, uint64_t burst) {
  room_publish(room, room->topic, message, sizeof message, burst);
  (void) uv_run(&room->loop, UV_RUN_NOWAIT);
}

__attribute__((noinline)) void measured_try_write(room_t *room, uint64_t burst) {
  uv_buf_t buffer = uv_buf_init((char *) (uintptr_t) message, sizeof message);
  for (uint64_t i = 0; i < burst; i++)
    for (size_t j = 0; j < room->count; j++)
      if (uv_try_write(fluxbp_conn_stream(room->conns[j]), &buffer, 1) != MESSAGE_BYTES)
        bench_die("uv_try_write", UV_EAGAIN);
}

__attribute__((noinline)) void measured_send(const int *fds, size_t count, uint64_t burst) {
  for (uint64_t i = 0; i < burst; i++)
    for (size_t j = 0; j < count; j++)
      if (send(fds[j], message, sizeof message, MSG_NOSIGNAL) != MESSAGE_BYTES) bench_die("send", UV_EAGAIN);
}

static void run(const settings_t *settings, room_t *room, const int *fds, const clients_t *clients) {
  uint64_t bytes = settings->connections * settings->burst * MESSAGE_BYTES;
  for (uint64_t i = 0; i < settings->bursts; i++) {
    measured_library(room, settings->burst);
    if (room_metrics(room).queued > 0) bench_die("the kernel refused", UV_EAGAIN);
    clients_receive(clients, bytes);
    measured_try_write(room, settings->burst);
    clients_receive(clients, bytes);
    measured_send(fds, settings->connections, settings->burst);
    clients_receive(clients, bytes);
  }
}

int main(int argc, char **argv) {
  settings_t settings = {.rounds = 1, .connections = 1000, .bursts = 20, .burst = 1};
  const bench_option_t options[] = {
      {"--rounds", "for nothing: they would all be the same", 1, &settings.rounds},
      {"--connections", "of the hub", 4000, &settings.connections},
      {"--bursts", "that are counted", 1000000, &settings.bursts},
      {"--burst", "messages of a burst", BURST_MAX, &settings.burst},
  };
  FILE *json = bench_options(argc, argv, options, sizeof options / sizeof options[0]);
  bench_need_descriptors(2 * settings.connections + 64);

  static room_t room;
  clients_t clients;
  uint16_t port;
  int *fds = bench_alloc(settings.connections, sizeof *fds);
  int listener = sockets_listen(settings.connections, &port);
  clients_prepare(&clients, settings.connections);
  clients_connect(&clients, port, NULL); /* the backlog takes them all */
  sockets_accept(listener, fds, settings.connections);
  room_prepare(&room);
  room.options.slice_us = 60000000; /* all in one iteration, however slow valgrind makes it */
  room_open(&room, settings.connections);
  room_seat(&room, fds, settings.connections);

  run(&settings, &room, fds, &clients);
  (void) printf("%llu\n", (unsigned long long) (settings.connections * settings.bursts * settings.burst));
  if (json != NULL) (void) fclose(json);
  room_close(&room);
  clients_reset(&clients);
  (void) close(listener);
  free(fds);
  return 0;
}
