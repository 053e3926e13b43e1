/* SPDX-License-Identifier: MIT */
/*
 * tickets: the keys with which a server encrypts session tickets (RFC 5077, 4: AES-256-CBC and HMAC-SHA-256), and when
 * a key is replaced. A ticket that was sealed with a key is taken while the key is current, and for as long again.
 *
 * Time is an argument, in seconds, and never runs back. A key is wiped by the first call after its end. Thread: any.
 */
#ifndef FLUXBP_LIB_TICKETS_H
#define FLUXBP_LIB_TICKETS_H

#include <openssl/evp.h>
#include <stdint.h>

enum { FLUXBP__TICKET_NAME_BYTES = 16, FLUXBP__TICKET_IV_BYTES = 16 };

/* What OpenSSL's callback for the keys of tickets returns. */
enum {
  FLUXBP__TICKET_FAILED = -1,
  FLUXBP__TICKET_REFUSED = 0,
  FLUXBP__TICKET_TAKEN = 1,
  FLUXBP__TICKET_RENEWED = 2 /* taken, and the client shall get another one */
};

typedef struct fluxbp__tickets fluxbp__tickets_t;

/* `key_s`: seconds for which a key is current. NULL: out of memory. */
fluxbp__tickets_t *fluxbp__tickets_create(uint32_t key_s);

/* NULL is allowed. */
void fluxbp__tickets_free(fluxbp__tickets_t *tickets);

/* Write the name of the current key and a new initialization vector, and give the key to both contexts. TAKEN or
 * FAILED. */
int fluxbp__tickets_seal(fluxbp__tickets_t *tickets, uint64_t now_s, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

/* Give both contexts the key with this name. RENEWED if it isn't the current one; REFUSED: there is none. */
int fluxbp__tickets_open(fluxbp__tickets_t *tickets, uint64_t now_s, const unsigned char *name, const unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

#endif
