# SPDX-License-Identifier: MIT
"""A pipe with readers that never read and readers that pause, with the gateway's defaults: patience is each client's own.

The clients that never read are evicted as STALLED or SLOW. A client that pauses for less than the patience gets every line,
even though others have used up theirs just before.
"""
import os
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import DEADLINE_S, Gateway, expect, expect_equal, run
from wire import STALLED_RCVBUF, Closed, Lines

PAUSING = 4
STALLING_LINES = 60000  # more than a stalled client's ring and buffers take
LINES = 300000


def lines(first, last):
    return b"".join(b"%d\n" % number for number in range(first, last + 1))


class Reader(threading.Thread):
    """A client that has to receive `expected`, and pauses where it is told to: after so many bytes, for so long."""

    def __init__(self, address, expected, pauses):
        super().__init__(daemon=True)
        self.client = Lines(address, STALLED_RCVBUF)
        self.expected = expected
        self.pauses = dict(pauses)
        self.received = 0
        self.problem = None
        self.has_first_part = threading.Event()

    def read(self, length):
        data = self.client.take(length)
        if data != self.expected[self.received:self.received + length]:
            raise Closed(f"other lines than expected after {self.received} bytes")
        self.received += length

    def run(self):
        try:
            for at, pause_s in sorted(self.pauses.items()):
                self.read(at - self.received)
                self.has_first_part.set()
                time.sleep(pause_s)  # the thing under test
            self.read(len(self.expected) - self.received)
            self.client.expect_closed("behind the last line")
        except (Closed, AssertionError) as problem:
            self.problem = f"{problem}"[:200]


def check_pipe(stalled_count, pauses_s, *options):
    gateway = Gateway("--stdin", "--once", "--wait-clients", stalled_count + PAUSING, *options)
    first, rest = lines(1, STALLING_LINES), lines(STALLING_LINES + 1, LINES)
    # the pauses begin when the first part is read, and later
    places = [len(first) + len(rest) * part // len(pauses_s) for part in range(len(pauses_s))]
    stalled = [Lines(gateway.lines, STALLED_RCVBUF) for _ in range(stalled_count)]
    readers = [Reader(gateway.lines, first + rest, zip(places, pauses_s)) for _ in range(PAUSING)]
    for reader in readers:
        reader.start()
    gateway.feed(first)
    gateway.wait_for_log(f"(?s)(event=evicted.*){{{stalled_count}}}")
    for reader in readers:
        expect(reader.has_first_part.wait(DEADLINE_S), "the first lines never came")
    gateway.feed(rest)
    gateway.process.stdin.close()
    for reader in readers:
        reader.join(DEADLINE_S)
        expect(not reader.is_alive() and reader.problem is None, f"a healthy reader: {reader.problem}")
    expect_equal(gateway.wait(), 0, "exit code")
    evictions = re.findall(r"event=evicted .*?reason=(\w+)", gateway.log())
    expect_equal(len(evictions), stalled_count, f"evictions: {evictions}")
    expect(set(evictions) <= {"stalled", "slow"}, f"reasons: {evictions}")
    for client in stalled:
        client.close()


def a_reader_that_pauses_gets_every_line_whatever_others_have_used():
    check_pipe(8, (0.9, 0.9, 3.0))


def with_short_rings_too():
    check_pipe(3, (0.9, 0.9), "--slots", 256)


run(a_reader_that_pauses_gets_every_line_whatever_others_have_used, with_short_rings_too)
