/* SPDX-License-Identifier: MIT */
/*
 * secret_files: the files of tokens and keys that a server follows. Thread: the server's loop.
 */
#ifndef FLUXBP_SERVER_SECRET_FILES_H
#define FLUXBP_SERVER_SECRET_FILES_H

#include <fluxbp/server/server.h>

#include <uv.h>

enum secret_file_kind { SECRET_FILE_TOKENS, SECRET_FILE_KEYS, SECRET_FILES };

/* All zero: no file is followed. */
struct secret_file {
  uv_fs_poll_t poll;
  uv_timer_t settling; /* until a file that has changed is read */
  fluxbp_server_t *server;
  enum secret_file_kind kind;
  char *path; /* or NULL */
};

/** Stop following. server_handle_closed is called for each file. */
void secret_files_close(fluxbp_server_t *server);

/** Free what the files take, when their handles are closed. */
void secret_files_free(fluxbp_server_t *server);

#endif
