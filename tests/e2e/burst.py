# SPDX-License-Identifier: MIT
"""Many WebSocket clients at a steady rate, then a burst as fast as the gateway takes it: each of them has every message,
once and in order.

$CLIENTS (5000; 500 with a sanitizer), $STEADY_S (3) seconds at $RATE (20) messages a second, $BURST (2000) messages of 256
bytes.
"""
import json
import os
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run
from wire import Http

IS_SANITIZED = re.search(rb"lib[at]san", subprocess.check_output(["ldd", os.environ["GATEWAY"]])) is not None
CLIENTS = int(os.environ.get("CLIENTS", 500 if IS_SANITIZED else 5000))
RATE = int(os.environ.get("RATE", 20))
STEADY_S = int(os.environ.get("STEADY_S", 3))
BURST = int(os.environ.get("BURST", 2000))
MESSAGE_BYTES = 256
PATIENCE_MS = 20000
MAX_MESSAGE = "256K"  # the bus has the fewer slots for it: the burst doesn't fit
BULK_LINES = 500
LIMIT_S = 150
DESCRIPTORS_BESIDE = 200  # that a gateway needs, and some to spare


class Meter:
    """What the gateway has used so far."""

    def __init__(self, gateway):
        self.pid = gateway.process.pid
        self.began_s, self.began_cpu_s = time.monotonic(), self.cpu_s()

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def report(self, what, messages, clients):
        took_s, cpu_s = time.monotonic() - self.began_s, self.cpu_s() - self.began_cpu_s
        print(f"{what}: {messages} messages to {clients} clients in {took_s:.2f} s, {messages * clients / took_s:.0f} "
              f"deliveries/s; gateway: {cpu_s:.2f} s of CPU, {self.peak_mb():.0f} MB at most", flush=True)


def message(number):
    return f"{number} ".ljust(MESSAGE_BYTES, "x")


def publish(http, numbers):
    """All of them, in order; what the gateway has no room for is sent again. How often it was busy."""
    busy = 0
    while numbers:
        body = "\n".join(json.dumps(dict(topic="news", data=message(number))) for number in numbers[:BULK_LINES])
        response = http.ask("POST", "/api/v1/publish", body.encode(), ["Content-Type: application/x-ndjson"])
        expect(response.status in (200, 503), response.body)
        busy += response.status == 503
        numbers = numbers[response.json()["published"]:]
        if response.status == 503:
            time.sleep(0.001)  # Retry-After says a second, which is for who has the time
    return busy


def every_client_has_every_message():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(CLIENTS, hard - DESCRIPTORS_BESIDE)
    steady = RATE * STEADY_S
    # whoever makes progress is waited for: that is what makes the burst lossless, and the gateway busy
    gateway = Gateway("--threads", 2, "--patience", PATIENCE_MS, "--slots", 1024, "--max-message", MAX_MESSAGE,
                      "--ping", 0)  # which the receivers don't answer
    receivers = subprocess.Popen([os.environ["WS_RECEIVERS"], str(gateway.http[1]), str(clients), str(steady + BURST),
                                  str(LIMIT_S)], stdout=subprocess.PIPE)
    try:
        expect_equal(receivers.stdout.readline(), b"ready\n", "the receivers")
        http = Http(gateway.http)
        meter = Meter(gateway)
        for number in range(1, steady + 1):
            publish(http, [number])
            time.sleep(max(0, meter.began_s + number / RATE - time.monotonic()))
        meter.report("steady", steady, clients)
        meter = Meter(gateway)
        busy = publish(http, list(range(steady + 1, steady + BURST + 1)))
        said = receivers.stdout.read().decode()
        meter.report(f"burst, {busy} times busy", BURST, clients)
        expect_equal(receivers.wait(), 0, f"exit code of the receivers, which said {said}")
    finally:
        receivers.kill()
    gateway.stop()
    expect("dropped=0 discarded=0 queued=0" in gateway.log(), "something was lost")
    expect("evictions=0" in gateway.log(), "somebody was evicted")


run(every_client_has_every_message)
