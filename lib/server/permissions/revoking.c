/* SPDX-License-Identifier: MIT */
/*
 * revoking: a revocation is kept first, so that no client can come with the token any more, and then told to all
 * threads, so that the clients that are there go. On the backbone it is a message of a topic that no client can name.
 */
#include "revoking.h"

#include "server/backbone.h"
#include "server/log.h"
#include "server/server.h"
#include "server/session/session_grants.h"
#include "server/session/shard.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_s(void) {
  return (uint64_t) time(NULL);
}

/* The clients that are there. */

struct judgement {
  struct survey survey;
  void (*judge)(fluxbp_session_t *session);
};

static int judge_session(fluxbp_conn_t *conn, void *arg) {
  const struct judgement *judgement = arg;
  fluxbp_session_t *session = fluxbp_conn_user(conn);
  if (!session->is_closing) judgement->judge(session);
  return 0;
}

static void visit_sessions(struct shard *shard, struct survey *survey) {
  fluxbp_hub_each_conn(shard->hub, judge_session, survey);
}

static void on_visited(struct survey *survey) {
  free(survey);
}

static void begin_visits(fluxbp_hub_t *control, void *arg) {
  struct judgement *judgement = arg;
  fluxbp_server_t *server = fluxbp_hub_user(control);
  if (server->shards.has_stopped)
    free(judgement);
  else
    shards_ask(&server->shards, &judgement->survey);
}

static int judge_all(fluxbp_server_t *server, void (*judge)(fluxbp_session_t *session)) {
  struct judgement *judgement = calloc(1, sizeof *judgement);
  if (judgement == NULL) return UV_ENOMEM;
  *judgement = (struct judgement){.survey = {.visit = visit_sessions, .done = on_visited}, .judge = judge};
  int err = fluxbp_hub_post(server->control, begin_visits, judgement);
  if (err != 0) free(judgement);
  return err;
}

int fluxbp_server_set_tokens(fluxbp_server_t *server, fluxbp_tokens_t *tokens) {
  if (atomic_load(&server->is_stopping)) return UV_ECANCELED;
  credentials_set_tokens(&server->credentials, tokens);
  return judge_all(server, session_renew_grants);
}

void fluxbp_server_set_keys(fluxbp_server_t *server, fluxbp_keys_t *keys) {
  credentials_set_keys(&server->credentials, keys);
}

/* One server. */

static int revoke_here(fluxbp_server_t *server, const struct revocation *revocation) {
  int err = revocations_add(server->credentials.revocations, revocation, now_s());
  if (err == 0) err = judge_all(server, session_check_revoked);
  server_log(server, err == 0 ? FLUXBP_LOG_INFO : FLUXBP_LOG_ERROR, "revoked",
             log_word(revocation->subject != NULL ? "subject" : "token",
                      revocation->subject != NULL ? revocation->subject : revocation->token_id),
             log_phrase("result", err == 0 ? "done" : uv_strerror(err)));
  return err;
}

/* All of them. */

static char *write_revocation(const struct revocation *revocation) {
  json_t *object = json_pack("{ss, sI, sI}", revocation->subject != NULL ? "subject" : "token",
                             revocation->subject != NULL ? revocation->subject : revocation->token_id, "issued_until",
                             (json_int_t) revocation->issued_until_s, "until", (json_int_t) revocation->until_s);
  char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  json_decref(object);
  return text;
}

static int pass_on(fluxbp_server_t *server, const struct revocation *revocation) {
  const char *problem;
  if (server->options.backbone == NULL) return 0;
  char *text = write_revocation(revocation);
  if (text == NULL) return UV_ENOMEM;
  int err = server->options.backbone->table->publish(server->options.backbone, REVOKED_TOPIC, NULL, text, strlen(text),
                                                     NULL, &problem);
  free(text);
  return err;
}

int fluxbp_server_revoke(fluxbp_server_t *server, const char *subject, const char *token_id, uint64_t seconds) {
  if ((subject == NULL) == (token_id == NULL) || seconds == 0) return UV_EINVAL;
  const char *text = subject != NULL ? subject : token_id;
  if (*text == '\0' || strlen(text) > GRANT_TEXT_BYTES) return UV_EINVAL;
  if (atomic_load(&server->is_stopping)) return UV_ECANCELED;
  uint64_t now = now_s();
  if (seconds > INT64_MAX - now) return UV_EINVAL;
  struct revocation revocation = {subject, token_id, now, now + seconds};
  int err = revoke_here(server, &revocation);
  return err == 0 ? pass_on(server, &revocation) : err;
}

int revoking_deliver(fluxbp_server_t *server, const void *data, size_t length, const char **problem) {
  struct revocation revocation = {0};
  json_int_t issued_until = 0, until = 0;
  json_t *object = json_loadb(data, length, JSON_REJECT_DUPLICATES, NULL);
  bool is_right =
      object != NULL && json_unpack(object, "{s?s, s?s, sI, sI}", "subject", &revocation.subject, "token",
                                    &revocation.token_id, "issued_until", &issued_until, "until", &until) == 0;
  is_right = is_right && (revocation.subject == NULL) != (revocation.token_id == NULL) && issued_until >= 0;
  revocation.issued_until_s = (uint64_t) issued_until;
  revocation.until_s = until > 0 ? (uint64_t) until : 0;
  int err = is_right ? 0 : UV_EINVAL;
  *problem = "what is no revocation came on the topic of revocations";
  if (err == 0 && revocation.until_s > now_s()) err = revoke_here(server, &revocation);
  if (err != 0 && is_right) *problem = uv_strerror(err);
  json_decref(object);
  return err == UV_ENOMEM ? UV_EAGAIN : err; /* the backbone tries again */
}
