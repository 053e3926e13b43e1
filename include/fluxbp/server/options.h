/* SPDX-License-Identifier: MIT */
/*
 * options: what a program decides about a server before it is made, and the limits of names and keys.
 */
#ifndef FLUXBP_SERVER_OPTIONS_H
#define FLUXBP_SERVER_OPTIONS_H

#include "fluxbp/export.h"
#include "fluxbp/hub_options.h"
#include "fluxbp/policy.h"
#include "fluxbp/server/handlers.h"
#include "fluxbp/server/log.h"
#include "fluxbp/server/permissions.h"
#include "fluxbp/server/tls.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The longest name of a topic, and the rule for names. */
#define FLUXBP_SERVER_TOPIC_BYTES 64
#define FLUXBP_SERVER_TOPIC_RULE "1 to 64 of A-Z a-z 0-9 . _ : -"

/** The longest key of a state topic. */
#define FLUXBP_SERVER_KEY_BYTES 64

/** The greatest values of max_topics and max_topics_per_session. */
#define FLUXBP_SERVER_TOPICS_MAX ((uint32_t) 1000000)
#define FLUXBP_SESSION_TOPICS_MAX ((uint32_t) 65536)

/** Of a limit for one address or one subject: a quarter of the limit for all. */
#define FLUXBP_LIMIT_AUTO UINT32_MAX

/** Connections by HTTP that a server accepts beyond max_connections, for administrators. */
#define FLUXBP_SERVER_HTTP_RESERVE 64

/** The parts of a server. A program may leave out any of them. docs/protocol.md describes each. */
typedef enum fluxbp_part {
  FLUXBP_PART_WEBSOCKET = 1, /* /ws */
  FLUXBP_PART_SSE = 2,       /* /sse */
  FLUXBP_PART_PUBLISH = 4,   /* POST /api/v1/publish, DELETE /api/v1/state */
  FLUXBP_PART_COMMANDS = 8,  /* SUB, PUB … of clients on lines, frames and WebSocket */
  FLUXBP_PART_HEALTH = 16,   /* /livez, /readyz */
  FLUXBP_PART_METRICS = 32,  /* /metrics, for Prometheus */
  FLUXBP_PART_ADMIN = 64,    /* /api/v1/stats, connections, evictions, policy */
  FLUXBP_PART_WATCH = 128,   /* /api/v1/watch, which a dashboard reads */
  FLUXBP_PART_ALL = 255
} fluxbp_part_t;

/** Texts, such as names of topics. */
typedef struct fluxbp_text_list {
  const char *const *texts;
  size_t count;
} fluxbp_text_list_t;

/** How often something may be done in a second; 0: no limit. After ten quiet seconds, what the rate allows in ten
 * seconds may be done at once. */
typedef struct fluxbp_rate {
  uint32_t per_client;  /* by one connection */
  uint32_t per_address; /* by all connections of one address, as for max_per_address */
  uint32_t per_subject; /* by all connections of one subject, as for max_per_subject */
} fluxbp_rate_t;

/** The connection between several servers that share their messages; see fluxbp/nats.h. */
typedef struct fluxbp_backbone fluxbp_backbone_t;

/** Memory behind the pointers must not change until the server is closed. */
typedef struct fluxbp_server_options {
  size_t size; /* set by fluxbp_server_options_init */

  /* The loop of the server, which the program runs; must be set. */
  uv_loop_t *loop;

  /* Threads that serve clients, up to FLUXBP_WORKERS_MAX; default 0: the server serves them on `loop`. */
  uint32_t threads;
  const fluxbp_server_handlers_t *handlers; /* default NULL: none */
  fluxbp_log_cb on_log;                     /* default NULL: nothing is logged */
  void *user;                               /* for on_log, and see fluxbp_server_user */
  unsigned parts;                           /* a set of fluxbp_part_t; default FLUXBP_PART_ALL */

  /* Connections. */

  /* Clients at a time; default 100000. The program has to raise the limit of file descriptors itself. */
  uint32_t max_connections;

  /*
   * Connections of one IPv4 address or IPv6 /64 prefix; 0: no limit; default FLUXBP_LIMIT_AUTO: a quarter of
   * max_connections. Addresses of loopback (127.0.0.0/8 and ::1) have no limits, here and below, as a proxy may pass on
   * any number of clients from there; one that a PROXY header names has them.
   */
  uint32_t max_per_address;
  uint32_t accepts_per_second; /* default 0: no limit */

  /* Addresses or networks whose connections begin with a PROXY protocol v2 header; default none. */
  fluxbp_text_list_t proxies;

  /* Topics. */

  /* The topic of a client that asks for none; default NULL: such a client is subscribed to nothing. */
  const char *topic;

  /* Topics that clients hold on each thread, besides `topic` and the state topics; default 65536. */
  uint32_t max_topics;
  uint32_t max_topics_per_session; /* default 256 */
  fluxbp_text_list_t state_topics; /* topics that keep the newest message of each key; default none */
  uint32_t state_keys;             /* keys of each state topic; default 65536 */
  uint64_t state_age_ms;           /* age at which a value is taken back; default 0: never */

  /* The history of log topics, for clients that resume; see fluxbp_hub_options_t. */
  uint32_t history_messages;       /* default 20000 */
  uint64_t history_bytes;          /* default 32 MiB */
  uint32_t history_topic_messages; /* default 10000 */
  uint64_t history_topic_bytes;    /* default 16 MiB */
  uint32_t history_ms;             /* default 0: no limit */

  /* Messages and memory. */
  uint64_t max_message; /* bytes of a message; default 64 KiB */

  /* Bytes of a request's body, at least max_message with FLUXBP_PART_PUBLISH; default 1 MiB. More than 3/32 of the
   * budget is like 3/32. */
  uint64_t max_body;
  uint32_t patience_ms;   /* time for which a client that makes progress may hold publishers up; default 0 */
  fluxbp_policy_t policy; /* of subscribers; default as fluxbp_policy_init */
  uint64_t budget;        /* bytes for all messages and queues; default as fluxbp_pool_options_init */
  uint64_t kernel_bytes;  /* see fluxbp_hub_options_t.max_kernel_bytes; default FLUXBP_KERNEL_BYTES_AUTO */

  /* Times, in milliseconds. */
  uint32_t ping_ms;       /* between two pings to WebSocket and SSE clients; 0 is off; default 25000 */
  uint32_t handshake_ms;  /* from the accept to the end of the first request; later ones have the same; default 10000 */
  uint32_t keep_alive_ms; /* between two requests of a connection; default 75000 */

  /* From the first byte of a line, a frame or a WebSocket's message to its last; 0 is off; default 30000. A client that
   * takes longer is closed with FLUXBP_CLOSE_POLICY. The time in which the server doesn't read the client doesn't
   * count. */
  uint32_t message_ms;

  /* Permissions. */
  fluxbp_tokens_t *tokens; /* default NULL: there are none; the server keeps a reference */

  /* Keys for signed tokens, with which all roles take a token; default NULL: there are none. The server keeps a
   * reference. */
  fluxbp_keys_t *keys;
  const char *token_issuer;   /* which a signed token has to name; default NULL: any, or none */
  const char *token_audience; /* the same */

  /* Patterns of topics to which a client may subscribe without a token, where a token exists for subscribing; default
   * none. */
  fluxbp_text_list_t public_topics;

  /*
   * The name of a cookie that may hold a token; default NULL: none. The cookie counts if the request has an Origin that
   * is the server's own or that allow_origins names, or if it is a GET without Origin and of no foreign page.
   */
  const char *token_cookie;

  /*
   * Wrong tokens that one IPv4 address or IPv6 /64 prefix may show within a minute; default 60; 0: no limit. Until the
   * minute is over, its tokens are not looked at, and it is told so (429). Addresses of loopback have no limit, as a
   * proxy may pass on any number of clients from there.
   */
  uint32_t max_wrong_tokens;

  /* The http or https URL of a backend that is asked what clients may do, see fluxbp/server/permissions.h; default
   * NULL: none. With it all roles take a token, or an answer. */
  const char *authorize_url;
  uint32_t authorize_timeout_ms;          /* of one question; default 2000 */
  uint32_t authorize_at_once;             /* questions at a time, up to FLUXBP_AUTHORIZE_AT_ONCE_MAX; default 64 */
  uint32_t authorize_cache;               /* answers that are kept, up to FLUXBP_AUTHORIZE_CACHE_MAX; default 10000 */
  fluxbp_when_away_t authorize_when_away; /* default FLUXBP_WHEN_AWAY_CLOSED */

  /* Give the clients of listeners on a loopback address every role for which there is no token; default 0. */
  int trusts_loopback;

  /* Names that a Host header may have besides addresses and localhost; "*" is any; default none. */
  fluxbp_text_list_t allow_hosts;

  /*
   * Origins of pages that may use the server besides the server's own, such as https://app.example.org; default none.
   * They are for requests and WebSockets, and for the headers by which a page reads answers (CORS), also those of
   * on_request. A page of an origin that the list names may send credentials. "*" allows any other page, and "null" the
   * pages without an origin of their own, in both cases without credentials.
   */
  fluxbp_text_list_t allow_origins;

  /* The backbone that carries messages between several servers; default NULL: none. fluxbp_server_create takes it over,
   * also when it fails. */
  fluxbp_backbone_t *backbone;

  /* The backbone has failed for good; the log has the reason. The program should close the server. From the loop. */
  void (*on_backbone_failure)(fluxbp_server_t *server, const char *reason);

  /*
   * Quotas of one address, as for max_per_address, and of one subject: the connections that have shown a token with
   * that subject (`sub` of a signed token), whatever their addresses. 0: no limit. A client that would have more is
   * refused with words that name the limit; HTTP says 429.
   */
  uint32_t max_per_subject;               /* connections; default FLUXBP_LIMIT_AUTO: a quarter of max_connections */
  uint32_t max_subscriptions_per_address; /* default 262144 */
  uint32_t max_subscriptions_per_subject; /* default 262144 */

  /* Topics, on all threads together, that are there because its clients were the first to subscribe to them; default
   * FLUXBP_LIMIT_AUTO: a quarter of max_topics. A topic counts until its last subscriber has left. */
  uint32_t max_topics_per_address;
  uint32_t max_topics_per_subject;

  /* Keys of state topics that its clients have set when these had no value; default 0: no limit, since publishing takes
   * a permission, and one publisher may well set all keys. A key counts until its value is taken back. */
  uint32_t max_keys_per_address;
  uint32_t max_keys_per_subject;

  /*
   * Rates. A client that is faster waits, and its connection isn't read meanwhile, so that its own kernel holds it up;
   * nothing is refused. Default of command_rate: 1000, 10000 and 10000; of publish_rate: no limit, since publishing
   * takes a permission.
   */
  fluxbp_rate_t command_rate; /* commands and messages of clients, HTTP requests, and pings and pongs of WebSockets */
  fluxbp_rate_t publish_rate; /* messages that clients publish, which don't count as commands or requests */

  /*
   * What is replayed for clients that resume: messages and bytes in a second. A resume costs what lies between its id
   * and the newest one on its topics. It begins at once unless its client, address, subject or thread has used up its
   * rate; then it waits for its turn, and the client is told "resumed" or "too old" after that. Those that have had
   * least come first. Default: 20000 messages and 16 MiB for a client, 100000 and 64 MiB for an address, a subject,
   * and a thread.
   */
  fluxbp_rate_t replay_rate;        /* messages */
  fluxbp_rate_t replay_bytes;       /* bytes */
  uint32_t replay_rate_per_thread;  /* messages for all clients of a thread; 0: no limit */
  uint32_t replay_bytes_per_thread; /* bytes for all clients of a thread; 0: no limit */

  /*
   * Certificates for listeners that speak TLS; default NULL: there are no such listeners. The program keeps them until
   * the server is closed. `handshake_ms` is also the time for a TLS handshake. A client that shows a certificate has
   * the permissions that the tokens give it by the line "ROLE cert:NAME"; its name is its subject. fluxbp_server_reload
   * reads the certificates again.
   */
  fluxbp_tls_t *tls;

  /*
   * Bytes from which on a message is compressed for clients that ask for it: WebSockets by permessage-deflate, event
   * streams by Accept-Encoding: gzip. 0 is off: no client is offered compression. Default 256. A message is compressed
   * once on each thread, for all of its clients; one that doesn't become shorter by a sixteenth, and one of more than
   * 256 KiB, is sent as it is. A thread has 85 KB for it outside of the budget, and room for the message at hand.
   */
  uint32_t compress_bytes;

  /* Whether the threads write to several clients by one call of io_uring; see fluxbp_hub_options_t. Default
   * FLUXBP_IO_URING_AUTO. */
  fluxbp_io_uring_t io_uring;
} fluxbp_server_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_server_options_init(options) fluxbp_server_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_server_options_init_sized(fluxbp_server_options_t *options, size_t size);

#ifdef __cplusplus
}
#endif

#endif
