# SPDX-License-Identifier: MIT
"""Clients that are cut off again and again, and resume each time: on lines, frames, WebSocket and Server-Sent Events.

A client counts what it has of each topic: message n of a topic has to come behind message n - 1. A cut is at a byte that
was drawn before, which may be in the middle of a message, of the handshake or of what is resumed; what was received behind
it counts as never received.
"""
import json
import re
import selectors
import socket
import struct

import gateway
import wire

RECEIVE_BYTES = 65536
MESSAGE = re.compile(r"(\w+) (\d+) ")  # topic and number, in front of what fills it up


class Resumer:
    """One client: `parse` takes what has come, and `greeting` is what it sends when it is connected."""

    def __init__(self, number, address, topics, since, cuts, random):
        self.number, self.address, self.topics = number, address, topics
        self.since = since  # id of the last message, as it was given
        self.last_id = int(since.split(":")[1])
        self.counts = dict.fromkeys(topics, 0)
        self.cuts_left = cuts
        self.resumed_times = 0
        self.random = random
        self.socket = None

    def connect(self, selector):
        self.received = b""
        self.is_resumed = False
        # of small ones so many that cuts happen in handshakes, too
        self.left = self.random.choice((50, 300, 1500, 5000))
        self.left = self.random.randrange(self.left) if self.cuts_left > 0 else None
        self.socket = socket.socket()
        self.socket.connect(self.address)
        self.socket.setblocking(False)
        selector.register(self.socket, selectors.EVENT_WRITE, self)

    def close(self, selector):
        selector.unregister(self.socket)
        self.socket.close()

    def on_event(self, selector, mask):
        if mask & selectors.EVENT_WRITE:
            self.socket.sendall(self.greeting())
            selector.modify(self.socket, selectors.EVENT_READ, self)
            return
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:  # a part of a record of TLS
            return
        except ConnectionResetError:
            data = b""
        gateway.expect(data, f"{self}: the gateway has closed the connection")
        is_cut = self.left is not None and len(data) >= self.left
        if is_cut:
            data = data[:self.left]
        elif self.left is not None:
            self.left -= len(data)
        self.received += data
        self.parse()
        if is_cut:
            self.cuts_left -= 1
            self.close(selector)
            self.connect(selector)

    def resumed(self, since):
        gateway.expect_equal(since, self.since, f"{self}: what it is resumed from")
        self.is_resumed = True
        self.resumed_times += 1

    def message(self, id_text, text):
        """What comes before it is resumed may be live, out of order, and comes again."""
        if not self.is_resumed:
            return
        topic, number = MESSAGE.match(text).groups()
        wanted = self.counts[topic] + 1
        gateway.expect(int(number) == wanted, f"{self}: {topic} {number} instead of {wanted}, at {id_text}")
        message_id = int(id_text.split(":")[1])
        gateway.expect(message_id > self.last_id, f"{self}: {id_text} comes behind {self.since}")
        self.counts[topic] = wanted
        self.since, self.last_id = id_text, message_id

    def text(self, text):
        """A line or frame after IDS."""
        if wire.position_of(text) is not None:
            return
        if text.startswith("+OK RESUMED "):
            self.resumed(text[len("+OK RESUMED "):])
        elif text.startswith("-ERR"):
            gateway.fail(f"{self}: {text}")
        elif self.is_resumed and not text.startswith("+"):
            id_text, _, message = text.split(" ", 2)
            self.message(id_text, message)

    def __str__(self):
        return f"client {self.number} ({type(self).__name__}, {','.join(self.topics)}), {self.cuts_left} cuts left"

    def commands(self):
        """The default topic is "a", and there from the beginning."""
        commands = ["IDS"] + [f"SUB {topic}" for topic in self.topics if topic != "a"]
        return commands + (["UNSUB a"] if "a" not in self.topics else []) + [f"RESUME {self.since}"]


class OnLines(Resumer):
    def greeting(self):
        return "".join(command + "\n" for command in self.commands()).encode()

    def parse(self):
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            self.text(line.decode())


class OnFrames(Resumer):
    def greeting(self):
        return b"".join(struct.pack("!I", len(command)) + command.encode() for command in self.commands())

    def parse(self):
        at = 0
        while len(self.received) - at >= 4:
            end = at + 4 + struct.unpack_from("!I", self.received, at)[0]
            if len(self.received) < end:
                break
            self.text(self.received[at + 4:end].decode())
            at = end
        self.received = self.received[at:]


class OnHttp(Resumer):
    def path(self, door):
        return f"/{door}?topic={','.join(self.topics)}&format=json"

    def skip_head(self):
        """Whether the answer's head was there, or has come now."""
        if self.has_head:
            return True
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if end:
            self.has_head = True
            gateway.expect(head.startswith(self.status), f"{self}: {head}")
            self.received = rest
        return self.has_head

    def connect(self, selector):
        self.has_head = False
        super().connect(selector)

    def object(self, text):
        message = json.loads(text)
        self.message(message["id"], message["data"])


class OnWebSocket(OnHttp):
    status = b"HTTP/1.1 101 "

    def greeting(self):
        return wire.handshake(self.address, self.path("ws") + f"&since={self.since}")

    def parse(self):
        if not self.skip_head():
            return
        at = 0
        while len(self.received) - at >= 4:
            length, header = self.received[at + 1], 2
            if length == 126:
                length, header = struct.unpack_from("!H", self.received, at + 2)[0], 4
            end = at + header + length
            if len(self.received) < end:
                break
            self.frame(self.received[at] & 0x0f, self.received[at + header:end])
            at = end
        self.received = self.received[at:]

    def frame(self, opcode, payload):
        if opcode == wire.PING:
            return
        gateway.expect_equal(opcode, wire.TEXT, f"{self}: opcode, with {payload}")
        if wire.position_of(payload.decode()) is not None:
            return
        if payload.startswith(b'{"resumed":'):
            self.resumed(json.loads(payload)["resumed"])
        else:
            gateway.expect(self.is_resumed, f"{self}: a message before it is resumed")
            self.object(payload)


class OnSse(OnHttp):
    status = b"HTTP/1.1 200 "

    def greeting(self):
        since, header = f"&since={self.since}", ""
        if self.number % 2 == 0:  # as a browser does: what was in its address is old
            since, header = "&since=0000000000000000:1", f"Last-Event-ID: {self.since}\r\n"
        return f"GET {self.path('sse')}{since} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode()

    def parse(self):
        if not self.skip_head():
            return
        *events, self.received = self.received.split(b"\n\n")
        for event in events:
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if ": " in line)
            if fields.get("event") == "resumed":
                self.resumed(json.loads(fields["data"])["since"])
            elif "data" in fields and fields.get("event") != "position":
                gateway.expect("event" not in fields, f"{self}: {fields}")
                gateway.expect(self.is_resumed, f"{self}: a message before it is resumed")
                gateway.expect_equal(json.loads(fields["data"])["id"], fields["id"], f"{self}: id")
                self.object(fields["data"])
