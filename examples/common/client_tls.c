/* SPDX-License-Identifier: MIT */
/*
 * client_tls: see the header. What is made here is freed with the process.
 */
#include "common/client_tls.h"

bool client_tls_open(struct client_tls *tls, bool is_used, struct givens *givens) {
  fluxbp_client_tls_options_t options;
  char problem[512];
  fluxbp_client_tls_options_init(&options);
  options.ca_file = tls->ca_file;
  options.certificate = tls->certificate;
  options.key = tls->key;
  options.is_insecure = tls->is_insecure;
  bool is_given = tls->ca_file != NULL || tls->certificate != NULL || tls->key != NULL || tls->is_insecure;
  if (!is_given) return true;
  if (!is_used)
    return givens_refuse(givens,
                         "--tls-ca, --insecure, --tls-cert and --tls-key are for URLs with TLS, such as https://");
  if (tls->ca_file != NULL && tls->is_insecure)
    return givens_refuse(givens,
                         "--tls-ca and --insecure exclude each other: the one checks certificates, the other doesn't");
  if (fluxbp_client_tls_create(&options, &tls->tls, problem, sizeof problem) == 0) return true;
  return givens_refuse(givens, "%s", problem);
}
