/* SPDX-License-Identifier: MIT */
/*
 * subscribe_request: what a request for /ws or /sse asks for in its query and headers, read before anything is done.
 */
#ifndef FLUXBP_SERVER_SUBSCRIBE_REQUEST_H
#define FLUXBP_SERVER_SUBSCRIBE_REQUEST_H

#include "http_reader.h"
#include "server/session/resume.h"
#include "server/session/session.h"

struct subscribe_request {
  size_t topic_count;           /* 0: the default topic */
  size_t topics_length;         /* of the names, */
  char topics[HTTP_HEAD_BYTES]; /* each of which ends with a NUL */
  bool has_format;              /* it says which, */
  bool is_json;                 /* namely that */
  bool resumes;
  struct resume_point point; /* then: from where */
  char name[FLUXBP_SESSION_NAME_BYTES + 1];
};

/** `max_topics`: that a client may have. @return NULL, or what is wrong with it */
const char *subscribe_request_read(struct subscribe_request *wanted, const struct http_request *request,
                                   size_t max_topics);

/** Return whether a client may have all of the topics that it names. */
bool subscribe_request_may_have_all(const struct subscribe_request *wanted, const fluxbp_session_t *session);

/**
 * Have the program decide whether the client may have what it wants.
 *
 * @return REFUSE: `*reason` is for the client. LATER: the request waits, and is done again from its beginning; or the
 *   program
 *   has ended the session
 */
fluxbp_decision_t subscribe_request_decide(const struct subscribe_request *wanted, fluxbp_session_t *session,
                                           const struct http_request *request, const char **reason);

/** Serve a client that has become a subscriber, and subscribe it; closes it if that can't be done. */
void subscribe_request_carry_out(const struct subscribe_request *wanted, fluxbp_session_t *session);

#endif
