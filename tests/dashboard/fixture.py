# SPDX-License-Identifier: MIT
"""What the dashboard's tests share: the server with played gateways, and waiting without sleeping for luck."""
import http.client
import json
import os
import subprocess
import tempfile
import time

from fake_gateway import FakeGateway
from webdriver import die_with_parent

TOKEN = "a-token-that-only-the-server-knows"


def wait(what, condition, seconds=60):  # only a test that fails takes so long
    """Until condition() is true; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.03)


class Dashboard:
    """The server as a process of its own, whose browsers may act unless the test says otherwise. Use it in a with statement."""

    def __init__(self, gateways, *options, trusts_loopback=True, has_token=True, login_token=None):
        self.folder = tempfile.TemporaryDirectory(prefix="fluxbp-dashboard-")
        self.log_path = os.path.join(self.folder.name, "log")
        arguments = [os.environ["DASHBOARD"], "--listen", "127.0.0.1:0",
                     *(["--token-file", self.write_secret("token", TOKEN)] if has_token else []),
                     *(["--login-token", self.write_secret("login", login_token)] if login_token else []),
                     *(["--trust-loopback"] if trusts_loopback else []), *options]
        for gateway in gateways:
            arguments += ["--gateway", f"http://127.0.0.1:{gateway.port}"]
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True,
                                            preexec_fn=die_with_parent)
        ready = self.process.stdout.readline().split()
        if ready[:1] != ["ready"]:
            raise AssertionError(f"the dashboard did not start: {self.log()}")
        self.url = ready[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def write_secret(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", opener=lambda path, flags: os.open(path, flags, 0o600), encoding="ascii") as file:
            file.write(text + "\n")
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """By SIGTERM. Its exit code has to be 0, also with sanitizers, which look for leaks at the end."""
        if self.process is None:
            return
        self.process.terminate()
        status = self.process.wait(60)
        self.process.stdout.close()
        self.process = None
        log = self.log()
        self.folder.cleanup()
        if status != 0:
            raise AssertionError(f"the dashboard exited with {status}: {log}")

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def ask(self, method, path, body=None, **headers):
        """One request: (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        result = response.status, response.headers, response.read()
        connection.close()
        return result

    def post(self, path, value, **headers):
        status, _, body = self.ask("POST", path, json.dumps(value), Content_Type="application/json", **headers)
        return status, json.loads(body)


class Events:
    """A browser's stream of events, read as far as is asked for."""

    def __init__(self, dashboard, gateway=0, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=60)
        self.connection.request("GET", f"/sse?topic=gateway-{gateway}", headers=headers)
        self.response = self.connection.getresponse()

    def close(self):
        self.connection.close()

    def next(self, name=None):
        """The next event, of that name if one is given: (name, session, data)."""
        while True:
            fields = {}
            while True:
                line = self.response.readline().decode().rstrip("\n")
                if not line:
                    break
                key, _, value = line.partition(": ")
                fields[key] = value
            if "data" in fields and "event" not in fields:
                message = json.loads(fields["data"])
                if name in (None, message["event"]):
                    return message["event"], message["session"], message["data"]
            if not fields and self.response.isclosed():
                raise AssertionError("the stream ended")


    def read_to_end(self):
        """The rest of the stream, which the server has to end."""
        return self.response.read().decode()


def played_gateway(clients=0):
    gateway = FakeGateway(token=TOKEN)
    if clients:
        gateway.world.add(clients)
    gateway.come()
    return gateway
