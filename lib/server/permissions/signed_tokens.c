/* SPDX-License-Identifier: MIT */
/*
 * signed_tokens: see the header. The algorithm is the key's: a token that names another one than its key is refused
 * (RFC 8725, 3.1). Nothing of the claims is looked at before the signature is right.
 */
#include "signed_tokens.h"

#include "base64url.h"
#include "rights.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>
#include <uv.h>

#define ES256_BYTES 64 /* two numbers of 32 bytes (RFC 7518, 3.4) */
#define ES256_DER_BYTES 80
#define TIME_MAX_S ((json_int_t) 1 << 53)

/* The parts of a token, in its text. */
struct parts {
  const char *header, *claims, *signature;
  size_t header_length, claims_length, signature_length;
  size_t signed_length; /* header, dot and claims */
};

static bool split_token(const char *token, size_t length, struct parts *parts) {
  const char *end = token + length;
  const char *first = memchr(token, '.', length);
  const char *second = first != NULL ? memchr(first + 1, '.', (size_t) (end - first - 1)) : NULL;
  if (second == NULL || memchr(second + 1, '.', (size_t) (end - second - 1)) != NULL) return false;
  *parts = (struct parts){token,
                          first + 1,
                          second + 1,
                          (size_t) (first - token),
                          (size_t) (second - first - 1),
                          (size_t) (end - second - 1),
                          (size_t) (second - token)};
  return parts->header_length > 0 && parts->claims_length > 0;
}

bool signed_tokens_is_one(const char *token, size_t length) {
  struct parts parts;
  return split_token(token, length, &parts);
}

/* An object in base64url. @return NULL: the text is none */
static json_t *decode_object(const char *text, size_t length) {
  unsigned char bytes[BASE64URL_BYTES(SIGNED_TOKEN_BYTES_MAX)];
  ptrdiff_t count = base64url_decode(text, length, bytes);
  json_t *object = count > 0 ? json_loadb((const char *) bytes, (size_t) count, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (json_is_object(object)) return object;
  json_decref(object);
  return NULL;
}

/* Signatures. */

static bool is_hmac(const struct key *key, const struct parts *parts, const unsigned char *signature, size_t length) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  if (length != sizeof digest) return false;
  if (HMAC(EVP_sha256(), key->secret, (int) key->secret_length, (const unsigned char *) parts->header,
           parts->signed_length, digest, NULL) == NULL)
    return false;
  return CRYPTO_memcmp(digest, signature, sizeof digest) == 0;
}

/* OpenSSL takes the two numbers as ASN.1. @return its length; 0: it can't be made */
static size_t encode_es256(const unsigned char signature[ES256_BYTES], unsigned char der[ES256_DER_BYTES]) {
  ECDSA_SIG *numbers = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(signature, ES256_BYTES / 2, NULL);
  BIGNUM *s = BN_bin2bn(signature + ES256_BYTES / 2, ES256_BYTES / 2, NULL);
  int length = 0;
  if (numbers != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(numbers, r, s) == 1) {
    r = s = NULL; /* owned by `numbers` now */
    unsigned char *out = der;
    if (i2d_ECDSA_SIG(numbers, NULL) <= ES256_DER_BYTES) length = i2d_ECDSA_SIG(numbers, &out);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(numbers);
  return length > 0 ? (size_t) length : 0;
}

static bool is_signed_by(const struct key *key, const struct parts *parts, const unsigned char *signature,
                         size_t length) {
  unsigned char der[ES256_DER_BYTES];
  if (key->algorithm == KEY_HS256) return is_hmac(key, parts, signature, length);
  if (key->algorithm == KEY_ES256) {
    if (length != ES256_BYTES || (length = encode_es256(signature, der)) == 0) return false;
    signature = der;
  }
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  const EVP_MD *hash = key->algorithm == KEY_EDDSA ? NULL : EVP_sha256();
  bool is_right =
      context != NULL && EVP_DigestVerifyInit(context, NULL, hash, NULL, key->key) == 1 &&
      EVP_DigestVerify(context, signature, length, (const unsigned char *) parts->header, parts->signed_length) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return is_right;
}

/* Return whether a key may have signed a token with that header: without an id all keys of the algorithm may. */
static bool may_have_signed(const struct key *key, enum key_algorithm algorithm, const char *id) {
  if (key->algorithm != algorithm) return false;
  return id == NULL || key->id == NULL || strcmp(id, key->id) == 0;
}

static bool check_signature(const fluxbp_keys_t *keys, const struct parts *parts, const json_t *header,
                            const char **problem) {
  unsigned char signature[BASE64URL_BYTES(SIGNED_TOKEN_BYTES_MAX)];
  enum key_algorithm algorithm;
  const char *name = json_string_value(json_object_get(header, "alg"));
  const json_t *id = json_object_get(header, "kid");
  bool has_key = false;
  *problem = "the token is signed by another algorithm than HS256, RS256, ES256 and EdDSA";
  if (name == NULL || !key_algorithm_of(name, &algorithm)) return false;
  *problem = "the token's header asks for something that isn't known here (crit, or a kid that is no text)";
  if (json_object_get(header, "crit") != NULL || (id != NULL && !json_is_string(id))) return false;
  *problem = "the token's signature is wrong";
  ptrdiff_t length = base64url_decode(parts->signature, parts->signature_length, signature);
  if (length <= 0) return false;
  for (size_t i = 0; i < keys_count(keys); i++) {
    const struct key *key = keys_at(keys, i);
    if (!may_have_signed(key, algorithm, json_string_value(id))) continue;
    has_key = true;
    if (is_signed_by(key, parts, signature, (size_t) length)) return true;
  }
  if (!has_key) *problem = "the token is signed with a key that isn't known here";
  return false;
}

/* Claims. */

/* A time of the claims in whole seconds. @return false: it is there, and is no time */
static bool read_time(const json_t *claims, const char *name, uint64_t *time_s) {
  const json_t *value = json_object_get(claims, name);
  *time_s = 0;
  if (value == NULL) return true;
  double number = json_number_value(value);
  if (!json_is_number(value) || !(number >= 0 && number <= (double) TIME_MAX_S)) return false;
  *time_s = (uint64_t) number;
  return true;
}

static bool is_for_audience(const json_t *audience, const char *wanted) {
  const char *text = json_string_value(audience);
  if (text != NULL) return strcmp(text, wanted) == 0;
  for (size_t i = 0; i < json_array_size(audience); i++) {
    text = json_string_value(json_array_get(audience, i));
    if (text != NULL && strcmp(text, wanted) == 0) return true;
  }
  return false;
}

/* @return NULL, or what is wrong with the time */
static const char *check_times(struct grant *grant, const json_t *claims, uint64_t now_s) {
  uint64_t not_before_s;
  if (!read_time(claims, "exp", &grant->expires_s) || !read_time(claims, "nbf", &not_before_s) ||
      !read_time(claims, "iat", &grant->issued_s))
    return "exp, nbf and iat of the token are Unix times";
  if (grant->expires_s == 0) return "the token has no end: it needs exp";
  if (grant->expires_s <= now_s) return "the token has expired";
  return not_before_s > now_s + SIGNED_TOKEN_LEEWAY_S ? "the token isn't good yet" : NULL;
}

static const char *check_rules(const json_t *claims, const struct signed_token_rules *rules) {
  const char *issuer = json_string_value(json_object_get(claims, "iss"));
  if (rules->issuer != NULL && (issuer == NULL || strcmp(issuer, rules->issuer) != 0))
    return "the token is of another issuer";
  if (rules->audience != NULL && !is_for_audience(json_object_get(claims, "aud"), rules->audience))
    return "the token is for another audience";
  return NULL;
}

/* A text of the claims. @return false: it is there, and is no right text */
static bool read_text(const json_t *claims, const char *name, char **text) {
  const json_t *value = json_object_get(claims, name);
  if (value == NULL) return true;
  return json_is_string(value) && grant_set_text(text, json_string_value(value), json_string_length(value)) == 0;
}

static bool read_claims(struct grant *grant, const json_t *claims, const struct signed_token_rules *rules,
                        uint64_t now_s, const char **problem) {
  const json_t *rights = json_object_get(claims, "fluxbp");
  *problem = check_times(grant, claims, now_s);
  if (*problem == NULL) *problem = check_rules(claims, rules);
  if (*problem != NULL) return false;
  *problem = "sub and jti of the token are texts of at most 255 bytes, without control characters";
  if (!read_text(claims, "sub", &grant->subject) || !read_text(claims, "jti", &grant->id)) return false;
  *problem = "the token gives nothing: it has no claim fluxbp";
  if (rights == NULL || !rights_fill(grant, rights, problem)) return false;
  *problem = "the token gives nothing: its claim fluxbp has no topics";
  return grant->roles != 0;
}

struct grant *signed_tokens_check(const fluxbp_keys_t *keys, const struct signed_token_rules *rules, const char *token,
                                  size_t length, uint64_t now_s, const char **problem) {
  struct parts parts;
  *problem = "the token is too long";
  if (length > SIGNED_TOKEN_BYTES_MAX) return NULL;
  *problem = "the token is no JSON Web Token";
  if (!split_token(token, length, &parts)) return NULL;
  json_t *header = decode_object(parts.header, parts.header_length);
  json_t *claims = NULL;
  if (header != NULL && check_signature(keys, &parts, header, problem)) {
    *problem = "the token is no JSON Web Token";
    claims = decode_object(parts.claims, parts.claims_length);
  }
  struct grant *grant = claims != NULL ? grant_create() : NULL;
  if (grant != NULL && !read_claims(grant, claims, rules, now_s, problem)) {
    grant_unref(grant);
    grant = NULL;
  }
  json_decref(header);
  json_decref(claims);
  return grant;
}
