/* SPDX-License-Identifier: MIT */
/*
 * tls_tickets: the keys of session tickets, by themselves and in handshakes. The linker puts our clock in the place of
 * uv_hrtime, and our eyes before OPENSSL_cleanse (-Wl,--wrap).
 */
#include "support/certificates.h"
#include "support/tls_pair.h"
#include "tls/context.h"
#include "tls/tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#define KEY_S 3600
#define SECRET "the state of a session"

uint64_t __wrap_uv_hrtime(void);
void __real_OPENSSL_cleanse(void *memory, size_t length);
void __wrap_OPENSSL_cleanse(void *memory, size_t length);

static certificates_t *certificates;
static SSL_CTX *client;
static uint64_t now_s;

/* Bytes that had something in them when they were wiped. */
static size_t wiped;

uint64_t __wrap_uv_hrtime(void) {
  return now_s * 1000000000;
}

void __wrap_OPENSSL_cleanse(void *memory, size_t length) {
  for (size_t i = 0; i < length; i++) wiped += ((const unsigned char *) memory)[i] != 0;
  __real_OPENSSL_cleanse(memory, length);
}

static int begin(void **state) {
  (void) state;
  certificates = certificates_begin();
  client = tls_pair_client(certificates_path(certificates, "ca.pem"));
  (void) SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
  return 0;
}

static int end(void **state) {
  (void) state;
  SSL_CTX_free(client);
  certificates_end(certificates);
  return 0;
}

/* Keys. */

struct ticket {
  unsigned char name[FLUXBP__TICKET_NAME_BYTES];
  unsigned char iv[FLUXBP__TICKET_IV_BYTES];
  unsigned char text[sizeof SECRET + 32];
  int length;
  unsigned char mac[32];
};

static EVP_MAC_CTX *new_mac(void) {
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
  EVP_MAC_free(mac);
  assert_non_null(context);
  return context;
}

static void finish_mac(EVP_MAC_CTX *mac, const struct ticket *ticket, unsigned char result[32]) {
  size_t length;
  assert_int_equal(EVP_MAC_update(mac, ticket->text, (size_t) ticket->length), 1);
  assert_int_equal(EVP_MAC_final(mac, result, &length, 32), 1);
  assert_int_equal(length, 32);
}

static void seal(fluxbp__tickets_t *tickets, uint64_t at_s, struct ticket *ticket) {
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  EVP_MAC_CTX *mac = new_mac();
  int rest;
  assert_int_equal(fluxbp__tickets_seal(tickets, at_s, ticket->name, ticket->iv, cipher, mac), FLUXBP__TICKET_TAKEN);
  assert_int_equal(
      EVP_EncryptUpdate(cipher, ticket->text, &ticket->length, (const unsigned char *) SECRET, sizeof SECRET), 1);
  assert_int_equal(EVP_EncryptFinal_ex(cipher, ticket->text + ticket->length, &rest), 1);
  ticket->length += rest;
  finish_mac(mac, ticket, ticket->mac);
  EVP_CIPHER_CTX_free(cipher);
  EVP_MAC_CTX_free(mac);
}

/* @return what the keys say; a ticket that is taken is what was sealed */
static int open_ticket(fluxbp__tickets_t *tickets, uint64_t at_s, const struct ticket *ticket) {
  EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
  EVP_MAC_CTX *mac = new_mac();
  int result = fluxbp__tickets_open(tickets, at_s, ticket->name, ticket->iv, cipher, mac);
  if (result != FLUXBP__TICKET_REFUSED) {
    unsigned char text[sizeof ticket->text], found[32];
    int length, rest;
    finish_mac(mac, ticket, found);
    assert_memory_equal(found, ticket->mac, 32);
    assert_int_equal(EVP_DecryptUpdate(cipher, text, &length, ticket->text, ticket->length), 1);
    assert_int_equal(EVP_DecryptFinal_ex(cipher, text + length, &rest), 1);
    assert_int_equal(length + rest, sizeof SECRET);
    assert_memory_equal(text, SECRET, sizeof SECRET);
  }
  EVP_CIPHER_CTX_free(cipher);
  EVP_MAC_CTX_free(mac);
  return result;
}

static void a_ticket_is_opened_by_the_key_that_sealed_it(void **state) {
  (void) state;
  struct ticket ticket;
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S), *others = fluxbp__tickets_create(KEY_S);
  seal(tickets, 0, &ticket);
  assert_int_equal(open_ticket(tickets, 0, &ticket), FLUXBP__TICKET_TAKEN);
  assert_memory_not_equal(ticket.text, SECRET, sizeof SECRET);
  assert_int_equal(open_ticket(others, 0, &ticket), FLUXBP__TICKET_REFUSED);
  ticket.name[15] ^= 1;
  assert_int_equal(open_ticket(tickets, 0, &ticket), FLUXBP__TICKET_REFUSED);
  fluxbp__tickets_free(tickets);
  fluxbp__tickets_free(others);
}

static void a_name_of_zeros_is_no_key(void **state) {
  (void) state;
  struct ticket ticket = {.length = 16};
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  assert_int_equal(open_ticket(tickets, 0, &ticket), FLUXBP__TICKET_REFUSED);
  fluxbp__tickets_free(tickets);
}

static void tickets_of_one_key_differ(void **state) {
  (void) state;
  struct ticket one = {.length = 0}, two = one;
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  seal(tickets, 0, &one);
  seal(tickets, 0, &two);
  assert_memory_equal(one.name, two.name, sizeof one.name);
  assert_memory_not_equal(one.iv, two.iv, sizeof one.iv);
  assert_memory_not_equal(one.text, two.text, 16);
  fluxbp__tickets_free(tickets);
}

static void a_key_is_current_for_its_time(void **state) {
  (void) state;
  struct ticket first, last, next;
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  seal(tickets, 1000, &first);
  seal(tickets, 1000 + KEY_S - 1, &last);
  assert_memory_equal(first.name, last.name, sizeof first.name);
  assert_int_equal(open_ticket(tickets, 1000 + KEY_S - 1, &first), FLUXBP__TICKET_TAKEN);
  seal(tickets, 1000 + KEY_S, &next);
  assert_memory_not_equal(first.name, next.name, sizeof first.name);
  fluxbp__tickets_free(tickets);
}

static void the_former_key_is_taken_for_as_long_again(void **state) {
  (void) state;
  struct ticket first, next;
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  seal(tickets, 1000, &first);
  assert_int_equal(open_ticket(tickets, 1000 + KEY_S, &first), FLUXBP__TICKET_RENEWED);
  seal(tickets, 1000 + KEY_S, &next);
  assert_int_equal(open_ticket(tickets, 1000 + 2 * KEY_S - 1, &first), FLUXBP__TICKET_RENEWED);
  assert_int_equal(open_ticket(tickets, 1000 + 2 * KEY_S - 1, &next), FLUXBP__TICKET_TAKEN);
  assert_int_equal(open_ticket(tickets, 1000 + 2 * KEY_S, &first), FLUXBP__TICKET_REFUSED);
  assert_int_equal(open_ticket(tickets, 1000 + 2 * KEY_S, &next), FLUXBP__TICKET_RENEWED);
  fluxbp__tickets_free(tickets);
}

static void a_key_ends_in_a_server_that_was_idle(void **state) {
  (void) state;
  struct ticket ticket;
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  seal(tickets, 0, &ticket);
  assert_int_equal(open_ticket(tickets, 2 * KEY_S, &ticket), FLUXBP__TICKET_REFUSED);
  seal(tickets, 100 * KEY_S, &ticket);
  assert_int_equal(open_ticket(tickets, 102 * KEY_S - 1, &ticket), FLUXBP__TICKET_RENEWED);
  fluxbp__tickets_free(tickets);
}

/* The copies of one call, that are on its stack, are wiped by that call. */
static void keys_are_wiped_when_they_are_dropped(void **state) {
  (void) state;
  struct ticket ticket;
  const size_t least = 60; /* of the 80 random bytes of a key, some are 0 */
  fluxbp__tickets_t *tickets = fluxbp__tickets_create(KEY_S);
  seal(tickets, 0, &ticket);
  wiped = 0;
  seal(tickets, 0, &ticket);
  size_t of_a_call = wiped;
  assert_true(of_a_call > least);

  wiped = 0;
  seal(tickets, 2 * KEY_S, &ticket); /* one that ends, and what a call and making one take */
  assert_true(wiped > of_a_call + 2 * least);
  seal(tickets, 3 * KEY_S + 1, &ticket); /* the one of before is the former one now, and ends first */
  wiped = 0;
  seal(tickets, 4 * KEY_S, &ticket);
  assert_true(wiped > of_a_call + least);
  wiped = 0;
  seal(tickets, 4 * KEY_S, &ticket);
  assert_true(wiped < of_a_call + least);
  seal(tickets, 4 * KEY_S + 1, &ticket);
  wiped = 0;
  fluxbp__tickets_free(tickets); /* two keys */
  assert_true(wiped > 2 * least);
}

/* Handshakes. */

static fluxbp_tls_t *create(void) {
  fluxbp_tls_t *tls;
  fluxbp_tls_options_t options;
  char problem[512];
  fluxbp_tls_options_init(&options);
  options.certificates = &(fluxbp_tls_certificate_t){certificates_path(certificates, "server.pem"),
                                                     certificates_path(certificates, "server.key")};
  options.certificate_count = 1;
  options.ticket_key_s = KEY_S;
  assert_int_equal(fluxbp_tls_create(&options, &tls, problem, sizeof problem), 0);
  return tls;
}

/* Connect, with a session of before or NULL, which is replaced by that of this connection. @return whether the server
 * has resumed it */
static bool resume(fluxbp_tls_t *tls, int version, SSL_SESSION **session) {
  tls_pair_t pair;
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  assert_int_equal(SSL_set_max_proto_version(pair.client, version), 1);
  if (*session != NULL) assert_int_equal(SSL_set_session(pair.client, *session), 1);
  assert_true(tls_pair_shake_hands(&pair));
  assert_true(tls_pair_send(&pair));
  bool is_resumed = SSL_session_reused(pair.client);
  assert_int_equal(SSL_session_reused(pair.server.ssl), is_resumed);
  SSL_SESSION_free(*session);
  *session = SSL_get1_session(pair.client);
  tls_pair_end(&pair);
  return is_resumed;
}

static const unsigned char *key_name_of(const SSL_SESSION *session) {
  const unsigned char *ticket;
  size_t length;
  SSL_SESSION_get0_ticket(session, &ticket, &length);
  assert_true(length > FLUXBP__TICKET_NAME_BYTES);
  return ticket;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void a_client_resumes_its_session_again_and_again(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create();
    assert_false(resume(tls, versions[i], &session));
    for (int j = 0; j < 3; j++) assert_true(resume(tls, versions[i], &session));
    SSL_SESSION_free(session);
    fluxbp_tls_free(tls);
  }
}

static void each_connection_of_tls_1_3_gets_a_ticket_of_its_own(void **state) {
  (void) state;
  SSL_SESSION *first = NULL;
  fluxbp_tls_t *tls = create();
  assert_false(resume(tls, TLS1_3_VERSION, &first));
  assert_int_equal(SSL_SESSION_up_ref(first), 1);
  SSL_SESSION *second = first;
  assert_true(resume(tls, TLS1_3_VERSION, &second));
  const unsigned char *one, *two;
  size_t one_length, two_length;
  SSL_SESSION_get0_ticket(first, &one, &one_length);
  SSL_SESSION_get0_ticket(second, &two, &two_length);
  assert_true(one_length != two_length || memcmp(one, two, one_length) != 0);
  SSL_SESSION_free(first);
  SSL_SESSION_free(second);
  fluxbp_tls_free(tls);
}

static void a_session_is_resumed_after_the_key_has_changed_and_gets_the_new_one(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    unsigned char name[FLUXBP__TICKET_NAME_BYTES];
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create();
    assert_false(resume(tls, versions[i], &session));
    memcpy(name, key_name_of(session), sizeof name);
    now_s += KEY_S - 1;
    assert_true(resume(tls, versions[i], &session));
    assert_memory_equal(key_name_of(session), name, sizeof name);
    now_s += 1;
    assert_true(resume(tls, versions[i], &session));
    assert_memory_not_equal(key_name_of(session), name, sizeof name);
    now_s += 2 * KEY_S - 1;
    assert_true(resume(tls, versions[i], &session));
    SSL_SESSION_free(session);
    fluxbp_tls_free(tls);
  }
}

static void a_session_is_not_resumed_after_its_key_has_ended(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create();
    assert_false(resume(tls, versions[i], &session));
    now_s += 2 * KEY_S;
    assert_false(resume(tls, versions[i], &session));
    assert_true(resume(tls, versions[i], &session)); /* the full handshake has given another ticket */
    SSL_SESSION_free(session);
    fluxbp_tls_free(tls);
  }
}

static void a_session_is_not_resumed_after_a_reload(void **state) {
  (void) state;
  for (size_t i = 0; i < 2; i++) {
    SSL_SESSION *session = NULL;
    fluxbp_tls_t *tls = create();
    char problem[512];
    assert_false(resume(tls, versions[i], &session));
    assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), 0);
    assert_false(resume(tls, versions[i], &session));
    assert_true(resume(tls, versions[i], &session));
    SSL_SESSION_free(session);
    fluxbp_tls_free(tls);
  }
}

static void tickets_tell_how_long_they_are_taken(void **state) {
  (void) state;
  SSL_SESSION *session = NULL;
  fluxbp_tls_t *tls = create();
  assert_false(resume(tls, TLS1_3_VERSION, &session));
  assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), KEY_S);
  SSL_SESSION_free(session);
  fluxbp_tls_free(tls);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_ticket_is_opened_by_the_key_that_sealed_it),
      cmocka_unit_test(a_name_of_zeros_is_no_key),
      cmocka_unit_test(tickets_of_one_key_differ),
      cmocka_unit_test(a_key_is_current_for_its_time),
      cmocka_unit_test(the_former_key_is_taken_for_as_long_again),
      cmocka_unit_test(a_key_ends_in_a_server_that_was_idle),
      cmocka_unit_test(keys_are_wiped_when_they_are_dropped),
      cmocka_unit_test(a_client_resumes_its_session_again_and_again),
      cmocka_unit_test(each_connection_of_tls_1_3_gets_a_ticket_of_its_own),
      cmocka_unit_test(a_session_is_resumed_after_the_key_has_changed_and_gets_the_new_one),
      cmocka_unit_test(a_session_is_not_resumed_after_its_key_has_ended),
      cmocka_unit_test(a_session_is_not_resumed_after_a_reload),
      cmocka_unit_test(tickets_tell_how_long_they_are_taken),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
