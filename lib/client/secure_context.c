/* SPDX-License-Identifier: MIT */
/*
 * secure_context: whom clients trust, and what they show. An SSL_CTX has the counter of its references, so clients keep
 * that alone.
 */
#include "client.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fluxbp_client_tls {
  SSL_CTX *context;
};

void fluxbp_client_tls_options_init_sized(fluxbp_client_tls_options_t *options, size_t size) {
  memset(options, 0, size);
  memcpy(options, &size, sizeof size);
}

/* Nobody is asked for a password: a program may have no terminal. */
static int give_no_password(char *password, int capacity, int is_writing, void *arg) {
  (void) password;
  (void) capacity;
  (void) is_writing;
  (void) arg;
  return -1;
}

static SSL_CTX *create_context(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) return NULL;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* most of the time a client neither reads nor writes */
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_default_passwd_cb(context, give_no_password);
  return context;
}

struct problem {
  char *text;
  size_t capacity;
};

__attribute__((format(printf, 2, 3))) static int refuse_options(const struct problem *problem, const char *format,
                                                                ...) {
  va_list arguments;
  va_start(arguments, format);
  if (problem->capacity > 0) (void) vsnprintf(problem->text, problem->capacity, format, arguments);
  va_end(arguments);
  ERR_clear_error();
  return UV_EINVAL;
}

/* OpenSSL's words, or those of the system for a file that can't be read. */
static int refuse_file(const struct problem *problem, const char *path, const char *advice) {
  unsigned long error = ERR_peek_error();
  const char *reason = ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);
  return refuse_options(problem, "%s: %s; %s", path, reason != NULL ? reason : "it can't be used", advice);
}

static int use_authorities(SSL_CTX *context, const fluxbp_client_tls_options_t *options,
                           const struct problem *problem) {
  if (options->is_insecure && options->ca_file != NULL)
    return refuse_options(problem, "%s: a file of authorities has no effect where every certificate is accepted",
                          options->ca_file);
  if (options->is_insecure)
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  else if (options->ca_file == NULL)
    SSL_CTX_set_default_verify_paths(context); /* a system without them trusts nobody */
  else if (SSL_CTX_load_verify_file(context, options->ca_file) != 1)
    return refuse_file(problem, options->ca_file, "it has to be a PEM file with certificates of authorities");
  return 0;
}

static int use_certificate(SSL_CTX *context, const fluxbp_client_tls_options_t *options,
                           const struct problem *problem) {
  if (options->certificate == NULL && options->key == NULL) return 0;
  if (options->key == NULL)
    return refuse_options(problem, "%s: the key of the certificate is missing", options->certificate);
  if (options->certificate == NULL)
    return refuse_options(problem, "%s: the certificate of the key is missing", options->key);
  if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1)
    return refuse_file(problem, options->certificate, "it has to be a PEM file with a certificate");
  if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) == 1) return 0;
  if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
    return refuse_options(problem, "%s: the key doesn't belong to the certificate in %s", options->key,
                          options->certificate);
  return refuse_file(problem, options->key, "it has to be a PEM file with a private key, without a password");
}

static int set_up(SSL_CTX *context, const fluxbp_client_tls_options_t *options, const struct problem *problem) {
  ERR_clear_error();
  int error = use_authorities(context, options, problem);
  if (error == 0) error = use_certificate(context, options, problem);
  ERR_clear_error();
  return error;
}

int fluxbp_client_tls_create(const fluxbp_client_tls_options_t *given, fluxbp_client_tls_t **tls, char *text,
                             size_t capacity) {
  const struct problem problem = {text, capacity};
  fluxbp_client_tls_options_t options = {.size = sizeof options};
  int error = fluxbp__client_copy_sized(&options, sizeof options, given);
  if (error != 0) {
    (void) refuse_options(&problem, "the options aren't those of this version of the library");
    return error;
  }
  SSL_CTX *context = create_context();
  fluxbp_client_tls_t *created = context != NULL ? calloc(1, sizeof *created) : NULL;
  error = created != NULL ? set_up(context, &options, &problem) : UV_ENOMEM;
  if (error == UV_ENOMEM) (void) refuse_options(&problem, "out of memory");
  if (error != 0) {
    SSL_CTX_free(context);
    free(created);
    return error;
  }
  created->context = context;
  *tls = created;
  return 0;
}

void fluxbp_client_tls_free(fluxbp_client_tls_t *tls) {
  if (tls != NULL) SSL_CTX_free(tls->context);
  free(tls);
}

/* Of clients without a fluxbp_client_tls_t: made once for the process, by the first of them. */
static SSL_CTX *default_context;
static pthread_mutex_t default_context_lock = PTHREAD_MUTEX_INITIALIZER;

static SSL_CTX *find_default_context(void) {
  static const fluxbp_client_tls_options_t defaults = {.size = sizeof defaults};
  pthread_mutex_lock(&default_context_lock);
  if (default_context == NULL) {
    default_context = create_context();
    if (default_context != NULL) (void) set_up(default_context, &defaults, &(struct problem){NULL, 0});
  }
  SSL_CTX *context = default_context;
  pthread_mutex_unlock(&default_context_lock);
  return context;
}

SSL_CTX *fluxbp__secure_context(const fluxbp_client_tls_t *tls) {
  SSL_CTX *context = tls != NULL ? tls->context : find_default_context();
  if (context != NULL) SSL_CTX_up_ref(context);
  return context;
}
