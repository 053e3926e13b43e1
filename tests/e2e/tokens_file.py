# SPDX-License-Identifier: MIT
"""The file of --tokens: the commands by which docs/gateway.md gives a user one topic; and the file changes while the
gateway runs, is wrong, and is read again on SIGHUP.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, scratch
from wire import Lines

ALICE, BOB, CAROL = "alice-alice-alice", "bob-bob-bob-bob-bob", "carol-carol-carol"
DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "gateway.md")


def write_tokens(path, *lines):
    """Replace the file as an editor does."""
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as file:  # for its owner alone
        file.write("".join(f"{line}\n" for line in lines))
    os.rename(file.name, path)


def begin(*lines):
    path = os.path.join(scratch, "tokens")
    write_tokens(path, *lines)
    return path, Gateway("--tokens", path)


def log_in(gateway, token):
    client = Lines(gateway.lines)
    expect_equal(client.ask(f"AUTH {token}"), "+OK AUTH subscribe", "AUTH")
    return client


def a_changed_file_is_read_without_dropping_others():
    path, gateway = begin(f"subscribe {ALICE} name=alice", f"subscribe {CAROL}")
    alice, carol = log_in(gateway, ALICE), log_in(gateway, CAROL)
    write_tokens(path, f"subscribe {ALICE} name=alice", f"subscribe {BOB} topics=orders.7")
    expect_equal(carol.line(), "-ERR the token was withdrawn", "whose token has gone")
    bob = log_in(gateway, BOB)
    expect_equal(bob.ask("SUB orders.8"), "-ERR this token may not subscribe to 'orders.8'", "another topic")
    expect_equal(alice.ask("SUB orders.8"), "+OK SUB orders.8", "whose token is still there")
    gateway.stop()


def a_wrong_file_leaves_the_former_tokens():
    path, gateway = begin(f"subscribe {ALICE}")
    alice = log_in(gateway, ALICE)
    write_tokens(path, f"subscribe {ALICE}", "subscrib short")
    gateway.wait_for_log("event=tokens_not_read .*line 2")
    expect_equal(alice.ask("PING"), "+PONG", "the former token")
    log_in(gateway, ALICE)
    gateway.stop()


def SIGHUP_reads_the_file_again():
    path, gateway = begin(f"subscribe {ALICE}")
    alice = log_in(gateway, ALICE)
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("event=tokens_read ")
    expect_equal(alice.ask("PING"), "+PONG", "nobody notices")
    gateway.stop()


def the_commands_of_the_documentation_give_a_user_one_topic():
    with open(DOCS) as file:
        section = file.read().split("### Give a user access to exactly one topic\n")[1].split("\n### ")[0]
    making, using, publishing = re.findall(r"```sh\n(.*?)```", section, re.S)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        def shell(text):
            return subprocess.run(["sh", "-c", text], cwd=folder, capture_output=True, text=True, timeout=60).stdout

        shell("\n".join(making.splitlines()[:-1]))  # but the last, which is the gateway
        gateway = Gateway("--tokens", os.path.join(folder, "tokens"))
        heard = using.replace("orders.7' &", "orders.7&since=oldest' -m 3 >heard &")
        output = shell((heard + publishing).replace("localhost:9001", gateway.url())
                       + "\nwait\ncat heard\n")
        expect("this token may not subscribe to 'orders.8'" in output, f"another topic: {output}")
        expect('{"id":"' in output, f"publishing: {output}")
        expect("data: paid" in output, f"her topic: {output}")
        gateway.stop()


run(a_changed_file_is_read_without_dropping_others,
    a_wrong_file_leaves_the_former_tokens,
    SIGHUP_reads_the_file_again,
    the_commands_of_the_documentation_give_a_user_one_topic)
