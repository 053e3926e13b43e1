# SPDX-License-Identifier: MIT
"""Event streams with Content-Encoding: gzip, read by curl and by Python's gzip: the events come at once, the checksum is right at
every clean end, and a client that resumes, falls behind or reads a state topic gets what it would get uncompressed.
"""
import gzip
import json
import os
import random
import re
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, start_process, until
from wire import Closed, Frames, Lines, Sse, WebSocket, ask

ROWS = [dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(40)]
JSON = json.dumps(ROWS)
GZIP = "Accept-Encoding: gzip"


class GzipSse(Sse):
    """Reads a stream that is compressed. `has_ended_well`: the reader has found the end, and the checksum is right."""

    decoder = None

    def __init__(self, address, path, headers=(), receive_buffer=None):
        self.wire_bytes = 0
        super().__init__(address, path, [*headers, GZIP], receive_buffer)
        expect_equal(self.headers.get("content-encoding"), "gzip", "the head")
        self.decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
        raw, self.received = self.received, b""
        self.decode(raw)

    def decode(self, raw):
        self.wire_bytes += len(raw)
        self.received += self.decoder.decompress(raw)

    def more(self):
        if self.decoder is None:
            super().more()
            return
        kept, self.received = self.received, b""
        try:
            super().more()
        finally:
            raw, self.received = self.received, kept
            self.decode(raw)

    @property
    def has_ended_well(self):
        return self.decoder.eof and not self.decoder.unused_data


def publish(gateway, text, topic="news"):
    response = ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", text.encode())
    expect_equal(response.status, 200, "publishing")
    return response.json()["id"]


def connections(gateway):
    return ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]


def who_gets_it():
    gateway = Gateway()
    for headers, coding in (([], None), ([GZIP], "gzip"), (["Accept-Encoding: gzip;q=0"], None), (["Accept-Encoding: br, *"], "gzip"),
                            (["Accept-Encoding: gzip;q=0.1, identity"], None), ([GZIP, "TE: trailers"], "gzip")):
        stream = Sse(gateway.http, "/sse?topic=news", headers)
        expect_equal((stream.status, stream.headers.get("content-encoding")), (200, coding), str(headers))
        expect_equal([row["compressed"] for row in connections(gateway)], [coding == "gzip"], "the listing")
        stream.close()
        until("it is gone", lambda: not connections(gateway))
    watch = Sse(gateway.http, "/api/v1/watch", [GZIP])
    expect_equal(watch.headers.get("content-encoding"), None, "the watch stream")
    gateway.stop()
    gateway = Gateway("--compress", 0)
    stream = Sse(gateway.http, "/sse", [GZIP])
    expect_equal(stream.headers.get("content-encoding"), None, "compression is off")
    gateway.stop()


def curl_prints_events_as_they_come():
    for version in ("--http1.1", "--http1.0"):
        curl_prints_events(version)


def curl_prints_events(version):
    gateway = Gateway("--ping", 600000)
    curl = start_process(["curl", "-sS", "-N", "--compressed", version, gateway.url("/sse?topic=news")], stdout=subprocess.PIPE)
    until("curl is there", lambda: connections(gateway))
    for i in range(10):
        text = f"{i} {JSON}" if i % 2 else f"short {i}"
        publish(gateway, text)
        while (line := curl.stdout.readline()) != f"data: {text}\n".encode():
            expect(line, "the stream has ended")
    gateway.stop()
    rest = curl.stdout.read()
    expect(b"event: closing\n" in rest, f"the end: {rest!r}")
    expect_equal(curl.wait(), 0, "curl takes the end for a right one")


def whole_streams_are_right_when_the_gateway_ends():
    gateway = Gateway("--threads", 2)
    streams = [Sse(gateway.http, "/sse?topic=news" + form, [GZIP]) for form in ("", "&format=json") * 4]
    generator = random.Random(3)
    texts = []
    for i in range(200):
        length = generator.choice((1, 50, 300, 2000, 20000))
        body = generator.choice((JSON * 20, "".join(chr(32 + generator.randrange(90)) for _ in range(length))))[:length]
        texts.append(f"{i} {body}")
        publish(gateway, texts[-1])
    gateway.terminate()
    for number, stream in enumerate(streams):
        raw = stream.rest()
        text = gzip.decompress(raw).decode()  # which fails unless length and checksum are right
        expect(text.startswith("retry: ") and '"reason":"shutting down"' in text, "first and last words")
        data = re.findall(r"^data: (.*)$", text, re.M)
        data = [json.loads(line).get("data") for line in data if line.startswith("{")] if number % 2 else data
        expect_equal([line for line in data if line in set(texts)], texts, "all messages in order")
        expect(len(raw) < len(text), "it is compressed")
    gateway.process.wait()


def an_evicted_client_gets_a_whole_stream():
    gateway = Gateway()
    stream = GzipSse(gateway.http, "/sse?topic=news")
    publish(gateway, JSON)
    expect_equal(stream.event().data, JSON, "a message")
    evicted = ask(gateway.http, "POST", f"/api/v1/connections/{connections(gateway)[0]['id']}/evict")
    expect_equal(evicted.status, 200, "evicting")
    try:
        while True:
            stream.more()
    except Closed:
        pass
    expect(stream.has_ended_well, "the checksum")
    expect(b"event: closing\n" in stream.received or b"event: evicted\n" in stream.received, f"{stream.received!r}")
    gateway.stop()


def a_client_that_falls_behind_is_told_of_the_gap():
    """It reads nothing while more comes than its ring and the kernel hold, and then everything."""
    gateway = Gateway("--slots", 64, "--overflow", "drop-oldest", "--stall", 600000, "--slow", 600000, "--ping", 600000,
                      "--max-message", 65536)
    stream = GzipSse(gateway.http, "/sse?topic=news", receive_buffer=4096)
    expect_equal(stream.any_event().name, "position", "the stream is there")
    noise = "".join(chr(33 + byte % 90) for byte in os.urandom(60000))
    count = 0
    while not connections(gateway)[0]["dropped"]:
        for _ in range(50):
            publish(gateway, f"{count} {noise[count % 40:]}" if count % 3 else f"{count} {JSON}")
            count += 1
    publish(gateway, "last")
    seen, gaps = [], 0
    while True:
        event = stream.any_event()
        if event.name == "gap":
            gaps += event.json()["count"]
        elif event.name == "message":
            seen.append(event.data)
            if event.data == "last":
                break
    expect(gaps > 0, "a gap")
    expect_equal(len(seen) + gaps, count + 1, "messages and those of gaps")
    gateway.terminate()
    stream.rest()
    expect(stream.has_ended_well, "the checksum")
    gateway.process.wait()


def a_client_that_resumes_misses_nothing():
    gateway = Gateway("--ping", 600000)
    stream = GzipSse(gateway.http, "/sse?topic=news")
    publish(gateway, "first")
    first = stream.event()
    stream.close()
    texts = [JSON[:20 + 30 * i] + str(i) for i in range(60)]
    for text in texts:
        publish(gateway, text)
    for _ in range(2):  # the second one gets what was compressed for the first
        stream = GzipSse(gateway.http, "/sse?topic=news", [f"Last-Event-ID: {first.id}"])
        expect_equal(stream.event().name, "resumed", "it goes on")
        expect_equal([stream.event().data for _ in texts], texts, "what was missed")
    gateway.terminate()
    stream.rest()
    expect(stream.has_ended_well, "the checksum")
    gateway.process.wait()


def a_state_topic_comes_whole():
    gateway = Gateway("--state", "prices", "--ping", 600000)
    values = {f"S{i}": JSON[:30 * i + 2] for i in range(80)}
    lines = "".join(json.dumps(dict(topic="prices", key=key, data=data)) + "\n" for key, data in values.items())
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish", lines.encode(), ["Content-Type: application/x-ndjson"]).status, 200, "publishing")
    stream = GzipSse(gateway.http, "/sse?topic=prices&format=json")
    got = {}
    while len(got) < len(values):
        value = stream.event().json()
        got[value["key"]] = value["data"]
    expect_equal(got, values, "the values")
    gateway.terminate()
    stream.rest()
    expect(stream.has_ended_well, "the checksum")
    gateway.process.wait()


def every_kind_of_client_is_served_at_once():
    """A hub has places for the codecs of all of them, and for what HTTP and the watch stream use."""
    gateway = Gateway("--threads", 1, "--tcp-length", "127.0.0.1:0", "--ping", 600000)
    deflate = ["Sec-WebSocket-Extensions: permessage-deflate"]
    lines = [Lines(gateway.lines) for _ in range(2)]
    frames = [Frames(gateway.frames) for _ in range(2)]
    for client in (lines[1], frames[1]):
        expect(client.ask("IDS").startswith("+OK IDS "), "ids")
    sockets = [WebSocket(gateway.http, "/ws?topic=news" + form, headers) for form in ("", "&format=json") for headers in ([], deflate)]
    watch = Sse(gateway.http, "/api/v1/watch")
    streams = [kind(gateway.http, "/sse?topic=news" + form) for form in ("", "&format=json") for kind in (Sse, GzipSse)]
    expect_equal([client.status for client in (watch, *streams, *sockets)], [200] * 5 + [101] * 4, "all are there")
    id_text = publish(gateway, "to all")
    expect_equal([client.text() for client in lines + frames], ["to all", f"{id_text} news to all"] * 2, "lines and frames")
    for client in sockets[:2]:
        expect_equal(client.text(), "to all", "a WebSocket")
    for client in sockets[2:]:
        while "data" not in (message := json.loads(client.text())):
            pass
        expect_equal(message["data"], "to all", "a WebSocket with JSON")
    expect_equal([stream.event().data for stream in streams[:2]], ["to all"] * 2, "events")
    expect_equal([stream.event().json()["data"] for stream in streams[2:]], ["to all"] * 2, "events with JSON")
    gateway.stop()


run(every_kind_of_client_is_served_at_once, who_gets_it, curl_prints_events_as_they_come, whole_streams_are_right_when_the_gateway_ends, an_evicted_client_gets_a_whole_stream,
    a_client_that_falls_behind_is_told_of_the_gap, a_client_that_resumes_misses_nothing, a_state_topic_comes_whole)
