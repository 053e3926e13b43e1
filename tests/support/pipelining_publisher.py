#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Publishes the numbers from 1 on by PUB without waiting for answers, up to 500 ahead of them, until the gateway closes the
connection.

  pipelining_publisher.py PORT TOPIC      prints each number with the answer to it, and `sent NUMBER` at the end
"""
import select
import socket
import sys
import time

import over_tls  # it has the connection speak TLS if the test does

WINDOW = 500
BURST = 300  # at once: a client may send 1000 commands in 100 ms
PAUSE_SECONDS = 0.05

port, topic = int(sys.argv[1]), sys.argv[2]
connection = socket.create_connection(("127.0.0.1", port), timeout=60)
connection.sendall(b"UNSUB news\n")
sent, answered, received, burst_at = 0, -1, b"", 0  # the first answer is that to UNSUB
is_open = True


def burst():
    global sent
    last = min(sent + BURST, max(answered, 0) + WINDOW)
    connection.sendall(b"".join(b"PUB %s %d\n" % (topic.encode(), number) for number in range(sent + 1, last + 1)))
    sent = last


while is_open:
    try:
        if time.monotonic() >= burst_at:
            burst()
            burst_at = time.monotonic() + PAUSE_SECONDS
        readable, _, _ = select.select([connection], [], [], PAUSE_SECONDS)
        data = connection.recv(65536) if readable else None
    except OSError:  # it was reset
        data = b""
    is_open = data != b""
    *lines, received = (received + (data or b"")).split(b"\n")
    for line in lines:
        answered += 1
        if answered > 0:
            print(answered, line.decode(), flush=True)
print("sent", sent, flush=True)
