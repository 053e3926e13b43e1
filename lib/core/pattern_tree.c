/* SPDX-License-Identifier: MIT */
/*
 * pattern_tree: a node for each token that several patterns share, and one for the first token that a pattern doesn't
 * share with another one. What follows there of that pattern is no node, but its *tail*: the end of its text.
 *
 * The child of a node for a token is found in one hash table of the whole tree, by the node and the token; the child
 * for `*` is a pointer in the node. A pattern's value stands in the node with its tail or of its last token, or, if
 * that is `>`, in the node before it. A node with a tail has nothing else; it is expanded by one token when another
 * pattern comes to it. A node that has neither a value nor a child is removed at once, so what the tree holds is
 * bounded by its patterns. The table grows by one bucket at a time, so adding a pattern costs the same however many
 * there are.
 */
#include "pattern_tree.h"

#include "hash.h"
#include "list.h"
#include "pattern.h"
#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum { TOKENS_MAX = FLUXBP_PATTERN_MAX + 1 };

struct fluxbp__pattern_node {
  fluxbp__pattern_node_t *parent; /* NULL: the root */
  fluxbp__table_link_t hashed;    /* in the table, by the parent and the token */
  union {
    fluxbp__pattern_node_t *any; /* the child for `*` */
    const char *tail;            /* of the only pattern that comes here */
  };
  void *value;      /* of the pattern that ends here, or has its tail here */
  void *rest_value; /* of the pattern of which only `>` follows */
  uint32_t child_count;
  bool has_tail;
  uint8_t length; /* of the token */
  char token[];   /* not terminated */
};

static size_t node_size(size_t token_length) {
  return sizeof(fluxbp__pattern_node_t) + token_length;
}

static uint64_t hash_token(const fluxbp__pattern_tree_t *tree, const fluxbp__token_t *token) {
  return fluxbp__hash_name(tree->seed, token->text, token->length);
}

static uint64_t hash_child(const fluxbp__pattern_node_t *parent, uint64_t token_hash) {
  return fluxbp__hash_key(token_hash ^ (uintptr_t) parent);
}

void fluxbp__pattern_tree_init(fluxbp__pattern_tree_t *tree, fluxbp_pool_t *pool, uint64_t seed) {
  *tree = (fluxbp__pattern_tree_t){.pool = pool, .seed = seed};
  fluxbp__table_init(&tree->nodes, pool);
}

/* ---- finding ---- */

static fluxbp__pattern_node_t *child_with_hash(const fluxbp__pattern_tree_t *tree, const fluxbp__pattern_node_t *parent,
                                               const fluxbp__token_t *token, uint64_t hash) {
  for (fluxbp__table_link_t *link = fluxbp__table_bucket(&tree->nodes, hash); link != NULL; link = link->next) {
    fluxbp__pattern_node_t *node = FLUXBP__CONTAINER(link, fluxbp__pattern_node_t, hashed);
    if (link->hash == hash && node->parent == parent && node->length == token->length &&
        memcmp(node->token, token->text, token->length) == 0)
      return node;
  }
  return NULL;
}

/* The child for a token of a pattern that isn't `>`. */
static fluxbp__pattern_node_t *child_for(const fluxbp__pattern_tree_t *tree, const fluxbp__pattern_node_t *parent,
                                         const fluxbp__token_t *token) {
  if (fluxbp__token_is(token, '*')) return parent->any;
  return child_with_hash(tree, parent, token, hash_child(parent, hash_token(tree, token)));
}

/* Whether two texts have the same tokens. */
static bool are_same(const char *one, const char *other) {
  fluxbp__token_t of_one, of_other;
  while (fluxbp__token_next(&one, &of_one)) {
    if (!fluxbp__token_next(&other, &of_other) || of_one.length != of_other.length) return false;
    if (memcmp(of_one.text, of_other.text, of_one.length) != 0) return false;
  }
  return other == NULL;
}

/* The place of a pattern's value: in `*node`. NULL if the pattern has no place. */
static void **value_of(const fluxbp__pattern_tree_t *tree, const char *pattern, fluxbp__pattern_node_t **node) {
  fluxbp__token_t token;
  for (*node = tree->root; *node != NULL && !(*node)->has_tail; *node = child_for(tree, *node, &token)) {
    if (!fluxbp__token_next(&pattern, &token)) return &(*node)->value;
    if (fluxbp__token_is(&token, '>')) return &(*node)->rest_value;
  }
  bool is_there = *node != NULL && pattern != NULL && are_same(pattern, (*node)->tail);
  return is_there ? &(*node)->value : NULL;
}

void *fluxbp__pattern_tree_find(const fluxbp__pattern_tree_t *tree, const char *pattern) {
  fluxbp__pattern_node_t *node;
  void *const *value = value_of(tree, pattern, &node);
  return value != NULL ? *value : NULL;
}

/* ---- removing ---- */

static void remove_node(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *node) {
  if (node == tree->root)
    tree->root = NULL;
  else if (node->parent->any == node)
    node->parent->any = NULL;
  else
    fluxbp__table_remove(&tree->nodes, &node->hashed);
  if (node->parent != NULL) node->parent->child_count--;
  fluxbp__pool_free_object(tree->pool, node, node_size(node->length));
}

/* Remove the node if no pattern needs it, and then its parent, and so on. */
static void prune(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *node) {
  while (node != NULL && node->child_count == 0 && node->value == NULL && node->rest_value == NULL) {
    fluxbp__pattern_node_t *parent = node->parent;
    remove_node(tree, node);
    node = parent;
  }
  if (tree->nodes.count == 0) fluxbp__table_free(&tree->nodes);
}

void *fluxbp__pattern_tree_remove(fluxbp__pattern_tree_t *tree, const char *pattern) {
  fluxbp__pattern_node_t *node;
  void **place = value_of(tree, pattern, &node);
  if (place == NULL) return NULL;
  void *value = *place;
  *place = NULL; /* a node with a tail has nothing else */
  prune(tree, node);
  return value;
}

/* ---- adding ---- */

static fluxbp__pattern_node_t *make_node(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *parent,
                                         const fluxbp__token_t *token) {
  fluxbp__pattern_node_t *node = fluxbp__pool_alloc_object(tree->pool, node_size(token->length));
  if (node == NULL) return NULL;
  node->parent = parent;
  node->length = (uint8_t) token->length;
  memcpy(node->token, token->text, token->length);
  if (parent != NULL) parent->child_count++;
  return node;
}

/* NULL without memory: then nothing has changed. */
static fluxbp__pattern_node_t *make_child(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *parent,
                                          const fluxbp__token_t *token) {
  fluxbp__pattern_node_t *child = make_node(tree, parent, token);
  if (child == NULL) return NULL;
  if (fluxbp__token_is(token, '*')) {
    parent->any = child;
    return child;
  }
  child->hashed.hash = hash_child(parent, hash_token(tree, token));
  if (fluxbp__table_add(&tree->nodes, &child->hashed) == 0) return child;
  parent->child_count--;
  fluxbp__pool_free_object(tree->pool, child, node_size(child->length));
  return NULL;
}

/* Give the value to a pattern that ends in the node, or of which `rest` follows and no other pattern comes here. */
static void set_value(fluxbp__pattern_node_t *node, const char *rest, void *value) {
  assert(node->value == NULL);
  node->value = value;
  node->has_tail = rest != NULL;
  if (rest != NULL) node->tail = rest;
}

/* Move the node's tail, if it has one, down by a token: another pattern goes on from here. 0, or UV_ENOMEM: then
 * nothing has changed. */
static int expand(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *node) {
  fluxbp__token_t token = {.length = 0};
  if (!node->has_tail) return 0;
  const char *rest = node->tail;
  void *value = node->value;
  (void) fluxbp__token_next(&rest, &token);
  bool is_rest = fluxbp__token_is(&token, '>');
  const char *tail = node->tail;
  node->any = NULL;
  fluxbp__pattern_node_t *child = is_rest ? NULL : make_child(tree, node, &token);
  if (!is_rest && child == NULL) {
    node->tail = tail;
    return UV_ENOMEM;
  }
  node->has_tail = false;
  node->value = NULL;
  if (is_rest)
    node->rest_value = value;
  else
    set_value(child, rest, value);
  return 0;
}

static fluxbp__pattern_node_t *find_or_make_root(fluxbp__pattern_tree_t *tree) {
  const fluxbp__token_t none = {.text = "", .length = 0};
  if (tree->root == NULL) tree->root = make_node(tree, NULL, &none);
  return tree->root;
}

/* Go from a node to its child for a token, which is made if it isn't there: then `*is_new` is set. NULL without
 * memory. */
static fluxbp__pattern_node_t *find_or_make_child(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *node,
                                                  const fluxbp__token_t *token, bool *is_new) {
  fluxbp__pattern_node_t *child = child_for(tree, node, token);
  *is_new = child == NULL;
  if (*is_new) return make_child(tree, node, token);
  return expand(tree, child) == 0 ? child : NULL;
}

int fluxbp__pattern_tree_add(fluxbp__pattern_tree_t *tree, const char *pattern, void *value) {
  fluxbp__pattern_node_t *node = find_or_make_root(tree);
  fluxbp__token_t token;
  bool is_new = false;
  if (node == NULL) return UV_ENOMEM;
  while (!is_new && fluxbp__token_next(&pattern, &token)) {
    if (fluxbp__token_is(&token, '>')) {
      assert(node->rest_value == NULL);
      node->rest_value = value;
      return 0;
    }
    fluxbp__pattern_node_t *child = find_or_make_child(tree, node, &token, &is_new);
    if (child == NULL) {
      prune(tree, node);
      return UV_ENOMEM;
    }
    node = child;
  }
  set_value(node, pattern, value);
  return 0;
}

/* ---- searching ---- */

/* The tokens of the name are found and hashed once, however often the search comes to them. */
typedef struct search {
  const fluxbp__pattern_tree_t *tree;
  fluxbp__pattern_visit visit;
  void *arg;
  bool is_hidden; /* no wildcard matches the first token */
  size_t count;
  fluxbp__token_t tokens[TOKENS_MAX];
  uint64_t hashes[TOKENS_MAX];
} search_t;

/* Whether the tokens of the name from that number on match a tail. */
static bool tail_matches(const search_t *search, const char *tail, size_t number) {
  fluxbp__token_t wanted;
  for (; fluxbp__token_next(&tail, &wanted); number++) {
    if (number == search->count) return false;
    const fluxbp__token_t *token = &search->tokens[number];
    if (fluxbp__token_is(&wanted, '>')) return true;
    if (fluxbp__token_is(&wanted, '*')) continue;
    if (wanted.length != token->length || memcmp(wanted.text, token->text, wanted.length) != 0) return false;
  }
  return number == search->count;
}

/* Visit what matches from the token of that number on, below the node that stands for those before. At most TOKENS_MAX
 * calls deep. */
static bool search_below(const search_t *search, const fluxbp__pattern_node_t *node, size_t number) {
  if (node->has_tail) return !tail_matches(search, node->tail, number) || search->visit(node->value, search->arg);
  if (number == search->count) return node->value == NULL || search->visit(node->value, search->arg);
  bool has_wildcards = number > 0 || !search->is_hidden;
  if (has_wildcards && node->rest_value != NULL && !search->visit(node->rest_value, search->arg)) return false;
  if (has_wildcards && node->any != NULL && !search_below(search, node->any, number + 1)) return false;
  const fluxbp__pattern_node_t *child =
      child_with_hash(search->tree, node, &search->tokens[number], hash_child(node, search->hashes[number]));
  return child == NULL || search_below(search, child, number + 1);
}

bool fluxbp__pattern_tree_search(const fluxbp__pattern_tree_t *tree, const char *name, fluxbp__pattern_visit visit,
                                 void *arg) {
  search_t search; /* 6 KiB, of which only the tokens of the name are touched */
  if (tree->root == NULL) return true;
  search.tree = tree;
  search.visit = visit;
  search.arg = arg;
  search.is_hidden = fluxbp__is_hidden(name);
  search.count = 0;
  for (fluxbp__token_t token; fluxbp__token_next(&name, &token); search.count++) {
    assert(search.count < TOKENS_MAX);
    search.tokens[search.count] = token;
    search.hashes[search.count] = hash_token(tree, &token);
  }
  return search_below(&search, tree->root, 0);
}
