/* SPDX-License-Identifier: MIT */
/*
 * listener_accept: batches of accept4, what happens to each socket, and when to stop and go on.
 *
 * Design notes
 *
 * The poll is level-triggered: after a batch the loop does its other work, finds the socket readable again and comes
 * back. Polling stops while there is a reason in `paused`: a listener that can't accept costs the loop nothing.
 *
 * After a full batch, which is a storm, it rests for a millisecond. Without that accepting takes all the time that the
 * processors have, on the threads of the hubs too, and all connections wait for their turn. So a listener
 * accepts some 20 000 a second at most; bench_accept has what that does for a broadcast.
 *
 * Whatever an accepted socket needs (a permit, a place in the address table) is reserved before accept4 is called: once
 * there is a descriptor nothing can fail.
 *
 * There is no descriptor in reserve for when they run out. Such a one is closed to accept a peer only to close it
 * again, which turns away peers that would get in 100 ms later, and another thread may take the number in between. A
 * process that shouldn't run out sets max_connections below its limit: then peers are refused with an answer.
 */
#define _GNU_SOURCE /* accept4 */
#include "listener_accept.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What becomes of an accepted socket. */
typedef struct verdict {
  bool is_accepted;
  fluxbp_refusal_t reason; /* if it isn't accepted */
  fluxbp_permit_t permit;  /* 0: it isn't even offered to on_refused */
} verdict_t;

void fluxbp__listener_pause_by(fluxbp_listener_t *listener, fluxbp_paused_t reason) {
  uv_mutex_lock(&listener->lock);
  listener->stats.paused |= (uint32_t) reason;
  uv_mutex_unlock(&listener->lock);
  (void) uv_poll_stop(&listener->poll);
}

static void poll_if_ready(fluxbp_listener_t *listener) {
  if (listener->stats.paused != 0 || uv_is_active((const uv_handle_t *) &listener->rest)) return;
  (void) uv_poll_start(&listener->poll, UV_READABLE, fluxbp__listener_on_readable);
}

void fluxbp__listener_resume_from(fluxbp_listener_t *listener, uint32_t reasons) {
  if ((listener->stats.paused & reasons) == 0) return;
  uv_mutex_lock(&listener->lock);
  listener->stats.paused &= ~reasons;
  uv_mutex_unlock(&listener->lock);
  poll_if_ready(listener);
}

static void on_rested(uv_timer_t *rest) {
  poll_if_ready(rest->data);
}

static void rest(fluxbp_listener_t *listener) {
  if (listener->is_closing) return;
  (void) uv_poll_stop(&listener->poll);
  (void) uv_timer_start(&listener->rest, on_rested, FLUXBP__ACCEPT_REST_MS, 0);
}

static void pause_for(fluxbp_listener_t *listener, fluxbp_paused_t reason, uint64_t wait_ms) {
  listener->due_ms = fluxbp__listener_clock_ms(listener) + wait_ms;
  (void) uv_timer_start(&listener->timer, fluxbp__listener_on_timer, wait_ms, 0);
  fluxbp__listener_pause_by(listener, reason);
}

void fluxbp__listener_on_timer(uv_timer_t *timer) {
  fluxbp_listener_t *listener = timer->data;
  uint64_t now_ms = fluxbp__listener_clock_ms(listener);
  if (now_ms < listener->due_ms)
    (void) uv_timer_start(timer, fluxbp__listener_on_timer, listener->due_ms - now_ms, 0);
  else
    fluxbp__listener_resume_from(listener, FLUXBP_PAUSED_BY_RATE | FLUXBP_PAUSED_BY_ERROR);
}

void fluxbp__listener_on_async(uv_async_t *async) {
  fluxbp_listener_t *listener = async->data;
  atomic_exchange(&listener->is_woken, false); /* before the look: what comes after it is announced anew */
  fluxbp__listener_resume_from(listener, FLUXBP_PAUSED_BY_LIMIT);
}

/* Polling doesn't go on by itself after an error that would only come again. */
static void wait_after(fluxbp_listener_t *listener, int err) {
  pause_for(listener, FLUXBP_PAUSED_BY_ERROR, FLUXBP__ACCEPT_RETRY_MS);
  if (listener->options.on_error != NULL) listener->options.on_error(listener, err);
}

static uint64_t *counter_of(fluxbp_listener_stats_t *stats, int err) {
  switch (err) {
  case UV_EMFILE:
  case UV_ENFILE:
    return &stats->error_descriptors;
  case UV_ENOBUFS:
  case UV_ENOMEM:
    return &stats->error_memory;
  case UV_EINTR:
    return &stats->error_interrupted;
  case UV_EPERM:
    return &stats->error_forbidden;
  case UV_ECONNABORTED:
  case UV_ECONNRESET:
  case UV_EPROTO:
  case UV_ENOPROTOOPT:
  case UV_ENETDOWN:
  case UV_ENETUNREACH:
  case UV_EHOSTDOWN:
  case UV_EHOSTUNREACH:
  case UV_ENONET:
  case UV_ETIMEDOUT:
    return &stats->error_aborted;
  default:
    return &stats->error_other;
  }
}

/* Count an error. Returns true if it was one connection's, and the next may be all right. */
static bool count_error(fluxbp_listener_t *listener, int err) {
  fluxbp_listener_stats_t *stats = &listener->stats;
  uv_mutex_lock(&listener->lock);
  uint64_t *counter = counter_of(stats, err);
  ++*counter;
  stats->last_error = err;
  uv_mutex_unlock(&listener->lock);
  return counter == &stats->error_interrupted || counter == &stats->error_forbidden || counter == &stats->error_aborted;
}

/* Return whether the rate allows another socket now; if not, pause until it does. */
static bool wait_for_token(fluxbp_listener_t *listener) {
  if (listener->options.accepts_per_second == 0) return true;
  uint64_t wait_ms = fluxbp__token_bucket_wait_ms(&listener->bucket, fluxbp__listener_clock_ms(listener));
  if (wait_ms > 0) pause_for(listener, FLUXBP_PAUSED_BY_RATE, wait_ms);
  return wait_ms == 0;
}

static int reserve(fluxbp_listener_t *listener) {
  int err = fluxbp__permits_reserve(&listener->permits);
  if (!err && listener->options.max_per_address > 0) err = fluxbp__address_table_reserve(&listener->addresses);
  return err;
}

/* Return whether there is a place for another socket, and reserve what it needs; if not, pause until there is. */
static bool reserve_room(fluxbp_listener_t *listener) {
  const fluxbp_listener_options_t *options = &listener->options;
  uv_mutex_lock(&listener->lock);
  bool is_full = options->at_limit == FLUXBP_AT_LIMIT_PAUSE && listener->stats.connections >= options->max_connections;
  int err = is_full ? 0 : reserve(listener);
  /* under the same lock as the look: a release in between would find nothing to wake */
  if (is_full) listener->stats.paused |= FLUXBP_PAUSED_BY_LIMIT;
  uv_mutex_unlock(&listener->lock);
  if (is_full) (void) uv_poll_stop(&listener->poll);
  if (err) {
    (void) count_error(listener, err);
    wait_after(listener, err);
  }
  return !is_full && !err;
}

/* Return whether there is all that the next socket needs. If not, polling has been stopped. */
static bool prepare_accept(fluxbp_listener_t *listener) {
  if (listener->is_closing || listener->stats.paused != 0) return false;
  return wait_for_token(listener) && reserve_room(listener);
}

/* With the lock held. */
static fluxbp_permit_t issue(fluxbp_listener_t *listener, uint64_t address_key, bool is_refusal) {
  listener->references++;
  return fluxbp__permits_issue(&listener->permits,
                               (fluxbp__permitted_t){.address_key = address_key, .is_refusal = is_refusal});
}

/* With the lock held. */
static verdict_t accept_peer(fluxbp_listener_t *listener, uint64_t address_key) {
  listener->stats.accepted++;
  listener->stats.connections++;
  if (address_key != FLUXBP__ADDRESS_NONE) fluxbp__address_table_add(&listener->addresses, address_key);
  return (verdict_t){.is_accepted = true, .permit = issue(listener, address_key, false)};
}

/* With the lock held. */
static verdict_t refuse_peer(fluxbp_listener_t *listener, fluxbp_refusal_t reason) {
  fluxbp_listener_stats_t *stats = &listener->stats;
  verdict_t verdict = {.reason = reason};
  ++*(reason == FLUXBP_REFUSAL_ADDRESS ? &stats->refused_address : &stats->refused_connections);
  if (listener->options.on_refused != NULL && stats->refusals < listener->options.max_refusals) {
    stats->refusals++;
    verdict.permit = issue(listener, FLUXBP__ADDRESS_NONE, true);
  } else {
    stats->refused_silently++;
  }
  return verdict;
}

static verdict_t judge(fluxbp_listener_t *listener, const struct sockaddr *peer) {
  const fluxbp_listener_options_t *options = &listener->options;
  uint64_t address_key = options->max_per_address > 0 ? fluxbp__address_key(peer) : FLUXBP__ADDRESS_NONE;
  verdict_t verdict;
  uv_mutex_lock(&listener->lock);
  if (listener->stats.connections >= options->max_connections)
    verdict = refuse_peer(listener, FLUXBP_REFUSAL_CONNECTIONS);
  else if (address_key != FLUXBP__ADDRESS_NONE &&
           fluxbp__address_table_count(&listener->addresses, address_key) >= options->max_per_address)
    verdict = refuse_peer(listener, FLUXBP_REFUSAL_ADDRESS);
  else
    verdict = accept_peer(listener, address_key);
  uv_mutex_unlock(&listener->lock);
  return verdict;
}

/* A polite close would leave the kernel with the rest of the conversation. On a UNIX socket it is just a close. */
static void reset(int fd) {
  struct linger at_once = {.l_onoff = 1, .l_linger = 0};
  (void) setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  (void) close(fd);
}

static void deliver_socket(fluxbp_listener_t *listener, int fd, const struct sockaddr *peer) {
  const fluxbp_listener_options_t *options = &listener->options;
  verdict_t verdict = judge(listener, peer);
  if (verdict.is_accepted) {
    if (options->accepts_per_second > 0) fluxbp__token_bucket_take(&listener->bucket);
    options->on_accept(listener, fd, peer, verdict.permit);
    return;
  }
  if (verdict.permit != 0 && options->on_refused(listener, fd, peer, verdict.reason, verdict.permit)) return;
  reset(fd);
  if (verdict.permit != 0) (void) fluxbp_listener_release(listener, verdict.permit);
}

/* 0 after a socket was accepted, or what accept4 said. */
static int accept_one(fluxbp_listener_t *listener) {
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;
  memset(&peer, 0, sizeof peer); /* a peer on a UNIX socket usually has no name, and writes but its family */
  int fd = accept4(listener->socket.fd, (struct sockaddr *) &peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return uv_translate_sys_error(errno);
  deliver_socket(listener, fd, (const struct sockaddr *) &peer);
  return 0;
}

/* Callbacks of the user's may pause or close the listener at any point of it. */
static void accept_batch(fluxbp_listener_t *listener) {
  int calls = 0;
  int errors = 0;
  for (; calls < FLUXBP__ACCEPTS_PER_WAKEUP && prepare_accept(listener); calls++) {
    int err = accept_one(listener);
    if (err == UV_EAGAIN) return;
    if (err == 0) continue;
    errors++;
    if (!count_error(listener, err)) {
      wait_after(listener, err);
      return;
    }
  }
  if (errors == FLUXBP__ACCEPTS_PER_WAKEUP) /* they were to pass and don't: there would only be more of them */
    wait_after(listener, listener->stats.last_error);
  else if (calls == FLUXBP__ACCEPTS_PER_WAKEUP)
    rest(listener);
}

void fluxbp__listener_on_readable(uv_poll_t *poll, int status, int events) {
  fluxbp_listener_t *listener = poll->data;
  (void) events;
  if (status == 0) {
    accept_batch(listener);
    return;
  }
  (void) count_error(listener, status); /* whatever it is, libuv has stopped polling */
  wait_after(listener, status);
}
