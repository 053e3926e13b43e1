/* SPDX-License-Identifier: MIT */
/*
 * pattern_tree: a node for each token of each pattern, shared by all patterns that begin with the same tokens.
 *
 * The child of a node for a token is found in one hash table of the whole tree, by the node and the token; the child
 * for `*` is a pointer in the node. A pattern's value stands in the node of its last token, or, if that is `>`, in the
 * node before it. A node that has neither a value nor a child is removed at once, so what the tree holds is bounded by
 * its patterns.
 */
#include "pattern_tree.h"

#include "hash.h"
#include "pattern.h"
#include "pool.h"

#include <assert.h>
#include <string.h>
#include <uv.h>

enum { BUCKETS_MIN = 16, TOKENS_MAX = FLUXBP_PATTERN_MAX + 1 };

struct fluxbp__pattern_node {
  fluxbp__pattern_node_t *parent; /* NULL: the root */
  fluxbp__pattern_node_t *next;   /* in its bucket */
  fluxbp__pattern_node_t *any;    /* the child for `*` */
  void *value;                    /* of the pattern that ends here */
  void *rest_value;               /* of the pattern of which only `>` follows */
  uint64_t hash;                  /* of the parent and the token */
  uint32_t child_count;
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

static fluxbp__pattern_node_t **bucket_of(const fluxbp__pattern_tree_t *tree, uint64_t hash) {
  return &tree->buckets[hash & (tree->bucket_count - 1)];
}

void fluxbp__pattern_tree_init(fluxbp__pattern_tree_t *tree, fluxbp_pool_t *pool, uint64_t seed) {
  *tree = (fluxbp__pattern_tree_t){.pool = pool, .seed = seed};
}

/* ---- finding ---- */

static fluxbp__pattern_node_t *child_with_hash(const fluxbp__pattern_tree_t *tree, const fluxbp__pattern_node_t *parent,
                                               const fluxbp__token_t *token, uint64_t hash) {
  if (tree->bucket_count == 0) return NULL;
  fluxbp__pattern_node_t *node = *bucket_of(tree, hash);
  while (node != NULL && (node->hash != hash || node->parent != parent || node->length != token->length ||
                          memcmp(node->token, token->text, token->length) != 0))
    node = node->next;
  return node;
}

/* The child for a token of a pattern that isn't `>`. */
static fluxbp__pattern_node_t *child_for(const fluxbp__pattern_tree_t *tree, const fluxbp__pattern_node_t *parent,
                                         const fluxbp__token_t *token) {
  if (fluxbp__token_is(token, '*')) return parent->any;
  return child_with_hash(tree, parent, token, hash_child(parent, hash_token(tree, token)));
}

/* The place of a pattern's value: in `*node`, which is NULL if the pattern has no node. */
static void **value_of(const fluxbp__pattern_tree_t *tree, const char *pattern, fluxbp__pattern_node_t **node) {
  fluxbp__token_t token;
  *node = tree->root;
  while (*node != NULL && fluxbp__token_next(&pattern, &token)) {
    if (fluxbp__token_is(&token, '>')) return &(*node)->rest_value;
    *node = child_for(tree, *node, &token);
  }
  return *node != NULL ? &(*node)->value : NULL;
}

void *fluxbp__pattern_tree_find(const fluxbp__pattern_tree_t *tree, const char *pattern) {
  fluxbp__pattern_node_t *node;
  void *const *value = value_of(tree, pattern, &node);
  return value != NULL ? *value : NULL;
}

/* ---- removing ---- */

static void remove_node(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *node) {
  if (node == tree->root) {
    tree->root = NULL;
  } else if (node->parent->any == node) {
    node->parent->any = NULL;
  } else {
    fluxbp__pattern_node_t **link = bucket_of(tree, node->hash);
    while (*link != node) link = &(*link)->next;
    *link = node->next;
    tree->hashed_count--;
  }
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
  if (tree->hashed_count > 0) return;
  fluxbp__pool_free_object(tree->pool, tree->buckets, tree->bucket_count * sizeof(fluxbp__pattern_node_t *));
  tree->buckets = NULL;
  tree->bucket_count = 0;
}

void *fluxbp__pattern_tree_remove(fluxbp__pattern_tree_t *tree, const char *pattern) {
  fluxbp__pattern_node_t *node;
  void **place = value_of(tree, pattern, &node);
  if (place == NULL) return NULL;
  void *value = *place;
  *place = NULL;
  prune(tree, node);
  return value;
}

/* ---- adding ---- */

/* Keep the chains short. Without memory for that they get longer. */
static int grow_buckets(fluxbp__pattern_tree_t *tree) {
  if (tree->hashed_count < tree->bucket_count) return 0;
  fluxbp__pattern_tree_t grown = {.bucket_count = tree->bucket_count > 0 ? tree->bucket_count * 2 : BUCKETS_MIN};
  grown.buckets = fluxbp__pool_alloc_object(tree->pool, grown.bucket_count * sizeof *grown.buckets);
  if (grown.buckets == NULL) return tree->bucket_count > 0 ? 0 : UV_ENOMEM;
  for (size_t i = 0; i < tree->bucket_count; i++) {
    for (fluxbp__pattern_node_t *node = tree->buckets[i], *next; node != NULL; node = next) {
      next = node->next;
      node->next = *bucket_of(&grown, node->hash);
      *bucket_of(&grown, node->hash) = node;
    }
  }
  fluxbp__pool_free_object(tree->pool, tree->buckets, tree->bucket_count * sizeof *tree->buckets);
  tree->buckets = grown.buckets;
  tree->bucket_count = grown.bucket_count;
  return 0;
}

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

static fluxbp__pattern_node_t *make_child(fluxbp__pattern_tree_t *tree, fluxbp__pattern_node_t *parent,
                                          const fluxbp__token_t *token) {
  bool is_hashed = !fluxbp__token_is(token, '*');
  if (is_hashed && grow_buckets(tree) != 0) return NULL;
  fluxbp__pattern_node_t *child = make_node(tree, parent, token);
  if (child == NULL) return NULL;
  if (!is_hashed) {
    parent->any = child;
    return child;
  }
  child->hash = hash_child(parent, hash_token(tree, token));
  child->next = *bucket_of(tree, child->hash);
  *bucket_of(tree, child->hash) = child;
  tree->hashed_count++;
  return child;
}

static fluxbp__pattern_node_t *find_or_make_root(fluxbp__pattern_tree_t *tree) {
  const fluxbp__token_t none = {.text = "", .length = 0};
  if (tree->root == NULL) tree->root = make_node(tree, NULL, &none);
  return tree->root;
}

int fluxbp__pattern_tree_add(fluxbp__pattern_tree_t *tree, const char *pattern, void *value) {
  fluxbp__pattern_node_t *node = find_or_make_root(tree);
  fluxbp__token_t token;
  if (node == NULL) return UV_ENOMEM;
  while (fluxbp__token_next(&pattern, &token)) {
    if (fluxbp__token_is(&token, '>')) {
      assert(node->rest_value == NULL);
      node->rest_value = value;
      return 0;
    }
    fluxbp__pattern_node_t *child = child_for(tree, node, &token);
    if (child == NULL) child = make_child(tree, node, &token);
    if (child == NULL) {
      prune(tree, node);
      return UV_ENOMEM;
    }
    node = child;
  }
  assert(node->value == NULL);
  node->value = value;
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

/* Visit what matches from the token of that number on, below the node that stands for those before. At most TOKENS_MAX
 * calls deep. */
static bool search_below(const search_t *search, const fluxbp__pattern_node_t *node, size_t number) {
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
