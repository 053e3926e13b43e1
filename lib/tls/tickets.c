/* SPDX-License-Identifier: MIT */
/*
 * tickets: see the header. There is at most one former key: a key is current for as long as the former one is kept.
 */
#include "tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* The bytes of a key of AES-256, and of a hash of SHA-256. */
enum { KEY_BYTES = 32 };

struct key {
  unsigned char name[FLUXBP__TICKET_NAME_BYTES];
  unsigned char cipher_key[KEY_BYTES];
  unsigned char mac_key[KEY_BYTES];
  uint64_t ends_s; /* tickets are taken before then; 0: there is no key */
};

struct fluxbp__tickets {
  uv_mutex_t mutex;
  uint32_t key_s;
  struct key current, former;
};

fluxbp__tickets_t *fluxbp__tickets_create(uint32_t key_s) {
  fluxbp__tickets_t *tickets = calloc(1, sizeof *tickets);
  if (tickets == NULL) return NULL;
  tickets->key_s = key_s;
  if (uv_mutex_init(&tickets->mutex) == 0) return tickets;
  free(tickets);
  return NULL;
}

void fluxbp__tickets_free(fluxbp__tickets_t *tickets) {
  if (tickets == NULL) return;
  uv_mutex_destroy(&tickets->mutex);
  OPENSSL_cleanse(tickets, sizeof *tickets);
  free(tickets);
}

static bool make_key(struct key *key, uint64_t ends_s) {
  key->ends_s = ends_s;
  return RAND_bytes(key->name, sizeof key->name) == 1 &&
         RAND_priv_bytes(key->cipher_key, sizeof key->cipher_key) == 1 &&
         RAND_priv_bytes(key->mac_key, sizeof key->mac_key) == 1;
}

static bool is_current(const fluxbp__tickets_t *tickets, const struct key *key, uint64_t now_s) {
  return now_s + tickets->key_s < key->ends_s;
}

/* Drop what has ended, and have a current key. Locked. @return whether there is one */
static bool update_keys(fluxbp__tickets_t *tickets, uint64_t now_s) {
  struct key key;
  if (now_s >= tickets->former.ends_s) OPENSSL_cleanse(&tickets->former, sizeof tickets->former);
  if (now_s >= tickets->current.ends_s) OPENSSL_cleanse(&tickets->current, sizeof tickets->current);
  if (is_current(tickets, &tickets->current, now_s)) return true;
  bool is_made = make_key(&key, now_s + 2 * (uint64_t) tickets->key_s);
  if (is_made) {
    tickets->former = tickets->current;
    tickets->current = key;
  }
  OPENSSL_cleanse(&key, sizeof key);
  return is_made;
}

static bool give_key(const struct key *key, EVP_MAC_CTX *mac) {
  char digest[] = "SHA256";
  unsigned char copy[KEY_BYTES]; /* the parameter isn't const */
  memcpy(copy, key->mac_key, sizeof copy);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, copy, sizeof copy),
                                   OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  bool is_given = EVP_MAC_CTX_set_params(mac, parameters) == 1;
  OPENSSL_cleanse(copy, sizeof copy);
  return is_given;
}

int fluxbp__tickets_seal(fluxbp__tickets_t *tickets, uint64_t now_s, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
  uv_mutex_lock(&tickets->mutex);
  bool is_right = update_keys(tickets, now_s);
  struct key key = tickets->current;
  uv_mutex_unlock(&tickets->mutex);

  memcpy(name, key.name, sizeof key.name);
  is_right = is_right && RAND_bytes(iv, FLUXBP__TICKET_IV_BYTES) == 1 &&
             EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher_key, iv) == 1 && give_key(&key, mac);
  OPENSSL_cleanse(&key, sizeof key);
  return is_right ? FLUXBP__TICKET_TAKEN : FLUXBP__TICKET_FAILED;
}

/* Copy the key with a name, or none. Locked. @return TAKEN, RENEWED or REFUSED */
static int find_key(const fluxbp__tickets_t *tickets, uint64_t now_s, const unsigned char *name, struct key *found) {
  const struct key *const keys[] = {&tickets->current, &tickets->former};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    if (now_s >= keys[i]->ends_s || CRYPTO_memcmp(keys[i]->name, name, FLUXBP__TICKET_NAME_BYTES) != 0) continue;
    *found = *keys[i];
    return is_current(tickets, found, now_s) ? FLUXBP__TICKET_TAKEN : FLUXBP__TICKET_RENEWED;
  }
  return FLUXBP__TICKET_REFUSED;
}

int fluxbp__tickets_open(fluxbp__tickets_t *tickets, uint64_t now_s, const unsigned char *name, const unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac) {
  struct key key;
  uv_mutex_lock(&tickets->mutex);
  (void) update_keys(tickets, now_s); /* without a new key the old ones are as good as they were */
  int result = find_key(tickets, now_s, name, &key);
  uv_mutex_unlock(&tickets->mutex);

  if (result == FLUXBP__TICKET_REFUSED) return result;
  bool is_right = EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher_key, iv) == 1 && give_key(&key, mac);
  OPENSSL_cleanse(&key, sizeof key);
  return is_right ? result : FLUXBP__TICKET_FAILED;
}
