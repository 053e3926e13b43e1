/* SPDX-License-Identifier: MIT */
/*
 * backbone_follower: the thread that takes what comes from NATS and publishes it on the bus, in NATS's order.
 *
 * When the bus is full it waits and tries again. With a stream it waits as long as it takes: the stream keeps what
 * comes meanwhile. Without one it gives a message up after a second, since behind it NATS's own queue is filling, and
 * what doesn't fit there is lost; both are counted.
 */
#include "backbone_parts.h"

#include "server/log.h"

#include <stdio.h>
#include <string.h>

#define POLL_MS 100
#define RETRY_MS 1
#define PATIENCE_NS ((uint64_t) 1000 * 1000 * 1000)
#define LOG_INTERVAL_NS ((uint64_t) 10 * 1000 * 1000 * 1000)

/* What NATS's client may queue for us: about as much as the bus takes. */
#define PENDING_MESSAGES 65536
#define PENDING_PART_OF_BUDGET 8

#define PROBLEM_BYTES 200

#define SPENT_MESSAGES 32

/* Messages that have been delivered: NATS's client frees them on a thread of its own, which it wakes for each, so they
 * are kept until all that came together are on the bus. */
struct spent {
  natsMsg *msgs[SPENT_MESSAGES];
  size_t count;
  bool is_last; /* nothing was at hand behind the last one */
};

static void reject(struct backbone *backbone, const char *subject, const char *reason) {
  uint64_t now_ns = uv_hrtime();
  uint64_t rejected = atomic_fetch_add(&backbone->rejected, 1) + 1;
  if (backbone->unmapped_logged_ns != 0 && now_ns - backbone->unmapped_logged_ns < LOG_INTERVAL_NS) return;
  backbone->unmapped_logged_ns = now_ns;
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_rejected", log_word("subject", subject),
         log_phrase("reason", reason), log_number("rejected", rejected));
}

/* Who has published what is on the bus already needn't wait for what isn't. */
static void tell_untold(struct backbone *backbone) {
  uv_mutex_lock(&backbone->lock);
  if (backbone->outbox.answered.first != NULL) backbone_tell(backbone);
  uv_mutex_unlock(&backbone->lock);
}

/* @return false: it is stopping, or it was waited long enough */
static bool may_try_again(struct backbone *backbone, uint64_t since_ns) {
  if (!backbone_has_stream(backbone) && uv_hrtime() - since_ns >= PATIENCE_NS) return false;
  tell_untold(backbone);
  return backbone_wait(backbone, RETRY_MS);
}

/* The key of a state topic's message, or NULL: it has none, or one that can't be. */
static const char *key_of(natsMsg *msg, char text[FLUXBP_SERVER_KEY_BYTES + 1]) {
  const char *header = NULL;
  if (natsMsgHeader_Get(msg, BACKBONE_KEY_HEADER, &header) != NATS_OK) return NULL;
  return key_decode(header, text) ? text : NULL;
}

/* `*id` is the stream's, or gets the bus's. @return 0, or an error with its problem */
static int deliver_message(struct backbone *backbone, natsMsg *msg, uint64_t *id, const char **problem) {
  const struct backbone_host *host = backbone->host;
  const char *subject = natsMsg_GetSubject(msg);
  const char *topic = topic_of_subject(backbone->options.subject, subject);
  const char *key = NULL;
  char text[FLUXBP_SERVER_KEY_BYTES + 1];
  if (topic == NULL) {
    *problem = "what follows the prefix is no name of a topic";
    reject(backbone, subject, *problem);
    return UV_EINVAL;
  }
  if (host->is_state(host->server, topic)) key = key_of(msg, text);
  uint64_t since_ns = uv_hrtime();
  int err;
  do {
    err =
        host->deliver(host->server, topic, key, natsMsg_GetData(msg), (size_t) natsMsg_GetDataLength(msg), id, problem);
  } while (err == UV_EAGAIN && may_try_again(backbone, since_ns));
  if (err == 0) {
    atomic_fetch_add(&backbone->received, 1);
  } else if (err == UV_EAGAIN) {
    atomic_fetch_add(&backbone->overflow, 1);
    log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_overflow", log_word("topic", topic),
           log_phrase("reason", *problem));
  } else if (err != UV_ECANCELED) {
    reject(backbone, subject, *problem);
  }
  return err;
}

static void free_spent(struct spent *spent) {
  while (spent->count > 0) natsMsg_Destroy(spent->msgs[--spent->count]);
}

static void keep_spent(struct spent *spent, natsMsg *msg, natsSubscription *subscription) {
  int at_hand = 0;
  if (subscription != NULL) (void) natsSubscription_GetPending(subscription, &at_hand, NULL);
  spent->msgs[spent->count++] = msg;
  spent->is_last = at_hand == 0;
  if (spent->is_last || spent->count == SPENT_MESSAGES) free_spent(spent);
}

/* Without a stream. */

/* Our own message has come back. */
static void answer(struct backbone *backbone, uint64_t number, uint64_t id, int err, const char *problem) {
  char text[PROBLEM_BYTES];
  if (err == 0) {
    backbone_confirm(backbone, number, id);
    return;
  }
  snprintf(text, sizeof text, "NATS has it, but this gateway's clients don't: %s", problem);
  backbone_refuse(backbone, number, UV_ENOBUFS, text);
}

static natsSubscription *subscribe(struct backbone *backbone) {
  natsSubscription *subscription = NULL;
  natsStatus status = natsConnection_SubscribeSync(&subscription, backbone->nats, backbone->options.subject);
  if (status == NATS_OK)
    status = natsSubscription_SetPendingLimits(
        subscription, PENDING_MESSAGES, (int) (backbone->host->options->budget / PENDING_PART_OF_BUDGET & INT32_MAX));
  if (status == NATS_OK) return subscription;
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_not_subscribed",
         log_phrase("reason", natsStatus_GetText(status)));
  backbone_fail(backbone, "the backbone can't be subscribed to");
  return NULL;
}

static void follow_subject(struct backbone *backbone) {
  struct spent spent = {.is_last = true};
  natsSubscription *subscription = subscribe(backbone);
  while (subscription != NULL && backbone_wait(backbone, 0)) {
    natsMsg *msg = NULL;
    natsStatus status = natsSubscription_NextMsg(&msg, subscription, POLL_MS);
    if (status == NATS_CONNECTION_CLOSED || status == NATS_INVALID_SUBSCRIPTION) break;
    if (status != NATS_OK) continue; /* slow consumers are told of by an event */
    if (spent.is_last) backbone_let_more_come();
    uint64_t number = backbone_number_of(backbone, natsMsg_GetReply(msg));
    uint64_t id = 0;
    const char *problem = NULL;
    int err = deliver_message(backbone, msg, &id, &problem);
    if (number != 0) answer(backbone, number, id, err, problem);
    keep_spent(&spent, msg, subscription);
    backbone_tell_when_due(backbone, subscription);
  }
  free_spent(&spent);
  natsSubscription_Destroy(subscription);
}

/* With one. */

static void see_whether_past_is_there(struct backbone *backbone, bool is_idle) {
  const struct backbone_stream *stream = &backbone->stream;
  if (backbone->has_past || (stream->next <= stream->past_end && !is_idle)) return;
  uv_mutex_lock(&backbone->lock);
  backbone->has_past = true;
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
}

static void follow_stream(struct backbone *backbone) {
  struct spent spent = {.is_last = true};
  while (backbone_wait(backbone, 0)) {
    uint64_t sequence = 0;
    natsMsg *msg = backbone_stream_next(backbone, &sequence);
    if (msg != NULL) {
      if (spent.is_last) backbone_let_more_come();
      const char *problem;
      (void) deliver_message(backbone, msg, &sequence, &problem);
      keep_spent(&spent, msg, backbone->stream.subscription);
    }
    /* the last ones may be of other subjects, and never come */
    see_whether_past_is_there(backbone, msg == NULL && backbone->stream.subscription != NULL);
  }
  free_spent(&spent);
  backbone_stream_close(backbone);
}

void backbone_follower_run(void *arg) {
  struct backbone *backbone = arg;
  if (backbone_has_stream(backbone))
    follow_stream(backbone);
  else
    follow_subject(backbone);
}
