/* SPDX-License-Identifier: MIT */
/*
 * backbone: the connection to NATS, what happens to it, and the beginning and end of the threads that use it.
 *
 * The client library connects again by itself, for ever, with a growing pause; all that is told of it here comes on
 * threads of its own. It never keeps what we publish while it is away: the outbox does.
 */
#include "backbone_parts.h"

#include "server/log.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS_NS ((uint64_t) 1000 * 1000)
#define OUTBOX_MESSAGES 4096

/* Between attempts to connect: it doubles, with as much again at random, so that gateways don't come all at once. */
#define RECONNECT_FIRST_MS 100
#define RECONNECT_MOST_MS 4000

/* A connection that is silently dead is found so: by the second ping that isn't answered. */
#define PING_MS 5000
#define PINGS_OUT 2

/* A server that doesn't read for so long is as good as away. */
#define WRITE_MS 5000

/* Else the sender would be woken for each message of a burst, and the follower would pass the first alone, so that each
 * client were written to twice. It is little beside the millisecond for which NATS's client lets what is published
 * wait. */
#define MORE_COME_NS (100 * 1000)

#define LOOK_MS 100
#define SAY_WAITING_LOOKS 50

bool backbone_wait(struct backbone *backbone, uint32_t ms) {
  uv_mutex_lock(&backbone->lock);
  if (!backbone->is_stopping && ms > 0) (void) uv_cond_timedwait(&backbone->changed, &backbone->lock, ms * MS_NS);
  bool goes_on = !backbone->is_stopping;
  uv_mutex_unlock(&backbone->lock);
  return goes_on;
}

void backbone_let_more_come(void) {
  struct timespec moment = {.tv_nsec = MORE_COME_NS};
  (void) nanosleep(&moment, NULL);
}

void backbone_fail(struct backbone *backbone, const char *failure) {
  uv_mutex_lock(&backbone->lock);
  bool is_first = backbone->failure == NULL && !backbone->is_stopping;
  if (is_first) backbone->failure = failure;
  backbone->is_stopping = true;
  uv_cond_broadcast(&backbone->changed);
  if (is_first) backbone->host->fail(backbone->host->server); /* under the lock: not after the stop */
  uv_mutex_unlock(&backbone->lock);
}

/* Events, on threads of NATS's. */

static void set_up(struct backbone *backbone, bool is_up) {
  uv_mutex_lock(&backbone->lock);
  backbone->is_up = is_up;
  if (is_up) {
    backbone->connection++;
    backbone->max_payload = natsConnection_GetMaxPayload(backbone->nats);
  }
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
}

static void on_connected(natsConnection *nats, void *arg) {
  struct backbone *backbone = arg;
  (void) nats;
  set_up(backbone, true);
  log_to(backbone->host->options, FLUXBP_LOG_INFO, "backbone_connected",
         log_number("connection", backbone->connection));
}

static void on_disconnected(natsConnection *nats, void *arg) {
  struct backbone *backbone = arg;
  const char *reason = NULL;
  (void) natsConnection_GetLastError(nats, &reason);
  if (!backbone_wait(backbone, 0)) return; /* as we want it */
  set_up(backbone, false);
  atomic_fetch_add(&backbone->disconnects, 1);
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_disconnected",
         log_phrase("reason", reason != NULL && *reason != '\0' ? reason : "the connection was closed"));
}

/* It gave up: that happens when NATS refuses us, twice. */
static void on_closed(natsConnection *nats, void *arg) {
  struct backbone *backbone = arg;
  const char *reason = NULL;
  if (!backbone_wait(backbone, 0)) return;
  (void) natsConnection_GetLastError(nats, &reason);
  set_up(backbone, false);
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_refused",
         log_phrase("reason", reason != NULL && *reason != '\0' ? reason : "NATS refuses the connection"));
  backbone_fail(backbone, "NATS refuses the connection");
}

static void on_error(natsConnection *nats, natsSubscription *subscription, natsStatus status, void *arg) {
  struct backbone *backbone = arg;
  int64_t dropped = 0;
  (void) nats;
  if (status == NATS_SLOW_CONSUMER) {
    (void) natsSubscription_GetDropped(subscription, &dropped);
    atomic_store(&backbone->slow_consumer, (uint64_t) dropped);
    log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_slow_consumer",
           log_number("dropped", (uint64_t) dropped));
  } else if (backbone_problem(&backbone->base) == NULL) { /* while it is away everything fails, and that was told */
    log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_error",
           log_phrase("reason", natsStatus_GetText(status)));
  }
  uv_mutex_lock(&backbone->lock);
  backbone->is_stale = true;
  uv_mutex_unlock(&backbone->lock);
}

/* Called before each attempt. From here on the sender mustn't go on as if nothing had happened: what it has under way
 * would be the first on the new connection, and pass what is to be sent again. */
static int64_t reconnect_delay(natsConnection *nats, int attempts, void *arg) {
  struct backbone *backbone = arg;
  int64_t delay_ms = RECONNECT_FIRST_MS;
  uint32_t random = 0;
  (void) nats;
  uv_mutex_lock(&backbone->sending);
  set_up(backbone, false);
  uv_mutex_unlock(&backbone->sending);
  while (attempts-- > 1 && delay_ms < RECONNECT_MOST_MS) delay_ms *= 2;
  (void) uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
  return delay_ms + (int64_t) random % delay_ms;
}

/* Connecting. */

static natsStatus set_options(struct backbone *backbone) {
  const fluxbp_nats_options_t *options = &backbone->options;
  natsOptions *nats_options = NULL;
  natsStatus status = natsOptions_Create(&backbone->nats_options);
  nats_options = backbone->nats_options;
  if (status == NATS_OK) status = natsOptions_SetURL(nats_options, options->url);
  if (status == NATS_OK) status = natsOptions_SetName(nats_options, options->name);
  if (status == NATS_OK && options->credentials != NULL)
    status = natsOptions_SetUserCredentialsFromFiles(nats_options, options->credentials, NULL);
  if (status == NATS_OK) status = natsOptions_SetMaxReconnect(nats_options, -1);
  if (status == NATS_OK) status = natsOptions_SetCustomReconnectDelay(nats_options, reconnect_delay, backbone);
  if (status == NATS_OK) status = natsOptions_SetReconnectBufSize(nats_options, 0);
  if (status == NATS_OK) status = natsOptions_SetPingInterval(nats_options, PING_MS);
  if (status == NATS_OK) status = natsOptions_SetMaxPingsOut(nats_options, PINGS_OUT);
  if (status == NATS_OK) status = natsOptions_SetWriteDeadline(nats_options, WRITE_MS);
  if (status == NATS_OK) status = natsOptions_SetTimeout(nats_options, BACKBONE_CALL_MS);
  if (status == NATS_OK) status = natsOptions_SetFailRequestsOnDisconnect(nats_options, true);
  if (status == NATS_OK) status = natsOptions_SetDisconnectedCB(nats_options, on_disconnected, backbone);
  if (status == NATS_OK) status = natsOptions_SetReconnectedCB(nats_options, on_connected, backbone);
  if (status == NATS_OK) status = natsOptions_SetClosedCB(nats_options, on_closed, backbone);
  if (status == NATS_OK) status = natsOptions_SetErrorHandler(nats_options, on_error, backbone);
  return status;
}

/* The first attempt tells what can't be mended by waiting. */
static natsStatus connect_first(struct backbone *backbone) {
  natsStatus status = natsConnection_Connect(&backbone->nats, backbone->nats_options);
  if (status == NATS_OK) {
    on_connected(backbone->nats, backbone);
    return status;
  }
  if (status != NATS_NO_SERVER && status != NATS_TIMEOUT && status != NATS_IO_ERROR) return status;
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_away", log_phrase("reason", natsStatus_GetText(status)));
  status = natsOptions_SetRetryOnFailedConnect(backbone->nats_options, true, on_connected, backbone);
  if (status == NATS_OK) status = natsConnection_Connect(&backbone->nats, backbone->nats_options);
  return status == NATS_NOT_YET_CONNECTED ? NATS_OK : status;
}

static natsStatus set_inbox(struct backbone *backbone) {
  natsInbox *inbox = NULL;
  natsStatus status = natsInbox_Create(&inbox);
  if (status == NATS_OK) snprintf(backbone->inbox, sizeof backbone->inbox, "%s", inbox);
  natsInbox_Destroy(inbox);
  return status;
}

static natsStatus use_stream(struct backbone *backbone) {
  char subject[BACKBONE_INBOX_BYTES + 2];
  snprintf(subject, sizeof subject, "%s.*", backbone->inbox);
  natsStatus status = natsConnection_JetStream(&backbone->stream.js, backbone->nats, NULL);
  if (status == NATS_OK)
    status = natsConnection_Subscribe(&backbone->acks, backbone->nats, subject, backbone_on_ack, backbone);
  return status;
}

static bool tell(const struct backbone *backbone, const char *what, const char *advice) {
  char reason[512];
  snprintf(reason, sizeof reason, "cannot use the backbone: %s: %s", what, advice);
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_unusable", log_phrase("reason", reason));
  return false;
}

static bool tell_status(const struct backbone *backbone, natsStatus status) {
  const char *advice = "look at the backbone's url";
  if (status == NATS_CONNECTION_AUTH_FAILED || status == NATS_NOT_PERMITTED)
    advice = "give the right user and password in the backbone's url, nats://USER:PASSWORD@HOST:PORT, or credentials";
  return tell(backbone, natsStatus_GetText(status), advice);
}

/* Ids are the stream's, so nothing can be done before it is known. @return whether it is */
static bool find_stream(struct backbone *backbone) {
  for (unsigned looks = 0; backbone_wait(backbone, looks > 0 ? LOOK_MS : 0); looks++) {
    if (looks % SAY_WAITING_LOOKS == 1)
      log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_waiting",
             log_phrase("reason", "the stream's identity isn't known: nobody is let in before"));
    uv_mutex_lock(&backbone->lock);
    bool is_up = backbone->is_up;
    uv_mutex_unlock(&backbone->lock);
    if (!is_up) continue;
    switch (backbone_stream_look(backbone)) {
    case STREAM_OK:
      return true;
    case STREAM_MISSING:
      return tell(backbone, "there is no stream of that name", "make it, or name another one as the backbone's stream");
    case STREAM_FOREIGN:
      return tell(backbone, "the stream doesn't take the backbone's subject", "add it to the stream");
    case STREAM_AWAY:
    case STREAM_REPLACED:
    case STREAM_LOST:
      continue;
    }
  }
  return tell(backbone, backbone->failure, "look at the backbone's url");
}

static int backbone_connect(fluxbp_backbone_t *base, const struct backbone_host *host) {
  struct backbone *backbone = backbone_of(base);
  backbone->host = host;
  int err = outbox_init(&backbone->outbox, OUTBOX_MESSAGES);
  if (err == 0) err = backbone_confirmations_init(backbone);
  if (err != 0) return err;
  natsStatus status = set_inbox(backbone);
  if (status == NATS_OK) status = set_options(backbone);
  if (status == NATS_OK) status = connect_first(backbone);
  if (status == NATS_OK && backbone_has_stream(backbone)) status = use_stream(backbone);
  bool is_usable =
      status == NATS_OK ? !backbone_has_stream(backbone) || find_stream(backbone) : tell_status(backbone, status);
  return is_usable ? 0 : UV_ENOTCONN;
}

/* Two streams of the same name have been created at other times. */
static struct backbone_ids backbone_ids(fluxbp_backbone_t *base) {
  const struct backbone *backbone = backbone_of(base);
  char text[512];
  unsigned char digest[SHA256_DIGEST_LENGTH];
  uint64_t epoch = 0;
  if (!backbone_has_stream(backbone)) return (struct backbone_ids){.is_given = false};
  int length = snprintf(text, sizeof text, "%" PRId64 " %s", backbone->stream.created_ns, backbone->options.stream);
  SHA256((const unsigned char *) text, (size_t) length, digest);
  for (size_t i = 0; i < sizeof epoch; i++) epoch = epoch << 8 | digest[i];
  return (struct backbone_ids){.is_given = true, .epoch = epoch != 0 ? epoch : 1, .first_id = backbone->stream.next};
}

static int backbone_start(fluxbp_backbone_t *base) {
  struct backbone *backbone = backbone_of(base);
  int err = uv_thread_create(&backbone->sender, backbone_sender_run, backbone);
  if (err != 0) return err;
  backbone->has_sender = true;
  err = uv_thread_create(&backbone->follower, backbone_follower_run, backbone);
  if (err != 0) return err;
  backbone->has_follower = true;
  if (!backbone_has_stream(backbone)) return 0;
  err = uv_thread_create(&backbone->fetcher, backbone_past_run, backbone);
  if (err != 0) return err;
  backbone->has_fetcher = true;
  uv_mutex_lock(&backbone->lock);
  while (!backbone->has_past && !backbone->is_stopping) uv_cond_wait(&backbone->changed, &backbone->lock);
  uv_mutex_unlock(&backbone->lock);
  return 0;
}

/* Publishing. */

static int refuse_message(int err, const char *why, const char **problem) {
  *problem = why;
  return err;
}

static int push(struct backbone *backbone, const char *topic, const char *key, const void *data, size_t length,
                struct waiter *waiter, const char **problem) {
  fluxbp_msg_t *msg;
  if (!backbone_may_wait(backbone, waiter))
    return refuse_message(UV_EAGAIN, "busy: too many answers are due; try again in a second", problem);
  int err = length > 0 ? fluxbp_msg_create(backbone->host->pool, data, length, &msg)
                       : fluxbp_msg_create_removal(backbone->host->pool, 0, NULL, "-", 1, &msg);
  if (err != 0) return refuse_message(UV_EAGAIN, "busy: memory is used up; try again in a second", problem);
  err = outbox_push(&backbone->outbox, topic, key, msg, waiter);
  fluxbp_msg_unref(msg);
  if (err != 0) return refuse_message(UV_EAGAIN, "busy: the backbone is behind; try again in a second", problem);
  backbone_count_waiter(backbone, waiter);
  uv_cond_broadcast(&backbone->changed);
  return 0;
}

static int backbone_publish(fluxbp_backbone_t *base, const char *topic, const char *key, const void *data,
                            size_t length, struct waiter *waiter, const char **problem) {
  struct backbone *backbone = backbone_of(base);
  char subject[SUBJECT_BYTES];
  if (!subject_of_topic(backbone->options.subject, topic, subject))
    return refuse_message(UV_EINVAL, "NATS has no subject for that topic: a part between its dots is empty", problem);
  uv_mutex_lock(&backbone->lock);
  int err;
  if (!backbone->is_up || backbone->is_stopping)
    err = refuse_message(UV_ENOTCONN, "busy: the backbone is away; try again in a second", problem);
  else if ((int64_t) length > backbone->max_payload)
    err = refuse_message(UV_E2BIG, "the message is over the max_payload of NATS", problem);
  else
    err = push(backbone, topic, key, data, length, waiter, problem);
  uv_mutex_unlock(&backbone->lock);
  return err;
}

static bool backbone_is_idle(fluxbp_backbone_t *base) {
  struct backbone *backbone = backbone_of(base);
  uv_mutex_lock(&backbone->lock);
  bool is_idle = outbox_is_empty(&backbone->outbox) && backbone_has_told_all(backbone);
  uv_mutex_unlock(&backbone->lock);
  return is_idle;
}

const char *backbone_problem(fluxbp_backbone_t *base) {
  struct backbone *backbone = backbone_of(base);
  uv_mutex_lock(&backbone->lock);
  const char *problem = backbone->failure;
  if (problem == NULL && !backbone->is_up) problem = "the backbone is away";
  uv_mutex_unlock(&backbone->lock);
  return problem;
}

static void print(const struct backbone *backbone, struct text *text, const char *name, const char *type,
                  const char *help, uint64_t value) {
  backbone->host->print(text,
                        "# HELP fluxbp_backbone_%s %s\n# TYPE fluxbp_backbone_%s %s\nfluxbp_backbone_%s %" PRIu64 "\n",
                        name, help, name, type, name, value);
}

static void backbone_metrics(fluxbp_backbone_t *base, struct text *text) {
  struct backbone *backbone = backbone_of(base);
  uv_mutex_lock(&backbone->lock);
  bool is_up = backbone->is_up;
  uint64_t waiting = backbone->outbox.end - backbone->outbox.first;
  uint64_t connections = backbone->connection;
  uv_mutex_unlock(&backbone->lock);
  print(backbone, text, "up", "gauge", "Whether NATS is connected", is_up);
  print(backbone, text, "connections_total", "counter", "Connections to NATS", connections);
  print(backbone, text, "disconnects_total", "counter", "Connections to NATS that were lost",
        atomic_load(&backbone->disconnects));
  print(backbone, text, "unconfirmed_messages", "gauge", "Messages published here that NATS has yet to confirm",
        waiting);
  print(backbone, text, "sent_total", "counter", "Messages sent to NATS, again ones included",
        atomic_load(&backbone->sent));
  print(backbone, text, "received_total", "counter", "Messages of NATS on the bus", atomic_load(&backbone->received));
  print(backbone, text, "rejected_total", "counter",
        "Messages of NATS that can't be published here, by topic or by length", atomic_load(&backbone->rejected));
  print(backbone, text, "overflow_total", "counter", "Messages of NATS lost as the bus was full",
        atomic_load(&backbone->overflow));
  print(backbone, text, "slow_consumer_total", "counter",
        "Messages that the client library of NATS lost as we were slow", atomic_load(&backbone->slow_consumer));
  print(backbone, text, "failed_total", "counter", "Messages published here that NATS refused",
        atomic_load(&backbone->failed));
  print(backbone, text, "lost_unconfirmed_total", "counter",
        "Messages published here that may be lost, as the connection was before they came back",
        atomic_load(&backbone->unconfirmed));
  print(backbone, text, "gaps_total", "counter",
        "Times that the stream was read again from where something was left out", atomic_load(&backbone->gaps));
  print(backbone, text, "fetched_total", "counter",
        "Messages of the stream's past that were fetched for clients that resume", atomic_load(&backbone->fetched));
}

/* The end. */

static void backbone_stop(fluxbp_backbone_t *base) {
  struct backbone *backbone = backbone_of(base);
  uv_mutex_lock(&backbone->lock);
  backbone->is_stopping = true;
  backbone->is_over = true;
  uv_cond_broadcast(&backbone->changed);
  uv_mutex_unlock(&backbone->lock);
  natsConnection_Close(backbone->nats); /* the threads don't wait for answers any more */
  if (backbone->has_sender) uv_thread_join(&backbone->sender);
  if (backbone->has_follower) uv_thread_join(&backbone->follower);
  if (backbone->has_fetcher) uv_thread_join(&backbone->fetcher);
  backbone->has_sender = backbone->has_follower = backbone->has_fetcher = false;
}

static void backbone_free(fluxbp_backbone_t *base) {
  struct backbone *backbone = backbone_of(base);
  natsSubscription_Destroy(backbone->acks);
  jsCtx_Destroy(backbone->stream.js);
  natsConnection_Destroy(backbone->nats);
  natsOptions_Destroy(backbone->nats_options);
  nats_CloseAndWait(BACKBONE_CALL_MS); /* its threads call us no more */
  backbone_confirmations_end(backbone);
  outbox_free(&backbone->outbox);
  blocks_clear(&backbone->past.blocks);
  uv_cond_destroy(&backbone->past.has_changed);
  uv_mutex_destroy(&backbone->past.lock);
  uv_cond_destroy(&backbone->changed);
  uv_mutex_destroy(&backbone->sending);
  uv_mutex_destroy(&backbone->lock);
  free(backbone);
}

int fluxbp_nats_create(const fluxbp_nats_options_t *options, fluxbp_backbone_t **out) {
  static const struct backbone_table table = {
      .connect = backbone_connect,
      .ids = backbone_ids,
      .start = backbone_start,
      .publish = backbone_publish,
      .past_read = backbone_past_read,
      .past_release = backbone_past_release,
      .past_forget = backbone_past_forget,
      .is_idle = backbone_is_idle,
      .problem = backbone_problem,
      .metrics = backbone_metrics,
      .stop = backbone_stop,
      .free = backbone_free,
  };
  fluxbp_nats_options_t own;
  int err = nats_options_take(&own, options);
  if (err != 0) return err;
  struct backbone *backbone = calloc(1, sizeof *backbone);
  if (backbone == NULL) return UV_ENOMEM;
  backbone->base.table = &table;
  backbone->options = own;
  uv_mutex_init(&backbone->lock);
  uv_mutex_init(&backbone->sending);
  uv_cond_init(&backbone->changed);
  uv_mutex_init(&backbone->past.lock);
  uv_cond_init(&backbone->past.has_changed);
  blocks_init(&backbone->past.blocks);
  *out = &backbone->base;
  return 0;
}
