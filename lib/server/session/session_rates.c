/* SPDX-License-Identifier: MIT */
/*
 * session_rates: see the header. A bucket holds time, so that commands and publishes can share one, each at its cost. A
 * client has one for what it resumes, too (resume_turns.c); addresses and subjects have another one for that.
 */
#include "session_rates.h"

#include "server/quotas/bucket.h"
#include "session_quotas.h"

#define MS_NS ((uint64_t) 1000 * 1000)

/* A client that has to wait goes on a little later than it might, with as many commands as it may do by then: waking a
 * session for each of them would cost more than doing it. */
#define REST_NS (5 * MS_NS)

static uint64_t now_ns(const fluxbp_session_t *session) {
  return uv_now(fluxbp_hub_loop(session_shard(session)->hub)) * MS_NS;
}

static struct limits *limits_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->limits;
}

static uint64_t wait_of(const fluxbp_session_t *session, const struct payers *payers, enum payer payer,
                        uint64_t at_ns) {
  if (payer == PAYER_CLIENT) return bucket_wait_ns(session->full_ns, BUCKET_NS, at_ns);
  return account_wait_ns(payers->list[payer], BUCKET_RATE, at_ns);
}

/* Find out who has to wait longest of those for whom there is a rate. @return for how long */
static uint64_t find_longest_wait(const fluxbp_session_t *session, enum rate rate, enum payer *longest) {
  struct rate_limit *limits = limits_of(session)->rates[rate];
  struct payers payers = session_payers(session);
  uint64_t at_ns = now_ns(session), longest_ns = 0;
  for (int payer = 0; payer < RATE_PAYERS; payer++) {
    uint64_t wait_ns = limits[payer].cost_ns > 0 ? wait_of(session, &payers, (enum payer) payer, at_ns) : 0;
    if (wait_ns <= longest_ns) continue;
    longest_ns = wait_ns;
    *longest = (enum payer) payer;
  }
  return longest_ns;
}

static void note_wait(const fluxbp_session_t *session, enum rate rate, enum payer longest) {
  struct limits *limits = limits_of(session);
  bool is_replay = longest == PAYER_CLIENT && session->owes_replays;
  atomic_fetch_add(is_replay ? &limits->replays.of[PAYER_CLIENT].reached : &limits->rates[rate][longest].reached, 1);
}

bool session_has_tokens(fluxbp_session_t *session, enum rate rate) {
  enum payer longest;
  if (find_longest_wait(session, rate, &longest) == 0) {
    session->owes_replays = false;
    return true;
  }
  if (!session->waits_for_tokens) note_wait(session, rate, longest);
  session->waits_for_tokens = true;
  return false;
}

bool session_has_tokens_for_request(fluxbp_session_t *session) {
  return session_has_tokens(session, RATE_COMMANDS) && session_has_tokens(session, RATE_PUBLISHES);
}

void session_pay(fluxbp_session_t *session, enum rate rate, size_t count) {
  struct rate_limit *limits = limits_of(session)->rates[rate];
  struct payers payers = session_payers(session);
  uint64_t at_ns = now_ns(session);
  for (int payer = 0; payer < PAYERS; payer++)
    if (limits[payer].cost_ns > 0) account_pay(payers.list[payer], BUCKET_RATE, limits[payer].cost_ns * count, at_ns);
  if (limits[PAYER_CLIENT].cost_ns > 0)
    session->full_ns = bucket_paid(session->full_ns, limits[PAYER_CLIENT].cost_ns * count, at_ns);
}

uint64_t session_wait_ns(const fluxbp_session_t *session) {
  enum payer longest;
  uint64_t commands_ns = find_longest_wait(session, RATE_COMMANDS, &longest);
  uint64_t publishes_ns = find_longest_wait(session, RATE_PUBLISHES, &longest);
  uint64_t wait_ns = commands_ns > publishes_ns ? commands_ns : publishes_ns;
  return wait_ns > 0 ? wait_ns + REST_NS : 0;
}
