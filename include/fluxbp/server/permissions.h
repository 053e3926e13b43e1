/* SPDX-License-Identifier: MIT */
/*
 * permissions: the roles of clients, and the tokens that give them, for all topics or for some.
 *
 * Without a token a client may subscribe. Publishing and administration take a token, unless the server trusts loopback
 * addresses (fluxbp_server_options_t.trusts_loopback). If any token has a role, no client gets that role without one.
 */
#ifndef FLUXBP_SERVER_PERMISSIONS_H
#define FLUXBP_SERVER_PERMISSIONS_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_server fluxbp_server_t;

/** A permission. The roles of a client are a set of these. */
typedef enum fluxbp_role {
  FLUXBP_ROLE_SUBSCRIBE = 1,
  FLUXBP_ROLE_PUBLISH = 2,
  FLUXBP_ROLE_ADMIN = 4,
  FLUXBP_ROLE_ALL = 7
} fluxbp_role_t;

/** Tokens with their roles and topics. They never change, and references to them are counted, so any thread may use
 * them. */
typedef struct fluxbp_tokens fluxbp_tokens_t;

/**
 * Read a file of lines "ROLE TOKEN [name=NAME] [topics=PATTERN,PATTERN]". ROLE is subscribe, publish or admin. The name
 * stands for the token in logs. With topics, patterns as in fluxbp/pattern.h, the role holds for these topics only. '#'
 * begins a comment, unless it is within a word. A token with several roles stands in several lines. "cert:NAME" in the
 * place of TOKEN stands for the clients whose certificate has that common name (fluxbp/server/tls.h); "${sub}" in their
 * topics stands for the name.
 *
 * A file is refused if group or others have any permission for it, or if it has no token, an unknown role, a token of
 * fewer than 16 or more than 256 bytes, or a token with other bytes than visible ASCII.
 *
 * @param problem gets a sentence about the wrong line and how to mend it, cut to `capacity` bytes
 * @return the tokens, with a reference for the caller; NULL: the file was refused
 */
FLUXBP_EXTERN fluxbp_tokens_t *fluxbp_tokens_read(const char *path, char *problem, size_t capacity);

/** Give a reference back: the tokens are freed when no server uses them any more. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_tokens_free(fluxbp_tokens_t *tokens);

/**
 * Return the roles that a token gives, for all topics or for some; 0: there is no such token. The function compares the
 * SHA-256 of all tokens, so its time tells nothing about them. NULL tokens are allowed.
 */
FLUXBP_EXTERN unsigned fluxbp_tokens_roles(const fluxbp_tokens_t *tokens, const char *token, size_t length);

/** Keys by which signed tokens are checked. They never change, and references to them are counted, so any thread may
 * use them. */
typedef struct fluxbp_keys fluxbp_keys_t;

/**
 * Read keys for signed tokens (JSON Web Tokens): a JSON Web Key Set, one JSON Web Key, or public keys in PEM, up to 64.
 * There are secrets for HS256, RSA keys of 2048 bits or more for RS256, keys on P-256 for ES256, and Ed25519 keys for
 * EdDSA. Keys of a set that are for something else are left out.
 *
 * A signed token needs an end (exp), and the claim "fluxbp", such as
 * {"subscribe": ["news.>", "user.${sub}.>"], "publish": ["chat"], "admin": false, "name": "Alice"}.
 *
 * @param problem gets a sentence about what is wrong and how to mend it, cut to `capacity` bytes
 * @return the keys, with a reference for the caller; NULL: the file was refused
 */
FLUXBP_EXTERN fluxbp_keys_t *fluxbp_keys_read(const char *path, char *problem, size_t capacity);

/** Give a reference back: the keys are freed when no server uses them any more. NULL is allowed. */
FLUXBP_EXTERN void fluxbp_keys_free(fluxbp_keys_t *keys);

/** Exchange the keys of a running server, which keeps a reference. Clients that are there stay, until their tokens
 * expire. Any thread. */
FLUXBP_EXTERN void fluxbp_server_set_keys(fluxbp_server_t *server, fluxbp_keys_t *keys);

/**
 * Exchange the tokens of a running server. The server keeps a reference. Any thread.
 *
 * A client whose token is not among the new ones is closed with FLUXBP_CLOSE_UNAUTHORIZED. A client whose token doesn't
 * give all of its topics any more is closed with FLUXBP_CLOSE_FORBIDDEN. All other clients notice nothing.
 *
 * @param tokens NULL: there are none any more
 * @return 0, UV_ENOMEM: the new tokens hold, but clients with old ones stay; or UV_ECANCELED: the server is closing
 */
FLUXBP_EXTERN int fluxbp_server_set_tokens(fluxbp_server_t *server, fluxbp_tokens_t *tokens);

/**
 * Read the tokens and the keys of a server again from two files whenever these change: within two seconds. A file that
 * is refused changes nothing, and the log has the reason. Thread: the server's loop.
 *
 * @param tokens_path, keys_path NULL: none. The paths are copied
 * @return 0, UV_EBUSY: the server follows such a file already; UV_ECANCELED: the server is closing; UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_server_follow_files(fluxbp_server_t *server, const char *tokens_path, const char *keys_path);

/** Read the files that the server follows, and its certificates (fluxbp_server_options_t.tls), again now, for example
 * after SIGHUP. Thread: the server's loop. */
FLUXBP_EXTERN void fluxbp_server_reload(fluxbp_server_t *server);

/**
 * Revoke all tokens of a subject that were issued up to now, or one token by its id. Clients that have shown one are
 * closed with FLUXBP_CLOSE_UNAUTHORIZED, here and at all servers behind the same backbone. Any thread.
 *
 * Without a backbone that keeps messages a revocation is forgotten when the server ends. So tokens should expire soon.
 *
 * @param subject  or NULL
 * @param token_id or NULL; one of both is given
 * @param seconds  for which the revocation is kept: the longest time for which such a token is still good
 * @return 0, or
 *   UV_EINVAL    none or both are given, a text is empty or longer than 255 bytes, or `seconds` is 0
 *   UV_ENOSPC    65536 revocations are kept already
 *   UV_ENOMEM
 *   UV_ENOTCONN, UV_EAGAIN  the revocation holds at this server, but the backbone couldn't take it: call again
 *   UV_ECANCELED the server is closing
 */
FLUXBP_EXTERN int fluxbp_server_revoke(fluxbp_server_t *server, const char *subject, const char *token_id,
                                       uint64_t seconds);

/*
 * A backend (authorize_url of the options) that says who a client is and what it may do.
 *
 * The server asks it by GET about a client that shows a token that the server doesn't know, another Authorization, or
 * cookies of a page that may use them (see token_cookie). The request has these as Authorization and Cookie, the
 * client's Origin, and the client's address as X-Forwarded-For.
 *
 * 200 gives rights, by a JSON object such as {"sub": "alice", "subscribe": ["news.>", "user.${sub}.>"], "publish":
 * ["chat"], "admin": false, "expires_in": 3600}: those of a signed token, and the seconds after which they end. 401 and
 * 403 refuse the client. Any other answer means that the backend is away. Cache-Control: max-age says for how many
 * seconds an answer holds for clients that show the same.
 */

/** The greatest values of authorize_at_once and authorize_cache. */
#define FLUXBP_AUTHORIZE_AT_ONCE_MAX ((uint32_t) 1000)
#define FLUXBP_AUTHORIZE_CACHE_MAX ((uint32_t) 10000000)

/** What a client gets whose rights are not known, as the backend is away. */
typedef enum fluxbp_when_away {
  /* Nothing: it is told to try later, by 503 with Retry-After, an event, or the close code 1013. */
  FLUXBP_WHEN_AWAY_CLOSED = 0,
  /* The topics of public_topics, if it asks for no others. */
  FLUXBP_WHEN_AWAY_PUBLIC
} fluxbp_when_away_t;

#ifdef __cplusplus
}
#endif

#endif
