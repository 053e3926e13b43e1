/* SPDX-License-Identifier: MIT */
/*
 * resume: see the header. Each waits for its turn, which most have at once; see resume_turns.h. Then most go on at
 * once, from the hub's history. Two kinds wait, and a timer looks after them:
 *
 * - The hubs read the bus each at its own pace, so a client that comes from one that was ahead may name an id that this
 * one
 *   has yet to come to. That takes milliseconds.
 * - What is older than the history may be in the stream of the backbone. It is fetched from there in blocks, in turn
 * with
 *   the others', and sent as far as the client's ring has room, until it has nearly caught up. A client without room
 *   wants none.
 */
#include "resume.h"

#include "answers.h"
#include "intake.h"
#include "position.h"
#include "resume_turns.h"
#include "server/backbone.h"
#include "subscriptions.h"
#include "too_old.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 5

/* A hub that is so far behind has other problems; and the id may be from the future. A block that hasn't come from the
 * stream by then may not come at all. */
#define TRIES_MAX 400

/* A client whose ring is filled to no more than this gets a block, and goes from the stream to the history, as it will
 * be live at once. */
#define FILL_PERCENT_MAX 25

/* So long the timer keeps the loop; the others have their turn in the next iteration. */
#define SLICE_NS ((uint64_t) 1000 * 1000)

/* A log topic that the client is to get the past of. */
struct wanted {
  fluxbp_topic_t *topic;
  uint64_t key; /* server_topic_key of its name */
};

struct resume {
  struct resume_turn turn; /* waits for its turn first, */
  struct queue_link link;  /* and then, if it has to, for what is yet to come */
  fluxbp_session_t *session;
  struct resume_point point;
  uint64_t epoch, since; /* what it has; rises while it gets the stream's past */
  bool had_to_wait;      /* for its turn */
  unsigned tries;        /* since it last got something */
  bool has_begun;        /* it was told that it is resumed, and gets the past */
  uint64_t oldest;       /* see oldest_since; 0: to be found out */
  bool from_oldest;      /* `since` is before all that there is, until it is known what there is */
  struct block_want want;
  struct wanted *wanted; /* for blocks of the stream's past, in the order of keys; NULL: to be listed when one comes */
  size_t wanted_count;
};

static void subscribe_live(fluxbp_session_t *session) {
  int err = session_subscribe_held(session);
  if (err < 0) session_close(session, FLUXBP_CLOSE_TRY_LATER, "cannot subscribe: memory is used up; try again later");
}

static void give_up_resume(fluxbp_session_t *session) {
  session_close(session, FLUXBP_CLOSE_TRY_LATER, "cannot resume: memory is used up; try again later");
}

/* It is told that the continuation begins, and its log topics wait for that. False: it can't be told. */
static bool begin_replay(fluxbp_session_t *session, uint64_t since) {
  char text[ID_TEXT_BYTES];
  id_format(&fluxbp_session_server(session)->codecs, since, text);
  if (!session_protocol(session)->say_resumed(session, text)) return false;
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++)
    if (!fluxbp_topic_is_state(session_topic(session, place)))
      fluxbp_topic_unsubscribe(session_topic(session, place), fluxbp_session_conn(session));
  return true;
}

/* A topic is part of the continuation until it is subscribed to; what the client subscribes to meanwhile is live. */
static bool is_continued(const fluxbp_session_t *session, const fluxbp_topic_t *topic) {
  return !fluxbp_topic_is_state(topic) && !fluxbp_topic_has(topic, fluxbp_session_conn(session));
}

/* The oldest id from which the history has all that the client is still to be given. It is looked at all topics only
 * when the client has come to what it was before: it never falls. */
static uint64_t oldest_since(struct resume *resume) {
  const fluxbp_session_t *session = resume->session;
  if (resume->since < resume->oldest) return resume->oldest;
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    uint64_t since = fluxbp_topic_oldest_since(topic); /* 0 of one that keeps a state */
    bool counts = !resume->has_begun || is_continued(session, topic);
    if (counts && since > resume->oldest) resume->oldest = since;
  }
  return resume->oldest;
}

/* Those that don't reach back, if it isn't the only one. */
static void name_topics(const struct resume *resume, struct too_old *too_old) {
  const fluxbp_session_t *session = resume->session;
  size_t count = 0;
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++)
    count += !fluxbp_topic_is_state(session_topic(session, place));
  for (size_t place = 0; count > 1 && place < fluxbp_session_topic_count(session); place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    if (resume->has_begun && !is_continued(session, topic)) continue;
    if (fluxbp_topic_oldest_since(topic) > resume->since) too_old_add_topic(too_old, fluxbp_topic_name(topic));
  }
}

/* `problem`: NULL, if it is too old. */
static void refuse_resume(struct resume *resume, const char *problem, uint64_t oldest) {
  fluxbp_session_t *session = resume->session;
  struct too_old too_old = {.problem = problem != NULL ? problem : "too old"};
  fluxbp_history_range_t range;
  fluxbp_hub_history(session_shard(session)->hub, &range);
  id_format(&fluxbp_session_server(session)->codecs, oldest, too_old.oldest);
  id_format(&fluxbp_session_server(session)->codecs, range.newest_id, too_old.position);
  if (problem == NULL) name_topics(resume, &too_old);
  session_protocol(session)->say_too_old(session, &too_old);
  if (!session->is_closing) subscribe_live(session);
}

/* Pay for what the history has of a topic. */
static void pay_for(fluxbp_session_t *session, fluxbp_topic_t *topic, uint64_t since) {
  uint64_t messages, bytes;
  fluxbp_topic_measure_past(topic, since, &messages, &bytes);
  resume_turns_pay(session, messages, bytes);
}

static int subscribe_since(fluxbp_session_t *session, uint64_t epoch, uint64_t since) {
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    if (!is_continued(session, topic)) continue;
    pay_for(session, topic, since);
    int err = fluxbp_topic_subscribe_since(topic, fluxbp_session_conn(session), epoch, since);
    if (err < 0) return err;
  }
  return session_subscribe_held(session); /* those that keep a state */
}

/* @return that it is decided */
static bool continue_from_history(const struct resume *resume) {
  fluxbp_session_t *session = resume->session;
  bool has_begun = resume->has_begun || begin_replay(session, resume->since);
  if (!has_begun || subscribe_since(session, resume->epoch, resume->since) < 0)
    give_up_resume(session);
  else if (!session_say_position_if_live(session))
    (void) fluxbp_conn_flush(fluxbp_session_conn(session)); /* before the history moves on */
  return true;
}

/* Those topics that go on from `first`, or the others. @return 0 or an error */
static int subscribe_part(fluxbp_session_t *session, uint64_t epoch, const uint64_t *since, uint64_t first,
                          bool is_first) {
  for (size_t place = 0; place < fluxbp_session_topic_count(session); place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    if (fluxbp_topic_is_state(topic) || (since[place] == first) != is_first) continue;
    pay_for(session, topic, since[place]);
    int err = fluxbp_topic_subscribe_since(topic, fluxbp_session_conn(session), epoch, since[place]);
    if (err < 0) return err;
  }
  return 0;
}

/* Have each of the topics continued from an id of its own; `since` has room for one of each. The one that is furthest
 * back comes first, since every step further back costs a look at all the topics before. @return 0 or an error */
static int subscribe_each(fluxbp_session_t *session, const struct resume_point *point, uint64_t *since) {
  size_t topic_count = fluxbp_session_topic_count(session);
  fluxbp_history_range_t range;
  fluxbp_hub_history(session_shard(session)->hub, &range);
  uint64_t first = range.newest_id;
  for (size_t place = 0; place < topic_count; place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    if (fluxbp_topic_is_state(topic)) continue;
    if (point->kind == RESUME_LAST)
      (void) fluxbp_topic_since_last(topic, point->count, &since[place]);
    else
      since[place] = fluxbp_topic_oldest_since(topic);
    if (since[place] < first) first = since[place];
  }
  int err = begin_replay(session, first) ? 0 : UV_ENOMEM;
  if (err == 0) err = subscribe_part(session, range.epoch, since, first, true);
  if (err == 0) err = subscribe_part(session, range.epoch, since, first, false);
  return err == 0 ? session_subscribe_held(session) : err;
}

/* The newest messages of each topic, or all that there are. */
static void continue_each(fluxbp_session_t *session, const struct resume_point *point) {
  uint64_t *since = calloc(fluxbp_session_topic_count(session) + 1, sizeof *since);
  int err = since != NULL ? subscribe_each(session, point, since) : UV_ENOMEM;
  free(since);
  if (err < 0)
    give_up_resume(session);
  else if (!session_say_position_if_live(session))
    (void) fluxbp_conn_flush(fluxbp_session_conn(session));
}

/* The past of a stream. */

static bool has_stream(const fluxbp_session_t *session) {
  return fluxbp_session_server(session)->has_given_ids;
}

static int compare_keys(const void *one, const void *other) {
  uint64_t a = ((const struct wanted *) one)->key;
  uint64_t b = ((const struct wanted *) other)->key;
  return a < b ? -1 : a > b;
}

/* @return false: out of memory */
static bool list_wanted(struct resume *resume) {
  const fluxbp_session_t *session = resume->session;
  size_t topic_count = fluxbp_session_topic_count(session);
  if (resume->wanted != NULL) return true;
  resume->wanted = malloc((topic_count + 1) * sizeof resume->wanted[0]);
  if (resume->wanted == NULL) return false;
  resume->wanted_count = 0;
  for (size_t place = 0; place < topic_count; place++) {
    fluxbp_topic_t *topic = session_topic(session, place);
    if (!is_continued(session, topic)) continue;
    resume->wanted[resume->wanted_count++] = (struct wanted){
        .topic = topic, .key = server_topic_key(fluxbp_session_server(session), fluxbp_topic_name(topic))};
  }
  qsort(resume->wanted, resume->wanted_count, sizeof resume->wanted[0], compare_keys);
  return true;
}

/* False: it has no room for it now. What isn't for it, it has room for. */
static bool send_past(const struct resume *resume, const struct block_message *message) {
  struct wanted sought = {.key = message->topic};
  const struct wanted *wanted =
      bsearch(&sought, resume->wanted, resume->wanted_count, sizeof resume->wanted[0], compare_keys);
  if (wanted == NULL) return true;
  fluxbp_conn_t *conn = fluxbp_session_conn(resume->session);
  if (fluxbp_topic_send_past(wanted->topic, conn, message->msg, message->id) < 0) return false;
  resume_turns_pay(resume->session, 1, fluxbp_msg_length(message->msg));
  return true;
}

/* Send as much of the block as the client has room for. Ids up to the end of the block that belong to no message count
 * as had, so that the client doesn't wait for them. */
static void send_block(struct resume *resume, const struct block *block, uint64_t newest_id) {
  for (size_t i = 0; i < block->count; i++) {
    const struct block_message *message = &block->messages[i];
    if (message->id <= resume->since) continue;
    if (!send_past(resume, message)) return;
    resume->since = message->id;
  }
  uint64_t last_id = block->end - 1 < newest_id ? block->end - 1 : newest_id;
  if (resume->since < last_id) resume->since = last_id;
}

static bool takes_more_now(const fluxbp_session_t *session) {
  fluxbp_conn_stats_t stats;
  fluxbp_conn_get_stats(fluxbp_session_conn(session), &stats);
  return !stats.is_refused && stats.fill_percent <= FILL_PERCENT_MAX;
}

/* @return whether it is decided */
static bool continue_from_stream(struct resume *resume, const fluxbp_history_range_t *range) {
  fluxbp_session_t *session = resume->session;
  fluxbp_backbone_t *backbone = fluxbp_session_server(session)->options.backbone;
  struct block *block;
  uint64_t first_id;
  if (!takes_more_now(session)) {
    backbone->table->past_forget(backbone, &resume->want);
    return false;
  }
  if (!resume_turns_allow_more(session)) return false;
  switch (backbone->table->past_read(backbone, &resume->want, resume->since + 1, &block, &first_id)) {
  case BACKBONE_PAST_COMING:
    if (resume->tries < TRIES_MAX || resume->since < oldest_since(resume)) return false;
    return continue_from_history(resume);
  case BACKBONE_PAST_GONE:
    if (resume->since >= oldest_since(resume)) return continue_from_history(resume);
    if (resume->from_oldest && !resume->has_begun) { /* now it is known what the oldest is */
      resume->since = first_id - 1;
      return false;
    }
    refuse_resume(resume, NULL, first_id - 1);
    return true;
  case BACKBONE_PAST_THERE:
    break;
  }
  resume->tries = 0;
  if (!resume->has_begun) resume->has_begun = begin_replay(session, resume->since);
  if (resume->has_begun && list_wanted(resume))
    send_block(resume, block, range->newest_id);
  else
    give_up_resume(session);
  backbone->table->past_release(backbone, block);
  return session->is_closing;
}

/* Whether the history has all that it lacks, and will have when it comes to it. What is new drives out the oldest, of
 * each topic and of all: with a stream to fall back on, only the newer half counts, and who can take it now. */
static bool is_in_history(struct resume *resume, const fluxbp_history_range_t *range) {
  const fluxbp_session_t *session = resume->session;
  uint64_t oldest = oldest_since(resume);
  if (resume->since < oldest) return false;
  if (!has_stream(session) || resume->since == range->newest_id) return true;
  if (!resume->has_begun && fluxbp_session_server(session)->options.backbone->table->problem(
                                fluxbp_session_server(session)->options.backbone) != NULL)
    return true; /* nothing is new */
  uint64_t oldest_id = fluxbp_hub_oldest_id(session_shard(session)->hub);
  if (oldest_id > oldest) oldest = oldest_id - 1;
  return (range->newest_id - resume->since) * 2 <= range->newest_id - oldest && takes_more_now(session);
}

/* @return whether it is decided */
static bool try_to_resume(struct resume *resume, bool is_last_try) {
  fluxbp_session_t *session = resume->session;
  fluxbp_history_range_t range;
  fluxbp_hub_history(session_shard(session)->hub, &range);
  bool is_ahead = resume->since > range.newest_id;
  if (resume->epoch != range.epoch) {
    refuse_resume(resume, "unknown epoch", oldest_since(resume));
    return true;
  }
  if (is_ahead && (resume->has_begun || !is_last_try)) return false;
  if (is_ahead) {
    refuse_resume(resume, "not yet given", oldest_since(resume));
    return true;
  }
  if (is_in_history(resume, &range)) return continue_from_history(resume);
  if (has_stream(session)) return continue_from_stream(resume, &range);
  refuse_resume(resume, NULL, oldest_since(resume));
  return true;
}

/* Wait for what is yet to come. */
static void begin_to_wait(struct resume *resume) {
  struct shard *shard = session_shard(resume->session);
  if (resume->from_oldest) {
    fluxbp_history_range_t range;
    fluxbp_hub_history(shard->hub, &range);
    resume->epoch = range.epoch;
  }
  queue_append(&shard->resumes, &resume->link);
  if (!uv_is_active((uv_handle_t *) &shard->resume_timer))
    uv_timer_start(&shard->resume_timer, resume_try_again, RETRY_MS, 0);
}

/* It is its turn. Commands that have come meanwhile follow. */
static void take_turn(struct resume_turn *turn) {
  struct resume *resume = (struct resume *) turn;
  fluxbp_session_t *session = resume->session;
  bool had_to_wait = resume->had_to_wait;
  if (resume->point.kind == RESUME_LAST || (resume->from_oldest && !has_stream(session))) {
    continue_each(session, &resume->point);
    resume_forget(session);
  } else {
    begin_to_wait(resume);
    if (try_to_resume(resume, false)) resume_forget(session);
  }
  if (had_to_wait && !session->is_closing) intake_go_on(session);
}

static struct resume *create_resume(fluxbp_session_t *session, const struct resume_point *point) {
  struct resume *resume = malloc(sizeof *resume);
  if (resume == NULL) return NULL;
  *resume = (struct resume){.turn = {.session = session, .go_on = take_turn},
                            .session = session,
                            .point = *point,
                            .epoch = point->epoch,
                            .since = point->since,
                            .from_oldest = point->kind == RESUME_OLDEST};
  session->resume = resume;
  return resume;
}

bool resume_point_parse(const char *text, struct resume_point *point) {
  *point = (struct resume_point){.kind = strcmp(text, "oldest") == 0 ? RESUME_OLDEST : RESUME_SINCE};
  return point->kind == RESUME_OLDEST || id_parse(text, &point->epoch, &point->since);
}

bool resume_point_parse_last(const char *text, struct resume_point *point) {
  size_t digits = strspn(text, "0123456789");
  unsigned long count = digits > 0 && digits < 10 && text[digits] == '\0' ? strtoul(text, NULL, 10) : 0;
  *point = (struct resume_point){.kind = RESUME_LAST, .count = (uint32_t) count};
  return count > 0;
}

void session_resume(fluxbp_session_t *session, const struct resume_point *point) {
  static const char replaced[] = "-ERR another RESUME has taken its place";
  bool replaces = session->resume != NULL;
  if (replaces) (void) answers_send(session, replaced, sizeof replaced - 1);
  resume_forget(session);
  struct resume *resume = create_resume(session, point);
  if (resume == NULL || resume_turns_wait(&session_shard(session)->resume_turns, &resume->turn) != 0)
    give_up_resume(session);
  else if (resume_is_in_line(session))
    session->resume->had_to_wait = true;
}

bool resume_is_in_line(const fluxbp_session_t *session) {
  return session->resume != NULL && resume_turn_is_awaited(&session->resume->turn);
}

void resume_forget(fluxbp_session_t *session) {
  struct resume *resume = session->resume;
  if (resume == NULL) return;
  session->resume = NULL;
  resume_turns_leave(&session_shard(session)->resume_turns, &resume->turn);
  queue_remove(&resume->link);
  if (has_stream(session))
    fluxbp_session_server(session)->options.backbone->table->past_forget(
        fluxbp_session_server(session)->options.backbone, &resume->want);
  free(resume->wanted);
  free(resume);
}

void resume_forget_topics(fluxbp_session_t *session) {
  if (session->resume == NULL) return;
  free(session->resume->wanted);
  session->resume->wanted = NULL;
  session->resume->oldest = 0;
}

/* While the backbone is away it isn't known what the other gateways have had. */
static bool is_behind(const fluxbp_server_t *server) {
  return server->options.backbone != NULL && server->options.backbone->table->problem(server->options.backbone) != NULL;
}

/* Those that go on waiting take a place at the end, so that all have their turn. @return whether it was the time that
 * ended it */
static bool try_all(struct shard *shard) {
  const struct queue_link *last = shard->resumes.ends.previous;
  uint64_t begun_ns = uv_hrtime();
  struct queue_link *link;
  bool was_last = false;
  while (!was_last && (link = queue_first(&shard->resumes)) != NULL) {
    struct resume *resume = QUEUE_ITEM(link, struct resume, link);
    fluxbp_session_t *session = resume->session;
    was_last = link == last;
    queue_remove(link);
    queue_append(&shard->resumes, link);
    bool is_last_try = ++resume->tries >= TRIES_MAX && !is_behind(shard->server);
    bool is_over = session->is_closing || atomic_load(&shard->server->is_stopping); /* as it was told, or will be */
    if (is_over || try_to_resume(resume, is_last_try)) resume_forget(session);
    if (uv_hrtime() - begun_ns >= SLICE_NS) return true;
  }
  return false;
}

void resume_try_again(uv_timer_t *timer) {
  struct shard *shard = timer->data;
  bool is_cut = try_all(shard);
  if (queue_first(&shard->resumes) != NULL) uv_timer_start(timer, resume_try_again, is_cut ? 1 : RETRY_MS, 0);
}
