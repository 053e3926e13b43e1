/* SPDX-License-Identifier: MIT */
/*
 * token_file: the file of --tokens, which is read again while the gateway runs: when it has changed, and on SIGHUP. If
 * the file is wrong then, the former tokens stay.
 */
#ifndef GATEWAY_TOKEN_FILE_H
#define GATEWAY_TOKEN_FILE_H

#include <fluxbp/server.h>

#include <sys/stat.h>

struct token_file {
  const char *path;        /* NULL: there is none */
  fluxbp_tokens_t *tokens; /* a reference, or NULL */
  struct stat read;        /* the file as it was read last */
  struct stat seen;        /* the file at the last look */
};

/** Read the file for the first time. @return 0, or -1: it is wrong, and standard error says why */
int token_file_read(struct token_file *file);

/** Read the file again if it has changed, and give its tokens to the server. */
void token_file_check(struct token_file *file, fluxbp_server_t *server);

/** Read the file again, whether it has changed or not. */
void token_file_reload(struct token_file *file, fluxbp_server_t *server);

void token_file_free(struct token_file *file);

#endif
