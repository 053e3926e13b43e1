#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/tls as people use it: the page, the clock by WebSocket and by curl, a renewed certificate, and the end."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from certificates import Certificates  # noqa: E402
from gateway import expect, expect_equal, run, scratch, start_process, until  # noqa: E402

PROGRAM = os.path.join(os.environ["BUILD"], "examples", "tls")


class Clock:
    def __init__(self, certificate, key):
        self.log_path = os.path.join(scratch, "clock.log")
        with open(self.log_path, "wb") as log:
            self.process = start_process([PROGRAM, certificate, key, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log)
        self.port = int(re.search(r":(\d+)$", self.process.stdout.readline().decode()).group(1))

    def log(self):
        with open(self.log_path) as log:
            return log.read()

    def curl(self, ca, path, *options):
        return subprocess.run(["curl", "-sS", "--cacert", ca, *options, f"https://localhost:{self.port}{path}"],
                              capture_output=True, text=True)


def serial_of(port, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(("127.0.0.1", port)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            return client.getpeercert()["serialNumber"]


def a_page_and_a_clock():
    files = Certificates()
    clock = Clock(files.server, files.server_key)
    page = clock.curl(files.ca, "/")
    expect("new WebSocket(`wss://${location.host}/ws`)" in page.stdout, f"the page: {page}")
    stream = start_process(["curl", "-sSN", "--cacert", files.ca, f"https://localhost:{clock.port}/sse"],
                           stdout=subprocess.PIPE, text=True)
    expect(any(re.fullmatch(r"data: \d\d:\d\d:\d\d\n", line) for line in stream.stdout), "the clock, as an event")
    stream.kill()
    clock.process.send_signal(signal.SIGTERM)
    expect_equal(clock.process.wait(), 0, "exit code")


def a_certificate_is_renewed():
    files = Certificates()
    certificate, key = os.path.join(scratch, "now.pem"), os.path.join(scratch, "now.key")
    shutil.copy(files.server, certificate)
    shutil.copy(files.server_key, key)
    os.chmod(key, 0o600)
    clock = Clock(certificate, key)
    before = serial_of(clock.port, files.ca)
    renewed, renewed_key = files.issue("renewed", names=("localhost",))
    shutil.copy(renewed, certificate)
    clock.process.send_signal(signal.SIGHUP)
    until("the log has the reason", lambda: "certificates_not_read" in clock.log())
    expect_equal(serial_of(clock.port, files.ca), before, "the certificate, whose key is another one's")
    shutil.copy(renewed_key, key)
    clock.process.send_signal(signal.SIGHUP)
    until("it is read", lambda: "tls: certificates_read" in clock.log())
    expect(serial_of(clock.port, files.ca) != before, "the renewed certificate")
    clock.process.send_signal(signal.SIGINT)
    expect_equal(clock.process.wait(), 0, "exit code")


def wrong_files_are_refused():
    files = Certificates()
    said = subprocess.run([PROGRAM], capture_output=True, text=True)
    expect_equal((said.returncode, said.stderr), (2, "usage: tls CERTIFICATE KEY [HOST:PORT]\n"), "without arguments")
    said = subprocess.run([PROGRAM, files.server, files.client_key], capture_output=True, text=True)
    expect_equal(said.returncode, 2, f"the exit code with another one's key: {said.stderr}")


run(a_page_and_a_clock, a_certificate_is_renewed, wrong_files_are_refused)
