#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Publishes by PUB, and the same again while the gateway is busy.

  publisher.py PORT FIRST LAST TOPIC...    the numbers on each topic in turn; prints each when all topics have taken it
"""
import socket
import sys
import time

import over_tls  # it has the connection speak TLS if the test does

port, first, last, topics = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
connection = socket.create_connection(("127.0.0.1", port), timeout=60)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
answers = connection.makefile("rb")


def publish(topic, number):
    while True:
        connection.sendall(f"PUB {topic} {number}\n".encode())
        while True:
            answer = answers.readline().decode()
            if not answer:
                sys.exit("the gateway closed the connection")
            if answer.startswith("+OK PUB"):
                return
            if answer.startswith("-ERR busy"):
                break
            if answer.startswith("-ERR"):
                sys.exit(answer)
        time.sleep(0.02)  # as it was told



connection.sendall(b"UNSUB news\n")
for number in range(first, last + 1):
    for topic in topics:
        publish(topic, number)
    print(number, flush=True)
    time.sleep(0.002)
