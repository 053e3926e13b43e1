#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts a program as a service manager would, and writes what the program tells it to standard output.

    service_manager.py SOCKET... -- PROGRAM ARGUMENT...

A SOCKET is NAME=PORT: the program gets it listening, from descriptor 3 on, under that name; port 0 is a free one, and
"socket NAME PORT" is written first. SIGTERM is handed on. Ends when the program has ended, with its exit code; the
program ends when this is killed.
"""
import ctypes
import fcntl
import os
import signal
import socket
import sys
import tempfile

WATCHDOG_USEC = "200000"
FIRST_DESCRIPTOR = 3
OUT_OF_THE_WAY = 100
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def open_sockets(wanted):
    sockets = []
    for name, port in (text.split("=") for text in wanted):
        listening = socket.create_server(("127.0.0.1", int(port)))
        print("socket", name, listening.getsockname()[1], flush=True)
        sockets.append((name, listening))
    return sockets


def become_program(command, notify_path, sockets):
    """In the child: the pid in the environment has to be its own."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Out of the way first: one of them may stand where another one has to be.
    copies = [fcntl.fcntl(listening, fcntl.F_DUPFD_CLOEXEC, OUT_OF_THE_WAY) for _, listening in sockets]
    for place, copy in enumerate(copies):
        os.dup2(copy, FIRST_DESCRIPTOR + place, inheritable=True)
    environment = dict(os.environ, NOTIFY_SOCKET=notify_path, WATCHDOG_USEC=WATCHDOG_USEC,
                       WATCHDOG_PID=str(os.getpid()))
    if sockets:
        environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)),
                           LISTEN_FDNAMES=":".join(name for name, _ in sockets))
    os.execve(command[0], command, environment)


def watch(child, notifications):
    notifications.settimeout(0.05)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        try:
            while True:
                print(notifications.recv(4096).decode(), flush=True)
        except TimeoutError:
            pass
        if ended:
            return os.waitstatus_to_exitcode(status)


def main():
    end_of_sockets = sys.argv.index("--")
    command = sys.argv[end_of_sockets + 1:]
    with tempfile.TemporaryDirectory() as folder:
        notify_path = os.path.join(folder, "notify")
        notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notifications.bind(notify_path)
        sockets = open_sockets(sys.argv[1:end_of_sockets])
        child = os.fork()
        if child == 0:
            become_program(command, notify_path, sockets)
        signal.signal(signal.SIGTERM, lambda number, frame: os.kill(child, signal.SIGTERM))
        return watch(child, notifications)


if __name__ == "__main__":
    sys.exit(main())
