/* SPDX-License-Identifier: MIT */
/*
 * authorizer_answer: from an answer of HTTP to what a client may do. Does no I/O. Thread: any.
 *
 * 200 with an object gives rights: {"sub": SUBJECT, "jti": ID, "expires_in": SECONDS} and the members of rights.h, all
 * optional. 401 and 403 refuse the client. All other answers say nothing about the client.
 */
#ifndef FLUXBP_SERVER_AUTHORIZER_ANSWER_H
#define FLUXBP_SERVER_AUTHORIZER_ANSWER_H

#include "grant.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest body of an answer: more than the longest grant has. */
#define AUTHORIZER_BODY_BYTES 65536

/* The longest time for which an answer is kept, in seconds, whatever it says. */
#define AUTHORIZER_FRESH_S_MAX ((uint64_t) 24 * 60 * 60)

enum authorizer_outcome {
  AUTHORIZER_GIVES,
  AUTHORIZER_REFUSES,
  AUTHORIZER_AWAY /* nothing is known about the client */
};

struct authorizer_answer {
  enum authorizer_outcome outcome;
  struct grant *grant; /* AUTHORIZER_GIVES; else NULL */
};

/* What has come by HTTP. */
struct authorizer_reply {
  const char *problem; /* why there is no whole answer; NULL: there is one */
  long status;         /* 0: the backend hasn't answered */
  const char *body;
  size_t length;
  const char *cache_control; /* "" if there is none */
};

/**
 * Read an answer.
 *
 * @param asked_s Unix time at which the question was sent; the grant's time of issue
 * @param answer  gets the outcome, and a grant with a reference for the caller
 * @param problem gets a sentence for the operator if the outcome is AUTHORIZER_AWAY
 */
void authorizer_answer_read(const struct authorizer_reply *reply, uint64_t asked_s, struct authorizer_answer *answer,
                            const char **problem);

/** Return the seconds for which an answer may be kept: what Cache-Control allows, and no longer than the grant; 0: it
 * may not be kept. */
uint64_t authorizer_answer_fresh_s(const struct authorizer_reply *reply, const struct authorizer_answer *answer,
                                   uint64_t now_s);

/** Return whether a reply shows that the backend doesn't work at the moment, rather than that it can't answer this
 * question. */
bool authorizer_answer_is_outage(const struct authorizer_reply *reply);

#endif
