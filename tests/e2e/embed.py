#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/embed as people use it: the page in a browser, its stream, messages by curl, and the end."""
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, start_process  # noqa: E402
from wire import Closed, Http, Sse, ask  # noqa: E402

BROWSERS = 3


class Embed:
    def __init__(self):
        program = os.path.join(os.environ["BUILD"], "examples", "embed")
        self.process = start_process([program, "0"], stdout=subprocess.PIPE)
        self.http = ("127.0.0.1", int(re.search(r":(\d+)", self.process.stdout.readline().decode()).group(1)))

    def say(self, text):
        answer = ask(self.http, "POST", "/say", text.encode())
        expect_equal((answer.status, answer.body), (200, b"published\n"), "the answer to a message")

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        expect_equal(self.process.wait(), 0, "exit code")


def a_page_shows_what_is_said():
    embed = Embed()
    page = ask(embed.http, "GET", "/")
    expect_equal((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"), "the page")
    text = page.body.decode()
    stream = re.search(r"EventSource\('([^']*)'\)", text).group(1)
    expect("fetch('/say', {method: 'POST'" in text, "the page's form")
    expect("'unsafe-inline'" in page.headers["content-security-policy"], "the page may run its script")
    browsers = [Sse(embed.http, stream) for _ in range(BROWSERS)]
    for number in range(20):
        embed.say(f"message {number}")
    for browser in browsers:
        for number in range(20):
            expect_equal(browser.event().data, f"message {number}", "the next event")
    status = ask(embed.http, "GET", "/status").body.decode()
    # the page, the streams, the messages, and this request: each came by a socket that the program has accepted
    expect_equal(status, f"accepted {1 + BROWSERS + 20 + 1}\npublished 20\nsubscribers {BROWSERS}\n", "the figures")
    embed.stop()


def the_routes_say_what_is_wrong():
    embed = Embed()
    client = Http(embed.http)  # all by one connection
    expect_equal(client.ask("GET", "/nothing").status, 404, "a path that nobody has")
    expect_equal(client.ask("GET", "/say").status, 405, "another method")
    expect_equal(client.ask("POST", "/", b"x").status, 405, "another method")
    expect_equal(client.ask("POST", "/say").status, 400, "an empty message")
    expect_equal(client.ask("GET", "/metrics").status, 404, "a part that is left out")
    expect_equal(client.ask("POST", "/say", b"x", ["Origin: http://evil.example"]).status, 403, "another site's page")
    expect_equal(ask(embed.http, "GET", "/status").body.decode().split("\n")[1], "published 0", "the messages")
    embed.stop(signal.SIGINT)


def the_end_comes_while_clients_are_there():
    embed = Embed()
    idle, browser = Http(embed.http), Sse(embed.http, "/sse")
    embed.say("the last one")
    embed.stop()
    expect_equal(browser.event().data, "the last one", "what was queued")
    idle.expect_closed("a client that has asked nothing")
    try:
        while True:
            browser.any_event()
    except Closed:
        pass


run(a_page_shows_what_is_said, the_routes_say_what_is_wrong, the_end_comes_while_clients_are_there)
