# SPDX-License-Identifier: MIT
"""npm's `eventsource`, which asks for compressed streams, gets each event at once, long or short."""
import json
import os
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
import npm
from gateway import Gateway, expect, expect_equal, run, start_process, until
from wire import ask

TEXT = json.dumps([dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(200)])
CLIENTS = [f"eventsource {number}" for number in range(3)]
said = []


def each_event_comes_at_once():
    gateway = Gateway("--ping", 600000)
    node = start_process(["node", os.path.join(here, "..", "npm", "clients.js"), gateway.url()], stdout=subprocess.PIPE,
                         env=npm.environment())
    threading.Thread(target=lambda: said.extend(json.loads(line) for line in node.stdout), daemon=True).start()
    for client in CLIENTS:
        until("it is open", lambda: dict(client=client, what="open") in list(said))
    for text in (text + str(i) for i in range(5) for text in ("short ", TEXT)):
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", text.encode()).status, 200, "publishing")
        for client in CLIENTS:
            until("an event", lambda: dict(client=client, what="message", data=text) in list(said))
    counters = ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]
    expect(counters["compressed_messages"] >= 5, "messages that were compressed")
    gateway.stop()


npm.skip_unless_installed()
run(each_event_comes_at_once)
