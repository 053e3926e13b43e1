#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client of NATS in few lines, for tests and for whoever has no other at hand.

  nats.py URL request SUBJECT [JSON]      prints the answer
  nats.py URL publish SUBJECT [NAME=VALUE ...]    each line of standard input, with these headers
  nats.py URL stream NAME SUBJECT [JSON]  makes a stream; JSON has more of its settings
  nats.py URL messages STREAM             prints the number and the data of each message that it has

Exits with 1 and says why when NATS or the stream refuses.
"""
import base64
import json
import socket
import sys
from urllib.parse import urlparse


class Nats:
    def __init__(self, url):
        at = urlparse(url)
        self.socket = socket.create_connection((at.hostname, at.port or 4222), timeout=10)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
        if at.username:
            options.update({"user": at.username, "pass": at.password or ""})
        self.send(b"CONNECT " + json.dumps(options).encode())
        self.send(b"SUB _INBOX.once 1")
        self.flush()

    def send(self, *parts):
        self.socket.sendall(b"".join(part + b"\r\n" for part in parts))

    def expect(self, verb):
        while True:
            line = self.lines.readline()
            words = line.split()
            if not words:
                sys.exit("NATS closed the connection")
            if words[0] == b"PING":
                self.send(b"PONG")
            elif words[0] == b"-ERR":
                sys.exit(line.decode().strip())
            elif words[0] in verb:
                return words

    def flush(self):
        self.send(b"PING")
        self.expect([b"PONG"])

    def publish(self, subject, data, headers=(), reply=""):
        if not headers:
            self.send(f"PUB {subject} {reply} {len(data)}".encode(), data)
            return
        head = b"NATS/1.0\r\n" + b"".join(h.replace("=", ": ", 1).encode() + b"\r\n" for h in headers) + b"\r\n"
        self.send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}".encode(), head + data)

    def request(self, subject, data):
        self.publish(subject, data, reply="_INBOX.once")
        words = self.expect([b"MSG", b"HMSG"])
        answer = self.lines.read(int(words[-1]) + 2)[:-2]
        if words[0] == b"HMSG" and b"503" in answer.split(b"\r\n")[0]:
            sys.exit("nobody answers: is JetStream on?")
        return answer.decode()


def make_stream(nats, name, subject, more):
    config = {"name": name, "subjects": [subject], "retention": "limits", "storage": "file", "num_replicas": 1}
    config.update(json.loads(more))
    answer = json.loads(nats.request(f"$JS.API.STREAM.CREATE.{name}", json.dumps(config).encode()))
    if "error" in answer:
        sys.exit(answer["error"]["description"])


def messages(nats, stream):
    """The number and the data of each."""
    state = json.loads(nats.request(f"$JS.API.STREAM.INFO.{stream}", b""))["state"]
    for number in range(state["first_seq"], state["last_seq"] + 1):
        answer = json.loads(nats.request(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"seq": number}).encode()))
        if "message" in answer:  # it wasn't deleted
            yield number, base64.b64decode(answer["message"].get("data", "")).decode()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    nats = Nats(sys.argv[1])
    what, subject, rest = sys.argv[2], sys.argv[3], sys.argv[4:]
    if what == "request":
        print(nats.request(subject, "".join(rest).encode()))
    elif what == "publish":
        for line in sys.stdin.buffer:
            nats.publish(subject, line.rstrip(b"\n"), rest)
        nats.flush()
    elif what == "messages":
        for number, data in messages(nats, subject):
            print(number, data)
    elif what == "stream" and rest:
        make_stream(nats, subject, rest[0], rest[1] if len(rest) > 1 else "{}")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
