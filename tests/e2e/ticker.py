#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/ticker as a person uses it: the page in a browser, its stream of prices, and netcat."""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, start_process  # noqa: E402
from wire import Lines, Sse, WebSocket, ask  # noqa: E402

SYMBOLS = {"ACME", "BOLT", "CORK", "DUNE", "ECHO", "FERN", "GALE", "HAZE"}


class Ticker:
    def __init__(self):
        program = os.path.join(os.environ["BUILD"], "examples", "ticker")
        self.process = start_process([program, "127.0.0.1:0", "127.0.0.1:0"], stdout=subprocess.PIPE)
        ready = self.process.stdout.readline().decode()
        ports = re.findall(r"127\.0\.0\.1:(\d+)", ready)
        self.lines, self.http = [("127.0.0.1", int(port)) for port in ports]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        expect_equal(self.process.wait(), 0, "exit code")


def a_page_shows_the_prices():
    ticker = Ticker()
    page = ask(ticker.http, "GET", "/")
    expect_equal(page.status, 200, "status")
    stream = re.search(r"EventSource\('([^']*)'\)", page.body.decode()).group(1)
    prices = {}
    events = Sse(ticker.http, stream)
    while prices.keys() != SYMBOLS:
        message = events.event().json()
        expect(re.fullmatch(r"\d+\.\d\d", message["data"]), f"no price: {message}")
        prices[message["key"]] = message["data"]
    other = Sse(ticker.http, stream)  # a browser that comes later has all of them at once
    first = [other.event().json()["key"] for _ in SYMBOLS]
    expect_equal(set(first), SYMBOLS, "the first events")
    ticker.stop()


def a_pattern_brings_all_trades():
    ticker = Ticker()
    client = Lines(ticker.lines)
    expect_equal(client.text(), "send trades.SYMBOL or trades.* to follow trades", "greeting")
    client.say("trades.*")
    expect_equal(client.text(), "trades.*: subscribed", "answer")
    traded = set()
    while traded != SYMBOLS:
        symbol, price = client.text().split()
        expect(re.fullmatch(r"\d+\.\d\d", price), f"no price: {price}")
        traded.add(symbol)
    one = Lines(ticker.lines)
    one.text()
    one.say("trades.ACME")
    one.text()
    for _ in range(5):
        expect_equal(one.text().split()[0], "ACME", "symbol")
    one.say("rumours")
    while not (text := one.text()).startswith("rumours"):
        pass
    expect_equal(text, "rumours: invalid argument", "answer to something else")
    ticker.stop()


def nothing_else_can_be_subscribed_to():
    ticker = Ticker()
    code, reason = WebSocket(ticker.http, "/ws?topic=secrets").close_code()
    expect_equal((code, reason), (1008, "there are prices and trades.SYMBOL"), "close frame")
    expect_equal(ask(ticker.http, "GET", "/sse?topic=secrets").status, 403, "status")
    expect_equal(ask(ticker.http, "GET", "/api/v1/stats").status, 404, "a part that is left out")
    ticker.stop()


run(a_page_shows_the_prices, a_pattern_brings_all_trades, nothing_else_can_be_subscribed_to)
