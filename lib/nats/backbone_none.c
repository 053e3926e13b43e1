/* SPDX-License-Identifier: MIT */
/*
 * backbone_none: a build without libnats. It says so when it is asked for.
 */
#include "server/backbone.h"

#include <stdio.h>

struct backbone *backbone_connect(fluxbp_server_t *server, backbone_cb on_failure, void *arg) {
  (void) server;
  (void) on_failure;
  (void) arg;
  fputs("gateway: --nats: this gateway was built without libnats (Debian's libnats-dev)\n", stderr);
  return NULL;
}

struct backbone_ids backbone_ids(const struct backbone *backbone) {
  (void) backbone;
  return (struct backbone_ids){.is_given = false};
}

int backbone_start(struct backbone *backbone) {
  (void) backbone;
  return UV_ENOTSUP;
}

int backbone_publish(struct backbone *backbone, const char *topic, const char *key, const void *data, size_t length,
                     struct waiter *waiter, const char **problem) {
  (void) backbone, (void) topic, (void) key, (void) data, (void) length, (void) waiter;
  *problem = "there is no backbone";
  return UV_ENOTSUP;
}

enum backbone_past_outcome backbone_past_read(struct backbone *backbone, struct block_want *want, uint64_t id,
                                              struct block **block, uint64_t *first_id) {
  (void) backbone, (void) want, (void) block;
  *first_id = id + 1;
  return BACKBONE_PAST_GONE;
}

void backbone_past_release(struct backbone *backbone, struct block *block) {
  (void) backbone;
  (void) block;
}

void backbone_past_forget(struct backbone *backbone, struct block_want *want) {
  (void) backbone;
  (void) want;
}

bool backbone_is_idle(struct backbone *backbone) {
  (void) backbone;
  return true;
}

const char *backbone_problem(struct backbone *backbone) {
  (void) backbone;
  return NULL;
}

void backbone_metrics(struct backbone *backbone, struct text *text) {
  (void) backbone;
  (void) text;
}

void backbone_stop(struct backbone *backbone) {
  (void) backbone;
}

void backbone_free(struct backbone *backbone) {
  (void) backbone;
}
