/* SPDX-License-Identifier: MIT */
/*
 * tls_reload: files that are refused, with what is said of them, by a server that begins and by one that reads its
 * files again; and what connections get before and after.
 */
#include "support/certificates.h"
#include "support/tls_pair.h"
#include "tls/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>

#define PROBLEM_BYTES 512
#define DAY_S (24 * 60 * 60)

/* The files of the server under test: what they are is different in each test. */
static const char CERTIFICATE[] = "used.pem", KEY[] = "used.key", CA[] = "used-ca.pem";

static certificates_t *certificates;
static SSL_CTX *client;
static char problem[PROBLEM_BYTES];

static const char *path_of(const char *file) {
  return certificates_path(certificates, file);
}

/* The file `name` is a copy of `file` that its owner alone can read. */
static void copy_as(const char *name, const char *file) {
  char text[8192];
  FILE *stream = fopen(path_of(file), "r");
  assert_non_null(stream);
  text[fread(text, 1, sizeof text - 1, stream)] = '\0';
  assert_int_equal(fclose(stream), 0);
  (void) rmdir(path_of(name));
  (void) unlink(path_of(name));
  certificates_write(certificates, name, text);
}

static int begin(void **state) {
  (void) state;
  certificates = certificates_begin();
  client = tls_pair_client(path_of("ca.pem"));
  return 0;
}

static int end(void **state) {
  (void) state;
  SSL_CTX_free(client);
  certificates_end(certificates);
  return 0;
}

static int use_right_files(void **state) {
  (void) state;
  copy_as(CERTIFICATE, "server.pem");
  copy_as(KEY, "server.key");
  copy_as(CA, "ca.pem");
  return 0;
}

static int create(fluxbp_tls_t **tls) {
  fluxbp_tls_options_t options;
  const fluxbp_tls_certificate_t list[] = {{path_of("server.pem"), path_of("server.key")},
                                           {path_of(CERTIFICATE), path_of(KEY)}};
  fluxbp_tls_options_init(&options);
  options.certificates = list;
  options.certificate_count = 2;
  options.client_ca = path_of(CA);
  options.clients = FLUXBP_TLS_CLIENTS_OPTIONAL;
  problem[0] = '\0';
  return fluxbp_tls_create(&options, tls, problem, sizeof problem);
}

static fluxbp_tls_t *create_right(void) {
  fluxbp_tls_t *tls;
  int err = create(&tls);
  assert_string_equal(problem, "");
  assert_int_equal(err, 0);
  return tls;
}

/* Connect as a client of used.example.org, and write the serial number of the certificate that it gets. */
static long connect_for_serial(fluxbp_tls_t *tls) {
  tls_pair_t pair;
  tls_pair_begin(&pair, fluxbp__tls_context(tls), client);
  assert_int_equal(SSL_set_tlsext_host_name(pair.client, "used.example.org"), 1);
  assert_true(tls_pair_shake_hands(&pair));
  long serial = ASN1_INTEGER_get(X509_get0_serialNumber(SSL_get0_peer_certificate(pair.client)));
  tls_pair_end(&pair);
  return serial;
}

/* `break_file` has broken a file of right ones. Neither a new server takes it, nor one that is there, which goes on
 * with what it had. The problem is the path of `file` with `what` behind it. */
static void assert_refused_after(void (*break_file)(void), const char *file, const char *what) {
  char wanted[PROBLEM_BYTES];
  (void) snprintf(wanted, sizeof wanted, "%s: %s", path_of(file), what);
  (void) use_right_files(NULL);
  fluxbp_tls_t *tls = create_right(), *other;
  SSL_CTX *before = fluxbp__tls_context(tls);
  uint64_t expires_s = fluxbp_tls_expires_s(tls);
  long serial = connect_for_serial(tls);
  break_file();

  problem[0] = '\0';
  assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), UV_EINVAL);
  assert_string_equal(problem, wanted);
  SSL_CTX *after = fluxbp__tls_context(tls);
  assert_ptr_equal(after, before);
  assert_int_equal(fluxbp_tls_expires_s(tls), expires_s);
  assert_int_equal(connect_for_serial(tls), serial);
  SSL_CTX_free(before);
  SSL_CTX_free(after);
  fluxbp_tls_free(tls);

  assert_int_equal(create(&other), UV_EINVAL);
  assert_string_equal(problem, wanted);
  assert_null(other);
}

/* Files that are refused. */

static void remove_certificate(void) {
  assert_int_equal(unlink(path_of(CERTIFICATE)), 0);
}

static void remove_key(void) {
  assert_int_equal(unlink(path_of(KEY)), 0);
}

static void remove_authorities(void) {
  assert_int_equal(unlink(path_of(CA)), 0);
}

static void a_file_that_is_missing_is_refused(void **state) {
  (void) state;
  static const char what[] = "it can't be read: No such file or directory; check the path";
  assert_refused_after(remove_certificate, CERTIFICATE, what);
  assert_refused_after(remove_key, KEY, what);
  assert_refused_after(remove_authorities, CA, what);
}

static void make_directory(void) {
  remove_certificate();
  assert_int_equal(mkdir(path_of(CERTIFICATE), 0700), 0);
}

static void make_fifo(void) {
  remove_key();
  assert_int_equal(mkfifo(path_of(KEY), 0600), 0);
}

static void a_directory_or_a_pipe_is_refused(void **state) {
  (void) state;
  assert_refused_after(make_directory, CERTIFICATE, "it is a directory; name a PEM file in it");
  assert_refused_after(make_fifo, KEY, "it isn't a regular file; name a PEM file");
}

static void make_large(void) {
  assert_int_equal(truncate(path_of(CERTIFICATE), 1024 * 1024 + 1), 0);
}

static void a_file_of_more_than_1_mib_is_refused(void **state) {
  (void) state;
  assert_refused_after(make_large, CERTIFICATE, "it has more than 1 MiB; name a PEM file");
}

static void hide_key(void) {
  assert_int_equal(chmod(path_of(KEY), 0000), 0);
}

static void a_file_that_the_server_may_not_read_is_refused(void **state) {
  (void) state;
  if (geteuid() == 0) skip(); /* it may read any file */
  assert_refused_after(hide_key, KEY,
                       "it can't be read: Permission denied; let the user that the server runs as read it");
}

static void show_key(void) {
  assert_int_equal(chmod(path_of(KEY), 0644), 0);
}

static void a_key_that_others_can_read_is_refused(void **state) {
  (void) state;
  assert_refused_after(show_key, KEY, "it has a key, and others than its owner and its group may use it; chmod 640 it");
  (void) use_right_files(NULL);
  assert_int_equal(chmod(path_of(KEY), 0640), 0);
  fluxbp_tls_free(create_right());
}

static void empty_certificate(void) {
  certificates_write(certificates, CERTIFICATE, "");
}

static void swap_files(void) {
  copy_as(CERTIFICATE, "server.key");
}

static void swap_key(void) {
  copy_as(KEY, "server.pem");
}

static void empty_authorities(void) {
  certificates_write(certificates, CA, "a note\n");
}

static void a_file_of_something_else_is_refused(void **state) {
  (void) state;
  static const char none[] = "there is no certificate in it (BEGIN CERTIFICATE); name a PEM file";
  assert_refused_after(empty_certificate, CERTIFICATE, none);
  assert_refused_after(swap_files, CERTIFICATE, none);
  assert_refused_after(empty_authorities, CA, none);
  assert_refused_after(swap_key, KEY, "there is no private key in it (BEGIN PRIVATE KEY); name a PEM file");
}

/* Cut a file in its middle, as one that is being written. */
static void cut(const char *file) {
  struct stat status;
  assert_int_equal(stat(path_of(file), &status), 0);
  assert_int_equal(truncate(path_of(file), status.st_size / 2), 0);
}

static void cut_certificate(void) {
  cut(CERTIFICATE);
}

static void cut_key(void) {
  cut(KEY);
}

static void cut_second_authority(void) {
  FILE *stream = fopen(path_of(CA), "a");
  assert_non_null(stream);
  assert_true(fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

static void a_damaged_file_is_refused(void **state) {
  (void) state;
  assert_refused_after(cut_certificate, CERTIFICATE, "a certificate is damaged (bad end line); write the file anew");
  assert_refused_after(cut_second_authority, CA, "a certificate is damaged (bad end line); write the file anew");
  assert_refused_after(cut_key, KEY,
                       "the private key is damaged, or of a kind that OpenSSL doesn't know; write the file anew");
}

static void other_key(void) {
  copy_as(KEY, "client.key");
}

static void a_key_of_another_certificate_is_refused(void **state) {
  (void) state;
  char what[PROBLEM_BYTES];
  (void) snprintf(what, sizeof what,
                  "the key doesn't belong to the first certificate of %s; name the files of one pair",
                  path_of(CERTIFICATE));
  assert_refused_after(other_key, KEY, what);
}

static void lock_key(void) {
  static const unsigned char passphrase[] = "secret";
  FILE *stream = fopen(path_of(KEY), "r+");
  assert_non_null(stream);
  EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
  rewind(stream);
  assert_int_equal(PEM_write_PrivateKey(stream, key, EVP_aes_128_cbc(), passphrase, 6, NULL, NULL), 1);
  assert_int_equal(fclose(stream), 0);
  EVP_PKEY_free(key);
}

static void a_key_with_a_passphrase_is_refused_and_nobody_is_asked(void **state) {
  (void) state;
  assert_refused_after(lock_key, KEY,
                       "the key has a passphrase; write it without one (openssl pkey -in FILE -out NEW)");
}

/* Issue a pair and use it. */
static void use(const certificate_wish_t *wish) {
  certificates_issue(certificates, wish);
  char name[64];
  (void) snprintf(name, sizeof name, "%s.pem", wish->file);
  copy_as(CERTIFICATE, name);
  (void) snprintf(name, sizeof name, "%s.key", wish->file);
  copy_as(KEY, name);
}

static void use_weak(void) {
  use(&(certificate_wish_t){.file = "weak", .common_name = "weak", .rsa_bits = 1024});
}

static void a_weak_key_is_refused(void **state) {
  (void) state;
  assert_refused_after(use_weak, CERTIFICATE,
                       "it can't be used (ee key too small); have one made with a key of P-256, or of RSA with 2048 "
                       "bits, and with SHA-256");
}

static void use_expired(void) {
  use(&(certificate_wish_t){.file = "old", .common_name = "old", .begins_in_s = -2 * DAY_S, .ends_in_s = -DAY_S});
}

static void use_expired_authority(void) {
  certificates_issue(certificates, &(certificate_wish_t){.file = "old-ca",
                                                         .common_name = "old",
                                                         .issuer = "old-ca",
                                                         .is_authority = true,
                                                         .begins_in_s = -2 * DAY_S,
                                                         .ends_in_s = -DAY_S});
  copy_as(CA, "old-ca.pem");
}

static void use_early(void) {
  use(&(certificate_wish_t){.file = "early", .common_name = "early", .begins_in_s = DAY_S, .ends_in_s = 2 * DAY_S});
}

/* The sentence with its time cut out is `what`. */
static void assert_refused_with_time_after(void (*break_file)(void), const char *file, const char *before,
                                           const char *after) {
  (void) use_right_files(NULL);
  fluxbp_tls_t *tls = create_right();
  char wanted[PROBLEM_BYTES];
  int year, month, day, hour, minute, second;
  break_file();
  assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), UV_EINVAL);
  fluxbp_tls_free(tls);
  (void) snprintf(wanted, sizeof wanted, "%s: %s", path_of(file), before);
  assert_memory_equal(problem, wanted, strlen(wanted));
  const char *time = problem + strlen(wanted);
  assert_int_equal(sscanf(time, "%4d-%2d-%2d %2d:%2d:%2d", &year, &month, &day, &hour, &minute, &second), 6);
  assert_string_equal(time + strlen("2026-11-30 12:00:00"), after);
}

static void a_certificate_outside_of_its_time_is_refused(void **state) {
  (void) state;
  static const char before[] = "certificate 1 has expired at ", after[] = " UTC; renew it";
  assert_refused_with_time_after(use_expired, CERTIFICATE, before, after);
  assert_refused_with_time_after(use_expired_authority, CA, before, after);
  assert_refused_with_time_after(use_early, CERTIFICATE, "certificate 1 isn't valid before ",
                                 " UTC; wait until then, or set this machine's clock");
}

/* Files that are right. */

static void new_connections_get_what_the_files_have_now(void **state) {
  (void) state;
  fluxbp_tls_t *tls = create_right();
  tls_pair_t old;
  tls_pair_begin(&old, fluxbp__tls_context(tls), client);
  assert_true(tls_pair_shake_hands(&old));
  long serial = connect_for_serial(tls);
  use(&(certificate_wish_t){.file = "new", .names = "DNS:used.example.org"});
  assert_int_equal(connect_for_serial(tls), serial);
  assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), 0);
  assert_int_not_equal(connect_for_serial(tls), serial);
  assert_true(tls_pair_send(&old));
  assert_true(tls_pair_answer(&old));
  tls_pair_end(&old);
  fluxbp_tls_free(tls);
}

static void a_connection_outlives_what_it_began_with(void **state) {
  (void) state;
  use(&(certificate_wish_t){.file = "used", .names = "DNS:used.example.org"});
  fluxbp_tls_t *tls = create_right();
  tls_pair_t pairs[2];
  for (size_t i = 0; i < 2; i++) {
    tls_pair_begin(&pairs[i], fluxbp__tls_context(tls), client);
    assert_int_equal(SSL_set_tlsext_host_name(pairs[i].client, "used.example.org"), 1);
    assert_int_equal(SSL_set1_host(pairs[i].client, "used.example.org"), 1);
    if (i == 0) assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), 0);
  }
  fluxbp_tls_free(tls);
  for (size_t i = 0; i < 2; i++) {
    assert_true(tls_pair_shake_hands(&pairs[i])); /* the name's certificate, and a ticket */
    assert_true(SSL_SESSION_has_ticket(SSL_get0_session(pairs[i].client)));
    tls_pair_end(&pairs[i]);
  }
}

static void it_is_told_when_the_first_certificate_expires(void **state) {
  (void) state;
  use(&(certificate_wish_t){.file = "short", .names = "DNS:short", .begins_in_s = -DAY_S, .ends_in_s = 2 * DAY_S});
  uint64_t before_s = (uint64_t) time(NULL);
  fluxbp_tls_t *tls = create_right();
  uint64_t expires_s = fluxbp_tls_expires_s(tls);
  assert_in_range(expires_s, before_s + 2 * DAY_S - 60, before_s + 2 * DAY_S);
  (void) use_right_files(NULL);
  assert_int_equal(fluxbp_tls_reload(tls, problem, sizeof problem), 0);
  assert_in_range(fluxbp_tls_expires_s(tls), before_s + 30 * DAY_S - 600, before_s + 30 * DAY_S);
  fluxbp_tls_free(tls);
}

/* Options. */

static void assert_option_refused(const fluxbp_tls_options_t *options, int err, const char *what) {
  fluxbp_tls_t *tls;
  problem[0] = '\0';
  assert_int_equal(fluxbp_tls_create(options, &tls, problem, sizeof problem), err);
  assert_string_equal(problem, what);
  assert_null(tls);
}

static void options_out_of_their_range_are_refused(void **state) {
  (void) state;
  const fluxbp_tls_certificate_t right[65] = {{path_of(CERTIFICATE), path_of(KEY)}},
                                 no_key = {path_of(CERTIFICATE), NULL};
  fluxbp_tls_options_t options, defaults;
  fluxbp_tls_options_init(&defaults);
  assert_option_refused(&defaults, UV_EINVAL, "TLS needs a certificate and its key");
  defaults.certificates = right;
  defaults.certificate_count = 1;

  options = defaults;
  options.certificate_count = 65;
  assert_option_refused(&options, UV_EINVAL, "TLS takes at most 64 certificates");
  options = defaults;
  options.certificates = &no_key;
  assert_option_refused(&options, UV_EINVAL, "a certificate and its key belong together: give both paths");
  options = defaults;
  options.clients = (fluxbp_tls_clients_t) 2;
  assert_option_refused(&options, UV_EINVAL, "clients' certificates are required or optional");
  options = defaults;
  options.ticket_key_s = 59;
  assert_option_refused(&options, UV_EINVAL, "keys of session tickets are current for 60 to 604800 seconds");
  options.ticket_key_s = 604801;
  assert_option_refused(&options, UV_EINVAL, "keys of session tickets are current for 60 to 604800 seconds");
}

static void options_of_another_version_are_told_apart(void **state) {
  (void) state;
  struct {
    fluxbp_tls_options_t options;
    size_t later;
  } newer;
  const fluxbp_tls_certificate_t right = {path_of(CERTIFICATE), path_of(KEY)};
  fluxbp_tls_t *tls;
  fluxbp_tls_options_init_sized(&newer.options, sizeof newer);
  newer.options.certificates = &right;
  newer.options.certificate_count = 1;
  assert_int_equal(fluxbp_tls_create(&newer.options, &tls, problem, sizeof problem), 0);
  fluxbp_tls_free(tls);
  newer.later = 1;
  assert_option_refused(&newer.options, UV_E2BIG, "this version of the library doesn't know all of the options");
  newer.options.size = offsetof(fluxbp_tls_options_t, client_ca); /* an older one */
  newer.options.client_ca = "not read";
  assert_int_equal(fluxbp_tls_create(&newer.options, &tls, problem, sizeof problem), 0);
  fluxbp_tls_free(tls);
  newer.options.size = 0;
  assert_option_refused(&newer.options, UV_EINVAL, "the options have no size: call fluxbp_tls_options_init first");
}

static void a_problem_is_cut_to_its_place(void **state) {
  (void) state;
  char place[9] = "12345678";
  fluxbp_tls_t *tls = create_right();
  remove_certificate();
  assert_int_equal(fluxbp_tls_reload(tls, place, 8), UV_EINVAL);
  assert_string_equal(place, "/tmp/fl");
  assert_int_equal(fluxbp_tls_reload(tls, NULL, 0), UV_EINVAL);
  fluxbp_tls_free(tls);
  fluxbp_tls_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup(name, use_right_files)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_file_that_is_missing_is_refused),
      TEST(a_directory_or_a_pipe_is_refused),
      TEST(a_file_of_more_than_1_mib_is_refused),
      TEST(a_file_that_the_server_may_not_read_is_refused),
      TEST(a_key_that_others_can_read_is_refused),
      TEST(a_file_of_something_else_is_refused),
      TEST(a_damaged_file_is_refused),
      TEST(a_key_of_another_certificate_is_refused),
      TEST(a_key_with_a_passphrase_is_refused_and_nobody_is_asked),
      TEST(a_weak_key_is_refused),
      TEST(a_certificate_outside_of_its_time_is_refused),
      TEST(new_connections_get_what_the_files_have_now),
      TEST(a_connection_outlives_what_it_began_with),
      TEST(it_is_told_when_the_first_certificate_expires),
      TEST(options_out_of_their_range_are_refused),
      TEST(options_of_another_version_are_told_apart),
      TEST(a_problem_is_cut_to_its_place),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
