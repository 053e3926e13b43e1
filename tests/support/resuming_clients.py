#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that go on wherever they can: who loses its gateway connects to one that is in the file of ports, and resumes.

  resuming_clients.py PORTS_FILE CLIENTS LAST TOPIC...

Each topic has the messages 1 to LAST. Client i begins at port i modulo their number. Prints `ready` when all are
subscribed, then when all have everything how it was, and exits with 1 if anything is missing, twice or out of order.
"""
import heapq
import selectors
import socket
import sys
import time

RETRY_SECONDS = 0.1


class Client:
    def __init__(self, test, number):
        self.test, self.number = test, number
        self.had = {topic: 0 for topic in test.topics}
        self.since = None
        self.resumes = 0
        self.connect()

    def connect(self):
        with open(self.test.ports_file) as file:
            ports = file.read().split()
        self.buffer = b""
        self.counts = False
        self.socket = socket.socket()
        try:
            self.socket.connect(("127.0.0.1", int(ports[(self.number + self.resumes) % len(ports)])))
        except OSError:
            self.retry()
            return
        commands = [f"SUB {topic}" for topic in self.test.topics] + ["IDS"]
        if self.since:
            commands.append(f"RESUME {self.since}")
            self.resumes += 1
        self.socket.sendall("".join(command + "\n" for command in commands).encode())
        self.socket.setblocking(False)
        self.test.selector.register(self.socket, selectors.EVENT_READ, self)

    def retry(self):
        self.socket.close()
        heapq.heappush(self.test.later, (time.monotonic() + RETRY_SECONDS, self.number))

    def read(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.test.selector.unregister(self.socket)
            self.retry()
            return
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.take(line.decode())

    def take(self, line):
        if line.startswith("+OK IDS"):
            if self.since is None:
                self.since = line.split()[2]
                self.counts = True
                self.test.is_ready()
        elif line.startswith("+OK RESUMED"):
            self.counts = True
        elif line.startswith('{"at":'):
            pass
        elif line.startswith("-ERR") or line.startswith('{"'):
            sys.exit(f"client {self.number}, which has {self.had} and resumes since {self.since}, was told: {line}")
        elif self.counts and not line.startswith("+"):
            self.count(*line.split(" ", 2))

    def count(self, since, topic, message):
        number = int(message)
        if number != self.had[topic] + 1:
            what = "twice" if number <= self.had[topic] else "lost, or out of order"
            sys.exit(f"client {self.number}: {topic} {number} after {self.had[topic]}: {what}")
        self.since = since
        self.had[topic] = number
        if number == self.test.last:
            self.test.waiting -= 1


class Test:
    def __init__(self, ports_file, clients, last, *topics):
        self.ports_file, self.last, self.topics = ports_file, int(last), topics
        self.selector, self.later = selectors.DefaultSelector(), []
        self.unready = int(clients)
        self.waiting = self.unready * len(topics)
        self.clients = []
        for number in range(int(clients)):
            self.clients.append(Client(self, number))

    def is_ready(self):
        self.unready -= 1
        if self.unready == 0:
            print("ready", flush=True)

    def run(self):
        while self.waiting > 0:
            for key, _ in self.selector.select(RETRY_SECONDS):
                key.data.read()
            while self.later and self.later[0][0] <= time.monotonic():
                self.clients[heapq.heappop(self.later)[1]].connect()
        resumed = sum(client.resumes > 0 for client in self.clients)
        print(f"clients={len(self.clients)} resumed={resumed} deliveries={len(self.clients) * self.last * len(self.topics)} "
              "lost=0 twice=0", flush=True)


Test(*sys.argv[1:]).run()
