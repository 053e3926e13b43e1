/* SPDX-License-Identifier: MIT */
/*
 * backbone_past: the thread that fetches what the stream has and the server's history has no more, a block at a time,
 * for clients that resume. They ask for an id, and again until it is there (resume.c); who asks for what others have
 * just had gets the same block. They are served in turn, see backbone_blocks.h.
 *
 * A block is fetched by a consumer of which batches are asked for (a pull consumer); while the next id that is wanted
 * is where it stands, it goes on, else another one takes its place. What a block says of its range must be true: the
 * consumer numbers what it gives, and after the fetch the stream is asked again whether it still has what the block
 * begins with.
 */
#include "backbone_parts.h"

#include "server/log.h"

#define MS_NS ((uint64_t) 1000 * 1000)
#define LOOK_MS 200
#define RETRY_MS 100
#define FAILURES_OF_A_LINE 20 /* in the log */

/* Messages that are under way aren't within the budget yet: so many bytes at a time, as far as the average tells. */
#define BATCH_BYTES (1u << 20)

/* What nobody has asked for in that time isn't kept. */
#define IDLE_NS (10000 * MS_NS)

/* More than one block is kept only while so much of the budget is free. */
#define BUDGET_PART_FREE 4

static void close_consumer(struct backbone_past *past) {
  if (past->subscription == NULL) return;
  (void) natsSubscription_Unsubscribe(past->subscription); /* the server forgets the consumer */
  natsSubscription_Destroy(past->subscription);
  past->subscription = NULL;
}

static void note_first(struct backbone_past *past, const jsStreamInfo *info) {
  uv_mutex_lock(&past->lock);
  past->first_id = info->State.FirstSeq;
  uv_mutex_unlock(&past->lock);
}

/* NULL: not now. */
static jsStreamInfo *look(struct backbone *backbone) {
  jsStreamInfo *info = backbone_stream_info(backbone);
  if (info != NULL) note_first(&backbone->past, info);
  return info;
}

static int batch_for(const jsStreamInfo *info) {
  uint64_t average = info->State.Msgs > 0 ? info->State.Bytes / info->State.Msgs + 1 : 1;
  uint64_t batch = BATCH_BYTES / average;
  return batch < 1 ? 1 : batch > BLOCK_MESSAGES ? BLOCK_MESSAGES : (int) batch;
}

static bool open_consumer(struct backbone *backbone, uint64_t start) {
  struct backbone_past *past = &backbone->past;
  jsOptions wait = backbone_call_options();
  jsSubOptions consumer;
  backbone_stream_consumer(backbone, start, &consumer);
  natsStatus status = js_PullSubscribe(&past->subscription, backbone->stream.js, backbone->options.subject, NULL, &wait,
                                       &consumer, NULL);
  past->next = start;
  past->consumed = 0;
  if (status == NATS_OK) return true;
  past->subscription = NULL;
  return false;
}

static uint64_t connection_of(struct backbone *backbone) {
  uv_mutex_lock(&backbone->lock);
  uint64_t connection = backbone->connection;
  uv_mutex_unlock(&backbone->lock);
  return connection;
}

/* Whether the next batch comes to it. */
static bool is_near(const struct backbone_past *past, uint64_t id) {
  return past->next <= id && id - past->next < (uint64_t) past->batch;
}

/* Have the consumer stand at `id`, or a little before: then more clients find what they want in the block. */
static bool go_to(struct backbone *backbone, uint64_t id) {
  struct backbone_past *past = &backbone->past;
  uint64_t connection = connection_of(backbone);
  if (past->subscription != NULL && past->connection == connection && is_near(past, id)) return true;
  close_consumer(past);
  jsStreamInfo *info = look(backbone);
  if (info == NULL) return false;
  uint64_t first = info->State.FirstSeq;
  past->batch = past->is_short ? 1 : batch_for(info);
  past->connection = connection;
  jsStreamInfo_Destroy(info);
  uint64_t start = id - id % (uint64_t) past->batch;
  return id >= first && open_consumer(backbone, start > first ? start : first);
}

/* @return 0; UV_EAGAIN: there is no memory for it now; UV_EPROTO: it isn't the one that had to come */
static int take_past(struct backbone *backbone, struct block *block, natsMsg *msg) {
  struct backbone_past *past = &backbone->past;
  const struct backbone_host *host = backbone->host;
  const char *topic = topic_of_subject(backbone->options.subject, natsMsg_GetSubject(msg));
  const char *problem = NULL;
  jsMsgMetaData *meta = NULL;
  fluxbp_msg_t *made;
  if (natsMsg_GetMetaData(&meta, msg) != NATS_OK) return UV_EPROTO;
  uint64_t id = meta->Sequence.Stream;
  bool is_next = meta->Sequence.Consumer == past->consumed + 1 && id >= past->next;
  jsMsgMetaData_Destroy(meta);
  if (!is_next) return UV_EPROTO;
  int err = topic == NULL ? UV_EINVAL
                          : backbone->host->recall(backbone->host->server, topic, natsMsg_GetData(msg),
                                                   (size_t) natsMsg_GetDataLength(msg), &made, &problem);
  if (err == UV_EAGAIN) return err;
  if (err == 0) block_add(block, id, host->topic_key(host->server, topic), made); /* else nobody has ever got it */
  past->consumed++;
  past->next = id + 1;
  block->end = past->next;
  return 0;
}

/* The consumer gave nothing. @return whether that is since the stream has nothing more: then the block ends with it */
static bool ends_with_stream(struct backbone *backbone, struct block *block) {
  struct backbone_past *past = &backbone->past;
  jsConsumerInfo *consumer = NULL;
  jsStreamInfo *info = look(backbone); /* beforehand: what comes after it may still be pending */
  if (info == NULL) return false;
  uint64_t last_id = info->State.LastSeq;
  jsStreamInfo_Destroy(info);
  if (natsSubscription_GetConsumerInfo(&consumer, past->subscription, NULL, NULL) != NATS_OK) return false;
  bool is_end = consumer->NumPending == 0 && consumer->Delivered.Consumer == past->consumed;
  jsConsumerInfo_Destroy(consumer);
  if (is_end && last_id >= block->end) past->next = block->end = last_id + 1;
  return is_end && block->end > block->first;
}

static int take_batch(struct backbone *backbone, struct block *block) {
  struct backbone_past *past = &backbone->past;
  jsFetchRequest request;
  natsMsgList list = {0};
  int err = 0;
  jsFetchRequest_Init(&request);
  request.Batch = past->batch;
  request.NoWait = true;
  request.Expires = (int64_t) (BACKBONE_CALL_MS * MS_NS);
  natsStatus status = natsSubscription_FetchRequest(&list, past->subscription, &request);
  for (int i = 0; i < list.Count && err == 0; i++) err = take_past(backbone, block, list.Msgs[i]);
  natsMsgList_Destroy(&list);
  return err != 0 || block->end > block->first ? err : status == NATS_OK ? UV_EPROTO : UV_EOF;
}

static size_t blocks_to_keep(struct backbone *backbone) {
  fluxbp_pool_stats_t pool;
  fluxbp_pool_get_stats(backbone->host->pool, &pool);
  return pool.used_bytes < pool.max_bytes - pool.max_bytes / BUDGET_PART_FREE ? BLOCKS_KEPT : 1;
}

static void drop_unused(struct backbone_past *past) {
  uv_mutex_lock(&past->lock);
  blocks_drop_unused(&past->blocks);
  uv_mutex_unlock(&past->lock);
}

/* @return whether `id` is in it, and it says all that the stream had in its range: what has gone meanwhile is cut
 * off */
static bool fill(struct backbone *backbone, struct block *block, uint64_t id) {
  struct backbone_past *past = &backbone->past;
  int err = take_batch(backbone, block);
  if (err == UV_EOF && ends_with_stream(backbone, block)) err = 0;
  past->is_short = err == UV_EAGAIN;
  if (past->is_short) drop_unused(past);
  jsStreamInfo *after = err == 0 ? look(backbone) : NULL;
  if (after == NULL) return false;
  block_trim(block, after->State.FirstSeq);
  jsStreamInfo_Destroy(after);
  return block->first <= id && id < block->end;
}

/* @return false: not now */
static bool fetch(struct backbone *backbone, uint64_t id) {
  struct backbone_past *past = &backbone->past;
  if (backbone_problem(&backbone->base) != NULL || !go_to(backbone, id)) return false;
  struct block *block = block_create(past->next);
  if (block == NULL) return false;
  bool is_whole = fill(backbone, block, id);
  if (is_whole)
    atomic_fetch_add(&backbone->fetched, block->count);
  else
    close_consumer(past);
  uv_mutex_lock(&past->lock);
  if (is_whole) blocks_keep(&past->blocks, block);
  block_unref(block);
  uv_mutex_unlock(&past->lock);
  return is_whole;
}

static void forget_idle(struct backbone_past *past) {
  if (uv_hrtime() - past->used_ns < IDLE_NS) return;
  close_consumer(past);
  drop_unused(past);
}

/* @return false: nothing is wanted, or there is no place for it */
static bool wait_for_wanted(struct backbone *backbone, uint64_t *id) {
  struct backbone_past *past = &backbone->past;
  size_t most = blocks_to_keep(backbone);
  uv_mutex_lock(&past->lock);
  bool is_wanted = blocks_next_wanted(&past->blocks, most, id);
  if (!is_wanted) {
    (void) uv_cond_timedwait(&past->has_changed, &past->lock, LOOK_MS * MS_NS);
    is_wanted = blocks_next_wanted(&past->blocks, most, id);
  }
  uv_mutex_unlock(&past->lock);
  return is_wanted;
}

/* While NATS is away that was said already. */
static void say_away(struct backbone *backbone, uint64_t id) {
  natsStatus status = NATS_OK;
  const char *reason = nats_GetLastError(&status);
  if (backbone_problem(&backbone->base) != NULL) return;
  log_to(backbone->host->options, FLUXBP_LOG_WARN, "backbone_past_away", log_number("id", id),
         log_phrase("reason", reason != NULL && *reason != '\0' ? reason : natsStatus_GetText(status)));
}

/* It may be what that one wants that fails: the others have their turn. */
static void put_off(struct backbone_past *past, uint64_t id) {
  uv_mutex_lock(&past->lock);
  blocks_put_off(&past->blocks, id);
  uv_mutex_unlock(&past->lock);
}

void backbone_past_run(void *arg) {
  struct backbone *backbone = arg;
  struct backbone_past *past = &backbone->past;
  unsigned failures = 0; /* one after the other */
  uint64_t id;
  while (backbone_wait(backbone, 0)) {
    if (!wait_for_wanted(backbone, &id)) {
      forget_idle(past);
    } else if (fetch(backbone, id)) {
      past->used_ns = uv_hrtime();
      failures = 0;
    } else {
      if (++failures % FAILURES_OF_A_LINE == 0) say_away(backbone, id);
      put_off(past, id);
      (void) backbone_wait(backbone, RETRY_MS);
    }
  }
  close_consumer(past);
}

enum backbone_past_outcome backbone_past_read(fluxbp_backbone_t *base, struct block_want *want, uint64_t id,
                                              struct block **block, uint64_t *first_id) {
  struct backbone_past *past = &backbone_of(base)->past;
  uv_mutex_lock(&past->lock);
  bool has_waited = want->link.next != NULL;
  *block = blocks_get(&past->blocks, want, id);
  *first_id = past->first_id;
  bool is_gone = *block == NULL && id < past->first_id;
  if (is_gone) block_want_forget(want);
  if (*block == NULL && !is_gone && !has_waited) uv_cond_signal(&past->has_changed);
  uv_mutex_unlock(&past->lock);
  return *block != NULL ? BACKBONE_PAST_THERE : is_gone ? BACKBONE_PAST_GONE : BACKBONE_PAST_COMING;
}

void backbone_past_release(fluxbp_backbone_t *base, struct block *block) {
  struct backbone_past *past = &backbone_of(base)->past;
  uv_mutex_lock(&past->lock);
  block_unref(block);
  uv_cond_signal(&past->has_changed); /* there may be a place now */
  uv_mutex_unlock(&past->lock);
}

void backbone_past_forget(fluxbp_backbone_t *base, struct block_want *want) {
  struct backbone_past *past = &backbone_of(base)->past;
  uv_mutex_lock(&past->lock);
  block_want_forget(want);
  uv_cond_signal(&past->has_changed);
  uv_mutex_unlock(&past->lock);
}
