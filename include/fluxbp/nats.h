/* SPDX-License-Identifier: MIT */
/*
 * nats: many servers behind NATS, for any program on the server library. What is published at one of them gets to the
 * clients of all; with a JetStream stream it is kept there, gives the ids, and a client may go on at any server.
 *
 * docs/backbone.md says what is promised when NATS or a server goes away.
 */
#ifndef FLUXBP_NATS_H
#define FLUXBP_NATS_H

#include "fluxbp/export.h"
#include "fluxbp/server/server.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What fluxbp_nats_subject_is_right wants. */
#define FLUXBP_NATS_SUBJECT_RULE "a subject of NATS that ends with '.>', such as 'fluxbp.>', in at most 128 letters"

/** What the pointers point to has to stay as it is until the server is closed. */
typedef struct fluxbp_nats_options {
  size_t size;     /* set by fluxbp_nats_options_init */
  const char *url; /* such as nats://127.0.0.1:4222 or tls://USER:PASSWORD@HOST:PORT; default nats://127.0.0.1:4222 */
  const char *credentials; /* a file of credentials; default NULL: none */
  const char *subject;     /* the subjects that are topics here; default "fluxbp.>": the topic "news" is fluxbp.news */
  const char *stream;      /* of JetStream, which has these subjects; default NULL: none, and nothing is kept */
  const char *name;        /* of the connection, for NATS's monitoring; default "fluxbp" */
} fluxbp_nats_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_nats_options_init(options) fluxbp_nats_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_nats_options_init_sized(fluxbp_nats_options_t *options, size_t size);

/** Return whether a text can be fluxbp_nats_options_t.subject. */
FLUXBP_EXTERN int fluxbp_nats_subject_is_right(const char *text);

/**
 * Make a backbone for fluxbp_server_options_t.backbone. It connects when its server is created, and goes with it: give
 * each to one server.
 *
 * @return 0, or
 *   UV_EINVAL  the subject isn't right
 *   UV_E2BIG   options that this version of the library doesn't know
 *   UV_ENOTSUP the library was built without libnats
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_nats_create(const fluxbp_nats_options_t *options, fluxbp_backbone_t **backbone);

#ifdef __cplusplus
}
#endif

#endif
