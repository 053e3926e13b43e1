/* SPDX-License-Identifier: MIT */
/*
 * nats: many servers behind NATS, for any program on the server library. A message that is published at one server goes
 * to the clients of all. A JetStream stream keeps the messages and gives the ids, so a client may resume at any server.
 *
 * docs/deployment.md has the promises for the time when NATS or a server is away.
 */
#ifndef FLUXBP_NATS_H
#define FLUXBP_NATS_H

#include "fluxbp/export.h"
#include "fluxbp/server/server.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The rule of fluxbp_nats_subject_is_right. */
#define FLUXBP_NATS_SUBJECT_RULE "a subject of NATS that ends with '.>', such as 'fluxbp.>', in at most 128 letters"

/** Memory behind the pointers must not change until the server is closed. */
typedef struct fluxbp_nats_options {
  size_t size;     /* set by fluxbp_nats_options_init */
  const char *url; /* such as nats://127.0.0.1:4222 or tls://USER:PASSWORD@HOST:PORT; default nats://127.0.0.1:4222 */
  const char *credentials; /* a file of credentials; default NULL: none */
  const char *subject;     /* the subjects of the topics; default "fluxbp.>": the topic "news" is fluxbp.news */
  const char *stream;      /* the JetStream stream of these subjects; default NULL: NATS keeps no messages */
  const char *name;        /* the name of the connection in NATS's monitoring; default "fluxbp" */
} fluxbp_nats_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_nats_options_init(options) fluxbp_nats_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_nats_options_init_sized(fluxbp_nats_options_t *options, size_t size);

/** Return whether a text may be the `subject` of the options. */
FLUXBP_EXTERN int fluxbp_nats_subject_is_right(const char *text);

/**
 * Make a backbone for the options of one server. It connects in fluxbp_server_create, and is freed with the server.
 *
 * @return 0, or
 *   UV_EINVAL  the subject breaks the rule
 *   UV_E2BIG   options that this version of the library doesn't know
 *   UV_ENOTSUP the library was built without libnats
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_nats_create(const fluxbp_nats_options_t *options, fluxbp_backbone_t **backbone);

#ifdef __cplusplus
}
#endif

#endif
