/* SPDX-License-Identifier: MIT */
/*
 * logins: logins for the pages of a program. A person shows a token once; the program compares it, and keeps a login: a
 * random text that the browser has in a cookie, and an end. fluxbp_request_cookie reads the cookie,
 * fluxbp_request_add_header with "Set-Cookie" sets it. The token is no part of a login.
 *
 * The time is an argument: milliseconds of any clock that doesn't go back, such as uv_now.
 *
 * Thread: any, for every function here.
 */
#ifndef FLUXBP_SERVER_LOGINS_H
#define FLUXBP_SERVER_LOGINS_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most logins at a time. */
#define FLUXBP_LOGINS_MAX 64

/** Room for the text of a login, 256 random bits in hexadecimal, with the NUL. */
#define FLUXBP_LOGIN_TEXT_BYTES 65

/** Attempts to log in that one address has in a minute. */
#define FLUXBP_LOGIN_ATTEMPTS_A_MINUTE 10

/** Addresses whose attempts are counted at a time. */
#define FLUXBP_LOGIN_ADDRESSES 1024

typedef struct fluxbp_logins fluxbp_logins_t;

/** Make an empty set of logins, each of which ends `seconds` after it has begun. @return 0, or UV_ENOMEM */
FLUXBP_EXTERN int fluxbp_logins_create(uint32_t seconds, fluxbp_logins_t **logins);

/** Free the logins. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_logins_free(fluxbp_logins_t *logins);

/**
 * Count an attempt to log in, before the token is compared. The addresses of one IPv6 /64 prefix count as one. If more
 * than FLUXBP_LOGIN_ADDRESSES addresses try, the one whose minute began first is forgotten.
 *
 * @param address such as 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80; all other texts count as one address
 * @return 0: the attempt may be made; or the seconds until the next one, for a Retry-After
 */
FLUXBP_EXTERN uint32_t fluxbp_logins_count_attempt(fluxbp_logins_t *logins, const char *address, uint64_t now_ms);

/** Return whether a token that was shown is the secret one. The time that this takes depends on `length` alone. */
FLUXBP_EXTERN int fluxbp_logins_is_same_token(const char *secret, const char *shown, size_t length);

/**
 * Begin a login. If there are FLUXBP_LOGINS_MAX, the oldest one ends.
 *
 * @param text gets the text of the login, for the cookie
 * @return 0, or an error of uv_random
 */
FLUXBP_EXTERN int fluxbp_logins_begin(fluxbp_logins_t *logins, uint64_t now_ms, char text[FLUXBP_LOGIN_TEXT_BYTES]);

/** Return the serial of the login with that text, or 0 if there is none. No other login of the set has or had the same
 * serial. The time that this takes tells nothing about the texts of logins. */
FLUXBP_EXTERN uint64_t fluxbp_logins_find(fluxbp_logins_t *logins, const char *text, size_t length, uint64_t now_ms);

/** Return whether the login with that serial has not ended. */
FLUXBP_EXTERN int fluxbp_logins_has(fluxbp_logins_t *logins, uint64_t serial);

/** End the login with that serial, if it is there. */
FLUXBP_EXTERN void fluxbp_logins_end(fluxbp_logins_t *logins, uint64_t serial);

/** End all logins. */
FLUXBP_EXTERN void fluxbp_logins_end_all(fluxbp_logins_t *logins);

/** End the logins whose time is over. @return the number of those that are left */
FLUXBP_EXTERN size_t fluxbp_logins_expire(fluxbp_logins_t *logins, uint64_t now_ms);

#ifdef __cplusplus
}
#endif

#endif
