# SPDX-License-Identifier: MIT
"""A graceful restart loses no client of npm's `eventsource` and `reconnecting-websocket`. tests/npm/install.sh, which
tests/run.sh calls, fetches them; where that wasn't possible, and in CI, this is skipped.
"""
import json
import os
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
from gateway import run, start_process
from restart import run_restart

MODULES = os.path.join(os.environ["BUILD"], "npm", "node_modules")
CLIENTS = [f"{kind} {number}" for kind in ("eventsource", "websocket") for number in range(3)]
said = []


def skip_unless_installed():
    if os.environ.get("CI") != "true" and os.path.isdir(MODULES):
        return
    print("skipped: there are no clients from npm here; tests/npm/install.sh fetches them where there is node")
    sys.exit(77)


def start_clients(gateway):
    os.environ["NODE_PATH"] = MODULES
    node = start_process(["node", os.path.join(here, "..", "npm", "clients.js"), "%s:%d" % gateway.http],
                         stdout=subprocess.PIPE)
    threading.Thread(target=lambda: said.extend(json.loads(line) for line in node.stdout), daemon=True).start()


def has_all(text):
    return all(dict(client=client, what="message", data=text) in list(said) for client in CLIENTS)


def a_graceful_restart_loses_no_client_from_npm():
    run_restart(start_clients, len(CLIENTS), has_all)


skip_unless_installed()
run(a_graceful_restart_loses_no_client_from_npm)
