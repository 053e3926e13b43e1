/* SPDX-License-Identifier: MIT */
/*
 * resume_turns: see the header.
 *
 * The order is that of a time for each session: when it began to wait, or if that is later, the time at which the
 * fullest of its buckets is full: so those come first that have had least, and among these the one that waits longest.
 * A bucket may have been paid from since a session was put in its place; then it gets another place when it comes to
 * its turn. Nobody is taken who is in debt, nor anybody while the thread is.
 */
#include "resume_turns.h"

#include "server/quotas/bucket.h"
#include "session_quotas.h"

#define MS_NS ((uint64_t) 1000 * 1000)

/* What the thread may do at once after a quiet time: less than a person notices. */
#define THREAD_BUCKET_NS (20 * MS_NS)

/* In one iteration of the loop, as most resumes are short. */
#define AT_ONCE 256

static void on_timer(uv_timer_t *timer);

static struct resume_turns *turns_of(const fluxbp_session_t *session) {
  return &session_shard(session)->resume_turns;
}

static struct replay_limits *limits_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->limits.replays;
}

static uint64_t now_ns(const struct resume_turns *turns) {
  return uv_now(turns->timer.loop) * MS_NS;
}

static uint64_t full_of(const fluxbp_session_t *session, const struct payers *payers, enum payer payer) {
  return payer == PAYER_CLIENT ? session->full_ns : account_full_ns(payers->list[payer], BUCKET_REPLAYS);
}

/* Return when the fullest of the buckets of a session's client, address and subject is full. */
static uint64_t latest_full_ns(const fluxbp_session_t *session, enum payer *latest) {
  struct payers payers = session_payers(session);
  uint64_t full_ns = 0;
  for (int payer = 0; payer < RATE_PAYERS; payer++) {
    bool is_limited = replay_limit_is_set(&limits_of(session)->of[payer]);
    uint64_t own_ns = is_limited ? full_of(session, &payers, (enum payer) payer) : 0;
    if (own_ns <= full_ns) continue;
    full_ns = own_ns;
    *latest = (enum payer) payer;
  }
  return full_ns;
}

static uint64_t place_of(const struct resume_turn *turn) {
  enum payer latest;
  uint64_t full_ns = latest_full_ns(turn->session, &latest);
  return full_ns > turn->since_ns ? full_ns : turn->since_ns;
}

static struct resume_turn *first_of(const struct resume_turns *turns) {
  return turns->waiting.count > 0 ? (struct resume_turn *) (void *) turns->waiting.heap[0] : NULL;
}

/* Return the time until the first of them may have its turn, as far as is known. */
static uint64_t wait_of_first(const struct resume_turns *turns) {
  uint64_t thread_ns = bucket_wait_ns(turns->full_ns, THREAD_BUCKET_NS, now_ns(turns));
  uint64_t own_ns = bucket_wait_ns(turns->waiting.heap[0]->at_s, BUCKET_NS, now_ns(turns));
  return thread_ns > own_ns ? thread_ns : own_ns;
}

static void start_timer(struct resume_turns *turns) {
  if (first_of(turns) == NULL || uv_is_closing((uv_handle_t *) &turns->timer)) {
    (void) uv_timer_stop(&turns->timer);
    return;
  }
  uint64_t wait_ms = (wait_of_first(turns) + MS_NS - 1) / MS_NS;
  (void) uv_timer_start(&turns->timer, on_timer, wait_ms > 0 ? wait_ms : 1, 0);
}

/* In its turn a session may begin to wait for the next one: that is left to the loop here, which is running. */
static void run_turns(struct resume_turns *turns) {
  struct resume_turn *first;
  if (turns->is_running) return;
  turns->is_running = true;
  for (int i = 0; i < AT_ONCE && (first = first_of(turns)) != NULL && wait_of_first(turns) == 0; i++) {
    uint64_t place = place_of(first);
    if (place > first->expiry.at_s) {
      (void) expiries_set(&turns->waiting, &first->expiry, place); /* has its memory */
      continue;
    }
    expiries_remove(&turns->waiting, &first->expiry);
    first->go_on(first);
  }
  turns->is_running = false;
  start_timer(turns);
}

static void on_timer(uv_timer_t *timer) {
  run_turns(timer->data);
}

void resume_turns_init(struct resume_turns *turns, uv_loop_t *loop) {
  *turns = (struct resume_turns){0};
  (void) uv_timer_init(loop, &turns->timer);
  turns->timer.data = turns;
}

void resume_turns_stop(struct resume_turns *turns) {
  uv_close((uv_handle_t *) &turns->timer, NULL);
}

void resume_turns_free(struct resume_turns *turns) {
  expiries_free(&turns->waiting);
}

/* Count the limit for which a session didn't have its turn at once. */
static void note_wait(const struct resume_turns *turns, const struct resume_turn *turn) {
  struct replay_limits *limits = limits_of(turn->session);
  enum payer latest = PAYER_CLIENT;
  uint64_t full_ns = latest_full_ns(turn->session, &latest);
  bool is_own = bucket_wait_ns(full_ns, BUCKET_NS, now_ns(turns)) > 0;
  atomic_fetch_add(is_own ? &limits->of[latest].reached : &limits->thread.reached, 1);
}

int resume_turns_wait(struct resume_turns *turns, struct resume_turn *turn) {
  turn->since_ns = now_ns(turns);
  int err = expiries_set(&turns->waiting, &turn->expiry, place_of(turn));
  if (err != 0) return err;
  bool is_first = first_of(turns) == turn;
  if (!is_first || wait_of_first(turns) > 0) note_wait(turns, turn);
  if (is_first) run_turns(turns);
  return 0;
}

void resume_turns_leave(struct resume_turns *turns, struct resume_turn *turn) {
  expiries_remove(&turns->waiting, &turn->expiry);
  if (first_of(turns) == NULL) (void) uv_timer_stop(&turns->timer);
}

void resume_turns_pay(fluxbp_session_t *session, uint64_t messages, uint64_t bytes) {
  struct resume_turns *turns = turns_of(session);
  struct replay_limits *limits = limits_of(session);
  struct payers payers = session_payers(session);
  uint64_t at_ns = now_ns(turns);
  for (int payer = 0; payer < PAYERS; payer++) {
    uint64_t cost_ns = replay_cost_ns(&limits->of[payer], messages, bytes);
    if (cost_ns > 0) account_pay(payers.list[payer], BUCKET_REPLAYS, cost_ns, at_ns);
  }
  session->full_ns = bucket_paid(session->full_ns, replay_cost_ns(&limits->of[PAYER_CLIENT], messages, bytes), at_ns);
  session->owes_replays = bucket_wait_ns(session->full_ns, BUCKET_NS, at_ns) > 0;
  turns->full_ns = bucket_paid(turns->full_ns, replay_cost_ns(&limits->thread, messages, bytes), at_ns);
}

bool resume_turns_allow_more(const fluxbp_session_t *session) {
  const struct resume_turns *turns = turns_of(session);
  enum payer latest;
  uint64_t full_ns = latest_full_ns(session, &latest);
  return bucket_wait_ns(turns->full_ns, THREAD_BUCKET_NS, now_ns(turns)) == 0 &&
         bucket_wait_ns(full_ns, BUCKET_NS, now_ns(turns)) == 0;
}
