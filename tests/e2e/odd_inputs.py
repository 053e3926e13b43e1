# SPDX-License-Identifier: MIT
"""What people really send, by every way in, and what of it every reader gets: one table of odd messages, one of odd requests.
No message may look like more than one to any reader, and none is lost without a word.
"""
import base64
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import gateway as support
import nats_server
import over_tls
from gateway import Gateway, expect, expect_equal, run, until
from wire import STALLED_RCVBUF, TEXT, Frames, Http, Lines, Sse, WebSocket, ask, frame

try:
    import asyncio
    import websockets
except ImportError:
    websockets = None

SAME, GAP, BASE64, NO = "same", "gap", "base64", "no"
ID = "5f1c0de5a7b3c9d2:17"
MARK = "\ufeff".encode()
OCTETS = "Content-Type: application/octet-stream"


class Odd:
    """A message. `text`, `command` and `line`: what arrives when it is the text of a request, the end of a command on WebSocket,
    or a line; NO: it can't be sent so, or is refused. `on_lines` and `on_sse`: what their readers get of all of `sent`.
    """

    def __init__(self, sent, text=SAME, command=None, line=SAME, on_lines=SAME, on_sse=SAME):
        self.sent, self.on_lines = sent, on_lines
        self.on_sse = sent if on_sse is SAME else on_sse
        self.text, self.line = (sent if way is SAME else way for way in (text, line))
        self.command = self.text if command is None else sent if command is SAME else command


ODD = [
    Odd(b"hello"),
    Odd(b"a"),
    Odd(b" a b "),
    Odd(b"  "),
    Odd(b"\t"),
    Odd(b"a\0b"),
    Odd(b"\0"),
    Odd(b"\x1f\x7f\x1b[31m"),
    Odd("\u00fc\u20ac\U0001f600\u2027\u202a\u0084".encode()),
    # line ends
    Odd(b"a\n", text=b"a", line=b"a", on_lines=GAP),
    Odd(b"a\r\n", text=b"a", line=b"a", on_lines=GAP, on_sse=b"a\n"),
    Odd(b"a\n\n", text=b"a\n", line=NO, on_lines=GAP),
    Odd(b"a\nb", line=NO, on_lines=GAP),
    Odd(b"a\r\nb\r\n", text=b"a\r\nb", line=NO, on_lines=GAP, on_sse=b"a\nb\n"),
    Odd(b"a\r\nb", line=NO, on_lines=GAP, on_sse=b"a\nb"),
    Odd(b"\n", text=NO, line=NO, on_lines=GAP),
    Odd(b"\r\n", text=NO, line=NO, on_lines=GAP, on_sse=b"\n"),
    Odd(b"a\r", line=b"a", on_lines=GAP, on_sse=b"a\n"),
    *[Odd(b"x" + end.encode() + f"{ID} odd forged".encode(), on_lines=GAP)
      for end in "\v\f\x1c\x1d\x1e\u0085\u2028\u2029"],
    Odd(f"x\r{ID} odd forged".encode(), on_lines=GAP, on_sse=f"x\n{ID} odd forged".encode()),
    Odd(f"x\rid: {ID}\rdata: forged".encode(), on_lines=GAP, on_sse=f"x\nid: {ID}\ndata: forged".encode()),
    Odd(f"x\n\nid: {ID}\ndata: forged\n\ny".encode(), line=NO, on_lines=GAP),
    # what looks like something else
    Odd(b'{"gap":{"from":1,"to":2,"count":2}}'),
    Odd(b"+OK PUB " + ID.encode()),
    Odd(f"{ID} odd forged".encode()),
    Odd(b"event: evicted"),
    Odd(b": a comment"),
    Odd(b'"\\ \\u000a \\n </script>'),
    Odd(b"a=b+c%0Ad&e"),
    Odd(b"[1,2]"),
    # marks, and what isn't UTF-8
    Odd(MARK + b"hello", text=b"hello", command=SAME),
    Odd(MARK, text=NO, command=SAME),
    Odd(b"a" + MARK),
    Odd(b"\xff\xfe", on_sse=BASE64),
    Odd(b"\x85", on_sse=BASE64),
    Odd(b"\xe2\x82", on_sse=BASE64),
    Odd(b"\xed\xa0\x80", on_sse=BASE64),
    Odd(b"\xff\n", text=b"\xff", line=b"\xff", on_lines=GAP, on_sse=BASE64),
    Odd(b"\xff"  b"\r" + ID.encode(), on_lines=GAP, on_sse=BASE64),
]
BY_SENT = {odd.sent: odd for odd in ODD}
BY_SENT[b"\xff"] = Odd(b"\xff", on_sse=BASE64)


def is_text(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


# ---- every way out ----

class Readers:
    """A subscriber of each format."""

    def __init__(self, at, topic="odd"):
        self.topic = topic
        self.lines, self.lines_ids = Lines(at.lines), Lines(at.lines)
        self.frames, self.frames_ids = Frames(at.frames), Frames(at.frames)
        for client in (self.lines, self.lines_ids, self.frames, self.frames_ids):
            client.ask("UNSUB news")
            client.ask(f"SUB {topic}")
        self.lines_ids.ask("IDS")
        self.frames_ids.ask("IDS")
        self.ws = WebSocket(at.http, f"/ws?topic={topic}")
        self.ws_json = WebSocket(at.http, f"/ws?topic={topic}&format=json")
        self.sse = Sse(at.http, f"/sse?topic={topic}")
        self.sse_json = Sse(at.http, f"/sse?topic={topic}&format=json")
        until("all are subscribed", lambda: self.subscribers(at) == 8)
        self.read_with_ids = b""  # every byte of the lines with ids

    def subscribers(self, at):
        listed = ask(at.http, "GET", "/api/v1/connections?limit=200").json()["connections"]
        return sum(self.topic in client["topics"] for client in listed)

    @staticmethod
    def take_frame(client):
        return client.take(struct.unpack("!I", client.take(4))[0])

    def expect(self, data, case):
        """All of them get this message."""
        odd = BY_SENT[data]
        id_text, topic, message = self.take_frame(self.frames_ids).split(b" ", 2)
        expect_equal((topic, message), (self.topic.encode(), data), f"{case}: frames with ids")
        expect_equal(self.take_frame(self.frames), data, f"{case}: frames")
        id_text = id_text.decode()
        number = id_text.split(":")[-1] if id_text != "-" else 0
        gap = f'{{"gap":{{"from":{number},"to":{number},"count":1}}}}'.encode()

        line, line_ids = self.lines.take_until(b"\n"), self.lines_ids.take_until(b"\n")
        self.read_with_ids += line_ids + b"\n"
        with_ids = f"{id_text} {self.topic} ".encode() + data
        expect_equal(line, gap if odd.on_lines is GAP else data, f"{case}: lines")
        expect_equal(line_ids, gap if odd.on_lines is GAP else with_ids, f"{case}: lines with ids")

        opcode, payload = self.ws.frame()
        expect_equal((opcode == TEXT, payload), (is_text(data), data), f"{case}: WebSocket")
        wanted = {"topic": self.topic}
        wanted.update({"data": data.decode()} if is_text(data) else {"base64": base64.b64encode(data).decode()})
        if id_text != "-":
            wanted["id"] = id_text
        else:
            wanted["key"] = "k"
        in_json, event = self.ws_json.text(), self.sse_json.event()
        for what, text in (("WebSocket", in_json), ("SSE", event.data)):
            expect_equal(json.loads(text), wanted, f"{case}: {what} in JSON")
            expect_equal(len(text.splitlines()), 1, f"{case}: lines of the JSON on {what}")
        expect_equal((event.name, event.id), ("message", wanted.get("id")), f"{case}: SSE in JSON")

        event = self.sse.event()
        name, text = "message", odd.on_sse
        if odd.on_sse is BASE64:
            name, text = "base64", base64.b64encode(data)
        expect_equal((event.name, event.id, event.data.encode()), (name, wanted.get("id"), text), f"{case}: SSE")


def expect_that_no_reader_sees_more_lines(data):
    """Every line begins with an id, or tells of a gap, however a reader cuts lines."""
    count = data.count(b"\n")
    text = data.decode("utf-8", "surrogateescape")
    ways = {"str.splitlines": text.splitlines(), "bytes.splitlines": data.splitlines(),
            "universal newlines": list(io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape"))}
    if shutil.which("node"):
        script = "let n = 0; require('readline').createInterface({input: process.stdin, crlfDelay: Infinity})" \
                 ".on('line', () => n++).on('close', () => console.log(n))"
        found = int(subprocess.run(["node", "-e", script], input=data, stdout=subprocess.PIPE, check=True).stdout)
        expect_equal(found, count, "lines that Node.js' readline finds")
    for way, lines in ways.items():
        expect_equal(len(lines), count, f"lines that {way} finds")


# ---- every way in ----

def of_text(odd):
    return odd.text


def exactly(odd):
    return odd.sent


def as_string(odd):
    return odd.sent if is_text(odd.sent) else NO


def as_command(odd):
    return odd.command if is_text(odd.sent) else NO


def as_line(odd):
    return odd.line


class Ways:
    """Each takes what to send, and returns whether it was taken, or None if that isn't told."""

    def __init__(self, at, topic="odd"):
        self.at, self.topic, self.http = at, topic, Http(at.http)
        self.publisher, self.frames, self.websocket = Lines(at.lines), Frames(at.frames), WebSocket(at.http, "/ws?topic=none")
        for client in (self.publisher, self.frames):
            client.ask("UNSUB news")

    def post(self, data, *headers, path=None):
        response = self.http.ask("POST", path or f"/api/v1/publish?topic={self.topic}", data, headers)
        expect(response.status in (200, 400), f"{response.status}: {response.body}")
        return response.status == 200

    def post_form(self, data):
        return self.post(data, "Content-Type: application/x-www-form-urlencoded")

    def post_text(self, data):
        return self.post(data, "Content-Type: Text/Plain; charset=UTF-8")

    def post_json_as_it_is(self, data):
        return self.post(data, "Content-Type: application/json")

    def post_octets(self, data):
        return self.post(data, OCTETS)

    def post_without_type(self, data):
        return self.post(data)

    def post_in_chunks(self, data):
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in data) + b"0\r\n\r\n"
        lines = [f"POST /api/v1/publish?topic={self.topic} HTTP/1.1", "Host: localhost", OCTETS,
                 "Transfer-Encoding: chunked", "", ""]
        self.http.send("\r\n".join(lines).encode() + chunks)
        return self.http.response().status == 200

    def bulk(self, kind, **member):
        body = json.dumps(dict(topic=self.topic, **member))
        body = f"[\r\n{body}\n]\n" if kind == "application/json" else f"\ufeff{body}\r\n\r\n"
        return self.post(body.encode(), f"Content-Type: {kind}", path="/api/v1/publish")

    def ndjson(self, data):
        return self.bulk("application/x-ndjson", data=data.decode())

    def jsonl(self, data):
        return self.bulk("application/jsonl; charset=utf-8", base64=base64.b64encode(data).decode(), key=None)

    def json_array(self, data):
        return self.bulk("application/json", data=data.decode(), key=None, base64=None)

    def json_object(self, data):
        body = json.dumps(dict(topic=self.topic, base64=base64.b64encode(data).decode()), indent=2)
        return self.post(body.encode(), "Content-Type: application/json", path="/api/v1/publish")

    def pub_on_lines(self, data):
        self.publisher.send(f"PUB {self.topic} ".encode() + data + (b"" if data.endswith(b"\n") else b"\n"))
        return self.publisher.answer().startswith("+OK PUB")

    def pub_in_frames(self, data):
        command = f"PUB {self.topic} ".encode() + data
        self.frames.send(struct.pack("!I", len(command)) + command)
        return self.frames.answer().startswith("+OK PUB")

    def pub_on_websocket(self, data):
        self.websocket.send(frame(TEXT, f"PUB {self.topic} ".encode() + data))
        return self.websocket.text().startswith("+OK PUB")

    def stdin(self, data):
        self.at.feed(data if data.endswith(b"\n") else data + b"\n")


WAYS = [
    (Ways.post_form, of_text),
    (Ways.post_text, of_text),
    (Ways.post_json_as_it_is, of_text),
    (Ways.post_octets, exactly),
    (Ways.post_without_type, exactly),
    (Ways.post_in_chunks, exactly),
    (Ways.ndjson, as_string),
    (Ways.jsonl, exactly),
    (Ways.json_array, as_string),
    (Ways.json_object, exactly),
    (Ways.pub_on_lines, as_line),
    (Ways.pub_in_frames, exactly),
    (Ways.pub_on_websocket, as_command),
    (Ways.stdin, as_line),
]


def every_odd_message_is_the_same_for_every_reader_by_every_way():
    at = Gateway("--tcp-length", "127.0.0.1:0", "--stdin", "--topic", "odd")
    readers, ways = Readers(at), Ways(at)
    ways.publisher.ask("UNSUB odd")
    ways.frames.ask("UNSUB odd")
    at.feed(b"a\n")  # the first line of an input may have a mark
    readers.expect(b"a", "the first line")
    for way, arrives in WAYS:
        is_http = way.__name__.startswith("post")
        for odd in ODD:
            case = f"{odd.sent} by {way.__name__}"
            wanted = arrives(odd)
            if wanted is NO and not is_http:
                continue
            is_taken = way(ways, odd.sent)
            expect(is_taken in (None, wanted is not NO), f"{case} was {'taken' if is_taken else 'refused'}")
            if wanted is not NO:
                readers.expect(wanted, case)
    expect_that_no_reader_sees_more_lines(readers.read_with_ids)
    at.stop()


def messages_of_other_programs_on_NATS_are_no_exception():
    if nats_server.PROGRAM is None and os.environ.get("CI") != "true":
        print("not tried: there is no nats-server")
        return
    server = nats_server.NatsServer()
    server.make_stream("NEWS", "fluxbp.>")
    at = Gateway("--nats", server.url, "--jetstream", "NEWS", "--tcp-length", "127.0.0.1:0", "--topic", "none",
                 "--state", "state")
    readers, client = Readers(at), server.connect()
    for odd in ODD:
        client.publish("fluxbp.odd", odd.sent)
        readers.expect(odd.sent, f"{odd.sent} by NATS")
    expect_that_no_reader_sees_more_lines(readers.read_with_ids)

    readers = Readers(at, "state")
    for odd in ODD:
        client.publish("fluxbp.state", odd.sent, ["Fluxbp-Key=k"])
        if odd.on_lines is SAME:
            readers.expect(odd.sent, f"{odd.sent} for a state topic by NATS")
    at.wait_for_log("rejected")
    at.stop()


def a_state_topic_keeps_what_every_reader_can_get():
    at = Gateway("--tcp-length", "127.0.0.1:0", "--state", "state", "--topic", "none")
    readers, publisher = Readers(at, "state"), Frames(at.frames)
    for odd in ODD:
        is_line = odd.on_lines is SAME
        response = ask(at.http, "POST", "/api/v1/publish?topic=state&key=k", odd.sent, [OCTETS])
        expect_equal(response.status, 200 if is_line else 400, f"POST {odd.sent}")
        if is_line:
            readers.expect(odd.sent, f"{odd.sent} by POST")
        else:
            expect("line" in response.json()["error"], f"POST {odd.sent}: {response.body}")
            publisher.close()  # before it has too many errors
            publisher = Frames(at.frames)
        command = b"SET state k " + odd.sent
        publisher.send(struct.pack("!I", len(command)) + command)
        expect_equal(publisher.answer()[:4], "+OK " if is_line else "-ERR", f"SET {odd.sent}")
        if is_line:
            readers.expect(odd.sent, f"{odd.sent} by SET")
    expect_equal(ask(at.http, "POST", "/api/v1/publish?topic=state&key=k", b"a\r\n", ["Content-Type: text/plain"]).status,
                 200, "a line with its end")
    readers.expect(b"a", "a line with its end")
    expect_that_no_reader_sees_more_lines(readers.read_with_ids)
    at.stop()


# ---- odd requests ----

A, B = '{"topic":"odd","data":"a"}', '{"topic":"odd","data":"b"}'
DEEP = b'{"topic":"odd","data":"a","x":' + b"[" * 2500 + b"]" * 2500 + b"}"
ONE, BULK = "/api/v1/publish?topic=odd", "/api/v1/publish"
NDJSON, JSON = "Content-Type: application/x-ndjson", "Content-Type: application/json"

# path, headers, body, status, the messages that arrive, and what the answer says besides
REQUESTS = [
    (BULK, [NDJSON], f"{A}\n{B}\n", 200, ["a", "b"], {"published": 2}),
    (BULK, ["content-type: APPLICATION/X-NDJSON ; charset=UTF-8"], f"{A}\n", 200, ["a"], {"published": 1}),
    (BULK, ["Content-Type: application/ndjson"], f"{A}", 200, ["a"], {"published": 1}),
    (BULK, ["Content-Type: application/jsonl"], f"{A}\n{B}", 200, ["a", "b"], {"published": 2}),
    (BULK, ["Content-Type: application/x-jsonl"], f"{A}\n{B}", 200, ["a", "b"], {"published": 2}),
    (BULK, ["Content-Type: application/jsonlines"], f"{A}\n{B}", 200, ["a", "b"], {"published": 2}),
    (BULK, ["Content-Type: application/x-jsonlines"], f"{A}\n{B}", 200, ["a", "b"], {"published": 2}),
    (BULK, [NDJSON], f"\ufeff{A}\r\n\r\n \t\r\n{B}\r\n\r\n", 200, ["a", "b"], {"published": 2}),
    (BULK, [NDJSON], "\n\n", 200, [], {"published": 0, "id": None}),
    (BULK, [NDJSON], "", 400, [], {}),
    (BULK, [NDJSON], f"{A}\n\nx\n{B}\n", 400, ["a"], {"published": 1, "line": 3}),
    (BULK, [NDJSON], f"{A}\r{B}", 400, [], {"published": 0, "line": 1}),
    (BULK, [NDJSON], f"{A}\n".encode("utf-16"), 400, [], {"published": 0, "line": 1}),
    (BULK, [JSON], A, 200, ["a"], {"published": 1}),
    (BULK, [JSON], f"[{A}, {B}]", 200, ["a", "b"], {"published": 2}),
    (BULK, ["Content-Type: Application/JSON;charset=utf-8"], f"\ufeff\r\n[\n{A},\n{B}\n]\n", 200, ["a", "b"], {"published": 2}),
    (BULK, [JSON], "[]", 200, [], {"published": 0, "id": None}),
    (BULK, [JSON], f"[{A},1]", 400, ["a"], {"published": 1, "line": 2}),
    (BULK, [JSON], f"[{A},{B}", 400, ["a"], {"published": 1, "line": 2}),
    (BULK, [JSON], f"{A}\n{B}", 400, [], {"published": 0, "line": 1}),
    (BULK, [JSON], "", 400, [], {}),
    (BULK, [JSON], "hello", 400, [], {"published": 0, "line": 1}),
    (BULK, [JSON], "[" + ",".join([A] * 1001) + "]", 400 + 13, ["a"] * 1000, {"published": 1000, "line": 1001}),
    (BULK, [JSON], '{"topic":"odd","data":"a","key":null}', 200, ["a"], {"published": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"a","key":""}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"a","key":"k"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":" odd","data":"a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"od d","data":"a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd\\n","data":"a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd\\u0000","data":"a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"","data":"a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":""}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":7}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":{"a":1}}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":null}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"a","data":"b"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"\\ud800"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"\\udc00a"}', 400, [], {"line": 1}),
    (BULK, [JSON], '{"topic":"odd","data":"\\u0061","id":18446744073709551615}', 200, ["a"], {"published": 1}),
    (BULK, [JSON], b'{"topic":"odd","data":"\xff"}', 400, [], {"line": 1}),
    (BULK, [JSON], DEEP, 400, [], {"line": 1}),
    (BULK, [NDJSON], DEEP, 400, [], {"line": 1}),
    (ONE, [JSON], A, 200, [A], {}),  # with a topic the body is the message, whatever it is
    (ONE, [JSON], f"{A}\r\n", 200, [A], {}),
    (ONE, ["Content-Type: application/cloudevents+json"], f"{A}\n", 200, [A], {}),
    (ONE, ["Content-Type: application/octet-stream"], "a\n", 200, ["a\n"], {}),
    (ONE, ["Content-Type: image/png"], "a\n", 200, ["a\n"], {}),
    (ONE, ["Content-Type: "], "a\n", 200, ["a\n"], {}),
    (ONE, [], "a\n", 200, ["a\n"], {}),
    (ONE, ["Content-Type: text/csv"], "a,b\r\n", 200, ["a,b"], {}),
    (ONE, ["Content-Type: application/x-www-form-urlencoded"], "data=a+b%20c", 200, ["data=a+b%20c"], {}),
    (ONE, ["Content-Type: multipart/form-data; boundary=x"], "--x\r\n", 415, [], {}),
    (ONE, ["Content-Type: application/json-seq"], f"\x1e{A}\n", 415, [], {}),
    (ONE, ["Content-Encoding: gzip"], "a", 415, [], {}),
    (BULK, [NDJSON, "Content-Encoding: gzip"], A, 415, [], {}),
    (ONE, ["Content-Encoding: identity"], "a", 200, ["a"], {}),
    (BULK, ["Content-Type: text/plain"], "a", 400, [], {}),
    ("/api/v1/publish?topic=", [JSON], A, 400, [], {}),
    ("/api/v1/publish?topic=%6fdd", [], "a", 200, ["a"], {}),
    ("/api/v1/publish?topic=odd+", [], "a", 400, [], {}),
    ("/api/v1/publish?topic=odd%00", [], "a", 400, [], {}),
]


def take_all(subscriber, at):
    """What has arrived before a last message."""
    expect_equal(ask(at.http, "POST", ONE, b"the last").status, 200, "a last message")
    taken = []
    while taken[-1:] != [b"the last"]:
        taken.append(Readers.take_frame(subscriber))
    return taken[:-1]


def odd_requests_are_understood_or_refused():
    at = Gateway("--tcp-length", "127.0.0.1:0", "--topic", "odd", "--max-message", "1K", "--slots", 4096)
    subscriber = Frames(at.frames)
    expect_equal(subscriber.ask("PING"), "+PONG", "PING")
    for path, headers, body, status, messages, says in REQUESTS:
        body = body if isinstance(body, bytes) else body.encode()
        case = f"{path} {headers} {body[:80]}"
        response = ask(at.http, "POST", path, body, headers)
        expect_equal(response.status, status, f"{case}: {response.body}")
        answer = response.json()
        expect_equal({name: answer.get(name) for name in says}, says, case)
        expect(status == 200 or answer["error"], f"{case}: no error in {answer}")
        expect_equal(take_all(subscriber, at), [message.encode() for message in messages], case)
    gzipped = ask(at.http, "POST", ONE, b"a", ["Content-Encoding: gzip"])
    expect_equal(gzipped.headers["accept-encoding"], "identity", "what is taken instead")
    at.stop()


def a_body_that_waits_for_100_continue_is_the_same():
    at = Gateway("--tcp-length", "127.0.0.1:0", "--topic", "odd")
    subscriber, http = Frames(at.frames), Http(at.http)
    expect_equal(subscriber.ask("PING"), "+PONG", "PING")
    http.send(f"POST {ONE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
              "Expect: 100-continue\r\n\r\n".encode())
    expect_equal(http.head()[0], 100, "before the body")
    http.send(b"hello\n")
    expect_equal(http.response().status, 200, "behind the body")
    expect_equal(take_all(subscriber, at), [b"hello"], "what arrived")
    at.stop()


# ---- files, names, commands ----

def a_file_of_another_system_is_fed_line_by_line():
    longest = b"x" * 64
    cases = [
        (MARK + b"a\r\n\r\nb\r\n \r\nlast", [b"a", b"b", b" ", b"last"]),
        (b"a\nb\r\nlast\r", [b"a", b"b", b"last"]),
        (MARK + b"\r\n" + MARK + b"a\n", [MARK + b"a"]),
        (MARK, []),
        (b"a\rb\n", [b"a\rb"]),
        (longest + b"\r\n" + longest + b"y\r\n" + longest + b"y\n" + longest, [longest, longest]),
        (MARK + longest + b"\r\n" + longest + b"zzzz\n" + longest + b"\r", [longest, longest]),
        (b"y" * 100 + b"\n" + MARK + b"a\n", [MARK + b"a"]),
    ]
    gateways = []
    for content, messages in cases:
        at = Gateway("--tcp-length", "127.0.0.1:0", "--stdin", "--max-message", 64, "--wait-clients", 1, "--once")
        subscriber = Frames(at.frames)
        for byte in content:  # the smallest pieces
            at.feed(bytes([byte]))
        at.process.stdin.close()
        gateways.append((at, subscriber, content, messages))
    for at, subscriber, content, messages in gateways:
        taken = subscriber.rest()
        wanted = b"".join(struct.pack("!I", len(message)) + message for message in messages)
        expect_equal(taken, wanted, f"{content}")
        expect_equal(at.wait(), 0, "exit code")


def names_are_cut_between_characters():
    at = Gateway("--tcp-length", "127.0.0.1:0")
    long_name = "n" * 63 + "\u00e9"
    lines, frames = Lines(at.lines), Frames(at.frames)
    websockets_ = [WebSocket(at.http, "/ws?name=" + quote(name)) for name in ("\u20ac" * 21, "caf\u00e9")]
    expect_equal(lines.ask(f"NAME {long_name}"), "+OK NAME", "NAME")
    expect_equal(frames.ask("NAME " + "\U0001f600" * 17), "+OK NAME", "NAME")
    expect_equal(Lines(at.lines).ask("NAME a\0b")[:4], "-ERR", "NAME with a NUL")
    names = [client["name"] for client in ask(at.http, "GET", "/api/v1/connections").json()["connections"]]
    for name in ("n" * 63, "\U0001f600" * 16, "\u20ac" * 21, "caf\u00e9"):
        expect(name in names, f"{name} is none of {names}")
    response = ask(at.http, "GET", "/sse?name=" + quote("\u20ac" * 22))
    expect_equal(response.status, 400, "a name over 64 bytes")
    for client in websockets_:
        client.close()
    at.stop()


def names_end_no_line_of_the_watch_stream():
    at = Gateway("--topic", "odd")
    name = "x\nid: 1\rid: 2\x1eid: 3\u0085id: 4\u2028id: 5"
    watch = Sse(at.http, "/api/v1/watch")
    stalled = Sse(at.http, "/sse?name=" + quote(name), receive_buffer=STALLED_RCVBUF)
    expect_equal(stalled.status, 200, "the status of its stream")
    http = Http(at.http)

    def slow():
        for _ in range(20):
            expect_equal(http.ask("POST", ONE, b"x" * 60000).status, 200, "publishing")
        event = watch.event_of("slow")
        return event if event.json()["worst"] else None

    event = until("a client that doesn't read is among the worst", slow)
    worst = event.json()["worst"][0]
    expect_equal((worst["name"], len(event.data.splitlines())), (name, 1), "the worst")
    expect_equal(ask(at.http, "POST", f"/api/v1/connections/{worst['id']}/evict").status, 200, "evict")
    event = watch.event_of("evicted")
    expect_equal((event.json()["name"], len(event.data.splitlines())), (name, 1), "evicted")
    stalled.close()
    at.stop()


def commands_on_websocket_may_end_like_lines():
    at = Gateway("--topic", "none")
    client = WebSocket(at.http)
    for end in ("\n", "\r\n", ""):
        expect_equal(client.ask_command(f"PING{end}"), "+PONG", f"PING{end!r}")
        expect_equal(client.ask_command(f"SUB odd{end}"), "+OK SUB odd", f"SUB{end!r}")
    expect_equal(client.ask_command("PING\n\n")[:4], "-ERR", "two line ends")
    expect_equal(client.ask_command("SUB odd \n")[:4], "-ERR", "a blank behind a topic")
    wrong = WebSocket(at.http)
    wrong.send(frame(TEXT, b"PUB odd \xff"))
    expect_equal(wrong.close_code()[0], 1007, "text that isn't UTF-8")
    expect_equal(client.ask_command("QUIT\r\n"), "+OK QUIT", "QUIT")
    at.stop()


# ---- programs of others ----

def echo_and_curl_publish_a_line():
    if not shutil.which("curl"):
        print("not tried: there is no curl")
        return
    at = Gateway("--tcp-length", "127.0.0.1:0", "--topic", "odd")
    url = at.url()
    readers_of = Readers(at)
    reader = subprocess.Popen(["curl", "-sN", f"{url}/sse?topic=odd"], stdout=subprocess.PIPE)
    until("curl is subscribed", lambda: readers_of.subscribers(at) == 9)

    def curl(script, wanted):
        done = subprocess.run(["bash", "-c", script], cwd=support.scratch, stdout=subprocess.PIPE,
                              env=dict(os.environ, URL=f"{url}/api/v1/publish?topic=odd", BULK=f"{url}/api/v1/publish"))
        expect_equal(int(done.stdout), wanted, script)

    quiet = "curl -s -o /dev/null -w '%{http_code}'"
    curl(f'echo hello | {quiet} --data-binary @- "$URL"', 200)
    readers_of.expect(b"hello", "echo | curl --data-binary")
    curl(f'{quiet} -d hello "$URL"', 200)
    readers_of.expect(b"hello", "curl -d")
    curl(f'printf "hello\\r\\n" | {quiet} -H "Transfer-Encoding: chunked" --data-binary @- "$URL"', 200)
    readers_of.expect(b"hello", "curl in chunks")
    curl(f'echo hello | {quiet} -H "Content-Type: application/json" --data-binary @- "$URL"', 200)
    readers_of.expect(b"hello", "curl with JSON")
    curl(f'echo hello | {quiet} -F file=@- "$URL"', 415)
    curl(f'echo hello | gzip | {quiet} -H "Content-Encoding: gzip" --data-binary @- "$URL"', 415)
    curl(f'echo \'[{{"topic":"odd","data":"a"}}]\' | {quiet} --json @- "$BULK"', 200)
    readers_of.expect(b"a", "curl --json")
    curl(f'printf \'{{"topic":"odd","data":"a"}}\\r\\n\\r\\n\' | {quiet} -H "Content-Type: application/jsonl" --data-binary @- "$BULK"',
         200)
    readers_of.expect(b"a", "JSON lines")

    at.terminate()
    events = [event for event in reader.stdout.read().decode().split("\n\n") if event.startswith("id: ")]
    expect_equal([event.split("data: ")[1] for event in events], ["hello"] * 4 + ["a"] * 2, "what curl -N read")
    expect_equal(at.wait(), 0, "exit code")


def an_independent_websocket_client_reads_and_publishes():
    if websockets is None:
        print("not tried: there is no python3-websockets")
        return
    at = Gateway("--topic", "odd")

    async def talk():
        url = at.url("/ws", "ws")
        async with websockets.connect(url) as reader, websockets.connect(f"{url}?topic=none") as publisher:
            for odd in ODD:
                if not is_text(odd.sent) or odd.command is NO:
                    continue
                await publisher.send(f"PUB odd {odd.sent.decode()}")
                expect_equal((await publisher.recv())[:8], "+OK PUB ", f"{odd.sent}")
                expect_equal((await reader.recv()).encode(), odd.command, f"{odd.sent}")

    asyncio.run(asyncio.wait_for(talk(), support.DEADLINE_S))
    at.stop()


def nc_sends_lines_of_any_kind():
    if not shutil.which("nc") or over_tls.IS_ON:
        print("not tried: there is no nc, or it can't speak TLS")
        return
    at = Gateway("--tcp-length", "127.0.0.1:0", "--topic", "odd")
    reader = Frames(at.frames)
    expect_equal(reader.ask("PING"), "+PONG", "PING")
    done = subprocess.run(["nc", "-N", *map(str, at.lines)], input=b"UNSUB odd\r\nPUB odd a\r\nPUB odd b\nPUB odd c\rd\nQUIT\r\n",
                          stdout=subprocess.PIPE, timeout=support.DEADLINE_S)
    expect_equal(done.stdout.count(b"+OK"), 5, f"answers: {done.stdout}")
    expect_equal([Readers.take_frame(reader) for _ in range(3)], [b"a", b"b", b"c\rd"], "what arrived")
    at.stop()


run(every_odd_message_is_the_same_for_every_reader_by_every_way, messages_of_other_programs_on_NATS_are_no_exception,
    a_state_topic_keeps_what_every_reader_can_get, odd_requests_are_understood_or_refused,
    a_body_that_waits_for_100_continue_is_the_same, a_file_of_another_system_is_fed_line_by_line,
    names_are_cut_between_characters, names_end_no_line_of_the_watch_stream, commands_on_websocket_may_end_like_lines,
    echo_and_curl_publish_a_line, an_independent_websocket_client_reads_and_publishes, nc_sends_lines_of_any_kind)
