/* SPDX-License-Identifier: MIT */
/*
 * backbone: many gateways behind one NATS. What is published at any of them goes to NATS, and what comes from NATS, one's
 * own included, goes to the clients: so there is one way and one order, and each client gets everything once.
 *
 * With a stream (--jetstream) ids are the stream's sequence numbers and the epoch is made of the stream's identity, so
 * that a client may go on at any gateway.
 *
 * Nothing here ever waits in a caller's thread, but for the two functions that say so.
 */
#ifndef FLUXBP_SERVER_BACKBONE_H
#define FLUXBP_SERVER_BACKBONE_H

#include "nats/backbone_blocks.h"
#include "server.h"
#include "text.h"

#include <fluxbp/fluxbp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backbone;

/* What a bus has to know of the stream. */
struct backbone_ids {
  bool is_given;     /* by the stream; else the bus gives them */
  uint64_t epoch;    /* of the stream */
  uint64_t first_id; /* from which on messages come */
};

/** On a thread of the backbone's: it can't go on, for a reason that was logged; the gateway has to stop. Mustn't call here. */
typedef void (*backbone_cb)(void *arg);

/**
 * Connect as the server's options say. Without a stream it may be away; then it is looked for from now on. With one the
 * function waits until it is there, since nothing can be given an id before.
 *
 * @return NULL: it can't be used, which was told on standard error
 */
struct backbone *backbone_connect(fluxbp_server_t *server, backbone_cb on_failure, void *arg);

struct backbone_ids backbone_ids(const struct backbone *backbone);

/**
 * The bus is there: begin to pass messages on. Waits until what the stream has of the past is on the bus.
 *
 * @return 0 or a libuv error
 */
int backbone_start(struct backbone *backbone);

struct waiter;

/**
 * Queue a message for NATS, from any thread; topic, key and message were checked.
 *
 * @param length 0: take the value of the key back
 * @param waiter is told what became of it: that the stream has it, or without a stream that it has come back and is on the
 *   bus; or that it was refused, or that its fate isn't known. NULL: nobody wants to know
 * @return 0, or
 *   UV_EAGAIN   so many are queued that have not been confirmed, or memory is used up; the same may be tried again
 *   UV_ENOTCONN the backbone is away; the same
 *   UV_E2BIG    NATS takes no such long messages
 *   UV_EINVAL   NATS has no subject for that topic
 *   and then `*problem` says what is wrong, and what to do
 */
int backbone_publish(struct backbone *backbone, const char *topic, const char *key, const void *data, size_t length,
                     struct waiter *waiter, const char **problem);

enum backbone_past_outcome { BACKBONE_PAST_THERE, BACKBONE_PAST_COMING, BACKBONE_PAST_GONE };

/**
 * What the stream has from the id `id` on, for a client that resumes behind the gateway's own history. With a stream only,
 * from any thread. It doesn't wait: what isn't there yet is fetched meanwhile, in turn with what other clients want.
 *
 * @param want     the client's, all zero at first; until it has its block, or backbone_past_forget, it keeps the place in
 *   the queue and then the block, of which there are few: who wants something has to come for it
 * @param block    THERE: a piece of it, `id` in its range, to be given back by backbone_past_release
 * @param first_id GONE: the oldest id that the stream has
 * @return COMING: ask again in some milliseconds, for as long as it takes
 */
enum backbone_past_outcome backbone_past_read(struct backbone *backbone, struct block_want *want, uint64_t id,
                                              struct block **block, uint64_t *first_id);
void backbone_past_release(struct backbone *backbone, struct block *block);

/** The client wants nothing any more, or not now. May be called again. */
void backbone_past_forget(struct backbone *backbone, struct block_want *want);

/** Whether everything that was published here has been confirmed, and who waited for it was told. */
bool backbone_is_idle(struct backbone *backbone);

/** @return NULL: it works; or what is wrong with it, for readyz */
const char *backbone_problem(struct backbone *backbone);

/** Prometheus text. */
void backbone_metrics(struct backbone *backbone, struct text *text);

/**
 * Close the connection and pass nothing on any more: the hubs are about to be closed. Who waits is given back by
 * backbone_free. May be called at any time, and again. It doesn't wait for answers of NATS.
 */
void backbone_stop(struct backbone *backbone);

/** After backbone_stop, and when the threads of the hubs have ended. */
void backbone_free(struct backbone *backbone);

#endif
