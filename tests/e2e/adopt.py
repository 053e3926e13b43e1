#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/adopt: a line that isn't JOIN is answered by the server itself; a client that says JOIN gets the news."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, start_process  # noqa: E402
from wire import Lines  # noqa: E402


def start():
    program = os.path.join(os.environ["BUILD"], "examples", "adopt")
    process = start_process([program, "0"], stdout=subprocess.PIPE)
    port = re.search(r":(\d+)", process.stdout.readline().decode()).group(1)
    return process, ("127.0.0.1", int(port))


def other_lines_are_the_servers():
    _, address = start()
    client = Lines(address)
    client.say("hello")
    expect_equal(client.text(), "say JOIN for the news", "the answer of the server")


def a_client_that_joins_is_the_librarys():
    process, address = start()
    client = Lines(address)
    client.say("JOIN\nwhat was read with it")
    expect_equal(process.stdout.readline(), b"a member says: what was read with it\n", "the first bytes")
    expect(client.text().startswith("news, after "), "the news")
    client.say("and more")
    expect_equal(process.stdout.readline(), b"a member says: and more\n", "the next bytes")
    while client.text() == "news, after 0 bytes":
        pass  # the next one counts the bytes of the first


run(other_lines_are_the_servers, a_client_that_joins_is_the_librarys)
