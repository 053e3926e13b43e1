# SPDX-License-Identifier: MIT
"""A graceful restart on the same port, with clients of others: each has to be there afterwards, by itself.

A client on lines that doesn't read holds the drain up, so that all the others come back while the gateway lets nobody in.
"""
from gateway import Gateway, expect_equal, until
from wire import STALLED_RCVBUF, Http, Lines, ask

DRAIN = ("--stall", 0, "--slow", 0, "--drain-ms", 60000, "--log-level", "debug")


def publish(gateway, text):
    until(f"{text} is published",
          lambda: ask(gateway.http, "POST", "/api/v1/publish?topic=news", text.encode()).status == 200)


def _stall(gateway):
    """A client for which something is queued."""
    client = Lines(gateway.lines, STALLED_RCVBUF)
    for command in ("SUB filling", "UNSUB news"):
        expect_equal(client.ask(command), f"+OK {command}", "subscribed")
    http = Http(gateway.http)

    def is_queued():
        http.ask("POST", "/api/v1/publish?topic=filling", b"x" * 60000)
        return ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]["queued"] > 0

    until("something is queued", is_queued)
    return client


def _subscribers(gateway):
    protocols = ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["protocols"]
    return protocols["sse"] + protocols["websocket"]


def run_restart(start_clients, count, has_all):
    """`start_clients(gateway)` starts so many clients; `has_all(text)`: whether each of them has that message."""
    gateway = Gateway(*DRAIN)
    start_clients(gateway)
    until("all are there", lambda: _subscribers(gateway) == count)
    publish(gateway, "before")
    until("all have the first message", lambda: has_all("before"))
    stalled = _stall(gateway)
    gateway.terminate()
    # Each is closed once when it is told, and once when it has come back; the rest is chance.
    until("they come back while it drains",
          lambda: gateway.log().split("event=stopping")[-1].count("event=closed") >= 2 * count)
    stalled.close()
    expect_equal(gateway.wait(), 0, "exit code")
    again = Gateway(*DRAIN, "--http", "%s:%d" % gateway.http)
    until("all are there again", lambda: _subscribers(again) == count)
    publish(again, "after")
    until("all have the message after it", lambda: has_all("after"))
    again.terminate()
    expect_equal(again.wait(), 0, "exit code")
