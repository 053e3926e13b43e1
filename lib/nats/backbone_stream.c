/* SPDX-License-Identifier: MIT */
/*
 * backbone_stream: a stream of JetStream, followed by its sequence numbers.
 *
 * The consumer is one of the server's memory alone, without acknowledgements: what it has delivered is known here, by
 * `next`. It numbers what it sends; a number that is left out, a heartbeat that doesn't come or a new connection end
 * it, and another one begins at `next`. So nothing is missed that the stream has, and nothing comes twice. Holes in the
 * stream's own numbers are no loss: they are messages of other subjects, or ones that were deleted.
 */
#include "backbone_parts.h"

#include "server/log.h"

#include <string.h>

#define POLL_MS 100
#define HEARTBEAT_NS ((int64_t) 1000 * 1000 * 1000)
#define SECOND_NS ((int64_t) 1000 * 1000 * 1000)

jsOptions backbone_call_options(void) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = BACKBONE_CALL_MS;
  return options;
}

static bool takes_our_subjects(const jsStreamInfo *info, const char *subject) {
  for (int i = 0; i < info->Config->SubjectsLen; i++) {
    const char *taken = info->Config->Subjects[i];
    size_t length = strlen(taken);
    if (strcmp(taken, subject) == 0 || strcmp(taken, ">") == 0) return true;
    if (length > 1 && taken[length - 1] == '>' && strncmp(taken, subject, length - 1) == 0) return true;
  }
  return false;
}

/* The first look: where to begin. */
static void begin_stream(struct backbone *backbone, const jsStreamInfo *info) {
  struct backbone_stream *stream = &backbone->stream;
  uint64_t history = backbone->host->options->history_messages;
  uint64_t first = info->State.FirstSeq > 0 ? info->State.FirstSeq : 1;
  uint64_t end = info->State.LastSeq + 1;
  stream->created_ns = info->Created;
  stream->past_end = info->State.LastSeq;
  backbone_note_id(backbone, info->State.LastSeq);
  stream->next = end > history ? end - history : 1;
  if (stream->next < first) stream->next = first;
}

enum stream_outcome backbone_stream_look(struct backbone *backbone) {
  struct backbone_stream *stream = &backbone->stream;
  jsOptions wait = backbone_call_options();
  jsStreamInfo *info = NULL;
  jsErrCode code = 0;
  natsStatus status = js_GetStreamInfo(&info, stream->js, backbone->options.stream, &wait, &code);
  if (status == NATS_NOT_FOUND || code == JSStreamNotFoundErr || code == JSNotEnabledErr ||
      code == JSNotEnabledForAccountErr)
    return STREAM_MISSING;
  if (status != NATS_OK) return STREAM_AWAY;

  enum stream_outcome outcome = STREAM_OK;
  if (!takes_our_subjects(info, backbone->options.subject))
    outcome = STREAM_FOREIGN;
  else if (stream->created_ns == 0)
    begin_stream(backbone, info);
  else if (info->Created != stream->created_ns || info->State.LastSeq + 1 < stream->next)
    outcome = STREAM_REPLACED;
  else if (info->State.FirstSeq > stream->next)
    outcome = STREAM_LOST;
  jsStreamInfo_Destroy(info);
  return outcome;
}

jsStreamInfo *backbone_stream_info(struct backbone *backbone) {
  jsOptions wait = backbone_call_options();
  jsStreamInfo *info = NULL;
  jsErrCode code = 0;
  if (js_GetStreamInfo(&info, backbone->stream.js, backbone->options.stream, &wait, &code) != NATS_OK) return NULL;
  if (info->Created == backbone->stream.created_ns) return info;
  jsStreamInfo_Destroy(info);
  return NULL;
}

void backbone_stream_consumer(const struct backbone *backbone, uint64_t start, jsSubOptions *options) {
  jsSubOptions_Init(options);
  options->Stream = backbone->options.stream;
  options->Config.DeliverPolicy = js_DeliverByStartSequence;
  options->Config.OptStartSeq = start;
  options->Config.AckPolicy = js_AckNone;
  options->Config.InactiveThreshold = 30 * SECOND_NS;
  options->Config.MemoryStorage = true;
  options->Config.Replicas = 1;
}

static natsStatus subscribe(struct backbone *backbone) {
  struct backbone_stream *stream = &backbone->stream;
  jsOptions wait = backbone_call_options();
  jsSubOptions consumer;
  backbone_stream_consumer(backbone, stream->next, &consumer);
  consumer.Config.FlowControl = true;
  consumer.Config.Heartbeat = HEARTBEAT_NS;
  stream->consumed = 0;
  return js_SubscribeSync(&stream->subscription, stream->js, backbone->options.subject, &wait, &consumer, NULL);
}

void backbone_stream_close(struct backbone *backbone) {
  struct backbone_stream *stream = &backbone->stream;
  natsSubscription_Destroy(stream->subscription); /* the server forgets the consumer by itself */
  stream->subscription = NULL;
}

/* Whether there is a consumer that may still be believed. */
static bool is_open(struct backbone *backbone) {
  struct backbone_stream *stream = &backbone->stream;
  uv_mutex_lock(&backbone->lock);
  bool is_stale = backbone->is_stale || stream->connection != backbone->connection;
  if (is_stale) stream->connection = backbone->connection;
  backbone->is_stale = false;
  uv_mutex_unlock(&backbone->lock);
  if (is_stale) backbone_stream_close(backbone);
  return stream->subscription != NULL;
}

static void say_why(struct backbone *backbone, enum stream_outcome outcome) {
  static const char *const problems[] = {
      [STREAM_FOREIGN] = "the stream doesn't take the subjects of --subject any more",
      [STREAM_REPLACED] = "the stream was replaced by another one: ids have begun anew",
      [STREAM_LOST] = "the stream has dropped messages that this gateway has yet to see"};
  if (!backbone_wait(backbone, 0)) return;
  if (outcome == STREAM_AWAY || outcome == STREAM_MISSING) {
    log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_stream_away",
           log_phrase("reason", outcome == STREAM_MISSING ? "there is no such stream" : "it doesn't answer"));
    (void) backbone_wait(backbone, 1000);
    return;
  }
  log_to(backbone->host->options, FLUXBP_LOG_ERROR, "backbone_stream_lost", log_phrase("reason", problems[outcome]),
         log_number("next", backbone->stream.next));
  backbone_fail(backbone, problems[outcome]);
}

static bool open_consumer(struct backbone *backbone) {
  enum stream_outcome outcome = backbone_stream_look(backbone);
  if (outcome != STREAM_OK) {
    say_why(backbone, outcome);
    return false;
  }
  natsStatus status = subscribe(backbone);
  if (status == NATS_OK) return true;
  if (!backbone_wait(backbone, 0)) return false; /* backbone_stop has closed the connection */
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_stream_away",
         log_phrase("reason", natsStatus_GetText(status)));
  (void) backbone_wait(backbone, POLL_MS);
  return false;
}

/* @return whether it is the one that has to come; *sequence is its number in the stream */
static bool is_next(struct backbone *backbone, natsMsg *msg, uint64_t *sequence) {
  struct backbone_stream *stream = &backbone->stream;
  jsMsgMetaData *meta = NULL;
  if (natsMsg_GetMetaData(&meta, msg) != NATS_OK) return false;
  *sequence = meta->Sequence.Stream;
  bool is_right = meta->Sequence.Consumer == stream->consumed + 1 && *sequence >= stream->next;
  stream->consumed = meta->Sequence.Consumer;
  jsMsgMetaData_Destroy(meta);
  return is_right;
}

natsMsg *backbone_stream_next(struct backbone *backbone, uint64_t *sequence) {
  struct backbone_stream *stream = &backbone->stream;
  natsMsg *msg = NULL;
  if (backbone_problem(&backbone->base) != NULL) {
    (void) backbone_wait(backbone, POLL_MS);
    return NULL;
  }
  if (!is_open(backbone) && !open_consumer(backbone)) return NULL;
  natsStatus status = natsSubscription_NextMsg(&msg, stream->subscription, POLL_MS);
  if (status == NATS_TIMEOUT) return NULL;
  if (status == NATS_OK && is_next(backbone, msg, sequence)) {
    stream->next = *sequence + 1;
    backbone_note_id(backbone, *sequence);
    return msg;
  }
  natsMsg_Destroy(msg);
  if (!backbone_wait(backbone, 0)) return NULL;
  atomic_fetch_add(&backbone->gaps, 1);
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_gap", log_number("next", stream->next),
         log_phrase("reason", status == NATS_OK ? "a message was left out" : natsStatus_GetText(status)));
  backbone_stream_close(backbone);
  return NULL;
}
