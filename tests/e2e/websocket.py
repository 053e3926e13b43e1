# SPDX-License-Identifier: MIT
"""WebSocket against an implementation that isn't ours (Debian's python3-websockets), and every close code, for what it
means. The 200 and more cases of wrong frames are in tests/gateway/websocket_cases_test.c; here are those that take a server.
"""
import asyncio
import json
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, fail, run, skip, until
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, STALLED_RCVBUF, TEXT, Http, WebSocket, ask, frame, handshake

try:
    import websockets
except ImportError:
    skip("there is no python3-websockets")


def url(gateway, path="/ws"):
    return gateway.url(path, "ws")


def publish(gateway, body, topic="news"):
    response = ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", body)
    expect_equal(response.status, 200, "publishing")
    return response.json()["id"]


def by_an_independent_client(test):
    """`test` is a coroutine that gets a gateway."""

    def run_test():
        gateway = Gateway("--ping", 1000)
        asyncio.run(asyncio.wait_for(test(gateway), 60))
        gateway.stop()

    run_test.__name__ = test.__name__
    return run_test


@by_an_independent_client
async def messages_of_all_sizes_and_kinds_arrive_as_they_are(gateway):
    async with websockets.connect(url(gateway), max_size=None) as raw, \
            websockets.connect(url(gateway, "/ws?format=json&topic=news,sport"), max_size=None) as as_json:
        for body in (b"x", b"hello", "\u00fc\u20ac\U0001f600".encode(), b"x" * 125, b"x" * 126, b"x" * 127,
                     b"x" * 65535, b"x" * 65536, b"\0\xff", b"\xed\xa0\x80", b"a\nb\r\n\"\\"):
            id_text = publish(gateway, body)
            try:
                wanted, in_json = body.decode(), "data"
            except UnicodeDecodeError:
                wanted, in_json = body, "base64"
            expect_equal(await raw.recv(), wanted, "raw")
            message = json.loads(await as_json.recv())
            while "at" in message:  # its position
                message = json.loads(await as_json.recv())
            expect_equal(sorted(message), sorted(["id", "topic", in_json]), "JSON")
            expect_equal((message["id"], message["topic"]), (id_text, "news"), "JSON")
            expect(in_json == "base64" or message["data"] == wanted, "the data in JSON")


@by_an_independent_client
async def commands_are_taken_whole_or_in_fragments(gateway):
    async with websockets.connect(url(gateway)) as client:
        for command in ("PING", ["PI", "NG"], list("PING"), ["", "PING", ""]):
            await client.send(command)
            expect_equal(await client.recv(), "+PONG", f"{command}")
        for _ in range(300):  # of many messages each may be in fragments
            await client.send(["P", "I", "N", "G", ""])
            expect_equal(await client.recv(), "+PONG", "many in fragments")
        await client.send(["PUB news \u20ac", "x" * 30000, "y" * 30000])
        answer, message = await client.recv(), await client.recv()
        if message.startswith("+"):
            answer, message = message, answer
        expect(answer.startswith("+OK PUB "), answer)
        expect_equal(message, "\u20ac" + "x" * 30000 + "y" * 30000, "a long command")
        for command, wanted in (("SUB sport", "+OK SUB sport"), ("UNSUB sport", "+OK UNSUB sport"),
                                ("UNSUB sport", "-ERR not subscribed to sport"), ("NAME me", "+OK NAME"),
                                ("IDS", "-ERR IDS is for lines and frames: connect with format=json instead")):
            await client.send(command)
            expect_equal(await client.recv(), wanted, command)


@by_an_independent_client
async def pings_are_answered_both_ways(gateway):
    async with websockets.connect(url(gateway)) as client:
        for payload in (b"", b"x", b"\0\xff" * 62):
            await (await client.ping(payload))
        await asyncio.sleep(2.5)  # the gateway pings each second, and the client answers by itself
        await client.send("PING")
        expect_equal(await client.recv(), "+PONG", "after more than two pings")
    silent = WebSocket(gateway.http)
    opcodes = []
    while CLOSE not in opcodes:
        opcode, payload = silent.frame()
        opcodes.append(opcode)
    expect_equal(opcodes[0], PING, "first it is asked")
    expect_equal(payload, b"\x03\xf0no answer to a ping", "1008 for who never answers")


def who_has_more_to_read_than_it_can_is_not_asked():
    gateway = Gateway("--ping", 1000, "--stall", 600000, "--slow", 600000)
    behind = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)

    def is_behind():
        publish(gateway, b"x" * 65536)
        return ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["stalled"] == 1

    until("it is refused", is_behind)
    for _ in range(2):  # who could answer, and doesn't, is closed after three pings
        silent = WebSocket(gateway.http)
        expect_equal(silent.close_code(), (1008, "no answer to a ping"), "who doesn't answer")
    expect_equal(ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["stalled"], 1, "it is there")
    behind.close()
    gateway.stop()


@by_an_independent_client
async def who_closes_is_answered_with_its_own_code(gateway):
    for code, answer in ((1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999)):
        client = await websockets.connect(url(gateway))
        await client.close(code, "reason")
        expect_equal(client.close_code, answer, "close code")
    client = await websockets.connect(url(gateway))
    await client.send("QUIT")
    expect_equal(await client.recv(), "+OK QUIT", "QUIT")
    await client.wait_closed()
    expect_equal((client.close_code, client.close_reason), (1000, "QUIT"), "after QUIT")
    raw = WebSocket(gateway.http)
    raw.send(frame(CLOSE))
    expect_equal(raw.close_code(), (1000, "closed by the client"), "a close frame without a code")


def what_is_against_the_rules_is_closed_with_its_code():
    gateway = Gateway()
    cases = [
        (frame(TEXT, b"PING", is_masked=False), 1002),
        (bytes([frame(TEXT, b"PING")[0] | 0x40]) + frame(TEXT, b"PING")[1:], 1002),
        (frame(3, b"x"), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (b"GET / HTTP/1.1\r\n\r\n", 1002),
        (frame(BINARY, b"PING"), 1003),
        (frame(TEXT, b"\xff"), 1007),
        (frame(TEXT, b"\xe2\x82", is_final=False) + frame(CONTINUATION, b"x"), 1007),
        (frame(TEXT, b"x" * (65536 + 4097)), 1009),
        (frame(TEXT, b"x" * 65536, is_final=False) + frame(CONTINUATION, b"x" * 4097), 1009),
        (b"".join(frame(TEXT, b"NONSENSE") for _ in range(10)), 1008),
        (frame(TEXT, b"P", is_final=False) + b"".join(frame(CONTINUATION, b"", False) for _ in range(1000)), 1008),
    ]
    for data, code in cases:
        client = WebSocket(gateway.http)
        try:
            client.send(data)
        except OSError:
            pass  # it was closed before it had sent all
        got, reason = client.close_code()
        # A close behind which we sent more is a reset, which may be faster than the close frame.
        expect(got == code or (got is None and len(data) > 60000), f"{got} {reason} instead of {code}: {data[:40]}")
    until("all of that is in the log", lambda: gateway.log().count('event=closed') >= len(cases))
    for reason in ("too many errors", "too many fragments", "the message is too long"):
        expect(f'reason="{reason}"' in gateway.log(), f"nobody was closed for {reason}")
    gateway.stop()


def pings_and_pongs_have_their_turn_as_commands_have():
    gateway = Gateway()
    client = WebSocket(gateway.http, "/ws?topic=quiet")
    data = b"".join(frame(opcode, b"x") for opcode in (PING, PONG) for _ in range(5000)) + frame(TEXT, b"PING")
    sending = threading.Thread(target=client.send, args=(data,), daemon=True)
    sending.start()
    opcode, payload = client.frame()
    while opcode == PONG:
        opcode, payload = client.frame()
    expect_equal((opcode, payload), (TEXT, b"+PONG"), "behind them")
    sending.join()
    gateway.stop()


def a_long_command_is_no_frame_that_is_too_long():
    gateway = Gateway()
    client = WebSocket(gateway.http)
    client.say("PUB other " + "x" * 65536)
    expect(client.text().startswith("+OK PUB "), "a message of --max-message")
    client.say("PUB other " + "x" * 65537)
    expect(client.text().startswith("-ERR the message is over this server's limit of bytes per message"), "a message that is longer")
    gateway.stop()


def a_handshake_in_pieces_is_one_in_whole():
    gateway = Gateway()
    whole = handshake(gateway.http, "/ws?topic=news&name=pieces") + frame(TEXT, b"PING")
    for at in range(1, len(whole)):
        client = Http(gateway.http)
        client.send(whole[:at])
        client.send(whole[at:])
        status, headers = client.head()
        expect_equal((status, headers["upgrade"]), (101, "websocket"), f"split at {at}")
        expect_equal(client.take(7), b"\x81\x05+PONG", f"a command right behind, split at {at}")
        client.close()
    until("all are gone", lambda: ask(gateway.http, "GET", "/api/v1/connections").json()["connections"] == [])
    gateway.stop()


@by_an_independent_client
async def a_subprotocol_is_the_format(gateway):
    for offered, path, chosen in ((["fluxbp.json"], "/ws", "fluxbp.json"), (["fluxbp.text"], "/ws", "fluxbp.text"),
                                  (["other", "fluxbp.text", "fluxbp.json"], "/ws", "fluxbp.text"),
                                  (["fluxbp.text", "fluxbp.json"], "/ws?format=json", "fluxbp.json"),
                                  (["fluxbp.json", "fluxbp.text"], "/ws?format=raw", "fluxbp.text")):
        async with websockets.connect(url(gateway, path), subprotocols=offered) as client:
            expect_equal(client.subprotocol, chosen, f"{offered} {path}")
            publish(gateway, b"hello")
            message = await client.recv()
            while '"at"' in message:
                message = await client.recv()
            expect_equal(message == "hello", chosen == "fluxbp.text", message)
    for offered, path in (("other", "/ws"), ("fluxbp.json", "/ws?format=raw"), ("fluxbp.text", "/ws?format=json"),
                          ("FLUXBP.JSON", "/ws"), ("", "/ws")):
        refused = WebSocket(gateway.http, path, [f"Sec-WebSocket-Protocol: {offered}"])
        expect_equal(refused.status, 400, f"{offered} {path}")
        expect("fluxbp.json and fluxbp.text" in refused.take(int(refused.headers["content-length"])).decode(), offered)


def who_gets_json_is_answered_in_json():
    gateway = Gateway()
    client = WebSocket(gateway.http, "/ws?format=json&topic=quiet")

    def ask_for(command):
        client.say(command)
        while True:
            answer = json.loads(client.text())
            if "at" not in answer:
                return answer

    expect_equal(ask_for("SUB sport"), dict(ok="SUB", topic="sport"), "SUB")
    answer = ask_for("PUB news hello")
    expect_equal((answer["ok"], len(answer["id"].split(":")[0])), ("PUB", 16), "PUB")
    expect_equal(ask_for("PING"), dict(ok="PING"), "PING")
    expect_equal(ask_for(""), dict(error="an empty command"), "an empty command")
    expect(ask_for("NONSENSE")["error"].startswith("unknown command: "), "an error")
    expect_equal(ask_for("QUIT"), dict(ok="QUIT"), "QUIT")
    gateway.stop()


def connections(gateway):
    return ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]


def evictions(gateway):
    return ask(gateway.http, "GET", "/api/v1/evictions").json()["evictions"]


def expect_slow_client_is_told(gateway, reason, is_reading):
    """Until one is told: it has a second to read all that is before the close frame, which a busy machine may not have."""
    for _ in range(20):
        before = len(evictions(gateway))
        client = WebSocket(gateway.http, receive_buffer=STALLED_RCVBUF)
        http = Http(gateway.http)
        client.socket.setblocking(True)
        received = 0
        while len(evictions(gateway)) == before:
            http.ask("POST", "/api/v1/publish?topic=news", b"x" * 30000)
            if is_reading and received < 4000000:
                client.more()
                received += 1
        expect_equal(evictions(gateway)[0]["reason"], reason, "reason")
        got = client.close_code()
        http.close()
        client.close()
        if got != (None, None):
            expect_equal(got, (4008, reason), "close code")
            return
    fail("no slow client was ever told")


def a_slow_client_is_told_that_it_is_too_slow():
    gateway = Gateway("--slots", 8, "--overflow", "evict", "--stall", 0, "--grace", 0)
    expect_slow_client_is_told(gateway, "overflow", is_reading=False)
    gateway.stop()
    gateway = Gateway("--slots", 8, "--slow", 500, "--stall", 600000, "--grace", 0)
    expect_slow_client_is_told(gateway, "slow", is_reading=True)
    gateway.stop()
    gateway = Gateway("--soft-bytes", "64K", "--soft-time", 500, "--stall", 0, "--slow", 0, "--grace", 0)
    expect_slow_client_is_told(gateway, "soft_limit", is_reading=True)
    gateway.stop()


def a_full_server_says_so_by_a_close_code():
    gateway = Gateway("--max-connections", 1)
    first = WebSocket(gateway.http)
    expect_equal(first.ask_command("PING"), "+PONG", "the first")
    expect_equal(WebSocket(gateway.http).close_code(), (1013, "server full; try again later"), "the second")
    first.close()
    until("there is room again", lambda: connections(gateway) == [])
    expect_equal(WebSocket(gateway.http).ask_command("PING"), "+PONG", "the next")
    gateway.stop()


run(messages_of_all_sizes_and_kinds_arrive_as_they_are,
    commands_are_taken_whole_or_in_fragments,
    pings_are_answered_both_ways,
    who_has_more_to_read_than_it_can_is_not_asked,
    who_closes_is_answered_with_its_own_code,
    what_is_against_the_rules_is_closed_with_its_code,
    pings_and_pongs_have_their_turn_as_commands_have,
    a_long_command_is_no_frame_that_is_too_long,
    a_handshake_in_pieces_is_one_in_whole,
    a_slow_client_is_told_that_it_is_too_slow,
    a_full_server_says_so_by_a_close_code,
    a_subprotocol_is_the_format,
    who_gets_json_is_answered_in_json)
