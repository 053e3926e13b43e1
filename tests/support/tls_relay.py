#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Stands in front of a gateway that speaks TLS, for scripts and programs that don't: a plain connection to the relay becomes one
over TLS to the gateway, with the ends and resets of either side.

  FLUXBP_E2E_TLS=1 SSL_CERT_FILE=CA tls_relay.py 'READY LINE'

Prints the line with its own ports, and the names of the plain doors. It keeps little of what a client doesn't read.
"""
import re
import socket
import struct
import sys
import threading

import over_tls

CHUNK = 16384
RCVBUF = SNDBUF = 16384


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def pass_on(source, sink, is_first):
    """Until the source has ended. The second one of both directions closes."""
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
        if not is_first.acquire(blocking=False):
            source.close()
            sink.close()
    except (OSError, AssertionError):  # a reset, also one that over_tls.py sees as an end without close_notify
        reset(source)
        reset(sink)


def relay(client, address):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SNDBUF)
    gateway = socket.socket()
    gateway.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RCVBUF)
    try:
        gateway.connect(address)
    except OSError:
        reset(client)
        return
    is_first = threading.Lock()
    for source, sink in ((client, gateway), (gateway, client)):
        threading.Thread(target=pass_on, args=(source, sink, is_first), daemon=True).start()


def accept(listener, address):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=relay, args=(client, address), daemon=True).start()


ready = ["ready"]
for name, port in re.findall(r"(\S+)-tls=\S*:(\d+)", sys.argv[1]):
    over_tls.add_ports([port])
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    ready.append(f"{name}=127.0.0.1:{listening.getsockname()[1]}")
    threading.Thread(target=accept, args=(listening, ("127.0.0.1", int(port)))).start()
print(*ready, flush=True)
