/* SPDX-License-Identifier: MIT */
/*
 * certificates: see the header. A file is read whole before it is parsed, so that its permissions are those of the
 * bytes that were read. Copies of a key's text are wiped.
 */
#include "certificates.h"

#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

/* More than any bundle of authorities has; a wrong path shall not fill the memory. */
#define FILE_BYTES_MAX (1024 * 1024)

#define TIME_BYTES sizeof "2026-11-30 12:00:00 UTC"

int fluxbp__reading_refuse(const fluxbp__reading_t *reading, const char *path, const char *format, ...) {
  int length = snprintf(reading->problem, reading->capacity, "%s: ", path);
  va_list values;
  va_start(values, format);
  if (length >= 0 && (size_t) length < reading->capacity)
    (void) vsnprintf(reading->problem + length, reading->capacity - (size_t) length, format, values);
  va_end(values);
  return UV_EINVAL;
}

int fluxbp__reading_no_memory(const fluxbp__reading_t *reading) {
  (void) snprintf(reading->problem, reading->capacity, "out of memory");
  return UV_ENOMEM;
}

/* OpenSSL has refused something in a file. `advice` says what to do then. */
static int refuse_damaged(const fluxbp__reading_t *reading, const char *path, const char *what, const char *advice) {
  char reason[128];
  bool is_memory = ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
  fluxbp__tls_openssl_problem(reason, sizeof reason);
  if (is_memory) return fluxbp__reading_no_memory(reading);
  return fluxbp__reading_refuse(reading, path, "%s is damaged (%s); %s", what, reason, advice);
}

/* Files. */

struct file {
  char *text; /* with a NUL behind it */
  size_t length;
  mode_t mode;
};

static void clear_file(struct file *file) {
  if (file->text != NULL) OPENSSL_cleanse(file->text, file->length);
  free(file->text);
}

static int refuse_unreadable(const fluxbp__reading_t *reading, const char *path, int error) {
  const char *advice = error == ENOENT || error == ENOTDIR ? "; check the path"
                       : error == EACCES                   ? "; let the user that the server runs as read it"
                                                           : "";
  return fluxbp__reading_refuse(reading, path, "it can't be read: %s%s", strerror(error), advice);
}

static int read_open_file(const fluxbp__reading_t *reading, const char *path, int fd, struct file *file) {
  struct stat status;
  if (fstat(fd, &status) != 0) return refuse_unreadable(reading, path, errno);
  if (S_ISDIR(status.st_mode)) return fluxbp__reading_refuse(reading, path, "it is a directory; name a PEM file in it");
  if (!S_ISREG(status.st_mode))
    return fluxbp__reading_refuse(reading, path, "it isn't a regular file; name a PEM file");
  if (status.st_size > FILE_BYTES_MAX)
    return fluxbp__reading_refuse(reading, path, "it has more than 1 MiB; name a PEM file");
  file->mode = status.st_mode;
  file->text = calloc(1, (size_t) status.st_size + 1);
  if (file->text == NULL) return fluxbp__reading_no_memory(reading);
  while (file->length < (size_t) status.st_size) {
    ssize_t count = read(fd, file->text + file->length, (size_t) status.st_size - file->length);
    if (count < 0) return refuse_unreadable(reading, path, errno);
    if (count == 0) break; /* it has become shorter */
    file->length += (size_t) count;
  }
  return 0;
}

/* The caller clears the file, also after an error. */
static int read_file(const fluxbp__reading_t *reading, const char *path, struct file *file) {
  *file = (struct file){NULL, 0, 0};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nonblocking: a FIFO is refused, not waited for */
  if (fd < 0) return refuse_unreadable(reading, path, errno);
  int err = read_open_file(reading, path, fd, file);
  (void) close(fd);
  return err;
}

/* Certificates. */

static void print_time(const ASN1_TIME *time, char text[TIME_BYTES]) {
  struct tm parts;
  text[0] = '\0';
  if (ASN1_TIME_to_tm(time, &parts) == 1) (void) strftime(text, TIME_BYTES, "%Y-%m-%d %H:%M:%S UTC", &parts);
}

/* `place`: from 1. */
static int check_time(fluxbp__reading_t *reading, const char *path, const X509 *certificate, int place) {
  const ASN1_TIME *begin = X509_get0_notBefore(certificate), *end = X509_get0_notAfter(certificate);
  struct tm begin_parts, end_parts;
  char text[TIME_BYTES];
  if (ASN1_TIME_to_tm(begin, &begin_parts) != 1 || ASN1_TIME_to_tm(end, &end_parts) != 1)
    return refuse_damaged(reading, path, "the time of a certificate", "have a new one made");
  if (timegm(&begin_parts) > reading->now_s) {
    print_time(begin, text);
    return fluxbp__reading_refuse(reading, path,
                                  "certificate %d isn't valid before %s; wait until then, or set this machine's clock",
                                  place, text);
  }
  time_t end_s = timegm(&end_parts);
  if (end_s < reading->now_s) {
    print_time(end, text);
    return fluxbp__reading_refuse(reading, path, "certificate %d has expired at %s; renew it", place, text);
  }
  if ((uint64_t) end_s < reading->expires_s) reading->expires_s = (uint64_t) end_s;
  return 0;
}

/* Read the next one. 0 and *certificate NULL: there are no more. */
static int read_next(fluxbp__reading_t *reading, const char *path, BIO *bio, int place, X509 **certificate) {
  ERR_clear_error();
  *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  if (*certificate != NULL) return check_time(reading, path, *certificate, place);
  unsigned long error = ERR_peek_last_error();
  bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!is_end) return refuse_damaged(reading, path, "a certificate", "write the file anew");
  ERR_clear_error();
  if (place == 1)
    return fluxbp__reading_refuse(reading, path, "there is no certificate in it (BEGIN CERTIFICATE); name a PEM file");
  return 0;
}

static int parse_certificates(fluxbp__reading_t *reading, const char *path, BIO *bio, STACK_OF(X509) * list) {
  X509 *certificate;
  int err;
  while ((err = read_next(reading, path, bio, sk_X509_num(list) + 1, &certificate)) == 0 && certificate != NULL)
    if (sk_X509_push(list, certificate) == 0) {
      err = fluxbp__reading_no_memory(reading);
      break;
    }
  if (err != 0) X509_free(certificate);
  return err;
}

int fluxbp__certificates_read(fluxbp__reading_t *reading, const char *path, STACK_OF(X509) * *list) {
  struct file file;
  int err = read_file(reading, path, &file);
  *list = NULL;
  if (err == 0) {
    BIO *bio = BIO_new_mem_buf(file.text, (int) file.length);
    *list = sk_X509_new_null();
    err = bio != NULL && *list != NULL ? parse_certificates(reading, path, bio, *list)
                                       : fluxbp__reading_no_memory(reading);
    BIO_free(bio);
  }
  clear_file(&file);
  if (err != 0) {
    sk_X509_pop_free(*list, X509_free);
    *list = NULL;
  }
  return err;
}

/* Keys. */

/* OpenSSL would ask at the terminal for the passphrase. */
static int on_passphrase(char *text, int capacity, int is_written, void *is_asked) {
  (void) text;
  (void) capacity;
  (void) is_written;
  *(bool *) is_asked = true;
  return -1;
}

static int parse_key(const fluxbp__reading_t *reading, const char *path, const struct file *file, EVP_PKEY **key) {
  bool has_passphrase = false;
  BIO *bio = BIO_new_mem_buf(file->text, (int) file->length);
  if (bio == NULL) return fluxbp__reading_no_memory(reading);
  ERR_clear_error();
  *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &has_passphrase);
  BIO_free(bio);
  if (*key != NULL) return 0;
  ERR_clear_error();
  if (has_passphrase)
    return fluxbp__reading_refuse(reading, path,
                                  "the key has a passphrase; write it without one (openssl pkey -in FILE -out NEW)");
  if (strstr(file->text, "PRIVATE KEY-----") != NULL)
    return fluxbp__reading_refuse(
        reading, path, "the private key is damaged, or of a kind that OpenSSL doesn't know; write the file anew");
  return fluxbp__reading_refuse(reading, path, "there is no private key in it (BEGIN PRIVATE KEY); name a PEM file");
}

static int read_key(const fluxbp__reading_t *reading, const char *path, EVP_PKEY **key) {
  struct file file;
  *key = NULL;
  int err = read_file(reading, path, &file);
  if (err == 0 && (file.mode & S_IRWXO) != 0)
    err = fluxbp__reading_refuse(reading, path,
                                 "it has a key, and others than its owner and its group may use it; chmod 640 it");
  if (err == 0) err = parse_key(reading, path, &file, key);
  clear_file(&file);
  return err;
}

int fluxbp__certificate_read(fluxbp__reading_t *reading, const fluxbp_tls_certificate_t *paths,
                             fluxbp__certificate_t *certificate) {
  *certificate = (fluxbp__certificate_t){NULL, NULL, NULL};
  int err = fluxbp__certificates_read(reading, paths->certificate, &certificate->chain);
  if (err == 0) {
    certificate->certificate = sk_X509_shift(certificate->chain);
    err = read_key(reading, paths->key, &certificate->key);
  }
  if (err == 0 && X509_check_private_key(certificate->certificate, certificate->key) != 1)
    err = fluxbp__reading_refuse(reading, paths->key,
                                 "the key doesn't belong to the first certificate of %s; name the files of one pair",
                                 paths->certificate);
  ERR_clear_error();
  if (err != 0) fluxbp__certificate_clear(certificate);
  return err;
}

void fluxbp__certificate_clear(fluxbp__certificate_t *certificate) {
  X509_free(certificate->certificate);
  sk_X509_pop_free(certificate->chain, X509_free);
  EVP_PKEY_free(certificate->key);
  *certificate = (fluxbp__certificate_t){NULL, NULL, NULL};
}
