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
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define TOKEN_BYTES_MIN 16
#define TOKEN_BYTES_MAX 256
#define BLANKS " \t\r" /* CR: files that were edited elsewhere */

/* In the place of a token: the clients whose certificate has the name that follows. No client can show that as one. */
#define CERTIFICATE "cert:"
#define CERTIFICATE_BYTES (sizeof CERTIFICATE - 1)

struct token {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  struct grant *grant;
};

struct fluxbp_tokens {
  atomic_uint owners;
  size_t count, capacity;
  unsigned guarded;
  struct token *list;
};

fluxbp_tokens_t *tokens_ref(fluxbp_tokens_t *tokens) {
  if (tokens != NULL) atomic_fetch_add(&tokens->owners, 1);
  return tokens;
}

void fluxbp_tokens_free(fluxbp_tokens_t *tokens) {
  if (tokens == NULL || atomic_fetch_sub(&tokens->owners, 1) > 1) return;
  for (size_t i = 0; i < tokens->count; i++) grant_unref(tokens->list[i].grant);
  free(tokens->list);
  free(tokens);
}

unsigned tokens_guarded(const fluxbp_tokens_t *tokens) {
  return tokens != NULL ? tokens->guarded : 0;
}

/* The function compares with all tokens, so its time tells nothing about them. @return the token, or NULL */
static struct token *find_token(const fluxbp_tokens_t *tokens, const unsigned char digest[SHA256_DIGEST_LENGTH]) {
  struct token *found = NULL;
  for (size_t i = 0; i < tokens->count; i++)
    if (CRYPTO_memcmp(tokens->list[i].digest, digest, SHA256_DIGEST_LENGTH) == 0) found = &tokens->list[i];
  return found;
}

static bool is_certificate(const char *token, size_t length) {
  return length >= CERTIFICATE_BYTES && memcmp(token, CERTIFICATE, CERTIFICATE_BYTES) == 0;
}

static struct grant *grant_of(const fluxbp_tokens_t *tokens, const char *token, size_t length) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  if (tokens == NULL || length > TOKEN_BYTES_MAX || is_certificate(token, length)) return NULL;
  SHA256((const unsigned char *) token, length, digest);
  const struct token *found = find_token(tokens, digest);
  return found != NULL ? found->grant : NULL;
}

struct grant *tokens_find(const fluxbp_tokens_t *tokens, const char *token, size_t length) {
  struct grant *grant = grant_of(tokens, token, length);
  return grant != NULL ? grant_ref(grant) : NULL;
}

struct grant *tokens_find_certificate(const fluxbp_tokens_t *tokens, const char *name, size_t length) {
  char text[TOKEN_BYTES_MAX];
  unsigned char digest[SHA256_DIGEST_LENGTH];
  if (tokens == NULL || length > sizeof text - CERTIFICATE_BYTES) return NULL;
  memcpy(text, CERTIFICATE, CERTIFICATE_BYTES);
  memcpy(text + CERTIFICATE_BYTES, name, length);
  SHA256((const unsigned char *) text, CERTIFICATE_BYTES + length, digest);
  const struct token *found = find_token(tokens, digest);
  return found != NULL ? grant_ref(found->grant) : NULL;
}

struct grant *tokens_find_mark(const fluxbp_tokens_t *tokens, uint64_t mark) {
  for (size_t i = 0; tokens != NULL && i < tokens->count; i++)
    if (tokens->list[i].grant->store_mark == mark) return grant_ref(tokens->list[i].grant);
  return NULL;
}

unsigned fluxbp_tokens_roles(const fluxbp_tokens_t *tokens, const char *token, size_t length) {
  const struct grant *grant = grant_of(tokens, token, length);
  return grant != NULL ? grant->roles : 0;
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
  if (length == CERTIFICATE_BYTES && is_certificate(token, length)) return "has no name behind cert:";
  if (length < TOKEN_BYTES_MIN && !is_certificate(token, length))
    return "has a token of less than 16 bytes; `openssl rand -hex 24` makes a good one";
  if (length > TOKEN_BYTES_MAX) return "has a token of more than 256 bytes";
  for (size_t i = 0; i < length; i++)
    if (token[i] < '!' || token[i] > '~') return "has a token with other characters than visible ASCII";
  return NULL;
}

/* The first bytes of a digest name the token, for those that hold its grant. */
static uint64_t mark_of(const unsigned char digest[SHA256_DIGEST_LENGTH]) {
  uint64_t mark = 0;
  for (size_t i = 0; i < sizeof mark; i++) mark = mark << 8 | digest[i];
  return mark != 0 ? mark : 1;
}

static struct token *make_token(fluxbp_tokens_t *tokens, const unsigned char digest[SHA256_DIGEST_LENGTH]) {
  if (tokens->count == tokens->capacity) {
    size_t capacity = tokens->capacity > 0 ? tokens->capacity * 2 : 8;
    struct token *list = realloc(tokens->list, capacity * sizeof *list);
    if (list == NULL) return NULL;
    tokens->list = list;
    tokens->capacity = capacity;
  }
  struct grant *grant = grant_create();
  if (grant == NULL) return NULL;
  grant->store_mark = mark_of(digest);
  struct token *made = &tokens->list[tokens->count++];
  memcpy(made->digest, digest, SHA256_DIGEST_LENGTH);
  made->grant = grant;
  return made;
}

/* The words of a line. */
struct words {
  fluxbp_role_t role;
  const char *token, *name, *topics; /* the last two may be NULL */
  size_t token_length, name_length, topics_length;
};

static const char *set_name(struct grant *grant, const struct words *words) {
  if (words->name == NULL) return NULL;
  if (grant->name != NULL &&
      (strlen(grant->name) != words->name_length || memcmp(grant->name, words->name, words->name_length) != 0))
    return "gives a token another name than a line before it";
  int err = words->name_length > 0 ? grant_set_text(&grant->name, words->name, words->name_length) : UV_EINVAL;
  return err == 0 ? NULL : "has no right name behind name=; it has 1 to 255 bytes";
}

static const char *add_topics(struct grant *grant, const struct words *words) {
  const char *end = words->topics + words->topics_length;
  for (const char *pattern = words->topics; pattern <= end;) {
    const char *comma = memchr(pattern, ',', (size_t) (end - pattern));
    const char *pattern_end = comma != NULL ? comma : end;
    int err = grant_allow(grant, words->role, pattern, (size_t) (pattern_end - pattern));
    if (err == UV_E2BIG) return "has too many topics; a token may have 256 for a role";
    if (err != 0) return "has no pattern of topics behind topics=; it is for example topics=news.>,orders.*.status";
    pattern = pattern_end + 1;
  }
  return NULL;
}

static const char *add_words(fluxbp_tokens_t *tokens, const struct words *words) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256((const unsigned char *) words->token, words->token_length, digest);
  struct token *token = find_token(tokens, digest);
  if (token == NULL) token = make_token(tokens, digest);
  if (token == NULL) return "could not be kept: out of memory";
  if (is_certificate(words->token, words->token_length) && token->grant->subject == NULL &&
      grant_set_text(&token->grant->subject, words->token + CERTIFICATE_BYTES,
                     words->token_length - CERTIFICATE_BYTES) != 0)
    return "could not be kept: out of memory";
  tokens->guarded |= (unsigned) words->role;
  const char *problem = set_name(token->grant, words);
  if (problem != NULL) return problem;
  if (words->topics != NULL) return add_topics(token->grant, words);
  grant_allow_all(token->grant, words->role);
  return NULL;
}

/* Take the next word of a line. @return its length; 0: there is none before the end or a comment */
static size_t next_word(const char **line, const char **word) {
  *line += strspn(*line, BLANKS);
  *word = *line;
  if (**line == '#') return 0;
  size_t length = strcspn(*line, BLANKS);
  *line += length;
  return length;
}

static bool begins_with(const char *word, size_t length, const char *prefix) {
  return length >= strlen(prefix) && memcmp(word, prefix, strlen(prefix)) == 0;
}

/* @return NULL, or what is wrong with the word */
static const char *take_extra(struct words *words, const char *word, size_t length) {
  static const char name[] = "name=", topics[] = "topics=";
  if (begins_with(word, length, name) && words->name == NULL) {
    words->name = word + strlen(name);
    words->name_length = length - strlen(name);
    return NULL;
  }
  if (!begins_with(word, length, topics) || words->topics != NULL)
    return "has more than ROLE TOKEN, name=NAME and topics=PATTERN,PATTERN";
  if (words->role == FLUXBP_ROLE_ADMIN) return "has topics for an admin; administration knows no topics";
  words->topics = word + strlen(topics);
  words->topics_length = length - strlen(topics);
  return NULL;
}

/* @return NULL, or what is wrong with the line. A '#' in a token is part of it */
static const char *parse_line(fluxbp_tokens_t *tokens, const char *line, size_t length) {
  struct words words = {0};
  const char *word;
  if (memchr(line, '\0', length) != NULL) return "has a NUL in it; it should be text";
  size_t word_length = next_word(&line, &word);
  if (word_length == 0) return NULL;
  if (!parse_role(word, word_length, &words.role)) return "has an unknown role; there are subscribe, publish and admin";
  words.token_length = next_word(&line, &words.token);
  const char *problem = check_token(words.token, words.token_length);
  while (problem == NULL && (word_length = next_word(&line, &word)) > 0)
    problem = take_extra(&words, word, word_length);
  return problem == NULL ? add_words(tokens, &words) : problem;
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
  if (tokens != NULL) atomic_store(&tokens->owners, 1);
  if (tokens == NULL) (void) snprintf(problem, capacity, "%s: out of memory", path);
  if (tokens != NULL && !read_lines(tokens, file, path, problem, capacity)) {
    fluxbp_tokens_free(tokens);
    tokens = NULL;
  }
  (void) fclose(file);
  return tokens;
}
