# SPDX-License-Identifier: MIT
"""A gateway writes to many clients by one call of io_uring, unless it is told not to, or there is no io_uring."""
import ctypes
import errno
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run
from wire import Lines, ask

CLIENTS = 40  # a gateway asks for io_uring when 8 are written to at once
IO_URING_SETUP = 425


def may_be_had():
    """Built with liburing, on a kernel that doesn't refuse: the call looks at its arguments, which are wrong."""
    if "liburing" not in subprocess.run(["ldd", os.environ["GATEWAY"]], capture_output=True, text=True, check=True).stdout:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    expect_equal(libc.syscall(IO_URING_SETUP, 0, None), -1, "a call with wrong arguments")
    return ctypes.get_errno() in (errno.EFAULT, errno.EINVAL)


def writes_by_io_uring(*arguments):
    """Of a gateway whose clients all get the same messages."""
    gateway = Gateway("--topic", "news", *arguments)
    clients = [Lines(gateway.lines) for _ in range(CLIENTS)]
    for client in clients:
        expect_equal(client.ask("PING"), "+PONG", "a client is subscribed")
    expect(clients[0].ask("PUB other x").startswith("+OK PUB "), "a message that nobody gets")
    for i in range(5):
        clients[0].say(f"PUB news message {i}")
        expect(any(clients[0].line() == f"message {i}" for _ in range(2)), "the publisher")
        for client in clients[1:]:
            expect_equal(client.line(), f"message {i}", "a client")
    metrics = ask(gateway.http, "GET", "/metrics").body.decode()
    gateway.stop()
    return int(re.search(r"^fluxbp_io_uring_writes_total (\d+)$", metrics, re.MULTILINE).group(1))


def it_is_used_where_it_may_be_had():
    count = writes_by_io_uring()
    expect(count >= CLIENTS if may_be_had() else count == 0, f"{count} writes by io_uring")


def it_is_off_when_told():
    expect_equal(writes_by_io_uring("--io-uring", "off"), 0, "writes by io_uring")


if __name__ == "__main__":
    run(it_is_used_where_it_may_be_had, it_is_off_when_told)
