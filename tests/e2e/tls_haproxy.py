# SPDX-License-Identifier: MIT
"""HAProxy in front of a door for TLS: it speaks TLS to the gateway and checks its certificate, or passes on the TLS of its clients.
Either way it says who they are by PROXY protocol v2.
"""
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from certificates import Certificates
from gateway import expect, expect_equal, run, skip, start_process, until
from tls import client_context, start
from wire import Http, Lines, OverTls, Sse, WebSocket, ask

CONFIGURATION = """
global
  log stderr format raw local0 warning
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout check 5s
  retries 0
frontend http
  mode http
  bind fd@{http}
  default_backend http
backend http
  mode http
  server gateway 127.0.0.1:{http_tls} ssl verify required ca-file {ca} verifyhost localhost sni str(localhost) alpn http/1.1 crt {client} send-proxy-v2 check inter 100ms
frontend wrong
  mode http
  bind fd@{wrong}
  default_backend wrong
backend wrong
  mode http
  server gateway 127.0.0.1:{http_tls} ssl verify required ca-file {other_ca} sni str(localhost) crt {client} send-proxy-v2
frontend passed
  mode tcp
  bind fd@{passed}
  default_backend passed
backend passed
  mode tcp
  server gateway 127.0.0.1:{tcp_tls} send-proxy-v2 check inter 100ms
frontend passed_http
  mode tcp
  bind fd@{passed_http}
  default_backend passed_http
backend passed_http
  mode tcp
  server gateway 127.0.0.1:{http_tls} send-proxy-v2
"""
FRONTENDS = ("http", "wrong", "passed", "passed_http")
certificates = Certificates()


def start_haproxy(gateway):
    """Returns its addresses. It is given sockets that listen already."""
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in FRONTENDS}
    with open(certificates.client, "rb") as certificate, open(certificates.client_key, "rb") as key:
        client = certificates.write("client_and_key.pem", certificate.read() + key.read())
    text = CONFIGURATION.format(ca=certificates.ca, other_ca=Certificates().ca, client=client,
                                http_tls=gateway.doors["http-tls"][1], tcp_tls=gateway.doors["tcp-tls"][1],
                                **{name: listener.fileno() for name, listener in listeners.items()})
    path = certificates.write("haproxy.cfg", text.encode())
    with open(certificates.path("haproxy.log"), "wb") as log:
        start_process(["haproxy", "-db", "-f", path], pass_fds=[listener.fileno() for listener in listeners.values()],
                      stdout=log, stderr=log)
    return {name: listener.getsockname() for name, listener in listeners.items()}


def clients_come_through_haproxy():
    tokens = certificates.write("tokens", b"subscribe cert:alice\npublish cert:alice\n")
    gateway = start(certificates, "--proxy-from", "127.0.0.1", "--tls-client-ca", certificates.ca, "--tls-clients", "optional",
                    "--tokens", tokens, "--log-level", "debug", trusts_loopback=False)
    at = start_haproxy(gateway)

    # It speaks TLS, and shows its own certificate.
    until("it serves", lambda: ask(at["http"], "GET", "/livez").status == 200)
    sse, websocket = Sse(at["http"], "/sse"), WebSocket(at["http"])
    expect_equal(websocket.ask_command("PING"), "+PONG", "WebSocket")
    http = Http(at["http"])
    for text in ("hello", "x" * 60000):
        expect_equal(http.ask("POST", "/api/v1/publish?topic=news", text.encode()).status, 200, "publishing")
        expect_equal((sse.event().data, websocket.text()), (text, text), "what arrives")
    mine = "%s:%d" % websocket.socket.getsockname()
    expect(f"peer={mine} protocol=websocket" in gateway.log(), f"the gateway has not seen {mine}")

    # It checks the gateway's certificate.
    expect_equal(ask(at["wrong"], "GET", "/livez").status, 503, "an authority that HAProxy doesn't know")
    gateway.wait_for_log("event=tls_failed .*unknown ca")

    # It passes on what its clients say.
    context = client_context(certificates, client=(certificates.client, certificates.client_key))
    lines = Lines(OverTls(at["passed"], context))
    expect_equal(lines.ask("PING"), "+PONG", "lines")
    mine = "%s:%d" % lines.socket.getsockname()
    expect(f"peer={mine} protocol=lines" in gateway.log(), f"the gateway has not seen {mine}")
    passed = WebSocket(OverTls(at["passed_http"], context))
    expect_equal(http.ask("POST", "/api/v1/publish?topic=news", b"to all").status, 200, "publishing")
    expect_equal((lines.line(), passed.text(), sse.event().data), ("to all",) * 3, "what arrives")
    without = Lines(OverTls(at["passed"], client_context(certificates)))
    expect(without.ask("SUB news").startswith("-ERR"), "a client without a certificate")
    expect_equal(len(re.findall("event=(tls_failed|proxy_refused)", gateway.log())), 1, f"failures: {gateway.log()}")

    gateway.terminate()
    expect_equal(websocket.close_code()[0], 4011, "WebSocket")
    expect_equal(passed.close_code()[0], 4011, "WebSocket, passed on")
    expect_equal(sse.event().name, "closing", "SSE")
    lines.expect_closed("lines")
    expect_equal(gateway.wait(), 0, "exit code")


if not shutil.which("haproxy"):
    skip("there is no haproxy")
run(clients_come_through_haproxy)
