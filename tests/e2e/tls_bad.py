# SPDX-License-Identifier: MIT
"""Bad input at a door for TLS: handshakes that stand still, are cut at every byte, or are too long; records that are cut, changed
or no records. The gateway closes these connections, says why in its log, and serves all others.
"""
import os
import re
import ssl
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import gateway as support
from certificates import Certificates
from gateway import expect, expect_equal, run, until
from tls import Hand, client_context, client_hello, over, rest_of, start
from wire import Behind, Closed, Lines, Wire, ask

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
ALERT, HANDSHAKE, DATA = 21, 22, 23
certificates = Certificates()


def record(kind, data):
    return struct.pack("!BHH", kind, 0x0303, len(data)) + data


def expect_that_others_are_served(gateway):
    expect_equal(Lines(over(gateway.doors["tcp-tls"], certificates)).ask("PING"), "+PONG", "another client")


def connections(gateway):
    text = ask(gateway.http, "GET", "/metrics").body.decode()
    return int(re.search(r"^fluxbp_connections (\d+)$", text, re.M)[1])


def expect_that_all_are_gone(gateway):
    """But the one that asks."""
    until("all connections are gone", lambda: connections(gateway) == 1)


# ---- handshakes that stand still ----

def drip(wire, data, is_over):
    for byte in data:
        if is_over.wait(0.02):
            return
        try:
            wire.send(bytes([byte]))
        except OSError:
            return


def a_handshake_has_a_deadline():
    gateway = start(certificates, "--handshake", 200)
    hello = client_hello(client_context(certificates))
    silent = [Wire(gateway.doors["tcp-tls"]), Wire(gateway.doors["http-tls"])]
    begun = [Wire(gateway.doors["tcp-tls"]) for _ in range(2)]
    begun[0].send(hello[:100])
    begun[1].send(hello)  # and nothing behind the answer of the server
    dripping, is_over = Wire(gateway.doors["http-tls"]), threading.Event()
    thread = threading.Thread(target=drip, args=(dripping, hello, is_over))
    thread.start()
    try:
        for client in (*silent, begun[0], dripping):
            expect_equal(client.rest(), b"", "what it is told")
        expect(begun[1].rest()[:1] == bytes([HANDSHAKE]), "the server's part of the handshake, and no more")
    finally:
        is_over.set()
        thread.join()
    until("all are logged", lambda: gateway.log().count("the handshake did not end in time") == 5)
    expect_that_others_are_served(gateway)
    expect_that_all_are_gone(gateway)
    gateway.stop()


# ---- cut ----

def a_handshake_is_cut_at_every_byte():
    gateway = start(certificates, "--tcp-tls", support.ANY)
    address = gateway.doors["tcp-tls"]
    for version in VERSIONS:
        context = client_context(certificates, version=version)
        hello = client_hello(context)
        for length in range(len(hello)):
            expect_equal(rest_of(address, hello[:length]), b"", f"{version.name}: {length} bytes of a ClientHello")
        client = Hand(address, context)
        client.finish()
        last = client.to_send()
        client.close()
        for length in range(len(last)):
            client = Hand(address, context)
            client.finish()
            client.wire.send(client.to_send()[:length])
            client.wire.socket.shutdown(socket.SHUT_WR)
            rest = client.wire.rest()
            expect(b"\x17" != rest[:1], f"{version.name}: {length} bytes of its end: data for a client that isn't known")
            client.close()
    expect_that_all_are_gone(gateway)
    expect_that_others_are_served(gateway)
    gateway.stop()


def a_handshake_may_come_in_any_pieces():
    gateway = start(certificates, "--proxy-from", "127.0.0.1")
    for version in VERSIONS:
        context = client_context(certificates, version=version)
        for header in (Behind((), "192.0.2.7").header(), Behind(()).header()):
            client = Hand(gateway.doors["tcp-tls"], context)
            client.wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header + client.to_send():
                client.wire.send(bytes([byte]))
            client.finish()
            for byte in client.to_send():
                client.wire.send(bytes([byte]))
            client.await_end()
            for byte in client.encrypt(b"PING\n"):
                client.wire.send(bytes([byte]))
            expect_equal(client.read(), b"+PONG\n", "PING")
            client.close()
            client = Hand(gateway.doors["tcp-tls"], context)  # and all in one
            client.wire.send(header + client.to_send())
            client.finish()
            last = client.to_send()
            if version == ssl.TLSVersion.TLSv1_2:  # else data may follow at once
                client.wire.send(last)
                last = b""
            client.await_end()
            client.wire.send(last + b"".join(client.encrypt(text) for text in (b"PI", b"NG\nPING\nPI", b"NG\n")))
            answer = b""
            while len(answer) < 18:
                answer += client.read()
            expect_equal(answer, b"+PONG\n" * 3, "PING three times")
            client.close()
    gateway.stop()


def a_handshake_message_may_be_cut_into_records():
    gateway = start(certificates)
    for version in VERSIONS:
        for size in (1, 7, 100):
            client = Hand(gateway.doors["tcp-tls"], client_context(certificates, version=version))
            hello = client.to_send()[5:]
            client.wire.send(b"".join(record(HANDSHAKE, hello[at:at + size]) for at in range(0, len(hello), size)))
            client.handshake()
            client.wire.send(client.encrypt(b"PING\n"))
            expect_equal(client.read(), b"+PONG\n", f"pieces of {size} bytes")
            client.close()
    gateway.stop()


def records_are_cut_and_changed():
    gateway = start(certificates, "--log-level", "debug")
    for version in VERSIONS:
        context = client_context(certificates, version=version)

        def client_that_sends(change):
            client = Hand(gateway.doors["tcp-tls"], context)
            client.handshake()
            client.wire.send(client.encrypt(b"UNSUB news\nPING\n"))
            while b"+PONG\n" not in client.read():
                pass
            try:
                client.wire.send(change(client.encrypt(b"PUB news forged\n")))
                client.wire.socket.shutdown(socket.SHUT_WR)
                client.wire.rest()
            except OSError:  # the gateway was quicker
                pass
            client.close()

        for length in (1, 4, 5, 6, 20, -1):
            client_that_sends(lambda data, length=length: data[:length])
        for at in (0, 1, 3, 4, 5, 20, -1):
            client_that_sends(lambda data, at=at: bytes(byte ^ (0x81 if place == at % len(data) else 0)
                                                        for place, byte in enumerate(data)))
        client_that_sends(lambda data: b"PUB news forged\n")  # no record
        client_that_sends(lambda data: record(DATA, b""))  # no message
        client_that_sends(lambda data: record(DATA, b"x" * 16640))  # the longest record
        client_that_sends(lambda data: struct.pack("!BHH", DATA, 0x0303, 65535) + b"x" * 20000)
        client_that_sends(lambda data: record(HANDSHAKE, b"\1\0\0\0"))
        client_that_sends(lambda data: record(ALERT, b"\2\50"))
        client_that_sends(lambda data: record(ALERT, b""))
        client_that_sends(lambda data: data[:len(data)] + data)  # the second one again: taken once
    history = ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]
    expect_equal(history["published"], len(VERSIONS), "the one that is whole is taken, once for each version")
    expect_that_all_are_gone(gateway)
    expect_that_others_are_served(gateway)
    gateway.stop()


# ---- too long ----

def what_is_too_long_is_refused():
    gateway = start(certificates)
    address = gateway.doors["tcp-tls"]
    hello = client_hello(client_context(certificates))

    large = client_context(certificates)  # 60 KB are still taken
    large.set_alpn_protocols(["x" * 250] * 230 + ["http/1.1"])
    client = Hand(address, large)
    client.handshake()
    expect_equal(client.tls.selected_alpn_protocol(), "http/1.1", "ALPN")
    client.close()

    endless = bytes([1]) + (1 << 20).to_bytes(3, "big") + hello[9:]
    said = rest_of(address, b"".join(record(HANDSHAKE, part) for part in (endless, *[b"\0" * 16384] * 8)), ends=False)
    expect(said is None or said[:1] in (b"", bytes([ALERT])), f"a ClientHello of a megabyte: {said}")
    said = rest_of(address, b"".join(record(HANDSHAKE, bytes([byte])) for byte in (endless + b"\0" * 20000)), ends=False)
    expect(said is None or said[:1] in (b"", bytes([ALERT])), f"in pieces of one byte: {said}")
    gateway.wait_for_log("event=tls_failed .*(too long|excessive|size|length)")
    for data in (struct.pack("!BHH", HANDSHAKE, 0x0301, 65535), record(HANDSHAKE, b""), record(DATA, b"x"),
                 record(ALERT, b"\2\0"), record(20, b"\1"), bytes([HANDSHAKE, 3, 3, 0, 4, 2, 0, 0, 0]),
                 b"\x80\x2e\1\3\1" + b"\0" * 41, b"\x16\x02"):
        for ends in (True, False):
            if not ends and data == record(HANDSHAKE, b""):
                continue
            said = rest_of(address, data, ends)
            expect(said is None or said[:1] in (b"", b"-", bytes([ALERT])), f"{data}: {said}")
    expect_that_all_are_gone(gateway)
    expect_that_others_are_served(gateway)
    gateway.stop()


def many_handshakes_at_once():
    """More than may be under way, of which most stand still."""
    gateway = start(certificates, "--max-per-address", 0, "--handshake", 60000)
    hello = client_hello(client_context(certificates))
    still = []
    for _ in range(1100):
        wire = Wire(gateway.doors["tcp-tls"])
        wire.send(hello)
        still.append(wire)
    expect_that_others_are_served(gateway)
    gateway.wait_for_log("the handshake stood still while others waited")
    for wire in still:
        wire.close()
    expect_that_all_are_gone(gateway)
    gateway.stop()


def parts_of_records_leave_room_for_others():
    gateway = start(certificates, "--budget", "8M", "--threads", 1)
    context = client_context(certificates)
    held = []
    for _ in range(400):  # the first ones go, as together they would have more than their share
        client = Hand(gateway.doors["tcp-tls"], context)
        client.handshake()
        client.wire.send(struct.pack("!BHH", DATA, 0x0303, 16640) + b"x" * 16600)
        held.append(client)
    answer = ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"x" * 1000)
    expect_equal(answer.status, 200, f"publishing beside them: {answer.body}")
    for client in held:
        client.close()
    gateway.stop()


run(a_handshake_has_a_deadline,
    a_handshake_is_cut_at_every_byte,
    a_handshake_may_come_in_any_pieces,
    a_handshake_message_may_be_cut_into_records,
    records_are_cut_and_changed,
    what_is_too_long_is_refused,
    many_handshakes_at_once,
    parts_of_records_leave_room_for_others)
