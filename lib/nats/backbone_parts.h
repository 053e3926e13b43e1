/* SPDX-License-Identifier: MIT */
/*
 * backbone_parts: what the files of the backbone share: the connection with its events (backbone.c), the thread that
 * sends (backbone_sender.c), the thread that follows (backbone_follower.c), the stream (backbone_stream.c), the thread
 * that fetches its past (backbone_past.c), and the way of what becomes of a message to who has published it
 * (backbone_confirmations.c).
 */
#ifndef FLUXBP_NATS_BACKBONE_PARTS_H
#define FLUXBP_NATS_BACKBONE_PARTS_H

#include "backbone_blocks.h"
#include "backbone_keys.h"
#include "backbone_outbox.h"
#include "backbone_subjects.h"
#include "nats_options.h"
#include "server/backbone.h"
#include "server/waiter.h"

#include <fluxbp/nats.h>
#include <nats/nats.h>

#include <stdatomic.h>
#include <uv.h>

/* The header that carries the key of a state topic's message. A message without a byte takes the value of the key
 * back. */
#define BACKBONE_KEY_HEADER "Fluxbp-Key"

#define BACKBONE_INBOX_BYTES 96

/* How long any call of NATS may take. */
#define BACKBONE_CALL_MS 2000

struct backbone_stream {
  jsCtx *js;
  int64_t created_ns; /* with the name its identity */
  uint64_t next;      /* the sequence number to come */
  uint64_t past_end;  /* the last one when the server started */
  natsSubscription *subscription;
  uint64_t consumed;   /* messages of this consumer: it counts them, too */
  uint64_t connection; /* that the subscription is on */
};

/* What clients want that the server's history doesn't have any more, and the thread that fetches it. */
struct backbone_past {
  uv_mutex_t lock;       /* over the blocks and first_id */
  uv_cond_t has_changed; /* something is wanted, or there is a place for it */
  struct blocks blocks;
  uint64_t first_id; /* the oldest that the stream has, as of the last look */

  /* The thread's own: its consumer. */
  natsSubscription *subscription; /* NULL: none */
  uint64_t next;                  /* the sequence number that it comes to */
  uint64_t consumed;              /* messages that it has given: it counts them, too */
  uint64_t connection;            /* that it is on */
  uint64_t used_ns;               /* when something was last fetched */
  int batch;                      /* messages to be asked for at a time, by their average length */
  bool is_short;                  /* there was no memory for the last one: one message at a time, then */
};

struct backbone {
  fluxbp_backbone_t base; /* what the server knows of it */
  fluxbp_nats_options_t options;
  const struct backbone_host *host; /* NULL: not connected yet */

  natsOptions *nats_options;
  natsConnection *nats;
  natsSubscription *acks;           /* of a stream */
  char inbox[BACKBONE_INBOX_BYTES]; /* where answers to what we publish come */
  struct backbone_stream stream;    /* the follower's, once it runs; but js and created_ns, which don't change */
  struct backbone_past past;

  uv_mutex_t sending; /* held while something is given to NATS; taken before the other */
  uv_mutex_t lock;    /* over all up to the threads */
  uv_cond_t changed;
  struct outbox outbox;
  struct confirmation_box *boxes; /* one for each hub */
  unsigned untold;                /* confirmations since publishers were last told */
  bool has_untold;                /* and they couldn't be */
  bool is_up;
  bool is_proven; /* something was confirmed on this connection, so more than one may be under way */
  bool is_stopping;
  bool is_over;          /* and the hubs are about to go: nothing is posted to them */
  bool is_stale;         /* the stream's consumer is to be made anew */
  bool has_past;         /* what the stream had at the start is on the bus */
  const char *failure;   /* or NULL */
  uint64_t connection;   /* rises with each */
  uint64_t confirmed_ns; /* when something was last confirmed, or sent to nobody */
  uint64_t resend_ns;    /* not before; 0: nothing is to be sent again */
  uint64_t unmapped_logged_ns;
  int64_t max_payload;

  uv_thread_t sender, follower, fetcher;
  bool has_sender, has_follower, has_fetcher;

  atomic_uint_fast64_t newest_id; /* that the stream is known to have given */
  atomic_uint_fast64_t sent, received, rejected, overflow, slow_consumer, disconnects, failed, unconfirmed, gaps,
      fetched;
};

static inline bool backbone_has_stream(const struct backbone *backbone) {
  return backbone->options.stream != NULL;
}

static inline struct backbone *backbone_of(fluxbp_backbone_t *base) {
  return (struct backbone *) (void *) base;
}

/** The members of the table that are not in backbone.c. */
enum backbone_past_outcome backbone_past_read(fluxbp_backbone_t *base, struct block_want *want, uint64_t id,
                                              struct block **block, uint64_t *first_id);
void backbone_past_release(fluxbp_backbone_t *base, struct block *block);
void backbone_past_forget(fluxbp_backbone_t *base, struct block_want *want);

/** Why it doesn't work now; NULL: it does. */
const char *backbone_problem(fluxbp_backbone_t *base);

/** It can't go on; logged before. Any thread. */
void backbone_fail(struct backbone *backbone, const char *failure);

/** Wait up to that long for something to change. @return false: it is stopping. Takes the lock itself. */
bool backbone_wait(struct backbone *backbone, uint32_t ms);

/** Messages often come in bursts: wait a moment for the rest of one whose first has come. */
void backbone_let_more_come(void);

/** The threads: `arg` is the backbone. */
void backbone_sender_run(void *arg);
void backbone_follower_run(void *arg);
void backbone_past_run(void *arg);

/** The stream has given that id. */
void backbone_note_id(struct backbone *backbone, uint64_t id);

/** NATS has what we have published under that number; its id is that one. */
void backbone_confirm(struct backbone *backbone, uint64_t number, uint64_t id);

/** NATS has refused it for good; or with UV_ECONNABORTED nobody knows. `problem` is for the publisher. */
void backbone_refuse(struct backbone *backbone, uint64_t number, int err, const char *problem);

/** After these: let publishers know, when some have come together or the subscription has no more to say. */
void backbone_tell_when_due(struct backbone *backbone, natsSubscription *subscription);

/* All under the lock. */
int backbone_confirmations_init(struct backbone *backbone);
bool backbone_may_wait(const struct backbone *backbone, const struct waiter *waiter);
void backbone_count_waiter(struct backbone *backbone, const struct waiter *waiter);
void backbone_tell(struct backbone *backbone);
bool backbone_has_told_all(const struct backbone *backbone);

/** The hubs have ended: give back who still waits. */
void backbone_confirmations_end(struct backbone *backbone);

/** Acknowledgements of a stream. */
void backbone_on_ack(natsConnection *nats, natsSubscription *subscription, natsMsg *msg, void *arg);

/** The number that a message of ours has, by its reply subject; 0: it isn't ours. */
uint64_t backbone_number_of(const struct backbone *backbone, const char *reply);

enum stream_outcome {
  STREAM_OK,
  STREAM_AWAY,    /* ask again later */
  STREAM_MISSING, /* there is none of that name, or JetStream is off */
  STREAM_FOREIGN, /* it doesn't take our subjects */
  STREAM_REPLACED,
  STREAM_LOST /* what should come next is gone */
};

/** Look at the stream; the first time, begin with the last `history` messages of it. */
enum stream_outcome backbone_stream_look(struct backbone *backbone);

/** The next message, or NULL: there is none now. Waits a while. The caller destroys it. */
natsMsg *backbone_stream_next(struct backbone *backbone, uint64_t *sequence);

void backbone_stream_close(struct backbone *backbone);

/** What the stream has to say of itself; NULL: it doesn't answer, or isn't the one that the server began with. */
jsStreamInfo *backbone_stream_info(struct backbone *backbone);

/** What every consumer of ours has: it is gone by itself when nobody is interested. */
void backbone_stream_consumer(const struct backbone *backbone, uint64_t start, jsSubOptions *options);

/** Options of any call of JetStream. */
jsOptions backbone_call_options(void);

#endif
