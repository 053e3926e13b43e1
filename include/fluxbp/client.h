/* SPDX-License-Identifier: MIT */
/*
 * client: the receiving side. A client follows one stream of messages of a server over one connection after the other.
 * It connects, reads, notices that the server is gone, connects again with backoff, and resumes behind the last id.
 *
 *   tcp://HOST:PORT          lines         tcp-length://HOST:PORT   frames: 4 bytes of length and a message
 *   ws://HOST[:PORT][/PATH]  WebSocket     sse://, http://          Server-Sent Events; see `protocol`
 *   With TLS: tls://, tls-length://, wss://, https://
 *
 * fluxbp_client_create -> fluxbp_client_connect -> on_open, messages and events -> on_close, after which the client is
 * freed. The server may be a libfluxbp server or any other one: see fluxbp_client_dialect_t.
 *
 * Thread: the loop's. A client keeps the loop alive until it is closed. All handlers are called from the loop, and none
 * inside of a call of the program's. A handler may call any function. The program ignores SIGPIPE: signal(SIGPIPE,
 * SIG_IGN).
 */
#ifndef FLUXBP_CLIENT_H
#define FLUXBP_CLIENT_H

#include "fluxbp/client_tls.h"
#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_client fluxbp_client_t;

typedef enum fluxbp_client_protocol {
  FLUXBP_CLIENT_BY_URL = 0, /* the URL's protocol; http:// and https:// are FLUXBP_CLIENT_SSE */
  FLUXBP_CLIENT_LINES,
  FLUXBP_CLIENT_LENGTH,
  FLUXBP_CLIENT_WEBSOCKET,
  FLUXBP_CLIENT_SSE,
  FLUXBP_CLIENT_HTTP /* requests and their answers, one at a time: fluxbp_client_send_request */
} fluxbp_client_protocol_t;

typedef enum fluxbp_client_dialect {
  /* The server is a libfluxbp server: the client asks for topics, token and resume as docs/protocol.md says, and the
   * server's notices come as events. */
  FLUXBP_CLIENT_DIALECT_FLUXBP = 0,
  /* Every line, frame, WebSocket message and Server-Sent Event is a message. Server-Sent Events are resumed by id. */
  FLUXBP_CLIENT_DIALECT_PLAIN
} fluxbp_client_dialect_t;

typedef enum fluxbp_client_event_kind {
  FLUXBP_CLIENT_MESSAGE = 0,
  FLUXBP_CLIENT_ANSWER,   /* to a command ("+OK …"), or to a request, whose status is `code` */
  FLUXBP_CLIENT_ERROR,    /* the server refuses a command ("-ERR …") */
  FLUXBP_CLIENT_POSITION, /* everything up to `id` has been sent */
  FLUXBP_CLIENT_RESUMED,  /* the missed messages follow */
  FLUXBP_CLIENT_TOO_OLD,  /* resuming is impossible, later messages are live; see `oldest` */
  FLUXBP_CLIENT_GAP,      /* the server dropped `gap_count` messages for this client, ids `gap_from` to `gap_to` */
  FLUXBP_CLIENT_UNSET,    /* the value of `key` in `topic` was taken back */
  FLUXBP_CLIENT_EVICTED,  /* the server closes the connection, as this client is too slow */
  FLUXBP_CLIENT_CLOSING,  /* the server stops, or is full */
  /* The token expires in `code` seconds: the server closes the connection then (4401), unless the program sends a newer
   * one before, on a WebSocket by fluxbp_client_send of "AUTH TOKEN". See fluxbp_client_set_token. */
  FLUXBP_CLIENT_TOKEN_EXPIRES
} fluxbp_client_event_kind_t;

/** A message or an event. A text has no NUL at its end, is NULL if there is none, and is valid until the handler
 * returns. The client doesn't check that text of a WebSocket is UTF-8. */
typedef struct fluxbp_client_event {
  fluxbp_client_event_kind_t kind;
  int is_binary;    /* a binary WebSocket message, or one that came in base64 */
  const char *data; /* the message; of another event all bytes of the notice */
  size_t length;    /* in bytes */
  const char *id;   /* "epoch:id" of a libfluxbp server, or the id of a Server-Sent Event */
  size_t id_length;
  const char *topic;
  size_t topic_length;
  const char *key; /* of a state topic */
  size_t key_length;
  const char *name; /* of a Server-Sent Event, if it has one */
  size_t name_length;
  const char *oldest; /* TOO_OLD: the oldest id that can be resumed from, if the server says so */
  size_t oldest_length;
  uint64_t gap_from, gap_to, gap_count; /* GAP: ids without their epoch, and how many messages; 0: not known */
  int code;                             /* ANSWER: the HTTP status of a request; TOKEN_EXPIRES: seconds; else 0 */
  uint64_t read_ns;                     /* uv_hrtime() when the read that completed it returned */
} fluxbp_client_event_t;

/** The end of a connection, or of an attempt to connect. Valid until the handler returns. */
typedef struct fluxbp_client_disconnect {
  int error;           /* a code of libuv's; UV_EOF: closed by the server; UV_EPROTO: see `problem` */
  const char *problem; /* in words, for a log */
  int status;          /* the HTTP status by which the server refused, or 0 */
  int code;            /* of the server's WebSocket close frame, 1005 if it has none; 0: no close frame came */
  const char *reason;  /* of the close frame, NUL-terminated; "" if there is none */
  int was_connected;   /* on_connect had been called */
  int was_open;        /* on_open had been called */
  int is_mid_message;  /* the connection ended within a message, which is lost unless it comes after resuming */
  /* Time until the next attempt; -1: there is none, and on_close follows, unless fluxbp_client_set_token is called. */
  int64_t retry_ms;
} fluxbp_client_disconnect_t;

/** The program's functions, which fluxbp_client_create copies. Every entry may be NULL. */
typedef struct fluxbp_client_handlers {
  size_t size; /* sizeof(fluxbp_client_handlers_t) */
  /* The socket is connected, and TLS is established where the URL asks for it; the handshake of the protocol, if there
   * is one, is still to come. */
  void (*on_connect)(fluxbp_client_t *client);
  /* The server has accepted the handshake, and messages may be sent. Called for each connection. */
  void (*on_open)(fluxbp_client_t *client);
  /* A message has arrived. Not called while reading is paused. */
  void (*on_message)(fluxbp_client_t *client, const fluxbp_client_event_t *message);
  /* An event that is no message has arrived. */
  void (*on_event)(fluxbp_client_t *client, const fluxbp_client_event_t *event);
  /* The kernel has taken all queued bytes, after the kernel or max_queued_bytes had refused some. */
  void (*on_drain)(fluxbp_client_t *client);
  /* A connection or an attempt has ended, and not by fluxbp_client_close or fluxbp_client_reset. A lost request may be
   * sent again from here. */
  void (*on_disconnect)(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect);
  /* The client has ended, and is freed after this call. status is 0 (fluxbp_client_close), UV_ECANCELED
   * (fluxbp_client_reset), or the `error` of the on_disconnect before it. */
  void (*on_close)(fluxbp_client_t *client, int status);
} fluxbp_client_handlers_t;

/** Strings and addresses are copied. */
typedef struct fluxbp_client_options {
  size_t size;                       /* set by fluxbp_client_options_init */
  const char *url;                   /* must be set */
  fluxbp_client_protocol_t protocol; /* in place of the URL's; default FLUXBP_CLIENT_BY_URL */
  fluxbp_client_dialect_t dialect;   /* default FLUXBP_CLIENT_DIALECT_FLUXBP */
  const fluxbp_client_handlers_t *handlers;
  void *user; /* see fluxbp_client_user */
  /* Where to connect, and how. */
  const struct sockaddr *address;       /* of the server; default NULL: the URL's host is looked up */
  const struct sockaddr *local_address; /* default NULL: the kernel chooses */
  int receive_buffer_bytes;             /* SO_RCVBUF; default 0: the kernel's */
  /* The request. */
  const char *topics;        /* names with commas between them; default NULL: the server's default topic */
  const char *token;         /* default NULL */
  const char *since;         /* resume behind this id at first: "epoch:id", or "oldest"; default NULL: live */
  int resumes;               /* default 1: ask for ids, and resume behind the last one after coming back */
  int passes_repeats;        /* default 0: a message that the server repeats after a resume is dropped */
  const char *headers;       /* further lines of the request, "Name: value\r\n" each; default NULL */
  const char *subprotocols;  /* of a WebSocket, with commas; the server has to choose one; default NULL */
  const void *first_message; /* sent after each connecting, before on_open; default NULL */
  size_t first_message_length;
  int first_message_is_binary;
  /* Limits. */
  size_t max_message_bytes; /* default 2 MiB. A larger message ends the connection */
  size_t max_header_bytes;  /* of an HTTP answer's status line and headers; default 16384 */
  size_t max_queued_bytes;  /* bytes that wait to be sent; default 1 MiB */
  /* Time, in ms; 0 is off. */
  uint32_t connect_timeout_ms;   /* for the look-up, all addresses and TLS together; default 10000 */
  uint32_t handshake_timeout_ms; /* default 10000 */
  uint32_t answer_timeout_ms;    /* for the answer to a request; default 0 */
  /* After ping_interval_ms without a byte the client sends a ping, on WebSocket, and on lines and frames to libfluxbp
   * servers. After ping_timeout_ms more the connection is lost. Defaults 25000 and 10000. */
  uint32_t ping_interval_ms, ping_timeout_ms;
  uint32_t silence_ms; /* time without a byte after which the connection is lost, in any protocol; default 0 */
  /* Coming back. After the n-th connection in a row that fails, or ends within 5 s, the client pauses for a random time
   * up to min(retry_max_ms, retry_first_ms * 2^n), and for the time that the server asks for (Retry-After, retry). */
  int reconnects; /* default 1 */
  /* Default 0: some refusals are final: most statuses below 500, a wrong handshake, one of TLS included, and the close
   * codes 1000, 1002, 1003, 1007, 1009, 1010, 4000, 4401 and 4403; see fluxbp_client_set_token. 1: the client comes
   * back after these, too. */
  int is_persistent;
  int ignores_retry_hints; /* default 0: the time that the server asks for is added to each pause */
  uint32_t retry_first_ms; /* default 250; at least 1 */
  uint32_t retry_max_ms;   /* default 30000 */
  uint32_t max_attempts;   /* failures in a row until the client ends; default 0: no limit */
  /* Memory for reading, at least 1024 bytes, which all clients of a loop may share; default NULL: 64 KiB of its own. */
  void *read_buffer;
  size_t read_buffer_bytes;
  /* For tests. With a clock of your own no timer runs: call fluxbp_client_tick when it has moved. */
  uint64_t (*clock_ms)(void *arg); /* monotonic; default NULL: the loop's */
  uint64_t (*random)(void *arg);   /* 64 random bits for the pauses; default NULL: libcrypto's */
  void *arg;
  /* For wss:// and the like; default NULL: servers' certificates have to lead to the authorities of the system. It may
   * be freed when fluxbp_client_create has returned. */
  const fluxbp_client_tls_t *tls;
} fluxbp_client_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_client_options_init(options) fluxbp_client_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_client_options_init_sized(fluxbp_client_options_t *options, size_t size);

/** The parts of a URL. They point into its text. */
typedef struct fluxbp_client_url {
  fluxbp_client_protocol_t protocol; /* FLUXBP_CLIENT_HTTP for http:// and https:// */
  const char *authority;             /* the host with its port, as written */
  size_t authority_length;
  const char *host; /* without the brackets of an IPv6 address */
  size_t host_length;
  uint16_t port;
  const char *path; /* with the query, up to the end; "" if there is none */
  int is_secure;    /* by TLS */
} fluxbp_client_url_t;

/**
 * Read a URL. Any thread; looks nothing up.
 *
 * @param problem set to a sentence if the result isn't 0; may be NULL
 * @return 0 or UV_EINVAL
 */
#define fluxbp_client_url_parse(text, url, problem)                                                                    \
  fluxbp_client_url_parse_sized((text), (url), sizeof(*(url)), (problem))
FLUXBP_EXTERN int fluxbp_client_url_parse_sized(const char *text, fluxbp_client_url_t *url, size_t size,
                                                const char **problem);

/**
 * Make a client.
 *
 * @return 0, or
 *   UV_EINVAL a wrong URL, an option out of its range, a line end in a header, handlers without a size
 *   UV_E2BIG  options or handlers that this version doesn't know
 *   UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_create(uv_loop_t *loop, const fluxbp_client_options_t *options,
                                       fluxbp_client_t **client);

/** Begin to connect. @return 0, or UV_EALREADY: it was called before */
FLUXBP_EXTERN int fluxbp_client_connect(fluxbp_client_t *client);

/**
 * Show another token from the next connection on. The text is copied; NULL: none. May be called at any time before
 * on_close.
 *
 * A refusal on account of the token is final: the status 401 or 403, or the close code 4401 (the token has expired, was
 * revoked or withdrawn) or 4403 (it doesn't give a topic). It isn't if the client was given another token since it has
 * connected, or is given one in on_disconnect: then the client comes back with that, after a pause.
 *
 * @return 0, UV_EINVAL (no text for a header), UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_set_token(fluxbp_client_t *client, const char *token);

/**
 * Send one message: a line (`data` without its end), a frame, or a WebSocket message. It is copied, and written
 * before the loop sleeps. To a libfluxbp server a message is a command, such as "PUB news hello".
 *
 * @return 0, or
 *   UV_ENOTCONN the client isn't open
 *   UV_EAGAIN   more than max_queued_bytes would wait; on_drain follows
 *   UV_EINVAL   a line with a newline in it
 *   UV_ENOTSUP  Server-Sent Events and HTTP take no messages; UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_send(fluxbp_client_t *client, const void *data, size_t length, int is_binary);
/** Offer the queued bytes to the kernel now. */
FLUXBP_EXTERN void fluxbp_client_flush(fluxbp_client_t *client);

typedef struct fluxbp_client_request {
  size_t size;         /* sizeof(fluxbp_client_request_t) */
  const char *method;  /* NULL: GET, or POST with a body */
  const char *path;    /* with the query; NULL: the URL's */
  const char *headers; /* further lines, "Name: value\r\n" each, besides those of the options; or NULL */
  const void *body;
  size_t body_length;
} fluxbp_client_request_t;

/**
 * Send an HTTP request as soon as there is a connection. The answer comes as FLUXBP_CLIENT_ANSWER, with the whole body.
 * If the server has closed the connection between two requests, the client connects again. If on_disconnect is called
 * before the answer has come, the request is lost; the client doesn't repeat it.
 *
 * @return 0, UV_EBUSY (the answer to the request before is due), UV_ENOTCONN (fluxbp_client_connect wasn't called, the
 *   connection is being closed, or the client is), UV_ENOTSUP (not FLUXBP_CLIENT_HTTP),
 *   UV_EINVAL (a line end or a blank in method or path), UV_E2BIG (unknown fields), UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_send_request(fluxbp_client_t *client, const fluxbp_client_request_t *request);

/** Stop reading. Until reading is resumed no message comes, no ping is sent, the server's end isn't noticed, and the
 * server's kernel holds the server up. TLS is established all the same. May be called at any time. */
FLUXBP_EXTERN void fluxbp_client_pause_read(fluxbp_client_t *client);
/** Resume reading. */
FLUXBP_EXTERN void fluxbp_client_resume_read(fluxbp_client_t *client);
/** Resume reading for that many bytes of the socket; then reading pauses by itself. A program limits its rate in this
 * way. */
FLUXBP_EXTERN void fluxbp_client_resume_read_for(fluxbp_client_t *client, uint64_t bytes);

/** Give this connection up, by a reset if `resets`. The client comes back as if it had lost the connection. */
FLUXBP_EXTERN void fluxbp_client_reconnect(fluxbp_client_t *client, int resets);

/**
 * Close the client: send the queue, on a WebSocket a close frame, and wait until the deadline for the server's end. A
 * client of Server-Sent Events or HTTP, or one that isn't open, closes at once.
 *
 * @param code of the close frame, 1000 or 3000 … 4999; else 1000 is sent
 * @param reason of the close frame, at most 123 bytes; NULL: none
 * @param deadline_ms from now; then the socket is closed anyway
 */
FLUXBP_EXTERN void fluxbp_client_close(fluxbp_client_t *client, int code, const char *reason, uint32_t deadline_ms);
/** Close the client now, by a reset. Allowed at any time before on_close. */
FLUXBP_EXTERN void fluxbp_client_reset(fluxbp_client_t *client);

/** Have the client look at its clock from the loop, soon; see `clock_ms`. */
FLUXBP_EXTERN void fluxbp_client_tick(fluxbp_client_t *client);
/** Return whether messages can be sent. */
FLUXBP_EXTERN int fluxbp_client_is_open(const fluxbp_client_t *client);

/** Return the id to resume behind; "" if there is none. Valid until the loop runs the client again. */
FLUXBP_EXTERN const char *fluxbp_client_position(const fluxbp_client_t *client);
/** Get the socket's descriptor. @return 0, or UV_EBADF: there is none */
FLUXBP_EXTERN int fluxbp_client_fileno(const fluxbp_client_t *client, uv_os_fd_t *fd);
FLUXBP_EXTERN void *fluxbp_client_user(const fluxbp_client_t *client);
FLUXBP_EXTERN void fluxbp_client_set_user(fluxbp_client_t *client, void *user);

/** Figures of a client since fluxbp_client_create. */
typedef struct fluxbp_client_stats {
  uint64_t connects;       /* calls of on_connect */
  uint64_t opens;          /* calls of on_open */
  uint64_t messages;       /* calls of on_message */
  uint64_t repeats;        /* messages that had come before a resume, and were dropped */
  uint64_t received_bytes; /* bytes that were read from sockets */
  uint64_t sent_bytes;     /* bytes that the kernel has taken */
  uint64_t queued_bytes;   /* bytes that wait to be sent now */
} fluxbp_client_stats_t;

#define fluxbp_client_get_stats(client, stats) fluxbp_client_get_stats_sized((client), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_client_get_stats_sized(const fluxbp_client_t *client, fluxbp_client_stats_t *stats,
                                                 size_t size);

#ifdef __cplusplus
}
#endif

#endif
