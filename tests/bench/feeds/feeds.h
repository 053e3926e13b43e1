/* SPDX-License-Identifier: MIT */
/*
 * feeds: messages such as programs publish, for benches of what compression does to them. Message `number` of a feed is
 * the same in every run.
 *
 *   quotes   a price and a size of one of 200 instruments, as JSON; about 100 bytes
 *   chat     what somebody says in a room, as JSON; about 200 bytes
 *   logs     a line of a web server's log; about 190 bytes
 *   orders   the orders that have changed in a market, as JSON; 1 KB
 *   books    the best prices of a market on both sides, mostly digits, as JSON; 1 KB
 *   pages    a page of a list of users, as JSON; 4 KB
 */
#ifndef FLUXBP_TESTS_BENCH_FEEDS_H
#define FLUXBP_TESTS_BENCH_FEEDS_H

#include <stddef.h>
#include <stdint.h>

typedef enum feed { FEED_QUOTES, FEED_CHAT, FEED_LOGS, FEED_ORDERS, FEED_BOOKS, FEED_PAGES, FEEDS } feed_t;

enum { FEED_MESSAGE_BYTES = 5000 };

extern const char *const feed_names[FEEDS];

/* Write a message: UTF-8 without the end of a line, and no NUL behind it. Returns its length, which is below
 * FEED_MESSAGE_BYTES. */
size_t feed_write(feed_t feed, uint64_t number, char *out);

#endif
