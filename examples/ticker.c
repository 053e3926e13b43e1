/* SPDX-License-Identifier: MIT */
/*
 * ticker: prices that move, for browsers (http://127.0.0.1:9001) and for `nc 127.0.0.1 9000`.
 *
 * `prices` is a state topic with a key for each symbol: a client gets the newest price of each at once, and one that
 * can't keep up gets the newest instead of a queue of old ones. Each symbol has a topic of its trades as well,
 * trades.SYMBOL. A client on lines may send the name of one, or a pattern such as trades.*, to follow these.
 */
#include <fluxbp/server.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 100
#define TRADES_PER_TICK 20
#define NAME_BYTES 64

static const char *const symbols[] = {"ACME", "BOLT", "CORK", "DUNE", "ECHO", "FERN", "GALE", "HAZE"};
enum { SYMBOLS = sizeof symbols / sizeof symbols[0] };

/* Shows the newest price of each symbol. A browser comes back by itself, and gets all of them again. */
static const char page[] =
    "<!doctype html><meta charset=utf-8><title>ticker</title><h1>Prices</h1><table id=prices></table><script>\n"
    "const rows = {}\n"
    "const show = (key, price) => {\n"
    "  rows[key] = rows[key] || document.getElementById('prices').insertRow()\n"
    "  rows[key].innerHTML = `<th>${key}<td>${price}`\n"
    "}\n"
    "new EventSource('/sse?topic=prices&format=json').onmessage = event => {\n"
    "  const message = JSON.parse(event.data)\n"
    "  show(message.key, message.data)\n"
    "}\n"
    "</script>\n";

struct ticker {
  fluxbp_server_t *server;
  uv_timer_t timer;
  unsigned cents[SYMBOLS];
  uint64_t skipped; /* trades for which there was no room */
};

/* The price goes to both topics. A price that finds no room is not waited for: the next one is newer. */
static void trade(struct ticker *ticker, size_t symbol) {
  char topic[NAME_BYTES], price[NAME_BYTES], text[NAME_BYTES];
  unsigned *cents = &ticker->cents[symbol];
  *cents = *cents + (unsigned) rand() % 21 - 10;
  if (*cents < 100) *cents = 100;
  (void) snprintf(topic, sizeof topic, "trades.%s", symbols[symbol]);
  int price_length = snprintf(price, sizeof price, "%u.%02u", *cents / 100, *cents % 100);
  int text_length = snprintf(text, sizeof text, "%s %s", symbols[symbol], price);
  int err = fluxbp_server_publish(ticker->server, "prices", symbols[symbol], price, (size_t) price_length);
  if (err == 0) err = fluxbp_server_publish(ticker->server, topic, NULL, text, (size_t) text_length);
  if (err != 0) ticker->skipped++;
}

static void on_tick(uv_timer_t *timer) {
  struct ticker *ticker = timer->data;
  for (int i = 0; i < TRADES_PER_TICK; i++) trade(ticker, (size_t) rand() % SYMBOLS);
}

/* A client on lines gets a name or a pattern of trades. */
static int on_message(fluxbp_session_t *session, const void *data, size_t length, fluxbp_kind_t kind) {
  char topic[NAME_BYTES + 1] = "", answer[2 * NAME_BYTES];
  (void) kind;
  if (length > NAME_BYTES) length = NAME_BYTES;
  memcpy(topic, data, length);
  int err = strncmp(topic, "trades.", 7) == 0 ? fluxbp_session_subscribe(session, topic) : UV_EINVAL;
  int answer_length = snprintf(answer, sizeof answer, "%s: %s", topic, err == 0 ? "subscribed" : uv_strerror(err));
  (void) fluxbp_session_send(session, answer, (size_t) answer_length);
  return 0;
}

/* On lines nobody asks for a topic in a query. */
static void on_open(fluxbp_session_t *session) {
  if (strcmp(fluxbp_session_protocol(session), "lines") != 0) return;
  static const char hello[] = "send trades.SYMBOL or trades.* to follow trades";
  (void) fluxbp_session_send(session, hello, sizeof hello - 1);
}

/* Only what is published here is there to be subscribed to. */
static fluxbp_decision_t on_subscribe(fluxbp_session_t *session, const char *topic) {
  if (strcmp(topic, "prices") == 0 || strncmp(topic, "trades.", 7) == 0) return FLUXBP_ALLOW;
  return fluxbp_session_refuse(session, "there are prices and trades.SYMBOL");
}

static int on_request(fluxbp_request_t *request) {
  if (!fluxbp_text_is(fluxbp_request_path(request), "/")) return UV_ENOENT;
  (void) fluxbp_request_add_header(request, "Content-Security-Policy", "default-src 'self' 'unsafe-inline'");
  fluxbp_request_answer(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
  return 0;
}

static void on_closed(fluxbp_server_t *server) {
  struct ticker *ticker = fluxbp_server_user(server);
  if (ticker->skipped > 0) printf("ticker: %llu trades skipped\n", (unsigned long long) ticker->skipped);
}

static void on_signal(uv_signal_t *handle, int number) {
  struct ticker *ticker = handle->data;
  (void) number;
  uv_close((uv_handle_t *) handle, NULL);
  uv_close((uv_handle_t *) &ticker->timer, NULL);
  fluxbp_server_close(ticker->server, 1000, on_closed);
}

int main(int argc, char **argv) {
  static const fluxbp_server_handlers_t handlers = {.size = sizeof handlers,
                                                    .on_open = on_open,
                                                    .on_subscribe = on_subscribe,
                                                    .on_message = on_message,
                                                    .on_request = on_request};
  static const char *const states[] = {"prices"};
  static struct ticker ticker;
  const char *addresses[] = {argc > 1 ? argv[1] : "127.0.0.1:9000", argc > 2 ? argv[2] : "127.0.0.1:9001"};
  char lines[FLUXBP_ADDRESS_TEXT_BYTES], http[FLUXBP_ADDRESS_TEXT_BYTES];
  uv_loop_t *loop = uv_default_loop();
  uv_signal_t interrupt;
  fluxbp_server_options_t options;
  fluxbp_server_options_init(&options);
  options.loop = loop;
  options.threads = 2;
  options.handlers = &handlers;
  options.user = &ticker;
  options.parts = FLUXBP_PART_SSE | FLUXBP_PART_WEBSOCKET | FLUXBP_PART_METRICS;
  options.state_topics = (fluxbp_text_list_t){states, 1};
  int err = fluxbp_server_create(&options, &ticker.server);
  int at_lines = err == 0 ? fluxbp_server_listen(ticker.server, addresses[0], FLUXBP_SPEAK_LINES) : err;
  int at_http = at_lines >= 0 ? fluxbp_server_listen(ticker.server, addresses[1], FLUXBP_SPEAK_HTTP) : at_lines;
  if (at_http < 0) {
    fprintf(stderr, "ticker: cannot listen on %s and %s: %s\n", addresses[0], addresses[1], uv_strerror(at_http));
    return 1;
  }
  fluxbp_server_address(ticker.server, at_lines, lines);
  fluxbp_server_address(ticker.server, at_http, http);
  printf("ticker: lines at %s, a page at http://%s\n", lines, http);
  (void) fflush(stdout);

  for (size_t i = 0; i < SYMBOLS; i++) ticker.cents[i] = 5000;
  uv_timer_init(loop, &ticker.timer);
  uv_signal_init(loop, &interrupt);
  ticker.timer.data = interrupt.data = &ticker;
  uv_timer_start(&ticker.timer, on_tick, TICK_MS, TICK_MS);
  uv_signal_start(&interrupt, on_signal, SIGINT);
  return uv_run(loop, UV_RUN_DEFAULT);
}
