/* SPDX-License-Identifier: MIT */
/*
 * keys: a JSON Web Key Set (RFC 7517, with the parameters of RFC 7518 and RFC 8037), one JSON Web Key, or public keys
 * in PEM. A key is for one algorithm, which its kind decides.
 */
#include "keys.h"

#include "base64url.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (1024 * 1024)
#define KEYS_MAX 64
#define SECRET_BYTES_MIN 32 /* RFC 7518, 3.2: as long as the hash */
#define RSA_BITS_MIN 2048   /* RFC 7518, 3.3 */
#define P256_BYTES 32
#define ED25519_BYTES 32

struct fluxbp_keys {
  atomic_uint owners;
  size_t count;
  bool has_secret;
  struct key list[KEYS_MAX];
};

static const char *const ALGORITHMS[] = {
    [KEY_HS256] = "HS256", [KEY_RS256] = "RS256", [KEY_ES256] = "ES256", [KEY_EDDSA] = "EdDSA"};

const char *key_algorithm_name(enum key_algorithm algorithm) {
  return ALGORITHMS[algorithm];
}

bool key_algorithm_of(const char *name, enum key_algorithm *algorithm) {
  for (size_t i = 0; i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++) {
    if (strcmp(name, ALGORITHMS[i]) != 0) continue;
    *algorithm = (enum key_algorithm) i;
    return true;
  }
  return false;
}

fluxbp_keys_t *keys_ref(fluxbp_keys_t *keys) {
  if (keys != NULL) atomic_fetch_add(&keys->owners, 1);
  return keys;
}

static void reset_key(struct key *key) {
  free(key->id);
  EVP_PKEY_free(key->key);
  if (key->secret != NULL) OPENSSL_cleanse(key->secret, key->secret_length);
  free(key->secret);
}

void fluxbp_keys_free(fluxbp_keys_t *keys) {
  if (keys == NULL || atomic_fetch_sub(&keys->owners, 1) > 1) return;
  for (size_t i = 0; i < keys->count; i++) reset_key(&keys->list[i]);
  free(keys);
}

size_t keys_count(const fluxbp_keys_t *keys) {
  return keys != NULL ? keys->count : 0;
}

const struct key *keys_at(const fluxbp_keys_t *keys, size_t place) {
  return &keys->list[place];
}

/* Public keys. */

/* @return NULL, or what is wrong with the key */
static const char *find_algorithm(struct key *key) {
  switch (EVP_PKEY_get_base_id(key->key)) {
  case EVP_PKEY_RSA:
    key->algorithm = KEY_RS256;
    return EVP_PKEY_get_bits(key->key) >= RSA_BITS_MIN ? NULL : "is an RSA key of less than 2048 bits";
  case EVP_PKEY_ED25519:
    key->algorithm = KEY_EDDSA;
    return NULL;
  case EVP_PKEY_EC: {
    char group[32] = "";
    (void) EVP_PKEY_get_group_name(key->key, group, sizeof group, NULL);
    key->algorithm = KEY_ES256;
    return strcmp(group, "prime256v1") == 0 ? NULL : "is on another curve than P-256";
  }
  default:
    return "is of another kind than RSA, P-256 and Ed25519";
  }
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
  if (context == NULL || parameters == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    key = NULL;
  OSSL_PARAM_free(parameters);
  EVP_PKEY_CTX_free(context);
  return key;
}

/* A member of a key, which the caller frees. @return NULL: it isn't there or isn't base64url */
static unsigned char *decode_member(const json_t *jwk, const char *name, size_t *length) {
  const json_t *member = json_object_get(jwk, name);
  if (!json_is_string(member) || json_string_length(member) == 0) return NULL;
  unsigned char *bytes = malloc(BASE64URL_BYTES(json_string_length(member)));
  ptrdiff_t count = bytes != NULL ? base64url_decode(json_string_value(member), json_string_length(member), bytes) : -1;
  if (count > 0) {
    *length = (size_t) count;
    return bytes;
  }
  free(bytes);
  return NULL;
}

static EVP_PKEY *make_rsa(const json_t *jwk) {
  size_t n_length = 0, e_length = 0;
  unsigned char *n = decode_member(jwk, "n", &n_length), *e = decode_member(jwk, "e", &e_length);
  BIGNUM *modulus = n != NULL ? BN_bin2bn(n, (int) n_length, NULL) : NULL;
  BIGNUM *exponent = e != NULL ? BN_bin2bn(e, (int) e_length, NULL) : NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  EVP_PKEY *key = NULL;
  if (modulus != NULL && exponent != NULL && builder != NULL &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
    key = make_key("RSA", builder);
  OSSL_PARAM_BLD_free(builder);
  BN_free(modulus);
  BN_free(exponent);
  free(n);
  free(e);
  return key;
}

static EVP_PKEY *make_p256(const json_t *jwk) {
  size_t x_length = 0, y_length = 0;
  unsigned char *x = decode_member(jwk, "x", &x_length), *y = decode_member(jwk, "y", &y_length);
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  EVP_PKEY *key = NULL;
  if (x != NULL && y != NULL && x_length == P256_BYTES && y_length == P256_BYTES && builder != NULL) {
    unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(point + 1, x, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y, P256_BYTES);
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
      key = make_key("EC", builder);
  }
  OSSL_PARAM_BLD_free(builder);
  free(x);
  free(y);
  return key;
}

static EVP_PKEY *make_ed25519(const json_t *jwk) {
  size_t length = 0;
  unsigned char *x = decode_member(jwk, "x", &length);
  EVP_PKEY *key =
      x != NULL && length == ED25519_BYTES ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, length) : NULL;
  free(x);
  return key;
}

/* One key of a JSON Web Key Set. */

static bool member_is(const json_t *jwk, const char *name, const char *value) {
  const char *text = json_string_value(json_object_get(jwk, name));
  return text != NULL && strcmp(text, value) == 0;
}

static const char *read_secret(const json_t *jwk, struct key *key) {
  key->algorithm = KEY_HS256;
  key->secret = decode_member(jwk, "k", &key->secret_length);
  if (key->secret == NULL) return "has no secret k in base64url";
  return key->secret_length >= SECRET_BYTES_MIN ? NULL : "has a secret of less than 32 bytes";
}

static const char *read_public(const json_t *jwk, struct key *key) {
  if (json_object_get(jwk, "d") != NULL) return "is a private key; give the public one";
  if (member_is(jwk, "kty", "RSA"))
    key->key = make_rsa(jwk);
  else if (member_is(jwk, "kty", "EC") && member_is(jwk, "crv", "P-256"))
    key->key = make_p256(jwk);
  else if (member_is(jwk, "kty", "OKP") && member_is(jwk, "crv", "Ed25519"))
    key->key = make_ed25519(jwk);
  else
    return "is of another kind than oct, RSA, EC on P-256 and OKP with Ed25519";
  return key->key != NULL ? find_algorithm(key) : "has wrong numbers";
}

/* Keys for encryption, and for other algorithms, may stand in a set, too. */
static bool is_for_signatures(const json_t *jwk) {
  enum key_algorithm algorithm;
  const json_t *use = json_object_get(jwk, "use"), *alg = json_object_get(jwk, "alg");
  if (use != NULL && !member_is(jwk, "use", "sig")) return false;
  return alg == NULL || (json_is_string(alg) && key_algorithm_of(json_string_value(alg), &algorithm));
}

static const char *read_jwk(const json_t *jwk, struct key *key) {
  const json_t *id = json_object_get(jwk, "kid"), *alg = json_object_get(jwk, "alg");
  if (id != NULL && !json_is_string(id)) return "has a kid that is no text";
  if (id != NULL && (key->id = strdup(json_string_value(id))) == NULL) return "could not be kept: out of memory";
  const char *problem = member_is(jwk, "kty", "oct") ? read_secret(jwk, key) : read_public(jwk, key);
  if (problem != NULL || alg == NULL) return problem;
  return strcmp(json_string_value(alg), ALGORITHMS[key->algorithm]) == 0 ? NULL
                                                                         : "has an alg that doesn't fit its kind";
}

struct reading {
  fluxbp_keys_t *keys;
  const char *path;
  char *problem;
  size_t capacity;
};

static bool refuse_file(const struct reading *reading, const char *why) {
  (void) snprintf(reading->problem, reading->capacity, "%s: %s", reading->path, why);
  return false;
}

static bool refuse_key(const struct reading *reading, size_t number, const char *why) {
  (void) snprintf(reading->problem, reading->capacity, "%s: key %zu %s", reading->path, number, why);
  return false;
}

static bool add_jwk(struct reading *reading, const json_t *jwk, size_t number) {
  fluxbp_keys_t *keys = reading->keys;
  if (!json_is_object(jwk)) return refuse_key(reading, number, "is no object");
  if (!is_for_signatures(jwk)) return true;
  if (keys->count == KEYS_MAX) return refuse_file(reading, "there are more than 64 keys in it");
  struct key *key = &keys->list[keys->count++];
  const char *problem = read_jwk(jwk, key);
  if (key->secret != NULL) keys->has_secret = true;
  return problem == NULL || refuse_key(reading, number, problem);
}

static bool read_json(struct reading *reading, const char *text, size_t length) {
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
  const json_t *list = json_object_get(object, "keys");
  bool is_right = json_is_object(object);
  if (!is_right) (void) refuse_file(reading, "it is neither JSON (a JSON Web Key Set) nor PEM");
  if (is_right && list == NULL) is_right = add_jwk(reading, object, 1);
  if (is_right && list != NULL && !json_is_array(list)) is_right = refuse_file(reading, "its \"keys\" are no array");
  for (size_t i = 0; is_right && i < json_array_size(list); i++)
    is_right = add_jwk(reading, json_array_get(list, i), i + 1);
  json_decref(object);
  return is_right;
}

/* Return the number of public keys that begin in a text. */
static size_t count_pem(const char *text) {
  static const char BEGIN[] = "-----BEGIN PUBLIC KEY-----";
  size_t count = 0;
  for (const char *at = text; (at = strstr(at, BEGIN)) != NULL; at += sizeof BEGIN - 1) count++;
  return count;
}

static bool read_pem(struct reading *reading, const char *text, size_t length) {
  fluxbp_keys_t *keys = reading->keys;
  BIO *bio = BIO_new_mem_buf(text, (int) length);
  EVP_PKEY *found;
  bool is_right = bio != NULL || refuse_file(reading, "out of memory");
  while (is_right && (found = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL)) != NULL) {
    if (keys->count == KEYS_MAX) {
      EVP_PKEY_free(found);
      is_right = refuse_file(reading, "there are more than 64 keys in it");
      break;
    }
    struct key *key = &keys->list[keys->count++];
    key->key = found;
    const char *problem = find_algorithm(key);
    is_right = problem == NULL || refuse_key(reading, keys->count, problem);
  }
  if (is_right && keys->count < count_pem(text)) /* OpenSSL stops at a damaged key as at the end */
    is_right = refuse_key(reading, keys->count + 1, "is damaged: what follows BEGIN PUBLIC KEY is none");
  ERR_clear_error();
  BIO_free(bio);
  return is_right;
}

/* The file. */

/* @return what it holds, which the caller frees, or NULL */
static char *read_file(const struct reading *reading, size_t *length, struct stat *status) {
  int fd = open(reading->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nonblocking: a FIFO is refused, not waited for */
  char *text = NULL;
  if (fd < 0 || fstat(fd, status) != 0) {
    (void) refuse_file(reading, strerror(errno));
  } else if (!S_ISREG(status->st_mode)) {
    (void) refuse_file(reading, "it isn't a regular file");
  } else if (status->st_size > FILE_BYTES_MAX) {
    (void) refuse_file(reading, "it has more than 1 MiB");
  } else if ((text = malloc((size_t) status->st_size + 1)) == NULL) {
    (void) refuse_file(reading, "out of memory");
  } else {
    ssize_t count = read(fd, text, (size_t) status->st_size);
    *length = count > 0 ? (size_t) count : 0;
    if (count < 0) (void) refuse_file(reading, strerror(errno));
  }
  if (fd >= 0) (void) close(fd);
  return text;
}

static bool read_keys(struct reading *reading) {
  struct stat status;
  size_t length = 0;
  char *text = read_file(reading, &length, &status);
  if (text == NULL) return false;
  text[length] = '\0';
  bool is_pem = strstr(text, "-----BEGIN ") != NULL;
  bool is_right = is_pem ? read_pem(reading, text, length) : read_json(reading, text, length);
  if (is_right && reading->keys->count == 0)
    is_right = refuse_file(reading, is_pem ? "there is no public key in it (BEGIN PUBLIC KEY)"
                                           : "there is no key for HS256, RS256, ES256 or EdDSA in it");
  if (is_right && reading->keys->has_secret && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    is_right = refuse_file(reading, "it has a secret, and others than its owner may use it; chmod 600 it");
  OPENSSL_cleanse(text, length);
  free(text);
  return is_right;
}

fluxbp_keys_t *fluxbp_keys_read(const char *path, char *problem, size_t capacity) {
  struct reading reading = {calloc(1, sizeof *reading.keys), path, problem, capacity};
  if (reading.keys == NULL) {
    (void) refuse_file(&reading, "out of memory");
    return NULL;
  }
  atomic_store(&reading.keys->owners, 1);
  if (read_keys(&reading)) return reading.keys;
  fluxbp_keys_free(reading.keys);
  return NULL;
}
