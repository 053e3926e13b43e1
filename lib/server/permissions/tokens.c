/* SPDX-License-Identifier: MIT */
/*
 * tokens: see the header. Only digests are kept, so that no memory dump has a token in it, and so that what is compared
 * has one length.
 */
#include "tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_BYTES_MIN 16
#define TOKEN_BYTES_MAX 256
#define BLANKS " \t\r" /* CR: files that were edited elsewhere */

struct token {
  fluxbp_role_t role;
  unsigned char digest[SHA256_DIGEST_LENGTH];
};

struct fluxbp_tokens {
  size_t count, capacity;
  unsigned guarded;
  struct token *list;
};

void fluxbp_tokens_free(fluxbp_tokens_t *tokens) {
  if (tokens == NULL) return;
  free(tokens->list);
  free(tokens);
}

unsigned tokens_guarded(const fluxbp_tokens_t *tokens) {
  return tokens != NULL ? tokens->guarded : 0;
}

unsigned fluxbp_tokens_roles(const fluxbp_tokens_t *tokens, const char *token, size_t length) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  unsigned roles = 0;
  if (tokens == NULL || length > TOKEN_BYTES_MAX) return 0;
  SHA256((const unsigned char *) token, length, digest);
  for (size_t i = 0; i < tokens->count; i++) {
    unsigned is_equal = CRYPTO_memcmp(tokens->list[i].digest, digest, sizeof digest) == 0;
    roles |= (0U - is_equal) & (unsigned) tokens->list[i].role;
  }
  return roles;
}

/* ---- reading ---- */

static bool parse_role(const char *word, size_t length, fluxbp_role_t *role) {
  static const struct {
    const char *name;
    fluxbp_role_t role;
  } ROLES[] = {{"subscribe", FLUXBP_ROLE_SUBSCRIBE}, {"publish", FLUXBP_ROLE_PUBLISH}, {"admin", FLUXBP_ROLE_ADMIN}};
  for (size_t i = 0; i < sizeof ROLES / sizeof *ROLES; i++) {
    if (length != strlen(ROLES[i].name) || memcmp(word, ROLES[i].name, length) != 0) continue;
    *role = ROLES[i].role;
    return true;
  }
  return false;
}

static const char *check_token(const char *token, size_t length) {
  if (length == 0) return "has no token behind the role; write ROLE TOKEN";
  if (length < TOKEN_BYTES_MIN) return "has a token of less than 16 bytes; `openssl rand -hex 24` makes a good one";
  if (length > TOKEN_BYTES_MAX) return "has a token of more than 256 bytes";
  for (size_t i = 0; i < length; i++)
    if (token[i] < '!' || token[i] > '~') return "has a token with other characters than visible ASCII";
  return NULL;
}

static const char *add_token(fluxbp_tokens_t *tokens, fluxbp_role_t role, const char *token, size_t length) {
  if (tokens->count == tokens->capacity) {
    size_t capacity = tokens->capacity > 0 ? tokens->capacity * 2 : 8;
    struct token *list = realloc(tokens->list, capacity * sizeof *list);
    if (list == NULL) return "could not be kept: out of memory";
    tokens->list = list;
    tokens->capacity = capacity;
  }
  struct token *added = &tokens->list[tokens->count++];
  added->role = role;
  SHA256((const unsigned char *) token, length, added->digest);
  tokens->guarded |= (unsigned) role;
  return NULL;
}

/* @return NULL, or what is wrong with it. A '#' in a token is part of it. */
static const char *parse_line(fluxbp_tokens_t *tokens, const char *line, size_t length) {
  fluxbp_role_t role;
  if (memchr(line, '\0', length) != NULL) return "has a NUL in it; it should be text";
  line += strspn(line, BLANKS);
  if (*line == '\0' || *line == '#') return NULL;

  size_t role_length = strcspn(line, BLANKS);
  if (!parse_role(line, role_length, &role)) return "has an unknown role; there are subscribe, publish and admin";
  const char *token = line + role_length;
  token += strspn(token, BLANKS);
  size_t token_length = *token == '#' ? 0 : strcspn(token, BLANKS);
  const char *problem = check_token(token, token_length);
  if (problem != NULL) return problem;
  const char *rest = token + token_length;
  rest += strspn(rest, BLANKS);
  if (*rest != '\0' && *rest != '#') return "has more than ROLE TOKEN";
  return add_token(tokens, role, token, token_length);
}

/* Writes what is wrong to `problem`. @return whether it is right */
static bool read_lines(fluxbp_tokens_t *tokens, FILE *file, const char *path, char *problem, size_t capacity) {
  char *line = NULL;
  size_t line_capacity = 0;
  ssize_t length;
  const char *wrong = NULL;
  unsigned number = 0;

  while (wrong == NULL && (length = getline(&line, &line_capacity, file)) >= 0) {
    if (length > 0 && line[length - 1] == '\n') line[--length] = '\0';
    number++;
    wrong = parse_line(tokens, line, (size_t) length);
  }
  if (wrong != NULL) {
    (void) snprintf(problem, capacity, "%s: line %u %s", path, number, wrong);
  } else if (ferror(file)) {
    (void) snprintf(problem, capacity, "%s: it can't be read: %s", path, strerror(errno));
  } else if (tokens->count == 0) {
    (void) snprintf(problem, capacity, "%s: there is no token in it; a line is ROLE TOKEN", path);
  }
  bool is_right = wrong == NULL && !ferror(file) && tokens->count > 0;
  if (line != NULL) OPENSSL_cleanse(line, line_capacity);
  free(line);
  return is_right;
}

/* Asked of the open file: whoever could exchange it in between can't any more. */
static bool check_file(int fd, const char *path, char *problem, size_t capacity) {
  struct stat status;
  if (fstat(fd, &status) != 0)
    (void) snprintf(problem, capacity, "%s: %s", path, strerror(errno));
  else if (!S_ISREG(status.st_mode))
    (void) snprintf(problem, capacity, "%s: it isn't a regular file", path);
  else if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    (void) snprintf(problem, capacity, "%s: others than its owner may use it (mode %03o); chmod 600 %s", path,
                    (unsigned) (status.st_mode & 07777), path);
  else
    return true;
  return false;
}

fluxbp_tokens_t *fluxbp_tokens_read(const char *path, char *problem, size_t capacity) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nonblocking: a FIFO is refused, not waited for */
  if (fd < 0) {
    (void) snprintf(problem, capacity, "%s: %s", path, strerror(errno));
    return NULL;
  }
  bool is_right = check_file(fd, path, problem, capacity);
  FILE *file = is_right ? fdopen(fd, "r") : NULL;
  if (file == NULL) {
    if (is_right) (void) snprintf(problem, capacity, "%s: %s", path, strerror(errno));
    close(fd);
    return NULL;
  }
  (void) setvbuf(file, NULL, _IONBF, 0);
  fluxbp_tokens_t *tokens = calloc(1, sizeof *tokens);
  if (tokens == NULL) (void) snprintf(problem, capacity, "%s: out of memory", path);
  if (tokens != NULL && !read_lines(tokens, file, path, problem, capacity)) {
    fluxbp_tokens_free(tokens);
    tokens = NULL;
  }
  (void) fclose(file);
  return tokens;
}
