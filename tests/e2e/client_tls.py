# SPDX-License-Identifier: MIT
"""The load client and the dashboard with TLS: every protocol, and what is refused with which words."""
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
from certificates import Certificates
from gateway import Gateway, expect, expect_equal, run, scratch, start_process, until

certificates = Certificates()
TRUSTED = ("--tls-ca", certificates.ca)
UNTRUSTED = "the certificate isn't accepted: unable to get local issuer certificate"


def secure_gateway(*arguments):
    return Gateway("--tcp-tls", "127.0.0.1:0", "--http-tls", "127.0.0.1:0", "--tls-cert", certificates.server,
                   "--tls-key", certificates.server_key, *arguments)


def load(*arguments):
    """Returns the exit code and what was said."""
    done = subprocess.run([os.environ["LOADCLIENT"], "--quiet", "--timeout", "20s", *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


def expect_load(code, words, *arguments):
    got, said = load(*arguments)
    expect_equal(got, code, f"exit code of {arguments}: {said}")
    expect(words in said, f"'{words}' isn't in: {said}")


def every_protocol_of_the_load_client_goes_through_tls():
    doors = secure_gateway("--tcp-length-tls", "127.0.0.1:0").doors
    lines, frames, http = (doors[name][1] for name in ("tcp-tls", "tcp-length-tls", "http-tls"))
    for target, publish in ((f"tls://127.0.0.1:{lines}", f"https://127.0.0.1:{http}"),
                            (f"tls-length://localhost:{frames}", f"tls-length://127.0.0.1:{frames}"),
                            (f"wss://localhost:{http}", f"tls://localhost:{lines}"),
                            (f"https://127.0.0.1:{http}/sse", f"https://localhost:{http}")):
        expect_load(0, "every healthy client got every message once and in order", "--target", target, "--publish",
                    publish, *TRUSTED, "--connections", 12, "--processes", 2, "--rate", 200, "--messages", 300,
                    "--mix", "healthy=8,slow:1MB/s=1,stalled=1,bursty=1,reconnect:200ms=1")


def certificates_are_checked_unless_it_is_said_otherwise():
    gateway = secure_gateway()
    target = f"tls://127.0.0.1:{gateway.doors['tcp-tls'][1]}"
    publish = ("--connections", 0, "--publish", target, "--messages", 1)
    expect_load(3, UNTRUSTED, "--target", target, "--until", 1)
    expect_load(3, "--tls-ca FILE names the authority", "--target", target, "--until", 1)
    expect_load(3, UNTRUSTED, *publish)
    expect_load(0, "ok", *publish, "--insecure")
    expect_load(0, "ok", *publish, *TRUSTED)
    expect_load(3, "it may speak none there", "--target", f"wss://127.0.0.1:{gateway.http[1]}", "--until", 1)


def clients_show_certificates():
    gateway = secure_gateway("--tls-client-ca", certificates.ca)
    arguments = ("--connections", 3, "--target", f"tls://127.0.0.1:{gateway.doors['tcp-tls'][1]}", *TRUSTED, "--publish",
                 f"tcp://127.0.0.1:{gateway.lines[1]}", "--messages", 1)
    expect_load(0, "ok", *arguments, "--tls-cert", certificates.client, "--tls-key", certificates.client_key)
    expect_load(1, "certificate required", *arguments)


def wrong_options_are_refused():
    target = ("--target", "tls://127.0.0.1:1", "--until", 1)
    expect_load(2, "No such file or directory", *target, "--tls-ca", os.path.join(scratch, "none"))
    expect_load(2, "exclude each other", *target, *TRUSTED, "--insecure")
    expect_load(2, "the key of the certificate is missing", *target, "--tls-cert", certificates.client)
    expect_load(2, "the key doesn't belong to the certificate", *target, "--tls-cert", certificates.client, "--tls-key",
                certificates.server_key)
    expect_load(2, "are for URLs with TLS", "--target", "tcp://127.0.0.1:1", "--until", 1, *TRUSTED)
    done = subprocess.run([os.environ["DASHBOARD"], "--insecure"], stderr=subprocess.PIPE, text=True, timeout=60,
                          check=False)
    expect_equal(done.returncode, 2, "exit code of the dashboard")
    expect("are for URLs with TLS" in done.stderr, done.stderr)


class Dashboard:
    def __init__(self, *arguments):
        self.log_path = os.path.join(scratch, "dashboard.log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = start_process([os.environ["DASHBOARD"], "--listen", "127.0.0.1:0", "--trust-loopback",
                                          *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        self.url = self.process.stdout.readline().split()[1]

    def wait_for_log(self, words):
        def has_words():
            with open(self.log_path, encoding="utf-8") as log:
                return words in log.read()

        until(f"the dashboard's log has '{words}'", has_words)

    def ask_gateway(self, path):
        """The gateway's answer, whatever its status is."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        expect_equal(self.process.wait(60), 0, "exit code of the dashboard")


def the_dashboard_watches_through_tls():
    url = f"https://localhost:{secure_gateway().doors['http-tls'][1]}"
    board = Dashboard("--gateway", url, *TRUSTED)
    board.wait_for_log("gateway_connected")
    answer = board.ask_gateway("/api/connection?cell=0")
    expect("gave no answer" not in str(answer), f"the dashboard said {answer}")
    board.stop()
    stranger = Dashboard("--gateway", url)
    stranger.wait_for_log(UNTRUSTED)
    stranger.stop()


run(every_protocol_of_the_load_client_goes_through_tls,
    certificates_are_checked_unless_it_is_said_otherwise,
    clients_show_certificates,
    wrong_options_are_refused,
    the_dashboard_watches_through_tls)
