/* SPDX-License-Identifier: MIT */
/*
 * session_quotas: see the header. The account of a subject is kept with the session's tokens, as most sessions have
 * none.
 */
#include "session_quotas.h"

#include "server/permissions/networks.h"
#include "session_grants.h"
#include "subscriptions.h"

/* Of one address: connections beyond its limit that are told so at a time. Each takes a place among all connections
 * meanwhile. */
#define TOLD_MAX 16

#define NO_MEMORY "the server is out of memory; try again later"

static struct account **subject_account(const fluxbp_session_t *session) {
  struct session_grants *grants = session->details != NULL ? session->details->grants : NULL;
  return grants != NULL ? &grants->account : NULL;
}

enum joined session_join_address(fluxbp_session_t *session, bool is_named_by_proxy, const char **problem) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct sockaddr_storage address;
  const struct sockaddr *any = (const struct sockaddr *) &address;
  uint32_t over;
  peer_address_get(&session->peer, &address);
  if (any->sa_family == AF_UNSPEC || (!is_named_by_proxy && network_is_loopback(any))) return JOINED;
  session->account = accounts_join(server->accounts, PAYER_ADDRESS, network_key(any), uv_hrtime(), &over);
  *problem = server->limits.quotas[QUOTA_CONNECTIONS][PAYER_ADDRESS].text;
  if (session->account == NULL || over > TOLD_MAX) return JOINED_CROWD;
  return over > 0 ? JOINED_BEYOND : JOINED;
}

/* What the session has goes with it. What it has made stays where it was counted. */
static void move_subject(fluxbp_session_t *session, struct account **at, struct account *account) {
  uint32_t subscriptions = (uint32_t) fluxbp_session_topic_count(session);
  struct account *before = *at;
  account_add(account, QUOTA_SUBSCRIPTIONS, subscriptions);
  account_remove(before, QUOTA_SUBSCRIPTIONS, subscriptions);
  account_remove(before, QUOTA_CONNECTIONS, 1);
  *at = account;
}

const char *session_join_subject(fluxbp_session_t *session, const char *subject) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct account **at = subject_account(session);
  uint64_t key = secret_hash_of(&server->hash, subject);
  uint32_t over;
  if (*at != NULL && account_is_of(*at, key)) return NULL;
  struct account *account = accounts_join(server->accounts, PAYER_SUBJECT, key, uv_hrtime(), &over);
  if (account == NULL) return NO_MEMORY;
  if (over > 0) {
    account_remove(account, QUOTA_CONNECTIONS, 1);
    return server->limits.quotas[QUOTA_CONNECTIONS][PAYER_SUBJECT].text;
  }
  move_subject(session, at, account);
  return NULL;
}

void session_leave_subject(fluxbp_session_t *session) {
  struct account **at = subject_account(session);
  if (at != NULL && *at != NULL) move_subject(session, at, NULL);
}

void session_leave_accounts(fluxbp_session_t *session) {
  session_leave_subject(session);
  account_remove(session->account, QUOTA_CONNECTIONS, 1);
  session->account = NULL;
}

struct payers session_payers(const fluxbp_session_t *session) {
  struct account **subject = subject_account(session);
  return (struct payers){{[PAYER_ADDRESS] = session->account, [PAYER_SUBJECT] = subject != NULL ? *subject : NULL}};
}

const char *session_take_subscription(fluxbp_session_t *session) {
  struct payers payers = session_payers(session);
  return payers_take(&payers, QUOTA_SUBSCRIPTIONS);
}

void session_give_back_subscriptions(fluxbp_session_t *session, uint32_t count) {
  struct payers payers = session_payers(session);
  payers_give_back(&payers, QUOTA_SUBSCRIPTIONS, count);
}
