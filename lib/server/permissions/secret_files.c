/* SPDX-License-Identifier: MIT */
/*
 * secret_files: libuv looks at the status of each file now and then, which also finds a file that was put in the place
 * of another one. A file that has just changed may be half written, so it is read a while later. A file that is refused
 * changes nothing.
 */
#include "secret_files.h"

#include "server/log.h"
#include "server/server.h"

#include <stdlib.h>
#include <string.h>

#define POLL_MS 1000
#define SETTLING_MS 1000
#define PROBLEM_BYTES 512

static void log_outcome(const struct secret_file *file, const char *problem) {
  bool is_keys = file->kind == SECRET_FILE_KEYS;
  if (problem == NULL)
    server_log(file->server, FLUXBP_LOG_INFO, is_keys ? "keys_read" : "tokens_read", log_phrase("file", file->path));
  else
    server_log(file->server, FLUXBP_LOG_ERROR, is_keys ? "keys_not_read" : "tokens_not_read",
               log_phrase("problem", problem), log_phrase("instead", "the former ones hold on"));
}

static void reload_file(const struct secret_file *file) {
  char problem[PROBLEM_BYTES];
  fluxbp_tokens_t *tokens = NULL;
  fluxbp_keys_t *keys = NULL;
  if (file->path == NULL || file->server->is_closing) return;
  if (file->kind == SECRET_FILE_TOKENS)
    tokens = fluxbp_tokens_read(file->path, problem, sizeof problem);
  else
    keys = fluxbp_keys_read(file->path, problem, sizeof problem);
  if (tokens != NULL) (void) fluxbp_server_set_tokens(file->server, tokens);
  if (keys != NULL) fluxbp_server_set_keys(file->server, keys);
  log_outcome(file, tokens == NULL && keys == NULL ? problem : NULL);
  fluxbp_tokens_free(tokens);
  fluxbp_keys_free(keys);
}

static void on_settled(uv_timer_t *timer) {
  reload_file(timer->data);
}

/* A file that is missing is about to be replaced. */
static void on_change(uv_fs_poll_t *poll, int status, const uv_stat_t *before, const uv_stat_t *after) {
  struct secret_file *file = poll->data;
  (void) before;
  (void) after;
  if (status == 0) (void) uv_timer_start(&file->settling, on_settled, SETTLING_MS, 0);
}

static void on_handle_closed(uv_handle_t *handle) {
  server_handle_closed(((const struct secret_file *) handle->data)->server);
}

static int follow_file(fluxbp_server_t *server, enum secret_file_kind kind, const char *path) {
  struct secret_file *file = &server->secret_files[kind];
  if (path == NULL) return 0;
  if (file->path != NULL) return UV_EBUSY;
  char *copy = strdup(path);
  if (copy == NULL) return UV_ENOMEM;
  int err = uv_fs_poll_init(server->options.loop, &file->poll);
  if (err != 0) {
    free(copy);
    return err;
  }
  file->server = server;
  file->kind = kind;
  file->path = copy;
  (void) uv_timer_init(server->options.loop, &file->settling);
  file->poll.data = file->settling.data = file;
  server->open_handles += 2;
  return uv_fs_poll_start(&file->poll, on_change, path, POLL_MS);
}

int fluxbp_server_follow_files(fluxbp_server_t *server, const char *tokens_path, const char *keys_path) {
  if (server->is_closing) return UV_ECANCELED;
  int err = follow_file(server, SECRET_FILE_TOKENS, tokens_path);
  return err == 0 ? follow_file(server, SECRET_FILE_KEYS, keys_path) : err;
}

static void reload_certificates(fluxbp_server_t *server) {
  char problem[PROBLEM_BYTES];
  if (server->options.tls == NULL) return;
  if (fluxbp_tls_reload(server->options.tls, problem, sizeof problem) == 0)
    server_log(server, FLUXBP_LOG_INFO, "certificates_read",
               log_number("expires_s", fluxbp_tls_expires_s(server->options.tls)));
  else
    server_log(server, FLUXBP_LOG_ERROR, "certificates_not_read", log_phrase("problem", problem),
               log_phrase("instead", "the former ones hold on"));
}

void fluxbp_server_reload(fluxbp_server_t *server) {
  reload_certificates(server);
  for (size_t i = 0; i < SECRET_FILES; i++) reload_file(&server->secret_files[i]);
}

void secret_files_close(fluxbp_server_t *server) {
  for (size_t i = 0; i < SECRET_FILES; i++) {
    struct secret_file *file = &server->secret_files[i];
    if (file->path == NULL) continue;
    uv_close((uv_handle_t *) &file->poll, on_handle_closed);
    uv_close((uv_handle_t *) &file->settling, on_handle_closed);
  }
}

void secret_files_free(fluxbp_server_t *server) {
  for (size_t i = 0; i < SECRET_FILES; i++) free(server->secret_files[i].path);
}
