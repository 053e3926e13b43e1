/* SPDX-License-Identifier: MIT */
/*
 * signed_tokens_fuzz: no bytes without the right signature give a grant; claims with it give a grant that is whole,
 * or a
 * sentence that says why not; and a file of keys gives keys that can be used, or such a sentence.
 */
#define _GNU_SOURCE /* memfd_create */
#include "server/permissions/signed_tokens.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S 1700000000
#define INPUT_BYTES_MAX 4096
#define PROBLEM_BYTES 512
#define SECRET "a secret of the fuzzer, 32 bytes"
#define SECRET_JWK "{\"kty\":\"oct\",\"k\":\"YSBzZWNyZXQgb2YgdGhlIGZ1enplciwgMzIgYnl0ZXM\"}"

/* The public keys of RFC 7515, A.2 and A.3, and of RFC 8037, A.2. */
#define PUBLIC_JWKS                                                                                                    \
  "{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"                                                                  \
  "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-"           \
  "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2" \
  "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb"  \
  "54h4FRWyuXpoQ\"},"                                                                                                  \
  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"                     \
  "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"                                                                  \
  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"

static const struct signed_token_rules RULES = {NULL, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what, const char *text) {
  fprintf(stderr, "%s: %s\n", what, text);
  abort();
}

static void fail_with_token(const char *what, const char *token, size_t length) {
  fprintf(stderr, "%s: %.*s\n", what, (int) length, token);
  abort();
}

/* A sentence is for clients and logs: no byte of it may come from outside as it is. */
static void expect_sentence(const char *problem) {
  if (problem == NULL || *problem == '\0') fail("a refusal without a reason", "");
  for (const char *at = problem; *at != '\0'; at++)
    if (*at < ' ' || *at > '~') fail("a reason that isn't plain text", problem);
}

/* @return NULL: the text was refused */
static fluxbp_keys_t *read_keys(const uint8_t *text, size_t length) {
  char path[64], problem[PROBLEM_BYTES] = "";
  int fd = memfd_create("keys", MFD_CLOEXEC);
  if (fd < 0 || fchmod(fd, S_IRUSR | S_IWUSR) != 0 || write(fd, text, length) != (ssize_t) length)
    fail("cannot make a file", "");
  (void) snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  fluxbp_keys_t *keys = fluxbp_keys_read(path, problem, sizeof problem);
  (void) close(fd);
  if (keys == NULL) expect_sentence(problem);
  return keys;
}

static fluxbp_keys_t *read_known_keys(const char *text) {
  fluxbp_keys_t *keys = read_keys((const uint8_t *) text, strlen(text));
  if (keys == NULL) fail("cannot read keys", text);
  return keys;
}

static void check_token(const fluxbp_keys_t *keys, const char *token, size_t length, bool may_be_good) {
  const char *problem = NULL;
  struct grant *grant = signed_tokens_check(keys, &RULES, token, length, NOW_S, &problem);
  if (grant == NULL) {
    expect_sentence(problem);
    return;
  }
  if (!may_be_good) fail_with_token("a grant without a signature", token, length);
  if (!signed_tokens_is_one(token, length))
    fail_with_token("a grant of a text without the form of a token", token, length);
  if (grant->roles == 0 || grant->expires_s <= NOW_S)
    fail_with_token("a grant that gives nothing, or has no end", token, length);
  grant_unref(grant);
}

/* The text without its own NUL, so that ASan finds a read behind the end. */
static void check_raw(const fluxbp_keys_t *keys, const uint8_t *data, size_t size) {
  char *token = malloc(size + 1);
  memcpy(token, data, size);
  token = realloc(token, size);
  check_token(keys, token, size, false);
  free(token);
}

static size_t encode_base64url(const void *bytes, size_t length, char *text) {
  size_t count = (size_t) EVP_EncodeBlock((unsigned char *) text, bytes, (int) length);
  for (size_t i = 0; i < count; i++) text[i] = (char) (text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
  while (count > 0 && text[count - 1] == '=') count--;
  return count;
}

/* Header and claims are signed as they are. */
static void check_signed(const fluxbp_keys_t *keys, const char *header, const uint8_t *claims, size_t claims_length) {
  static char token[(INPUT_BYTES_MAX + 256) * 2];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_length = 0;
  size_t length = encode_base64url(header, strlen(header), token);
  token[length++] = '.';
  length += encode_base64url(claims, claims_length, token + length);
  (void) HMAC(EVP_sha256(), SECRET, sizeof SECRET - 1, (const unsigned char *) token, length, digest, &digest_length);
  token[length++] = '.';
  length += encode_base64url(digest, digest_length, token + length);
  check_token(keys, token, length, true);
}

/* Keys of that text, and what they make of tokens of each algorithm. */
static void check_keys(const uint8_t *data, size_t size) {
  static const char *const TOKENS[] = {
      "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
      "eyJhbGciOiJFUzI1NiJ9.e30."
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "eyJhbGciOiJFZERTQSJ9.e30."
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  fluxbp_keys_t *keys = read_keys(data, size);
  for (size_t i = 0; keys != NULL && i < sizeof TOKENS / sizeof *TOKENS; i++)
    check_token(keys, TOKENS[i], strlen(TOKENS[i]), false);
  fluxbp_keys_free(keys);
}

/* The first byte says what the others are: a token, claims, a header, or keys. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static fluxbp_keys_t *secret, *public_keys;
  if (secret == NULL) secret = read_known_keys(SECRET_JWK);
  if (public_keys == NULL) public_keys = read_known_keys(PUBLIC_JWKS);
  if (size < 2 || size > INPUT_BYTES_MAX) return 0;
  const uint8_t *bytes = data + 1;
  size_t length = size - 1;
  switch (data[0] % 4) {
  case 0:
    check_raw(secret, bytes, length);
    check_raw(public_keys, bytes, length);
    break;
  case 1:
    check_signed(secret, "{\"alg\":\"HS256\"}", bytes, length);
    break;
  case 2: {
    char *header = strndup((const char *) bytes, length < 256 ? length : 255);
    static const char CLAIMS[] = "{\"exp\":1800000000,\"fluxbp\":{\"admin\":true}}";
    check_signed(secret, header, (const uint8_t *) CLAIMS, sizeof CLAIMS - 1);
    free(header);
    break;
  }
  default:
    check_keys(bytes, length);
  }
  return 0;
}
