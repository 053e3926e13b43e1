/* SPDX-License-Identifier: MIT */
/*
 * chat: rooms, nicknames and private messages, for browsers (http://127.0.0.1:9001) and `nc 127.0.0.1 9000` at once.
 *
 *   /nick NAME   /join ROOM   /msg NAME TEXT   /who   /quit       anything else is said in the room
 *
 * A room is a topic. All clients are served on one loop, so the list of members needs no lock.
 */
#include <fluxbp/server.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 1024

struct member {
  fluxbp_session_t *session;
  char room[64]; /* the topic */
  struct member *next;
};

static struct member *members;

static const char page[] =
    "<!doctype html><meta charset=utf-8><title>chat</title><pre id=log></pre>\n"
    "<form><input id=text size=80 autofocus autocomplete=off></form><script>\n"
    "const ws = new WebSocket(`ws://${location.host}/ws`), log = document.getElementById('log')\n"
    "const show = line => { log.append(line + '\\n'); scrollTo(0, document.body.scrollHeight) }\n"
    "ws.onmessage = event => show(event.data)\n"
    "ws.onclose = event => show('closed: ' + event.reason)\n"
    "document.forms[0].onsubmit = ({target: {text}}) => {\n"
    "  ws.send(text.value); show('> ' + text.value); text.value = ''; return false\n"
    "}</script>\n";

/* To one member. */
__attribute__((format(printf, 2, 3))) static void tell(const struct member *member, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void) vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  (void) fluxbp_session_send(member->session, text, strlen(text));
}

/* To the others in the room, behind the member's name. @return UV_EAGAIN: there is no room for it now */
static int tell_others(const struct member *member, const char *what) {
  char text[TEXT_BYTES];
  (void) snprintf(text, sizeof text, "%s%s", fluxbp_session_name(member->session), what);
  return fluxbp_session_publish(member->session, member->room, text, strlen(text));
}

static struct member *find(const char *name) {
  struct member *member = members;
  while (member != NULL && strcmp(fluxbp_session_name(member->session), name) != 0) member = member->next;
  return member;
}

static void join(struct member *member, const char *room) {
  char topic[sizeof member->room];
  (void) snprintf(topic, sizeof topic, "room:%s", room);
  int err = strcmp(topic, member->room) != 0 ? fluxbp_session_subscribe(member->session, topic) : UV_EALREADY;
  if (err != 0) {
    tell(member, "cannot join %s: %s", room, uv_strerror(err));
    return;
  }
  if (member->room[0] != '\0') (void) tell_others(member, " has left the room");
  if (member->room[0] != '\0') (void) fluxbp_session_unsubscribe(member->session, member->room);
  memcpy(member->room, topic, sizeof topic);
  (void) tell_others(member, " is here");
  tell(member, "welcome to %s, %s", room, fluxbp_session_name(member->session));
}

static void on_open(fluxbp_session_t *session) {
  char name[32];
  struct member *member = calloc(1, sizeof *member);
  (void) snprintf(name, sizeof name, "guest%llu", (unsigned long long) fluxbp_session_id(session));
  if (member == NULL || fluxbp_session_set_user(session, member) != 0) abort(); /* out of memory */
  if (fluxbp_session_set_name(session, name, strlen(name)) != 0) abort();
  *member = (struct member){.session = session, .next = members};
  members = member;
  join(member, "lobby");
}

static void on_close(fluxbp_session_t *session, int code, const char *reason) {
  struct member *gone = fluxbp_session_user(session), **place = &members;
  (void) code, (void) reason;
  while (*place != gone) place = &(*place)->next;
  *place = gone->next;
  (void) tell_others(gone, " has gone");
  free(gone);
}

static int on_message(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind) {
  struct member *member = fluxbp_session_user(session), *other;
  char line[TEXT_BYTES - 2] = ": ", word[33] = "", *text = line + 2;
  int rest = 0;
  (void) kind;
  (void) snprintf(text, sizeof line - 2, "%.*s", (int) length, (const char *) data);
  if (*text != '/') return *text != '\0' ? tell_others(member, line) : 0;
  if (sscanf(text, "/nick %32s", word) == 1) {
    int is_free = find(word) == NULL && fluxbp_session_set_name(session, word, strlen(word)) == 0;
    tell(member, "%s %s", is_free ? "you are now" : "there is another", word);
  } else if (sscanf(text, "/join %32s", word) == 1) {
    join(member, word);
  } else if (sscanf(text, "/msg %32s %n", word, &rest) == 1 && rest > 0) {
    if ((other = find(word)) != NULL) tell(other, "%s whispers: %s", fluxbp_session_name(session), text + rest);
    if (other == NULL) tell(member, "there is no %s", word);
  } else if (strcmp(text, "/who") == 0) {
    for (other = members; other != NULL; other = other->next)
      tell(member, "%s is in %s", fluxbp_session_name(other->session), other->room + strlen("room:"));
  } else if (strcmp(text, "/quit") == 0) {
    fluxbp_session_close(session, FLUXBP_CLOSE_NORMAL, "bye");
  } else {
    tell(member, "there are /nick NAME, /join ROOM, /msg NAME TEXT, /who and /quit");
  }
  return 0;
}

static int on_request(fluxbp_request_t *request) {
  if (!fluxbp_text_is(fluxbp_request_path(request), "/")) return UV_ENOENT;
  (void) fluxbp_request_add_header(request, "Content-Security-Policy", "default-src 'self' 'unsafe-inline'");
  fluxbp_request_answer(request, 200, "text/html", page, sizeof page - 1);
  return 0;
}

int main(int argc, char **argv) {
  static const fluxbp_server_handlers_t handlers = {sizeof handlers, .on_open = on_open, .on_message = on_message,
                                                    .on_request = on_request, .on_close = on_close};
  char lines[FLUXBP_ADDRESS_TEXT_BYTES], http[FLUXBP_ADDRESS_TEXT_BYTES];
  fluxbp_server_t *server;
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = uv_default_loop();
  options.handlers = &handlers;
  options.parts = FLUXBP_PART_WEBSOCKET;
  signal(SIGPIPE, SIG_IGN); /* a client that goes away must not end the server */
  int err = fluxbp_server_create(&options, &server);
  if (err == 0) err = fluxbp_server_listen(server, argc > 1 ? argv[1] : "127.0.0.1:9000", FLUXBP_SPEAK_LINES);
  if (err == 0) err = fluxbp_server_listen(server, argc > 2 ? argv[2] : "127.0.0.1:9001", FLUXBP_SPEAK_HTTP);
  if (err < 0) return fprintf(stderr, "chat: cannot start: %s\n", uv_strerror(err)), 1;
  fluxbp_server_address(server, 0, lines);
  fluxbp_server_address(server, 1, http);
  printf("chat: lines at %s, a page at http://%s\n", lines, http);
  fflush(stdout);
  return uv_run(options.loop, UV_RUN_DEFAULT);
}
