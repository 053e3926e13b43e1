# SPDX-License-Identifier: MIT
"""The limits of every option of the load client and of the dashboard. What is right gets as far as the network: exit code 3
from the load client where nobody listens, and a report where a gateway does. What isn't is refused with exit code 2 and the
option's name. An option that is in no table here fails the test."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import DEADLINE_S, Gateway, expect, expect_equal, run, scratch

NO_NUMBERS = ["", "-1", "+1", " 5", "5 ", "5x", "0x10", "1e3", "1e999", "nan", "inf", "9" * 40]
ALL_ONES = [(1 << 32) - 1, (1 << 64) - 1, 1 << 64]
YEAR_H = 365 * 24
NEW = os.path.join(scratch, "new.json")
PUBLISH = ["--publish", "tcp://127.0.0.1:1"]

# option: (least, most, what it needs)
NUMBERS = {
    "connections": (1, 1_000_000, []),  # and 0 with --publish
    "processes": (1, 64, []),
    "until": (1, 900_000_000_000_000_000, []),
    "messages": (1, 1_000_000_000_000, PUBLISH),
    "publishers": (1, 16, PUBLISH),
}
# option: values that are right, values that aren't, what they need
TIMES = (["1ns", "30", "1.5s", f"{YEAR_H}h"], ["0", "0s", f"{YEAR_H + 1}h", "0.0000000001", "1d", *NO_NUMBERS[:5]], [])
TEXTS = {
    "target": (["ws://127.0.0.1:1/x", "http://127.0.0.1:1/x"],
               ["", "tcp://127.0.0.1", "tcp://127.0.0.1:0", "tcp://127.0.0.1:65536"], []),
    "mix": (["healthy=1000000", "slow:1B/s=1", "slow:10GB/s=1", "bursty:1ns=1", f"bursty:{YEAR_H}h=1",
             f"reconnect:{YEAR_H}h=1"],
            ["", "healthy=0", "healthy=1000001", "healthy=-1", "slow:0.5B/s=1", "slow:11GB/s=1", "slow:1000000G/s=1",
             "bursty:0s=1", f"bursty:{YEAR_H + 1}h=1", f"reconnect:{YEAR_H + 1}h=1"], []),
    "topic": (["a", "a" * 64, "a.b:c-d_e/f*>"], ["", "a" * 65, "a b", "a&b", "a%20b", "a+b", "a#b", 'a"b', "a\\b", "ä"], []),
    "token": (["t", "t" * 256], ["", "t" * 257, "t t"], []),
    "source": (["127.0.0.1", "127.0.0.0-127.0.255.255"], ["", "127.0.0.9-127.0.0.2", "127.0.0.0-127.1.0.0", "::1", "x"], []),
    "timeout": TIMES,
    "duration": TIMES,
    "ramp": (["1/s", "1000000"], ["0", "1000001", "0.5/s", *NO_NUMBERS], []),
    "stalled-rcvbuf": (["1", "1G"], ["0", "0.5", "1073741825", "1e999", "-1"], []),
    "publish": (["-"], ["", "ws://127.0.0.1:1", "tcp://127.0.0.1:0"], []),
    "rate": (["0.000001", "0.5/s", "10000000", "max"],
             ["0", "0.0000009", "10000000.1", "1e3", "nan", "inf", "-1", "", "/s"], PUBLISH),
    "size": (["1", "1-1047552", "1:0,2:1000000"], ["0", "1047553", "2-1", "1:0", "1:1000001", "1:-1", "", "1e3"], PUBLISH),
    "slo": (["p0.1<1ns", "p100<=1s", "rate>0", "evicted(stalled)==all"],
            ["", "p0<1s", "p101<1s", "p99<1e3s", "max<-1s", "rate>nan"], []),
    "json": ([NEW], ["", "/", "/nonexistent/x", scratch, NEW + "/"], []),
    "hgrm": ([NEW], ["", "/", "/nonexistent/x", scratch], []),
}
# Right ones are tried by client_tls.py.
TEXTS.update({name: ([], ["", "/nonexistent/x"], []) for name in ("tls-ca", "tls-cert", "tls-key")})
SWITCHES = {"insecure", "unchecked", "lines", "quiet", "help", "version"}


def ask(program, *arguments):
    command = [os.environ[program], *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


def load(*arguments):
    return ask("LOADCLIENT", "--target", "tcp://127.0.0.1:1", "--connections", 1, "--quiet", *arguments)


def expect_taken(name, value, needs):
    result = load(*needs, f"--{name}={value}")
    expect_equal(result.returncode, 3, f"exit code with --{name} '{value}': {result.stderr}")


def expect_refused(program, name, value, needs=()):
    result = load(*needs, f"--{name}={value}") if program == "LOADCLIENT" else ask(program, f"--{name}={value}")
    expect_equal(result.returncode, 2, f"exit code with --{name} '{value}'")
    expect(f"--{name}" in result.stderr, f"--{name} '{value}': {result.stderr}")


def options_of(program):
    return set(re.findall(r"(?:^ |,) +--([a-z-]+)", ask(program, "--help").stdout, re.M))


def every_option_of_the_load_client_is_in_a_table():
    expect_equal(options_of("LOADCLIENT") ^ (set(NUMBERS) | set(TEXTS) | SWITCHES), set(), "options that a table lacks")


def numbers_are_taken_within_their_limits_and_refused_beyond():
    for name, (least, most, needs) in NUMBERS.items():
        for value in {least, most} - {1_000_000}:
            expect_taken(name, value, needs)
        for value in [least - 1, most + 1, 0, *ALL_ONES]:
            if not least <= value <= most:
                expect_refused("LOADCLIENT", name, value, needs)
        for value in NO_NUMBERS:
            expect_refused("LOADCLIENT", name, value, needs)
    result = load("--connections", 1_000_000)  # taken, and held against what the machine has
    expect_equal(result.returncode, 2, "exit code with a million connections")
    expect("--processes" in result.stderr or "--source" in result.stderr, result.stderr)


def texts_are_checked():
    for name, (right, wrong, needs) in TEXTS.items():
        for value in right:
            expect_taken(name, value, needs)
        for value in wrong:
            expect_refused("LOADCLIENT", name, value, needs)
    result = load("--json", NEW, "--hgrm", NEW)
    expect_equal(result.returncode, 2, "one file for both reports")


def a_report_that_cannot_be_written_is_refused_before_anything_is_touched():
    kept = os.path.join(scratch, "kept.json")
    with open(kept, "w", encoding="ascii") as file:
        file.write("before")
    expect_equal(load("--json", kept, "--rate", "0").returncode, 2, "exit code")
    with open(kept, encoding="ascii") as file:
        expect_equal(file.read(), "before", "the file")


def the_extremes_of_behaviours_and_rates_run():
    gateway = Gateway()
    host, http = ("127.0.0.1:%d" % address[1] for address in (gateway.lines, gateway.http))
    runs = [["--rate", "0.000001", "--messages", "1"], ["--rate", "10000000", "--messages", "200"],
            ["--rate", "max", "--messages", "200", "--publishers", "16"], ["--size", "1-65000", "--messages", "20"],
            ["--mix", f"healthy=1,slow:10GB/s=1,bursty:1ns=1,reconnect:{YEAR_H}h=1", "--messages", "20"],
            ["--mix", f"healthy=1,bursty:{YEAR_H}h=1", "--duration", "0.3s"], ["--ramp", "1000000", "--messages", "20"]]
    for arguments in runs:
        result = ask("LOADCLIENT", "--target", f"tcp://{host}", "--publish", f"http://{http}", "--connections", 4, "--quiet",
                     *arguments)
        expect_equal(result.returncode, 0, f"exit code with {arguments}: {result.stderr}{result.stdout}")
    gateway.stop()


def the_dashboard_checks_its_options():
    token = os.path.join(scratch, "token")
    wrong = {
        "listen": ["", "127.0.0.1", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:1e3"],
        "gateway": ["", "http://", "http://127.0.0.1", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:1/x"],
        "token-file": ["", "/nonexistent", token],
        "login-token": ["", "/nonexistent", token],
        "trust-proxy": ["", "localhost", "127.0.0.1:1", "[::1]", "127.0.0.1/8", "10.0.0.0/33"],
        "allow-host": ["", "a" * 254, "a:1", "a b", "http://a"],
    }
    with open(token, "w", encoding="ascii") as file:
        file.write("t" * 15)
    os.chmod(token, 0o600)
    wrong.update({name: ["", "/nonexistent/x"] for name in ("tls-ca", "tls-cert", "tls-key")})
    switches = {"actions", "insecure", "trust-loopback", "help", "version"}
    expect_equal(options_of("DASHBOARD") ^ (set(wrong) | switches), set(), "options that a table lacks")
    for name, values in wrong.items():
        for value in values:
            expect_refused("DASHBOARD", name, value)
    with open(token, "w", encoding="ascii") as file:
        file.write("t" * 257)
    expect_refused("DASHBOARD", "token-file", token)
    expect_refused("DASHBOARD", "login-token", token)
    result = ask("DASHBOARD", *["--gateway=http://127.0.0.1:1"] * 17)
    expect_equal(result.returncode, 2, "exit code with 17 of --gateway")
    expect("16 gateways at most" in result.stderr, result.stderr)


if __name__ == "__main__":
    run(every_option_of_the_load_client_is_in_a_table, numbers_are_taken_within_their_limits_and_refused_beyond,
        texts_are_checked, a_report_that_cannot_be_written_is_refused_before_anything_is_touched,
        the_extremes_of_behaviours_and_rates_run, the_dashboard_checks_its_options)
