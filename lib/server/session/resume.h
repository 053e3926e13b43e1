/* SPDX-License-Identifier: MIT */
/*
 * resume: a client goes on behind the id that it had last.
 *
 * Its log topics are subscribed to anew since that id, after it was told that this is where the continuation begins.
 * What was live for it until then stands before that word, so a client that had begun to receive knows what to throw
 * away.
 */
#ifndef FLUXBP_SERVER_RESUME_H
#define FLUXBP_SERVER_RESUME_H

#include "session.h"

#include <stdbool.h>
#include <stdint.h>

enum resume_kind {
  RESUME_SINCE,  /* behind an id of an epoch */
  RESUME_OLDEST, /* from the oldest message that there is */
  RESUME_LAST    /* the newest `count` messages of each topic, as far as the hub's history goes */
};

/* Where a client wants to begin. */
struct resume_point {
  enum resume_kind kind;
  uint32_t count;
  uint64_t epoch, since;
};

/** Read "epoch:id" or "oldest". @return whether it is one */
bool resume_point_parse(const char *text, struct resume_point *point);

/** Read the number of messages of RESUME_LAST, at least 1. @return whether it is one */
bool resume_point_parse_last(const char *text, struct resume_point *point);

/**
 * Have all log topics that it holds continued from there; its protocol's say_resumed or say_too_old is called, now or
 * when the hub has come as far as the id. If it was too old it is subscribed to them, live, unless that closed it.
 */
void session_resume(fluxbp_session_t *session, const struct resume_point *point);

/** Whether a session waits for its turn to be resumed: nothing that its client has sent is done meanwhile. */
bool resume_is_in_line(const fluxbp_session_t *session);

/** It doesn't want that any more: it is gone. */
void resume_forget(fluxbp_session_t *session);

/** One of its topics is going to be given up. */
void resume_forget_topics(fluxbp_session_t *session);

/** For the timer of clients whose hub is behind. */
void resume_try_again(uv_timer_t *timer);

#endif
