/* SPDX-License-Identifier: MIT */
/*
 * handshakes: see the header.
 *
 * Design notes
 *
 * - A connection takes a place when its first record is whole, so clients that connect and are silent take none.
 * - A connection that is readable when the share is used up, or that needs a place and there is none, stands in a queue
 *   and isn't read. Its bytes stay in the kernel. Those that have a place come first, since each of them is about to
 *   give its place back.
 * - A place is worth much to those that wait, so it isn't kept by a client that is silent. The deadline of the whole
 *   handshake is the program's.
 * - One step can't be interrupted: an iteration takes its share and at most one step more.
 */
#include "handshakes.h"

#include "context.h"

/* The most bytes of one handshake: a ClientHello and a chain of certificates. */
enum { HANDSHAKE_BYTES_MAX = 65536 };

static uint64_t loop_ms(const fluxbp_tls_transport_t *transport) {
  return uv_now(fluxbp_hub_loop(transport->hub));
}

static bool has_time(const fluxbp_tls_transport_t *transport) {
  return transport->spent_ns < (uint64_t) transport->options.handshake_us * 1000;
}

static bool has_free_place(const fluxbp_tls_transport_t *transport) {
  return transport->stats.under_way < transport->options.handshakes_max;
}

static bool is_any_waiting(const fluxbp_tls_transport_t *transport) {
  return queue_first(&transport->ready) != NULL || queue_first(&transport->newcomers) != NULL;
}

/* Places. */

static void take_place(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  secured->has_place = true;
  transport->stats.under_way++;
}

static void note_step(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  queue_remove(&secured->silent);
  queue_append(&transport->silent, &secured->silent);
  secured->stepped_ms = loop_ms(transport);
}

/* A connection that waits isn't read, so the loop goes on for it by `prepare`, which is active then. */
static void enter_queue(struct queue *queue, struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  queue_append(queue, &secured->turn);
  if (transport->stats.waiting++ == 0 && !transport->is_closing) uv_ref((uv_handle_t *) &transport->prepare);
}

static void leave_queue(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  if (!queue_is_linked(&secured->turn)) return;
  queue_remove(&secured->turn);
  if (--transport->stats.waiting == 0 && !transport->is_closing) uv_unref((uv_handle_t *) &transport->prepare);
}

/* Turns. */

static struct secured *next_in_turn(const fluxbp_tls_transport_t *transport) {
  struct queue_link *first = queue_first(&transport->ready);
  if (first == NULL && has_free_place(transport)) first = queue_first(&transport->newcomers);
  return first != NULL ? QUEUE_ITEM(first, struct secured, turn) : NULL;
}

static void on_idle(uv_idle_t *idle) {
  (void) idle; /* it is there so that the loop doesn't sleep */
}

static void on_timer(uv_timer_t *timer);

/* Have the loop come back when something can be done. */
static void settle(fluxbp_tls_transport_t *transport) {
  if (transport->is_closing) return;
  if (next_in_turn(transport) != NULL)
    (void) uv_idle_start(&transport->idle, on_idle);
  else
    (void) uv_idle_stop(&transport->idle);
  struct queue_link *first = queue_first(&transport->silent);
  bool is_full = queue_first(&transport->newcomers) != NULL && !has_free_place(transport);
  if (!is_full || first == NULL || uv_is_active((uv_handle_t *) &transport->timer)) return;
  uint64_t due_ms = QUEUE_ITEM(first, struct secured, silent)->stepped_ms + transport->options.silence_ms;
  uint64_t now_ms = loop_ms(transport);
  /* never 0: libuv would call on_timer again before it does anything else */
  (void) uv_timer_start(&transport->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 1, 0);
}

static size_t count_of(const struct queue *queue) {
  size_t count = 0;
  for (const struct queue_link *link = queue->ends.next; link != &queue->ends; link = link->next) count++;
  return count;
}

/* Give up those that have been silent for too long, one for each that finds no place. A connection that waits for its
 * turn isn't silent, nor is one with bytes in the kernel: the loop has been busy. */
static void on_timer(uv_timer_t *timer) {
  fluxbp_tls_transport_t *transport = timer->data;
  uint64_t now_ms = loop_ms(transport), free_places = transport->options.handshakes_max - transport->stats.under_way;
  size_t newcomers = count_of(&transport->newcomers);
  struct queue_link *first;
  while (newcomers > free_places && (first = queue_first(&transport->silent)) != NULL) {
    struct secured *secured = QUEUE_ITEM(first, struct secured, silent);
    if (now_ms - secured->stepped_ms < transport->options.silence_ms) break;
    newcomers--;
    if (queue_is_linked(&secured->turn) || secured_is_readable(secured)) {
      note_step(secured);
      handshakes_wait(secured);
    } else {
      transport->stats.given_up++;
      secured_fail(secured, UV_ECANCELED, "the handshake stood still while others waited");
    }
  }
  settle(transport);
}

/* Go on with a connection whose turn it is, once. */
static void have_turn(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  uv_buf_t buffer = {0};
  ssize_t count = secured_has_record(secured) ? 0 : secured_read(secured, &buffer);
  transport->current = secured;
  if (count != UV_EAGAIN) secured_receive(secured, buffer.base, count);
  transport->current = NULL;
  if (secured_is_in_handshake(secured) && !queue_is_linked(&secured->turn)) secured_read_start(secured);
}

/* An iteration has a share, whether the last one used up its own or not. */
static void on_prepare(uv_prepare_t *prepare) {
  fluxbp_tls_transport_t *transport = prepare->data;
  struct secured *secured;
  transport->spent_ns = 0;
  while (has_time(transport) && (secured = next_in_turn(transport)) != NULL) {
    leave_queue(secured);
    have_turn(secured);
    if (transport->is_closing) return;
  }
  settle(transport);
  if (transport->spent_ns == 0 && !is_any_waiting(transport)) (void) uv_prepare_stop(prepare);
}

static void expect_iteration(fluxbp_tls_transport_t *transport) {
  if (!transport->is_closing) (void) uv_prepare_start(&transport->prepare, on_prepare);
}

bool handshakes_may_go_on(const struct secured *secured) {
  const fluxbp_tls_transport_t *transport = secured_transport(secured);
  if (transport->current == secured) return true;
  if (!has_time(transport)) return false;
  if (secured->has_place) return queue_first(&transport->ready) == NULL;
  return has_free_place(transport) && !is_any_waiting(transport);
}

void handshakes_wait(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  secured_read_stop(secured);
  if (queue_is_linked(&secured->turn)) return;
  enter_queue(secured->has_place ? &transport->ready : &transport->newcomers, secured);
  expect_iteration(transport);
  settle(transport);
}

void handshakes_leave(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  leave_queue(secured);
  queue_remove(&secured->silent);
  if (!secured->has_place) return;
  secured->has_place = false;
  transport->stats.under_way--;
  settle(transport);
}

/* Steps. */

static int begin(struct secured *secured) {
  const fluxbp_tls_transport_t *transport = secured_transport(secured);
  SSL_CTX *context = fluxbp__tls_context(transport->options.tls);
  secured->tls.sink = secured_sink;
  int err = fluxbp__tls_begin(&secured->tls, context, 1);
  SSL_CTX_free(context);
  if (err != 0) return err;
  secured->phase = SECURED_HANDSHAKE;
  return 0;
}

/* Feed one record after the other. Returns as fluxbp__tls_handshake. */
static int feed_records(struct secured *secured) {
  size_t used = 0;
  int err = UV_EAGAIN;
  while (err == UV_EAGAIN) {
    size_t left = secured->input_length - used;
    ssize_t bytes = fluxbp__tls_record_bytes(secured->input + used, left);
    if (bytes == 0 || bytes > (ssize_t) left) break;
    secured->tls.window = secured->input + used;
    secured->tls.window_length = bytes > 0 ? (size_t) bytes : left; /* OpenSSL tells the client what is wrong */
    used += secured->tls.window_length;
    err = fluxbp__tls_handshake(&secured->tls);
    if (bytes < 0 && (err == 0 || err == UV_EAGAIN)) err = UV_EPROTO;
  }
  secured->tls.window_length = 0;
  secured->handshake_bytes += (uint32_t) used;
  secured_drop(secured, used);
  return err;
}

static void open_secured(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  handshakes_leave(secured);
  secured->phase = SECURED_OPEN;
  secured_open_input(secured);
  secured_watch_record(secured, true);
  transport->stats.handshakes++;
  transport->stats.resumed += SSL_session_reused(secured->tls.ssl) != 0;
  if (transport->options.on_handshake != NULL) (void) transport->options.on_handshake(secured->conn, 0, NULL);
  if (secured->phase == SECURED_OPEN) secured_go_on(secured);
}

void handshakes_step(struct secured *secured) {
  fluxbp_tls_transport_t *transport = secured_transport(secured);
  char problem[256];
  expect_iteration(transport);
  uint64_t begun_ns = uv_hrtime();
  int err = secured->phase == SECURED_AWAITED ? begin(secured) : 0;
  if (err == 0 && !secured->has_place) take_place(secured);
  if (err == 0) err = feed_records(secured);
  transport->spent_ns += uv_hrtime() - begun_ns;
  if (err == UV_EAGAIN && secured->handshake_bytes > HANDSHAKE_BYTES_MAX) {
    secured_fail(secured, UV_EPROTO, "the handshake is too long");
  } else if (err == UV_EAGAIN) {
    note_step(secured);
  } else if (err == 0) {
    open_secured(secured);
  } else {
    fluxbp__tls_problem(&secured->tls, problem, sizeof problem);
    secured_fail(secured, err, err == UV_EPROTO ? problem : uv_strerror(err));
  }
}

/* Beginning and end. */

void handshakes_init(fluxbp_tls_transport_t *transport) {
  uv_loop_t *loop = fluxbp_hub_loop(transport->hub);
  queue_init(&transport->ready);
  queue_init(&transport->newcomers);
  queue_init(&transport->silent);
  queue_init(&transport->unfinished);
  queue_init(&transport->early);
  (void) uv_prepare_init(loop, &transport->prepare); /* none of these can fail */
  (void) uv_idle_init(loop, &transport->idle);
  (void) uv_timer_init(loop, &transport->timer);
  (void) uv_timer_init(loop, &transport->record_timer);
  transport->prepare.data = transport->idle.data = transport->timer.data = transport;
  transport->record_timer.data = transport;
  uv_unref((uv_handle_t *) &transport->prepare);
  uv_unref((uv_handle_t *) &transport->idle);
  uv_unref((uv_handle_t *) &transport->timer);
  uv_unref((uv_handle_t *) &transport->record_timer);
}

void handshakes_close(fluxbp_tls_transport_t *transport) {
  if (transport->is_closing) return;
  transport->is_closing = true;
  uv_close((uv_handle_t *) &transport->prepare, NULL);
  uv_close((uv_handle_t *) &transport->idle, NULL);
  uv_close((uv_handle_t *) &transport->timer, NULL);
  uv_close((uv_handle_t *) &transport->record_timer, NULL);
}
