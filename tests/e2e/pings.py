# SPDX-License-Identifier: MIT
"""Whoever reads slowly is there: a client is closed for its silence only when its kernel has all that it was sent.

A client's slowness is what its test is about, so it waits before it reads; the order of what happens is looked at, not how
long it takes. What passes meanwhile shows by silent clients that are closed.
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import CLOSE, PING, PONG, STALLED_RCVBUF, TEXT, Frames, Http, Lines, Sse, WebSocket, ask, frame

PING_MS = 1000
READS_EVERY_S = 0.05  # some 60 KB/s with a small receive buffer
MESSAGES = [b"%03d" % number + b"x" * 4093 for number in range(110)]  # below the high watermark, as a burst is


def slowly(wire, reads_every_s=READS_EVERY_S):
    """From now on it reads what is there only now and then."""
    more = type(wire).more

    def more_later():
        time.sleep(reads_every_s)
        more(wire)

    wire.more = more_later


def publish_all(gateway):
    http = Http(gateway.http)
    for message in MESSAGES:
        expect_equal(http.ask("POST", "/api/v1/publish?topic=news", message).status, 200, "publishing")
    http.close()


def expect_all(next_message, what):
    for message in MESSAGES:
        expect_equal(next_message()[:10], message.decode()[:10], what)


def text_or_answer(client, answers):
    """The next message of a WebSocket; pings on the way are answered, or not."""
    while True:
        opcode, payload = client.frame()
        if opcode == TEXT:
            return payload.decode()
        expect_equal(opcode, PING, f"an opcode, with {payload!r}")
        if answers:
            client.send(frame(PONG, payload))


def let_pings_pass(gateway, count):
    """For so many times as a silent client takes to be closed."""
    for _ in range(count):
        silent = WebSocket(gateway.http)
        expect_equal(silent.close_code(), (1008, "no answer to a ping"), "who doesn't answer")


def subscribers(gateway):
    """One of each kind, with small receive buffers, and how it gets its next message."""
    websocket = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
    sse = Sse(gateway.http, "/sse", receive_buffer=STALLED_RCVBUF)
    lines = Lines(gateway.lines, receive_buffer=STALLED_RCVBUF)
    frames = Frames(gateway.frames, receive_buffer=STALLED_RCVBUF)
    until("all are there", lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["total"] == 4)
    return [("WebSocket", websocket, lambda: text_or_answer(websocket, True)), ("SSE", sse, lambda: sse.event().data),
            ("lines", lines, lines.line), ("frames", frames, frames.frame)]


def a_slow_reader_gets_everything_whatever_it_speaks():
    gateway = Gateway("--ping", PING_MS, "--tcp-length", "127.0.0.1:0")
    all_kinds = subscribers(gateway)
    publish_all(gateway)
    for _, client, _ in all_kinds:
        slowly(client, READS_EVERY_S / len(all_kinds))  # they read in turn
    for message in MESSAGES:
        for what, _, next_message in all_kinds:
            expect_equal(next_message()[:10], message.decode()[:10], what)
    expect(" event=closed " not in gateway.log(), "somebody was closed")
    gateway.stop()


def who_reads_slowly_and_never_answers_gets_everything_and_then_1008():
    gateway = Gateway("--ping", PING_MS)
    client = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
    publish_all(gateway)
    slowly(client)
    expect_all(lambda: text_or_answer(client, False), "the client that never answers")
    expect_equal(client.close_code(), (1008, "no answer to a ping"), "how it ends")
    gateway.stop()


def who_has_everything_and_never_answers_is_closed():
    gateway = Gateway("--ping", PING_MS)
    client = WebSocket(gateway.http)
    publish_all(gateway)
    expect_all(lambda: text_or_answer(client, False), "the client that never answers")
    opcodes = []
    while CLOSE not in opcodes:
        opcodes.append(client.frame()[0])
    expect_equal(opcodes, [PING, CLOSE], "one ping, and no other before its answer")
    asleep = WebSocket(gateway.http)  # its kernel has all, but it never reads, nor does it close
    until("it is closed", lambda: gateway.log().count('reason="no answer to a ping"') == 2)
    expect_equal(asleep.close_code(), (1008, "no answer to a ping"), "if it reads after all")
    gateway.stop()


def who_stops_reading_stays_where_the_policy_lets_it():
    gateway = Gateway("--ping", PING_MS, "--stall", 0, "--slow", 0, "--tcp-length", "127.0.0.1:0")
    all_kinds = subscribers(gateway)
    publish_all(gateway)
    let_pings_pass(gateway, 3)
    for what, _, next_message in all_kinds:
        expect_all(next_message, what)
    gateway.stop()


def a_ping_that_was_dropped_is_not_waited_for():
    gateway = Gateway("--ping", PING_MS, "--stall", 0, "--slow", 0, "--overflow", "drop-oldest")
    client = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
    publish_all(gateway)
    let_pings_pass(gateway, 1)  # one stands behind all of that
    for _ in range(3):
        publish_all(gateway)
    opcode = TEXT
    while opcode == TEXT:
        opcode, payload = client.frame()
    expect_equal((opcode, payload), (PING, b""), "what comes when it has everything")
    gateway.stop()


def who_reads_an_answer_slowly_is_not_idle():
    gateway = Gateway("--handshake", PING_MS, "--keep-alive", 1000)
    http = Http(gateway.http, receive_buffer=STALLED_RCVBUF)
    count = 30
    http.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
    slowly(http)
    for number in range(count):
        response = http.response()
        expect_equal(response.status, 200, f"answer {number}")
        expect(response.body.endswith(b"\n"), f"answer {number} has no end")
    http.expect_closed("more than there were requests")
    gateway.stop()


def who_reads_the_last_answer_slowly_gets_all_of_it():
    gateway = Gateway("--handshake", 30000)
    http = Http(gateway.http, receive_buffer=STALLED_RCVBUF)
    count = 30  # takes longer than the second that a client has for a good-bye
    http.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * (count - 1) +
              b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    slowly(http)
    for number in range(count):
        expect(http.response().body.endswith(b"\n"), f"answer {number} has no end")
    http.expect_closed("more than there were requests")
    gateway.stop()


def who_sends_no_more_and_has_yet_to_read_its_answers_is_not_gone():
    gateway = Gateway("--handshake", PING_MS, "--log-level", "debug")
    http = Http(gateway.http, receive_buffer=STALLED_RCVBUF)
    count = 200  # more than a ring holds: the rest of the requests is kept
    http.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
    http.socket.shutdown(socket.SHUT_WR)
    for _ in range(3):
        Http(gateway.http).expect_closed("an answer to nothing")
    for number in range(count // 2):
        expect_equal(http.response().status, 200, f"answer {number}")
    http.rest()  # for what is left it has a second
    gateway.wait_for_log('reason="answered"')
    expect('reason="gone"' not in gateway.log(), "it was taken for one that is gone")
    gateway.stop()


run(a_slow_reader_gets_everything_whatever_it_speaks,
    who_reads_slowly_and_never_answers_gets_everything_and_then_1008,
    who_has_everything_and_never_answers_is_closed,
    who_stops_reading_stays_where_the_policy_lets_it,
    a_ping_that_was_dropped_is_not_waited_for,
    who_reads_an_answer_slowly_is_not_idle,
    who_reads_the_last_answer_slowly_gets_all_of_it,
    who_sends_no_more_and_has_yet_to_read_its_answers_is_not_gone)
