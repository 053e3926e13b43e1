/* SPDX-License-Identifier: MIT */
/*
 * secure_problem: what OpenSSL says, as sentences for people who run servers and clients.
 */
#include "secure.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define ALERT_INTERNAL_ERROR 80 /* RFC 8446, 6.2: it isn't about the client */

/* What to do about a certificate that isn't accepted; NULL: OpenSSL's words say it. */
static const char *advice_for(long verdict) {
  switch (verdict) {
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    return "nobody vouches for it; to trust this one, name its file as that of the authorities";
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    return "its authority isn't among those that are trusted";
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    return "its authority isn't among those that are trusted, or the server doesn't send the certificates between";
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "the server needs a new one, or this machine's clock is wrong";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "this machine's clock may be wrong";
  default:
    return NULL;
  }
}

static void describe_certificate(fluxbp__secure_t *secure, long verdict, const char *host) {
  static const char refusal[] = "the certificate isn't accepted";
  const char *reason = X509_verify_cert_error_string(verdict), *advice = advice_for(verdict);
  bool is_about_name = verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
  if (is_about_name)
    (void) snprintf(secure->problem, sizeof secure->problem, "%s: it isn't for %s (%s)", refusal, host, reason);
  else
    (void) snprintf(secure->problem, sizeof secure->problem, "%s: %s%s%s", refusal, reason, advice != NULL ? "; " : "",
                    advice != NULL ? advice : "");
}

/* The name of an alert in "tlsv1 alert unknown ca" and the like. */
static const char *alert_name(unsigned long error) {
  static const char word[] = "alert ";
  const char *reason = ERR_reason_error_string(error);
  const char *name = reason != NULL ? strstr(reason, word) : NULL;
  return name != NULL ? name + sizeof word - 1 : reason != NULL ? reason : "of an unknown kind";
}

bool fluxbp__secure_describe(fluxbp__secure_t *secure, const char *host) {
  unsigned long error = ERR_peek_error();
  int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  int alert = reason >= SSL_AD_REASON_OFFSET ? reason - SSL_AD_REASON_OFFSET : 0;
  bool is_handshaking = secure->is_handshaking;
  if (alert > 0)
    (void) snprintf(secure->problem, sizeof secure->problem, "the server refuses by a TLS alert: %s",
                    alert_name(error));
  else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
    describe_certificate(secure, SSL_get_verify_result(secure->tls.ssl), host);
  else {
    char words[128];
    fluxbp__tls_problem(&secure->tls, words, sizeof words);
    (void) snprintf(secure->problem, sizeof secure->problem, "%s: %s",
                    is_handshaking ? "the TLS handshake fails" : "TLS fails", words);
  }
  ERR_clear_error();
  return alert != ALERT_INTERNAL_ERROR && (is_handshaking || alert > 0);
}
