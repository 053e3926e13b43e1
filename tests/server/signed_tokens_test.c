/* SPDX-License-Identifier: MIT */
/*
 * signed_tokens: which tokens are good, and what is said of the others. The test signs tokens by keys that it makes;
 * one token is that of RFC 7515.
 */
#include "server/permissions/base64url.h"
#include "server/permissions/signed_tokens.h"

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
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#define NOW 1700000000
#define CLAIMS                                                                                                         \
  "{\"iss\":\"me\",\"aud\":[\"x\",\"here\"],\"sub\":\"alice\",\"jti\":\"t1\",\"iat\":1699999000,\"exp\":1700000100,"   \
  "\"fluxbp\":{\"subscribe\":[\"user.${sub}.>\",\"news\"],\"publish\":[\"chat\"],\"admin\":false,\"name\":\"Alice\"}}"
#define SECRET "01234567890123456789012345678901"
#define SECRET_TEXT "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"

static char path[] = "/tmp/fluxbp-keys-XXXXXX";
static char problem_of_file[512];
static const char *problem;
static EVP_PKEY *rsa, *p256, *ed25519, *other;

static int make_keys(void **state) {
  (void) state;
  rsa = EVP_RSA_gen(2048);
  p256 = EVP_EC_gen("prime256v1");
  ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  int fd = mkstemp(path);
  if (fd < 0 || close(fd) != 0) return -1;
  return rsa != NULL && p256 != NULL && ed25519 != NULL && other != NULL ? 0 : -1;
}

static int free_keys(void **state) {
  (void) state;
  EVP_PKEY_free(rsa);
  EVP_PKEY_free(p256);
  EVP_PKEY_free(ed25519);
  EVP_PKEY_free(other);
  return unlink(path);
}

/* Keys. */

static fluxbp_keys_t *read_text(const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
  problem_of_file[0] = '\0';
  return fluxbp_keys_read(path, problem_of_file, sizeof problem_of_file);
}

static fluxbp_keys_t *read_pem(EVP_PKEY *first, EVP_PKEY *second) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(PEM_write_PUBKEY(file, first), 1);
  if (second != NULL) assert_int_equal(PEM_write_PUBKEY(file, second), 1);
  assert_int_equal(fclose(file), 0);
  fluxbp_keys_t *keys = fluxbp_keys_read(path, problem_of_file, sizeof problem_of_file);
  assert_non_null(keys);
  return keys;
}

/* Tokens. */

static void encode(const unsigned char *bytes, size_t length, char *text) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  unsigned kept = 0, bits = 0;
  for (size_t i = 0; i < length; i++) {
    kept = kept << 8 | bytes[i];
    for (bits += 8; bits >= 6; bits -= 6) *text++ = letters[kept >> (bits - 6) & 63];
  }
  if (bits > 0) *text++ = letters[kept << (6 - bits) & 63];
  *text = '\0';
}

static void encode_text(const char *bytes, char *text) {
  encode((const unsigned char *) bytes, strlen(bytes), text);
}

static size_t sign_hmac(const char *text, unsigned char *signature) {
  unsigned length = 0;
  HMAC(EVP_sha256(), SECRET, (int) strlen(SECRET), (const unsigned char *) text, strlen(text), signature, &length);
  return length;
}

static size_t sign_key(EVP_PKEY *key, const char *text, unsigned char *signature) {
  size_t length = 512;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  const EVP_MD *hash = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
  assert_int_equal(EVP_DigestSignInit(context, NULL, hash, NULL, key), 1);
  assert_int_equal(EVP_DigestSign(context, signature, &length, (const unsigned char *) text, strlen(text)), 1);
  EVP_MD_CTX_free(context);
  return length;
}

/* ASN.1 into two numbers of 32 bytes. */
static size_t unpack(unsigned char *signature, size_t length) {
  const unsigned char *in = signature;
  ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &in, (long) length);
  assert_non_null(numbers);
  assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, 32), 32);
  assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + 32, 32), 32);
  ECDSA_SIG_free(numbers);
  return 64;
}

/* A token of that header and these claims, signed by a key; by the secret if `key` is NULL. */
static const char *make_token(EVP_PKEY *key, const char *header, const char *claims) {
  static char token[16384];
  unsigned char signature[1024];
  encode_text(header, token);
  strcat(token, ".");
  encode_text(claims, token + strlen(token));
  size_t length = key == NULL ? sign_hmac(token, signature) : sign_key(key, token, signature);
  if (key == p256) length = unpack(signature, length);
  strcat(token, ".");
  encode(signature, length, token + strlen(token));
  return token;
}

static struct grant *check(const fluxbp_keys_t *keys, const char *token) {
  static const struct signed_token_rules RULES = {"me", "here"};
  return signed_tokens_check(keys, &RULES, token, strlen(token), NOW, &problem);
}

static void expect_good(const fluxbp_keys_t *keys, const char *token) {
  struct grant *grant = check(keys, token);
  if (grant == NULL) fail_msg("refused: %s", problem);
  assert_string_equal(grant->subject, "alice");
  assert_string_equal(grant->name, "Alice");
  assert_string_equal(grant->id, "t1");
  assert_int_equal(grant->issued_s, 1699999000);
  assert_int_equal(grant->expires_s, 1700000100);
  assert_int_equal(grant->roles, FLUXBP_ROLE_SUBSCRIBE | FLUXBP_ROLE_PUBLISH);
  assert_true(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.alice.mail"));
  assert_false(grant_allows(grant, FLUXBP_ROLE_SUBSCRIBE, "user.bob.mail"));
  assert_true(grant_allows(grant, FLUXBP_ROLE_PUBLISH, "chat"));
  grant_unref(grant);
}

static void expect_refused(const fluxbp_keys_t *keys, const char *token, const char *why) {
  problem = NULL;
  assert_null(check(keys, token));
  assert_string_equal(problem, why);
}

static fluxbp_keys_t *read_secret(void) {
  fluxbp_keys_t *keys = read_text("{\"kty\":\"oct\",\"kid\":\"k1\",\"k\":\"" SECRET_TEXT "\"}");
  assert_string_equal(problem_of_file, "");
  return keys;
}

/* Good ones. */

static void a_token_of_each_algorithm_is_good(void **state) {
  fluxbp_keys_t *keys = read_secret();
  (void) state;
  expect_good(keys, make_token(NULL, "{\"alg\":\"HS256\"}", CLAIMS));
  expect_good(keys, make_token(NULL, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}", CLAIMS));
  fluxbp_keys_free(keys);
  keys = read_pem(rsa, ed25519);
  expect_good(keys, make_token(rsa, "{\"alg\":\"RS256\"}", CLAIMS));
  expect_good(keys, make_token(ed25519, "{\"alg\":\"EdDSA\"}", CLAIMS));
  fluxbp_keys_free(keys);
  keys = read_pem(p256, NULL);
  expect_good(keys, make_token(p256, "{\"alg\":\"ES256\"}", CLAIMS));
  fluxbp_keys_free(keys);
}

/* RFC 7515, appendix A.1: what is missed is our own claim, so the signature is right. */
static void the_token_of_the_standard_is_signed_right(void **state) {
  static const struct signed_token_rules RULES = {"joe", NULL};
  static const char TOKEN[] =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
      "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  fluxbp_keys_t *keys =
      read_text("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0"
                "gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}");
  (void) state;
  assert_null(signed_tokens_check(keys, &RULES, TOKEN, strlen(TOKEN), 1300819379, &problem));
  assert_string_equal(problem, "the token gives nothing: it has no claim fluxbp");
  assert_null(signed_tokens_check(keys, &RULES, TOKEN, strlen(TOKEN), 1300819380, &problem));
  assert_string_equal(problem, "the token has expired");
  fluxbp_keys_free(keys);
}

static void keys_of_a_set_are_read(void **state) {
  unsigned char x[32], y[32], n[256];
  char x_text[64], y_text[64], n_text[512], ed_text[64], text[2048];
  BIGNUM *number = NULL;
  size_t length = sizeof x;
  (void) state;
  assert_int_equal(EVP_PKEY_get_bn_param(p256, "qx", &number), 1);
  assert_int_equal(BN_bn2binpad(number, x, 32), 32);
  assert_int_equal(EVP_PKEY_get_bn_param(p256, "qy", &number), 1);
  assert_int_equal(BN_bn2binpad(number, y, 32), 32);
  assert_int_equal(EVP_PKEY_get_bn_param(rsa, "n", &number), 1);
  assert_int_equal(BN_bn2binpad(number, n, 256), 256);
  BN_free(number);
  encode(x, 32, x_text);
  encode(y, 32, y_text);
  encode(n, 256, n_text);
  assert_int_equal(EVP_PKEY_get_raw_public_key(ed25519, x, &length), 1);
  encode(x, 32, ed_text);
  (void) snprintf(text, sizeof text,
                  "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"alg\":\"ES256\"},"
                  "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\",\"use\":\"sig\"},{\"kty\":\"RSA\",\"use\":\"enc\"},"
                  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"%s\"}]}",
                  x_text, y_text, n_text, ed_text);
  fluxbp_keys_t *keys = read_text(text);
  assert_string_equal(problem_of_file, "");
  assert_int_equal(keys_count(keys), 3);
  expect_good(keys, make_token(rsa, "{\"alg\":\"RS256\"}", CLAIMS));
  expect_good(keys, make_token(p256, "{\"alg\":\"ES256\"}", CLAIMS));
  expect_good(keys, make_token(ed25519, "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", CLAIMS));
  expect_refused(keys, make_token(ed25519, "{\"alg\":\"EdDSA\",\"kid\":\"ed2\"}", CLAIMS),
                 "the token is signed with a key that isn't known here");
  fluxbp_keys_free(keys);
}

/* Signatures that are wrong. */

static void a_wrong_signature_is_refused(void **state) {
  static const char WRONG[] = "the token's signature is wrong";
  char token[4096];
  fluxbp_keys_t *keys = read_pem(ed25519, p256);
  (void) state;
  expect_refused(keys, make_token(other, "{\"alg\":\"EdDSA\"}", CLAIMS), WRONG);
  strcpy(token, make_token(ed25519, "{\"alg\":\"EdDSA\"}", CLAIMS));
  token[strlen(token) - 4] = token[strlen(token) - 4] == 'A' ? 'B' : 'A';
  expect_refused(keys, token, WRONG);
  strcpy(token, make_token(ed25519, "{\"alg\":\"EdDSA\"}", CLAIMS));
  strchr(token, '.')[5] ^= 1; /* within the claims */
  expect_refused(keys, token, WRONG);
  strcpy(token, make_token(ed25519, "{\"alg\":\"EdDSA\"}", CLAIMS));
  *strrchr(token, '.') = '\0';
  strcat(token, ".");
  expect_refused(keys, token, WRONG);
  unsigned char zero[64] = {0};
  encode(zero, sizeof zero,
         strcpy(token, make_token(p256, "{\"alg\":\"ES256\"}", CLAIMS)) ? strrchr(token, '.') + 1 : token);
  expect_refused(keys, token, WRONG);
  fluxbp_keys_free(keys);
}

static void the_key_decides_the_algorithm(void **state) {
  static const char OTHER[] = "the token is signed by another algorithm than HS256, RS256, ES256 and EdDSA";
  static const char UNKNOWN[] = "the token is signed with a key that isn't known here";
  fluxbp_keys_t *keys = read_pem(rsa, NULL);
  (void) state;
  expect_refused(keys, make_token(rsa, "{\"alg\":\"none\"}", CLAIMS), OTHER);
  expect_refused(keys, make_token(rsa, "{\"alg\":\"RS512\"}", CLAIMS), OTHER);
  expect_refused(keys, make_token(rsa, "{}", CLAIMS), OTHER);
  expect_refused(keys, make_token(rsa, "{\"alg\":17}", CLAIMS), OTHER);
  expect_refused(keys, make_token(NULL, "{\"alg\":\"HS256\"}", CLAIMS), UNKNOWN); /* the public key is no secret */
  expect_refused(keys, make_token(rsa, "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", CLAIMS),
                 "the token's header asks for something that isn't known here (crit, or a kid that is no text)");
  fluxbp_keys_free(keys);
}

static void a_signature_in_ASN_1_is_refused(void **state) {
  unsigned char signature[1024];
  char token[4096] = "";
  fluxbp_keys_t *keys = read_pem(p256, NULL);
  (void) state;
  encode_text("{\"alg\":\"ES256\"}", token);
  strcat(token, ".");
  encode_text(CLAIMS, token + strlen(token));
  size_t length = sign_key(p256, token, signature);
  strcat(token, ".");
  encode(signature, length, token + strlen(token));
  expect_refused(keys, token, "the token's signature is wrong");
  fluxbp_keys_free(keys);
}

static void a_text_that_is_no_token_is_refused(void **state) {
  static const char NONE[] = "the token is no JSON Web Token";
  static const char *const TEXTS[] = {"",     ".",       "..",      "a.b",      "a..c",
                                      ".b.c", "a.b.c.d", "a b.c.d", "====.b.c", "e30=.e30.c"};
  static char too_long[SIGNED_TOKEN_BYTES_MAX + 2];
  fluxbp_keys_t *keys = read_secret();
  (void) state;
  for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) expect_refused(keys, TEXTS[i], NONE);
  memset(too_long, 'a', sizeof too_long - 1);
  expect_refused(keys, too_long, "the token is too long");
  too_long[5] = too_long[50] = '.';
  too_long[SIGNED_TOKEN_BYTES_MAX] = '\0';
  expect_refused(keys, too_long, NONE);
  assert_true(signed_tokens_is_one("a.b.c", 5));
  assert_false(signed_tokens_is_one("a.b", 3));
  fluxbp_keys_free(keys);
}

/* Claims that are wrong. */

static void expect_claims_refused(const fluxbp_keys_t *keys, const char *claims, const char *why) {
  expect_refused(keys, make_token(NULL, "{\"alg\":\"HS256\"}", claims), why);
}

static void claims_are_checked(void **state) {
#define GOOD "\"iss\":\"me\",\"aud\":\"here\",\"exp\":1700000100"
#define RIGHTS ",\"fluxbp\":{\"subscribe\":[\"a\"]}}"
  fluxbp_keys_t *keys = read_secret();
  (void) state;
  struct grant *grant = check(keys, make_token(NULL, "{\"alg\":\"HS256\"}", "{" GOOD RIGHTS));
  assert_non_null(grant);
  grant_unref(grant);
  expect_claims_refused(keys, "{\"iss\":\"me\",\"aud\":\"here\"" RIGHTS, "the token has no end: it needs exp");
  expect_claims_refused(keys, "{\"exp\":1700000000,\"iss\":\"me\",\"aud\":\"here\"" RIGHTS, "the token has expired");
  expect_claims_refused(keys, "{\"exp\":\"1700000100\",\"iss\":\"me\",\"aud\":\"here\"" RIGHTS,
                        "exp, nbf and iat of the token are Unix times");
  expect_claims_refused(keys, "{\"exp\":1e300,\"iss\":\"me\",\"aud\":\"here\"" RIGHTS,
                        "exp, nbf and iat of the token are Unix times");
  expect_claims_refused(keys, "{\"exp\":-1,\"iss\":\"me\",\"aud\":\"here\"" RIGHTS,
                        "exp, nbf and iat of the token are Unix times");
  expect_claims_refused(keys, "{" GOOD ",\"nbf\":1700000011" RIGHTS, "the token isn't good yet");
  grant = check(keys, make_token(NULL, "{\"alg\":\"HS256\"}", "{" GOOD ",\"nbf\":1700000010" RIGHTS));
  assert_non_null(grant); /* clocks may differ by so much */
  grant_unref(grant);
  expect_claims_refused(keys, "{\"exp\":1700000100,\"iss\":\"you\",\"aud\":\"here\"" RIGHTS,
                        "the token is of another issuer");
  expect_claims_refused(keys, "{\"exp\":1700000100,\"aud\":\"here\"" RIGHTS, "the token is of another issuer");
  expect_claims_refused(keys, "{\"exp\":1700000100,\"iss\":\"me\",\"aud\":[\"there\",1]" RIGHTS,
                        "the token is for another audience");
  expect_claims_refused(keys, "{\"exp\":1700000100,\"iss\":\"me\"" RIGHTS, "the token is for another audience");
  expect_claims_refused(keys, "{" GOOD "}", "the token gives nothing: it has no claim fluxbp");
  expect_claims_refused(keys, "{" GOOD ",\"fluxbp\":{}}", "the token gives nothing: its claim fluxbp has no topics");
  expect_claims_refused(keys, "{" GOOD ",\"fluxbp\":[]}", "its rights are no object");
  expect_claims_refused(keys, "{" GOOD ",\"fluxbp\":{\"subscribe\":\"a\"}}",
                        "subscribe and publish in it are arrays of patterns");
  expect_claims_refused(keys, "{" GOOD ",\"fluxbp\":{\"publish\":[1]}}",
                        "subscribe and publish in it are arrays of patterns");
  expect_claims_refused(keys, "{" GOOD ",\"fluxbp\":{\"admin\":\"yes\"}}", "admin in it is true or false");
  expect_claims_refused(keys, "{" GOOD ",\"sub\":\"a.>\",\"fluxbp\":{\"subscribe\":[\"${sub}\"]}}",
                        "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name");
  expect_claims_refused(keys, "{" GOOD ",\"sub\":7" RIGHTS,
                        "sub and jti of the token are texts of at most 255 bytes, without control characters");
  expect_claims_refused(keys, "{" GOOD ",\"exp\":1900000000" RIGHTS, "the token is no JSON Web Token"); /* twice */
  fluxbp_keys_free(keys);
}

/* Files of keys that are wrong. */

static void a_damaged_key_behind_a_good_one_is_refused(void **state) {
  static const char *const DAMAGED[] = {"-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----\n",
                                        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                                        "-----BEGIN PUBLIC KEY-----\nAAAA\n"};
  (void) state;
  for (size_t i = 0; i < sizeof DAMAGED / sizeof *DAMAGED; i++) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, ed25519), 1);
    assert_true(fputs(DAMAGED[i], file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_null(fluxbp_keys_read(path, problem_of_file, sizeof problem_of_file));
    assert_string_equal(strstr(problem_of_file, ": ") + 2, "key 2 is damaged: what follows BEGIN PUBLIC KEY is none");
  }
}

static void wrong_files_are_refused(void **state) {
  static const struct {
    const char *text, *why;
  } FILES[] = {
      {"", "it is neither JSON (a JSON Web Key Set) nor PEM"},
      {"[]", "it is neither JSON (a JSON Web Key Set) nor PEM"},
      {"{\"keys\":[]}", "there is no key for HS256, RS256, ES256 or EdDSA in it"},
      {"{\"keys\":{}}", "its \"keys\" are no array"},
      {"{\"keys\":[1]}", "key 1 is no object"},
      {"{\"kty\":\"oct\"}", "key 1 has no secret k in base64url"},
      {"{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", "key 1 has a secret of less than 32 bytes"},
      {"{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" SECRET_TEXT "\"}", "key 1 has an alg that doesn't fit its kind"},
      {"{\"kty\":\"RSA\",\"d\":\"x\"}", "key 1 is a private key; give the public one"},
      {"{\"kty\":\"RSA\",\"n\":\"AQ\",\"e\":\"AQAB\"}", "key 1 is an RSA key of less than 2048 bits"},
      {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "key 1 has wrong numbers"},
      {"{\"kty\":\"EC\",\"crv\":\"P-384\"}",
       "key 1 is of another kind than oct, RSA, EC on P-256 and OKP with Ed25519"},
      {"-----BEGIN PRIVATE KEY-----\n", "there is no public key in it (BEGIN PUBLIC KEY)"},
  };
  (void) state;
  for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
    assert_null(read_text(FILES[i].text));
    assert_string_equal(strstr(problem_of_file, ": ") + 2, FILES[i].why);
  }
  assert_int_equal(chmod(path, 0644), 0);
  assert_null(read_text("{\"kty\":\"oct\",\"k\":\"" SECRET_TEXT "\"}"));
  assert_non_null(strstr(problem_of_file, "it has a secret, and others than its owner may use it"));
  assert_int_equal(chmod(path, 0600), 0);
  assert_null(fluxbp_keys_read("/nonexistent/keys", problem_of_file, sizeof problem_of_file));
}

static void base64url_is_strict(void **state) {
  unsigned char bytes[16];
  (void) state;
  assert_int_equal(base64url_decode("", 0, bytes), 0);
  assert_int_equal(base64url_decode("-_8", 3, bytes), 2);
  assert_memory_equal(bytes, "\xfb\xff", 2);
  assert_int_equal(base64url_decode("A", 1, bytes), -1);
  assert_int_equal(base64url_decode("AB", 2, bytes), -1); /* bits that mean nothing */
  assert_int_equal(base64url_decode("AA==", 4, bytes), -1);
  assert_int_equal(base64url_decode("+/AA", 4, bytes), -1);
  assert_int_equal(base64url_decode("AA A", 4, bytes), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_token_of_each_algorithm_is_good),
      cmocka_unit_test(the_token_of_the_standard_is_signed_right),
      cmocka_unit_test(keys_of_a_set_are_read),
      cmocka_unit_test(a_wrong_signature_is_refused),
      cmocka_unit_test(the_key_decides_the_algorithm),
      cmocka_unit_test(a_signature_in_ASN_1_is_refused),
      cmocka_unit_test(a_text_that_is_no_token_is_refused),
      cmocka_unit_test(claims_are_checked),
      cmocka_unit_test(a_damaged_key_behind_a_good_one_is_refused),
      cmocka_unit_test(wrong_files_are_refused),
      cmocka_unit_test(base64url_is_strict),
  };
  return cmocka_run_group_tests(tests, make_keys, free_keys);
}
