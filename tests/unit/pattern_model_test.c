/* SPDX-License-Identifier: MIT */
/*
 * The tree of patterns beside a list of them: random patterns come and go, some for want of memory don't come, and for
 * random names the tree has to find what a comparison with each pattern of the list finds. The harness has to notice
 * each of a few faults, or it would notice none.
 *
 *   pattern_model_test SEED   replays one run
 */
#include "pattern.h"
#include "pattern_tree.h"
#include "simulation/random.h"

#include "support/alloc_hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { PATTERNS = 64, SEEDS = 60, STEPS = 1500, TOKENS = 4, TEXT_MAX = 64 };

/* A rule of matching that one side has wrong, or a call that has no effect. */
typedef enum fault {
  FAULT_NONE,
  FAULT_REST_MAY_BE_EMPTY,
  FAULT_STAR_TAKES_TWO,
  FAULT_STAR_SKIPS_EMPTY_TOKENS,
  FAULT_SLASH_IS_NO_SEPARATOR,
  FAULT_NOTHING_IS_HIDDEN,
  FAULT_REMOVED_IS_FOUND,
  FAULT_FIRST_ALONE,
  FAULT_FOUND_TWICE,
  FAULTS
} fault_t;

static const char *const fault_names[FAULTS] = {
    "none",
    "the rest may be empty",
    "a star takes two tokens",
    "a star skips empty tokens",
    "a slash is no separator",
    "nothing is hidden",
    "a removed pattern is found",
    "the first alone is found",
    "one is found twice",
};

typedef struct world {
  alloc_hook_t hook;
  fluxbp_pool_t *pool;
  fluxbp__pattern_tree_t tree;
  sim_random_t random;
  fault_t fault;
  char patterns[PATTERNS][TEXT_MAX]; /* "": the place is free, unless it has a ghost */
  char ghosts[PATTERNS][TEXT_MAX];   /* patterns that FAULT_REMOVED_IS_FOUND has left in the tree */
  int visits[PATTERNS];
  uint64_t matches; /* of all names so far */
} world_t;

/* ---- random texts: few tokens, so that they meet ---- */

static void random_text(world_t *w, const char *const *tokens, uint32_t kinds, char *text) {
  uint32_t count = sim_random_int(&w->random, 1, TOKENS);
  size_t length = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) text[length++] = sim_random_chance(&w->random, 30) ? '/' : '.';
    const char *token = tokens[sim_random_int(&w->random, 0, kinds - 1)];
    memcpy(text + length, token, strlen(token));
    length += strlen(token);
  }
  text[length] = '\0';
}

static void random_name(world_t *w, char *name) {
  static const char *const tokens[] = {"a", "b", "ab", "", "longer", "*", "$a"};
  do random_text(w, tokens, 7, name);
  while (name[0] == '\0');
}

static void random_pattern(world_t *w, char *pattern) {
  static const char *const tokens[] = {"a", "b", "ab", "", "longer", "$a", "*", "*", "*", ">"};
  do random_text(w, tokens, 10, pattern);
  while (fluxbp_pattern_check(pattern) != 0);
}

/* ---- the model ---- */

static void with_dots(const char *text, char *out) {
  do *out++ = *text == '/' ? '.' : *text;
  while (*text++ != '\0');
}

/* Two texts that differ in nothing but separators are the same pattern. The place of it, or of a free place for it. */
static int place_of(const world_t *w, const char *pattern, int *free_place) {
  char dotted[TEXT_MAX], other[TEXT_MAX];
  with_dots(pattern, dotted);
  *free_place = -1;
  for (int i = 0; i < PATTERNS; i++) {
    if (w->patterns[i][0] == '\0' && w->ghosts[i][0] == '\0') *free_place = i;
    with_dots(w->patterns[i], other);
    if (strcmp(dotted, other) == 0) return i;
  }
  return -1;
}

/* The rule of the faulty side for one token; text after it in `*rest`. */
static const char *after_token(const char *text, fault_t fault) {
  const char *separators = fault == FAULT_SLASH_IS_NO_SEPARATOR ? "." : "./";
  size_t length = strcspn(text, separators);
  return text[length] != '\0' ? text + length + 1 : NULL;
}

static bool matches_faultily(const char *pattern, const char *name, fault_t fault) {
  if (pattern == NULL) return name == NULL;
  if (strcmp(pattern, ">") == 0) return name != NULL || fault == FAULT_REST_MAY_BE_EMPTY;
  if (name == NULL) return false;
  const char *pattern_rest = after_token(pattern, fault), *name_rest = after_token(name, fault);
  size_t length = strcspn(pattern, "./"), name_length = strcspn(name, "./");
  if (fault == FAULT_SLASH_IS_NO_SEPARATOR) length = strcspn(pattern, "."), name_length = strcspn(name, ".");
  if (length == 1 && pattern[0] == '*') {
    if (fault == FAULT_STAR_SKIPS_EMPTY_TOKENS && name_length == 0) return false;
    if (fault == FAULT_STAR_TAKES_TWO && name_rest != NULL &&
        matches_faultily(pattern_rest, after_token(name_rest, fault), fault))
      return true;
    return matches_faultily(pattern_rest, name_rest, fault);
  }
  bool is_equal = length == name_length && memcmp(pattern, name, length) == 0;
  return is_equal && matches_faultily(pattern_rest, name_rest, fault);
}

static bool is_match(const world_t *w, const char *pattern, const char *name) {
  bool is_faulty = w->fault >= FAULT_REST_MAY_BE_EMPTY && w->fault <= FAULT_NOTHING_IS_HIDDEN;
  if (w->fault != FAULT_NOTHING_IS_HIDDEN && name[0] == '$' && strchr("*>", pattern[0]) != NULL) return false;
  return is_faulty ? matches_faultily(pattern, name, w->fault) : fluxbp_pattern_matches(pattern, name) != 0;
}

/* Whether another pattern before that one begins with the same tokens, up to the end of this one. */
static bool is_known_prefix(const world_t *w, int before, const char *end_of, size_t length) {
  for (int i = 0; i < before; i++) {
    const char *other = w->patterns[i];
    size_t same = 0;
    bool is_separator[2];
    if (other[0] == '\0') continue;
    for (; same < length && other[same] != '\0'; same++) {
      is_separator[0] = end_of[same] == '.' || end_of[same] == '/';
      is_separator[1] = other[same] == '.' || other[same] == '/';
      if (is_separator[0] != is_separator[1] || (!is_separator[0] && end_of[same] != other[same])) break;
    }
    if (same == length && (other[same] == '\0' || other[same] == '.' || other[same] == '/')) return true;
  }
  return false;
}

/* How many nodes there were if each prefix of a pattern that ends with a token of its own had one. */
static size_t count_prefixes(const world_t *w) {
  size_t count = 0;
  for (int i = 0; i < PATTERNS; i++) {
    const char *pattern = w->patterns[i];
    fluxbp__token_t token;
    if (pattern[0] == '\0') continue;
    for (const char *rest = pattern; fluxbp__token_next(&rest, &token);) {
      bool is_wildcard = fluxbp__token_is(&token, '*') || fluxbp__token_is(&token, '>');
      size_t length = (size_t) (token.text + token.length - pattern);
      count += !is_wildcard && !is_known_prefix(w, i, pattern, length);
    }
  }
  return count;
}

/* ---- both sides ---- */

/* The value of a pattern is its counter of visits. */
static bool count_visit(void *value, void *arg) {
  const world_t *w = arg;
  *(int *) value += w->fault == FAULT_FOUND_TWICE ? 2 : 1;
  return w->fault != FAULT_FIRST_ALONE;
}

/* NULL, or what is wrong. */
static const char *search(world_t *w) {
  char name[TEXT_MAX];
  random_name(w, name);
  memset(w->visits, 0, sizeof w->visits);
  (void) fluxbp__pattern_tree_search(&w->tree, name, count_visit, w);
  for (int i = 0; i < PATTERNS; i++) {
    int expected = w->patterns[i][0] != '\0' && is_match(w, w->patterns[i], name);
    if (w->visits[i] != expected) return "the tree and the list find other patterns";
    w->matches += (uint64_t) expected;
  }
  return NULL;
}

static const char *add_or_remove(world_t *w) {
  char pattern[TEXT_MAX];
  int free_place, chosen = (int) sim_random_int(&w->random, 0, PATTERNS - 1);
  random_pattern(w, pattern);
  if (w->patterns[chosen][0] != '\0' && sim_random_chance(&w->random, 50)) (void) strcpy(pattern, w->patterns[chosen]);
  int place = place_of(w, pattern, &free_place);
  const void *found = fluxbp__pattern_tree_find(&w->tree, pattern);
  if (w->fault != FAULT_REMOVED_IS_FOUND && found != (place >= 0 ? &w->visits[place] : NULL))
    return "the tree and the list have other patterns";
  if (place >= 0) {
    if (w->fault == FAULT_REMOVED_IS_FOUND)
      (void) strcpy(w->ghosts[place], pattern);
    else
      (void) fluxbp__pattern_tree_remove(&w->tree, pattern);
    w->patterns[place][0] = '\0'; /* the tree may have looked at it until now */
    return NULL;
  }
  if (free_place < 0 || found != NULL) return NULL;
  bool is_short = sim_random_chance(&w->random, 20);
  if (is_short) alloc_hook_fail_once(&w->hook, sim_random_int(&w->random, 1, 4));
  (void) strcpy(w->patterns[free_place], pattern);
  int err = fluxbp__pattern_tree_add(&w->tree, w->patterns[free_place], &w->visits[free_place]);
  alloc_hook_heal(&w->hook);
  if (err != 0) w->patterns[free_place][0] = '\0';
  bool is_right = w->tree.nodes.count <= count_prefixes(w);
  return is_right || w->fault == FAULT_REMOVED_IS_FOUND ? NULL : "a pattern that was not added has left something";
}

/* The tree has no node that isn't for a prefix of a pattern, and all that a tree has to which nothing but the patterns
 * of now was added. */
static const char *compare_with_a_new_tree(world_t *w) {
  fluxbp__pattern_tree_t fresh;
  uint64_t blocks = w->hook.live_blocks;
  fluxbp__pattern_tree_init(&fresh, w->pool, 99);
  for (int i = 0; i < PATTERNS; i++)
    if (w->patterns[i][0] != '\0') assert_int_equal(fluxbp__pattern_tree_add(&fresh, w->patterns[i], w), 0);
  bool is_right = w->tree.nodes.count >= fresh.nodes.count && w->tree.nodes.count <= count_prefixes(w);
  for (int i = 0; i < PATTERNS; i++)
    if (w->patterns[i][0] != '\0') (void) fluxbp__pattern_tree_remove(&fresh, w->patterns[i]);
  if (w->hook.live_blocks != blocks) return "a tree without patterns holds memory";
  return is_right || w->fault == FAULT_REMOVED_IS_FOUND ? NULL : "the tree has nodes that no pattern needs";
}

/* Returns what is wrong, or NULL. */
static const char *run(uint64_t seed, fault_t fault, uint64_t *matches) {
  static world_t world;
  fluxbp_pool_options_t options;
  const char *complaint = NULL;
  world_t *w = &world;
  memset(w, 0, sizeof *w);
  w->random.state = seed;
  w->fault = fault;
  fluxbp_pool_options_init(&options);
  options.allocator = alloc_hook_allocator(&w->hook);
  assert_int_equal(fluxbp_pool_create(&options, &w->pool), 0);
  fluxbp__pattern_tree_init(&w->tree, w->pool, seed);
  uint64_t blocks = w->hook.live_blocks;

  for (int step = 0; step < STEPS && complaint == NULL; step++)
    complaint = sim_random_chance(&w->random, 40) ? add_or_remove(w) : search(w);
  if (complaint == NULL) complaint = compare_with_a_new_tree(w);
  for (int i = 0; i < PATTERNS; i++) {
    if (w->patterns[i][0] != '\0') (void) fluxbp__pattern_tree_remove(&w->tree, w->patterns[i]);
    if (w->ghosts[i][0] != '\0') (void) fluxbp__pattern_tree_remove(&w->tree, w->ghosts[i]);
  }
  if (complaint == NULL && w->hook.live_blocks != blocks) complaint = "a tree without patterns holds memory";
  *matches += w->matches;
  assert_int_equal(fluxbp_pool_destroy(w->pool), 0);
  assert_int_equal(w->hook.live_blocks, 0);
  return complaint;
}

static void tree_finds_what_a_comparison_with_each_pattern_finds(void **state) {
  (void) state;
  uint64_t matches = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    const char *complaint = run(seed, FAULT_NONE, &matches);
    if (complaint != NULL) print_error("seed %llu: %s\n", (unsigned long long) seed, complaint);
    assert_null(complaint);
  }
  assert_true(matches > (uint64_t) SEEDS * STEPS / 2); /* names that nothing matches would show nothing */
}

static void harness_notices_every_seeded_fault(void **state) {
  (void) state;
  int missed = 0;
  for (int fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
    const char *complaint = NULL;
    uint64_t matches = 0;
    for (uint64_t seed = 0; seed < SEEDS && complaint == NULL; seed++) complaint = run(seed, (fault_t) fault, &matches);
    printf("%28s: %s\n", fault_names[fault], complaint != NULL ? complaint : "MISSED");
    missed += complaint == NULL;
  }
  assert_int_equal(missed, 0);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    uint64_t matches = 0;
    const char *complaint = run(strtoull(argv[1], NULL, 0), FAULT_NONE, &matches);
    printf("%s, %llu matches\n", complaint != NULL ? complaint : "well", (unsigned long long) matches);
    return complaint != NULL;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tree_finds_what_a_comparison_with_each_pattern_finds),
      cmocka_unit_test(harness_notices_every_seeded_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
