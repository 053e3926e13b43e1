/* SPDX-License-Identifier: MIT */
/*
 * threads: all processors serve clients, and a thread of the program's own publishes for them.
 *
 *   threads [ADDRESS] [ADDRESS]      then: nc 127.0.0.1 9000, or http://127.0.0.1:9001/sse in a browser
 *
 * The publisher counts from 1, as fast as there is room, while there is at least one subscriber. No number is lost for
 * a client that reads: a client that is behind holds the publisher up (patience_ms). A client that reads nothing at all
 * is evicted after 5 s, by the default policy. SIGINT and SIGTERM stop the publisher, deliver what is queued, and print
 * what became of the messages.
 */
#include <fluxbp/server.h>
#include <fluxbp/workers.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define PATIENCE_MS 60000 /* longer than a client may be slow */
#define IDLE_MS 10
#define ROOM_MS 1
#define DRAIN_MS 1000

struct counter {
  fluxbp_server_t *server;
  uv_thread_t publisher;
  uv_signal_t signals[2];
  atomic_bool has_to_stop;
  /* The publisher's, until it is joined. */
  unsigned long long published;
  unsigned long long waits; /* times that there was no room, and the publisher has waited for ROOM_MS */
};

/* Publish one message. The same message is tried again until there is room, and nothing newer is made meanwhile; so a
 * source of messages, such as a pipe or a socket, is held up as well. @return 0, UV_ECANCELED if the publisher has to
 * stop, or an error that waiting doesn't mend */
static int publish_patiently(struct counter *counter, const char *text, size_t length) {
  int err;
  while ((err = fluxbp_server_publish(counter->server, "numbers", NULL, text, length)) == UV_EAGAIN) {
    if (atomic_load(&counter->has_to_stop)) return UV_ECANCELED;
    counter->waits++;
    uv_sleep(ROOM_MS);
  }
  return err;
}

/* The foreign thread: it has no loop, and knows nothing of the server but how to publish. */
static void run_publisher(void *arg) {
  struct counter *counter = arg;
  char text[32];
  while (!atomic_load(&counter->has_to_stop)) {
    if (fluxbp_server_session_count(counter->server) == 0) {
      uv_sleep(IDLE_MS);
      continue;
    }
    int length = snprintf(text, sizeof text, "%llu", counter->published + 1);
    int err = publish_patiently(counter, text, (size_t) length);
    if (err == 0) counter->published++;
    if (err != 0 && err != UV_ECANCELED) fprintf(stderr, "threads: cannot publish: %s\n", uv_strerror(err));
    if (err != 0) return;
  }
}

/* Every subscriber has taken what was queued for it, or was evicted. A delivery is a message for one subscriber. */
static void on_finished(fluxbp_server_t *server) {
  const struct counter *counter = fluxbp_server_user(server);
  fluxbp_server_stats_t stats;
  fluxbp_server_get_stats(server, &stats);
  printf("threads: published %llu messages, waited %llu times for room\n", counter->published, counter->waits);
  printf("threads: %llu deliveries, %llu dropped, %llu discarded with their connection\n",
         (unsigned long long) stats.metrics.written, (unsigned long long) stats.metrics.dropped,
         (unsigned long long) stats.metrics.discarded);
  (void) fflush(stdout);
  fluxbp_server_close(server, DRAIN_MS, NULL);
}

/* The publisher is joined first: then all that it has published is in line before the server finishes. */
static void on_signal(uv_signal_t *handle, int number) {
  struct counter *counter = handle->data;
  (void) number;
  for (int i = 0; i < 2; i++) uv_close((uv_handle_t *) &counter->signals[i], NULL);
  atomic_store(&counter->has_to_stop, true);
  (void) uv_thread_join(&counter->publisher);
  fluxbp_server_finish(counter->server, on_finished);
}

static int watch_signals(struct counter *counter, uv_loop_t *loop) {
  static const int numbers[] = {SIGINT, SIGTERM};
  int err = 0;
  for (int i = 0; i < 2 && err == 0; i++) {
    err = uv_signal_init(loop, &counter->signals[i]);
    counter->signals[i].data = counter;
    if (err == 0) err = uv_signal_start(&counter->signals[i], on_signal, numbers[i]);
  }
  return err;
}

int main(int argc, char **argv) {
  static struct counter counter;
  char lines[FLUXBP_ADDRESS_TEXT_BYTES], http[FLUXBP_ADDRESS_TEXT_BYTES];
  unsigned processors = uv_available_parallelism();
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = uv_default_loop();
  options.threads = processors < FLUXBP_WORKERS_MAX ? processors : FLUXBP_WORKERS_MAX;
  options.user = &counter;
  options.topic = "numbers";
  options.parts = FLUXBP_PART_SSE | FLUXBP_PART_WEBSOCKET;
  options.patience_ms = PATIENCE_MS;
  int err = fluxbp_server_create(&options, &counter.server);
  int at_lines = err, at_http = err;
  if (err == 0)
    at_lines = fluxbp_server_listen(counter.server, argc > 1 ? argv[1] : "127.0.0.1:9000", FLUXBP_SPEAK_LINES);
  if (err == 0)
    at_http = fluxbp_server_listen(counter.server, argc > 2 ? argv[2] : "127.0.0.1:9001", FLUXBP_SPEAK_HTTP);
  if (err == 0) err = at_lines < 0 ? at_lines : at_http < 0 ? at_http : 0;
  if (err == 0) err = watch_signals(&counter, options.loop);
  if (err == 0) err = uv_thread_create(&counter.publisher, run_publisher, &counter);
  if (err != 0) return fprintf(stderr, "threads: cannot start: %s\n", uv_strerror(err)), 1;
  fluxbp_server_address(counter.server, at_lines, lines);
  fluxbp_server_address(counter.server, at_http, http);
  printf("threads: %u serve clients, lines at %s, events at http://%s/sse\n", (unsigned) options.threads, lines, http);
  (void) fflush(stdout);
  return uv_run(options.loop, UV_RUN_DEFAULT);
}
