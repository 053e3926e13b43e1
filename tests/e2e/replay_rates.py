# SPDX-License-Identifier: MIT
"""How much of the past a second one client, all of one address, all of one subject, and all of one thread may have replayed."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, until
from limited_gateway import ONE, OTHER, PUBLISHER, limited, lines_of, start, start_with_keys, token_of
from tokens import Key
from wire import Behind, Sse, WebSocket, ask


def fill(gateway, count, size=1):
    """So many messages on the topic `past`, m1 to mCOUNT, with a tail of so many bytes."""
    bulk = "".join(json.dumps({"topic": "past", "data": f"m{i} {'x' * size}"}) + "\n" for i in range(1, count + 1)).encode()
    response = ask(Behind(gateway.http, OTHER), "POST", "/api/v1/publish", bulk,
                   [f"Authorization: Bearer {PUBLISHER}", "Content-Type: application/x-ndjson"])
    expect_equal((response.status, response.json()["published"]), (200, count), "the past")


def reader(gateway, client):
    lines = lines_of(gateway, client)
    expect_equal(lines.ask("UNSUB news"), "+OK UNSUB news", "it reads")
    expect_equal(lines.ask("SUB past"), "+OK SUB past", "the past alone")
    return lines


def expect_replayed(lines, count):
    while (line := lines.line()).startswith("m"):  # of the replay before
        pass
    expect(line.startswith("+OK RESUMED "), line)
    for i in range(1, count + 1):
        line = lines.line()
        expect(line.startswith(f"m{i} "), f"{line} instead of m{i}")


def a_resume_costs_what_it_replays():
    """At ten a second, sixty messages cost six seconds, of which a client has ten: two resumes leave it in debt."""
    gateway = start("--replay-rate", 10, threads=1)
    fill(gateway, 60)
    greedy, other = reader(gateway, ONE), reader(gateway, ONE)
    greedy.say("RESUME oldest")
    since = greedy.line().split(" ")[2]
    greedy.send(f"RESUME {since}\nRESUME {since}\nPING\n".encode())
    until("it waits", lambda: limited(gateway).get("replays_per_client") == 1)
    other.say("RESUME oldest")
    expect_replayed(other, 60)  # of the same address, which has no debt
    expect_replayed(greedy, 0)
    expect_replayed(greedy, 60)
    expect_equal(greedy.line(), "+PONG", "what came behind is done behind")
    expect_equal(list(limited(gateway)), ["replays_per_client"], "what was reached")
    gateway.stop()


def bytes_cost_too():
    gateway = start("--replay-bytes", "1K", threads=1)
    fill(gateway, 15, size=1000)
    greedy = reader(gateway, ONE)
    greedy.send(b"RESUME oldest\nRESUME last=1\n")
    expect_replayed(greedy, 0)
    until("it waits", lambda: limited(gateway) == {"replays_per_client": 1})
    expect(greedy.line().startswith("m1 "), "the first replay")
    while not greedy.line().startswith("+OK RESUMED "):
        pass
    expect(greedy.line().startswith("m15 "), "the last one of the second")
    gateway.stop()


def an_address_and_a_subject_have_one_rate_of_replays():
    gateway = start("--replay-rate-per-address", 10, threads=2)
    fill(gateway, 60)
    for _ in range(2):
        client = reader(gateway, ONE)
        client.say("RESUME oldest")
        expect_replayed(client, 60)
        client.close()
    address = Behind(gateway.http, ONE)
    waiting = [Sse(address, "/sse?topic=past&since=oldest"), WebSocket(address, "/ws?topic=past&since=oldest")]
    until("both wait", lambda: limited(gateway) == {"replays_per_address": 2})
    other = reader(gateway, OTHER)
    other.say("RESUME oldest")
    expect_replayed(other, 60)
    expect_equal(waiting[0].event().name, "resumed", "the event stream")
    for i in range(1, 61):
        expect(waiting[0].event().data.startswith(f"m{i} "), "its past")
    expect(json.loads(waiting[1].frame()[1])["resumed"], "the WebSocket")
    gateway.stop()
    key = Key()
    gateway = start_with_keys(key, "--replay-rate-per-subject", 10)
    alice = token_of(key, "alice")
    bulk = b'{"topic":"past","data":"m1 x"}\n' * 60
    ask(Behind(gateway.http, ONE), "POST", "/api/v1/publish", bulk,
        [f"Authorization: Bearer {alice}", "Content-Type: application/x-ndjson"])
    for client in (ONE, OTHER, ONE):
        sse = Sse(Behind(gateway.http, client), f"/sse?topic=past&since=oldest&token={alice}")
        expect_equal(sse.event().name, "resumed", "an event stream of Alice's")
        sse.close()
    gateway.stop()


def a_storm_of_one_address_holds_up_no_other():
    """The thread replays ten messages a second, and each replay has thirty: of the crowd of one address, which came first, one has
    its turn before the other address, and the rest after that."""
    gateway = start("--replay-rate-per-thread", 10, "--replay-rate-per-address", 10, threads=1)
    fill(gateway, 30)
    first, other = reader(gateway, "192.0.2.9"), reader(gateway, OTHER)
    crowd = [reader(gateway, ONE) for _ in range(4)]
    first.say("RESUME oldest")
    expect_replayed(first, 30)
    for client in crowd:
        client.send(b"RESUME oldest\nPING\n")
    until("they wait", lambda: limited(gateway) == {"replays_per_thread": 4})
    other.say("RESUME oldest")
    expect_replayed(other, 30)
    had_turns = 0
    for client in crowd:
        client.socket.settimeout(0)
        try:
            data = client.socket.recv(65536)
            expect(data.startswith(b"+OK RESUMED "), f"what comes behind a resume is not done before: {data[:40]}")
            expect(b"+PONG" in data, "but then")
            had_turns += 1
        except BlockingIOError:
            pass
    expect_equal(had_turns, 1, "those of the crowd that were before the other address")
    gateway.stop()


if __name__ == "__main__":
    run(a_resume_costs_what_it_replays, bytes_cost_too, an_address_and_a_subject_have_one_rate_of_replays,
        a_storm_of_one_address_holds_up_no_other)
