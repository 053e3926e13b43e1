# SPDX-License-Identifier: MIT
"""Compressed messages (RFC 7692), both ways: what is agreed on, what is on the wire, and against an implementation that isn't
ours (Debian's python3-websockets). The odd offers and blocks are in tests/server/websocket_extensions_test.c and inflater_test.c.
"""
import asyncio
import json
import os
import re
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, skip, until
from wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Http, WebSocket, ask, frame, position_of

try:
    import websockets
except ImportError:
    skip("there is no python3-websockets")

IS_SANITIZED = re.search(rb"lib[at]san", subprocess.check_output(["ldd", os.environ["GATEWAY"]])) is not None
MIN_BYTES = 256  # of --compress
TAIL = b"\0\0\xff\xff"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
JSON = json.dumps([dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(40)])


def deflate(data, level=6):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(data, window_bits=15):
    return zlib.decompressobj(-window_bits).decompress(data + TAIL)


def compressed(opcode, data, is_final=True):
    """A frame of a client whose payload is compressed."""
    whole = frame(opcode, data, is_final)
    return bytes([whole[0] | 0x40]) + whole[1:]


class Compressing(WebSocket):
    """Offers compression, and keeps what is on the wire."""

    def __init__(self, address, path="/ws", offer=OFFER, **options):
        super().__init__(address, path, [offer] if offer else [], **options)
        self.extension = self.headers.get("sec-websocket-extensions")

    def raw_frame(self):
        """(opcode, whether it is compressed, payload)"""
        first, length = struct.unpack("!BB", self.take(2))
        expect(first & 0xb0 == 0x80 and length < 128, f"a frame with {first:x} {length:x}")
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        return first & 0x0f, bool(first & 0x40), self.take(length)

    def frame(self):
        opcode, is_compressed, payload = self.raw_frame()
        return opcode, inflate(payload) if is_compressed else payload

    def message(self):
        """(opcode, whether it is compressed, payload) of the next message that is no position"""
        while True:
            opcode, is_compressed, payload = self.raw_frame()
            expect(opcode in (TEXT, BINARY), f"opcode {opcode}: {payload!r}")
            if is_compressed or position_of(payload.decode("utf-8", "replace")) is None:
                return opcode, is_compressed, payload


def publish(gateway, body, topic="news"):
    response = ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", body)
    expect_equal(response.status, 200, "publishing")
    return response.json()["id"]


def counters(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]


def what_is_agreed_on():
    gateway = Gateway()
    for offer, answer in ((OFFER, AGREED), (OFFER + "; client_max_window_bits", AGREED),
                          (OFFER + "; server_max_window_bits=12", AGREED + "; server_max_window_bits=12"),
                          (OFFER + "; server_max_window_bits=8", None), (OFFER + "; unknown", None), (None, None),
                          ("Sec-WebSocket-Extensions: x\r\n" + OFFER, AGREED)):
        client = Compressing(gateway.http, offer=offer)
        expect_equal((client.status, client.extension), (101, answer), offer)
        expect_equal(client.ask_command("PING"), "+PONG", offer)
        listed = ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]
        expect_equal([row["compressed"] for row in listed], [answer is not None], "the listing")
        client.close()
        until("it is gone", lambda: ask(gateway.http, "GET", "/api/v1/connections").json()["connections"] == [])
    refused = Compressing(gateway.http, offer="Sec-WebSocket-Extensions: permessage-deflate;;")
    expect_equal(refused.status, 400, "a malformed list")
    gateway.stop()
    gateway = Gateway("--compress", 0)
    client = Compressing(gateway.http)
    expect_equal(client.extension, None, "compression is off")
    client.send(compressed(TEXT, deflate(b"PING")))
    expect_equal(client.close_code()[0], 1002, "a compressed message that wasn't agreed on")
    gateway.stop()


def messages_are_compressed_from_a_length_on():
    gateway = Gateway("--ping", 600000)
    as_text, as_json, plain = Compressing(gateway.http), Compressing(gateway.http, "/ws?format=json"), WebSocket(gateway.http)
    random_bytes = os.urandom(5000)
    for body, is_shorter in ((b"x", False), (b"x" * (MIN_BYTES - 1), False), (b"x" * MIN_BYTES, True), (JSON.encode(), True),
                             (b"\xff" + JSON.encode(), True), (random_bytes, False), ("\u20ac".encode() * 10000, True)):
        id_text = publish(gateway, body)
        opcode, is_compressed, payload = as_text.message()
        expect_equal(is_compressed, is_shorter, f"{len(body)} bytes")
        expect_equal(inflate(payload, 12) if is_compressed else payload, body, "the text")
        if is_shorter:
            expect(len(payload) <= len(body) * 15 / 16, f"{len(payload)} bytes of {len(body)}")
        plain_opcode, plain_payload = plain.frame()
        expect_equal((opcode, body), (plain_opcode, plain_payload), "beside a plain client")
        _, is_compressed, payload = as_json.message()
        expect_equal(is_compressed, is_shorter, f"{len(body)} bytes as JSON")
        message = json.loads(inflate(payload, 12) if is_compressed else payload)
        expect_equal((message["id"], message["topic"]), (id_text, "news"), "JSON")
        expect("base64" in message or message["data"].encode() == body, "the data in JSON")
    gateway.stop()


def a_message_is_compressed_once_for_all():
    gateway = Gateway("--threads", 1)
    clients = [Compressing(gateway.http) for _ in range(50)]
    before = counters(gateway)
    wire = before["written_bytes"]
    publish(gateway, JSON.encode())
    payloads = {client.message()[2] for client in clients}
    expect_equal(len(payloads), 1, "the bytes for all")
    after = counters(gateway)
    expect_equal(after["compressed_messages"] - before["compressed_messages"], 1, "compressed messages")
    expect_equal(after["compressed_plain_bytes"] - before["compressed_plain_bytes"], len(JSON), "bytes before")
    expect_equal(after["compressed_bytes"] - before["compressed_bytes"], len(payloads.pop()), "bytes after")
    expect(after["written_bytes"] - wire < len(JSON) * 50 / 2, "bytes on the wire")
    metrics = ask(gateway.http, "GET", "/metrics").body.decode()
    for name, value in (("messages", after["compressed_messages"]), ("plain_bytes", len(JSON))):
        expect(re.search(rf"^fluxbp_gateway_compressed_{name}_total {value}$", metrics, re.M), f"{name} in the metrics")
    gateway.stop()


def a_client_that_resumes_gets_them_compressed_too():
    gateway = Gateway("--ping", 600000)
    client = Compressing(gateway.http, "/ws?format=json")
    first = publish(gateway, JSON.encode())
    expect_equal(json.loads(inflate(client.message()[2]))["id"], first, "the first")
    client.close()
    missed = [publish(gateway, JSON.encode() + str(i).encode()) for i in range(20)]
    client = Compressing(gateway.http, f"/ws?format=json&since={first}")
    got = []
    while len(got) < len(missed):
        _, is_compressed, payload = client.message()
        message = json.loads(inflate(payload) if is_compressed else payload)
        if "id" in message:
            expect(is_compressed, "a replayed message is plain")
            got.append(message["id"])
    expect_equal(got, missed, "what was missed")
    gateway.stop()


def commands_may_be_compressed():
    gateway = Gateway("--max-message", 65536)
    client = Compressing(gateway.http)
    blocks = deflate(b"PING")
    for data in (compressed(TEXT, blocks), frame(TEXT, b"PING"), compressed(TEXT, deflate(b"PING", 0)),
                 compressed(TEXT, blocks[:2], False) + frame(CONTINUATION, blocks[2:]),
                 compressed(TEXT, b"", False) + frame(PONG) + frame(CONTINUATION, blocks, False) + frame(CONTINUATION)):
        for cut in range(len(data)):
            client.send(data[:cut])
            client.send(data[cut:])
            expect_equal(client.text(), "+PONG", f"{data!r} cut at {cut}")
    watcher = WebSocket(gateway.http, "/ws?topic=large")
    for body in ("x" * 65536, JSON, "".join(chr(32 + byte % 95) for byte in os.urandom(65536)), "\u20ac" * 20000):
        client.send(compressed(TEXT, deflate(b"PUB large " + body.encode())))
        expect(client.text().startswith("+OK PUB "), "a large message")
        expect_equal(watcher.text(), body, "what was published")
    client.send(b"".join(compressed(TEXT, deflate(b"PUB large %d" % i)) for i in range(2000)))
    for i in range(2000):
        expect(client.text().startswith("+OK PUB "), "many in a row")
        expect_equal(watcher.text(), str(i), "in order")
    gateway.stop()


def what_cannot_be_inflated_is_closed_with_its_code():
    gateway = Gateway("--max-message", 65536)
    bomb = deflate(b"\0" * 50000000)
    cases = [
        (compressed(TEXT, bomb), 1009),
        (compressed(TEXT, deflate(b"x" * (65536 + 4097))), 1009),
        (compressed(BINARY, deflate(b"x" * (65536 + 4097))), 1009),
        (compressed(TEXT, b"".join(deflate(os.urandom(1000)) for _ in range(75))), 1009),
        (compressed(TEXT, b"\x07"), 1007),
        (compressed(TEXT, b""), 1007),
        (compressed(TEXT, deflate(b"PING")[:-2]), 1007),
        (compressed(TEXT, deflate(b"\xff\xfe")), 1007),
        (compressed(TEXT, deflate(b"\xe2\x82"), False) + frame(CONTINUATION), 1007),
        (compressed(BINARY, deflate(b"PING")), 1003),
        (compressed(PING, b""), 1002),
        (compressed(CLOSE, b"\x03\xe8"), 1002),
        (frame(TEXT, b"P", False) + compressed(CONTINUATION, b"ING"), 1002),
    ]
    for data, code in cases:
        client = Compressing(gateway.http)
        try:
            client.send(data)
        except OSError:
            pass  # it was closed before it had sent all
        got, reason = client.close_code()
        expect(got == code or (got is None and len(data) > 60000), f"{got} {reason} instead of {code}: {data[:40]}")
    client = Compressing(gateway.http)
    client.send(compressed(TEXT, deflate(b"NAME " + b"x" * 65536 + b" " * 4000)))
    expect_equal(client.text(), "+OK NAME", "one at the limit")
    gateway.stop()


def a_client_that_may_not_publish_has_4_KiB():
    gateway = Gateway(trusts_loopback=False)
    client = Compressing(gateway.http)
    client.send(compressed(TEXT, deflate(b"NAME " + b"x" * 4000)))
    expect_equal(client.text(), "+OK NAME", "a command of 4005 bytes")
    client.send(compressed(TEXT, deflate(b"NAME " + b"x" * 4092)))
    expect_equal(client.close_code()[0], 1009, "a command of 4097 bytes")
    gateway.stop()


def bombs_cost_no_memory():
    gateway = Gateway("--max-message", 65536)
    bomb = compressed(TEXT, deflate(b"\0" * 60000000))

    def peak_kb():
        with open(f"/proc/{gateway.process.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))

    def throw():
        client = Compressing(gateway.http)
        try:
            client.send(bomb)
        except OSError:
            pass
        client.close_code()
        client.close()

    def input_bytes():  # those of the request that asks for it
        return ask(gateway.http, "GET", "/api/v1/stats").json()["memory"]["input_bytes"]

    idle = input_bytes()
    throw()
    before = peak_kb()
    for _ in range(50):
        throw()
    expect(IS_SANITIZED or peak_kb() - before < 8000, f"it has grown by {peak_kb() - before} KB")
    expect_equal(input_bytes(), idle, "memory for input")
    gateway.stop()


def by_an_independent_client(test):
    def run_test():
        gateway = Gateway("--ping", 1000)
        asyncio.run(asyncio.wait_for(test(gateway), 60))
        gateway.stop()

    run_test.__name__ = test.__name__
    return run_test


@by_an_independent_client
async def an_independent_client_agrees(gateway):
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
    for factory in (ClientPerMessageDeflateFactory(), ClientPerMessageDeflateFactory(client_max_window_bits=True),
                    ClientPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=9),
                    ClientPerMessageDeflateFactory(True, True, 15, 15)):
        async with websockets.connect(gateway.url("/ws", "ws"), compression=None, extensions=[factory]) as client:
            expect_equal([extension.name for extension in client.extensions], ["permessage-deflate"], "the extension")
            for body in (JSON, JSON * 20, "x", "\u20ac" * 1000, os.urandom(1000)):
                publish(gateway, body if isinstance(body, bytes) else body.encode())
                expect_equal(await client.recv(), body, "a message")
            for text in (JSON, "x", "y" * 60000):
                await client.send("PUB news " + text)
                answer, message = await client.recv(), await client.recv()
                if message.startswith("+"):
                    answer, message = message, answer
                expect(answer.startswith("+OK PUB "), answer)
                expect_equal(message, text, "its own message")
            await client.send(["PUB other ", JSON[:500], JSON[500:]])
            expect((await client.recv()).startswith("+OK PUB "), "in fragments")
            await (await client.ping(b"x" * 100))


run(what_is_agreed_on,
    messages_are_compressed_from_a_length_on,
    a_message_is_compressed_once_for_all,
    a_client_that_resumes_gets_them_compressed_too,
    commands_may_be_compressed,
    what_cannot_be_inflated_is_closed_with_its_code,
    a_client_that_may_not_publish_has_4_KiB,
    bombs_cost_no_memory,
    an_independent_client_agrees)
