# SPDX-License-Identifier: MIT
"""Clients that do too much of something, each kind alone, while others are served: those get every message in order, and the
gateway is as it was when the flood is over.
"""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import PING, STALLED_RCVBUF, TEXT, Behind, Closed, Http, Lines, Sse, WebSocket, ask, frame

MESSAGES = 100
CONNECTIONS_PER_ADDRESS = 10


class Flooder(threading.Thread):
    """Does it again and again until it is told to stop."""

    def __init__(self, do):
        super().__init__(daemon=True)
        self.do, self.is_over, self.times, self.error = do, False, 0, None

    def run(self):
        try:
            while not self.is_over:
                self.do()
                self.times += 1
        except Exception as error:  # for who joins it
            self.error = error


def expect_others_go_on(gateway, *floods):
    """A message at a time, so that there is always one on its way while they flood."""
    readers = [Lines(gateway.lines), Sse(gateway.http, "/sse?topic=quiet"), WebSocket(gateway.http, "/ws?topic=quiet")]
    expect_equal(readers[0].ask("SUB quiet"), "+OK SUB quiet", "answer")
    publisher = Http(gateway.http)
    flooders = [Flooder(do) for do in floods]
    for flooder in flooders:
        flooder.start()
    until("they flood", lambda: all(flooder.times > 0 or flooder.error for flooder in flooders))
    try:
        for number in range(MESSAGES):
            text = f"m{number}"
            until("published", lambda: publisher.ask("POST", "/api/v1/publish?topic=quiet", text.encode()).status == 200)
            line = readers[0].line()
            while not line.startswith("m"):  # it has the default topic, too
                line = readers[0].line()
            expect_equal((line, readers[1].event().data, readers[2].text()), (text, text, text), "messages")
    finally:
        for flooder in flooders:
            flooder.is_over = True
        for flooder in flooders:
            flooder.join()
    for flooder in flooders:
        if flooder.error is not None:
            raise flooder.error


def again_and_again(connect, data):
    """Sends `data` for ever, reads nothing, and comes back when it is closed."""
    connections = []

    def do():
        if not connections:
            connections.append(connect())
            connections[0].socket.settimeout(0.2)
        try:
            connections[0].send(data)
        except TimeoutError:  # it isn't read any more: that is one answer to a flood
            connections.pop().close()
        except OSError:
            connections.pop().close()

    return do


def floods_of_commands_and_pings_disturb_nobody():
    gateway = Gateway("--stall", 60000)
    lines = again_and_again(lambda: Lines(gateway.lines), b"PING\n" * 5000)
    nonsense = again_and_again(lambda: Lines(gateway.lines), b"NONSENSE\n" * 5000)
    websocket = again_and_again(lambda: WebSocket(gateway.http, "/ws?topic=quiet"), frame(TEXT, b"PING") * 5000)
    pings = again_and_again(lambda: WebSocket(gateway.http, "/ws?topic=quiet"), frame(PING, b"x" * 100) * 500)
    expect_others_go_on(gateway, lines, nonsense, websocket, pings)
    gateway.wait_for_log('reason="too many errors"')
    gateway.stop()


def floods_of_commands_that_read_their_answers_disturb_nobody():
    gateway = Gateway("--threads", 1)

    def flooder():
        client = Lines(gateway.lines)
        client.ask("UNSUB news")

        def do():
            client.send(b"PUB other x\n" * 2000 + b"PING\n" * 2000)
            for _ in range(4000):
                client.answer()

        return do

    expect_others_go_on(gateway, *[flooder() for _ in range(4)])
    gateway.stop()


def one_address_has_no_more_connections_than_it_may():
    gateway = Gateway("--max-per-address", CONNECTIONS_PER_ADDRESS, "--threads", 2, "--proxy-from", "127.0.0.0/8")
    on_lines, on_http = Behind(gateway.lines, "192.0.2.7"), Behind(gateway.http, "192.0.2.7")
    held = [Lines(on_lines) for _ in range(CONNECTIONS_PER_ADDRESS - 1)]
    for client in held:
        expect_equal(client.ask("PING"), "+PONG", "within the limit")
    last = Http(on_http)  # all doors have one limit
    expect_equal(last.ask("GET", "/livez").status, 200, "within the limit, on HTTP")
    for _ in range(100):
        refused = Lines(on_lines)
        expect(refused.line().startswith("-ERR too many connections of your address"), "over the limit, on lines")
        refused.expect_closed("behind the refusal")
        refused.close()
    for _ in range(20):
        refused = Http(on_http)
        response = refused.ask("GET", "/livez")
        expect_equal((response.status, response.headers["retry-after"]), (429, "10"), "over the limit, on HTTP")
        refused.close()
    last.close()
    until("there is room again", lambda: _is_let_in(on_http))
    for client in held:
        expect_equal(client.ask("PING"), "+PONG", "still")
    gateway.stop()


def _is_let_in(address):
    http = Http(address)
    try:
        return http.ask("GET", "/livez").status == 200
    except (Closed, OSError):
        return False
    finally:
        http.close()


def a_flood_of_connections_disturbs_nobody():
    gateway = Gateway("--threads", 2)
    expect_others_go_on(gateway, lambda: Lines(gateway.lines).close(), lambda: Http(gateway.http).close(),
                        lambda: WebSocket(gateway.http).close())
    until("they are all gone",
          lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["total"] == 0)
    gateway.stop()


def a_flood_of_publishing_disturbs_nobody():
    gateway = Gateway("--budget", "16M", "--threads", 2)
    http = Http(gateway.http)
    bulk = b"\n".join(b'{"topic":"other","data":"%s"}' % (b"x" * 500) for _ in range(1000))
    statuses = set()

    def post():
        statuses.add(http.ask("POST", "/api/v1/publish", bulk, ["Content-Type: application/x-ndjson"]).status)

    lines = Lines(gateway.lines)

    def pub():
        lines.send(b"PUB other x\n" * 500)
        for _ in range(500):
            lines.answer()

    expect_others_go_on(gateway, post, pub)
    expect(statuses <= {200, 503}, f"{statuses}")
    gateway.stop()


def behind_QUIT_nothing_is_done():
    gateway = Gateway("--threads", 1, "--stall", 0, "--slow", 0, "--slots", 16)
    other = Lines(gateway.lines)
    expect_equal(other.ask("SUB quiet"), "+OK SUB quiet", "another client")
    expect_equal(other.ask("UNSUB news"), "+OK UNSUB news", "which has nothing else to read")
    client, http = Lines(gateway.lines, STALLED_RCVBUF), Http(gateway.http)
    expect_equal(client.ask("NAME full"), "+OK NAME", "one that doesn't read")

    def is_full():
        http.ask("POST", "/api/v1/publish?topic=news", b"x" * 4000)
        rows = ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]
        return any(row["name"] == "full" and row["dropped"] > 0 for row in rows)

    until("there is no room for an answer", is_full)
    client.say("QUIT\nPUB quiet behind QUIT")
    client.rest()  # it is closed
    gateway.wait_for_log('event=closed .*reason="?QUIT')
    http.ask("POST", "/api/v1/publish?topic=quiet", b"then")
    expect_equal(other.line(), "then", "what was published")
    gateway.stop()


run(floods_of_commands_and_pings_disturb_nobody,
    floods_of_commands_that_read_their_answers_disturb_nobody,
    one_address_has_no_more_connections_than_it_may,
    a_flood_of_connections_disturbs_nobody,
    a_flood_of_publishing_disturbs_nobody,
    behind_QUIT_nothing_is_done)
