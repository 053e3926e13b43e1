#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/threads as people use it: clients count along, none that reads misses a number, and the program says at its
end what became of the messages."""
import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import DEADLINE_S, expect, expect_equal, run, start_process  # noqa: E402
from wire import Closed, Lines, Sse  # noqa: E402

NUMBERS = 30000  # for each client: many times what a ring holds
SMALL_BUFFER = 4096


class Threads:
    def __init__(self):
        program = os.path.join(os.environ["BUILD"], "examples", "threads")
        self.process = start_process([program, "127.0.0.1:0", "127.0.0.1:0"], stdout=subprocess.PIPE)
        ready = self.process.stdout.readline().decode()
        self.serving = int(re.search(r"(\d+) serve clients", ready).group(1))
        self.lines, self.http = [("127.0.0.1", int(port)) for port in re.findall(r"127\.0\.0\.1:(\d+)", ready)]

    def summary(self):
        """(published, waits, deliveries, dropped, discarded)"""
        output = self.process.stdout.read().decode()
        expect_equal(self.process.wait(), 0, "exit code")
        return tuple(int(number) for number in re.findall(r"\d+", output))


class Reader(threading.Thread):
    """A client that counts along until the server closes."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.count, self.last, self.problem = 0, None, None
        self.has_enough = threading.Event()

    def text(self):
        if isinstance(self.client, Lines):
            return self.client.text()
        event = self.client.event()
        if event.name == "closing":
            raise Closed()
        return event.data

    def run(self):
        try:
            while True:
                text = self.text()
                expect(self.last is None or text == str(self.last + 1), f"{text!r} comes behind {self.last}")
                self.count, self.last = self.count + 1, int(text)
                if self.count == NUMBERS:
                    self.has_enough.set()
        except Closed:
            pass
        except Exception as error:
            self.problem = error
        finally:
            self.has_enough.set()


def count_along(program, number, *clients):
    """Lets the clients read, stops the program when each has NUMBERS, and returns the summary. No number may be missing."""
    readers = [Reader(client) for client in clients]
    for reader in readers:
        reader.start()
    for reader in readers:
        expect(reader.has_enough.wait(DEADLINE_S), "the numbers go on")
    program.process.send_signal(number)
    published, waits, deliveries, dropped, discarded = program.summary()
    for reader in readers:
        reader.join(DEADLINE_S)
        expect_equal(reader.problem, None, "what a client has missed")
        expect(reader.count >= NUMBERS, f"only {reader.count} numbers")
        expect_equal(reader.last, published, "the last number")
    expect_equal((dropped, discarded), (0, 0), "what was lost")
    return waits, deliveries, sum(reader.count for reader in readers)


def every_thread_serves_and_no_number_is_missing():
    program = Threads()
    expect(1 <= program.serving <= 64, "the number of threads")
    if hasattr(os, "sched_getaffinity"):
        expect_equal(program.serving, min(64, len(os.sched_getaffinity(0))), "a thread for each processor")
    clients = [Lines(program.lines) for _ in range(3)]
    waits, deliveries, received = count_along(program, signal.SIGTERM, *clients)
    expect_equal(deliveries, received, "deliveries")
    expect(waits > 0, "the publisher is faster than the clients, so it has to wait for room")


def a_browser_and_a_client_with_a_small_buffer_hold_the_publisher_up():
    program = Threads()
    clients = [Sse(program.http, "/sse"), Lines(program.lines, receive_buffer=SMALL_BUFFER)]
    waits, _, _ = count_along(program, signal.SIGINT, *clients)
    expect(waits > 0, "the publisher has waited for the slowest client")


def nobody_listens():
    program = Threads()
    program.process.send_signal(signal.SIGTERM)
    expect_equal(program.summary(), (0, 0, 0, 0, 0), "the summary")


run(every_thread_serves_and_no_number_is_missing,
    a_browser_and_a_client_with_a_small_buffer_hold_the_publisher_up, nobody_listens)
