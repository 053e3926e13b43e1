/* SPDX-License-Identifier: MIT */
/*
 * client: the receiving side. One client is one stream of messages from a server, over as many connections as that
 * takes: it connects, reads, notices that the server is gone, comes back with backoff, and resumes behind the last id
 * it has seen.
 *
 *   tcp://HOST:PORT             lines                  tcp-length://HOST:PORT   frames of 4 bytes of length and a
 * message
 *   ws://HOST[:PORT][/PATH]     WebSocket              sse://, http://          Server-Sent Events; see `protocol`
 *
 * fluxbp_client_create -> fluxbp_client_connect -> on_open, messages and events -> on_close, after which its memory
 * goes. It works with a libfluxbp server and with any other one: see fluxbp_client_dialect_t. TLS (wss://, https://)
 * isn't built in.
 *
 * Thread: the loop's. A client keeps the loop alive until it is closed. No callback runs inside a call of yours: all
 * are called from the loop, and anything may be called in them. The program ignores SIGPIPE: signal(SIGPIPE, SIG_IGN).
 */
#ifndef FLUXBP_CLIENT_H
#define FLUXBP_CLIENT_H

#include "fluxbp/export.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fluxbp_client fluxbp_client_t;

typedef enum fluxbp_client_protocol {
  FLUXBP_CLIENT_BY_URL = 0, /* the URL's protocol; http:// is FLUXBP_CLIENT_SSE */
  FLUXBP_CLIENT_LINES,
  FLUXBP_CLIENT_LENGTH,
  FLUXBP_CLIENT_WEBSOCKET,
  FLUXBP_CLIENT_SSE,
  FLUXBP_CLIENT_HTTP /* requests and their answers, one at a time: fluxbp_client_send_request */
} fluxbp_client_protocol_t;

typedef enum fluxbp_client_dialect {
  /* The server is a libfluxbp server (docs/protocol.md): topics, token and resume are asked for in its way, and what
   * the server says about itself comes as events. */
  FLUXBP_CLIENT_DIALECT_FLUXBP = 0,
  /* Every line, frame, WebSocket message and Server-Sent Event is a message; the latter are resumed by their id. */
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
  FLUXBP_CLIENT_CLOSING   /* the server stops, or is full */
} fluxbp_client_event_kind_t;

/** A message or an event. Texts aren't NUL-terminated, are NULL where there are none, and are valid until the handler
 * returns. Text of a WebSocket isn't checked for being UTF-8. */
typedef struct fluxbp_client_event {
  fluxbp_client_event_kind_t kind;
  int is_binary;    /* a binary WebSocket message, or one that came in base64 */
  const char *data; /* the message; of other events all that the server said */
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
  int code;                             /* ANSWER: the HTTP status of a request; else 0 */
  uint64_t read_ns;                     /* uv_hrtime() when the read that completed it returned */
} fluxbp_client_event_t;

/** The end of a connection, or of an attempt to connect. Valid until the handler returns. */
typedef struct fluxbp_client_disconnect {
  int error;           /* a code of libuv's; UV_EOF: closed by the server; UV_EPROTO: see `problem` */
  const char *problem; /* in words, for a log */
  int status;          /* the HTTP status by which the server refused, or 0 */
  int code;            /* of the server's WebSocket close frame, 1005 if it has none; 0: no close frame came */
  const char *reason;  /* of the close frame, NUL-terminated; "" if there is none */
  int was_connected;   /* the socket was connected */
  int was_open;        /* on_open had been called */
  int is_mid_message;  /* the connection ended within a message, which is lost unless it comes after resuming */
  int64_t retry_ms;    /* the next attempt begins in so many ms; -1: there is none, and on_close follows */
} fluxbp_client_disconnect_t;

/** The program's functions. A constant table serves many clients, and must outlive them. Every entry may be NULL. */
typedef struct fluxbp_client_handlers {
  size_t size; /* sizeof(fluxbp_client_handlers_t) */
  /* The socket is connected; the handshake, if there is one, is still to come. */
  void (*on_connect)(fluxbp_client_t *client);
  /* The server has agreed: messages may be sent. Called for each connection. */
  void (*on_open)(fluxbp_client_t *client);
  /* A message has arrived. Not called while reading is paused. */
  void (*on_message)(fluxbp_client_t *client, const fluxbp_client_event_t *message);
  /* Anything else has arrived. */
  void (*on_event)(fluxbp_client_t *client, const fluxbp_client_event_t *event);
  /* The kernel has taken everything that was queued, after it or max_queued_bytes had refused some. */
  void (*on_drain)(fluxbp_client_t *client);
  /* A connection or an attempt has ended, other than by fluxbp_client_close or fluxbp_client_reset. */
  void (*on_disconnect)(fluxbp_client_t *client, const fluxbp_client_disconnect_t *disconnect);
  /* The last call; the memory goes after it. status is 0 (fluxbp_client_close), UV_ECANCELED (fluxbp_client_reset),
   * or the `error` of the on_disconnect before it. */
  void (*on_close)(fluxbp_client_t *client, int status);
} fluxbp_client_handlers_t;

/** Strings and addresses are copied. */
typedef struct fluxbp_client_options {
  size_t size;                       /* set by fluxbp_client_options_init */
  const char *url;                   /* must be set */
  fluxbp_client_protocol_t protocol; /* default FLUXBP_CLIENT_BY_URL; otherwise instead of the URL's */
  fluxbp_client_dialect_t dialect;   /* default FLUXBP_CLIENT_DIALECT_FLUXBP */
  const fluxbp_client_handlers_t *handlers;
  void *user; /* see fluxbp_client_user */
  /* Where to connect, and how. */
  const struct sockaddr *address;       /* instead of looking the URL's host up; default NULL */
  const struct sockaddr *local_address; /* default NULL: the kernel chooses */
  int receive_buffer_bytes;             /* SO_RCVBUF, set before connecting; default 0: the kernel's */
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
  size_t max_message_bytes; /* of a message; default 2 MiB. A larger one ends the connection */
  size_t max_header_bytes;  /* of an HTTP answer's status line and headers; default 16384 */
  size_t max_queued_bytes;  /* that wait to be sent; default 1 MiB */
  /* Time, in ms; 0 is off. */
  uint32_t connect_timeout_ms;   /* look-up and all addresses together; default 10000 */
  uint32_t handshake_timeout_ms; /* default 10000 */
  uint32_t answer_timeout_ms;    /* of a request; default 0 */
  /* A server that says nothing for ping_interval_ms gets a ping, on WebSocket, and on lines and frames of libfluxbp
   * servers; one that says nothing for ping_timeout_ms after it is gone. Defaults 25000 and 10000. */
  uint32_t ping_interval_ms, ping_timeout_ms;
  uint32_t silence_ms; /* a server that says nothing for so long is gone, in any protocol; default 0 */
  /* Coming back. The n-th connection in a row that fails, or ends within 5 s, is followed by a pause of a random time
   * up to min(retry_max_ms, retry_first_ms * 2^n), on top of the server's own wish (Retry-After, `retry:`). */
  int reconnects; /* default 1 */
  /* Default 0: a refusal that coming back doesn't mend is final: most statuses below 500, a wrong handshake, and the
   * close codes 1000, 1002, 1003, 1007, 1009, 1010 and 4000. */
  int is_persistent;
  int ignores_retry_hints; /* default 0: the pause that the server asks for is added to each */
  uint32_t retry_first_ms; /* default 250; at least 1 */
  uint32_t retry_max_ms;   /* default 30000 */
  uint32_t max_attempts;   /* that fail in a row; default 0: no limit */
  /* Memory for reading, at least 1024 bytes, which all clients of a loop may share; default NULL: 64 KiB of its own. */
  void *read_buffer;
  size_t read_buffer_bytes;
  /* For tests. With a clock of your own no timer runs: call fluxbp_client_tick when it has moved. */
  uint64_t (*clock_ms)(void *arg); /* monotonic; default NULL: the loop's */
  uint64_t (*random)(void *arg);   /* 64 random bits for the pauses; default NULL: libcrypto's */
  void *arg;
} fluxbp_client_options_t;

/** Write the defaults into `*options`. */
#define fluxbp_client_options_init(options) fluxbp_client_options_init_sized((options), sizeof(*(options)))
FLUXBP_EXTERN void fluxbp_client_options_init_sized(fluxbp_client_options_t *options, size_t size);

/** The parts of a URL, which point into it. */
typedef struct fluxbp_client_url {
  fluxbp_client_protocol_t protocol; /* FLUXBP_CLIENT_HTTP for http:// */
  const char *authority;             /* the host with its port, as written */
  size_t authority_length;
  const char *host; /* without the brackets of an IPv6 address */
  size_t host_length;
  uint16_t port;
  const char *path; /* with the query, up to the end; "" if there is none */
} fluxbp_client_url_t;

/**
 * Read a URL. Any thread; looks nothing up.
 *
 * @param problem set to a sentence where the result isn't 0; NULL: not wanted
 * @return 0, UV_EINVAL, or UV_EPROTONOSUPPORT (a scheme that needs TLS)
 */
#define fluxbp_client_url_parse(text, url, problem)                                                                    \
  fluxbp_client_url_parse_sized((text), (url), sizeof(*(url)), (problem))
FLUXBP_EXTERN int fluxbp_client_url_parse_sized(const char *text, fluxbp_client_url_t *url, size_t size,
                                                const char **problem);

/**
 * Make a client.
 *
 * @return 0, or
 *   UV_EINVAL          no or a wrong URL, an option out of its range, a line end where none may be, handlers without
 * a size
 *   UV_E2BIG           options or handlers that this version doesn't know
 *   UV_EPROTONOSUPPORT the URL needs TLS; UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_create(uv_loop_t *loop, const fluxbp_client_options_t *options,
                                       fluxbp_client_t **client);

/** Begin to connect. @return 0, or UV_EALREADY: it was called before */
FLUXBP_EXTERN int fluxbp_client_connect(fluxbp_client_t *client);

/**
 * Send one message: a line (`data` without its end), a frame, or a WebSocket message. It is copied, and written
 * before the loop sleeps. A FLUXBP_CLIENT_LENGTH or LINES message to a libfluxbp server is a command: "PUB news hello".
 *
 * @return 0, or
 *   UV_ENOTCONN the client isn't open
 *   UV_EAGAIN   max_queued_bytes wait already; on_drain follows
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
 * Send an HTTP request, as soon as there is a connection; its answer comes as FLUXBP_CLIENT_ANSWER, with the whole
 * body. A server that has closed the connection between two requests is connected to again. A request is lost with
 * the connection or the attempt that on_disconnect tells of, and is not repeated.
 *
 * @return 0, UV_EBUSY (the answer to the one before is due), UV_ENOTCONN (fluxbp_client_connect wasn't called, or the
 *   client is closing), UV_ENOTSUP (not FLUXBP_CLIENT_HTTP),
 *   UV_EINVAL (a line end or a blank in method or path), UV_E2BIG (unknown fields), UV_ENOMEM
 */
FLUXBP_EXTERN int fluxbp_client_send_request(fluxbp_client_t *client, const fluxbp_client_request_t *request);

/** Stop reading: no message or event comes until reading is resumed, and the server's kernel holds the server up. The
 * end of the connection is noticed afterwards, and no ping is sent meanwhile. May be called at any time. */
FLUXBP_EXTERN void fluxbp_client_pause_read(fluxbp_client_t *client);
FLUXBP_EXTERN void fluxbp_client_resume_read(fluxbp_client_t *client);
/** Resume reading for so many bytes; then reading pauses by itself. For a rate of one's own. */
FLUXBP_EXTERN void fluxbp_client_resume_read_for(fluxbp_client_t *client, uint64_t bytes);

/** Give this connection up, by a reset if `resets`, and come back as if it had been lost. */
FLUXBP_EXTERN void fluxbp_client_reconnect(fluxbp_client_t *client, int resets);

/**
 * Close: queued messages are sent, a WebSocket gets a close frame, and the server has until the deadline to close.
 *
 * @param code of the close frame, 1000 or 3000 … 4999; else 1000 is sent
 * @param reason of the close frame, at most 123 bytes; NULL: none
 * @param deadline_ms from now; then the socket is closed anyway
 */
FLUXBP_EXTERN void fluxbp_client_close(fluxbp_client_t *client, int code, const char *reason, uint32_t deadline_ms);
/** Close now. Allowed at any time before on_close. */
FLUXBP_EXTERN void fluxbp_client_reset(fluxbp_client_t *client);

/** Have the client look at its clock soon, from the loop: see `clock_ms`. */
FLUXBP_EXTERN void fluxbp_client_tick(fluxbp_client_t *client);
/** Return whether messages can be sent. */
FLUXBP_EXTERN int fluxbp_client_is_open(const fluxbp_client_t *client);

/** The id to resume behind; "" if none is known. Valid until the client is next run by its loop. */
FLUXBP_EXTERN const char *fluxbp_client_position(const fluxbp_client_t *client);
/** The socket's descriptor. @return 0, or UV_EBADF: there is none */
FLUXBP_EXTERN int fluxbp_client_fileno(const fluxbp_client_t *client, uv_os_fd_t *fd);
FLUXBP_EXTERN void *fluxbp_client_user(const fluxbp_client_t *client);
FLUXBP_EXTERN void fluxbp_client_set_user(fluxbp_client_t *client, void *user);

/** Counters begin with the client. */
typedef struct fluxbp_client_stats {
  uint64_t connects;       /* sockets that were connected */
  uint64_t opens;          /* calls of on_open */
  uint64_t messages;       /* given to on_message */
  uint64_t repeats;        /* dropped, as they had come before a resume */
  uint64_t received_bytes; /* read from sockets */
  uint64_t sent_bytes;     /* taken by the kernel */
  uint64_t queued_bytes;   /* gauge: wait to be sent */
} fluxbp_client_stats_t;

#define fluxbp_client_get_stats(client, stats) fluxbp_client_get_stats_sized((client), (stats), sizeof(*(stats)))
FLUXBP_EXTERN void fluxbp_client_get_stats_sized(const fluxbp_client_t *client, fluxbp_client_stats_t *stats,
                                                 size_t size);

#ifdef __cplusplus
}
#endif

#endif
