# SPDX-License-Identifier: MIT
"""Flow control towards publishers: whatever arrived is done in order and answered, however fast it came, and TCP holds up a
client that sends more than can be done.
"""
import json
import os
import random
import re
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import over_tls
from gateway import DEADLINE_S, Gateway, expect, expect_equal, run, until
from wire import CLOSE, STALLED_RCVBUF, TEXT, Frames, Http, Lines, WebSocket, ask, frame

COMMANDS = 5000
NDJSON = ["Content-Type: application/x-ndjson"]
SMALL_BUS = ("--budget", "16M", "--threads", 1)  # 1024 slots, as it is with the largest budgets that have few
HELD_UP = ("--patience", 600000, "--stall", 0, "--slow", 0, "--overflow", "drop-newest", "--slots", 16, "--threads", 1)


class In(threading.Thread):
    """Does something in the background; join_it raises what it raised."""

    def __init__(self, do, *arguments):
        super().__init__(daemon=True)
        self.do, self.arguments, self.result, self.error = do, arguments, None, None
        self.start()

    def run(self):
        try:
            self.result = self.do(*self.arguments)
        except Exception as error:
            self.error = error

    def join_it(self):
        self.join(2 * DEADLINE_S)
        expect(not self.is_alive(), "it never ended")
        if self.error is not None:
            raise self.error
        return self.result


class Subscriber:
    """Reads all messages of a topic until the last one."""

    def __init__(self, gateway, topic, last):
        self.lines = Lines(gateway.lines)
        expect_equal(self.lines.ask(f"SUB {topic}"), f"+OK SUB {topic}", "answer")
        expect_equal(self.lines.ask("UNSUB news"), "+OK UNSUB news", "answer")
        self.reading = In(self._read, last)

    def _read(self, last):
        texts = [self.lines.line()]
        while texts[-1] != last:
            texts.append(self.lines.line())
        return texts

    def texts(self):
        return self.reading.join_it()


def id_of(answer):
    verb, id_text = answer.rsplit(" ", 1)
    expect_equal(verb, "+OK PUB", "answer")
    return int(id_text.split(":")[1])


def expect_ids(answers, count):
    ids = [id_of(answer) for answer in answers]
    expect_equal(len(ids), count, "answers")
    expect(ids == sorted(set(ids)), "answers out of order")


def pubs(topic, count, first=0):
    return [f"PUB {topic} m{number}" for number in range(first, first + count)]


def numbered(count):
    return [f"m{number}" for number in range(count)]


def as_lines(commands):
    return "".join(command + "\n" for command in commands).encode()


def as_frames(commands):
    return b"".join(len(command).to_bytes(4, "big") + command.encode() for command in commands)


def as_messages(commands):
    return b"".join(frame(TEXT, command.encode()) for command in commands)


def doors(gateway, receive_buffer=None):
    """Each way to send commands: a connection without messages, how commands look there, and how its next answer is read."""
    lines, frames = Lines(gateway.lines, receive_buffer), Frames(gateway.frames, receive_buffer)
    websocket = WebSocket(gateway.http, "/ws?topic=quiet", receive_buffer=receive_buffer)
    for client in (lines, frames):
        expect_equal(client.ask("UNSUB news"), "+OK UNSUB news", "answer")
    return ((lines, as_lines, lines.answer), (frames, as_frames, frames.answer), (websocket, as_messages, websocket.text))


def everything_in_one_write_is_answered():
    gateway = Gateway(*SMALL_BUS, "--tcp-length", "127.0.0.1:0")
    for number, (client, encode, answer) in enumerate(doors(gateway)):
        subscriber = Subscriber(gateway, f"t{number}", f"m{COMMANDS - 1}")
        sending = In(client.send, encode(pubs(f"t{number}", COMMANDS)))
        expect_ids([answer() for _ in range(COMMANDS)], COMMANDS)
        sending.join_it()
        expect_equal(subscriber.texts(), numbered(COMMANDS), "messages")
        client.send(encode(["PING"]))
        expect_equal(answer(), "+PONG", "behind them")
    expect(_metric(gateway, "read_pauses_total") > 0, "reading was never paused")
    gateway.stop()


def five_hundred_outstanding_go_on_for_ever():
    gateway = Gateway(*SMALL_BUS)
    client, total, window = Lines(gateway.lines), 30000, 500
    expect_equal(client.ask("UNSUB news"), "+OK UNSUB news", "answer")
    client.send(as_lines(pubs("other", window)))
    for number in range(total):
        id_of(client.answer())
        if number + window < total:
            client.send(as_lines(pubs("other", 1, number + window)))
    gateway.stop()


def who_does_not_read_answers_is_held_up_and_loses_none():
    for rule in ("drop-newest", "drop-oldest", "evict"):
        expect_held_up_by_answers(Gateway("--stall", 0, "--slow", 0, "--overflow", rule, "--slots", 16, "--threads", 1,
                                          "--tcp-length", "127.0.0.1:0"))


def expect_held_up_by_answers(gateway):
    for client, encode, answer in doors(gateway, STALLED_RCVBUF):
        client.socket.settimeout(0.5)
        sent, piece = 0, encode(["NAME " + "x" * 1000] * 50)
        rest = b""
        try:
            while True:  # until the kernel takes no more
                rest = piece
                while rest:
                    rest = rest[client.socket.send(rest):]
                sent += 50
        except TimeoutError:
            pass
        client.socket.settimeout(DEADLINE_S)
        sending = In(client.send, rest)
        for _ in range(sent + 50):
            expect_equal(answer(), "+OK NAME", "an answer")
        sending.join_it()
        client.close()
    gateway.stop()


def who_reads_as_fast_as_it_may_is_never_forgotten():
    """Clients that are backpressured, and aren't any more, again and again."""
    gateway = Gateway("--stall", 0, "--slow", 0, "--slots", 16, "--threads", 1)
    clients = [Lines(gateway.lines, STALLED_RCVBUF) for _ in range(10)]
    count = 4000

    def read_all(client):
        for _ in range(count):
            expect_equal(client.answer(), "+OK NAME", "an answer")

    reading = [In(read_all, client) for client in clients]
    sending = [In(client.send, as_lines(["NAME " + "x" * 30] * count)) for client in clients]
    for one in reading + sending:
        one.join_it()
    gateway.stop()


def who_never_reads_answers_is_judged_as_slow():
    gateway = Gateway("--stall", 500, "--grace", 0, "--threads", 1)
    client = Lines(gateway.lines, STALLED_RCVBUF)
    try:
        while True:
            client.send(b"PING\n" * 1000)
    except OSError:
        pass
    gateway.wait_for_log("event=evicted .*reason=stalled")
    gateway.stop()


def behind_a_fin_everything_is_done_and_answered():
    gateway = Gateway(*SMALL_BUS, "--tcp-length", "127.0.0.1:0")
    for number, (client, encode, answer) in enumerate(doors(gateway)):
        subscriber = Subscriber(gateway, f"t{number}", f"m{COMMANDS - 1}")
        client.send(encode(pubs(f"t{number}", COMMANDS)))
        client.socket.shutdown(socket.SHUT_WR)
        expect_ids([answer() for _ in range(COMMANDS)], COMMANDS)
        client.expect_closed("behind the answers")
        expect_equal(subscriber.texts(), numbered(COMMANDS), "messages")
    gateway.stop()


def behind_QUIT_is_nothing_but_what_was_before_it_is_done():
    gateway = Gateway(*SMALL_BUS, "--tcp-length", "127.0.0.1:0")
    for number, (client, encode, answer) in enumerate(doors(gateway)):
        client.send(encode([*pubs(f"t{number}", COMMANDS), "QUIT", f"PUB t{number} never"]))
        expect_ids([answer() for _ in range(COMMANDS)], COMMANDS)
        expect_equal(answer(), "+OK QUIT", "the last answer")
        client.rest()
    gateway.stop()


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def hold_up(gateway):
    """A subscriber of `held` that doesn't read, and that the hub waits for: then the bus fills. @return it"""
    stalled = Lines(gateway.lines, STALLED_RCVBUF)
    expect_equal(stalled.ask("SUB held"), "+OK SUB held", "answer")
    http = Http(gateway.http)
    big = b"x" * 16000

    def is_held_up():
        http.send_request("POST", "/api/v1/publish?topic=held", big)
        return ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["lag"] > 0

    until("the hub waits", is_held_up)
    return stalled


def commands_wait_for_room_and_their_client_is_not_read():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--handshake", 60000)
    subscriber = Subscriber(gateway, "other", f"m{COMMANDS - 1}")
    stalled = hold_up(gateway)
    client, fin, quick_fin = Lines(gateway.lines), Lines(gateway.lines), Lines(gateway.lines)
    for publisher in (client, fin, quick_fin):
        expect_equal(publisher.ask("UNSUB news"), "+OK UNSUB news", "answer")
    sending = In(client.send, as_lines([*pubs("other", COMMANDS), "PING"]))
    client.socket.settimeout(1)
    answers = []
    try:
        while True:
            answers.append(client.answer())
    except TimeoutError:
        expect(len(answers) < COMMANDS, "the bus was never full")
    client.socket.settimeout(DEADLINE_S)
    for publisher, count in ((fin, 10000), (quick_fin, 100)):  # one FIN has to wait, the other one is seen at once
        In(lambda publisher=publisher, count=count: (publisher.send(as_lines(pubs("fin", count))),
                                                     publisher.socket.shutdown(socket.SHUT_WR)))
    gone = Lines(gateway.lines)
    gone.send(as_lines(pubs("gone", 3000)))
    total = ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["total"]
    reset(gone)
    until("it is gone", lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["total"] < total)
    # each reads by itself: the hub waits for the answers of all
    reading = [(publisher, count, In(lambda publisher=publisher, count=count: [publisher.answer() for _ in range(count)]))
               for publisher, count in ((fin, 10000), (quick_fin, 100))]
    stalled.close()
    while len(answers) < COMMANDS:
        answers.append(client.answer())
    expect_ids(answers, COMMANDS)
    expect_equal(client.answer(), "+PONG", "in its turn")
    sending.join_it()
    expect_equal(subscriber.texts(), numbered(COMMANDS), "messages")
    for publisher, count, answers_read in reading:
        expect_ids(answers_read.join_it(), count)
        publisher.expect_closed("behind the answers")
    gateway.stop()


def what_is_kept_leaves_room_for_others():
    budget = "32M" if over_tls.IS_ON else "2M"  # a record of TLS that isn't whole yet is kept: up to 32 KiB for each client
    gateway = Gateway("--stall", 0, "--slow", 0, "--slots", 16, "--threads", 1, "--budget", budget, "--max-message", "1K")
    clients = [Lines(gateway.lines, STALLED_RCVBUF) for _ in range(200)]
    count = 60000
    expect_equal({client.ask("UNSUB news") for client in clients}, {"+OK UNSUB news"}, "answers")
    for client in clients:
        In(client.send, b"PING\n" * count)
    until("none of them is read", lambda: _stats(gateway)["connections"]["healthy"] == 0)
    publisher = Lines(gateway.lines)
    expect_equal(publisher.ask("UNSUB news"), "+OK UNSUB news", "answer")
    publisher.send(as_lines(pubs("other", COMMANDS)))
    expect_ids([publisher.answer() for _ in range(COMMANDS)], COMMANDS)
    expect_equal(_stats(gateway)["evictions"]["budget"], 0, "evictions for memory's sake")
    for client in clients:
        client.close()
    gateway.stop()


def a_websocket_that_is_not_read_is_not_silent():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--ping", 1000, "--handshake", 60000)
    stalled = hold_up(gateway)
    client = WebSocket(gateway.http, "/ws?topic=quiet")
    sending = In(client.send, as_messages(pubs("other", COMMANDS)))
    answers = 0
    client.socket.settimeout(5)  # more than twice as long as a client may be silent
    try:
        while True:
            opcode, payload = client.frame()
            expect(opcode != CLOSE, f"closed: {payload}")
            answers += opcode == TEXT
    except TimeoutError:
        expect(answers < COMMANDS, "the bus was never full")
    client.socket.settimeout(DEADLINE_S)
    stalled.close()
    for _ in range(COMMANDS - answers):
        id_of(client.text())
    sending.join_it()
    gateway.stop()


def a_client_that_is_slow_to_read_answers_of_http_is_not_idle():
    gateway = Gateway("--stall", 0, "--slow", 0, "--threads", 1, "--keep-alive", 1000)
    http = Http(gateway.http, STALLED_RCVBUF)
    requests = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    sending = In(http.send, requests)
    until("it is held up", lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["memory"]["queued_bytes"] > 400000)
    slowly = 28  # four a second, for longer than it may be idle, which is --keep-alive and 5 s
    for _ in range(slowly):
        expect_equal(http.response().status, 200, "the status, read slowly")
        time.sleep(0.25)
    for _ in range(2000 - slowly):
        expect_equal(http.response().status, 200, "the status")
    sending.join_it()
    http.expect_closed("for being idle now")
    gateway.stop()


def commands_that_have_waited_too_long_are_told_so():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--handshake", 1000)
    stalled = hold_up(gateway)
    client = Lines(gateway.lines)
    In(client.send, as_lines([*pubs("other", COMMANDS), "PING"]))
    answer = client.answer()
    while answer.startswith("+OK PUB"):
        answer = client.answer()
    expect(answer.startswith("-ERR busy: "), answer)
    response = ask(gateway.http, "POST", "/api/v1/publish?topic=other", b"x")
    expect_equal((response.status, response.headers["retry-after"]), (503, "1"), "by HTTP")
    stalled.close()
    while answer != "+PONG":
        expect(answer.startswith(("+OK PUB ", "-ERR busy: ")), answer)
        answer = client.answer()
    gateway.stop()


def behind_a_fin_what_waits_too_long_is_told_so_too():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--handshake", 1000)
    stalled = hold_up(gateway)
    filling = Lines(gateway.lines)
    expect_equal(filling.ask("UNSUB news"), "+OK UNSUB news", "answer")
    In(filling.send, as_lines(pubs("other", COMMANDS)))
    until("the bus is full", lambda: _lag(gateway) >= _slots(gateway) - 1)
    lines, http = Lines(gateway.lines), Http(gateway.http)
    expect_equal(lines.ask("UNSUB news"), "+OK UNSUB news", "answer")
    lines.send(as_lines(pubs("other", 3)))
    http.send_request("POST", "/api/v1/publish?topic=other", b"x")
    for client in (lines, http):
        client.socket.shutdown(socket.SHUT_WR)
    expect_equal(http.response().status, 503, "the status")
    http.expect_closed("behind the answer")
    for _ in range(3):
        expect(lines.answer().startswith("-ERR busy: "), "an answer for each command")
    lines.expect_closed("behind the answers")
    stalled.close()
    gateway.stop()


def pipelined_requests_are_all_answered():
    gateway = Gateway(*SMALL_BUS)
    http = Http(gateway.http)
    subscriber = Subscriber(gateway, "other", "m1999")
    one = "POST /api/v1/publish?topic=other HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
    look = "GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n"  # is answered later, by another thread
    requests = "".join(one % (len(text), text) + (look if number % 100 == 0 else "")
                       for number, text in enumerate(numbered(2000)))
    sending = In(http.send, requests.encode())
    ids = []
    for number in range(2000):
        ids.append(int(http.response().json()["id"].split(":")[1]))
        if number % 100 == 0:
            expect("counters" in http.response().json(), "the answer between them")
    sending.join_it()
    expect(ids == sorted(set(ids)), "answers out of order")
    expect_equal(subscriber.texts(), numbered(2000), "messages")
    gateway.stop()


def more_behind_a_request_than_its_body_may_be_is_held_up():
    gateway = Gateway("--max-body", "64K", "--threads", 1)
    http, body = Http(gateway.http), b"x" * 60000
    request = b"POST /api/v1/publish?topic=other HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" + body
    for _ in range(20):
        http.send_request("GET", "/api/v1/stats")
    sending = In(http.send, request * 20)
    for _ in range(40):
        expect_equal(http.response().status, 200, "the status")
    sending.join_it()
    http.send(request * 20)
    http.socket.shutdown(socket.SHUT_WR)
    for _ in range(20):
        expect_equal(http.response().status, 200, "behind a FIN")
    http.expect_closed("behind the answers")
    gateway.stop()


def bulks_wait_for_room_instead_of_being_refused():
    gateway = Gateway(*SMALL_BUS)
    subscriber = Subscriber(gateway, "other", "m28999")

    def post(texts):
        http = Http(gateway.http)
        body = "\n".join(json.dumps(dict(topic="other", data=text)) for text in texts).encode()
        return http.ask("POST", "/api/v1/publish", body, NDJSON)

    texts = numbered(29000)
    for first in range(0, 29000, 1000):
        response = post(texts[first:first + 1000])
        expect_equal((response.status, response.json()["published"]), (200, 1000), "the answer")
    expect_equal(subscriber.texts(), texts, "messages")
    posting = [In(post, [f"b{number}"] * 1000) for number in range(8)]
    for one in posting:
        response = one.join_it()
        expect_equal((response.status, response.json()["published"]), (200, 1000), "at the same time")
    gateway.stop()


def a_bulk_that_waits_goes_on_where_it_was():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--max-body", "4M", "--handshake", 60000, "--log-level", "debug")
    subscriber = Subscriber(gateway, "other", "m3999")
    stalled = hold_up(gateway)
    texts = numbered(4000)

    def post(texts):
        body = "\n".join(json.dumps(dict(topic="other", data=text)) for text in texts).encode()
        return ask(gateway.http, "POST", "/api/v1/publish", body, NDJSON)

    def post_all():
        return [post(texts[first:first + 1000]) for first in range(0, 4000, 1000)]

    posting = In(post_all)
    until("the bus is full", lambda: _lag(gateway) >= _slots(gateway) - 1)
    gone = Http(gateway.http)
    body = "\n".join(['{"topic":"gone","data":"x"}'] * 1000).encode()
    gone.send_request("POST", "/api/v1/publish", body, NDJSON)
    gone.send_request("GET", "/livez")
    until("what is behind it is kept", lambda: _metric(gateway, "read_pauses_total") > 0)
    reset(gone)
    until("it is gone", lambda: re.search(r"event=closed .*connection reset", gateway.log()))
    stalled.close()
    for response in posting.join_it():
        expect_equal((response.status, response.json()["published"]), (200, 1000), "the answer")
    expect_equal(subscriber.texts(), texts, "messages")
    gateway.stop()


def a_bulk_that_waits_when_the_gateway_stops_is_no_harm():
    gateway = Gateway(*HELD_UP, "--budget", "64M", "--handshake", 60000, "--drain", 1000)
    stalled = hold_up(gateway)
    http, lines = Http(gateway.http), Lines(gateway.lines)
    body = "\n".join(['{"topic":"other","data":"x"}'] * 1000).encode()
    expect_equal(lines.ask("UNSUB news"), "+OK UNSUB news", "answer")
    sending = In(http.send, b"".join(b"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\n%s\r\nContent-Length: %d\r\n\r\n%s"
                                     % (NDJSON[0].encode(), len(body), body) for _ in range(8)))
    until("the bus is full", lambda: _lag(gateway) >= _slots(gateway) - 1)
    In(lines.send, as_lines(pubs("other", COMMANDS)))
    sending.join(1)
    gateway.stop()
    stalled.close()


def _metric(gateway, name):
    lines = ask(gateway.http, "GET", "/metrics").body.decode().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"fluxbp_gateway_{name} "))


def _stats(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()


def _bus(gateway):
    return _stats(gateway)["bus"]


def _lag(gateway):
    return _bus(gateway)["lag"]


def _slots(gateway):
    return _bus(gateway)["slots"]


def cut_anywhere_and_held_anywhere_it_is_the_same():
    """Random commands in random pieces, while the bus is full again and again."""
    gateway = Gateway(*SMALL_BUS, "--tcp-length", "127.0.0.1:0", "--max-message", "64K")
    flooder = Lines(gateway.lines)
    expect_equal(flooder.ask("UNSUB news"), "+OK UNSUB news", "answer")
    is_over = []

    def flood():
        while not is_over:
            flooder.send(as_lines(["PUB flood " + "x" * 50] * 2000))
            for _ in range(2000):
                id_of(flooder.answer())

    flooding = In(flood)
    for seed in range(6):
        generator = random.Random(seed)
        for number, (client, encode, answer) in enumerate(doors(gateway)):
            commands, expected = [], []
            for index in range(generator.randrange(500, 2500)):
                kind = generator.randrange(4)
                if kind == 0:
                    commands.append("PING")
                    expected.append("+PONG")
                elif kind == 1:
                    commands.append(f"SUB {seed}.{number}.{index % 8}")
                    expected.append("+OK " + commands[-1])
                else:
                    commands.append("PUB other " + "y" * generator.choice((1, 10, 100, 5000)))
                    expected.append("+OK PUB")
            data = encode(commands)

            def send():
                left = data
                while left:
                    cut = generator.choice((1, 7, 100, 4096, 65536, 200000))
                    client.send(left[:cut])
                    left = left[cut:]

            sending = In(send)
            for wanted in expected:
                got = answer()
                expect(got == wanted or wanted == "+OK PUB" and got.startswith("+OK PUB "), f"{got} for {wanted}")
            sending.join_it()
            client.close()
    is_over.append(True)
    flooding.join_it()
    gateway.stop()


run(everything_in_one_write_is_answered,
    five_hundred_outstanding_go_on_for_ever,
    who_does_not_read_answers_is_held_up_and_loses_none,
    who_reads_as_fast_as_it_may_is_never_forgotten,
    who_never_reads_answers_is_judged_as_slow,
    behind_a_fin_everything_is_done_and_answered,
    behind_QUIT_is_nothing_but_what_was_before_it_is_done,
    commands_wait_for_room_and_their_client_is_not_read,
    what_is_kept_leaves_room_for_others,
    a_websocket_that_is_not_read_is_not_silent,
    a_client_that_is_slow_to_read_answers_of_http_is_not_idle,
    commands_that_have_waited_too_long_are_told_so,
    behind_a_fin_what_waits_too_long_is_told_so_too,
    pipelined_requests_are_all_answered,
    more_behind_a_request_than_its_body_may_be_is_held_up,
    bulks_wait_for_room_instead_of_being_refused,
    a_bulk_that_waits_goes_on_where_it_was,
    a_bulk_that_waits_when_the_gateway_stops_is_no_harm,
    cut_anywhere_and_held_anywhere_it_is_the_same)
