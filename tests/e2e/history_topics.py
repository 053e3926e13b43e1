# SPDX-License-Identifier: MIT
"""A busy topic doesn't cost a quiet one its past: a client that comes back to quiet topics gets all of them, and one that comes
back for a topic that doesn't reach back so far is told which.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import Lines, Sse, WebSocket, ask

TOPICS = "busy,hasty,quiet,calm"


def publish(gateway, topic, text):
    """The id that it was given."""
    response = ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", text.encode())
    expect_equal(response.status, 200, f"publishing on {topic}")
    return response.json()["id"]


def start(*arguments):
    """Two topics that are published on for long, and two with a few messages from before that."""
    gateway = Gateway("--tcp-length", "127.0.0.1:0", *arguments)
    gateway.first = publish(gateway, "quiet", "quiet 0")
    publish(gateway, "calm", "calm 0")
    publish(gateway, "quiet", "quiet 1")
    gateway.busy = [publish(gateway, ("busy", "hasty")[number % 2], f"busy {number}") for number in range(300)]
    return gateway


def resume(gateway, topics, since):
    """What a client on lines that has these topics is answered."""
    lines = Lines(gateway.lines)
    for topic in topics.split(","):
        lines.ask(f"SUB {topic}")
    lines.ask("UNSUB news")
    return lines, lines.ask(f"RESUME {since}")


def quiet_topics_are_resumed_from_before_a_flood():
    gateway = start("--history", 200, "--history-topic", 50)
    lines, answer = resume(gateway, "quiet,calm", gateway.first)
    expect_equal(answer, f"+OK RESUMED {gateway.first}", "lines")
    expect_equal([lines.line() for _ in range(2)], ["calm 0", "quiet 1"], "lines")
    sse = Sse(gateway.http, f"/sse?topic=quiet,calm&since={gateway.first}")
    expect_equal([sse.event().name] + [sse.event().data for _ in range(2)], ["resumed", "calm 0", "quiet 1"], "SSE")
    websocket = WebSocket(gateway.http, f"/ws?topic=quiet,calm&since={gateway.first}")
    expect_equal([websocket.text() for _ in range(3)][1:], ["calm 0", "quiet 1"], "WebSocket")

    # all of them from an id that each reaches back to, and the busy ones no further than they are kept
    since = gateway.busy[260]
    lines, answer = resume(gateway, TOPICS, since)
    expect_equal(answer, f"+OK RESUMED {since}", "all topics")
    expect_equal([lines.line() for _ in range(39)], [f"busy {number}" for number in range(261, 300)], "all topics")
    gateway.stop()


def the_topics_that_do_not_reach_back_are_named():
    gateway = start("--history", 200, "--history-topic", 50)
    oldest = gateway.busy[199]  # the last message of `hasty` that isn't kept
    too_old = f"too old, oldest is {oldest}"
    lines, answer = resume(gateway, TOPICS, gateway.first)
    expect_equal(answer, f"-ERR {too_old}, topics busy,hasty", "lines")
    expect_equal(WebSocket(gateway.http, f"/ws?topic={TOPICS}&since={gateway.first}").close_code(),
                 (4010, f"{too_old}, topics busy,hasty"), "WebSocket")
    sse = Sse(gateway.http, f"/sse?topic={TOPICS}&since={gateway.first}")
    event = sse.event()
    expect_equal((event.name, event.json()),
                 ("too_old", dict(reason="too old", oldest=oldest, topics=["busy", "hasty"])), "SSE")
    publish(gateway, "calm", "live")
    expect_equal((lines.line(), sse.event().data), ("live", "live"), "then live")

    _, answer = resume(gateway, "quiet,busy", gateway.busy[197])
    expect_equal(answer, f"-ERR too old, oldest is {gateway.busy[198]}, topics busy", "one of two")
    _, answer = resume(gateway, "quiet,busy", gateway.busy[198])
    expect_equal(answer, f"+OK RESUMED {gateway.busy[198]}", "as old as is said")
    _, answer = resume(gateway, "hasty", gateway.first)
    expect_equal(answer, f"-ERR {too_old}", "a client that has only one topic knows which")
    gateway.stop()


def the_oldest_of_several_topics_is_that_of_each():
    gateway = start("--history", 200, "--history-topic", 50)
    sse = Sse(gateway.http, f"/sse?topic={TOPICS}&since=oldest")
    expect_equal(sse.event().name, "resumed", "from the oldest")
    expect_equal([sse.event().data for _ in range(103)],
                 ["quiet 0", "calm 0", "quiet 1"] + [f"busy {number}" for number in range(200, 300)], "from the oldest")
    gateway.stop()


def by_default_one_busy_topic_leaves_room_for_others():
    gateway = Gateway()
    first = publish(gateway, "quiet", "quiet 0")
    publish(gateway, "quiet", "quiet 1")
    lines = b'{"topic":"busy","data":"x"}\n' * 1000
    for _ in range(25):
        response = ask(gateway.http, "POST", "/api/v1/publish", lines, ["Content-Type: application/x-ndjson"])
        expect_equal(response.status, 200, "publishing")
    newest = lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["newest"].endswith(":25002")
    until("all of it is there", newest)
    sse = Sse(gateway.http, f"/sse?topic=quiet&since={first}")
    expect_equal((sse.event().name, sse.event().data), ("resumed", "quiet 1"), "quiet")
    _, answer = resume(gateway, "busy", first.replace(":1", ":15001"))
    expect(answer.startswith("-ERR too old, oldest is ") and answer.endswith(":15002"), f"10 000 of one topic: {answer}")
    gateway.stop()


def what_is_too_old_by_time_is_forgotten():
    gateway = Gateway("--history-age", 300)
    first = publish(gateway, "quiet", "quiet 0")
    newest = publish(gateway, "quiet", "quiet 1")
    oldest = lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["oldest_since"]
    until("nobody publishes or asks, and it is forgotten", lambda: oldest() == newest)
    _, answer = resume(gateway, "quiet", first)
    expect_equal(answer, f"-ERR too old, oldest is {newest}", "what is forgotten")
    gateway.stop()


run(quiet_topics_are_resumed_from_before_a_flood, the_topics_that_do_not_reach_back_are_named,
    the_oldest_of_several_topics_is_that_of_each, by_default_one_busy_topic_leaves_room_for_others,
    what_is_too_old_by_time_is_forgotten)
