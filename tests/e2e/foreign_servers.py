# SPDX-License-Identifier: MIT
"""The client library with servers that aren't ours: npm's `ws` and node's http, and Python's `websockets`, each also with TLS.
Servers that aren't installed are left out, and so is npm in CI; without any of them this is skipped.
"""
import asyncio
import os
import queue
import ssl
import subprocess
import sys
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
import npm
from certificates import Certificates
from gateway import expect, run, start_process

try:
    import websockets
except ImportError:
    websockets = None


certificates = Certificates()


def lines_of(process):
    """Its standard output, as a queue."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    return lines


class Client:
    def __init__(self, *arguments):
        self.process = start_process([os.environ["FOREIGN_CLIENT"], *arguments], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, env={**os.environ, "CA": certificates.ca})
        self.lines = lines_of(self.process)

    def send(self, *messages):
        self.process.stdin.write("".join(message + "\n" for message in messages))
        self.process.stdin.flush()

    def expect(self, *expected):
        for line in expected:
            said = self.lines.get(timeout=20)
            expect(said == line, f"the client said '{said}' instead of '{line}'")

    def expect_end(self):
        expect(self.process.wait(20) == 0, "the client failed")


def expect_echoes(url, first_close):
    """What every WebSocket server of this test does."""
    client = Client(url, "chat.v2, chat.v1", "first")
    client.expect("open ", "message first")
    client.send("hello", "\1binary", "", "large", "fragments")
    client.expect("message hello", "binary \1binary", "message ", "message 300000 bytes", "message in fragments")
    client.process.stdin.close()
    client.expect("close 0")
    client.expect_end()
    leaver = Client(url, "chat.v1")
    leaver.expect("open ")
    leaver.send("leave")
    leaver.expect(first_close, "close -4095")
    leaver.expect_end()


def expect_npm(mark, *arguments):
    """`mark`: "s" with TLS, "" without."""
    server = start_process(["node", os.path.join(here, "..", "npm", "server.js"), *arguments], stdout=subprocess.PIPE,
                           text=True, env=npm.environment())
    said = lines_of(server)
    port = said.get(timeout=20)
    expect_echoes(f"ws{mark}://127.0.0.1:{port}/echo", "disconnect 1000 the server closed the WebSocket: as you like")
    told = [said.get(timeout=20) for _ in range(4)]
    expect("pong are you there" in told, f"no pong in {told}")
    expect("close 4321 enough" in told, f"no close code in {told}")

    events = Client(f"http{mark}://127.0.0.1:{port}/events")
    for number in (1, 2, 3):  # it comes back by Last-Event-ID
        events.expect("open " + (str(number - 1) if number > 1 else ""), f"message {number}", "of node")
        events.expect("disconnect 0 the server ended the stream")
    events.process.kill()

    for url, problem in ((f"ws{mark}://127.0.0.1:{port}/none", "the server refuses with status 400"),
                         (f"http{mark}://127.0.0.1:{port}/moved",
                          "the server redirects to /events, which is not followed")):
        refused = Client(url)
        refused.expect("disconnect 0 " + problem)


def npm_servers_are_understood():
    expect_npm("")


def npm_servers_are_understood_with_tls():
    expect_npm("s", certificates.server, certificates.server_key)


async def echo(socket):
    async for message in socket:
        if message == "leave":
            await socket.close(1000, "as you like")
        elif message == "large":
            await socket.send("x" * 300000)
        elif message == "fragments":
            await socket.send(["in ", "frag", "ments"])
        else:
            await socket.send(message)


def expect_python(scheme, context):
    ports = queue.Queue()

    async def serve():
        async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["chat.v1"], compression=None,
                                    ssl=context) as server:
            ports.put(server.sockets[0].getsockname()[1])
            await asyncio.Future()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    expect_echoes(f"{scheme}://127.0.0.1:{ports.get(timeout=20)}/",
                  "disconnect 1000 the server closed the WebSocket: as you like")


def python_servers_are_understood():
    expect_python("ws", None)


def python_servers_are_understood_with_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    expect_python("wss", context)


servers = []
if npm.is_installed():
    servers += [npm_servers_are_understood, npm_servers_are_understood_with_tls]
if websockets is not None:
    servers += [python_servers_are_understood, python_servers_are_understood_with_tls]
if not servers:
    print("skipped: there are neither npm's ws nor Python's websockets")
    sys.exit(77)
run(*servers)
