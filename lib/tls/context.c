/* SPDX-License-Identifier: MIT */
/*
 * context: see the header and fluxbp/server/tls.h. All files become a new context, which takes the place of the old one
 * when none of them is refused. Connections refer to the context that they began with, so the old one is freed with the
 * last of them.
 */
#include "context.h"

#include "server_context.h"

#include <openssl/err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TICKET_KEY_S_MIN 60
#define TICKET_KEY_S_MAX (7 * 24 * 60 * 60) /* RFC 8446, 4.6.1: the most that a ticket lives */

static const fluxbp_tls_options_t defaults = {.ticket_key_s = 12 * 60 * 60};

struct fluxbp_tls {
  uv_mutex_t reading; /* one reading of the files after the other, so that the last one counts */
  uv_mutex_t mutex;   /* of context and expires_s */
  SSL_CTX *context;
  uint64_t expires_s;

  /* Own copies, in `options` too. */
  fluxbp_tls_options_t options;
  fluxbp_tls_certificate_t certificates[FLUXBP_TLS_CERTIFICATES_MAX];
};

/* Options. */

void fluxbp_tls_options_init_sized(fluxbp_tls_options_t *options, size_t size) {
  memset(options, 0, size);
  memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
  options->size = size;
}

/* Write what was given over the defaults. 0, UV_EINVAL or UV_E2BIG. */
static int take_options(fluxbp_tls_options_t *options, const fluxbp_tls_options_t *given) {
  const char *bytes = (const char *) given;
  if (given->size < offsetof(fluxbp_tls_options_t, certificates)) return UV_EINVAL;
  for (size_t i = sizeof *options; i < given->size; i++)
    if (bytes[i] != 0) return UV_E2BIG;
  fluxbp_tls_options_init(options);
  memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
  return 0;
}

/* NULL, or what is wrong. */
static const char *find_fault(const fluxbp_tls_options_t *options) {
  if (options->certificates == NULL || options->certificate_count == 0) return "TLS needs a certificate and its key";
  if (options->certificate_count > FLUXBP_TLS_CERTIFICATES_MAX) return "TLS takes at most 64 certificates";
  for (size_t i = 0; i < options->certificate_count; i++)
    if (options->certificates[i].certificate == NULL || options->certificates[i].key == NULL)
      return "a certificate and its key belong together: give both paths";
  if (options->clients != FLUXBP_TLS_CLIENTS_REQUIRED && options->clients != FLUXBP_TLS_CLIENTS_OPTIONAL)
    return "clients' certificates are required or optional";
  if (options->ticket_key_s < TICKET_KEY_S_MIN || options->ticket_key_s > TICKET_KEY_S_MAX)
    return "keys of session tickets are current for 60 to 604800 seconds";
  return NULL;
}

/* Replace the texts by copies. 0 or UV_ENOMEM. */
static int copy_texts(fluxbp_tls_t *tls) {
  const fluxbp_tls_certificate_t *given = tls->options.certificates;
  bool is_right = true;
  tls->options.certificates = tls->certificates;
  for (size_t i = 0; i < tls->options.certificate_count; i++) {
    tls->certificates[i].certificate = strdup(given[i].certificate);
    tls->certificates[i].key = strdup(given[i].key);
    is_right = is_right && tls->certificates[i].certificate != NULL && tls->certificates[i].key != NULL;
  }
  if (tls->options.client_ca != NULL) {
    tls->options.client_ca = strdup(tls->options.client_ca);
    is_right = is_right && tls->options.client_ca != NULL;
  }
  return is_right ? 0 : UV_ENOMEM;
}

/* A path is ours, and const for readers alone. */
static void free_text(const char *text) {
  free((void *) (uintptr_t) text);
}

static void free_texts(fluxbp_tls_t *tls) {
  for (size_t i = 0; i < tls->options.certificate_count; i++) {
    free_text(tls->certificates[i].certificate);
    free_text(tls->certificates[i].key);
  }
  free_text(tls->options.client_ca);
}

/* Beginning and end. */

static int make_mutexes(fluxbp_tls_t *tls) {
  int err = uv_mutex_init(&tls->mutex);
  if (err != 0) return err;
  err = uv_mutex_init(&tls->reading);
  if (err != 0) uv_mutex_destroy(&tls->mutex);
  return err;
}

int fluxbp_tls_create(const fluxbp_tls_options_t *options, fluxbp_tls_t **tls, char *problem, size_t capacity) {
  fluxbp__reading_t reading = {.problem = problem, .capacity = capacity};
  fluxbp_tls_options_t taken;
  *tls = NULL;
  int err = take_options(&taken, options);
  const char *fault = err == 0          ? find_fault(&taken)
                      : err == UV_E2BIG ? "this version of the library doesn't know all of the options"
                                        : "the options have no size: call fluxbp_tls_options_init first";
  if (fault != NULL) {
    (void) snprintf(problem, capacity, "%s", fault);
    return err != 0 ? err : UV_EINVAL;
  }
  fluxbp_tls_t *made = calloc(1, sizeof *made);
  if (made == NULL || make_mutexes(made) != 0) {
    free(made);
    return fluxbp__reading_no_memory(&reading);
  }
  made->options = taken;
  err = copy_texts(made) == 0 ? fluxbp_tls_reload(made, problem, capacity) : fluxbp__reading_no_memory(&reading);
  if (err == 0)
    *tls = made;
  else
    fluxbp_tls_free(made);
  return err;
}

int fluxbp_tls_reload(fluxbp_tls_t *tls, char *problem, size_t capacity) {
  SSL_CTX *context;
  fluxbp__reading_t reading = {.expires_s = UINT64_MAX, .problem = problem, .capacity = capacity};
  uv_mutex_lock(&tls->reading);
  reading.now_s = time(NULL);
  int err = fluxbp__server_context_make(&tls->options, &reading, &context);
  if (err == 0) {
    uv_mutex_lock(&tls->mutex);
    SSL_CTX *old = tls->context;
    tls->context = context;
    tls->expires_s = reading.expires_s;
    uv_mutex_unlock(&tls->mutex);
    SSL_CTX_free(old);
  }
  uv_mutex_unlock(&tls->reading);
  return err;
}

uint64_t fluxbp_tls_expires_s(fluxbp_tls_t *tls) {
  uv_mutex_lock(&tls->mutex);
  uint64_t expires_s = tls->expires_s;
  uv_mutex_unlock(&tls->mutex);
  return expires_s;
}

void fluxbp_tls_free(fluxbp_tls_t *tls) {
  if (tls == NULL) return;
  SSL_CTX_free(tls->context);
  free_texts(tls);
  uv_mutex_destroy(&tls->reading);
  uv_mutex_destroy(&tls->mutex);
  free(tls);
}

/* Connections. */

SSL_CTX *fluxbp__tls_context(fluxbp_tls_t *tls) {
  uv_mutex_lock(&tls->mutex);
  SSL_CTX *context = tls->context;
  (void) SSL_CTX_up_ref(context);
  uv_mutex_unlock(&tls->mutex);
  return context;
}

/* Whether a text in UTF-8 has a control character: of ASCII, or U+0080 to U+009F. */
static bool has_control(const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] < 0x20 || text[i] == 0x7f) return true;
    if (text[i] == 0xc2 && i + 1 < length && text[i + 1] < 0xa0) return true;
  }
  return false;
}

size_t fluxbp__tls_client_name(const SSL *ssl, char *text, size_t capacity) {
  const X509 *certificate = SSL_get0_peer_certificate(ssl);
  X509_NAME *subject = certificate != NULL ? X509_get_subject_name(certificate) : NULL;
  int place = subject != NULL ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
  if (place < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, place) >= 0) return 0;
  unsigned char *name;
  int length = ASN1_STRING_to_UTF8(&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
  if (length < 0) { /* it isn't the text that it says it is */
    ERR_clear_error();
    return 0;
  }
  bool is_right = (size_t) length < capacity && !has_control(name, (size_t) length);
  if (is_right) {
    memcpy(text, name, (size_t) length);
    text[length] = '\0';
  }
  OPENSSL_free(name);
  return is_right ? (size_t) length : 0;
}
