/* SPDX-License-Identifier: MIT */
/*
 * listener: its life, and what any thread may call. Accepting is in listener_accept.c, sockets in listener_socket.c.
 *
 * Design notes
 *
 * Two parties hold a listener: its loop, until the handles are closed, and every permit that is out. Its memory goes
 * with the last of them, on whichever thread that is; a release after the close touches memory and the lock, never the
 * loop.
 *
 * One lock guards the counts. It is taken a few times for each connection that comes and once when it goes, next to
 * system calls that take a hundred times as long.
 *
 * A release that makes room wakes a listener that waits for it by an async. It is sent under the lock, and only while
 * takes_wakeups is set, which closing clears under the lock: so it is never sent to a handle that is closing, or by way
 * of a loop that is gone. uv_async_send alone can lose a wake-up: it looks at a flag of its own with a relaxed load,
 * which may be done before the stores that it is to announce. Hence the exchange of is_woken in front of it, and of the
 * one that on_async does before it looks.
 */
#include "listener.h"

#include "listener_accept.h"
#include "listener_permits.h"
#include "options.h"
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { UNIX_MODE_MAX = 0777 };

void fluxbp_listener_options_init_sized(fluxbp_listener_options_t *options, size_t size) {
  fluxbp_listener_options_t defaults = {
      .backlog = 4096,
      .unix_mode = -1,
      .max_connections = 65536,
      .max_refusals = 8,
      .accept_burst = 100,
  };
  fluxbp__options_init(options, size, &defaults, sizeof defaults);
}

static int prepare_options(fluxbp_listener_options_t *options, const fluxbp_listener_options_t *given) {
  fluxbp_listener_options_init(options);
  int err = fluxbp__options_copy(options, sizeof *options, given);
  if (err) return err;
  if (options->on_accept == NULL || options->backlog < 1 || options->accept_burst == 0) return UV_EINVAL;
  if (options->unix_mode < -1 || options->unix_mode > UNIX_MODE_MAX) return UV_EINVAL;
  if (options->max_connections == 0 || options->max_connections > FLUXBP_LISTENER_CONNECTIONS_MAX) return UV_EINVAL;
  if (options->max_refusals > FLUXBP_LISTENER_CONNECTIONS_MAX) return UV_EINVAL;
  if (options->at_limit != FLUXBP_AT_LIMIT_REFUSE && options->at_limit != FLUXBP_AT_LIMIT_PAUSE) return UV_EINVAL;
  return 0;
}

/* Everything that can fail. The handle of the poll is the last of it, for once it is there, only closing undoes it. */
static int prepare_parts(fluxbp_listener_t *listener) {
  uint64_t seed;
  int err = uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL);
  if (!err) err = uv_mutex_init(&listener->lock);
  if (err) return err;
  fluxbp__permits_init(&listener->permits, listener->pool,
                       listener->options.max_connections + listener->options.max_refusals);
  fluxbp__address_table_init(&listener->addresses, listener->pool, seed);
  err = uv_poll_init_socket(listener->loop, &listener->poll, listener->socket.fd);
  if (err) uv_mutex_destroy(&listener->lock);
  return err;
}

/* On any libuv these can't fail for a valid loop: they only initialise and link. */
static void start_handles(fluxbp_listener_t *listener) {
  int err = uv_timer_init(listener->loop, &listener->timer);
  if (!err) err = uv_timer_init(listener->loop, &listener->rest);
  if (!err) err = uv_async_init(listener->loop, &listener->async, fluxbp__listener_on_async);
  if (!err) err = uv_poll_start(&listener->poll, UV_READABLE, fluxbp__listener_on_readable);
  assert(err == 0);
  listener->poll.data = listener->timer.data = listener->rest.data = listener->async.data = listener;
  listener->open_handles = 4;
  listener->takes_wakeups = true;
  listener->references = 1;
}

/* The socket is the caller's until this has worked. */
static int create(uv_loop_t *loop, const fluxbp_listener_options_t *options, const fluxbp__listener_socket_t *socket,
                  fluxbp_listener_t **out) {
  fluxbp_pool_t *pool = options->pool;
  int err = pool == NULL ? fluxbp_pool_create(NULL, &pool) : 0;
  if (err) return err;
  fluxbp_listener_t *listener = fluxbp__pool_alloc_object(pool, sizeof *listener);
  if (listener == NULL) {
    if (options->pool == NULL) (void) fluxbp_pool_destroy(pool);
    return UV_ENOMEM;
  }
  listener->options = *options;
  listener->pool = pool;
  listener->owns_pool = options->pool == NULL;
  listener->loop = loop;
  listener->socket = *socket;
  err = prepare_parts(listener);
  if (err) {
    fluxbp__listener_free_memory(listener);
    return err;
  }
  if (options->accepts_per_second > 0)
    fluxbp__token_bucket_init(&listener->bucket, options->accepts_per_second, options->accept_burst,
                              fluxbp__listener_clock_ms(listener));
  start_handles(listener);
  *out = listener;
  return 0;
}

static int create_or_close(uv_loop_t *loop, const fluxbp_listener_options_t *options, fluxbp__listener_socket_t *socket,
                           fluxbp_listener_t **out) {
  int err = create(loop, options, socket, out);
  if (err) fluxbp__listener_socket_close(socket);
  return err;
}

int fluxbp_listener_open_tcp(uv_loop_t *loop, const struct sockaddr *address, const fluxbp_listener_options_t *given,
                             fluxbp_listener_t **out) {
  fluxbp_listener_options_t options;
  fluxbp__listener_socket_t socket;
  int err = prepare_options(&options, given);
  if (!err) err = fluxbp__listener_socket_open_tcp(&socket, address, &options);
  return err ? err : create_or_close(loop, &options, &socket, out);
}

int fluxbp_listener_open_unix(uv_loop_t *loop, const char *path, const fluxbp_listener_options_t *given,
                              fluxbp_listener_t **out) {
  fluxbp_listener_options_t options;
  fluxbp__listener_socket_t socket;
  int err = prepare_options(&options, given);
  if (!err) err = fluxbp__listener_socket_open_unix(&socket, path, &options);
  return err ? err : create_or_close(loop, &options, &socket, out);
}

int fluxbp_listener_adopt(uv_loop_t *loop, uv_os_sock_t fd, const fluxbp_listener_options_t *given,
                          fluxbp_listener_t **out) {
  fluxbp_listener_options_t options;
  fluxbp__listener_socket_t socket;
  int err = prepare_options(&options, given);
  if (!err) err = fluxbp__listener_socket_adopt(&socket, fd);
  if (!err) err = create(loop, &options, &socket, out);
  if (err) return err;
  /* the poll has made it non-blocking */
  (void) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

static void on_handle_closed(uv_handle_t *handle) {
  fluxbp_listener_t *listener = handle->data;
  if (--listener->open_handles > 0) return;
  if (listener->close_cb != NULL) listener->close_cb(listener);
  uv_mutex_lock(&listener->lock);
  fluxbp__listener_drop_reference(listener);
}

void fluxbp_listener_close(fluxbp_listener_t *listener, fluxbp_listener_cb cb) {
  if (listener->is_closing) return;
  listener->is_closing = true;
  listener->close_cb = cb;
  uv_mutex_lock(&listener->lock);
  listener->takes_wakeups = false;
  uv_mutex_unlock(&listener->lock);
  uv_close((uv_handle_t *) &listener->poll, on_handle_closed);
  uv_close((uv_handle_t *) &listener->timer, on_handle_closed);
  uv_close((uv_handle_t *) &listener->rest, on_handle_closed);
  uv_close((uv_handle_t *) &listener->async, on_handle_closed);
  fluxbp__listener_socket_close(&listener->socket); /* the poll has let go of it when uv_close returns */
}

void fluxbp_listener_pause(fluxbp_listener_t *listener) {
  if (!listener->is_closing) fluxbp__listener_pause_by(listener, FLUXBP_PAUSED_BY_HOST);
}

void fluxbp_listener_resume(fluxbp_listener_t *listener) {
  if (!listener->is_closing) fluxbp__listener_resume_from(listener, FLUXBP_PAUSED_BY_HOST);
}

int fluxbp_listener_address(const fluxbp_listener_t *listener, struct sockaddr *address, int *length) {
  socklen_t size = (socklen_t) *length;
  if (getsockname(listener->socket.fd, address, &size) != 0) return uv_translate_sys_error(errno);
  *length = (int) size;
  return 0;
}

uv_loop_t *fluxbp_listener_loop(const fluxbp_listener_t *listener) {
  return listener->loop;
}

void *fluxbp_listener_user(const fluxbp_listener_t *listener) {
  return listener->options.user;
}

void fluxbp_listener_get_stats_sized(fluxbp_listener_t *listener, fluxbp_listener_stats_t *out, size_t size) {
  uv_mutex_lock(&listener->lock);
  fluxbp_listener_stats_t stats = listener->stats;
  uv_mutex_unlock(&listener->lock);
  fluxbp__result_write(out, size, &stats, sizeof stats);
}
