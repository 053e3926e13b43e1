#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A port of one's own. A server that is started again at the port that it had would now and then find it taken by another
test, which had asked for any.

  ports.py     prints a port of 127.0.0.1, and keeps it until it is killed
"""
import ctypes
import signal
import socket

PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def keep(port=0):
    """A socket that keeps a port as long as it is open. It doesn't listen: nobody is given the port who asks for any, whoever
    asks for this one may have it (with SO_REUSEADDR), and until then connections are refused.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", port))
    return kept


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    kept = keep()
    print(kept.getsockname()[1], flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
