# SPDX-License-Identifier: MIT
"""How many commands, requests and messages a second one client, all of one address, and all of one subject may send: a faster one
waits, and is served all the same."""
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, until
from limited_gateway import ONE, OTHER, PUBLISHER, limited, lines_of, start, start_with_keys, token_of
from tokens import Key
from wire import PING, PONG, Behind, Http, Lines, WebSocket, ask, frame


def answered(client, count):
    """Waits for so many answers to PING."""
    for _ in range(count):
        expect_equal(client.answer(), "+PONG", "the answer")


def a_client_that_is_too_fast_waits_and_others_do_not():
    """At five a second: fifty at once, and the rest takes the time that it takes."""
    gateway = start("--command-rate", 5)
    fast, other = lines_of(gateway, ONE), lines_of(gateway, ONE)
    fast.send(b"PING\n" * 55)
    answered(fast, 50)
    until("it waits", lambda: limited(gateway).get("commands_per_client", 0) >= 1)
    expect_equal(other.ask("PING"), "+PONG", "another one of the same address")
    answered(fast, 5)
    fast.send(b"PING\n" * 5)
    fast.socket.shutdown(socket.SHUT_WR)
    answered(fast, 5)  # also behind its end
    fast.expect_closed("behind all of it")
    gateway.stop()


def all_of_an_address_have_one_rate():
    gateway = start("--command-rate-per-address", 5)
    one, two, other = (lines_of(gateway, client) for client in (ONE, ONE, OTHER))
    for client in one, two:
        client.send(b"PING\n" * 28)
    other.send(b"PING\n" * 40)
    for client in other, one, two:
        answered(client, 40 if client is other else 28)
    expect_equal(list(limited(gateway)), ["commands_per_address"], "what was reached")
    one.close()
    two.close()
    again = lines_of(gateway, ONE)  # it has the same account
    again.send(b"PING\n" * 40)
    before = limited(gateway)["commands_per_address"]
    answered(again, 40)
    expect(limited(gateway)["commands_per_address"] > before, "an address that comes again had to wait")
    gateway.stop()


def all_of_a_subject_have_one_rate():
    key = Key()
    gateway = start_with_keys(key, "--command-rate-per-subject", 5)
    alice, bob = token_of(key, "alice"), token_of(key, "bob")
    one, two, other = (Lines(Behind(gateway.lines, client)) for client in (ONE, OTHER, OTHER))
    for client, token in (one, alice), (two, alice), (other, bob):
        expect_equal(client.ask(f"AUTH {token}"), "+OK AUTH subscribe publish", "a token")
    for client in one, two:
        client.send(b"PING\n" * 28)
    other.send(b"PING\n" * 40)
    for client in other, one, two:
        answered(client, 40 if client is other else 28)
    gateway.stop()


def requests_and_pings_have_the_rate_too():
    gateway = start("--command-rate", 5)
    http = Http(Behind(gateway.http, ONE))
    http.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 55)
    for _ in range(55):
        expect_equal(http.response().status, 200, "a request")
    before = limited(gateway)["commands_per_client"]
    expect(before >= 1, "the requests had to wait")
    websocket = WebSocket(Behind(gateway.http, ONE))
    websocket.send(b"".join(frame(PING, b"x") for _ in range(55)))
    for _ in range(55):
        expect_equal(websocket.frame(), (PONG, b"x"), "a pong")
    expect(limited(gateway)["commands_per_client"] > before, "the pings had to wait")
    gateway.stop()


def publishing_has_a_rate_of_its_own():
    gateway = start("--publish-rate", 5, "--state", "prices")
    publisher = lines_of(gateway, ONE)
    expect_equal(publisher.ask(f"AUTH {PUBLISHER}"), "+OK AUTH publish", "a publisher")
    publisher.send(b"PUB other x\nSET prices a 1\nUNSET prices a\n" * 18)
    for _ in range(18):
        for verb in "PUB", "SET", "UNSET":
            expect(publisher.answer().startswith(f"+OK {verb} "), verb)
    before = limited(gateway)
    expect_equal(list(before), ["publishes_per_client"], "what was reached")
    http = Http(Behind(gateway.http, OTHER))
    bulk = b'{"topic":"other","data":"x"}\n' * 55
    for _ in range(2):  # the second one waits for what the first has cost
        response = http.ask("POST", "/api/v1/publish", bulk, [f"Authorization: Bearer {PUBLISHER}", "Content-Type: application/x-ndjson"])
        expect_equal((response.status, response.json()["published"]), (200, 55), "a bulk")
    expect(sum(limited(gateway).values()) > before["publishes_per_client"], "the second bulk had to wait")
    gateway.stop()


def publishing_has_no_rate_by_default():
    gateway = start("--command-rate", 1)
    publisher = lines_of(gateway, ONE)
    expect_equal(publisher.ask(f"AUTH {PUBLISHER}"), "+OK AUTH publish", "a publisher")
    publisher.send(b"PUB other x\n" * 2000)
    for _ in range(2000):
        expect(publisher.answer().startswith("+OK PUB "), "a message")
    http = Http(Behind(gateway.http, OTHER))
    for _ in range(100):
        response = http.ask("POST", "/api/v1/publish?topic=other", b"x", [f"Authorization: Bearer {PUBLISHER}"])
        expect_equal(response.status, 200, "by HTTP")
    expect_equal(limited(gateway), {}, "what was reached")
    gateway.stop()


if __name__ == "__main__":
    run(a_client_that_is_too_fast_waits_and_others_do_not, all_of_an_address_have_one_rate,
        all_of_a_subject_have_one_rate, requests_and_pings_have_the_rate_too, publishing_has_a_rate_of_its_own,
        publishing_has_no_rate_by_default)
