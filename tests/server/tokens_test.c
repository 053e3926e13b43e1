/* SPDX-License-Identifier: MIT */
/*
 * tokens: which files are read, which are refused and what is said of them, and what a token gives.
 */
#include "server/permissions/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TOKEN_A "aaaaaaaaaaaaaaaa"
#define TOKEN_B "bbbbbbbbbbbbbbbb"
#define TOKEN_C "cccccccccccccccc"
#define BYTES_64 TOKEN_A TOKEN_A TOKEN_A TOKEN_A
#define BYTES_256 BYTES_64 BYTES_64 BYTES_64 BYTES_64

static char path[] = "/tmp/fluxbp-tokens-XXXXXX";
static char problem[512];

static int make_file(void **state) {
  (void) state;
  strcpy(path + sizeof path - 1 - 6, "XXXXXX");
  int fd = mkstemp(path);
  if (fd >= 0) close(fd);
  problem[0] = '\0';
  return fd >= 0 ? 0 : -1;
}

static int remove_file(void **state) {
  (void) state;
  return unlink(path);
}

static fluxbp_tokens_t *read_bytes(const char *bytes, size_t length) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, length, file), length);
  assert_int_equal(fclose(file), 0);
  return fluxbp_tokens_read(path, problem, sizeof problem);
}

static unsigned roles_of(const fluxbp_tokens_t *tokens, const char *token) {
  return fluxbp_tokens_roles(tokens, token, strlen(token));
}

static void tokens_give_their_roles(void **state) {
  static const char FILE_TEXT[] = "# who may do what\n"
                                  "\n"
                                  "subscribe " TOKEN_A "\n"
                                  "  publish\t" TOKEN_B "  # the backend\n"
                                  "publish " TOKEN_A "\r\n"
                                  "   # and\n"
                                  "admin " TOKEN_C "#1";
  (void) state;
  fluxbp_tokens_t *tokens = read_bytes(FILE_TEXT, strlen(FILE_TEXT));
  if (tokens == NULL) fail_msg("%s", problem);
  assert_int_equal(tokens_guarded(tokens), FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH | FLUXBP_ROLE_ADMIN);
  assert_int_equal(roles_of(tokens, TOKEN_A), FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH);
  assert_int_equal(roles_of(tokens, TOKEN_B), FLUXBP_ROLE_PUBLISH);
  assert_int_equal(roles_of(tokens, TOKEN_C "#1"), FLUXBP_ROLE_ADMIN);
  assert_int_equal(roles_of(tokens, TOKEN_C), 0);
  assert_int_equal(roles_of(tokens, ""), 0);
  assert_int_equal(roles_of(tokens, "aaaaaaaaaaaaaaa"), 0);
  assert_int_equal(roles_of(tokens, TOKEN_A "a"), 0);
  assert_int_equal(roles_of(tokens, BYTES_256 "a"), 0);
  fluxbp_tokens_free(tokens);
}

static void tokens_guard_only_the_roles_that_there_are_tokens_for(void **state) {
  (void) state;
  fluxbp_tokens_t *tokens = read_bytes("publish " TOKEN_A, strlen("publish " TOKEN_A));
  assert_int_equal(tokens_guarded(tokens), FLUXBP_ROLE_PUBLISH);
  fluxbp_tokens_free(tokens);
  assert_int_equal(tokens_guarded(NULL), 0);
  assert_int_equal(fluxbp_tokens_roles(NULL, TOKEN_A, 16), 0);
  fluxbp_tokens_free(NULL);
}

static void tokens_may_be_many_and_long(void **state) {
  enum { COUNT = 100 };
  char text[COUNT * 300], token[300];
  size_t length = 0;
  (void) state;
  for (int i = 0; i < COUNT; i++)
    length += (size_t) snprintf(text + length, sizeof text - length, "subscribe %.*s%03d\n", 253, BYTES_256, i);
  fluxbp_tokens_t *tokens = read_bytes(text, length);
  if (tokens == NULL) fail_msg("%s", problem);
  for (int i = 0; i < COUNT; i++) {
    (void) snprintf(token, sizeof token, "%.*s%03d", 253, BYTES_256, i);
    assert_int_equal(roles_of(tokens, token), FLUXBP_ROLE_SUBSCRIBE);
  }
  fluxbp_tokens_free(tokens);
}

static void certificates_have_their_names(void **state) {
  static const char text[] = "subscribe cert:alice topics=user.${sub}.>\n"
                             "publish cert:feeder topics=quotes.>\n"
                             "publish " TOKEN_A "\n";
  (void) state;
  fluxbp_tokens_t *tokens = read_bytes(text, sizeof text - 1);
  assert_non_null(tokens);
  struct grant *alice = tokens_find_certificate(tokens, "alice", 5);
  assert_non_null(alice);
  assert_string_equal(alice->subject, "alice");
  assert_int_equal(alice->roles, FLUXBP_ROLE_SUBSCRIBE);
  assert_true(grant_allows(alice, FLUXBP_ROLE_SUBSCRIBE, "user.alice.mail"));
  assert_false(grant_allows(alice, FLUXBP_ROLE_SUBSCRIBE, "user.bob.mail"));
  struct grant *again = tokens_find_mark(tokens, alice->store_mark); /* as a session does when the file was exchanged */
  assert_ptr_equal(again, alice);
  grant_unref(again);
  grant_unref(alice);
  assert_null(tokens_find_certificate(tokens, "bob", 3));
  assert_null(tokens_find_certificate(tokens, "alic", 4));
  assert_null(tokens_find_certificate(NULL, "alice", 5));
  assert_null(tokens_find_certificate(tokens, BYTES_256, 256));
  fluxbp_tokens_free(tokens);
}

/* The name of a certificate is no secret. */
static void the_name_of_a_certificate_is_no_token(void **state) {
  static const char text[] = "admin cert:a-name-that-is-long\n";
  (void) state;
  fluxbp_tokens_t *tokens = read_bytes(text, sizeof text - 1);
  assert_non_null(tokens);
  assert_int_equal(roles_of(tokens, "cert:a-name-that-is-long"), 0);
  assert_null(tokens_find(tokens, "cert:a-name-that-is-long", 24));
  assert_int_equal(tokens_guarded(tokens), FLUXBP_ROLE_ADMIN);
  fluxbp_tokens_free(tokens);
}

static void tokens_read_says_what_is_wrong_with_which_line(void **state) {
#define CASE(text, part)                                                                                               \
  { text, sizeof text - 1, part }
  static const struct {
    const char *text;
    size_t length;
    const char *part; /* of the message */
  } CASES[] = {
      CASE("", "no token in it"),
      CASE("\n# nothing\n", "no token in it"),
      CASE("publish " TOKEN_A "\nroot " TOKEN_B "\n", "line 2 has an unknown role"),
      CASE("Publish " TOKEN_A "\n", "line 1 has an unknown role"),
      CASE("publishes " TOKEN_A "\n", "line 1 has an unknown role"),
      CASE(TOKEN_A "\n", "line 1 has an unknown role"),
      CASE("publish\n", "line 1 has no token"),
      CASE("publish # " TOKEN_A "\n", "line 1 has no token"),
      CASE("publish aaaaaaaaaaaaaaa\n", "less than 16 bytes"),
      CASE("publish " BYTES_256 "a\n", "more than 256 bytes"),
      CASE("publish " TOKEN_A " " TOKEN_B "\n", "more than ROLE TOKEN"),
      CASE("publish aaaaaaaaaaaaaa\xc3\xa4\n", "visible ASCII"),
      CASE("publish aaaaaaaaaaaaaaaa\x7f\n", "visible ASCII"),
      CASE("publish aaaaaaaaaaaaaaaa\x1b\n", "visible ASCII"),
      CASE("publish " TOKEN_A "\0" TOKEN_B "\n", "NUL"),
      CASE("publish:" TOKEN_A "\n", "unknown role"),
  };
#undef CASE
  (void) state;
  for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
    assert_null(read_bytes(CASES[i].text, CASES[i].length));
    if (strstr(problem, CASES[i].part) == NULL || strstr(problem, path) == NULL)
      fail_msg("'%s' instead of '%s'", problem, CASES[i].part);
    if (strstr(problem, TOKEN_A) != NULL) fail_msg("there is a token in a message: %s", problem);
  }
}

static void tokens_read_wants_a_file_of_its_owners_only(void **state) {
  (void) state;
  fluxbp_tokens_free(read_bytes("publish " TOKEN_A, strlen("publish " TOKEN_A)));
  for (mode_t mode = 0; mode <= 0777; mode++) {
    if ((mode & 0400) == 0) continue; /* can't be read */
    assert_int_equal(chmod(path, mode), 0);
    fluxbp_tokens_t *tokens = fluxbp_tokens_read(path, problem, sizeof problem);
    assert_int_equal(tokens != NULL, (mode & 077) == 0);
    if (tokens == NULL) assert_non_null(strstr(problem, "chmod 600"));
    fluxbp_tokens_free(tokens);
  }
}

static void tokens_read_wants_a_regular_file(void **state) {
  (void) state;
  assert_null(fluxbp_tokens_read("/tmp", problem, sizeof problem));
  assert_non_null(strstr(problem, "regular file"));
  assert_null(fluxbp_tokens_read("/dev/null", problem, sizeof problem));
  assert_non_null(strstr(problem, "regular file"));
  assert_null(fluxbp_tokens_read("/tmp/fluxbp-tokens-none/none", problem, sizeof problem));
  assert_non_null(strstr(problem, "No such file"));

  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_null(fluxbp_tokens_read(path, problem, sizeof problem));
  assert_non_null(strstr(problem, "regular file"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tokens_give_their_roles),
      TEST(tokens_guard_only_the_roles_that_there_are_tokens_for),
      TEST(tokens_may_be_many_and_long),
      TEST(certificates_have_their_names),
      TEST(the_name_of_a_certificate_is_no_token),
      TEST(tokens_read_says_what_is_wrong_with_which_line),
      TEST(tokens_read_wants_a_file_of_its_owners_only),
      TEST(tokens_read_wants_a_regular_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
