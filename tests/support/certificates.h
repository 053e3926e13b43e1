/* SPDX-License-Identifier: MIT */
/*
 * certificates: a folder of PEM files for tests that speak TLS, and the authority that signs them. Each thing that goes
 * wrong is a failed assertion of cmocka's. A test that uses it names support/certificates.c beside its own file.
 *
 * certificates.py is the same for scripts.
 */
#ifndef FLUXBP_TESTS_CERTIFICATES_H
#define FLUXBP_TESTS_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct certificates certificates_t;

/* All zero but `file`: valid from an hour ago for 30 days, signed by ca, for servers and clients. */
typedef struct certificate_wish {
  /* Writes file.pem, which begins with the certificate, and file.key. */
  const char *file;

  /* NULL: the subject is empty. `common_name_length` 0: as strlen says. The second one may be NULL. */
  const char *common_name;
  size_t common_name_length;
  const char *second_common_name;

  /* As OpenSSL's configuration has them, such as "DNS:*.example.org,IP:127.0.0.1". NULL: none. */
  const char *names;

  /* `file` of a wish of this folder, whose certificate is in file.pem, too. The own one: it signs itself. NULL: ca. */
  const char *issuer;

  /* It may sign others. */
  bool is_authority;

  /* `file` of a wish of this folder, whose key is taken. NULL: a new key, of `rsa_bits`, or, if they are 0, of P-256,
   * which is much quicker to make. */
  const char *key_of;
  int rsa_bits;

  /* Seconds from now; in the past if less than 0. Both 0: see above. */
  long begins_in_s, ends_in_s;
} certificate_wish_t;

/*
 * Make a folder below /tmp with these files, all keys readable by their owner alone:
 *   ca.pem                   the authority
 *   server.pem, server.key   localhost, 127.0.0.1 and ::1
 *   client.pem, client.key   the common name alice
 */
certificates_t *certificates_begin(void);

/* Add one; its file is new, or is replaced. */
void certificates_issue(certificates_t *certificates, const certificate_wish_t *wish);

/* Return the path of a file in the folder, which needn't be there. Valid until the end. */
const char *certificates_path(certificates_t *certificates, const char *file);

/* Write a file of the folder; its owner alone can read it. */
void certificates_write(certificates_t *certificates, const char *file, const char *text);

/* Remove the folder with all files and empty folders in it. */
void certificates_end(certificates_t *certificates);

#endif
