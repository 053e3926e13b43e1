# SPDX-License-Identifier: MIT
"""npm's `ws` with and without compression: what it agrees on, gets and sends."""
import hashlib
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

AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TEXT = json.dumps([dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(200)])


class Client:
    def __init__(self, gateway, setting):
        self.said = []
        self.node = start_process(["node", os.path.join(here, "..", "npm", "deflate.js"), gateway.url("/ws", "ws"),
                                   json.dumps(setting)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  env=npm.environment())
        threading.Thread(target=lambda: self.said.extend(json.loads(line) for line in self.node.stdout), daemon=True).start()
        self.extension = until("it is open", lambda: self.said)[0]["extension"]

    def say(self, line):
        self.node.stdin.write(line.encode() + b"\n")
        self.node.stdin.flush()

    def message(self, text):
        """The bytes that have come when the message has."""
        wanted = hashlib.sha256(text.encode()).hexdigest()
        return until("a message", lambda: [row for row in list(self.said) if row.get("hash") == wanted])[0]["wire"]


def it_agrees_and_gets_everything():
    gateway = Gateway()
    for setting, answer in ((True, AGREED), (False, None), ({"threshold": 0}, AGREED),
                            ({"serverMaxWindowBits": 12, "clientMaxWindowBits": 10}, AGREED + "; server_max_window_bits=12"),
                            ({"serverMaxWindowBits": 9}, None),
                            ({"serverNoContextTakeover": True, "clientNoContextTakeover": True, "threshold": 0}, AGREED)):
        client = Client(gateway, setting)
        expect_equal(client.extension, answer, setting)
        client.say("PING")
        before = client.message("+PONG")
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", TEXT.encode()).status, 200, "publishing")
        taken = client.message(TEXT) - before
        expect_equal(taken < len(TEXT) / 2, answer is not None, f"{taken} bytes for {len(TEXT)}: {setting}")
        for sent in (TEXT + str(setting), "short" + str(setting)):
            client.say("PUB news " + sent)
            client.message(sent)
        expect(not any("error" in row or "close" in row for row in client.said), client.said[-1])
    gateway.stop()


npm.skip_unless_installed()
run(it_agrees_and_gets_everything)
