# SPDX-License-Identifier: MIT
"""SIGTERM: nothing new is let in, everybody is told and gets what is queued, whoever doesn't read is given up at the
deadline, and the exit code is 0. A second SIGTERM doesn't wait.
"""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import STALLED_RCVBUF, Closed, Frames, Http, Lines, Sse, WebSocket, ask


def publish(http, body):
    until("published", lambda: http.ask("POST", "/api/v1/publish?topic=news", body).status == 200)


def queued(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]["queued"]


def stall(gateway):
    """A client that doesn't read, and for which something is queued."""
    client = Lines(gateway.lines, STALLED_RCVBUF)
    expect_equal(client.ask("PING"), "+PONG", "subscribed")
    http = Http(gateway.http)

    def is_queued():
        publish(http, b"x" * 60000)
        return queued(gateway) > 0

    until("something is queued", is_queued)
    return client


def clients_are_told():
    gateway = Gateway("--threads", 2, "--tcp-length", "127.0.0.1:0", "--topic", "quiet")
    stalled = Lines(gateway.lines)
    sse, websocket, watcher = Sse(gateway.http, "/sse"), WebSocket(gateway.http), Sse(gateway.http, "/api/v1/watch")
    lines, frames, kept = Lines(gateway.lines), Frames(gateway.frames), Http(gateway.http)
    expect_equal(kept.ask("GET", "/readyz").body, b"ready\n", "before")
    for client in (stalled, lines, frames):
        expect_equal(client.ask("PING"), "+PONG", "subscribed")
    watcher.event_of("snapshot")
    gateway.terminate()
    event = sse.event()
    expect_equal((event.name, event.json()["reason"]), ("closing", "shutting down"), "SSE")
    expect(1000 <= event.json()["retry_ms"] <= 3000, "when to come back")
    sse.expect_closed("SSE, behind the closing event")
    expect_equal(watcher.event_of("closing").json()["reason"], "shutting down", "a watcher")
    expect_equal(websocket.close_code(), (4011, "shutting down"), "WebSocket")
    lines.expect_closed("lines")
    frames.expect_closed("frames")
    expect_equal(gateway.wait(), 0, "exit code")


def nothing_new_is_let_in_while_it_drains():
    gateway = Gateway("--stall", 0, "--slow", 0, "--drain-ms", 60000)
    stalled = stall(gateway)
    kept = Http(gateway.http)
    expect_equal(kept.ask("GET", "/readyz").body, b"ready\n", "before")
    gateway.terminate()
    gateway.wait_for_log("event=stopping")
    try:  # a kept connection is closed between two requests, or answered
        expect_equal(kept.ask("GET", "/readyz").status, 503, "readyz on a kept connection")
    except (Closed, OSError):
        pass
    response = ask(gateway.http, "GET", "/readyz")
    expect_equal((response.status, response.body), (503, b"shutting down\n"), "readyz")
    expect_equal(response.headers["connection"], "close", "readyz")
    expect_equal(ask(gateway.http, "GET", "/livez").status, 200, "livez")
    response = ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"x")
    expect_equal((response.status, response.headers["retry-after"]), (503, "1"), "publishing")
    for path in ("/sse", "/api/v1/watch"):  # another status would end an EventSource for good
        sse = Sse(gateway.http, path)
        expect_equal((sse.status, sse.event().name), (200, "closing"), path)
        sse.expect_closed(path)
    expect_equal(WebSocket(gateway.http).close_code(), (4011, "shutting down"), "/ws")
    try:
        Lines(gateway.lines)
        expect(False, "lines are still let in")
    except ConnectionRefusedError:
        pass
    stalled.close()  # whom it waits for
    expect_equal(gateway.wait(), 0, "exit code")


def who_comes_and_says_nothing_puts_nothing_off():
    gateway = Gateway("--stall", 0, "--slow", 0, "--drain-ms", 500, "--handshake", 60000)
    stalled = stall(gateway)
    gateway.terminate()
    idle = []

    def one_more_comes():
        try:
            idle.append(Http(gateway.http))
        except ConnectionRefusedError:
            pass
        return gateway.process.poll() is not None

    until("it ends, however many come and say nothing", one_more_comes)
    expect_equal(gateway.wait(), 0, "exit code")
    expect("event=summary" in gateway.log(), "no summary")
    for client in (*idle, stalled):
        client.close()


def what_is_queued_is_delivered_first():
    gateway = Gateway("--drain-ms", 60000, "--stall", 0, "--slow", 0, "--threads", 2)
    lines = Lines(gateway.lines, STALLED_RCVBUF)
    sse = Sse(gateway.http, "/sse", receive_buffer=STALLED_RCVBUF)
    websocket = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
    expect_equal(lines.ask("PING"), "+PONG", "subscribed")
    http = Http(gateway.http)
    texts = [f"{number} " + "x" * 20000 for number in range(30)]
    for text in texts:
        publish(http, text.encode())
    expect(queued(gateway) > 0, "nothing is queued")
    gateway.terminate()
    gateway.wait_for_log("event=stopping")
    for text in texts:
        expect_equal(lines.line(), text, "lines")
        expect_equal(sse.event().data, text, "SSE")
        expect_equal(websocket.text(), text, "WebSocket")
    lines.expect_closed("lines, behind the last message")
    expect_equal(sse.event().name, "closing", "SSE, behind the last message")
    expect_equal(websocket.close_code(), (4011, "shutting down"), "WebSocket, behind the last message")
    expect_equal(gateway.wait(), 0, "exit code")
    expect("dropped=0 discarded=0 queued=0" in gateway.log(), "something was lost")


def who_does_not_read_is_given_up_at_the_deadline():
    gateway = Gateway("--drain-ms", 300, "--stall", 0, "--slow", 0)
    stalled = stall(gateway)
    gateway.terminate()
    expect_equal(gateway.wait(), 0, "exit code")
    expect("event=summary" in gateway.log(), "no summary")
    stalled.close()


def who_has_lost_messages_is_told_behind_the_rest():
    gateway = Gateway("--stall", 0, "--slow", 0, "--drain-ms", 30000)
    websocket = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
    sse = Sse(gateway.http, "/sse", receive_buffer=STALLED_RCVBUF)
    http = Http(gateway.http)

    def are_full():
        publish(http, b"x" * 4000)
        clients = ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]
        return len(clients) == 2 and all(client["dropped"] > 0 for client in clients)

    until("there is no room for more", are_full)
    gateway.terminate()
    gateway.wait_for_log("event=stopping")
    expect_equal(websocket.close_code(), (4011, "shutting down"), "WebSocket")
    expect_equal(sse.event_of("closing").json()["reason"], "shutting down", "SSE")
    expect_equal(gateway.wait(), 0, "exit code")


def a_second_signal_does_not_wait():
    gateway = Gateway("--drain-ms", 86400000, "--stall", 0, "--slow", 0)
    stalled = stall(gateway)
    gateway.terminate()
    gateway.wait_for_log("event=stopping")
    gateway.terminate()
    expect_equal(gateway.wait(), 1, "exit code")
    expect("second signal" in gateway.log(), "the log doesn't say why")
    stalled.close()


def SIGINT_is_the_same():
    gateway = Gateway()
    gateway.process.send_signal(signal.SIGINT)
    expect_equal(gateway.wait(), 0, "exit code")


run(clients_are_told,
    nothing_new_is_let_in_while_it_drains,
    who_comes_and_says_nothing_puts_nothing_off,
    what_is_queued_is_delivered_first,
    who_does_not_read_is_given_up_at_the_deadline,
    who_has_lost_messages_is_told_behind_the_rest,
    a_second_signal_does_not_wait,
    SIGINT_is_the_same)
