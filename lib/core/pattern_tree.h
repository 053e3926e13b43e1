/* SPDX-License-Identifier: MIT */
/*
 * Internal side of the tree of patterns: finds the patterns that match a name without a look at the others.
 */
#ifndef FLUXBP_LIB_PATTERN_TREE_H
#define FLUXBP_LIB_PATTERN_TREE_H

#include "fluxbp/pool.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fluxbp__pattern_node fluxbp__pattern_node_t;

/* A map from patterns to pointers. Patterns that differ in their separators only are the same. */
typedef struct fluxbp__pattern_tree {
  fluxbp_pool_t *pool;
  uint64_t seed;                /* of the hash */
  fluxbp__pattern_node_t *root; /* NULL: the tree is empty */
  fluxbp__table_t nodes;        /* those with a parent and a token that is no wildcard */
} fluxbp__pattern_tree_t;

/* Make an empty tree. Its memory comes from the pool's allocator, outside of the budget: about 60 bytes and the token
 * for each token that a pattern shares with another one, and for the first one that it doesn't share; and 8 in the
 * table. */
void fluxbp__pattern_tree_init(fluxbp__pattern_tree_t *tree, fluxbp_pool_t *pool, uint64_t seed);

/* Return the value of `pattern`, or NULL. The pattern is a valid one, here and below. */
void *fluxbp__pattern_tree_find(const fluxbp__pattern_tree_t *tree, const char *pattern);

/* Add `pattern`, which is not in the tree, with a value that is not NULL. The text has to stay where it is until the
 * pattern is removed. 0, or UV_ENOMEM: nothing has changed that a search could find. */
int fluxbp__pattern_tree_add(fluxbp__pattern_tree_t *tree, const char *pattern, void *value);

/* Remove `pattern`, and the nodes that no other pattern needs. Return its value, or NULL if it was not there. A tree
 * without patterns holds no memory. */
void *fluxbp__pattern_tree_remove(fluxbp__pattern_tree_t *tree, const char *pattern);

/* Called with the value of a pattern. False: the search ends. */
typedef bool (*fluxbp__pattern_visit)(void *value, void *arg);

/*
 * Visit the value of each pattern that matches `name`, in no particular order. `visit` doesn't change the tree. Return
 * false if a visit ended the search.
 *
 * Cost: one look into the table for each node on the way. That is one for each token of the name, and more only as far
 * as patterns branch into `*` and the name's own token. At worst, with patterns that were chosen for it, each node of
 * the tree is looked at once.
 */
bool fluxbp__pattern_tree_search(const fluxbp__pattern_tree_t *tree, const char *name, fluxbp__pattern_visit visit,
                                 void *arg);

#endif
