# SPDX-License-Identifier: MIT
"""A client that comes back, or whose program says in its address what it wants, is understood or told what is wrong: nothing
of what it asks for is ignored.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import PING, PONG, TEXT, Behind, Frames, Http, Lines, Sse, WebSocket, ask, frame


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


def who_asks_for_events_is_told_when_to_come_back(*arguments, reason, who_is_first, address_of=lambda gateway: gateway.http):
    """A temporary refusal is no error, which an EventSource wouldn't survive; what is final is one."""
    gateway = Gateway(*arguments)
    address = address_of(gateway)
    first = who_is_first(address)
    retries = set()
    for _ in range(5):
        retry, said = retry_of(Sse(address, "/sse?topic=news", ["Accept: text/event-stream"]))
        expect_equal(said, reason, "reason")
        retries.add(retry)
    expect(len(retries) > 1, f"all come back at the same time: {retries}")
    expect_equal(WebSocket(address).close_code(), (1013, reason), "WebSocket")
    expect_equal(ask(address, "GET", "/sse?topics=b").status, 400, "a wrong request")
    expect_equal(ask(address, "GET", "/sse", headers=["Origin: http://attacker.example"]).status, 403, "an Origin")
    first.close()
    until("there is room again", lambda: Sse(address, "/sse").any_event().name == "position")
    gateway.stop()


def a_full_gateway_ends_no_EventSource():
    def subscribe(address):
        first = WebSocket(address)
        expect_equal(first.ask_command("PING"), "+PONG", "the first")
        return first

    who_asks_for_events_is_told_when_to_come_back("--max-connections", 1, reason="server full; try again later",
                                                  who_is_first=subscribe)


def one_that_takes_no_more_from_an_address_does_not_either():
    who_asks_for_events_is_told_when_to_come_back(
        "--max-per-address", 1, "--proxy-from", "127.0.0.0/8",
        reason="too many connections of your address: this server's limit of connections per address is 1",
        who_is_first=lambda address: Sse(address, "/sse"), address_of=lambda gateway: Behind(gateway.http, "192.0.2.7"))


def who_is_not_served_is_answered_in_the_form_that_it_asks_in():
    gateway = Gateway("--max-per-address", 1, "--proxy-from", "127.0.0.0/8")
    address = Behind(gateway.http, "192.0.2.7")
    first = Sse(address, "/sse")
    refused = Http(address)
    refused.send(b"POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    response = refused.response()
    expect_equal((response.status, response.headers["connection"]), (401, "close"), "one that needs a token in any case")
    refused.expect_closed("behind the answer")
    response = ask(address, "GET", "/livez")
    expect_equal((response.status, response.headers["retry-after"], response.headers["connection"]), (429, "10", "close"),
                 "one that needs none")
    Http(address).expect_closed("who says nothing gives its place back soon")
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


def doors(gateway, query=""):
    """A client of each kind that gets ids."""
    lines, frames = Lines(gateway.lines), Frames(gateway.frames)
    for client in (lines, frames):
        client.ask("SUB quiet")
        client.ask("UNSUB news")
        client.position = client.ask("IDS").split()[2]
    return (lines, frames, Sse(gateway.http, f"/sse?topic=quiet{query}"),
            WebSocket(gateway.http, f"/ws?topic=quiet&format=json{query}"))


def position_at_the_head(client):
    if isinstance(client, Sse):
        event = client.any_event()
        expect_equal((event.name, event.data), ("position", event.id), "the first event")
        return event.id
    if isinstance(client, WebSocket):
        opcode, payload = client.frame()
        expect_equal((opcode, sorted(json.loads(payload))), (TEXT, ["at"]), "the first message")
        return json.loads(payload)["at"]
    return client.position


def next_position(client):
    if isinstance(client, Sse):
        return client.event_of("position").id
    if isinstance(client, WebSocket):
        while True:
            opcode, payload = client.frame()
            if opcode == PING:
                client.send(frame(PONG))
            elif opcode == TEXT and "at" in json.loads(payload):
                return json.loads(payload)["at"]
    return client.next_position()


def comes_back(gateway, client, since):
    """What of its quiet topic a client of the same kind gets behind that position: the messages as they are."""
    if isinstance(client, Sse):
        sse = Sse(gateway.http, "/sse?topic=quiet", [f"Last-Event-ID: {since}"])
        expect_equal(sse.event().name, "resumed", "SSE")
        return sse.event().data
    if isinstance(client, WebSocket):
        websocket = WebSocket(gateway.http, f"/ws?topic=quiet&since={since}")
        expect_equal(websocket.text(), json.dumps(dict(resumed=since), separators=(",", ":")), "WebSocket")
        return websocket.text()
    again = type(client)(client.address)
    again.ask("SUB quiet")
    again.ask("UNSUB news")
    expect_equal(again.ask(f"RESUME {since}"), f"+OK RESUMED {since}", "lines and frames")
    return again.line()


def who_is_cut_before_its_first_message_loses_nothing():
    gateway = Gateway("--tcp-length", "127.0.0.1:0", "--threads", 2)
    newest = publish(gateway, "of another topic")
    until("all hubs have it", lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["lag"] == 0)
    clients = doors(gateway)
    for client in clients:
        expect_equal(position_at_the_head(client), newest, "where it is")
        client.close()
    publish(gateway, "missed", "quiet")
    for client in clients:
        expect_equal(comes_back(gateway, client, newest), "missed", type(client).__name__)
    gateway.stop()


def a_quiet_topic_beside_a_busy_one_can_be_resumed():
    """Its last message has long been pushed out of the history; its pings say where it is, and nothing came behind its last one."""
    gateway = Gateway("--tcp-length", "127.0.0.1:0", "--history", 10, "--ping", 1000)
    clients = doors(gateway)
    first = publish(gateway, "first", "quiet")
    for client in clients:
        position_at_the_head(client)
    newest = [publish(gateway, f"busy {number}", "busy") for number in range(30)][-1]
    waiting = list(clients)
    while waiting:  # in turn, as a WebSocket has pings to answer
        waiting = [client for client in waiting if next_position(client) != newest]
    for client in clients:
        client.close()
    publish(gateway, "missed", "quiet")
    for client in clients:
        expect_equal(comes_back(gateway, client, newest), "missed", type(client).__name__)
    sse = Sse(gateway.http, f"/sse?topic=quiet&since={first}")
    expect_equal((sse.event().name, sse.event().data), ("resumed", "missed"), "its last message's id")
    gateway.stop()


def who_resumes_has_a_position_when_it_is_live_and_not_before():
    gateway = Gateway("--history", 10000)
    ids = [publish(gateway, f"m{number}") for number in range(3)]
    sse = Sse(gateway.http, f"/sse?since={ids[0]}")
    names = [sse.any_event().name for _ in range(3)]
    expect_equal((names, sse.position), (["resumed", "message", "message"], ids[2]), "behind an id")
    sse = Sse(gateway.http, f"/sse?since={ids[2]}")
    events = [sse.any_event() for _ in range(2)]
    expect_equal([(event.name, event.id) for event in events], [("resumed", ids[2]), ("position", ids[2])], "nothing missed")
    gateway.stop()


def what_is_too_old_is_live_behind_a_position():
    gateway = Gateway("--tcp-length", "127.0.0.1:0", "--history", 2)
    old, *_, newest = [publish(gateway, f"m{number}", "quiet") for number in range(9)]
    sse = Sse(gateway.http, f"/sse?topic=quiet&since={old}")
    event = sse.any_event()
    expect_equal((event.name, event.id), ("too_old", newest), "SSE")
    for lines in doors(gateway)[:2]:
        expect(lines.ask(f"RESUME {old}").startswith("-ERR too old"), "lines and frames")
        expect_equal(lines.next_position(), newest, "lines and frames")
    gateway.stop()


def history(gateway):
    """Of 42 messages the last 20 are kept; they are returned."""
    texts = []
    for number in range(40):
        publish(gateway, f"busy {number}", "busy")
        texts.append(f"busy {number}")
        if number in (25, 30):
            publish(gateway, f"quiet {number}", "quiet")
            texts.append(f"quiet {number}")
    return texts[-20:]


def the_past_is_had_from_its_oldest_message_or_the_newest_few():
    gateway = Gateway("--history", 20, "--state", "prices")
    kept = history(gateway)
    quiet = ["quiet 25", "quiet 30"]
    for query, wanted in (("topic=busy,quiet&since=oldest", kept), ("topic=quiet&since=oldest", quiet),
                          ("topic=busy,quiet&last=1", ["quiet 30", "busy 39"]),
                          ("topic=busy,quiet,prices&last=3", [*quiet, "busy 37", "busy 38", "busy 39"]),
                          ("topic=quiet&last=100", quiet), ("topic=nobody,quiet&last=1", quiet[1:])):
        sse, websocket = Sse(gateway.http, f"/sse?{query}"), WebSocket(gateway.http, f"/ws?{query}")
        expect_equal(sse.event().name, "resumed", query)
        expect("resumed" in websocket.text(), query)
        expect_equal([sse.event().data for _ in wanted], wanted, f"SSE, {query}")
        expect_equal([websocket.text() for _ in wanted], wanted, f"WebSocket, {query}")
        until("it is counted with nothing else to come", lambda: websocket.ask_command("PING") == "+PONG")
        sse.close()
        websocket.close()
    lines = Lines(gateway.lines)
    lines.ask("SUB quiet")
    expect(lines.ask("RESUME last=1").startswith("+OK RESUMED "), "last=1")
    expect_equal(lines.line(), "quiet 30", "the newest")
    expect(lines.ask("RESUME oldest").startswith("+OK RESUMED "), "oldest")
    expect_equal([lines.line(), lines.line()], quiet, "all")
    publish(gateway, "live", "quiet")
    expect_equal(lines.line(), "live", "then live")
    sse = Sse(gateway.http, "/sse?topic=quiet&last=1", [f"Last-Event-ID: {publish(gateway, 'newer', 'quiet')}"])
    expect_equal([sse.event().name, sse.any_event().name], ["resumed", "position"], "who has seen something since")
    for wrong in ("last=0", "last=-1", "last=x", "last=", "last=9999999999", "last=1&since=oldest", "since=newest"):
        expect_equal(ask(gateway.http, "GET", f"/sse?{wrong}").status, 400, wrong)
    for wrong in ("RESUME last=0", "RESUME last", "RESUME newest"):
        expect(lines.ask(wrong).startswith("-ERR RESUME needs an id such as"), wrong)
    gateway.stop()


run(topics_that_are_repeated_add_up,
    what_polyfills_send_in_the_query_works_like_the_header,
    a_full_gateway_ends_no_EventSource,
    one_that_takes_no_more_from_an_address_does_not_either,
    who_is_not_served_is_answered_in_the_form_that_it_asks_in,
    the_start_of_a_request_for_events_that_is_late_is_no_408,
    an_id_that_says_nothing_here_is_too_old_then_live,
    who_is_cut_before_its_first_message_loses_nothing,
    a_quiet_topic_beside_a_busy_one_can_be_resumed,
    who_resumes_has_a_position_when_it_is_live_and_not_before,
    what_is_too_old_is_live_behind_a_position,
    the_past_is_had_from_its_oldest_message_or_the_newest_few,
    an_empty_command_is_answered)
