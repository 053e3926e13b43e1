# SPDX-License-Identifier: MIT
"""npm's `eventsource`, `ws` and `reconnecting-websocket` over TLS, with the tests' authority in NODE_EXTRA_CA_CERTS; and without
it.
"""
import json
import os
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
import npm
from certificates import Certificates
from gateway import expect_equal, run, start_process, until
from tls import start
from wire import ask

CLIENTS = [f"{kind} {number}" for kind in ("eventsource", "websocket") for number in range(3)]
certificates = Certificates()


def start_clients(gateway, **variables):
    """Returns the list of what they say, which grows."""
    said = []
    node = start_process(["node", os.path.join(here, "..", "npm", "clients.js"), "https://localhost:%d" % gateway.doors["http-tls"][1]],
                         stdout=subprocess.PIPE, env={**npm.environment(), **variables})
    threading.Thread(target=lambda: said.extend(json.loads(line) for line in node.stdout), daemon=True).start()
    return said


def clients_get_messages_and_the_end():
    gateway = start(certificates)
    said = start_clients(gateway, NODE_EXTRA_CA_CERTS=certificates.ca)
    until("all are open", lambda: all(dict(client=client, what="open") in list(said) for client in CLIENTS))
    for text in ("hello", "x" * 50000):
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", text.encode()).status, 200, "publishing")
        until("all have it", lambda: all(dict(client=client, what="message", data=text) in list(said) for client in CLIENTS))
    gateway.terminate()
    until("the WebSockets have their close code", lambda: all(
        dict(client=client, what="close", data=4011) in list(said) for client in CLIENTS if client.startswith("websocket")))
    expect_equal(gateway.wait(), 0, "exit code")


def an_unknown_authority_is_refused():
    gateway = start(certificates)
    said = start_clients(gateway, NODE_EXTRA_CA_CERTS="")
    until("each has an error or a close", lambda: all(
        any(line["client"] == client and line["what"] in ("error", "close") for line in list(said)) for client in CLIENTS))
    expect_equal([line for line in said if line["what"] in ("open", "message")], [], "what is open")
    gateway.stop()


npm.skip_unless_installed()
run(clients_get_messages_and_the_end, an_unknown_authority_is_refused)
