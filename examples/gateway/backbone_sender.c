/* SPDX-License-Identifier: MIT */
/*
 * backbone_sender: the thread that gives NATS what is published here. It is a thread of its own since NATS's client writes
 * to its socket in whoever publishes, and waits there when the server is slow.
 *
 * What is sent stays in the outbox until it is confirmed: by the acknowledgement of the stream, or without one by our own
 * message coming back. After a lost connection what a stream has not acknowledged is sent again, in order, under the same
 * Nats-Msg-Id, so that the stream takes it once; without a stream nobody could tell what had arrived, so it isn't sent
 * again but counted. To a stream the first message of a connection goes alone until it is confirmed: a server that has just
 * started may refuse some while its stream isn't ready, and those behind must not pass them.
 */
#include "backbone_parts.h"

#include "common/log.h"

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
#define ID_HEADER "Nats-Msg-Id"

uint64_t backbone_number_of(const struct backbone *backbone, const char *reply) {
  size_t length = strlen(backbone->inbox);
  if (reply == NULL || strncmp(reply, backbone->inbox, length) != 0 || reply[length] != '.') return 0;
  return strtoull(reply + length + 1, NULL, 10);
}

void backbone_confirm(struct backbone *backbone, uint64_t number) {
  uv_mutex_lock(&backbone->lock);
  if (!backbone_has_stream(
          backbone)) /* one connection keeps its order: those before have come back, too, or never will */
    for (uint64_t earlier = backbone->outbox.first; earlier < number; earlier++)
      outbox_confirm(&backbone->outbox, earlier);
  outbox_confirm(&backbone->outbox, number);
  backbone->is_proven = true;
  backbone->confirmed_ns = uv_hrtime();
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
}

static void send_again(struct backbone *backbone) {
  uv_mutex_lock(&backbone->lock);
  backbone->resend_ns = uv_hrtime() + RESEND_NS;
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
}

static void refuse(struct backbone *backbone, uint64_t number, const char *reason) {
  atomic_fetch_add(&backbone->failed, 1);
  log_event(LOG_LEVEL_ERROR, "backbone_publish_failed", log_phrase("reason", reason));
  backbone_confirm(backbone, number);
}

/* On a thread of NATS's. */
void backbone_on_ack(natsConnection *nats, natsSubscription *subscription, natsMsg *msg, void *arg) {
  struct backbone *backbone = arg;
  uint64_t number = backbone_number_of(backbone, natsMsg_GetSubject(msg));
  (void) nats;
  (void) subscription;
  if (natsMsg_IsNoResponders(msg)) {
    send_again(backbone);
  } else {
    json_t *answer = json_loadb(natsMsg_GetData(msg), (size_t) natsMsg_GetDataLength(msg), 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    const char *reason = json_string_value(json_object_get(error, "description"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    if (error == NULL && json_is_object(answer))
      backbone_confirm(backbone, number);
    else if (code == 503) /* it is about to be there */
      send_again(backbone);
    else
      refuse(backbone, number, reason != NULL ? reason : "the stream's answer isn't understood");
    json_decref(answer);
  }
  natsMsg_Destroy(msg);
}

/* What nobody can tell the fate of. Under the lock. */
static void forget_sent(struct backbone *backbone) {
  uint64_t count = outbox_forget_sent(&backbone->outbox);
  atomic_fetch_add(&backbone->unconfirmed, count);
  if (count > 0)
    log_event(LOG_LEVEL_ERROR, "backbone_unconfirmed",
              log_phrase("reason", "they were sent and have not come back: they may not have arrived"),
              log_number("messages", count));
}

/* On a new connection, or when it is time to ask a stream again. Under the lock. */
static void begin_anew(struct backbone *backbone) {
  backbone->is_proven = !backbone_has_stream(backbone);
  backbone->resend_ns = 0;
  backbone->confirmed_ns = uv_hrtime();
  if (backbone_has_stream(backbone))
    outbox_rewind(&backbone->outbox);
  else
    forget_sent(backbone);
}

/* Under the lock. */
static void look_for_lost(struct backbone *backbone) {
  uint64_t now_ns = uv_hrtime();
  bool is_due = backbone->resend_ns != 0 && now_ns >= backbone->resend_ns;
  bool is_late =
      backbone->is_up && outbox_in_flight(&backbone->outbox) > 0 && now_ns - backbone->confirmed_ns >= CONFIRM_NS;
  if (is_due || is_late) begin_anew(backbone);
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
  const char *topic = fluxbp_bus_topic_name(backbone->server->bus, entry->topic);
  (void) subject_of_topic(backbone->server->options->subject, topic, subject);
  snprintf(reply, sizeof reply, "%s.%" PRIu64, backbone->inbox, number);
  natsStatus status =
      natsMsg_Create(msg, subject, reply, fluxbp_msg_data(entry->msg), (int) fluxbp_msg_len(entry->msg));
  if (status != NATS_OK) return status;
  if (entry->key != NULL) status = natsMsgHeader_Set(*msg, BACKBONE_KEY_HEADER, entry->key);
  if (status == NATS_OK && backbone_has_stream(backbone)) {
    snprintf(id, sizeof id, "%s", reply + strlen("_INBOX."));
    status = natsMsgHeader_Set(*msg, ID_HEADER, id);
  }
  return status;
}

/* @return NATS_CONNECTION_DISCONNECTED: the connection isn't the one that it was meant for */
static natsStatus give_to_nats(struct backbone *backbone, natsMsg *msg, uint64_t connection) {
  natsStatus status = NATS_CONNECTION_DISCONNECTED;
  uv_mutex_lock(&backbone->sending);
  uv_mutex_lock(&backbone->lock);
  bool is_the_same = backbone->is_up && backbone->connection == connection;
  uv_mutex_unlock(&backbone->lock);
  if (is_the_same) status = natsConnection_PublishMsg(backbone->nats, msg);
  uv_mutex_unlock(&backbone->sending);
  return status;
}

/* Sends one. Under the lock, which it lets go of meanwhile. @return false: it can't be sent now */
static bool send_one(struct backbone *backbone, const struct outbox_entry *entry, uint64_t number) {
  natsMsg *msg = NULL;
  uint64_t connection = backbone->connection;
  natsStatus status = make_message(backbone, entry, number, &msg);
  outbox_sent(&backbone->outbox);
  uv_mutex_unlock(&backbone->lock);
  if (status == NATS_OK) status = give_to_nats(backbone, msg, connection);
  natsMsg_Destroy(msg);
  if (status == NATS_MAX_PAYLOAD) refuse(backbone, number, "it is over the max_payload of NATS");
  uv_mutex_lock(&backbone->lock);
  if (status == NATS_OK) atomic_fetch_add(&backbone->sent, 1);
  if (status == NATS_OK || status == NATS_MAX_PAYLOAD) return true;
  /* nothing of it is on its way; a new connection begins with what isn't confirmed, anyway */
  if (connection == backbone->connection && backbone->outbox.next == number + 1) backbone->outbox.next = number;
  return false;
}

void backbone_sender_run(void *arg) {
  struct backbone *backbone = arg;
  uint64_t number, connection = 0;
  uv_mutex_lock(&backbone->lock);
  while (!backbone->is_stopping) {
    if (backbone->is_up && connection != backbone->connection) {
      connection = backbone->connection;
      begin_anew(backbone);
    }
    look_for_lost(backbone);
    const struct outbox_entry *entry = find_work(backbone, &number);
    if (entry == NULL || !send_one(backbone, entry, number))
      (void) uv_cond_timedwait(&backbone->changed, &backbone->lock, LOOK_MS * MS_NS);
  }
  uv_mutex_unlock(&backbone->lock);
}
