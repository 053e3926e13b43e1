/* SPDX-License-Identifier: MIT */
/*
 * tls_clients: as clients.c has them, which gives the sockets: they read at intervals, all in turn.
 */
#include "tls_clients.h"

#include "bench.h"
#include "clients.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { READ_MS = 20, VALID_S = 86400 };

typedef struct crowd {
  clients_t clients;
  SSL_CTX *context;
  SSL **tls;
} crowd_t;

typedef enum what { CONNECT, HANDSHAKES, RECEIVE, RESET } what_t;

typedef struct request {
  what_t what;
  uint64_t port, number, buffer_bytes;
} request_t;

static void connect_all(crowd_t *crowd, const request_t *request) {
  crowd->clients.buffer_bytes = request->buffer_bytes;
  clients_prepare(&crowd->clients, request->number);
  clients_connect(&crowd->clients, (uint16_t) request->port, NULL);
}

static void wait_to_read(const crowd_t *crowd, size_t index) {
  struct pollfd poll_fd = {.fd = crowd->clients.fds[index], .events = POLLIN};
  (void) bench_check(poll(&poll_fd, 1, -1), "poll");
}

/* A client that is answered is subscribed. */
static void await_pong(const crowd_t *crowd, size_t index) {
  static const char answer[] = "+PONG\n";
  char got[sizeof answer];
  int filled = 0, length;
  if (SSL_write(crowd->tls[index], "PING\n", 5) != 5) bench_die("a question", UV_EAGAIN);
  while (filled < (int) sizeof answer - 1) {
    length = SSL_read(crowd->tls[index], got + filled, (int) sizeof answer - 1 - filled);
    if (length > 0)
      filled += length;
    else if (SSL_get_error(crowd->tls[index], length) == SSL_ERROR_WANT_READ)
      wait_to_read(crowd, index);
    else
      bench_die("an answer", UV_EOF);
  }
  if (memcmp(got, answer, sizeof answer - 1) != 0) bench_die("an answer", UV_EPROTO);
}

static void shake_hands(crowd_t *crowd, bool asks) {
  crowd->tls = bench_alloc(crowd->clients.count, sizeof(SSL *));
  for (size_t i = 0; i < crowd->clients.count; i++) {
    SSL *tls = crowd->tls[i] = SSL_new(crowd->context);
    int result, error;
    if (tls == NULL || SSL_set_fd(tls, crowd->clients.fds[i]) != 1) bench_die("a TLS client", UV_ENOMEM);
    while ((result = SSL_connect(tls)) != 1) {
      error = SSL_get_error(tls, result);
      if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) bench_die("a TLS handshake", UV_EPROTO);
      wait_to_read(crowd, i);
    }
    if (asks) await_pong(crowd, i);
  }
}

static uint64_t read_all(const crowd_t *crowd) {
  static char plain[16384];
  uint64_t sum = 0;
  for (size_t i = 0; i < crowd->clients.count; i++) {
    int length;
    while ((length = SSL_read(crowd->tls[i], plain, sizeof plain)) > 0) sum += (uint64_t) length;
    if (SSL_get_error(crowd->tls[i], length) != SSL_ERROR_WANT_READ) bench_die("a TLS client", UV_EOF);
  }
  return sum;
}

static void receive(const crowd_t *crowd, uint64_t bytes) {
  uint64_t received = read_all(crowd);
  for (; received < bytes; received += read_all(crowd)) uv_sleep(READ_MS);
  if (received > bytes) bench_die("clients were sent too much", UV_EPROTO);
}

static void reset(crowd_t *crowd) {
  for (size_t i = 0; crowd->tls != NULL && i < crowd->clients.count; i++) SSL_free(crowd->tls[i]);
  free(crowd->tls);
  crowd->tls = NULL;
  clients_reset(&crowd->clients);
}

void tls_clients_serve(int channel, void *arg) {
  crowd_t crowd = {.context = SSL_CTX_new(TLS_client_method())};
  request_t request;
  (void) arg;
  if (crowd.context == NULL) bench_die("TLS clients", UV_ENOMEM);
  SSL_CTX_set_mode(crowd.context, SSL_MODE_RELEASE_BUFFERS);
  while (child_hear(channel, &request, sizeof request)) {
    switch (request.what) {
    case CONNECT:
      connect_all(&crowd, &request);
      break;
    case HANDSHAKES:
      shake_hands(&crowd, request.number != 0);
      break;
    case RECEIVE:
      receive(&crowd, request.number);
      break;
    case RESET:
      reset(&crowd);
      break;
    }
    child_tell(channel, &request, sizeof request);
  }
  reset(&crowd);
  SSL_CTX_free(crowd.context);
}

static void begin(const child_t *child, what_t what, uint64_t port, uint64_t number, uint64_t buffer_bytes) {
  request_t request;
  memset(&request, 0, sizeof request); /* its padding, too */
  request.what = what;
  request.port = port;
  request.number = number;
  request.buffer_bytes = buffer_bytes;
  child_tell(child->channel, &request, sizeof request);
}

void tls_clients_begin_connecting(child_t *child, uint16_t port, uint64_t count, uint64_t buffer_bytes) {
  begin(child, CONNECT, port, count, buffer_bytes);
}

void tls_clients_begin_handshakes(child_t *child, bool asks) {
  begin(child, HANDSHAKES, 0, asks, 0);
}

void tls_clients_begin_receiving(child_t *child, uint64_t bytes) {
  begin(child, RECEIVE, 0, bytes, 0);
}

void tls_clients_wait(child_t *child) {
  request_t done;
  if (!child_hear(child->channel, &done, sizeof done)) bench_die("the TLS clients' process", UV_EOF);
}

int tls_clients_are_done(const child_t *child) {
  struct pollfd poll_fd = {.fd = child->channel, .events = POLLIN};
  return bench_check(poll(&poll_fd, 1, 0), "poll") == 1;
}

void tls_clients_reset(child_t *child) {
  begin(child, RESET, 0, 0, 0);
  tls_clients_wait(child);
}

/* The certificate. */

static X509 *sign_itself(EVP_PKEY *key) {
  static const unsigned char host[] = "localhost";
  X509 *certificate = X509_new();
  if (certificate == NULL) return NULL;
  X509_NAME *name = X509_get_subject_name(certificate);
  (void) X509_set_version(certificate, X509_VERSION_3);
  (void) ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  (void) X509_gmtime_adj(X509_getm_notBefore(certificate), -VALID_S);
  (void) X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S);
  (void) X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
  (void) X509_set_issuer_name(certificate, name);
  (void) X509_set_pubkey(certificate, key);
  if (X509_sign(certificate, key, EVP_sha256()) > 0) return certificate;
  X509_free(certificate);
  return NULL;
}

static FILE *create_file(const char *path) {
  int fd = bench_check(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), path);
  FILE *file = fdopen(fd, "w");
  if (file == NULL) bench_die(path, UV_ENOMEM);
  return file;
}

void tls_files_make(tls_files_t *files) {
  (void) snprintf(files->folder, sizeof files->folder, "/tmp/fluxbp-bench-XXXXXX");
  if (mkdtemp(files->folder) == NULL) bench_die("a folder for certificates", UV_EIO);
  (void) snprintf(files->certificate, sizeof files->certificate, "%s/server.pem", files->folder);
  (void) snprintf(files->key, sizeof files->key, "%s/server.key", files->folder);
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = key != NULL ? sign_itself(key) : NULL;
  if (certificate == NULL) bench_die("a certificate", UV_ENOMEM);
  FILE *file = create_file(files->certificate);
  (void) PEM_write_X509(file, certificate);
  (void) fclose(file);
  file = create_file(files->key);
  (void) PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
  (void) fclose(file);
  X509_free(certificate);
  EVP_PKEY_free(key);
}

void tls_files_remove(const tls_files_t *files) {
  (void) unlink(files->certificate);
  (void) unlink(files->key);
  (void) rmdir(files->folder);
}
