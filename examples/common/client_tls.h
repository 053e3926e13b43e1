/* SPDX-License-Identifier: MIT */
/*
 * client_tls: options of programs that connect to servers with TLS by fluxbp/client.h. The program's table of options
 * has CLIENT_TLS_ENTRIES, and its `struct options` a member `struct client_tls tls`.
 */
#ifndef COMMON_CLIENT_TLS_H
#define COMMON_CLIENT_TLS_H

#include "common/option_given.h"

#include <fluxbp/client.h>
#include <stdbool.h>

struct client_tls {
  const char *ca_file, *certificate, *key; /* NULL: not given */
  bool is_insecure;
  fluxbp_client_tls_t *tls; /* NULL: that of the library, which trusts the system's authorities */
};

#define CLIENT_TLS_ENTRIES                                                                                             \
  {                                                                                                                    \
      OPTION_TEXT, "tls-ca",                                                                                           \
      "FILE",      "with TLS: trust the authorities in this PEM file, not those of the system",                        \
      NULL,        PLACE(tls.ca_file)},                                                                                \
      {OPTION_VALUE,                                                                                                   \
       "insecure",                                                                                                     \
       NULL,                                                                                                           \
       "with TLS: accept any certificate; then anybody on the way can read and\nchange everything",                    \
       "off",                                                                                                          \
       SWITCH,                                                                                                         \
       PLACE(tls.is_insecure)},                                                                                        \
      {OPTION_TEXT,           "tls-cert", "FILE", "with TLS: the own certificate, for servers that ask for one", NULL, \
       PLACE(tls.certificate)},                                                                                        \
  {                                                                                                                    \
    OPTION_TEXT, "tls-key", "FILE", "its key", NULL, PLACE(tls.key)                                                    \
  }

/** Read the files. `is_used`: one of the program's URLs has TLS. @return false: givens_refuse was told why */
bool client_tls_open(struct client_tls *tls, bool is_used, struct givens *givens);

#endif
