# SPDX-License-Identifier: MIT
"""What the end-to-end tests in Python share: starting a gateway on free ports, waiting for something, and running the
tests of a file one after the other.

$GATEWAY is the program. It is ended when the test ends, whichever way. With FLUXBP_E2E_TLS=1 it speaks TLS; see over_tls.py.
"""
import atexit
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import over_tls

ANY = "127.0.0.1:0"
DEADLINE_S = 40  # of whatever is waited for: only a test that fails takes so long
POLL_S = 0.02
PR_SET_PDEATHSIG = 1  # of linux/prctl.h

scratch = tempfile.mkdtemp()  # goes with the process
_libc = ctypes.CDLL(None)
_gateways = []
_processes = []


def fail(message):
    raise AssertionError(message)


def expect(is_right, message):
    if not is_right:
        fail(message)


def expect_equal(got, wanted, what):
    if got != wanted:
        fail(f"{what}: {got!r} instead of {wanted!r}")


def until(what, ask):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        answer = ask()
        if answer:
            return answer
        time.sleep(POLL_S)
    fail(f"it never came so far: {what}")


def skip(why):
    """Ends the program as skipped; where nothing may be skipped, as failed."""
    print("skipped:", why)
    sys.exit(1 if os.environ.get("CI") == "true" else 77)


def start_process(command, **options):
    """It ends with the test that started it, whichever way."""
    process = subprocess.Popen(command, preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), **options)
    _processes.append(process)
    return process


class Gateway:
    """A running gateway: lines at .lines, frames at .frames (with --tcp-length), HTTP at .http, each (host, port); .doors has all by
    their names in the ready line. The test may publish and administer without a token, unless it says otherwise."""

    def __init__(self, *arguments, trusts_loopback=True):
        self.log_path = tempfile.mkstemp(dir=scratch)[1]
        self.arguments = ["--tcp", ANY, "--http", ANY, *(["--trust-loopback"] if trusts_loopback else []),
                          *map(str, arguments)]
        if over_tls.IS_ON:
            self.arguments = over_tls.arguments_of(self.arguments)
        with open(self.log_path, "wb") as log:
            self.process = start_process([os.environ["GATEWAY"], *self.arguments], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=log, env=over_tls.environment())
        _gateways.append(self)
        ready = self.process.stdout.readline().decode()
        expect(ready.startswith("ready "), f"the gateway did not start: {self.log()}")
        self.doors = {name: ("127.0.0.1", int(port)) for name, port in re.findall(r"(\S+)=\S*:(\d+)", ready)}
        kind = "-tls" if over_tls.IS_ON else ""
        self.lines, self.http, self.frames = (self.doors.get(name + kind) for name in ("tcp", "http", "tcp-length"))
        if over_tls.IS_ON:
            over_tls.add_ports(port for _, port in self.doors.values())

    def url(self, path="", scheme="http"):
        """Of something at .http; without a path, its origin."""
        return "%s%s://%s:%d%s" % (scheme, "s" if over_tls.IS_ON else "", *self.http, path)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def wait_for_log(self, pattern):
        return until(f"the log says {pattern}", lambda: re.search(pattern, self.log()))

    def feed(self, data):
        """To standard input; returns when the pipe has taken it."""
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(DEADLINE_S)

    def stop(self):
        self.terminate()
        expect_equal(self.wait(), 0, "exit code")


def _end_all():
    for process in _processes:
        process.kill()
        process.wait()
    _processes.clear()
    _gateways.clear()


atexit.register(shutil.rmtree, scratch)
atexit.register(_end_all)


def run(*tests):
    """Runs them in order. What is still running after one is ended; it should have stopped a gateway that it is about."""
    signal.signal(signal.SIGTERM, lambda number, frame: fail("the time is over"))
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
        except Exception:
            print(f"FAIL: {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
            for gateway in _gateways:
                print(f"--- the end of the log of {' '.join(gateway.arguments)}")
                print(gateway.log()[-4000:])
            sys.exit(1)
        print(f"ok: {name}", flush=True)
        _end_all()
