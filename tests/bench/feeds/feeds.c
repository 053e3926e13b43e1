/* SPDX-License-Identifier: MIT */
/*
 * feeds: see the header. All that differs from one message to the next comes from a generator that begins with the
 * number of the message (splitmix64).
 */
#include "feeds.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { ORDERS_BYTES = 1024, BOOK_BYTES = 1024, PAGE_BYTES = 4096, INSTRUMENTS = 200, USERS = 5000, ROW_BYTES = 256 };

const char *const feed_names[FEEDS] = {"quotes", "chat", "logs", "orders", "books", "pages"};

static const char *const words[] = {"the",    "and",   "we",    "is",     "it",    "that",  "release", "tomorrow",
                                    "build",  "seems", "to",    "for",    "test",  "works", "not",     "again",
                                    "please", "look",  "at",    "server", "maybe", "why",   "when",    "you",
                                    "thanks", "I",     "think", "should", "have",  "done",  "now",     "later"};
static const char *const names[] = {"Alice", "Bob", "Chiara", "Dmitri", "Emeka", "Fatima", "Goran", "Hana",
                                    "Ines",  "Jun", "Kofi",   "Lena",   "Mateo", "Noor",   "Olga",  "Priya"};
static const char *const paths[] = {
    "/",      "/static/app.js",   "/static/app.css",       "/api/v1/items", "/api/v1/cart",
    "/login", "/images/logo.svg", "/api/v1/search?q=shoes"};
static const char *const agents[] = {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                                     "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15",
                                     "curl/8.5.0"};

/* A message that is being written. */
typedef struct draft {
  char *out;
  size_t length;
  uint64_t seed;
} draft_t;

static uint64_t pick(draft_t *draft, uint64_t count) {
  uint64_t mixed = draft->seed += UINT64_C(0x9e3779b97f4a7c15);
  mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
  return (mixed ^ mixed >> 31) % count;
}

__attribute__((format(printf, 2, 3))) static void add(draft_t *draft, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  draft->length +=
      (size_t) vsnprintf(draft->out + draft->length, FEED_MESSAGE_BYTES - draft->length, format, arguments);
  va_end(arguments);
}

/* Milliseconds since a day in 2025, a few of them for each message. */
static uint64_t time_of(uint64_t number) {
  return UINT64_C(1750000000000) + number * 37;
}

static void write_quote(draft_t *draft, uint64_t number) {
  uint64_t instrument = pick(draft, INSTRUMENTS);
  add(draft, "{\"symbol\":\"S%03" PRIu64 "-USD\",\"bid\":%" PRIu64 ".%02" PRIu64 ",\"ask\":%" PRIu64 ".%02" PRIu64,
      instrument, 100 + instrument, pick(draft, 100), 101 + instrument, pick(draft, 100));
  add(draft, ",\"size\":%" PRIu64 ",\"venue\":\"X%c\",\"time\":%" PRIu64 "}", 1 + pick(draft, 5000),
      'A' + (int) pick(draft, 6), time_of(number));
}

static void write_chat(draft_t *draft, uint64_t number) {
  uint64_t user = pick(draft, USERS);
  add(draft, "{\"id\":%" PRIu64 ",\"room\":\"team-%" PRIu64 "\",\"user\":\"%s%" PRIu64 "\",\"time\":%" PRIu64, number,
      pick(draft, 20), names[user % COUNT(names)], user, time_of(number));
  add(draft, ",\"text\":\"");
  for (uint64_t left = 6 + pick(draft, 30); left > 0; left--)
    add(draft, "%s%s", words[pick(draft, COUNT(words))], left > 1 ? " " : "");
  add(draft, "\"}");
}

static void write_log(draft_t *draft, uint64_t number) {
  uint64_t second = number / 20;
  add(draft, "10.%" PRIu64 ".%" PRIu64 ".%" PRIu64 " - - [15/Jun/2025:%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " +0000]",
      pick(draft, 4), pick(draft, 256), pick(draft, 256), second / 3600 % 24, second / 60 % 60, second % 60);
  add(draft, " \"%s %s HTTP/1.1\" %d %" PRIu64, pick(draft, 8) == 0 ? "POST" : "GET", paths[pick(draft, COUNT(paths))],
      pick(draft, 20) == 0 ? 404 : 200, 200 + pick(draft, 40000));
  add(draft, " \"https://shop.example/\" \"%s\" %" PRIu64 ".%03" PRIu64, agents[pick(draft, COUNT(agents))],
      pick(draft, 2), pick(draft, 1000));
}

static void write_orders(draft_t *draft, uint64_t number) {
  add(draft,
      "{\"type\":\"orders\",\"symbol\":\"S%03" PRIu64 "-USD\",\"sequence\":%" PRIu64 ",\"time\":%" PRIu64
      ",\"orders\":[",
      pick(draft, INSTRUMENTS), 48000000 + number, time_of(number));
  for (bool is_first = true; draft->length < ORDERS_BYTES - ROW_BYTES / 3; is_first = false) {
    add(draft, "%s{\"id\":%" PRIu64 ",\"side\":\"%s\",\"price\":\"%" PRIu64 ".%02" PRIu64 "\"", is_first ? "" : ",",
        1000000 + pick(draft, 9000000), pick(draft, 2) ? "buy" : "sell", 6400 + pick(draft, 30), pick(draft, 100));
    add(draft, ",\"size\":\"%" PRIu64 ".%03" PRIu64 "\",\"status\":\"%s\",\"user\":\"u%" PRIu64 "\"}", pick(draft, 20),
        pick(draft, 1000), pick(draft, 3) ? "open" : "filled", pick(draft, USERS));
  }
  add(draft, "]}");
}

static void write_side(draft_t *draft, const char *side, uint64_t price, size_t most) {
  add(draft, ",\"%s\":[", side);
  for (bool is_first = true; draft->length < most; is_first = false) {
    price += 1 + pick(draft, 9);
    add(draft, "%s[\"%" PRIu64 ".%02" PRIu64 "\",\"%" PRIu64 ".%04" PRIu64 "\"]", is_first ? "" : ",", price / 100,
        price % 100, pick(draft, 4), pick(draft, 10000));
  }
  add(draft, "]");
}

static void write_book(draft_t *draft, uint64_t number) {
  uint64_t price = 6400000 + pick(draft, 3000);
  add(draft, "{\"type\":\"snapshot\",\"symbol\":\"S%03" PRIu64 "-USD\",\"sequence\":%" PRIu64 ",\"time\":%" PRIu64,
      pick(draft, INSTRUMENTS), 48000000 + number, time_of(number));
  write_side(draft, "bids", price, BOOK_BYTES / 2);
  write_side(draft, "asks", price + 500, BOOK_BYTES - 10);
  add(draft, "}");
}

static void write_page(draft_t *draft, uint64_t number) {
  add(draft, "{\"page\":%" PRIu64 ",\"users\":[", number);
  for (bool is_first = true; draft->length < PAGE_BYTES - ROW_BYTES / 2; is_first = false) {
    uint64_t user = pick(draft, USERS);
    const char *name = names[user % COUNT(names)];
    add(draft, "%s{\"id\":%" PRIu64 ",\"name\":\"%s %" PRIu64 "\",\"mail\":\"%s.%" PRIu64 "@mail.example\"",
        is_first ? "" : ",", user, name, user, name, user);
    add(draft, ",\"roles\":[\"reader\"%s],\"active\":%s,\"seen\":%" PRIu64 ",\"note\":\"%s %s %s\"}",
        pick(draft, 3) ? "" : ",\"writer\"", pick(draft, 5) ? "true" : "false", time_of(number) - pick(draft, 90000000),
        words[pick(draft, COUNT(words))], words[pick(draft, COUNT(words))], words[pick(draft, COUNT(words))]);
  }
  add(draft, "]}");
}

size_t feed_write(feed_t feed, uint64_t number, char *out) {
  static void (*const writers[FEEDS])(draft_t * draft, uint64_t number) = {write_quote,  write_chat, write_log,
                                                                           write_orders, write_book, write_page};
  draft_t draft = {.out = out, .seed = number * FEEDS + (uint64_t) feed};
  writers[feed](&draft, number);
  return draft.length;
}
