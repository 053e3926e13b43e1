/* SPDX-License-Identifier: MIT */
/*
 * commands: reads them, does them, answers them.
 */
#include "commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 4096
#define ERRORS_MAX 10
#define INTERVAL_MS 100
#define COMMANDS_PER_INTERVAL 1000 /* costs about a millisecond */
#define ANSWER_BYTES 192

struct command {
  const char *name;
  bool takes_topic;
  void (*run)(struct client *client, const char *topic);
};

void commands_init(struct client *client) {
  line_splitter_init(&client->lines, LINE_MAX_BYTES);
}

static void count_lost(struct client *client) {
  client->lost++;
  client->clients->commands_lost_total++;
}

/* An answer that can't be queued is as good as a lost command: the client has to send it again. */
__attribute__((format(printf, 2, 3))) static void answer(struct client *client, const char *format, ...) {
  char line[ANSWER_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (!client_send(client, line)) count_lost(client);
}

/* Something is wrong with what it sent; what, was answered already. */
static void count_error(struct client *client) {
  if (++client->errors < ERRORS_MAX) return;
  answer(client, "-ERR too many errors: this was the last of %d; closing", ERRORS_MAX);
  client_close(client, "too many errors");
}

static void run_sub(struct client *client, const char *topic) {
  int err = client_subscribe(client, topic);
  if (err >= 0) {
    answer(client, "+OK SUB %s", topic);
  } else if (err == UV_E2BIG) {
    answer(client, "-ERR too many topics: at most %d for one client; UNSUB one first", CLIENT_TOPICS_MAX);
    count_error(client);
  } else if (err == UV_EMFILE) { /* not its fault */
    answer(client, "-ERR too many topics on this server: at most %d; try again later", TOPICS_MAX);
  } else {
    answer(client, "-ERR cannot subscribe: %s; try again later", uv_strerror(err));
  }
}

static void run_unsub(struct client *client, const char *topic) {
  if (client_unsubscribe(client, topic)) {
    answer(client, "+OK UNSUB %s", topic);
    return;
  }
  answer(client, "-ERR not subscribed to %s", topic);
  count_error(client);
}

static void run_ping(struct client *client, const char *topic) {
  (void) topic;
  answer(client, "+PONG");
}

static const struct command commands[] = {
    {"SUB", true, run_sub},
    {"UNSUB", true, run_unsub},
    {"PING", false, run_ping},
};

static const struct command *find_command(const char *word, size_t length) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (strlen(commands[i].name) == length && strncasecmp(commands[i].name, word, length) == 0) return &commands[i];
  return NULL;
}

static void run_line(struct client *client, const char *line, size_t length) {
  const char *space = memchr(line, ' ', length);
  size_t word_length = space != NULL ? (size_t) (space - line) : length;
  const struct command *command = find_command(line, word_length);
  if (command == NULL) {
    answer(client, "-ERR unknown command: send SUB topic, UNSUB topic or PING");
    count_error(client);
    return;
  }
  if (!command->takes_topic) {
    command->run(client, NULL);
    return;
  }
  const char *argument = space != NULL ? space + 1 : line + length;
  size_t argument_length = (size_t) (line + length - argument);
  if (!topics_is_name(argument, argument_length)) {
    answer(client, "-ERR %s needs the name of a topic: " TOPICS_NAME_RULE, command->name);
    count_error(client);
    return;
  }
  char topic[TOPICS_NAME_BYTES + 1];
  memcpy(topic, argument, argument_length);
  topic[argument_length] = '\0';
  command->run(client, topic);
}

/* Whether it has sent more than it may in this interval; says so once. */
static bool is_too_fast(struct client *client) {
  uint64_t now_ms = uv_now(fluxbp_hub_loop(client->clients->hub));
  if (now_ms - client->interval_began_ms >= INTERVAL_MS) {
    client->interval_began_ms = now_ms;
    client->commands = 0;
  }
  if (client->commands < COMMANDS_PER_INTERVAL) {
    client->commands++;
    return false;
  }
  if (client->commands == COMMANDS_PER_INTERVAL) {
    client->commands++;
    answer(client, "-ERR too many commands: at most %d in %d ms; the rest is dropped, send it again later",
           COMMANDS_PER_INTERVAL, INTERVAL_MS);
  }
  return true;
}

static void take_line(struct client *client, const char *line, size_t length) {
  if (length > 0 && line[length - 1] == '\r') length--;
  if (length == 0) return;
  client->clients->commands_total++;
  if (fluxbp_conn_is_backpressured(client->conn)) {
    count_lost(client);
    return;
  }
  if (is_too_fast(client)) {
    client->clients->commands_lost_total++;
    return;
  }
  commands_tell_lost(client);
  run_line(client, line, length);
}

void commands_take(struct client *client, const char *data, size_t length) {
  const char *line;
  size_t line_length;
  while (!client->is_closing) {
    switch (line_splitter_next(&client->lines, &data, &length, &line, &line_length)) {
    case LINE_WHOLE:
      take_line(client, line, line_length);
      break;
    case LINE_NONE:
      line_splitter_trim(&client->lines);
      return;
    case LINE_TOO_LONG:
      answer(client, "-ERR line too long: at most %d bytes; closing", LINE_MAX_BYTES);
      client_close(client, "line too long");
      break;
    case LINE_OUT_OF_MEMORY:
      answer(client, "-ERR the server is out of memory, try again later; closing");
      client_close(client, "out of memory");
      break;
    }
  }
}

void commands_tell_lost(struct client *client) {
  if (client->lost == 0) return;
  char line[ANSWER_BYTES];
  snprintf(line, sizeof line, "-ERR %" PRIu64 " commands or answers were lost: read the answers, then send again",
           client->lost);
  if (client_send(client, line)) client->lost = 0;
}
