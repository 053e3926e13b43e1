# SPDX-License-Identifier: MIT
"""Whoever is slow with a request is answered 408 at an absolute deadline, however many bytes come meanwhile; whoever keeps
a connection without using it is closed; whoever is served is neither. Time during which the gateway itself was away doesn't
count.

The order of what happens is looked at, not how long it takes.
"""
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run
from wire import Http, Lines, Sse, WebSocket, ask

HANDSHAKE_MS = 1000  # whoever is served needs less, also on a busy machine


def drip(http, data, is_over):
    """A byte whenever the gateway has had time to take the one before, until there is an answer."""
    for byte in data:
        if is_over.wait(0.01):
            return
        try:
            http.send(bytes([byte]))
        except OSError:
            return
    while not is_over.wait(0.01):
        try:
            http.send(b"x")
        except OSError:
            return


def expect_408_while_bytes_come(gateway, data):
    http = Http(gateway.http)
    is_over = threading.Event()
    dripping = threading.Thread(target=drip, args=(http, data, is_over))
    dripping.start()
    try:
        response = http.response()
        expect_equal((response.status, response.headers["connection"]), (408, "close"), data[:40])
        expect(http.rest() == b"", "more behind a 408")
    finally:
        is_over.set()
        dripping.join()


def a_request_that_never_ends_is_answered_408_while_its_bytes_come():
    gateway = Gateway("--handshake", HANDSHAKE_MS)
    for data in (b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nX: ",
                 b"POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n",
                 b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "):
        expect_408_while_bytes_come(gateway, data)
    gateway.stop()


def who_came_first_is_due_first():
    gateway = Gateway("--handshake", HANDSHAKE_MS)
    slow = [Http(gateway.http) for _ in range(3)]
    for http in slow:
        http.send(b"GET /livez")
    served = [Sse(gateway.http, "/sse"), WebSocket(gateway.http), Lines(gateway.lines)]
    for http in slow:
        expect_equal(http.response().status, 408, "status")
        expect(http.rest() == b"", "more behind a 408")
    late = Http(gateway.http)  # its time begins when all the others' is over
    expect_equal(late.ask("GET", "/livez").status, 200, "who comes later")
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"hello").status, 200, "publishing")
    expect_equal(served[0].event().data, "hello", "SSE is served on")
    expect_equal(served[1].text(), "hello", "WebSocket is served on")
    expect_equal(served[2].line(), "hello", "lines are served on")
    gateway.stop()


def an_idle_connection_is_closed_without_an_answer():
    gateway = Gateway("--handshake", HANDSHAKE_MS, "--keep-alive", 1000)
    silent, kept = Http(gateway.http), Http(gateway.http)
    expect_equal(kept.ask("GET", "/livez").status, 200, "the first request")
    expect_equal(kept.ask("GET", "/api/v1/stats").status, 200, "the second, whose answer takes a while")
    silent.expect_closed("an answer to nothing")
    kept.expect_closed("an answer to nothing")
    gateway.stop()


def a_kept_connection_has_its_time_anew_for_each_request():
    gateway = Gateway("--handshake", HANDSHAKE_MS)
    http = Http(gateway.http)
    for _ in range(3):
        response = http.ask("GET", "/livez")
        expect_equal((response.status, response.headers["keep-alive"]), (200, "timeout=75"), "a request within its time")
        Http(gateway.http).expect_closed("an answer to nothing")  # when it is closed, the handshake's time is over
    http.send(b"GET /livez HTTP/1.1\r\n")
    expect_equal(http.response().status, 408, "one that has begun has its time, too")
    gateway.stop()


def a_request_at_the_announced_end_is_answered():
    gateway = Gateway("--handshake", 100, "--keep-alive", 1000)
    http = Http(gateway.http)
    for _ in range(4):
        expect_equal(http.ask("GET", "/livez").headers["keep-alive"], "timeout=1", "what is announced")
        time.sleep(1)  # the case itself: another request comes in the moment of the end
    http.expect_closed("an answer to nothing")
    gateway.stop()


def the_absence_of_the_gateway_is_not_the_fault_of_clients():
    gateway = Gateway("--handshake", 2000, "--ping", 1000)
    kept, begun, websocket = Http(gateway.http), Http(gateway.http), WebSocket(gateway.http)
    expect_equal(kept.ask("GET", "/livez").status, 200, "a request before")
    begun.send(b"GET /livez HTTP/1.1\r\n")
    expect_equal(websocket.ask_command("PING"), "+PONG", "a command before")
    gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(4)  # the fault itself
    kept.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    begun.send(b"Host: localhost\r\n\r\n")
    websocket.say("PING")
    gateway.process.send_signal(signal.SIGCONT)
    expect_equal(kept.response().status, 200, "a request that came meanwhile")
    expect_equal(begun.response().status, 200, "a request whose end came meanwhile")
    expect_equal(websocket.text(), "+PONG", "a command that came meanwhile")
    gateway.stop()


run(a_request_that_never_ends_is_answered_408_while_its_bytes_come,
    who_came_first_is_due_first,
    an_idle_connection_is_closed_without_an_answer,
    a_kept_connection_has_its_time_anew_for_each_request,
    a_request_at_the_announced_end_is_answered,
    the_absence_of_the_gateway_is_not_the_fault_of_clients)
