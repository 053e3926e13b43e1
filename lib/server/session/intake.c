/* SPDX-License-Identifier: MIT */
/*
 * intake: see the header.
 *
 * A client whose intake is there isn't read. It waits for one of four things. If it has to read first, or an answer
 * is due to a request of its own, whatever brings that calls intake_go_on. If it is faster than its rate, it waits
 * among the delays. If its turn is over, the hub gives it another one. In all other cases it stands in the queue of
 * room.c. What is kept is at most what one read of the hub brings, and one command. The former is in the budget while
 * half of that is free: what waits for memory must not be what uses it up.
 */
#include "intake.h"

#include "answers.h"
#include "commands.h"
#include "deadlines.h"
#include "decisions.h"
#include "delays.h"
#include "resume.h"
#include "room.h"
#include "session_rates.h"

#include <stdlib.h>
#include <string.h>

/* Of the budget, that what is kept may fill. */
#define BUDGET_PART 2

struct intake {
  struct room_waiter waiter;
  struct delay delay; /* while the client has to wait for tokens */
  fluxbp_session_t *session;
  char *command; /* that couldn't be done; NULL: there is none */
  size_t command_length;
  fluxbp_kind_t kind;
  uint32_t since_ms;   /* when it was kept */
  fluxbp_msg_t *piece; /* what `rest` is in, or */
  char *copy;          /* this, in the share of input */
  const char *rest;    /* what has come behind the command */
  size_t rest_length;
  bool is_running;       /* it is being worked off */
  bool waits_for_answer; /* which couldn't be said */
};

static struct room *room_of(const fluxbp_session_t *session) {
  return &session_shard(session)->room;
}

static struct memory *memory_of(const fluxbp_session_t *session) {
  return &fluxbp_session_server(session)->memory;
}

static uint32_t now_ms(const fluxbp_session_t *session) {
  return (uint32_t) uv_now(fluxbp_hub_loop(session_shard(session)->hub));
}

static void free_rest(struct intake *own) {
  if (own->piece != NULL) fluxbp_msg_unref(own->piece);
  memory_free(own->copy);
  own->piece = NULL;
  own->copy = NULL;
  own->rest_length = 0;
}

static void free_command(struct intake *own) {
  memory_free(own->command);
  own->command = NULL;
}

static void leave_queues(struct intake *own) {
  room_leave(&own->waiter);
  delays_remove(&session_shard(own->session)->delays, &own->delay);
}

void intake_forget(fluxbp_session_t *session) {
  struct intake *own = session->intake;
  if (own == NULL) return;
  leave_queues(own);
  free_command(own);
  free_rest(own);
  free(own);
  session->intake = NULL;
}

static bool continue_intake(struct intake *own);

static bool on_turn(struct room_waiter *waiter) {
  return continue_intake((struct intake *) waiter);
}

/* Its command begins to wait for room only now. */
static void on_tokens(struct delay *delay) {
  struct intake *own = QUEUE_ITEM(delay, struct intake, delay);
  own->since_ms = now_ms(own->session);
  (void) continue_intake(own);
}

/* NULL: the client is evicted already, or there is no memory, and it is lost. */
static struct intake *intake_of(fluxbp_session_t *session) {
  if (session->intake != NULL) return session->intake;
  struct intake *own = calloc(1, sizeof *own);
  int err = own != NULL ? fluxbp_conn_pause_read(fluxbp_session_conn(session)) : UV_ENOMEM;
  if (err != 0) {
    free(own);
    if (err != UV_ENOTCONN) session_lose(session);
    return NULL;
  }
  own->waiter.go_on = on_turn;
  own->delay.go_on = on_tokens;
  own->session = session;
  session->intake = own;
  session_shard(session)->pauses_total++;
  return own;
}

void intake_keep(fluxbp_session_t *session, const char *command, size_t length, fluxbp_kind_t kind) {
  struct intake *own = intake_of(session);
  if (own == NULL) return;
  own->command = memory_copy(memory_of(session), MEMORY_INPUT, command, length);
  if (own->command == NULL) {
    session_close(session, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
    return;
  }
  own->command_length = length;
  own->kind = kind;
  own->since_ms = now_ms(session);
}

static bool has_budget(const fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  return fluxbp_pool_used_bytes(server->pool) < server->options.budget / BUDGET_PART;
}

static bool keep_rest(fluxbp_session_t *session, const char *data, size_t length) {
  struct intake *own = intake_of(session);
  if (own == NULL || length == 0) return own != NULL;
  if (has_budget(session) && fluxbp_msg_create(fluxbp_session_server(session)->pool, data, length, &own->piece) == 0) {
    own->rest = fluxbp_msg_data(own->piece);
  } else {
    own->copy = memory_copy(memory_of(session), MEMORY_INPUT, data, length);
    if (own->copy == NULL) {
      session_close(session, FLUXBP_CLOSE_TRY_LATER, MEMORY_REFUSAL);
      return false;
    }
    own->rest = own->copy;
  }
  own->rest_length = length;
  return true;
}

/* Whether the end of its wait is told by a call of intake_go_on. A client that is backpressured, and of which the hub
 * hasn't said so, may have caught up before the hub would say it: then the hub says nothing. */
static bool waits_for_event(const fluxbp_session_t *session) {
  return session->is_backpressured || session_due(session) != DUE_NOTHING || decisions_are_due(session) ||
         resume_is_in_line(session);
}

/* Wait for tokens, for as long as that takes. Without memory for that, ask again and again. */
static void wait_for_tokens(struct intake *own) {
  struct delays *delays = &session_shard(own->session)->delays;
  uint64_t wait_ns = session_wait_ns(own->session);
  if (wait_ns == 0 || delays_add(delays, &own->delay, wait_ns) != 0) room_wait(room_of(own->session), &own->waiter);
}

/* Have it go on when it is its turn, or when there may be room. */
static void wait_to_go_on(fluxbp_session_t *session) {
  bool waits_for_turn = session->is_out_of_time && fluxbp_conn_wait_turn(fluxbp_session_conn(session)) == 0;
  if (!waits_for_turn) room_wait(room_of(session), &session->intake->waiter);
}

/* It has done what it could: wait, or read on. */
static void settle(fluxbp_session_t *session) {
  struct intake *own = session->intake;
  if (session->is_closing || own == NULL) return;
  if (own->command != NULL || own->rest_length > 0 || answers_are_stuck(session)) {
    if (session->waits_for_tokens)
      wait_for_tokens(own);
    else if (!waits_for_event(session))
      wait_to_go_on(session);
    return;
  }
  bool has_waited = own->waits_for_answer;
  intake_forget(session);
  fluxbp_conn_resume_read(fluxbp_session_conn(session));
  if (has_waited) deadlines_renew_message(session);
  answers_end_if_wanted(session);
}

void intake_take(fluxbp_session_t *session, const char *data, size_t length) {
  session->waits_for_tokens = false;
  session->is_out_of_time = false;
  size_t taken = session_protocol(session)->take(session, data, length);
  if (session->is_closing) return;
  if (taken < length && !keep_rest(session, data + taken, length - taken)) return;
  settle(session);
}

void intake_wait(fluxbp_session_t *session) {
  if (session->is_closing || session->intake != NULL) return; /* whoever is at it settles it */
  if (intake_of(session) == NULL) return;
  session->intake->waits_for_answer = true;
  settle(session);
}

bool intake_waits_for_answer(const fluxbp_session_t *session) {
  return session->intake != NULL && session->intake->waits_for_answer;
}

/* @return whether anything was done */
static bool run_kept(fluxbp_session_t *session, struct intake *own) {
  size_t rest_length = own->rest_length;
  if (!answers_flush(session)) return false;
  if (own->command != NULL) {
    if (!commands_run(session, own->command, own->command_length, own->kind)) return false;
    free_command(own);
    rest_length++; /* that was something */
  }
  if (!session->is_closing) { /* without a rest, too: then it frees what it needed for the command */
    size_t taken = session_protocol(session)->take(session, own->rest, own->rest_length);
    own->rest += taken;
    own->rest_length -= taken;
    if (own->rest_length == 0) free_rest(own);
  }
  return own->rest_length < rest_length;
}

static bool continue_intake(struct intake *own) {
  fluxbp_session_t *session = own->session;
  if (own->is_running || session->is_closing) return false;
  fluxbp_conn_t *conn = fluxbp_session_conn(session);
  leave_queues(own);
  session->waits_for_tokens = false;
  own->is_running = true;
  session->is_out_of_time = false;
  fluxbp_conn_begin_input(conn); /* as this may be called from anywhere */
  bool has_done = run_kept(session, own);
  fluxbp_conn_end_input(conn);
  own->is_running = false;
  settle(session);
  return has_done;
}

void intake_go_on(fluxbp_session_t *session) {
  if (session->intake != NULL) (void) continue_intake(session->intake);
}

bool intake_is_behind(const fluxbp_session_t *session) {
  return intake_is_held(session) || fluxbp_conn_is_waiting(fluxbp_session_conn(session));
}

bool intake_has_time(fluxbp_session_t *session) {
  session->is_out_of_time = !fluxbp_conn_may_go_on(fluxbp_session_conn(session));
  return !session->is_out_of_time;
}

bool intake_is_overdue(const fluxbp_session_t *session) {
  const struct intake *own = session->intake;
  if (own == NULL || own->command == NULL) return false;
  return now_ms(session) - own->since_ms >= fluxbp_session_server(session)->options.handshake_ms;
}
