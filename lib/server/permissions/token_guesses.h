/* SPDX-License-Identifier: MIT */
/*
 * token_guesses: how many wrong tokens each address has shown, so that guessing is slowed. By IPv4 address or IPv6 /64
 * prefix, in a table of a fixed size: if the table is full, the server forgets an address with few
 * wrong tokens. Time is an argument. Thread: any.
 */
#ifndef FLUXBP_SERVER_TOKEN_GUESSES_H
#define FLUXBP_SERVER_TOKEN_GUESSES_H

#include <stdint.h>
#include <sys/socket.h>

/* The time in which wrong tokens are counted, from the first of them. */
#define TOKEN_GUESSES_MS 60000

struct token_guesses;

/**
 * Make an empty table.
 *
 * @param most wrong tokens of one address within TOKEN_GUESSES_MS
 * @return NULL: out of memory
 */
struct token_guesses *token_guesses_create(uint32_t most);

/** Free a table. NULL is allowed. */
void token_guesses_free(struct token_guesses *guesses);

/** Return the seconds for which an address has to wait before it may show a token; 0: it may show one now. An address
 * of loopback never waits: a proxy may pass any number of clients on from there. */
uint32_t token_guesses_wait_s(struct token_guesses *guesses, const struct sockaddr *address, uint64_t now_ms);

/** Count a wrong token of an address. */
void token_guesses_note(struct token_guesses *guesses, const struct sockaddr *address, uint64_t now_ms);

#endif
