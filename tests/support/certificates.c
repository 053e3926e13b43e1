/* SPDX-License-Identifier: MIT */
/*
 * certificates: see the header.
 */
#include "support/certificates.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define HOUR_S 3600L
#define DAY_S (24 * HOUR_S)
#define FILE_NAME_BYTES 64
#define PATH_BYTES 128

struct issued {
  char file[FILE_NAME_BYTES];
  X509 *certificate;
  EVP_PKEY *key;
  struct issued *next;
};

struct path {
  char text[PATH_BYTES];
  struct path *next;
};

struct certificates {
  char folder[PATH_BYTES - FILE_NAME_BYTES];
  struct issued *issued; /* the newest first */
  struct path *paths;
  long serial;
};

static const struct issued *find(const certificates_t *certificates, const char *file) {
  for (const struct issued *issued = certificates->issued; issued != NULL; issued = issued->next)
    if (strcmp(issued->file, file) == 0) return issued;
  fail_msg("no certificate %s has been issued", file);
  return NULL;
}

/* The extension stands for what `value` says in the notation of OpenSSL's configuration. */
static void extend(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  assert_non_null(extension);
  assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
  X509_EXTENSION_free(extension);
}

static void add_common_name(X509 *certificate, const char *name, size_t length) {
  X509_NAME *subject = X509_get_subject_name(certificate);
  const unsigned char *bytes = (const unsigned char *) name;
  assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, bytes, (int) length, -1, 0), 1);
}

static void name_subject(X509 *certificate, const certificate_wish_t *wish) {
  const char *name = wish->common_name, *second = wish->second_common_name;
  if (name != NULL)
    add_common_name(certificate, name, wish->common_name_length != 0 ? wish->common_name_length : strlen(name));
  if (second != NULL) add_common_name(certificate, second, strlen(second));
}

/* `issuer` NULL: it signs itself. */
static X509 *make_certificate(certificates_t *certificates, const certificate_wish_t *wish, EVP_PKEY *key,
                              const struct issued *issuer) {
  bool is_default = wish->begins_in_s == 0 && wish->ends_in_s == 0;
  X509 *certificate = X509_new();
  X509 *signer = issuer != NULL ? issuer->certificate : certificate;
  assert_non_null(certificate);
  assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
  assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++certificates->serial), 1);
  assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), is_default ? -HOUR_S : wish->begins_in_s));
  assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), is_default ? 30 * DAY_S : wish->ends_in_s));
  name_subject(certificate, wish);
  assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(signer)), 1);
  assert_int_equal(X509_set_pubkey(certificate, key), 1);

  extend(certificate, signer, NID_subject_key_identifier, "hash");
  extend(certificate, signer, NID_authority_key_identifier, "keyid");
  extend(certificate, signer, NID_basic_constraints, wish->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(certificate, signer, NID_key_usage, wish->is_authority ? "critical,keyCertSign" : "critical,digitalSignature");
  if (!wish->is_authority) extend(certificate, signer, NID_ext_key_usage, "serverAuth,clientAuth");
  char names[512]; /* critical if there is no other name (RFC 5280, 4.1.2.6) */
  (void) snprintf(names, sizeof names, "%s%s", wish->common_name == NULL ? "critical," : "",
                  wish->names != NULL ? wish->names : "");
  if (wish->names != NULL) extend(certificate, signer, NID_subject_alt_name, names);
  assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : key, EVP_sha256()) > 0);
  return certificate;
}

/* Readable by its owner alone. */
static FILE *create(certificates_t *certificates, const char *file, const char *ending) {
  char name[FILE_NAME_BYTES];
  (void) snprintf(name, sizeof name, "%s%s", file, ending);
  int fd = open(certificates_path(certificates, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  FILE *stream = fd >= 0 ? fdopen(fd, "w") : NULL;
  assert_non_null(stream);
  return stream;
}

static EVP_PKEY *key_for(const certificates_t *certificates, const certificate_wish_t *wish) {
  if (wish->key_of != NULL) {
    EVP_PKEY *key = find(certificates, wish->key_of)->key;
    assert_int_equal(EVP_PKEY_up_ref(key), 1);
    return key;
  }
  return wish->rsa_bits != 0 ? EVP_RSA_gen((unsigned) wish->rsa_bits) : EVP_EC_gen("prime256v1");
}

static void issue(certificates_t *certificates, const certificate_wish_t *wish, const struct issued *issuer) {
  struct issued *issued = calloc(1, sizeof *issued);
  assert_non_null(issued);
  (void) snprintf(issued->file, sizeof issued->file, "%s", wish->file);
  issued->key = key_for(certificates, wish);
  assert_non_null(issued->key);
  issued->certificate = make_certificate(certificates, wish, issued->key, issuer);
  issued->next = certificates->issued;
  certificates->issued = issued;

  FILE *stream = create(certificates, wish->file, ".pem");
  assert_int_equal(PEM_write_X509(stream, issued->certificate), 1);
  if (wish->issuer != NULL && issuer != NULL) assert_int_equal(PEM_write_X509(stream, issuer->certificate), 1);
  assert_int_equal(fclose(stream), 0);
  stream = create(certificates, wish->file, ".key");
  assert_int_equal(PEM_write_PrivateKey(stream, issued->key, NULL, NULL, 0, NULL, NULL), 1);
  assert_int_equal(fclose(stream), 0);
}

void certificates_issue(certificates_t *certificates, const certificate_wish_t *wish) {
  const char *issuer = wish->issuer != NULL ? wish->issuer : "ca";
  issue(certificates, wish, strcmp(issuer, wish->file) != 0 ? find(certificates, issuer) : NULL);
}

certificates_t *certificates_begin(void) {
  certificates_t *certificates = calloc(1, sizeof *certificates);
  assert_non_null(certificates);
  (void) snprintf(certificates->folder, sizeof certificates->folder, "/tmp/fluxbp-certificates-XXXXXX");
  assert_non_null(mkdtemp(certificates->folder));
  const certificate_wish_t ca = {.file = "ca", .common_name = "fluxbp test CA", .is_authority = true};
  issue(certificates, &ca, NULL);
  certificates_issue(certificates,
                     &(certificate_wish_t){.file = "server", .names = "DNS:localhost,IP:127.0.0.1,IP:::1"});
  certificates_issue(certificates, &(certificate_wish_t){.file = "client", .common_name = "alice"});
  return certificates;
}

const char *certificates_path(certificates_t *certificates, const char *file) {
  struct path *path = malloc(sizeof *path);
  assert_non_null(path);
  assert_true(strlen(file) < FILE_NAME_BYTES);
  (void) snprintf(path->text, sizeof path->text, "%s/%s", certificates->folder, file);
  path->next = certificates->paths;
  certificates->paths = path;
  return path->text;
}

void certificates_write(certificates_t *certificates, const char *file, const char *text) {
  FILE *stream = create(certificates, file, "");
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

static void remove_folder(const char *folder) {
  DIR *entries = opendir(folder);
  assert_non_null(entries);
  for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    bool is_own = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (!is_own && unlinkat(dirfd(entries), entry->d_name, 0) != 0)
      assert_int_equal(unlinkat(dirfd(entries), entry->d_name, AT_REMOVEDIR), 0);
  }
  assert_int_equal(closedir(entries), 0);
  assert_int_equal(rmdir(folder), 0);
}

void certificates_end(certificates_t *certificates) {
  remove_folder(certificates->folder);
  for (struct issued *issued; (issued = certificates->issued) != NULL;) {
    certificates->issued = issued->next;
    X509_free(issued->certificate);
    EVP_PKEY_free(issued->key);
    free(issued);
  }
  for (struct path *path; (path = certificates->paths) != NULL;) {
    certificates->paths = path->next;
    free(path);
  }
  free(certificates);
}
