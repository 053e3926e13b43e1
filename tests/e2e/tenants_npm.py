# SPDX-License-Identifier: MIT
"""Two tenants at two gateways, whose programs use npm's `ws` and `eventsource`."""
import json
import os
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
import npm
from gateway import run, start_process
from tenants import Service, run_tenants


class Programs:
    def __init__(self, gateways):
        self.gateways = gateways
        self.all_said = []
        self.node = start_process(["node", os.path.join(here, "..", "npm", "tenants.js")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env=npm.environment())
        threading.Thread(target=lambda: self.all_said.extend(map(json.loads, self.node.stdout)), daemon=True).start()

    def _tell(self, **command):
        self.node.stdin.write(json.dumps(command).encode() + b"\n")
        self.node.stdin.flush()

    def open(self, kind, name, gateway, tenant, topic, token):
        path = {"events": "/sse", "socket": "/ws"}[kind]
        url = "http://%s:%d%s?topic=%s" % (*self.gateways[gateway].http, path, topic)
        self._tell(open=kind, client=name, url=url, token=token)

    def send(self, name, text):
        self._tell(send=text, client=name)

    def said(self, name):
        return [(said["what"], said["data"]) for said in list(self.all_said) if said["client"] == name]


def two_tenants_with_programs():
    service = Service()
    run_tenants(service, Programs(service.gateways))


npm.skip_unless_installed()
run(two_tenants_with_programs)
