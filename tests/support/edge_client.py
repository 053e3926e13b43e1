#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client that comes over TLS: prints `ready` when it is subscribed, then each message on a line.

  edge_client.py HOST:PORT CERTIFICATE ws|sse|lines|stalled SOURCE_ADDRESS COUNT

Ends after COUNT messages. `stalled` is a WebSocket that reads nothing until its standard input ends, then counts the bytes
that were on their way.
"""
import base64
import os
import socket
import ssl
import sys

address, certificate, protocol, source, count = sys.argv[1:6]
host, port = address.rsplit(":", 1)
raw = socket.socket()
if protocol == "stalled":
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
raw.settimeout(60)
raw.bind((source, 0))
raw.connect((host, int(port)))
context = ssl.create_default_context(cafile=certificate)
connection = context.wrap_socket(raw, server_hostname="localhost")
lines = connection.makefile("rb")


def request(path, headers):
    head = [f"GET {path} HTTP/1.1", "Host: localhost"] + headers
    connection.sendall("\r\n".join(head + ["", ""]).encode())
    status = lines.readline().decode().strip()
    while lines.readline().strip():
        pass
    return status


def open_websocket():
    key = base64.b64encode(os.urandom(16)).decode()
    status = request("/ws", ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                             f"Sec-WebSocket-Key: {key}"])
    if " 101 " not in status:
        sys.exit(status)


def websocket_messages():
    while True:
        first, length = lines.read(2)
        if length == 126:
            length = int.from_bytes(lines.read(2), "big")
        elif length == 127:
            length = int.from_bytes(lines.read(8), "big")
        data = lines.read(length)
        if first == 0x81:
            yield data.decode()


def sse_messages():
    is_position = False
    for line in lines:
        is_position = line.startswith(b"event: position") or (is_position and line != b"\n")
        if line.startswith(b"data: ") and not is_position:
            yield line[6:].decode().strip()


def line_messages():
    for line in lines:
        yield line.decode().strip()


if protocol == "sse":
    status = request("/sse", ["Accept: text/event-stream"])
    if " 200 " not in status:
        sys.exit(status)
    messages = sse_messages()
elif protocol == "lines":
    connection.sendall(b"PING\n")
    lines.readline()
    messages = line_messages()
else:
    open_websocket()
    messages = websocket_messages()
print("ready", flush=True)

if protocol == "stalled":
    sys.stdin.read()
    total = 0
    try:
        while True:
            data = connection.recv(1 << 16)
            if not data:
                break
            total += len(data)
    except OSError:
        pass
    print(f"bytes {total}", flush=True)
    sys.exit(0)

for number, message in enumerate(messages, 1):
    print(message, flush=True)
    if number == int(count):
        break
