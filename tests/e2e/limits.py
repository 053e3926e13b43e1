# SPDX-License-Identifier: MIT
"""The limits of every option of the gateway. What --check-config takes is good to serve with: with the least and the most
of each option a client gets a message. What isn't right is refused, with the option's name and exit code 2. An option that
is in no table here fails the test."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run
from wire import Http, Lines

MIB, GIB, DAY_MS, MANY = 1 << 20, 1 << 30, 24 * 3600 * 1000, 10_000_000
ALL_ONES = [(1 << 32) - 1, (1 << 64) - 1, 1 << 64]
NO_NUMBERS = ["", "-1", "+1", " 5", "5 ", "5x", "0x10", "1e3", "1e999", "1.5", "nan", "inf", "5KK", "9" * 40]

# option: (least, most, what it needs with the most)
NUMBERS = {
    "max-connections": (1, MANY, []),
    "max-per-address": (0, MANY, []),
    "max-per-subject": (0, MANY, []),
    "max-subscriptions-per-address": (0, MANY, []),
    "max-subscriptions-per-subject": (0, MANY, []),
    "max-topics-per-address": (0, MANY, []),
    "max-topics-per-subject": (0, MANY, []),
    "max-keys-per-address": (0, MANY, []),
    "max-keys-per-subject": (0, MANY, []),
    **{f"{what}-rate{whose}": (0, MANY, []) for what in ("command", "publish", "replay")
       for whose in ("", "-per-address", "-per-subject")},
    **{f"replay-bytes{whose}": (0, GIB, []) for whose in ("", "-per-address", "-per-subject", "-per-thread")},
    "replay-rate-per-thread": (0, MANY, []),
    "accept-rate": (0, MANY, []),
    "threads": (1, 64, []),
    "max-topics": (1, 1_000_000, []),
    "max-topics-per-client": (1, 65536, []),
    "state-keys": (1, 1 << 24, ["--state", "prices", "--budget", "5G"]),
    "state-age": (0, 7 * DAY_MS, ["--state", "prices"]),
    "history": (0, MANY, ["--budget", "4G"]),
    "history-bytes": (0, 1024 * GIB // 2, ["--budget", "1024G"]),
    "history-topic": (0, MANY, ["--history", str(MANY), "--budget", "4G"]),
    "history-topic-bytes": (0, 1024 * GIB // 2, ["--history-bytes", "512G", "--budget", "1024G"]),
    "history-age": (0, 7 * DAY_MS, []),
    "wait-clients": (0, MANY, None),  # there are no descriptors for so many
    "max-message": (1, 64 * MIB, ["--budget", "1G"]),
    "max-body": (65536, GIB, []),
    "patience": (0, DAY_MS, []),
    "slots": (2, 32768, []),
    "ring-bytes": (131072, GIB, ["--budget", "1G"]),
    "high": (26, 100, []),
    "low": (0, 49, []),
    "stall": (0, DAY_MS, []),
    "slow": (0, DAY_MS, []),
    "lag": (0, DAY_MS, []),
    "soft-bytes": (0, MIB - 1, []),  # less than --ring-bytes
    "soft-time": (0, DAY_MS, []),
    "grace": (0, DAY_MS, []),
    "budget": (MIB, 1024 * GIB, []),
    "kernel-bytes": (0, 1024 * GIB, []),
    "ping": (1000, DAY_MS, []),  # and 0
    "handshake": (100, 600000, []),
    "message-timeout": (0, DAY_MS, []),
    "compress": (0, GIB, []),
    "max-wrong-tokens": (0, MANY, []),
    "authorize-timeout": (1, 60000, []),
    "authorize-at-once": (1, 1000, []),
    "authorize-cache": (0, 10_000_000, []),
    "keep-alive": (1000, DAY_MS, []),
    "drain-ms": (0, DAY_MS, []),
}
ALSO_RIGHT = {"ping": [0]}
TOO_SHORT = [("handshake", 100)]  # for a busy machine: it starts and stops

# option: values that are right, values that aren't
TEXTS = {
    "tcp": (["off", "127.0.0.1:0", "[::1]:65535"], ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1"]),
    "tcp-length": (["off", "127.0.0.1:0"], ["", ":1", "127.0.0.1: 1", "127.0.0.1:1x", "::1:1"]),
    "http": (["off", "127.0.0.1:0"], ["", "127.0.0.1:0x1"]),
    **{f"{door}-tls": (["off"], ["", "127.0.0.1", "127.0.0.1:0"])  # without a certificate
       for door in ("tcp", "tcp-length", "http")},
    "tls-cert": ([], ["", "/nonexistent"]),
    "tls-key": ([], ["", "/nonexistent"]),
    "tls-client-ca": ([], ["", "/nonexistent"]),
    "tls-clients": (["required"], ["", "any", "optional"]),  # without --tls-client-ca
    "proxy-from": (["127.0.0.1", "0.0.0.0/0", "10.0.0.0/32", "::/128"],
                   ["", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "x"]),
    "topic": (["a", "a" * 64], ["", "a" * 65, "a b"]),
    "state": (["a" * 64], ["", "a" * 65, "ä"]),
    "stdin": (["on", "off"], ["2", "-1", "ON"]),
    "once": (["off"], ["2"]),
    "overflow": (["drop-newest", "drop-oldest", "evict", "auto"], ["", "0", "drop"]),
    "shadow": (["on", "off"], ["2"]),
    "tokens": ([], ["", "/nonexistent"]),
    "jwt-keys": ([], ["", "/nonexistent", "/dev/null"]),
    "jwt-issuer": (["a", "a b", "a" * 255], ["", " a", "a ", "a" * 256]),
    "jwt-audience": (["a"], ["", "a" * 256]),
    "public": (["a", "status.>", "a.*.b", ">"], ["", "a.>.b", "a b", "a,b", "ä"]),
    "authorize": (["http://127.0.0.1:1/who", "https://a.example"], ["", "a", "ftp://a", "file:///etc/passwd"]),
    "authorize-when-away": (["closed", "public"], ["", "open"]),
    "io-uring": (["auto", "off"], ["", "on"]),
    "token-cookie": (["__Host-token", "a" * 255], ["", "a" * 256, "a b", "a=b"]),
    "trust-loopback": (["on", "off"], ["2"]),
    "allow-host": (["*", "a" * 253], ["", "a" * 254, "a:1", "a b"]),
    "allow-origin": (["*", "null", "https://a:1"],
                     ["", "a", "https://", "https://a:0", "https://a:65536", "https://a:1:2", "https://[a]"]),
    "nats": ([], ["", "a b", "n" * 1025]),
    "nats-creds": ([], ["", "x"]),  # without --nats
    "subject": (["a.>"], ["", "a..b", ">.a"]),
    "jetstream": ([], ["", "a b", "a" * 256, "x"]),
    "config": (["/dev/null"], ["/nonexistent"]),
    "log-level": (["debug", "error"], ["", "0", "loud"]),
    "log-format": (["json", "logfmt"], ["", "xml"]),
}
ACTIONS = {"check-config", "print-config", "help", "version"}


def check(*arguments):
    command = [os.environ["GATEWAY"], *map(str, arguments), "--check-config"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def expect_good(*arguments):
    result = check(*arguments)
    expect_equal((result.returncode, result.stdout), (0, "configuration is good\n"), f"{arguments}: {result.stderr}")


def expect_refused(name, value):
    result = check(f"--{name}={value}")
    expect_equal(result.returncode, 2, f"exit code with --{name} '{value}'")
    expect(result.stderr.startswith("gateway: ") and f"--{name}" in result.stderr, f"--{name} '{value}': {result.stderr}")


def expect_to_serve(*arguments):
    """A client gets a message of one byte, which the smallest --max-message has room for, and the gateway stops."""
    gateway = Gateway(*arguments)
    client = Lines(gateway.lines)
    expect_equal(client.ask("PING"), "+PONG", f"with {arguments}")
    response = Http(gateway.http).ask("POST", "/api/v1/publish?topic=news", b"m")
    expect_equal(response.status, 200, f"publishing with {arguments}")
    expect_equal(client.line(), "m", f"the message with {arguments}")
    client.close()
    gateway.stop()


def every_option_is_in_a_table():
    text = subprocess.run([os.environ["GATEWAY"], "--help"], capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"^  --([a-z-]+)", text, re.M))
    expect_equal(options ^ (set(NUMBERS) | set(TEXTS) | ACTIONS), set(), "options that --help or a table lacks")


def numbers_are_taken_within_their_limits_and_serve():
    for name, (least, most, needs) in NUMBERS.items():
        values = [(least, []), (most, needs)] + [(value, []) for value in ALSO_RIGHT.get(name, [])]
        for value, needed in values:
            if needed is None:
                continue
            expect_good(f"--{name}", value, *needed)
            if (name, value) in TOO_SHORT:
                Gateway(f"--{name}", value).stop()
            else:
                expect_to_serve(f"--{name}", value, *needed)


def numbers_are_refused_beyond_their_limits():
    for name, (least, most, _) in NUMBERS.items():
        wrong = [least - 1, most + 1, 0, *ALL_ONES]
        for value in wrong:
            if value not in ALSO_RIGHT.get(name, []) and not least <= value <= most:
                expect_refused(name, value)
        for value in NO_NUMBERS:
            expect_refused(name, value)


def texts_are_checked():
    for name, (right, wrong) in TEXTS.items():
        for value in right:
            expect_good(f"--{name}={value}")
        for value in wrong:
            expect_refused(name, value)


def large_messages_are_no_gaps_with_the_rings_that_follow_from_them():
    gateway = Gateway("--max-message", "2M", "--max-body", "8M", "--budget", "64M", "--slow", 0)
    client = Lines(gateway.lines)
    expect_equal(client.ask("PING"), "+PONG", "subscribed")
    http = Http(gateway.http)
    for turn in range(6):
        pair = [chr(ord("a") + turn) * (3 * MIB // 2), chr(ord("A") + turn) * (3 * MIB // 2)]
        body = "\n".join(json.dumps({"topic": "news", "data": text}) for text in pair).encode()
        response = http.ask("POST", "/api/v1/publish", body, ["Content-Type: application/x-ndjson"])
        expect_equal(response.status, 200, "publishing")
        for text in pair:
            line = client.line()
            expect(line == text, f"instead of the message: {line[:80]}")
    gateway.stop()


def the_policy_is_checked_in_the_same_way_at_run_time():
    gateway = Gateway("--max-message", "2M")
    http = Http(gateway.http)

    def change(body):
        response = http.ask("POST", "/api/v1/policy", json.dumps(body).encode())
        return response.status, response.json()

    before = http.ask("GET", "/api/v1/policy").json()
    expect_equal(before["ring_bytes"], 8 * MIB, "ring_bytes")
    wrong = [
        ({"ring_bytes": 4 * MIB - 1}, "ring_bytes (4194303) must be at least twice the limit of bytes per message (2M): make it 4M or more"),
        ({"ring_bytes": "1M"}, "ring_bytes (1M) must be at least twice the limit of bytes per message (2M): make it 4M or more"),
        ({"ring_bytes": "512M"}, "ring_bytes (512M) is more than the server's memory budget (256M): make it 256M or less"),
        ({"stall_ms": 1 << 30}, "stall_ms must be a number from 0 to 86400000"),
        ({"stall_ms": -1}, "stall_ms must be a number from 0 to 86400000"),
        ({"stall_ms": " 5"}, "stall_ms must be a number from 0 to 86400000"),
        ({"grace_ms": 0xFFFFFFFF}, "grace_ms must be a number from 0 to 86400000"),
        ({"slots": 1}, "slots must be a number from 2 to 32768"),
        ({"high": 25}, "low (25) must be below high (25)"),
        ({"soft_bytes": "8M"}, "soft_bytes (8M) must be below ring_bytes (8M)"),
        ({"soft_ms": DAY_MS + 1}, "soft_ms must be a number from 0 to 86400000"),
    ]
    for body, problem in wrong:
        expect_equal(change(body), (400, {"error": problem}), body)
    expect_equal(http.ask("GET", "/api/v1/policy").json(), before, "the policy after what was refused")
    for name, value in ("ring_bytes", 4 * MIB), ("ring_bytes", 256 * MIB), ("stall_ms", DAY_MS), ("grace_ms", 0), ("soft_bytes", MIB):
        status, policy = change({name: value})
        expect_equal((status, policy[name]), (200, value), name)
    client = Lines(gateway.lines)
    expect_equal(client.ask("PING"), "+PONG", "with the policy")
    gateway.stop()


if __name__ == "__main__":
    run(every_option_is_in_a_table, numbers_are_taken_within_their_limits_and_serve,
        numbers_are_refused_beyond_their_limits, texts_are_checked,
        large_messages_are_no_gaps_with_the_rings_that_follow_from_them,
        the_policy_is_checked_in_the_same_way_at_run_time)
