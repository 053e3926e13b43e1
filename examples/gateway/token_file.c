/* SPDX-License-Identifier: MIT */
/*
 * token_file: see the header. The file is looked at once a second: a look also sees a file that was replaced, and one
 * behind a symbolic link, which a watch over the file itself doesn't.
 */
#include "token_file.h"

#include "common/log.h"

#include <stdbool.h>
#include <stdio.h>

#define PROBLEM_BYTES 512

int token_file_read(struct token_file *file) {
  char problem[PROBLEM_BYTES];
  if (file->path == NULL) return 0;
  (void) stat(file->path, &file->read);
  file->tokens = fluxbp_tokens_read(file->path, problem, sizeof problem);
  if (file->tokens != NULL) return 0;
  fprintf(stderr, "gateway: --tokens %s\n", problem); /* which begins with the path */
  return -1;
}

void token_file_reload(struct token_file *file, fluxbp_server_t *server) {
  char problem[PROBLEM_BYTES];
  if (file->path == NULL) return;
  (void) stat(file->path, &file->read);
  fluxbp_tokens_t *tokens = fluxbp_tokens_read(file->path, problem, sizeof problem);
  if (tokens == NULL) {
    log_event(LOG_LEVEL_ERROR, "tokens_not_read", log_phrase("problem", problem));
    return;
  }
  int err = fluxbp_server_set_tokens(server, tokens);
  fluxbp_tokens_free(file->tokens);
  file->tokens = tokens;
  log_event(LOG_LEVEL_INFO, "tokens_read", log_word("path", file->path), log_phrase("status", uv_strerror(err)));
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A file that has changed since the last look may be half written. One that is missing is about to be replaced. */
void token_file_check(struct token_file *file, fluxbp_server_t *server) {
  struct stat now;
  if (file->path == NULL || stat(file->path, &now) != 0) return;
  bool is_whole = is_same_file(&now, &file->seen);
  file->seen = now;
  if (is_whole && !is_same_file(&now, &file->read)) token_file_reload(file, server);
}

void token_file_free(struct token_file *file) {
  fluxbp_tokens_free(file->tokens);
}
