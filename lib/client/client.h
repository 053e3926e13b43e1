/* SPDX-License-Identifier: MIT */
/*
 * client: the struct behind fluxbp_client_t, and the functions that its files share.
 *
 *   client.c      its life: options, create, the calls of the public header
 *   connect.c     an attempt: look-up, addresses, the socket
 *   secure.c      TLS between the socket and the others
 *   handshake.c   the first bytes of a connection, and the answer to them; requests
 *   reading.c     bytes in, events out
 *   writing.c     bytes out
 *   clock.c       every deadline
 *   ending.c      the end of a connection, coming back, the end of the client
 *
 * Design notes. No handler runs inside a call of the user's, so a call only notes its wish. The loop carries it out:
 * by the flusher (an idle handle, which keeps the loop from sleeping), by the timer, and by libuv's callbacks. A
 * connection ends in one way: fluxbp__client_lose notes the reason and closes the socket. When libuv has closed that,
 * the loss is reported, and the client waits for its next attempt or ends. Each call of a handler may change the state.
 */
#ifndef FLUXBP_CLIENT_CLIENT_H
#define FLUXBP_CLIENT_CLIENT_H

#include "http.h"
#include "secure.h"
#include "stream.h"

typedef enum fluxbp__client_state {
  FLUXBP__CLIENT_NEW,
  FLUXBP__CLIENT_WAITING,     /* for the time of the next attempt */
  FLUXBP__CLIENT_CONNECTING,  /* look-up and TLS included */
  FLUXBP__CLIENT_HANDSHAKING, /* WebSocket, Server-Sent Events: for the answer */
  FLUXBP__CLIENT_OPEN,
  FLUXBP__CLIENT_SLEEPING, /* HTTP: the server has closed between two requests */
  FLUXBP__CLIENT_LEAVING,  /* a close frame or a FIN is on its way; for the server's end */
  FLUXBP__CLIENT_LOSING,   /* until libuv has closed the socket */
  FLUXBP__CLIENT_ENDING    /* until libuv has closed everything */
} fluxbp__client_state_t;

/* Needed only until the client is open. */
typedef struct fluxbp__attempt {
  fluxbp_client_t *client; /* NULL: the client has given it up; for the look-up */
  uv_getaddrinfo_t lookup;
  uv_connect_t connect;
  struct addrinfo *found;      /* by the look-up */
  const struct addrinfo *next; /* of `found` */
  int error;                   /* of the address before */
  uint64_t end_ms;             /* of the time for all addresses */
  char accept[32];             /* WebSocket: the key's right answer */
} fluxbp__attempt_t;

/* Why a connection ends; the first reason counts. */
typedef struct fluxbp__loss {
  int error;
  const char *problem; /* NULL: nothing is wrong */
  char *reason;        /* of a close frame, or NULL; to be freed */
  int status, code;
  int64_t hint_ms; /* how long the server wants to be left alone; -1: it doesn't say */
  bool is_mid_message;
  bool is_final;
} fluxbp__loss_t;

/* Requests of libuv that most clients never need. */
typedef struct fluxbp__sending {
  uv_write_t write;
  uv_shutdown_t shutdown;
} fluxbp__sending_t;

struct fluxbp_client {
  uv_loop_t *loop;
  fluxbp_client_handlers_t handlers;
  fluxbp_client_options_t options; /* its strings are those below */
  char *texts;                     /* one block: the URL and the other strings */
  char *token;                     /* that of the options, if fluxbp_client_set_token has set it */
  char *addresses;                 /* one block: `address`, `local_address` */
  fluxbp_client_url_t url;

  fluxbp__client_state_t state;
  bool is_closing;   /* by the user: nothing more is told but on_close */
  bool is_connected; /* this connection; by TLS, too, where the URL asks for it */
  bool was_open;     /* this connection */
  bool is_reading;   /* libuv reads */
  bool is_read_paused;
  bool is_resuming; /* lines, frames: messages before the answer to RESUME are thrown away */
  bool expects_ids; /* lines, frames: the answer to IDS, which comes before that to RESUME, is due */
  bool has_request; /* HTTP: its answer is due */
  bool is_head_request;
  bool has_ended;    /* the server's stream has, behind the held bytes */
  bool is_shut_down; /* nothing is sent any more */
  bool wants_drain;
  bool has_pinged;         /* since something was heard */
  bool checks_repeats;     /* until the first message behind the position */
  bool resets;             /* the socket is to be closed by a reset */
  bool has_new_token;      /* which no connection has shown yet */
  bool is_tcp_open;        /* initialised, and not closed yet */
  bool is_greeting;        /* nothing has been sent behind the first bytes of the connection */
  uint8_t swallowed_pongs; /* lines: answers to pings of our own that are due */
  unsigned handles;        /* that libuv hasn't closed */
  uint32_t failures;       /* in a row */
  int close_status;

  uint64_t due_ms; /* of the state: the next attempt, or the end of patience; UINT64_MAX: none */
  uint64_t opened_ms;
  uint64_t heard_ms;
  uint64_t pinged_ms;
  uint64_t asked_ms; /* when the request was sent */
  uint64_t read_ns;
  uint64_t allowance; /* bytes that may be read; UINT64_MAX: no limit */

  fluxbp__stream_t stream;
  fluxbp__http_t *http;
  fluxbp__secure_t *secure; /* NULL: without TLS */
  fluxbp__attempt_t *attempt;
  fluxbp__loss_t loss;
  fluxbp__buffer_t position; /* the id to resume behind, with a NUL */
  fluxbp__buffer_t waiting;  /* to be written, and encrypted before */
  fluxbp__buffer_t writing;  /* libuv's */
  fluxbp__buffer_t body;     /* HTTP: of the answer */
  int status;                /* HTTP: of the answer */
  bool is_writing;
  int write_error; /* noted by a flush inside of a call */
  void *own_buffer;
  fluxbp_client_stats_t stats;

  uv_tcp_t tcp;
  uv_timer_t timer;
  uv_idle_t flusher;
  fluxbp__sending_t *sending; /* NULL until the kernel has refused something, or the client ends its side */
};

static inline bool fluxbp__client_speaks_http(const fluxbp_client_t *client) {
  fluxbp_client_protocol_t protocol = client->options.protocol;
  return protocol != FLUXBP_CLIENT_LINES && protocol != FLUXBP_CLIENT_LENGTH;
}

static inline bool fluxbp__client_is_plain(const fluxbp_client_t *client) {
  return client->options.dialect == FLUXBP_CLIENT_DIALECT_PLAIN;
}

/* Whether TLS is being established, for which is read and written whatever the program has paused. */
static inline bool fluxbp__client_is_securing(const fluxbp_client_t *client) {
  return client->secure != NULL && client->secure->is_handshaking;
}

static inline const char *fluxbp__client_position_or_null(const fluxbp_client_t *client) {
  return client->position.length > 0 ? client->position.data : NULL;
}

/* client.c */

/** Copy a struct that begins with its size. @return 0, UV_EINVAL (no size), or UV_E2BIG (a tail that isn't known) */
int fluxbp__client_copy_sized(void *to, size_t known, const void *given);

void fluxbp__client_free(fluxbp_client_t *client);

/* connect.c */

/** Begin an attempt. From the loop. */
void fluxbp__client_begin_attempt(fluxbp_client_t *client);

/** Give the attempt up, and free it as soon as libuv is done with it. */
void fluxbp__client_drop_attempt(fluxbp_client_t *client);

/** The socket is connected, and TLS is established where the URL asks for it: go on. */
void fluxbp__client_become_connected(fluxbp_client_t *client);

/** Copy the URL's host, of 255 bytes at most. */
void fluxbp__client_copy_host(const fluxbp_client_url_t *url, char host[256]);

/** Connect to the next address, or say that none is left. */
void fluxbp__client_try_next_address(fluxbp_client_t *client);

/** The time for this address is up. */
void fluxbp__client_connect_timed_out(fluxbp_client_t *client);

/* handshake.c */

/** Send the first bytes of a connection: its socket is connected. */
void fluxbp__client_greet(fluxbp_client_t *client);

/** Bytes of HTTP have come. */
void fluxbp__client_feed_http(fluxbp_client_t *client, const char *data, size_t length);

/** Append a command for lines or frames. @return false: out of memory */
bool fluxbp__client_append_command(fluxbp_client_t *client, const char *command, size_t length);

/** Whether a text may stand in a line of a request. */
bool fluxbp__is_header_text(const char *text, bool may_have_lines);

/* reading.c */

/** Read, or stop reading, as the state and the user want it. */
void fluxbp__client_update_reading(fluxbp_client_t *client);

/** Take bytes of the protocol, without TLS. */
void fluxbp__client_take_bytes(fluxbp_client_t *client, const char *data, size_t length);

/** The server's side of the connection has ended, by an error of libuv's or UV_EOF. `is_unproved`: somebody else may
 * have cut it, as TLS's own end has not come. */
void fluxbp__client_take_end(fluxbp_client_t *client, int error, bool is_unproved);

/** Give the stream the bytes that were held while it was paused. From the loop. */
void fluxbp__client_continue_reading(fluxbp_client_t *client);

/** Take an event, and a control frame, of the stream. */
void fluxbp__client_on_event(fluxbp__stream_t *stream, fluxbp_client_event_t *event);
void fluxbp__client_on_control(fluxbp__stream_t *stream, int opcode, const char *data, size_t length);

/** The bytes so far have been fed: see whether the stream has failed. */
void fluxbp__client_check_stream(fluxbp_client_t *client);

/** Note the id to resume behind; with a length of 0 there is none. */
void fluxbp__client_note_position(fluxbp_client_t *client, const char *id, size_t length);

/* writing.c */

/** Have everything that is queued written before the loop sleeps. */
void fluxbp__client_wake_flusher(fluxbp_client_t *client);

/** Have memory for requests to write. @return false: out of memory */
bool fluxbp__client_prepare_sending(fluxbp_client_t *client);

/** Offer bytes to the kernel. @return how many it has taken, or an error */
ssize_t fluxbp__client_try_write(fluxbp_client_t *client, const char *data, size_t length);

/** Have libuv, which is not writing, write what is in `buffer` but for the first `taken` bytes. The buffer is empty
 * then. @return 0, or an error */
int fluxbp__client_hand_to_libuv(fluxbp_client_t *client, fluxbp__buffer_t *buffer, size_t taken);

/** Write as much as the kernel takes now. Calls no handler. */
void fluxbp__client_flush_now(fluxbp_client_t *client);

static inline size_t fluxbp__client_queued(const fluxbp_client_t *client) {
  size_t late = client->secure != NULL ? client->secure->late.length : 0;
  return client->waiting.length + late + (client->is_writing ? client->writing.length : 0);
}

/* clock.c */

uint64_t fluxbp__client_now(const fluxbp_client_t *client);

/** Have the timer ring at the next deadline. */
void fluxbp__client_schedule(fluxbp_client_t *client);

/** Have the timer ring at once. */
void fluxbp__client_wake_timer(fluxbp_client_t *client);

/** Set the deadline of the state, `ms` from now; 0: none. */
void fluxbp__client_set_due(fluxbp_client_t *client, uint64_t ms);

/* ending.c */

/** End this connection or attempt, for that reason. `problem` is a literal, or lives as long as `http`; NULL: libuv's
 * words. */
void fluxbp__client_lose(fluxbp_client_t *client, int error, const char *problem);

/** The same, and coming back wouldn't help. */
void fluxbp__client_lose_for_good(fluxbp_client_t *client, int error, const char *problem);

/** End the client: close its handles; on_close follows. */
void fluxbp__client_end(fluxbp_client_t *client, int status);

/** HTTP: the connection has done its work. The next request opens another one. */
void fluxbp__client_sleep(fluxbp_client_t *client);

/** The socket is closed, or there was none: go on. From the loop. */
void fluxbp__client_look_at_end(fluxbp_client_t *client);

/** The user has closed, and everything was sent: say that it was all. */
void fluxbp__client_finish_sending(fluxbp_client_t *client);

/** Close the socket. on_socket_closed goes on by the state. */
void fluxbp__client_close_socket(fluxbp_client_t *client);

#endif
