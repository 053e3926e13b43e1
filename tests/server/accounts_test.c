/* SPDX-License-Identifier: MIT */
/*
 * accounts: as much for each address and each subject as may be, and no account when everything has gone.
 */
#include "server/quotas/accounts.h"

#include "server/address.h"
#include "server/permissions/networks.h"

#include <fluxbp/server.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS ((uint64_t) 1000 * 1000 * 1000)

static struct limits limits;
static uint64_t now_ns = 100 * SECOND_NS;

static struct accounts *create(uint32_t most) {
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.max_per_address = options.max_per_subject = most;
  options.max_subscriptions_per_address = options.max_subscriptions_per_subject = most;
  options.max_topics_per_address = options.max_topics_per_subject = most;
  options.max_keys_per_address = options.max_keys_per_subject = most;
  memset(&limits, 0, sizeof limits);
  limits_init(&limits, &options);
  struct accounts *accounts = accounts_create(&limits);
  assert_non_null(accounts);
  return accounts;
}

static uint64_t key_of(const char *text) {
  struct sockaddr_storage address;
  assert_int_equal(0, server_address_parse(text, &address));
  return network_key((const struct sockaddr *) &address);
}

/* @return by how many the address is over its limit */
static uint32_t join(struct accounts *accounts, const char *text, struct account **account) {
  uint32_t over;
  *account = accounts_join(accounts, PAYER_ADDRESS, key_of(text), now_ns, &over);
  assert_non_null(*account);
  return over;
}

static void leave(struct account *account) {
  account_remove(account, QUOTA_CONNECTIONS, 1);
}

static void each_address_may_have_so_many_connections(void **state) {
  struct accounts *accounts = create(2);
  struct account *first, *same, *other;
  (void) state;
  assert_int_equal(join(accounts, "192.0.2.7:1", &first), 0);
  assert_int_equal(join(accounts, "192.0.2.7:2", &same), 0);
  assert_ptr_equal(first, same);
  assert_int_equal(join(accounts, "192.0.2.7:3", &same), 1);
  assert_int_equal(join(accounts, "[::ffff:192.0.2.7]:3", &same), 2);
  assert_int_equal(join(accounts, "192.0.2.8:1", &other), 0);
  assert_int_equal(accounts_count(accounts), 2);
  assert_int_equal(limits.quotas[QUOTA_CONNECTIONS][PAYER_ADDRESS].reached, 2);
  leave(same);
  leave(same);
  leave(same);
  assert_int_equal(join(accounts, "192.0.2.7:3", &same), 0);
  leave(same);
  leave(same);
  leave(other);
  assert_int_equal(accounts_count(accounts), 0);
  accounts_free(accounts);
}

static void ipv6_counts_by_its_prefix(void **state) {
  struct accounts *accounts = create(1);
  struct account *first, *same, *other;
  (void) state;
  assert_int_equal(join(accounts, "[2001:db8::1]:1", &first), 0);
  assert_int_equal(join(accounts, "[2001:db8::ffff:2]:1", &same), 1);
  assert_int_equal(join(accounts, "[2001:db8:0:1::1]:1", &other), 0);
  leave(same);
  leave(first);
  leave(other);
  accounts_free(accounts);
}

static void zero_is_no_limit(void **state) {
  struct accounts *accounts = create(0);
  struct account *account;
  (void) state;
  for (int i = 0; i < 1000; i++) assert_int_equal(join(accounts, "192.0.2.7:1", &account), 0);
  struct payers payers = {{account, NULL}};
  for (int i = 0; i < 1000; i++) assert_null(payers_take(&payers, QUOTA_KEYS));
  payers_give_back(&payers, QUOTA_KEYS, 1000);
  account_remove(account, QUOTA_CONNECTIONS, 1000);
  accounts_free(accounts);
}

static void an_address_and_a_subject_with_one_key_are_kept_apart(void **state) {
  struct accounts *accounts = create(1);
  uint32_t over;
  (void) state;
  struct account *address = accounts_join(accounts, PAYER_ADDRESS, 5, now_ns, &over);
  struct account *subject = accounts_join(accounts, PAYER_SUBJECT, 5, now_ns, &over);
  assert_int_equal(over, 0);
  assert_ptr_not_equal(address, subject);
  assert_true(account_is_of(subject, 5));
  assert_false(account_is_of(subject, 6));
  leave(address);
  leave(subject);
  accounts_free(accounts);
}

static void a_wish_is_counted_for_all_payers_or_for_none(void **state) {
  struct accounts *accounts = create(2);
  struct account *address;
  uint32_t over;
  (void) state;
  (void) join(accounts, "192.0.2.7:1", &address);
  struct account *subject = accounts_join(accounts, PAYER_SUBJECT, 1, now_ns, &over);
  struct payers both = {{address, subject}}, one = {{NULL, subject}}, none = {{NULL, NULL}};
  for (int i = 0; i < 10; i++) assert_null(payers_take(&none, QUOTA_TOPICS));
  assert_null(payers_take(&one, QUOTA_TOPICS));
  assert_null(payers_take(&both, QUOTA_TOPICS));
  assert_string_equal(payers_take(&both, QUOTA_TOPICS),
                      "too many topics of your subject: this server's limit of topics per subject is 2");
  assert_string_equal(payers_take(&one, QUOTA_TOPICS), limits.quotas[QUOTA_TOPICS][PAYER_SUBJECT].text);
  assert_int_equal(limits.quotas[QUOTA_TOPICS][PAYER_SUBJECT].reached, 2);
  assert_int_equal(limits.quotas[QUOTA_TOPICS][PAYER_ADDRESS].reached, 0);
  assert_null(payers_take(&both, QUOTA_KEYS)); /* each quota is another one */
  payers_give_back(&both, QUOTA_KEYS, 1);
  payers_give_back(&one, QUOTA_TOPICS, 1);
  assert_null(payers_take(&both, QUOTA_TOPICS)); /* the address had one */
  assert_non_null(payers_take(&both, QUOTA_TOPICS));
  payers_give_back(&both, QUOTA_TOPICS, 2);
  leave(address);
  leave(subject);
  accounts_free(accounts);
}

static void an_account_stays_while_anything_is_counted(void **state) {
  struct accounts *accounts = create(1);
  struct account *account, *again;
  (void) state;
  (void) join(accounts, "192.0.2.7:1", &account);
  struct payers payers = {{account, NULL}};
  assert_null(payers_take(&payers, QUOTA_KEYS));
  leave(account);
  assert_int_equal(accounts_count(accounts), 1);
  assert_int_equal(join(accounts, "192.0.2.7:9", &again), 0);
  assert_ptr_equal(account, again);
  assert_string_equal(payers_take(&payers, QUOTA_KEYS),
                      "too many keys of your address: this server's limit of keys per address is 1");
  leave(account);
  payers_give_back(&payers, QUOTA_KEYS, 1);
  assert_int_equal(accounts_count(accounts), 0);
  accounts_free(accounts);
}

static void an_account_in_debt_stays_until_that_is_paid(void **state) {
  struct accounts *accounts = create(1);
  struct account *account, *other;
  (void) state;
  (void) join(accounts, "192.0.2.7:1", &account);
  assert_int_equal(account_wait_ns(account, BUCKET_REPLAYS, now_ns), 0);
  account_pay(account, BUCKET_REPLAYS, 15 * SECOND_NS, now_ns);
  assert_int_equal(account_wait_ns(account, BUCKET_REPLAYS, now_ns), 5 * SECOND_NS);
  leave(account);
  assert_int_equal(accounts_count(accounts), 1); /* idle */
  assert_int_equal(join(accounts, "192.0.2.7:2", &account), 0);
  assert_int_equal(account_wait_ns(account, BUCKET_REPLAYS, now_ns + SECOND_NS), 4 * SECOND_NS);
  leave(account);
  now_ns += 14 * SECOND_NS;
  (void) join(accounts, "192.0.2.8:1", &other);
  account_pay(other, BUCKET_REPLAYS, SECOND_NS, now_ns);
  leave(other);
  assert_int_equal(accounts_count(accounts), 2);
  now_ns += SECOND_NS;
  (void) join(accounts, "192.0.2.9:1", &other);
  account_pay(other, BUCKET_REPLAYS, SECOND_NS, now_ns);
  leave(other);
  assert_int_equal(accounts_count(accounts), 1); /* the first is full now, and so is the second */
  accounts_free(accounts);
}

static void so_many_idle_accounts_are_kept(void **state) {
  struct accounts *accounts = create(1);
  struct account *account;
  uint32_t over;
  (void) state;
  for (uint64_t key = 1; key <= ACCOUNTS_IDLE_MAX + 10; key++) {
    account = accounts_join(accounts, PAYER_ADDRESS, key, now_ns, &over);
    account_pay(account, BUCKET_REPLAYS, 20 * SECOND_NS, now_ns);
    leave(account);
  }
  assert_int_equal(accounts_count(accounts), ACCOUNTS_IDLE_MAX);
  account = accounts_join(accounts, PAYER_ADDRESS, 10, now_ns, &over); /* one of the first */
  assert_int_equal(account_wait_ns(account, BUCKET_REPLAYS, now_ns), 0);
  leave(account);
  account = accounts_join(accounts, PAYER_ADDRESS, 11, now_ns, &over);
  assert_int_equal(account_wait_ns(account, BUCKET_REPLAYS, now_ns), 10 * SECOND_NS);
  leave(account);
  accounts_free(accounts);
}

static void many_addresses_are_kept_apart(void **state) {
  struct accounts *accounts = create(1);
  struct account **all = calloc(50000, sizeof *all), *again;
  char text[FLUXBP_ADDRESS_TEXT_BYTES];
  (void) state;
  for (int round = 0; round < 2; round++)
    for (unsigned i = 0; i < 50000; i++) {
      snprintf(text, sizeof text, "10.0.%u.%u:1", i >> 8, i & 0xff);
      assert_int_equal(join(accounts, text, round == 0 ? &all[i] : &again), round);
    }
  assert_int_equal(accounts_count(accounts), 50000);
  for (unsigned i = 0; i < 50000; i++) account_remove(all[i], QUOTA_CONNECTIONS, 2);
  assert_int_equal(accounts_count(accounts), 0);
  accounts_free(accounts);
  free(all);
}

static void a_quarter_of_all_is_the_default(void **state) {
  fluxbp_server_options_t options;
  (void) state;
  fluxbp_server_options_init(&options);
  options.max_connections = 10;
  options.max_topics = 1;
  limits_init(&limits, &options);
  assert_int_equal(limits.quotas[QUOTA_CONNECTIONS][PAYER_ADDRESS].most, 3);
  assert_int_equal(limits.quotas[QUOTA_CONNECTIONS][PAYER_SUBJECT].most, 3);
  assert_int_equal(limits.quotas[QUOTA_TOPICS][PAYER_ADDRESS].most, 1);
  assert_int_equal(limits.quotas[QUOTA_TOPICS][PAYER_SUBJECT].most, 1);
  assert_int_equal(limits.quotas[QUOTA_SUBSCRIPTIONS][PAYER_ADDRESS].most, 262144);
  assert_int_equal(limits.quotas[QUOTA_KEYS][PAYER_SUBJECT].most, 0);
}

static void add_name(const char *name, uint64_t reached, void *all) {
  char *text = all;
  snprintf(text + strlen(text), 512 - strlen(text), "%s %u\n", name, (unsigned) reached);
}

static void each_limit_has_a_name_and_words_that_fit_into_a_close_frame(void **state) {
  char all[512] = "";
  (void) state;
  accounts_free(create(UINT32_MAX - 1));
  for (int quota = 0; quota < QUOTAS; quota++)
    for (int payer = 0; payer < PAYERS; payer++) {
      const char *text = limits.quotas[quota][payer].text;
      assert_string_equal(text + strlen(text) - strlen(" is 4294967294"), " is 4294967294");
      assert_true(limits_have_text(&limits, text));
    }
  limits.rates[RATE_PUBLISHES][PAYER_CLIENT].reached = 7;
  limits_each(&limits, add_name, all);
  assert_string_equal(all, "connections_per_address 0\nconnections_per_subject 0\nsubscriptions_per_address 0\n"
                           "subscriptions_per_subject 0\ntopics_per_address 0\ntopics_per_subject 0\n"
                           "keys_per_address 0\nkeys_per_subject 0\ncommands_per_address 0\n"
                           "commands_per_subject 0\ncommands_per_client 0\npublishes_per_address 0\n"
                           "publishes_per_subject 0\npublishes_per_client 7\nreplays_per_address 0\n"
                           "replays_per_subject 0\nreplays_per_client 0\nreplays_per_thread 0\n");
  assert_false(limits_have_text(&limits, "server full"));
}

static void a_replay_costs_by_what_is_scarcer(void **state) {
  struct replay_limit limit = {.messages = 1000, .bytes = 1 << 20}, none = {.messages = 0};
  (void) state;
  assert_int_equal(replay_cost_ns(&limit, 500, 0), SECOND_NS / 2);
  assert_int_equal(replay_cost_ns(&limit, 500, 1 << 19), SECOND_NS / 2);
  assert_int_equal(replay_cost_ns(&limit, 500, 1 << 21), 2 * SECOND_NS);
  assert_int_equal(replay_cost_ns(&limit, 0, (uint64_t) 1 << 40), (SECOND_NS << 20));
  assert_int_equal(replay_cost_ns(&none, 500, 1 << 21), 0);
  assert_false(replay_limit_is_set(&none));
  limit.messages = 0;
  assert_true(replay_limit_is_set(&limit));
  assert_int_equal(replay_cost_ns(&limit, 500, 1 << 20), SECOND_NS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_address_may_have_so_many_connections),
      cmocka_unit_test(ipv6_counts_by_its_prefix),
      cmocka_unit_test(zero_is_no_limit),
      cmocka_unit_test(an_address_and_a_subject_with_one_key_are_kept_apart),
      cmocka_unit_test(a_wish_is_counted_for_all_payers_or_for_none),
      cmocka_unit_test(an_account_stays_while_anything_is_counted),
      cmocka_unit_test(an_account_in_debt_stays_until_that_is_paid),
      cmocka_unit_test(so_many_idle_accounts_are_kept),
      cmocka_unit_test(many_addresses_are_kept_apart),
      cmocka_unit_test(a_quarter_of_all_is_the_default),
      cmocka_unit_test(a_replay_costs_by_what_is_scarcer),
      cmocka_unit_test(each_limit_has_a_name_and_words_that_fit_into_a_close_frame),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
