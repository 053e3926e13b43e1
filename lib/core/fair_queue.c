/* SPDX-License-Identifier: MIT */
/*
 * fair_queue: see the header.
 *
 * A flow that has cost more than it had is passed over until it has paid, a quantum each time that its turn would come.
 * It stays in the queue for that, whether it waits or not. When nothing waits any more, all debts are forgotten: nobody
 * was kept waiting.
 */
#include "fair_queue.h"

#include "hash.h"
#include "pool.h"

#include <assert.h>

/* Quanta that a flow owes at most: one costly turn isn't to keep the flow, or the search, busy for ever. */
enum { DEBT_QUANTA_MAX = 64 };

static void flows_init(fluxbp__flows_t *flows) {
  fluxbp__list_init(&flows->new_ones);
  fluxbp__list_init(&flows->old_ones);
  flows->waiting = 0;
}

static bool flows_are_empty(const fluxbp__flows_t *flows) {
  return fluxbp__list_is_empty(&flows->new_ones) && fluxbp__list_is_empty(&flows->old_ones);
}

static fluxbp__flow_t *flow_of(fluxbp__link_t *link) {
  return FLUXBP__CONTAINER(link, fluxbp__flow_t, link);
}

static void flow_wait(fluxbp__flows_t *flows, fluxbp__flow_t *flow, int64_t quantum) {
  if (flow->is_waiting) return;
  flow->is_waiting = true;
  flows->waiting++;
  if (fluxbp__link_is_linked(&flow->link)) return; /* it has had a turn, and keeps its place */
  flow->credit = quantum;
  flow->is_new = true;
  fluxbp__list_append(&flows->new_ones, &flow->link);
}

static void flow_stop_waiting(fluxbp__flows_t *flows, fluxbp__flow_t *flow) {
  if (flow->is_waiting) flows->waiting--;
  flow->is_waiting = false;
}

static void flow_to_old(fluxbp__flows_t *flows, fluxbp__flow_t *flow) {
  fluxbp__link_remove(&flow->link);
  flow->is_new = false;
  fluxbp__list_append(&flows->old_ones, &flow->link);
}

static void flow_charge(fluxbp__flow_t *flow, int64_t quantum, uint64_t cost) {
  int64_t least = -quantum * DEBT_QUANTA_MAX;
  int64_t most_cost = flow->credit - least;
  flow->credit = most_cost > 0 && cost < (uint64_t) most_cost ? flow->credit - (int64_t) cost : least;
}

/* Return the flow that comes first. It has its turn if it waits. If it doesn't, it has paid, and may go. */
static fluxbp__flow_t *first_of(fluxbp__flows_t *flows, int64_t quantum) {
  for (;;) {
    bool has_new = !fluxbp__list_is_empty(&flows->new_ones);
    fluxbp__flow_t *flow = flow_of(has_new ? flows->new_ones.next : flows->old_ones.next);
    if (flow->credit <= 0)
      flow->credit += quantum;
    else if (flow->is_waiting || !flow->is_new)
      return flow;
    flow_to_old(flows, flow); /* also if it has credit left: it would be a new one again and again */
  }
}

static fluxbp__fair_item_t *item_of(fluxbp__flow_t *flow) {
  return FLUXBP__CONTAINER(flow, fluxbp__fair_item_t, flow);
}

static fluxbp__flow_group_t *group_of(fluxbp__flow_t *flow) {
  return FLUXBP__CONTAINER(flow, fluxbp__flow_group_t, flow);
}

static void let_item_go(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item) {
  fluxbp__link_remove(&item->flow.link);
  item->group = NULL;
  if (queue->on_left != NULL) queue->on_left(item);
}

/* Let go of the items that don't wait, of which there are others in neither list. */
static void let_items_go(fluxbp__fair_queue_t *queue, fluxbp__link_t *list) {
  while (!fluxbp__list_is_empty(list)) let_item_go(queue, item_of(flow_of(list->next)));
}

/* Free a group in which no item waits. */
static void let_group_go(fluxbp__fair_queue_t *queue, fluxbp__flow_group_t *group) {
  let_items_go(queue, &group->items.new_ones);
  let_items_go(queue, &group->items.old_ones);
  fluxbp__link_remove(&group->flow.link);
  if (group == &queue->common) return;
  fluxbp__table_remove(&queue->by_key, &group->by_key);
  fluxbp__pool_free_object(queue->by_key.pool, group, sizeof *group);
}

static void forget_all(fluxbp__fair_queue_t *queue) {
  fluxbp__link_t *lists[] = {&queue->groups.new_ones, &queue->groups.old_ones};
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
    while (!fluxbp__list_is_empty(lists[i])) let_group_go(queue, group_of(flow_of(lists[i]->next)));
}

void fluxbp__fair_queue_init(fluxbp__fair_queue_t *queue, fluxbp_pool_t *pool, uint64_t quantum,
                             void (*on_left)(fluxbp__fair_item_t *item)) {
  *queue = (fluxbp__fair_queue_t){.quantum = (int64_t) quantum, .on_left = on_left};
  flows_init(&queue->groups);
  flows_init(&queue->common.items);
  fluxbp__table_init(&queue->by_key, pool);
}

void fluxbp__fair_queue_free(fluxbp__fair_queue_t *queue) {
  assert(queue->waiting == 0);
  forget_all(queue);
  fluxbp__table_free(&queue->by_key);
}

/* Return the group of a key, made if need be; the common one if there is no memory. */
static fluxbp__flow_group_t *group_for(fluxbp__fair_queue_t *queue, uint64_t key) {
  uint64_t hash = fluxbp__hash_key(key);
  for (fluxbp__table_link_t *link = fluxbp__table_bucket(&queue->by_key, hash); link != NULL; link = link->next) {
    fluxbp__flow_group_t *group = FLUXBP__CONTAINER(link, fluxbp__flow_group_t, by_key);
    if (group->key == key) return group;
  }
  fluxbp__flow_group_t *group = fluxbp__pool_alloc_object(queue->by_key.pool, sizeof *group);
  if (group == NULL) return &queue->common;
  group->key = key;
  group->by_key.hash = hash;
  flows_init(&group->items);
  if (fluxbp__table_add(&queue->by_key, &group->by_key) == 0) return group;
  fluxbp__pool_free_object(queue->by_key.pool, group, sizeof *group);
  return &queue->common;
}

void fluxbp__fair_queue_add(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item, uint64_t key) {
  if (item->flow.is_waiting) return;
  if (item->group == NULL) item->group = group_for(queue, key);
  flow_wait(&item->group->items, &item->flow, queue->quantum);
  flow_wait(&queue->groups, &item->group->flow, queue->quantum);
  queue->waiting++;
}

/* The item doesn't wait any more, nor does its group if it was the last one. */
static void stop_waiting(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item) {
  if (!item->flow.is_waiting) return;
  queue->waiting--;
  flow_stop_waiting(&item->group->items, &item->flow);
  if (item->group->items.waiting == 0) flow_stop_waiting(&queue->groups, &item->group->flow);
}

fluxbp__fair_item_t *fluxbp__fair_queue_next(fluxbp__fair_queue_t *queue) {
  while (queue->waiting > 0) {
    fluxbp__flow_t *first = first_of(&queue->groups, queue->quantum);
    fluxbp__flow_group_t *group = group_of(first);
    if (!first->is_waiting) {
      let_group_go(queue, group);
      continue;
    }
    fluxbp__fair_item_t *item = item_of(first_of(&group->items, queue->quantum));
    if (item->flow.is_waiting) {
      stop_waiting(queue, item);
      return item;
    }
    let_item_go(queue, item);
  }
  forget_all(queue);
  return NULL;
}

void fluxbp__fair_queue_charge(const fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item, uint64_t cost) {
  if (item->group == NULL) return;
  flow_charge(&item->flow, queue->quantum, cost);
  flow_charge(&item->group->flow, queue->quantum, cost);
}

void fluxbp__fair_queue_remove(fluxbp__fair_queue_t *queue, fluxbp__fair_item_t *item) {
  fluxbp__flow_group_t *group = item->group;
  if (group == NULL) return;
  stop_waiting(queue, item);
  fluxbp__link_remove(&item->flow.link);
  item->group = NULL;
  bool has_to_pay = group->flow.credit <= 0;
  if (flows_are_empty(&group->items) && !has_to_pay) let_group_go(queue, group);
}
