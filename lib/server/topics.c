/* SPDX-License-Identifier: MIT */
/*
 * topics: the library finds a topic by its name, and keeps what we know of its holders, as the topic's user pointer.
 *
 * Holders are counted here rather than by fluxbp_topic_subscribers: a connection that is being closed isn't subscribed
 * any more, but its client keeps the pointer until on_close.
 */
#include "topics.h"

#include <fluxbp/pattern.h>
#include <fluxbp/server/settings.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Who has a topic. It is counted for the payers that have made it until it is destroyed, whoever holds it meanwhile:
 * else an address could have others of its clients keep topics for which it doesn't pay. */
struct holding {
  struct queue_link link;
  uint32_t holders;
  struct payers payers;
};

static bool is_name_byte(unsigned char byte) {
  static const bool is_right[UCHAR_MAX + 1] = {
      ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,
      ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1,
      ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1,
      ['U'] = 1, ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
      ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1,
      ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1,
      ['y'] = 1, ['z'] = 1, ['.'] = 1, ['_'] = 1, [':'] = 1, ['-'] = 1};
  return is_right[byte];
}

int fluxbp_server_topic_is_right(const char *name, size_t length) {
  size_t right = 0;
  while (right < length && is_name_byte((unsigned char) name[right])) right++;
  return length > 0 && length <= FLUXBP_SERVER_TOPIC_BYTES && right == length;
}

/* A slash is the same as a dot in a pattern. */
int fluxbp_topic_pattern_is_right(const char *text) {
  for (const char *byte = text; *byte != '\0'; byte++)
    if (!is_name_byte((unsigned char) *byte) && strchr("/*>", *byte) == NULL) return false;
  return fluxbp_pattern_check(text) == 0;
}

static struct holding *holding_of(const fluxbp_topic_t *topic) {
  return fluxbp_topic_user(topic);
}

static struct holding *add_holding(struct topics *topics) {
  struct holding *holding = calloc(1, sizeof *holding);
  if (holding == NULL) return NULL;
  holding->holders = 1;
  queue_append(&topics->holdings, &holding->link);
  return holding;
}

static void remove_holding(struct holding *holding) {
  payers_give_back(&holding->payers, QUOTA_TOPICS, 1);
  queue_remove(&holding->link);
  free(holding);
}

/* A topic that is always there, made by `err` == 0. @return 0 or an error */
static int hold_for_ever(struct topics *topics, int err, fluxbp_topic_t *topic) {
  struct holding *holding = err == 0 ? add_holding(topics) : NULL;
  if (holding == NULL) return err == 0 ? UV_ENOMEM : err;
  fluxbp_topic_set_user(topic, holding);
  return 0;
}

int topics_init(struct topics *topics, fluxbp_hub_t *hub, const char *default_name) {
  fluxbp_topic_t *topic;
  topics->hub = hub;
  topics->count = 0;
  topics->refused = 0;
  queue_init(&topics->holdings);
  if (default_name == NULL) return 0;
  int err = fluxbp_topic_open(hub, default_name, &topic);
  return hold_for_ever(topics, err, topic);
}

int topics_hold_state(struct topics *topics, const char *name, uint32_t max_keys) {
  fluxbp_topic_t *topic;
  int err = fluxbp_topic_open_state(topics->hub, name, max_keys, &topic);
  return hold_for_ever(topics, err, topic);
}

bool topics_is_pattern(const char *name) {
  return strpbrk(name, "*>") != NULL;
}

fluxbp_topic_t *topics_find(const struct topics *topics, const char *name) {
  return topics_is_pattern(name) ? fluxbp_topic_find_pattern(topics->hub, name) : fluxbp_topic_find(topics->hub, name);
}

static int open_topic(const struct topics *topics, const char *name, fluxbp_topic_t **topic) {
  return topics_is_pattern(name) ? fluxbp_topic_open_pattern(topics->hub, name, topic)
                                 : fluxbp_topic_open(topics->hub, name, topic);
}

static int make_topic(struct topics *topics, const char *name, const struct payers *payers, fluxbp_topic_t **topic) {
  topics->refusal = payers_take(payers, QUOTA_TOPICS);
  if (topics->refusal != NULL) return UV_ENFILE;
  struct holding *holding = add_holding(topics);
  if (holding == NULL) {
    payers_give_back(payers, QUOTA_TOPICS, 1);
    return UV_ENOMEM;
  }
  holding->payers = *payers;
  int err = open_topic(topics, name, topic);
  if (err == 0)
    fluxbp_topic_set_user(*topic, holding);
  else
    remove_holding(holding);
  return err;
}

int topics_hold(struct topics *topics, const char *name, const struct payers *payers, fluxbp_topic_t **topic) {
  if (topics->has_ended) return UV_ECANCELED;
  if (*topic != NULL) {
    holding_of(*topic)->holders++;
    return 0;
  }
  if (topics->count >= topics->max) {
    topics->refused++;
    return UV_EMFILE;
  }
  int err = make_topic(topics, name, payers, topic);
  if (err != 0) return err;
  if (++topics->count == topics->max) (void) atomic_fetch_add(topics->full, 1);
  return 0;
}

void topics_release(struct topics *topics, fluxbp_topic_t *topic) {
  struct holding *holding = holding_of(topic);
  if (topics->has_ended || --holding->holders > 0) return;
  remove_holding(holding);
  if (topics->count-- == topics->max) (void) atomic_fetch_sub(topics->full, 1);
  fluxbp_topic_destroy(topic);
}

void topics_end(struct topics *topics) {
  struct queue_link *link;
  topics->has_ended = true;
  while ((link = queue_first(&topics->holdings)) != NULL) remove_holding(QUEUE_ITEM(link, struct holding, link));
}
