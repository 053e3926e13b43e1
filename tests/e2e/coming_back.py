# SPDX-License-Identifier: MIT
"""A client that comes back, or whose program says in its address what it wants, is understood or told what is wrong: nothing
of what it asks for is ignored.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import Frames, Http, Lines, Sse, WebSocket, ask


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


def retry_of(sse):
    """What an event stream that ends at once says: when to come back; and the reason."""
    expect_equal((sse.status, sse.headers["content-type"]), (200, "text/event-stream"), "turned away")
    retry = re.match(r"retry: (\d+)$", sse.take_until(b"\n\n").decode())
    expect(retry and 1000 <= int(retry[1]) <= 3000, "when to come back")
    event = sse.event()
    expect_equal((event.name, event.json()["retry_ms"]), ("closing", int(retry[1])), "what it is told")
    sse.expect_closed("behind that")
    return int(retry[1]), event.json()["reason"]


def who_asks_for_events_is_told_when_to_come_back(*arguments, reason, who_is_first):
    """What is only for now is no error, which an EventSource wouldn't survive; what is final is one."""
    gateway = Gateway(*arguments)
    first = who_is_first(gateway)
    retries = set()
    for _ in range(5):
        retry, said = retry_of(Sse(gateway.http, "/sse?topic=news", ["Accept: text/event-stream"]))
        expect_equal(said, reason, "reason")
        retries.add(retry)
    expect(len(retries) > 1, f"all come back at the same time: {retries}")
    expect_equal(WebSocket(gateway.http).close_code(), (1013, reason), "WebSocket")
    expect_equal(ask(gateway.http, "GET", "/sse?topics=b").status, 400, "a wrong request")
    expect_equal(ask(gateway.http, "GET", "/sse", headers=["Origin: http://attacker.example"]).status, 403, "an Origin")
    first.close()
    until("there is room again", lambda: is_served(gateway))
    gateway.stop()


def is_served(gateway):
    sse = Sse(gateway.http, "/sse?name=next")
    sse.take_until(b"\n\n")
    if ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"x").status != 200:  # the address has as many as it may
        Lines(gateway.lines).ask("PUB news x")
    served = sse.event().name == "message"
    sse.close()
    return served


def a_full_gateway_ends_no_EventSource():
    def subscribe(gateway):
        first = WebSocket(gateway.http)
        expect_equal(first.ask_command("PING"), "+PONG", "the first")
        return first

    who_asks_for_events_is_told_when_to_come_back("--max-connections", 1, reason="server full; try again later",
                                                  who_is_first=subscribe)


def one_that_takes_no_more_from_an_address_does_not_either():
    who_asks_for_events_is_told_when_to_come_back(
        "--max-per-address", 1, reason="too many clients from your address; try again later",
        who_is_first=lambda gateway: Sse(gateway.http, "/sse"))


def who_is_not_served_is_answered_in_the_form_that_it_asks_in():
    gateway = Gateway("--max-per-address", 1)
    first = Sse(gateway.http, "/sse")
    refused = Http(gateway.http)
    refused.send(b"POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    response = refused.response()
    expect_equal((response.status, response.headers["retry-after"], response.headers["connection"]), (503, "1", "close"),
                 "one whose body has yet to come")
    refused.expect_closed("behind the answer")
    Http(gateway.http).expect_closed("who says nothing gives its place back soon")
    first.close()
    gateway.stop()


def the_start_of_a_request_for_events_that_is_late_is_no_408():
    gateway = Gateway("--handshake", 200)
    for path in ("/sse?topic=news", "/api/v1/watch"):
        http = Http(gateway.http)
        http.send(f"GET {path} HTTP/1.1\r\nHost: loc".encode())
        http.expect_closed(path)
    gateway.stop()


def an_id_that_says_nothing_here_is_too_old_then_live():
    gateway = Gateway()
    newest = publish(gateway, "old")
    for last in ("yesterday", "0123456789abcdef:1", "7", "x" * 200, newest + "0" * 30):
        for query, headers in (("", [f"Last-Event-ID: {last}"]), (f"?lastEventId={last}", [])):
            sse = Sse(gateway.http, "/sse" + query, headers)
            event = sse.event()
            expect_equal((event.name, event.json()["reason"]), ("too_old", "unknown epoch"), f"{query} {headers}")
            publish(gateway, "live")
            expect_equal(sse.event().data, "live", "then live")
            sse.close()
            code, _ = WebSocket(gateway.http, "/ws" + query, headers).close_code()
            expect_equal(code, 4010, "WebSocket")
    expect_equal(ask(gateway.http, "GET", "/sse?since=yesterday").status, 400, "what a program has made up")
    gateway.stop()


def an_empty_command_is_answered():
    gateway = Gateway("--tcp-length", "127.0.0.1:0")
    for client in (Lines(gateway.lines), Frames(gateway.frames)):
        for _ in range(20):  # it is no error that would end the connection
            expect_equal(client.ask(""), "-ERR an empty command", "answer")
        expect_equal(client.ask("PING"), "+PONG", "the next one")
    websocket = WebSocket(gateway.http)
    expect_equal(websocket.ask_command(""), "-ERR an empty command", "WebSocket")
    gateway.stop()


run(topics_that_are_repeated_add_up,
    what_polyfills_send_in_the_query_works_like_the_header,
    a_full_gateway_ends_no_EventSource,
    one_that_takes_no_more_from_an_address_does_not_either,
    who_is_not_served_is_answered_in_the_form_that_it_asks_in,
    the_start_of_a_request_for_events_that_is_late_is_no_408,
    an_id_that_says_nothing_here_is_too_old_then_live,
    an_empty_command_is_answered)
