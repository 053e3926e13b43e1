# SPDX-License-Identifier: MIT
"""A gateway that asks a backend in Python who its clients are: browsers with a cookie, curl with a token, lines; many of
them at once; and a backend that is slow, gone, back, or speaks TLS with a certificate that nobody has signed."""
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import gateway as support
from gateway import Gateway, expect, expect_equal, run, skip, until
from wire import Http, Lines, Sse, WebSocket, ask

try:
    import asyncio
    import websockets
except ImportError:
    skip("there is no python3-websockets")


class Backend:
    """Knows a client "NAME" by the cookie "session=NAME" or the token "token-of-NAME"; eve is refused. Holds its answers back
    while .gate is clear."""

    def __init__(self, port=0, max_age=None, context=None):
        backend, self.questions, self.gate, self.max_age = self, [], threading.Event(), max_age
        self.connections = []
        self.lock = threading.Lock()
        self.gate.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                backend.connections.append(self.connection)

            def do_GET(self):
                with backend.lock:
                    backend.questions.append(self.headers)
                backend.gate.wait()
                shown = f"{self.headers['Authorization']} {self.headers['Cookie']}"
                name = re.search(r"(?:Bearer token-of-|session=)(\w+)", shown)
                is_known = name is not None and name[1] != "eve"
                rights = {"sub": name[1], "subscribe": ["user.${sub}.>"], "publish": ["chat"]} if is_known else {}
                body = json.dumps(rights).encode()
                self.send_response(200 if is_known else 403)
                self.send_header("Content-Length", str(len(body)))
                if backend.max_age is not None:
                    self.send_header("Cache-Control", f"private, max-age={backend.max_age}")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        http.server.ThreadingHTTPServer.request_queue_size = 1024
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}/who"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:  # those that stay for the next question
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone


def of(name, gateway):
    return [f"Cookie: theme=dark; session={name}", f"Origin: {gateway.url()}"]


def authorizer(gateway):
    """The gateway's figures, by an administrator that its file knows."""
    return ask(gateway.http, "GET", "/api/v1/stats", b"", [f"Authorization: Bearer {ROOT}"]).json()["authorizer"]


ROOT = "root-root-root-root"
_tokens = tempfile.mkstemp(dir=support.scratch)[1]
with open(_tokens, "w") as _file:
    _file.write(f"admin {ROOT}\n")


def start(backend, *arguments):
    return Gateway("--authorize", backend.url, "--tokens", _tokens, *arguments)


def a_browser_is_known_by_its_cookie():
    backend = Backend()
    gateway = start(backend)
    events = Sse(gateway.http, "/sse?topic=user.alice.mail", of("alice", gateway))
    expect_equal(events.status, 200, "alice's topic")
    expect_equal(backend.questions[0]["Cookie"], "theme=dark; session=alice", "the cookies")
    expect_equal(backend.questions[0]["Origin"], gateway.url(), "the page")
    expect_equal(backend.questions[0]["X-Forwarded-For"], "127.0.0.1", "the address")
    expect_equal(Sse(gateway.http, "/sse?topic=user.bob.mail", of("alice", gateway)).status, 403, "bob's topic")
    expect_equal(Sse(gateway.http, "/sse?topic=user.eve.mail", of("eve", gateway)).status, 401, "eve")
    expect_equal(Sse(gateway.http, "/sse?topic=user.alice.mail").status, 401, "without a cookie")
    foreign = Sse(gateway.http, "/sse?topic=user.alice.mail", ["Cookie: session=alice", "Origin: https://evil.example"])
    expect_equal(foreign.status, 403, "a foreign page")
    expect_equal(len(backend.questions), 3, "questions")
    gateway.stop()
    backend.stop()


def a_websocket_of_another_library_is_known_by_its_cookie():
    backend = Backend()
    gateway = start(backend)

    async def talk():
        url = gateway.url("/ws?topic=user.alice.mail", "ws")
        headers = {"Cookie": "session=alice"}
        async with websockets.connect(url, origin=gateway.url(), extra_headers=headers) as client:
            await client.send("PUB chat hello")
            while not (answer := await client.recv()).startswith("+OK PUB"):
                expect(answer.startswith('{"at"'), answer)
            await client.send("SUB user.bob.mail")
            expect_equal(await client.recv(), "-ERR this token may not subscribe to 'user.bob.mail'", "bob's topic")

    asyncio.run(asyncio.wait_for(talk(), support.DEADLINE_S))
    gateway.stop()
    backend.stop()


def curl_and_lines_are_known_by_their_token():
    backend = Backend()
    gateway = start(backend)
    url = gateway.url("/api/v1/publish?topic=")
    for topic, token, wanted in (("chat", "token-of-alice", "200"), ("news", "token-of-alice", "403"),
                                 ("chat", "token-of-eve", "401"), ("chat", "unknown", "401")):
        for more in ([], ["-H", "Expect: 100-continue"]):
            status = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", "hello", "-H",
                                     f"Authorization: Bearer {token}", *more, url + topic], capture_output=True, text=True)
            expect_equal(status.stdout, wanted, f"{token} on {topic}")
    lines = Lines(gateway.lines)
    expect_equal(lines.ask("AUTH unknown"), "-ERR unknown token", "another token")
    expect_equal(lines.ask("AUTH token-of-alice"), "+OK AUTH subscribe publish", "the token")
    expect_equal(lines.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "alice's topic")
    gateway.stop()
    backend.stop()


def many_clients_at_once_are_each_what_they_are():
    backend = Backend(max_age=60)
    gateway = start(backend, "--threads", 4, "--authorize-at-once", 8)
    clients = [Http(gateway.http) for _ in range(300)]
    for i, client in enumerate(clients):  # three of each name, one of whom wants the topic of another one
        name, other = f"u{i // 3}", f"u{i // 3 + i % 3 // 2}"
        client.send_request("GET", f"/sse?topic=user.{other}.x", headers=of(name, gateway))
    for i, client in enumerate(clients):
        expect_equal(client.head()[0], 403 if i % 3 == 2 else 200, f"client {i}")
    expect_equal(len(backend.questions), 100, "questions: one for each name")
    figures = authorizer(gateway)
    expect_equal((figures["questions"], figures["cached"] + figures["joined"]), (100, 200), "figures")
    text = ask(gateway.http, "GET", "/metrics", b"", [f"Authorization: Bearer {ROOT}"]).body.decode()
    expect("\nfluxbp_gateway_authorize_questions_total 100\n" in text, "the metric")
    gateway.stop()
    backend.stop()


def others_are_served_while_the_backend_is_silent():
    backend = Backend()
    gateway = start(backend, "--public", "news", "--authorize-timeout", 60000)
    backend.gate.clear()
    waiting = Http(gateway.http)
    waiting.send_request("GET", "/sse?topic=user.alice.x", headers=of("alice", gateway))
    until("the question is there", lambda: backend.questions)
    lines = Lines(gateway.lines)
    expect_equal(lines.ask("SUB news"), "+OK SUB news", "a public topic")
    expect_equal(authorizer(gateway)["under_way"], 1, "under way")
    expect_equal(waiting.received, b"", "the client that waits")
    backend.gate.set()
    expect_equal(waiting.head()[0], 200, "the client that has waited")
    gateway.stop()
    backend.stop()


def clients_come_back_when_the_backend_does():
    backend = Backend()
    port = backend.port
    gateway = start(backend, "--authorize-timeout", 5000)
    stays = WebSocket(gateway.http, "/ws?topic=user.alice.x", of("alice", gateway))
    expect_equal(stays.ask_command("PING"), "+PONG", "alice")
    backend.stop()
    for _ in range(6):
        answer = ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", ["Authorization: Bearer token-of-bob"])
        expect_equal((answer.status, answer.headers["retry-after"]), (503, "1"), "publishing")
    gateway.wait_for_log("event=authorize_away ")
    events = Sse(gateway.http, "/sse?topic=user.bob.x", of("bob", gateway))
    expect_equal((events.status, events.any_event().name), (200, "closing"), "a stream, which ends")
    expect_equal(WebSocket(gateway.http, "/ws", of("bob", gateway)).close_code()[0], 1013, "a WebSocket")
    expect_equal(stays.ask_command("PUB chat x")[:8], "+OK PUB ", "who is there stays, with its rights")
    backend = Backend(port)
    until("bob is let in", lambda: Sse(gateway.http, "/sse?topic=user.bob.x", of("bob", gateway)).any_event().name == "position")
    gateway.wait_for_log("event=authorize_back ")
    gateway.stop()
    backend.stop()


def a_certificate_that_nobody_has_signed_is_no_backend():
    folder = tempfile.mkdtemp(dir=support.scratch)
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    backend = Backend(context=context)
    gateway = start(backend)
    answer = ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", ["Authorization: Bearer token-of-alice"])
    expect_equal(answer.status, 503, "publishing")
    gateway.wait_for_log("event=authorize_failed .*certificate")
    expect_equal(backend.questions, [], "questions")
    gateway.stop()
    backend.stop()


def wrong_options_are_refused():
    for arguments in (["--authorize", "ftp://127.0.0.1/"], ["--authorize", "127.0.0.1:80"], ["--authorize", "http://"], ["--authorize", "http://user:word@127.0.0.1/"],
                      ["--authorize-when-away", "open"], ["--authorize-at-once", "0"]):
        done = subprocess.run([os.environ["GATEWAY"], *arguments, "--check-config"], capture_output=True, text=True)
        expect_equal(done.returncode, 2, f"exit code of {arguments}")
        expect(arguments[0] in done.stderr, done.stderr)


run(a_browser_is_known_by_its_cookie,
    a_websocket_of_another_library_is_known_by_its_cookie,
    curl_and_lines_are_known_by_their_token,
    many_clients_at_once_are_each_what_they_are,
    others_are_served_while_the_backend_is_silent,
    clients_come_back_when_the_backend_does,
    a_certificate_that_nobody_has_signed_is_no_backend,
    wrong_options_are_refused)
