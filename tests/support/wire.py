# SPDX-License-Identifier: MIT
"""The gateway's protocols as a client sees them, on plain sockets: nothing is done for the caller that a test may want to
do wrong. Everything that waits gives up after a deadline.
"""
import base64
import json
import os
import socket
import struct
import time

import gateway
import over_tls

PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
STALLED_RCVBUF = 4096  # the kernel doubles it; what a client that doesn't read still takes is small then


class Closed(Exception):
    """The peer has closed the connection, or reset it."""


class Behind(tuple):
    """An address of a gateway with --proxy-from, for a client that a proxy names: Behind(gateway.http, "192.0.2.7"). Without a
    name it is the proxy itself."""

    def __new__(cls, address, client=None):
        return super().__new__(cls, address)

    def __init__(self, _, client=None):
        self.client = client

    def header(self):
        """Of PROXY protocol v2."""
        if self.client is None:
            return PROXY_SIGNATURE + b"\x20\0\0\0"
        family = socket.AF_INET6 if ":" in self.client else socket.AF_INET
        ends = socket.inet_pton(family, self.client) * 2 + struct.pack("!HH", 4660, 9000)
        return PROXY_SIGNATURE + struct.pack("!BBH", 0x21, 0x21 if ":" in self.client else 0x11, len(ends)) + ends


class OverTls(tuple):
    """An address of a door for TLS, which may be Behind a proxy: OverTls(gateway.doors["http-tls"], context). The client checks that
    the server is `name`, and resumes `session`. A connection that ends without close_notify is a failure."""

    def __new__(cls, address, context, name="localhost", session=None):
        return super().__new__(cls, address)

    def __init__(self, address, context, name="localhost", session=None):
        self.address, self.context, self.name, self.session = address, context, name, session

    def secure(self, connection):
        return self.context.wrap_socket(connection, server_hostname=self.name, suppress_ragged_eofs=False,
                                        session=self.session)


class Wire:
    """A connection and what of it was received but not yet used."""

    def __init__(self, address, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(gateway.DEADLINE_S)
        self.socket.connect(address)
        self.address = address
        self.received = b""
        proxy = address.address if isinstance(address, OverTls) else address
        if isinstance(proxy, Behind) and not over_tls.IS_ON:  # else it was sent before TLS began
            self.send(proxy.header())
        if isinstance(address, OverTls):
            self.socket = address.secure(self.socket)

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        gateway.expect(time.monotonic() < self.deadline, f"it never came, but: {self.received[-500:]!r}")
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            raise Closed(self.received)
        self.received += data

    def _begin_to_wait(self):
        self.deadline = time.monotonic() + gateway.DEADLINE_S

    def take(self, length):
        self._begin_to_wait()
        while len(self.received) < length:
            self.more()
        taken, self.received = self.received[:length], self.received[length:]
        return taken

    def take_until(self, end):
        self._begin_to_wait()
        while end not in self.received:
            self.more()
        taken, self.received = self.received.split(end, 1)
        return taken

    def rest(self):
        """All that comes until the peer closes."""
        self._begin_to_wait()
        try:
            while True:
                self.more()
        except Closed:
            return self.received

    def expect_closed(self, what):
        rest = self.rest()
        gateway.expect_equal(rest, b"", what)

    def close(self):
        self.socket.close()


def position_of(text):
    """The id of a position, as lines and JSON have it; None for anything else."""
    return json.loads(text)["at"] if text.startswith('{"at":"') else None


class Lines(Wire):
    position = None  # where it is, as it was told

    def say(self, line):
        self.send(line.encode() + b"\n")

    def text(self):
        return self.take_until(b"\n").decode("utf-8", "surrogateescape")

    def line(self):
        """The next one that isn't a position."""
        while True:
            text = self.text()
            if position_of(text) is None:
                return text
            self.position = position_of(text)

    def next_position(self):
        while True:
            text = self.text()
            if position_of(text) is not None:
                return position_of(text)

    def ask(self, line):
        """The answer to a command; messages that come before it are lost."""
        self.say(line)
        return self.answer()

    def answer(self):
        while True:
            line = self.line()
            if line.startswith(("+", "-")):
                return line


class Frames(Lines):
    def say(self, text):
        self.send(struct.pack("!I", len(text.encode())) + text.encode())

    def text(self):
        return self.take(struct.unpack("!I", self.take(4))[0]).decode()

    frame = Lines.line


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Http(Wire):
    """Requests and answers, one after the other on one connection."""

    def ask(self, method, path, body=b"", headers=()):
        self.send_request(method, path, body, headers)
        return self.response(method == "HEAD")

    def send_request(self, method, path, body=b"", headers=()):
        lines = [f"{method} {path} HTTP/1.1"]
        if not any(header.lower().startswith("host:") for header in headers):
            lines.append("Host: %s:%d" % self.address)
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body)

    def head(self):
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = dict((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines[1:]))
        return int(lines[0].split(" ")[1]), headers

    def response(self, is_head=False):
        status, headers = self.head()
        length = 0 if is_head or status < 200 else int(headers.get("content-length", 0))
        return Response(status, headers, self.take(length))


def ask(address, method, path, body=b"", headers=()):
    """One request on a connection of its own."""
    http = Http(address)
    response = http.ask(method, path, body, headers)
    http.close()
    return response


class Event:
    def __init__(self, name, data, id_text):
        self.name, self.data, self.id = name, data, id_text

    def json(self):
        return json.loads(self.data)


class Sse(Http):
    """A stream of events."""

    def __init__(self, address, path, headers=(), receive_buffer=None):
        super().__init__(address, receive_buffer)
        self.send_request("GET", path, headers=headers)
        self.status, self.headers = self.head()

    position = None  # where it is: the id that came last, of whatever event

    def event(self):
        """The next one that isn't a comment, a time to wait or a position."""
        while True:
            event = self.any_event()
            if event.name != "position":
                return event

    def any_event(self):
        while True:
            name, data, id_text = "message", [], None
            for line in self.take_until(b"\n\n").decode("utf-8").split("\n"):
                field, _, value = line.partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    id_text = value
            self.position = id_text or self.position
            if data:
                return Event(name, "\n".join(data), id_text)

    def event_of(self, *names):
        while True:
            event = self.any_event()
            if event.name in names:
                return event


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode, payload=b"", is_final=True, is_masked=True):
    mask = os.urandom(4) if is_masked else b""
    bit = 0x80 if is_masked else 0
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", is_final << 7 | opcode, bit | length)
    elif length < 65536:
        header = struct.pack("!BBH", is_final << 7 | opcode, bit | 126, length)
    else:
        header = struct.pack("!BBQ", is_final << 7 | opcode, bit | 127, length)
    if is_masked:
        repeated = (mask * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(length, "big")
    return header + mask + payload


def handshake(address, path="/ws", headers=()):
    key = base64.b64encode(os.urandom(16)).decode()
    named = [header.split(":")[0].lower() for header in headers]
    lines = [f"GET {path} HTTP/1.1", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}",
             "Sec-WebSocket-Version: 13"]
    if "host" not in named:
        lines.append("Host: %s:%d" % address)
    return "\r\n".join([*lines, *headers, "", ""]).encode()


class WebSocket(Http):
    """Frames as they come."""

    def __init__(self, address, path="/ws", headers=(), receive_buffer=None):
        super().__init__(address, receive_buffer)
        self.send(handshake(address, path, headers))
        self.status, self.headers = self.head()

    def frame(self):
        """(opcode, payload)"""
        first, length = struct.unpack("!BB", self.take(2))
        gateway.expect(first & 0x70 == 0 and length < 128, "a server's frame with a mask or a reserved bit")
        gateway.expect(first & 0x80, "a server's message in fragments")
        if length == 126:
            length = struct.unpack("!H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self.take(8))[0]
        return first & 0x0f, self.take(length)

    position = None  # where it is, as it was told

    def text(self):
        """The next message that is text, and no position."""
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT and position_of(payload.decode()) is None:
                return payload.decode()
            if opcode == TEXT:
                self.position = position_of(payload.decode())
            gateway.expect(opcode != CLOSE, f"closed: {payload!r}")

    def say(self, text):
        self.send(frame(TEXT, text.encode()))

    def ask_command(self, text):
        self.say(text)
        while True:
            answer = self.text()
            if answer.startswith(("+", "-")):
                return answer

    def close_code(self):
        """(code, reason) of the close frame, behind whatever comes before it; (None, None) without one."""
        try:
            while True:
                opcode, payload = self.frame()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        except Closed:
            return None, None
