# SPDX-License-Identifier: MIT
"""Whoever comes back with the id of its last message gets what it missed, once and in order: 500 clients of all protocols,
each cut off twenty times. Whoever can't be served so is told why.

$SEED repeats a run that failed, $CUTS (20) is how often each client is cut off.
"""
import json
import os
import random
import selectors
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import DEADLINE_S, Gateway, expect, expect_equal, fail, run, until
from resumers import OnFrames, OnLines, OnSse, OnWebSocket
from wire import Frames, Http, Lines, Sse, WebSocket, ask

CLIENTS = 500
CUTS = int(os.environ.get("CUTS", 20))
FILLING = "x" * 40
OTHER_EPOCH = "0123456789abcdef:1"


def newest_id(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["newest"]


def publish(http, topic, text):
    """The id that it was given."""
    response = until("published", lambda: _published(http.ask("POST", f"/api/v1/publish?topic={topic}", text.encode())))
    return response.json()["id"]


def _published(response):
    expect(response.status in (200, 503), response.body)
    return response if response.status == 200 else None


class Publisher:
    """Messages n of topics a and b, a few at a time."""

    def __init__(self, address):
        self.http = Http(address)
        self.counts = dict(a=0, b=0)

    def publish(self, count, draw):
        lines = []
        for _ in range(count):
            topic = draw.choice("ab")
            self.counts[topic] += 1
            lines.append(json.dumps(dict(topic=topic, data=f"{topic} {self.counts[topic]} {FILLING}")))
        body = "\n".join(lines).encode()
        response = self.http.ask("POST", "/api/v1/publish", body, ["Content-Type: application/x-ndjson"])
        expect_equal(response.status, 200, "publishing")


def cut_clients_lose_nothing_and_get_nothing_twice():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}", flush=True)
    draw = random.Random(seed)
    gateway = Gateway("--tcp-length", "127.0.0.1:0", "--threads", 2, "--topic", "a", "--history", 900000,
                      "--stall", 600000, "--slow", 600000, "--slots", 16384, "--ping", 0)  # which nobody answers
    start = newest_id(gateway)
    kinds = ((OnLines, gateway.lines), (OnFrames, gateway.frames), (OnWebSocket, gateway.http), (OnSse, gateway.http))
    clients = [kind(number, address, draw.choice((["a"], ["b"], ["a", "b"])), start, CUTS, draw)
               for number in range(CLIENTS // len(kinds)) for kind, address in kinds]
    selector = selectors.DefaultSelector()
    publisher = Publisher(gateway.http)
    for client in clients:
        client.connect(selector)

    def is_complete(client):
        return client.cuts_left == 0 and all(client.counts[topic] == publisher.counts[topic] for topic in client.topics)

    progress_at = time.monotonic()
    cuts_left = sum(client.cuts_left for client in clients)
    while True:
        for key, mask in selector.select(0.05):
            key.data.on_event(selector, mask)
        cuts_now = sum(client.cuts_left for client in clients)
        if cuts_now != cuts_left:
            cuts_left, progress_at = cuts_now, time.monotonic()
        if cuts_left > 0:  # who has nothing to receive can't be cut: some messages for whatever they have done meanwhile
            publisher.publish(draw.randrange(1, 3), draw)
        elif all(is_complete(client) for client in clients):
            break
        if time.monotonic() > progress_at + DEADLINE_S:
            fail(f"no more progress: {[str(client) for client in clients if not is_complete(client)][:5]}")
    for client in clients:
        expect(client.resumed_times > 0, f"{client} was never resumed")
        client.close(selector)
    resumed = sum(client.resumed_times for client in clients)
    print(f"{CLIENTS} clients, {CLIENTS * CUTS} cuts, {sum(publisher.counts.values())} messages, resumed {resumed} times")
    gateway.stop()


def since_that_is_too_old_is_answered_with_the_oldest():
    gateway = Gateway("--history", 10)
    http = Http(gateway.http)
    ids = [publish(http, "news", f"m{number}") for number in range(50)]
    oldest = ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["oldest_since"]
    expect_equal(oldest, ids[39], "the oldest that can be continued from, with a history of 10")

    lines = Lines(gateway.lines)
    expect_equal(lines.ask(f"RESUME {ids[0]}"), f"-ERR too old, oldest is {oldest}", "lines")
    websocket = WebSocket(gateway.http, f"/ws?since={ids[0]}")
    expect_equal(websocket.close_code(), (4010, f"too old, oldest is {oldest}"), "WebSocket")
    sse = Sse(gateway.http, f"/sse?since={ids[0]}")
    event = sse.event()
    expect_equal((event.name, event.json()), ("too_old", dict(reason="too old", oldest=oldest)), "SSE")

    publish(http, "news", "live")
    expect_equal(lines.line(), "live", "lines go on live")
    expect_equal(sse.event().data, "live", "SSE goes on live")
    expect_equal(Lines(gateway.lines).ask(f"RESUME {ids[40]}"), f"+OK RESUMED {ids[40]}", "the oldest that is there")
    gateway.stop()


def since_of_another_epoch_or_the_future_is_answered_so():
    gateway = Gateway("--threads", 2)
    http = Http(gateway.http)
    newest = publish(http, "news", "m1")
    epoch, number = newest.split(":")
    future = f"{epoch}:{int(number) + 1000}"
    until("all hubs have it", lambda: newest_id(gateway) == newest)
    for since, problem in ((OTHER_EPOCH, "unknown epoch"), (future, "not yet given")):
        expect(Lines(gateway.lines).ask(f"RESUME {since}").startswith(f"-ERR {problem}, oldest is {epoch}:"), problem)
        code, reason = WebSocket(gateway.http, f"/ws?since={since}").close_code()
        expect_equal((code, reason.split(",")[0]), (4010, problem), "WebSocket")
        event = Sse(gateway.http, "/sse", [f"Last-Event-ID: {since}"]).event()
        expect_equal((event.name, event.json()["reason"]), ("too_old", problem), "SSE")
    for wrong in ("RESUME yesterday", "RESUME 1:1", f"RESUME {epoch}:", f"RESUME {newest}0000000000000000000000000"):
        expect(Lines(gateway.lines).ask(wrong).startswith("-ERR RESUME needs an id"), wrong)
    gateway.stop()


def expect_messages(client, ids, texts, first):
    for id_text, text in list(zip(ids, texts))[first:]:
        line = client.line()
        expect(line == f"{id_text} news {text}", f"{line[:60]} instead of {id_text} {text[:20]}")


def resume(client, since):
    """A client that has much to read is answered when it has read."""
    expect_equal(client.ask(f"RESUME {since}"), f"+OK RESUMED {since}", "answer")


def who_resumes_in_the_middle_of_a_replay_begins_again_from_there():
    gateway = Gateway("--slots", 32, "--tcp-length", "127.0.0.1:0")
    http = Http(gateway.http)
    texts = [""] + [f"m{number} " + "x" * 20000 for number in range(1, 201)]
    ids = [newest_id(gateway)] + [publish(http, "news", text) for text in texts[1:]]
    clients = [Lines(gateway.lines, 16384), Frames(gateway.frames, 16384)]
    for client in clients:
        expect_equal(client.ask("IDS"), f"+OK IDS {ids[-1]}", "answer")
        resume(client, ids[0])
        expect_messages(client, ids[:21], texts, 1)
        resume(client, ids[10])
        expect_messages(client, ids, texts, 11)
    live = publish(http, "news", "live")
    for client in clients:
        expect_equal(client.line(), f"{live} news live", "behind the replay")
    gateway.stop()


def of_many_that_are_asked_for_at_once_the_last_one_counts():
    gateway = Gateway("--tcp-length", "127.0.0.1:0")
    http = Http(gateway.http)
    texts = [""] + [f"m{number}" for number in range(1, 201)]
    ids = [newest_id(gateway)] + [publish(http, "news", text) for text in texts[1:]]
    for client in (Lines(gateway.lines), Frames(gateway.frames)):
        expect_equal(client.ask("IDS"), f"+OK IDS {ids[-1]}", "answer")
        for since in (0, 100, 50, 150, 10):
            client.say(f"RESUME {ids[since]}")
        for since in (0, 100, 50, 150, 10):
            expect_equal(client.answer(), f"+OK RESUMED {ids[since]}", "answer")
        expect_messages(client, ids, texts, 11)
        expect_equal(client.ask("PING"), "+PONG", "behind the replay")
    gateway.stop()


run(since_that_is_too_old_is_answered_with_the_oldest,
    since_of_another_epoch_or_the_future_is_answered_so,
    who_resumes_in_the_middle_of_a_replay_begins_again_from_there,
    of_many_that_are_asked_for_at_once_the_last_one_counts,
    cut_clients_lose_nothing_and_get_nothing_twice)
