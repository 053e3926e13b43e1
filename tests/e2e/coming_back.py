# SPDX-License-Identifier: MIT
"""A client that comes back, or whose program says in its address what it wants, is understood or told what is wrong: nothing
of what it asks for is ignored.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect_equal, run
from wire import Sse, WebSocket, ask


def publish(gateway, text, topic="news"):
    """The id that it was given."""
    response = ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", text.encode())
    expect_equal(response.status, 200, f"publishing {text}")
    return response.json()["id"]


def topics_that_are_repeated_add_up():
    gateway = Gateway()
    sse = Sse(gateway.http, "/sse?topic=a&topic=b,c")
    websocket = WebSocket(gateway.http, "/ws?topic=a&name=me&topic=b,c")
    for topic in "abc":
        publish(gateway, f"of {topic}", topic)
        expect_equal(sse.event().data, f"of {topic}", "SSE")
        expect_equal(websocket.text(), f"of {topic}", "WebSocket")
    gateway.stop()


def what_polyfills_send_in_the_query_works_like_the_header():
    gateway = Gateway()
    ids = [publish(gateway, f"m{number}") for number in range(4)]
    old = f"since={ids[0]}"
    for query, headers, first in ((f"lastEventId={ids[1]}", [], 2),
                                  (f"last_event_id={ids[1].replace(':', '%3A')}&{old}", [], 2),
                                  (f"{old}&lastEventId={ids[1]}&lastEventId={ids[2]}", [], 3),
                                  (f"{old}&lastEventId=", [], 1),
                                  (f"lastEventId={ids[0]}", [f"Last-Event-ID: {ids[1]}"], 2)):
        sse = Sse(gateway.http, f"/sse?{query}", headers)
        expect_equal(sse.event_of("resumed", "message").json(), dict(since=ids[first - 1]), f"{query} {headers}")
        expect_equal(sse.event().data, f"m{first}", f"{query} {headers}")
    gateway.stop()


run(topics_that_are_repeated_add_up,
    what_polyfills_send_in_the_query_works_like_the_header)
