# SPDX-License-Identifier: MIT
"""A graceful restart loses no client of npm's `eventsource` and `reconnecting-websocket`."""
import json
import os
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
import npm
from gateway import run, start_process
from restart import run_restart

CLIENTS = [f"{kind} {number}" for kind in ("eventsource", "websocket") for number in range(3)]
said = []


def start_clients(gateway):
    node = start_process(["node", os.path.join(here, "..", "npm", "clients.js"), gateway.url()],
                         stdout=subprocess.PIPE, env=npm.environment())
    threading.Thread(target=lambda: said.extend(json.loads(line) for line in node.stdout), daemon=True).start()


def has_all(text):
    return all(dict(client=client, what="message", data=text) in list(said) for client in CLIENTS)


def a_graceful_restart_loses_no_client_from_npm():
    run_restart(start_clients, len(CLIENTS), has_all)


npm.skip_unless_installed()
run(a_graceful_restart_loses_no_client_from_npm)
