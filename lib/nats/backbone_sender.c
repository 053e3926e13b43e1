/* SPDX-License-Identifier: MIT */
/*
 * backbone_sender: the thread that gives NATS what is published here. It is a thread of its own since NATS's client
 * writes to its socket in whoever publishes, and waits there when the server is slow.
 *
 * What is sent stays in the outbox until it is confirmed: by the acknowledgement of the stream, or without one by our
 * own message coming back. After a lost connection what a stream has not acknowledged is sent again, in order, under
 * the same Nats-Msg-Id, so that the stream takes it once; without a stream nobody could tell what had arrived, so it
 * isn't sent again but counted. To a stream the first message of a connection goes alone until it is confirmed: a
 * server that has just started may refuse some while its stream isn't ready, and those behind must not pass them.
 *
 * An acknowledgement doesn't say which stream of that name it is of. One that was deleted and made anew begins with low
 * numbers, so one that is no higher than what was known when its message was sent isn't passed on: its answer stays
 * due, and the follower looks at the stream. (In the seconds until it does so by itself another stream could only be
 * taken for this one after more messages than that one ever had.)
 */
#include "backbone_parts.h"

#include "server/log.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200
#define MS_NS ((uint64_t) 1000 * 1000)

/* When nothing was confirmed for so long, it won't be. */
#define CONFIRM_NS (5000 * MS_NS)
#define RESEND_NS (250 * MS_NS)

#define NUMBER_BYTES 24
#define BATCH_MESSAGES 32
#define ID_HEADER "Nats-Msg-Id"

/* What a stream's answers mean, by NATS's err_code. */
#define ERROR_TOO_LONG 10054
#define ERROR_NOT_STORED 10077
#define ERROR_IN_PROCESS 10158

#define REASON_BYTES 160

static const char not_back[] = "NATS has not sent it back: it may not have arrived";

uint64_t backbone_number_of(const struct backbone *backbone, const char *reply) {
  size_t length = strlen(backbone->inbox);
  if (reply == NULL || strncmp(reply, backbone->inbox, length) != 0 || reply[length] != '.') return 0;
  return strtoull(reply + length + 1, NULL, 10);
}

/* Under the lock. */
static void note_answer(struct backbone *backbone) {
  if (!backbone->is_proven) uv_cond_broadcast(&backbone->changed); /* else nobody waits for it */
  backbone->is_proven = true;
  backbone->confirmed_ns = uv_hrtime();
}

static void count_unconfirmed(struct backbone *backbone, uint64_t count) {
  atomic_fetch_add(&backbone->unconfirmed, count);
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_unconfirmed",
         log_phrase("reason", "they were sent and have not come back: they may not have arrived"),
         log_number("messages", count));
}

/* Without a stream one connection keeps its order: those before have come back, too, or never will. The number may be
 * anything: whoever is on NATS sees where our answers go, and may send there. Under the lock. */
static void forget_earlier(struct backbone *backbone, uint64_t number) {
  struct outbox *outbox = &backbone->outbox;
  if (number >= outbox->next || number <= outbox->first) return;
  count_unconfirmed(backbone, number - outbox->first);
  for (uint64_t earlier = outbox->first; earlier < number; earlier++)
    outbox_refuse(outbox, earlier, UV_ECONNABORTED, not_back);
}

void backbone_note_id(struct backbone *backbone, uint64_t id) {
  uint_fast64_t newest = atomic_load(&backbone->newest_id);
  while (newest < id && !atomic_compare_exchange_weak(&backbone->newest_id, &newest, id)) continue;
}

void backbone_confirm(struct backbone *backbone, uint64_t number, uint64_t id) {
  uv_mutex_lock(&backbone->lock);
  if (!backbone_has_stream(backbone)) forget_earlier(backbone, number);
  outbox_confirm(&backbone->outbox, number, id);
  note_answer(backbone);
  uv_mutex_unlock(&backbone->lock);
}

void backbone_refuse(struct backbone *backbone, uint64_t number, int err, const char *problem) {
  uv_mutex_lock(&backbone->lock);
  outbox_refuse(&backbone->outbox, number, err, problem);
  note_answer(backbone);
  uv_mutex_unlock(&backbone->lock);
}

static void send_again(struct backbone *backbone) {
  uv_mutex_lock(&backbone->lock);
  backbone->resend_ns = uv_hrtime() + RESEND_NS;
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
}

/* @return whether it is of our stream; if not, it is about to be found whether another one is there */
static bool is_of_our_stream(struct backbone *backbone, uint64_t number, uint64_t sequence) {
  uv_mutex_lock(&backbone->lock);
  bool is_believed = outbox_believes(&backbone->outbox, number, sequence);
  if (!is_believed) backbone->is_stale = true;
  uv_mutex_unlock(&backbone->lock);
  return is_believed;
}

/* What an answer says isn't taken for the stream's newest id: anybody on NATS may send one. */
static void take_sequence(struct backbone *backbone, uint64_t number, uint64_t sequence) {
  if (is_of_our_stream(backbone, number, sequence)) {
    backbone_confirm(backbone, number, sequence);
    return;
  }
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_ack_withheld",
         log_phrase("reason", "its number was given before: the stream was replaced, or has lost messages"),
         log_number("sequence", sequence));
  send_again(backbone); /* after some seconds: until then it has been seen which */
}

static void refuse_sent(struct backbone *backbone, uint64_t number, int err, const char *reason, const char *advice) {
  char problem[REASON_BYTES];
  atomic_fetch_add(&backbone->failed, 1);
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_publish_failed", log_phrase("reason", reason));
  snprintf(problem, sizeof problem, "NATS refuses it: %s%s", reason, advice);
  backbone_refuse(backbone, number, err, problem);
}

/* Whether it is about to be there: a server that has just started, or the same message on its way to the other servers.
 * Its limits aren't: "maximum messages exceeded" and the like. */
static bool may_change(json_int_t code, json_int_t error, const char *reason) {
  static const char limit[] = "maximum ";
  if (error == ERROR_IN_PROCESS) return true;
  return code == 503 && !(error == ERROR_NOT_STORED && strncmp(reason, limit, sizeof limit - 1) == 0);
}

/* The same message on its way to the other servers has 0, before NATS knows better. */
static void take_ack(struct backbone *backbone, uint64_t number, const json_t *ack) {
  const json_t *error = json_object_get(ack, "error");
  const char *reason = json_string_value(json_object_get(error, "description"));
  json_int_t code = json_integer_value(json_object_get(error, "code"));
  json_int_t error_code = json_integer_value(json_object_get(error, "err_code"));
  json_int_t sequence = json_integer_value(json_object_get(ack, "seq"));
  if (reason == NULL) reason = "the stream's answer isn't understood";
  if (error == NULL && sequence > 0)
    take_sequence(backbone, number, (uint64_t) sequence);
  else if ((error == NULL && json_is_integer(json_object_get(ack, "seq"))) || may_change(code, error_code, reason))
    send_again(backbone);
  else
    refuse_sent(backbone, number, error_code == ERROR_TOO_LONG ? UV_E2BIG : UV_ENOSPC, reason,
                "; see the limits of the stream");
}

/* On a thread of NATS's. */
void backbone_on_ack(natsConnection *nats, natsSubscription *subscription, natsMsg *msg, void *arg) {
  struct backbone *backbone = arg;
  uint64_t number = backbone_number_of(backbone, natsMsg_GetSubject(msg));
  (void) nats;
  if (natsMsg_IsNoResponders(msg)) {
    send_again(backbone);
  } else {
    json_t *ack = json_loadb(natsMsg_GetData(msg), (size_t) natsMsg_GetDataLength(msg), 0, NULL);
    take_ack(backbone, number, ack);
    json_decref(ack);
  }
  natsMsg_Destroy(msg);
  backbone_tell_when_due(backbone, subscription);
}

/* What nobody can tell the fate of. Under the lock. */
static void forget_sent(struct backbone *backbone, const char *problem) {
  uint64_t count = outbox_forget_sent(&backbone->outbox, problem);
  if (count > 0) count_unconfirmed(backbone, count);
  backbone_tell(backbone);
}

/* On a new connection, or when it is time to ask a stream again; `problem` is that of who can't be asked. Under the
 * lock. */
static void begin_anew(struct backbone *backbone, const char *problem) {
  backbone->is_proven = !backbone_has_stream(backbone);
  backbone->resend_ns = 0;
  backbone->confirmed_ns = uv_hrtime();
  if (backbone_has_stream(backbone))
    outbox_rewind(&backbone->outbox);
  else
    forget_sent(backbone, problem);
}

/* Under the lock. */
static void look_for_lost(struct backbone *backbone) {
  uint64_t now_ns = uv_hrtime();
  bool is_due = backbone->resend_ns != 0 && now_ns >= backbone->resend_ns;
  bool is_late =
      backbone->is_up && outbox_in_flight(&backbone->outbox) > 0 && now_ns - backbone->confirmed_ns >= CONFIRM_NS;
  if (is_due || is_late) begin_anew(backbone, not_back);
}

/* Under the lock. @return NULL: there is nothing to do now */
static const struct outbox_entry *find_work(struct backbone *backbone, uint64_t *number) {
  struct outbox *outbox = &backbone->outbox;
  if (!backbone->is_up || backbone->resend_ns != 0) return NULL;
  if (!backbone->is_proven && outbox_in_flight(outbox) > 0) return NULL;
  const struct outbox_entry *entry = outbox_next(outbox, number);
  if (entry != NULL && outbox_in_flight(outbox) == 0) backbone->confirmed_ns = uv_hrtime();
  return entry;
}

static natsStatus make_message(const struct backbone *backbone, const struct outbox_entry *entry, uint64_t number,
                               natsMsg **msg) {
  char subject[SUBJECT_BYTES], reply[BACKBONE_INBOX_BYTES + NUMBER_BYTES], id[sizeof reply];
  (void) subject_of_topic(backbone->options.subject, entry->topic, subject);
  snprintf(reply, sizeof reply, "%s.%" PRIu64, backbone->inbox, number);
  int length = fluxbp_msg_is_removal(entry->msg) ? 0 : (int) fluxbp_msg_length(entry->msg);
  natsStatus status = natsMsg_Create(msg, subject, reply, fluxbp_msg_data(entry->msg), length);
  if (status != NATS_OK) return status;
  if (entry->key != NULL) {
    char key[KEY_HEADER_BYTES];
    key_encode(entry->key, key);
    status = natsMsgHeader_Set(*msg, BACKBONE_KEY_HEADER, key);
  }
  if (status == NATS_OK && backbone_has_stream(backbone)) {
    snprintf(id, sizeof id, "%s", reply + strlen("_INBOX."));
    status = natsMsgHeader_Set(*msg, ID_HEADER, id);
  }
  return status;
}

/* What goes to NATS together: the lock is taken once for all of it. */
struct batch {
  natsMsg *msgs[BATCH_MESSAGES];
  uint64_t numbers[BATCH_MESSAGES];
  size_t count;
};

/* Under the lock. */
static void gather(struct backbone *backbone, struct batch *batch) {
  const struct outbox_entry *entry;
  uint64_t number;
  batch->count = 0;
  while (batch->count < BATCH_MESSAGES && (entry = find_work(backbone, &number)) != NULL) {
    natsMsg *msg = NULL;
    if (make_message(backbone, entry, number, &msg) != NATS_OK) { /* out of memory: try again later */
      natsMsg_Destroy(msg);
      return;
    }
    batch->msgs[batch->count] = msg;
    batch->numbers[batch->count++] = number;
    outbox_sent(&backbone->outbox, atomic_load(&backbone->newest_id));
  }
}

static natsStatus give_one(struct backbone *backbone, natsMsg *msg, uint64_t number) {
  natsStatus status = natsConnection_PublishMsg(backbone->nats, msg);
  if (status == NATS_OK) atomic_fetch_add(&backbone->sent, 1);
  if (status != NATS_MAX_PAYLOAD) return status;
  refuse_sent(backbone, number, UV_E2BIG, "it is over the max_payload of NATS", "");
  return NATS_OK;
}

/* @return how many are done with; no more when the connection isn't the one that they were meant for */
static size_t give_to_nats(struct backbone *backbone, const struct batch *batch, uint64_t connection) {
  size_t done = 0;
  uv_mutex_lock(&backbone->sending);
  uv_mutex_lock(&backbone->lock);
  bool is_the_same = backbone->is_up && backbone->connection == connection;
  uv_mutex_unlock(&backbone->lock);
  while (is_the_same && done < batch->count && give_one(backbone, batch->msgs[done], batch->numbers[done]) == NATS_OK)
    done++;
  uv_mutex_unlock(&backbone->sending);
  return done;
}

/* Sends some. Under the lock, which it lets go of meanwhile. @return false: there is nothing that can be sent now */
static bool send_some(struct backbone *backbone) {
  struct batch batch;
  uint64_t connection = backbone->connection;
  gather(backbone, &batch);
  if (batch.count == 0) return false;
  uv_mutex_unlock(&backbone->lock);
  size_t done = give_to_nats(backbone, &batch, connection);
  /* together, as NATS's client frees them on a thread that it wakes */
  for (size_t i = 0; i < batch.count; i++) natsMsg_Destroy(batch.msgs[i]);
  uv_mutex_lock(&backbone->lock);
  if (backbone->outbox.answered.first != NULL) backbone_tell(backbone); /* was refused */
  if (done == batch.count) return true;
  outbox_unsend(&backbone->outbox, batch.numbers[done]); /* nothing of the rest is on its way */
  return false;
}

void backbone_sender_run(void *arg) {
  struct backbone *backbone = arg;
  uint64_t connection = 0;
  uv_mutex_lock(&backbone->lock);
  while (!backbone->is_stopping) {
    if (backbone->is_up && connection != backbone->connection) {
      connection = backbone->connection;
      begin_anew(backbone, "the backbone's connection was lost: it may not have arrived");
    }
    look_for_lost(backbone);
    if (backbone->has_untold) backbone_tell(backbone);
    if (send_some(backbone)) continue;
    if (uv_cond_timedwait(&backbone->changed, &backbone->lock, LOOK_MS * MS_NS) != 0) continue;
    uv_mutex_unlock(&backbone->lock);
    backbone_let_more_come();
    uv_mutex_lock(&backbone->lock);
  }
  uv_mutex_unlock(&backbone->lock);
}
