/* SPDX-License-Identifier: MIT */
/*
 * topic_list: the topics of a client that has more than one: in the order in which they came, until one goes and the
 * last takes its place. Finding, adding and removing one of thousands cost the same however many there are.
 */
#ifndef FLUXBP_SERVER_TOPIC_LIST_H
#define FLUXBP_SERVER_TOPIC_LIST_H

#include <fluxbp/fluxbp.h>

#include <stddef.h>
#include <stdint.h>

struct topic_list {
  uint32_t count;
  uint32_t capacity;
  fluxbp_topic_t *topics[];
};

/** @return its place, or NULL: it isn't there */
fluxbp_topic_t **topic_list_find(struct topic_list *list, const fluxbp_topic_t *topic);

/** Add one that isn't there. `*list` may be NULL, and may become another one. @return 0 or UV_ENOMEM */
int topic_list_add(struct topic_list **list, fluxbp_topic_t *topic);

/** Remove the one at that place. The list stays, also when it is empty: free it. */
void topic_list_remove(struct topic_list *list, fluxbp_topic_t **place);

#endif
