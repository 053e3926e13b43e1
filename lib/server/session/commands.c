/* SPDX-License-Identifier: MIT */
/*
 * commands: does them, answers them.
 */
#include "commands.h"

#include "answers.h"
#include "deadlines.h"
#include "decisions.h"
#include "identify.h"
#include "intake.h"
#include "resume.h"
#include "server/lines/line_text.h"
#include "session_grants.h"
#include "session_quotas.h"
#include "session_rates.h"
#include "subscriptions.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ERRORS_MAX 10
#define ANSWER_BYTES 256

/* A part of a command: not ended by a NUL. */
struct word {
  const char *text;
  size_t length;
};

struct command {
  const char *name;
  const char *needs; /* its arguments, for the error; NULL: it has none */
  unsigned role;     /* that it takes, or 0 */

  /* False: it can't be done now, and nothing was. */
  bool (*run)(fluxbp_session_t *session, struct word arguments);
};

/* @return the length of what fits */
__attribute__((format(printf, 2, 0))) static size_t format_answer(char line[ANSWER_BYTES], const char *format,
                                                                  va_list arguments) {
  int length = vsnprintf(line, ANSWER_BYTES, format, arguments);
  return length < ANSWER_BYTES ? (size_t) length : ANSWER_BYTES - 1;
}

/* Before the answers of a backbone that are due. */
__attribute__((format(printf, 2, 3))) static void answer(fluxbp_session_t *session, const char *format, ...) {
  char line[ANSWER_BYTES];
  va_list arguments;
  va_start(arguments, format);
  size_t length = format_answer(line, format, arguments);
  va_end(arguments);
  answers_say_at_once(session, line, length);
}

/* The same for a command that was done with a topic. */
static void answer_done(fluxbp_session_t *session, const char *verb, const char *topic) {
  char line[ANSWER_BYTES];
  size_t verb_length = strlen(verb), topic_length = strlen(topic);
  memcpy(line, verb, verb_length);
  memcpy(line + verb_length, topic, topic_length);
  answers_say_at_once(session, line, verb_length + topic_length);
}

/* The same for whoever publishes, and counts the answers: behind those that are due. */
__attribute__((format(printf, 2, 3))) static void answer_in_turn(fluxbp_session_t *session, const char *format, ...) {
  char line[ANSWER_BYTES];
  va_list arguments;
  va_start(arguments, format);
  size_t length = format_answer(line, format, arguments);
  va_end(arguments);
  answers_say(session, line, length);
}

/* Something is wrong with what it sent; what, was answered already. */
static void count_error(fluxbp_session_t *session) {
  if (++session->errors == ERRORS_MAX) session_close(session, FLUXBP_CLOSE_POLICY, "too many errors");
}

/* Cuts off what comes before the first blank. */
static struct word take_word(struct word *rest) {
  const char *blank = memchr(rest->text, ' ', rest->length);
  struct word word = {rest->text, blank != NULL ? (size_t) (blank - rest->text) : rest->length};
  size_t used = blank != NULL ? word.length + 1 : word.length;
  rest->text += used;
  rest->length -= used;
  return word;
}

/* @return whether it fits */
static bool copy_word(struct word word, char *text, size_t capacity) {
  if (word.length >= capacity || memchr(word.text, '\0', word.length) != NULL) return false;
  memcpy(text, word.text, word.length);
  text[word.length] = '\0';
  return true;
}

static const char no_topic[] = "-ERR that is no name of a topic: " FLUXBP_SERVER_TOPIC_RULE;

static bool copy_topic(struct word word, char topic[FLUXBP_SERVER_TOPIC_BYTES + 1]) {
  return fluxbp_server_topic_is_right(word.text, word.length) && copy_word(word, topic, FLUXBP_SERVER_TOPIC_BYTES + 1);
}

static bool take_topic(fluxbp_session_t *session, struct word word, char topic[FLUXBP_SERVER_TOPIC_BYTES + 1]) {
  if (copy_topic(word, topic)) return true;
  answer(session, no_topic);
  count_error(session);
  return false;
}

/* To publish on. */
static bool take_publish_topic(fluxbp_session_t *session, struct word *arguments,
                               char topic[FLUXBP_SERVER_TOPIC_BYTES + 1]) {
  if (copy_topic(take_word(arguments), topic)) return true;
  answer_in_turn(session, no_topic);
  count_error(session);
  return false;
}

static bool run_sub(fluxbp_session_t *session, struct word arguments) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  if (!take_topic(session, arguments, topic)) return true;
  const char *reason;
  fluxbp_decision_t decision = decisions_subscribe(session, topic, &reason);
  if (decision == FLUXBP_REFUSE) answer(session, "-ERR %s", reason);
  if (decision != FLUXBP_ALLOW || session->is_closing) return decision != FLUXBP_LATER;
  int err = session_subscribe(session, topic);
  if (err >= 0) {
    answer_done(session, "+OK SUB ", topic);
  } else if (err == UV_E2BIG) {
    answer(session, "-ERR too many topics: this server's limit of topics per client is %" PRIu32 "; UNSUB one first",
           fluxbp_session_server(session)->options.max_topics_per_session);
    count_error(session);
  } else if (err == UV_EMFILE) { /* not its fault */
    answer(session, "-ERR too many topics: this server's limit of topics is %" PRIu32 "; try again later",
           fluxbp_session_server(session)->options.max_topics);
  } else if (err == UV_ENFILE) { /* nor is it always its own when others share its address */
    answer(session, "-ERR %s", session_quota_problem(session));
  } else {
    answer(session, "-ERR cannot subscribe: %s; try again later", uv_strerror(err));
  }
  return true;
}

static bool run_unsub(fluxbp_session_t *session, struct word arguments) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  if (!take_topic(session, arguments, topic)) return true;
  if (session_unsubscribe(session, topic)) {
    answer_done(session, "+OK UNSUB ", topic);
    return true;
  }
  answer(session, "-ERR not subscribed to %s", topic);
  count_error(session);
  return true;
}

static bool run_ids(fluxbp_session_t *session, struct word arguments) {
  fluxbp_history_range_t range;
  char newest[ID_TEXT_BYTES];
  (void) arguments;
  enum codec_kind codec = session_protocol(session)->codec_with_ids;
  if (codec == CODEC_COUNT) {
    answer(session, "-ERR IDS is for lines and frames: connect with format=json instead");
    return true;
  }
  int err = fluxbp_conn_set_codec(fluxbp_session_conn(session), session_codec(session, codec));
  if (err != 0) {
    answer(session, "-ERR cannot change the format: %s; try again later", uv_strerror(err));
    return true;
  }
  session->has_ids = true;
  if (session->is_served) deadlines_expect_ping(session);
  fluxbp_hub_history(session_shard(session)->hub, &range);
  id_format(&fluxbp_session_server(session)->codecs, range.newest_id, newest);
  answer(session, "+OK IDS %s", newest);
  return true;
}

static bool run_resume(fluxbp_session_t *session, struct word arguments) {
  static const char last[] = "last=";
  size_t skipped = sizeof last - 1;
  char text[ID_TEXT_BYTES];
  struct resume_point point;
  bool is_text = copy_word(arguments, text, sizeof text);
  bool is_last = is_text && strncmp(text, last, skipped) == 0;
  if (is_text && (is_last ? resume_point_parse_last(text + skipped, &point) : resume_point_parse(text, &point))) {
    session_resume(session, &point);
    return true;
  }
  answer(session, "-ERR RESUME needs an id such as 5f1c0de5a7b3c9d2:17, oldest, or last=N");
  count_error(session);
  return true;
}

/* Have the program decide whether the message may be published; one that it has allowed, and for which there was no
 * room, may. @return LATER: it isn't known yet. If it is refused, that was answered */
static fluxbp_decision_t ask_to_publish(fluxbp_session_t *session, const struct publication *wish) {
  const char *reason;
  if (session->is_allowed) return FLUXBP_ALLOW;
  if (!server_may_publish(fluxbp_session_server(session), wish)) return FLUXBP_ALLOW; /* told below */
  fluxbp_decision_t decision = decisions_publish(session, wish->topic, wish->key, wish->data, wish->length, &reason);
  if (decision == FLUXBP_REFUSE) answer_in_turn(session, "-ERR %s", reason);
  return decision;
}

/* With a backbone, the answer comes when that has the message. No message: the value of the key is taken back. False:
 * there is no room for it yet. */
static bool publish_for(fluxbp_session_t *session, const char *verb, const char *topic, const char *key,
                        const struct word *message) {
  fluxbp_server_t *server = fluxbp_session_server(session);
  struct publication publication = {.topic = topic,
                                    .key = key,
                                    .data = message != NULL ? message->text : NULL,
                                    .length = message != NULL ? message->length : 0,
                                    .payers = session_payers(session)};
  fluxbp_decision_t decision = ask_to_publish(session, &publication);
  if (decision != FLUXBP_ALLOW || session->is_closing) return decision != FLUXBP_LATER;
  session->is_allowed = false;
  struct answer *due = server->options.backbone != NULL ? answer_create(session, verb) : NULL;
  const char *problem = "busy: too many answers are due; try again in a second";
  uint64_t id = 0;
  int err = UV_EAGAIN;
  if (server->options.backbone == NULL || due != NULL)
    err = server_publish(server, &publication, answer_waiter(due), &id, &problem);
  if (err == 0 && due != NULL) {
    answer_expect(due);
    return true;
  }
  answer_discard(due);
  if (err == UV_EAGAIN && !intake_is_overdue(session)) {
    session->is_allowed = true;
    return false;
  }
  if (err == 0) {
    answers_say_published(session, verb, id);
    return true;
  }
  server_count_refusal(server, err);
  answer_in_turn(session, "-ERR %s", problem);
  if (err == UV_EINVAL || err == UV_E2BIG) count_error(session);
  return true;
}

static bool run_pub(fluxbp_session_t *session, struct word arguments) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  if (!take_publish_topic(session, &arguments, topic)) return true;
  return publish_for(session, "PUB", topic, NULL, &arguments);
}

static bool run_set(fluxbp_session_t *session, struct word arguments) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  if (!take_publish_topic(session, &arguments, topic)) return true;
  if (copy_word(take_word(&arguments), key, sizeof key)) return publish_for(session, "SET", topic, key, &arguments);
  answer_in_turn(session, "-ERR a key has 1 to %d bytes", FLUXBP_SERVER_KEY_BYTES);
  count_error(session);
  return true;
}

static bool run_unset(fluxbp_session_t *session, struct word arguments) {
  char topic[FLUXBP_SERVER_TOPIC_BYTES + 1];
  char key[FLUXBP_SERVER_KEY_BYTES + 1];
  if (!take_publish_topic(session, &arguments, topic)) return true;
  if (copy_word(take_word(&arguments), key, sizeof key) && arguments.length == 0)
    return publish_for(session, "UNSET", topic, key, NULL);
  answer_in_turn(session, "-ERR UNSET needs: topic key; a key has 1 to %d bytes, and no blank",
                 FLUXBP_SERVER_KEY_BYTES);
  count_error(session);
  return true;
}

static bool run_auth(fluxbp_session_t *session, struct word arguments) {
  const struct protocol *protocol = session_protocol(session);
  const struct shown shown = {.token = arguments.text, .token_length = arguments.length};
  const char *problem;
  unsigned roles;
  enum identity identity = session_identify(session, &shown, &roles, &problem);
  if (identity == IDENTITY_LATER) return false;
  if (identity != IDENTITY_KNOWN) {
    answer(session, "-ERR %s", problem);
    if (identity == IDENTITY_REFUSED) count_error(session);
    return true;
  }
  if (session->is_closing) return true;
  answer(session, "+OK AUTH%s%s%s", roles & FLUXBP_ROLE_SUBSCRIBE ? " subscribe" : "",
         roles & FLUXBP_ROLE_PUBLISH ? " publish" : "", roles & FLUXBP_ROLE_ADMIN ? " admin" : "");
  if (session->is_served) return true;
  if ((session->roles & FLUXBP_ROLE_SUBSCRIBE) != 0 && protocol->welcome != NULL)
    protocol->welcome(session);
  else if (!session->ends_when_answered) /* it may stay without subscribing */
    session_expect_nothing(session);
  return true;
}

static bool run_name(fluxbp_session_t *session, struct word arguments) {
  if (memchr(arguments.text, '\0', arguments.length) != NULL) {
    answer(session, "-ERR a name has no NUL in it");
    count_error(session);
    return true;
  }
  (void) fluxbp_session_set_name(session, arguments.text, arguments.length);
  answer(session, "+OK NAME");
  return true;
}

static bool run_ping(fluxbp_session_t *session, struct word arguments) {
  (void) arguments;
  answer(session, "+PONG");
  return true;
}

static bool run_quit(fluxbp_session_t *session, struct word arguments) {
  (void) arguments;
  answers_quit(session);
  return true;
}

static const struct command commands[] = {
    {"SUB", "topic", FLUXBP_ROLE_SUBSCRIBE, run_sub},
    {"UNSUB", "topic", 0, run_unsub},
    {"IDS", NULL, 0, run_ids},
    {"RESUME", "epoch:id, oldest, or last=N", FLUXBP_ROLE_SUBSCRIBE, run_resume},
    {"PUB", "topic message", FLUXBP_ROLE_PUBLISH, run_pub},
    {"SET", "topic key message", FLUXBP_ROLE_PUBLISH, run_set},
    {"UNSET", "topic key", FLUXBP_ROLE_PUBLISH, run_unset},
    {"AUTH", "token", 0, run_auth},
    {"NAME", "name", 0, run_name},
    {"PING", NULL, 0, run_ping},
    {"QUIT", NULL, 0, run_quit},
};

static const struct command *find_command(struct word word) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (strlen(commands[i].name) == word.length && strncasecmp(commands[i].name, word.text, word.length) == 0)
      return &commands[i];
  return NULL;
}

/* Publishers are told in turn. */
static void complain(fluxbp_session_t *session, const struct command *command, const char *text) {
  if (command->role == FLUXBP_ROLE_PUBLISH)
    answer_in_turn(session, "-ERR %s %s", command->name, text);
  else
    answer(session, "-ERR %s %s", command->name, text);
  count_error(session);
}

/* Return whether the client isn't served yet, and the command is for one that is: public topics take no token, but the
 * topics of a WebSocket's request do. */
static bool has_to_wait(const fluxbp_session_t *session, const struct command *command) {
  return command->role == FLUXBP_ROLE_SUBSCRIBE && !session->is_served;
}

/* `command` is NULL if there is none of that name; `rest` has no text if there was none at all. False: it can't be done
 * now. */
static bool run_command(fluxbp_session_t *session, const struct command *command, struct word rest) {
  if (rest.text == NULL) { /* no error: a person may have pressed a key */
    answer_in_turn(session, "-ERR an empty command");
  } else if (command == NULL) {
    answer(session,
           "-ERR unknown command: there are SUB, UNSUB, IDS, RESUME, PUB, SET, UNSET, AUTH, NAME, PING and QUIT");
    count_error(session);
  } else if (command->needs != NULL && rest.length == 0) {
    char text[64];
    snprintf(text, sizeof text, "needs: %s", command->needs);
    complain(session, command, text);
  } else if ((session->roles & command->role) != command->role || has_to_wait(session, command)) {
    complain(session, command, "takes a token for that: AUTH token first");
    session_note_not_allowed(session, (fluxbp_role_t) command->role, NULL);
  } else {
    return command->run(session, rest);
  }
  return true;
}

static bool may_run(fluxbp_session_t *session, enum rate rate) {
  if (decisions_are_due(session) || resume_is_in_line(session)) return false;
  return answers_have_room(session) && !answers_are_stuck(session) && session_has_tokens(session, rate) &&
         intake_has_time(session);
}

uint32_t commands_max_bytes(const fluxbp_session_t *session) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  bool may_be_long = (session->roles & FLUXBP_ROLE_PUBLISH) != 0 || server->handlers.on_message != NULL;
  return COMMAND_BYTES + (may_be_long ? (uint32_t) server->options.max_message : 0);
}

/* Whether the message is for the program. */
static bool is_for_program(const fluxbp_session_t *session, const struct command *command, fluxbp_kind_t kind) {
  if (fluxbp_session_server(session)->handlers.on_message == NULL) return false;
  if (command == NULL) return true;
  return kind == FLUXBP_KIND_BINARY && session_protocol(session)->tells_binary;
}

bool commands_run(fluxbp_session_t *session, const char *text, size_t length, fluxbp_kind_t kind) {
  const fluxbp_server_t *server = fluxbp_session_server(session);
  bool is_message = session_protocol(session)->tells_binary; /* a line or a frame has no line end left */
  struct word rest = {text, is_message ? line_text_trimmed(text, length) : length};
  if (rest.length == 0) rest.text = NULL;
  if (session->quits_when_answered) return true;
  bool has_commands = (server->options.parts & FLUXBP_PART_COMMANDS) != 0;
  const struct command *command = rest.text != NULL && has_commands ? find_command(take_word(&rest)) : NULL;
  bool is_own = is_for_program(session, command, kind);
  bool quits = command != NULL && command->run == run_quit && !is_own;
  bool publishes = command != NULL && command->role == FLUXBP_ROLE_PUBLISH && !is_own;
  enum rate rate = publishes ? RATE_PUBLISHES : RATE_COMMANDS;
  if (!quits && !may_run(session, rate)) return false;
  if (is_own && server->handlers.on_message(session, text, length, kind) == UV_EAGAIN) return false;
  if (!is_own && !run_command(session, command, rest)) return false;
  session_pay(session, rate, 1);
  session_shard(session)->commands_total++;
  return true;
}

bool commands_take(fluxbp_session_t *session, const char *text, size_t length, fluxbp_kind_t kind) {
  if (commands_run(session, text, length, kind)) return true;
  intake_keep(session, text, length, kind);
  return false;
}
