# SPDX-License-Identifier: MIT
"""TLS as clients of others speak it: curl, `openssl s_client`, Python's ssl and websockets; the certificate for a name; what a
client is told that speaks TLS at a plain door, or anything else at a door for TLS; slow clients, and the end.
"""
import asyncio
import json
import os
import re
import shutil
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import gateway as support
from certificates import Certificates
from gateway import expect, expect_equal, fail, run, skip, until
from tls import TLS_DOORS, Hand, client_context, client_hello, over, rest_of, start
from wire import STALLED_RCVBUF, Behind, Frames, Http, Lines, OverTls, Sse, WebSocket, ask, handshake

try:
    import websockets
except ImportError:
    websockets = None

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
certificates = Certificates()


def metric(gateway, name):
    text = ask(gateway.http, "GET", "/metrics").body.decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


# ---- curl ----

def curl(gateway, path, *arguments, door="http-tls"):
    return ["curl", "-sS", "--max-time", str(support.DEADLINE_S), "--cacert", certificates.ca, *arguments,
            f"https://localhost:{gateway.doors[door][1]}{path}"]


def curl_reads_publishes_and_follows_events():
    gateway = start(certificates)
    for version in ("1.2", "1.3"):
        flags = ("--tls-max", version, f"--tlsv{version}")
        done = subprocess.run(curl(gateway, "/livez", "-v", *flags), capture_output=True, text=True, check=True)
        expect_equal(done.stdout, "ok\n", "livez")
        expect(f"SSL connection using TLSv{version}" in done.stderr, f"the version: {done.stderr}")
        expect("server accepted http/1.1" in done.stderr, f"curl offers h2, too: {done.stderr}")
        expect("SSL certificate verify ok" in done.stderr, done.stderr)
        reader = support.start_process(curl(gateway, "/sse", "-N", *flags), stdout=subprocess.PIPE)
        until("curl is subscribed", lambda: protocols(gateway)["sse"] == 1)
        status = subprocess.run(curl(gateway, "/api/v1/publish?topic=news", *flags, "-d", "over TLS", "-w", "%{http_code}"),
                                capture_output=True, text=True, check=True).stdout
        expect(status.endswith("200"), f"publishing: {status}")
        while reader.stdout.readline() != b"data: over TLS\n":
            pass
        reader.kill()
        until("the gateway has seen it go", lambda: protocols(gateway)["sse"] == 0)
        large = subprocess.run(curl(gateway, "/api/v1/publish?topic=news", *flags, "--data-binary", "@-", "-H", "Expect:"),
                               input=b"x" * 60000, capture_output=True, check=True)
        expect("id" in json.loads(large.stdout), f"a body of several records: {large.stdout}")
    refused = subprocess.run(curl(gateway, "/livez", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"),
                             capture_output=True, text=True)
    expect_equal(refused.returncode, 35, f"TLS 1.1: {refused.stderr}")
    gateway.stop()


def protocols(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["protocols"]


# ---- openssl s_client ----

def s_client(gateway, *arguments, said=b"", door="tcp-tls"):
    command = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % gateway.doors[door][1], "-servername", "localhost",
               "-CAfile", certificates.ca, "-verify_return_error", *arguments]
    return subprocess.run(command, input=said, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=support.DEADLINE_S)


def s_client_speaks_lines():
    gateway = start(certificates)
    for version in ("-tls1_2", "-tls1_3"):
        done = s_client(gateway, version, "-quiet", said=b"PING\nPUB news by s_client\nQUIT\n")
        expect_equal(done.returncode, 0, f"{version}: {done.stdout}")
        for line in (b"+PONG\n", b"+OK PUB ", b"+OK QUIT\n"):
            expect(line in done.stdout, f"{version}: no {line} in {done.stdout}")
    gateway.stop()


def sessions_are_resumed():
    gateway = start(certificates)
    session = certificates.path("session")
    quit = ("-ign_eof", "-nocommands")
    for version, count in (("-tls1_2", 1), ("-tls1_3", 2)):
        done = s_client(gateway, version, *quit, "-sess_out", session, said=b"QUIT\n")
        expect(b"New, TLSv1" in done.stdout, f"{version}: {done.stdout}")
        done = s_client(gateway, version, *quit, "-sess_in", session, said=b"PING\nQUIT\n")
        expect(b"Reused, TLSv1" in done.stdout and b"+PONG" in done.stdout, f"{version}: {done.stdout}")
        expect_equal(metric(gateway, "fluxbp_gateway_tls_resumed_total"), count, "resumed")
    done = s_client(gateway, "-tls1_2", "-reconnect", said=b"")
    expect_equal((done.stdout.count(b"New, TLSv1.2"), done.stdout.count(b"Reused, TLSv1.2")), (1, 5), "-reconnect")
    gateway.stop()


def what_s_client_may_not_do():
    gateway = start(certificates)
    weak = ("-cipher", "DEFAULT@SECLEVEL=0")
    for arguments, problem in ((["-alpn", "h2"], b"no application protocol"),
                               (["-alpn", "http/1.0,h2c"], b"no application protocol"),
                               (["-tls1_1", *weak], b"protocol version"),
                               (["-tls1", *weak], b"protocol version"),
                               (["-tls1_2", "-cipher", "AES128-SHA"], b"handshake failure"),
                               (["-tls1_2", "-cipher", "NULL@SECLEVEL=0"], b"handshake failure")):
        for door in ("tcp-tls", "http-tls"):
            done = s_client(gateway, *arguments, door=door)
            expect(done.returncode != 0 and problem in done.stdout, f"{arguments}: {done.stdout}")
    failed = metric(gateway, "fluxbp_gateway_tls_failed_total")
    expect_equal(len(re.findall("event=tls_failed", gateway.log())), failed, "each failure is logged")
    for reason in ("no application protocol", "unsupported protocol", "no shared cipher"):
        expect(f'reason="{reason}"' in gateway.log(), f"{reason} is not in the log")
    done = s_client(gateway, "-alpn", "h2,http/1.1", door="http-tls")
    expect(b"ALPN protocol: http/1.1" in done.stdout, f"{done.stdout}")
    gateway.stop()


def renegotiation_is_refused_and_new_keys_are_not():
    gateway = start(certificates)
    done = s_client(gateway, "-tls1_2", said=b"R\n")
    expect(b"RENEGOTIATING" in done.stdout and b"no renegotiation" in done.stdout, f"R: {done.stdout}")
    for command in (b"K", b"k"):  # with a request for new keys of the server's, and without one
        client = support.start_process(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % gateway.doors["tcp-tls"][1], "-tls1_3", "-brief"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for number in range(3):
            client.stdin.write(command + b"\n")
            client.stdin.flush()
            while b"KEYUPDATE" not in (line := client.stdout.readline()):
                expect(line, f"{command}: s_client has ended")
            client.stdin.write(b"PING\n")
            client.stdin.flush()
            while client.stdout.readline() != b"+PONG\n":
                expect(client.poll() is None, f"{command}: s_client has ended")
        client.kill()
    expect_equal(Lines(over(gateway.doors["tcp-tls"], certificates)).ask("PING"), "+PONG", "afterwards")
    gateway.stop()


# ---- Python ----

def python_speaks_every_protocol():
    gateway = start(certificates)
    for version in VERSIONS:
        at = {door: over(gateway.doors[door], certificates, version=version) for door in TLS_DOORS}
        lines, frames = Lines(at["tcp-tls"]), Frames(at["tcp-length-tls"])
        sse, websocket = Sse(at["http-tls"], "/sse"), WebSocket(at["http-tls"])
        expect_equal(lines.socket.version(), version.name.replace("v1_", "v1."), "the version")
        for client in (lines, frames):
            expect_equal(client.ask("PING"), "+PONG", "PING")
        expect_equal(websocket.ask_command("PING"), "+PONG", "PING")
        http = Http(at["http-tls"])
        for text in ("first", "x" * 60000, "last"):
            answer = http.ask("POST", "/api/v1/publish?topic=news", text.encode())
            expect_equal(answer.status, 200, "publishing")
            expect_equal([lines.line(), frames.line(), sse.event().data, websocket.text()], [text] * 4, "the messages")
        expect_equal(lines.ask("QUIT"), "+OK QUIT", "QUIT")
        lines.expect_closed("lines")
        lines = Lines(at["tcp-tls"])
        lines.send(b"PI")  # a command in several records
        lines.send(b"NG\nPING\nPIN")
        lines.send(b"G\n")
        expect_equal([lines.answer() for _ in range(3)], ["+PONG"] * 3, "commands in pieces")
    expect(metric(gateway, "fluxbp_gateway_tls_handshakes_total") >= 2 * 6, "handshakes are counted")
    gateway.stop()


def websockets_of_python():
    if websockets is None:
        print("not tried: there is no python3-websockets")
        return
    gateway = start(certificates)

    async def talk(context):
        url = "wss://localhost:%d/ws" % gateway.doors["http-tls"][1]
        async with websockets.connect(url, ssl=context, origin=url.replace("wss:", "https:").removesuffix("/ws")) as client:
            await client.send("PING")
            expect_equal(await client.recv(), "+PONG", "PING")
            text = "by websockets " * 4000
            await client.send(f"PUB news {text}")
            got = {await client.recv(), await client.recv()}
            expect(text in got, "its own message")

    for version in VERSIONS:
        asyncio.run(asyncio.wait_for(talk(client_context(certificates, version=version)), support.DEADLINE_S))
    gateway.stop()


# ---- names ----

def names_of(connection):
    return sorted(name for _, name in connection.getpeercert()["subjectAltName"])


def the_certificate_is_that_of_the_name():
    one = certificates.issue("one", names=("one.example", "*.one.example"))
    two = certificates.issue("two", names=("two.example", "deep.one.example"))
    gateway = start(certificates, "--tls-cert", one[0], "--tls-key", one[1], "--tls-cert", two[0], "--tls-key", two[1])
    default = ["127.0.0.1", "0:0:0:0:0:0:0:1", "localhost"]
    for version in VERSIONS:
        context = client_context(certificates, version=version)
        for name, wanted in (("localhost", default), ("127.0.0.1", default), ("one.example", ["*.one.example", "one.example"]),
                             ("ONE.example", ["*.one.example", "one.example"]),
                             ("any.one.example", ["*.one.example", "one.example"]),
                             ("two.example", ["deep.one.example", "two.example"]),
                             ("deep.one.example", ["deep.one.example", "two.example"])):
            client = Lines(OverTls(gateway.doors["tcp-tls"], context, name))
            expect_equal(names_of(client.socket), sorted(wanted), f"the certificate for {name}")
            expect_equal(client.ask("PING"), "+PONG", name)
        for name in ("wrong.example", "a.b.one.example", "two.example.", "example"):
            try:
                Lines(OverTls(gateway.doors["tcp-tls"], context, name))
                fail(f"{name} was verified")
            except ssl.SSLCertVerificationError as error:
                expect("match" in error.verify_message, f"{name}: {error}")
        anybody = ssl._create_unverified_context()
        client = Lines(OverTls(gateway.doors["tcp-tls"], anybody, "wrong.example"))
        expect_equal(client.ask("PING"), "+PONG", "a client that doesn't mind")
    gateway.wait_for_log("event=tls_failed .*certificate")
    gateway.stop()


# ---- the wrong door ----

def who_speaks_no_TLS_is_told_so():
    gateway = start(certificates)
    text = b"this address speaks TLS"
    address = "%s:%d" % gateway.doors["http-tls"]
    for arguments in ([], ["-d", "x" * 1000], ["--data-binary", "@-"]):
        done = subprocess.run(["curl", "-sS", "-i", *arguments, f"http://{address}/api/v1/publish?topic=news"],
                              input=b"x" * 1000000, capture_output=True)
        expect_equal(done.returncode, 0, f"curl {arguments}: {done.stderr}")
        expect(done.stdout.startswith(b"HTTP/1.1 400 Bad Request\r\n") and done.stdout.endswith(b": use https:// or wss://\n"),
               f"curl {arguments}: {done.stdout}")
    websocket = WebSocket(gateway.doors["http-tls"])
    expect_equal(websocket.status, 400, "WebSocket")
    for door, said, wanted in (("tcp-tls", b"PING\n", b"-ERR " + text + b"\n"), ("tcp-tls", b"P", b"-ERR " + text + b"\n"),
                               ("tcp-length-tls", b"\0\0\0\4PING", b"\0\0\0\x1c-ERR " + text),
                               ("tcp-length-tls", b"\0", b"\0\0\0\x1c-ERR " + text)):
        for ends in (True, False):
            expect_equal(rest_of(gateway.doors[door], said, ends), wanted, f"{said} at {door}")
    expect_equal(gateway.log().count("the client does not speak TLS"), 4 + 8, "lines of the log")
    gateway.stop()


def who_speaks_TLS_at_a_plain_door_is_closed():
    gateway = start(certificates)
    for number, door in enumerate(("tcp", "http", "tcp-length"), 1):
        hello = client_hello(client_context(certificates))
        expect_equal(rest_of(gateway.doors[door], hello, ends=False), b"", f"a ClientHello at {door}")
        until("it is logged", lambda: gateway.log().count("event=tls_to_plain") == number)
    done = subprocess.run(curl(gateway, "/livez", door="http"), capture_output=True, text=True)
    expect_equal(done.returncode, 35, f"curl: {done.stderr}")
    expect_equal(gateway.log().count("event=tls_to_plain"), 4, "lines of the log")
    expect_equal(Lines(gateway.lines).ask("PING"), "+PONG", "another client")
    gateway.stop()


def a_page_over_http_is_another_origin():
    gateway = start(certificates)
    address = over(gateway.doors["http-tls"], certificates)
    for scheme, wanted in (("https", 200), ("http", 403)):
        origin = "%s://127.0.0.1:%d" % (scheme, address[1])
        expect_equal(ask(address, "GET", "/livez", headers=[f"Origin: {origin}"]).status, wanted, origin)
    gateway.stop()


# ---- slow clients, and the end ----

def publish_to(http, healthy, number):
    text = f"{number} " + "x" * 4000
    expect_equal(http.ask("POST", "/api/v1/publish?topic=news", text.encode()).status, 200, "publishing")
    lines, websocket, sse = healthy
    expect_equal([lines.line(), websocket.text(), sse.event().data], [text] * 3, "the healthy ones")


def clients_of_each_protocol(gateway, at, receive_buffer=None):
    lines = Lines(at["tcp-tls"], receive_buffer)
    clients = [lines, *(kind(at["http-tls"], path, receive_buffer=receive_buffer)
                        for kind, path in ((WebSocket, "/ws"), (Sse, "/sse")))]
    expect_equal(lines.ask("PING"), "+PONG", "subscribed")
    return clients


def publish_until_evicted(gateway, reason, at, healthy):
    http, count = Http(at["http-tls"]), 0

    def are_gone():
        nonlocal count
        publish_to(http, healthy, count)
        count += 1
        return len(re.findall(f"event=evicted .*reason={reason}", gateway.log())) == 3

    until(f"three are {reason}", are_gone)


def who_stands_still_is_reset_and_others_lose_nothing():
    gateway = start(certificates, "--stall", 1000, "--slow", 0, "--grace", 0, "--slots", 4096, "--ring-bytes", "16M", "--ping", 0)
    at = {door: over(gateway.doors[door], certificates) for door in TLS_DOORS}
    healthy = clients_of_each_protocol(gateway, at)
    stalled = [Hand(gateway.doors[door], client_context(certificates), receive_buffer=STALLED_RCVBUF)
               for door in ("tcp-tls", "http-tls", "http-tls")]
    for client, said in zip(stalled, (b"PING\n", handshake(at["http-tls"]), b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n")):
        client.handshake()
        client.wire.send(client.encrypt(said))
        client.read()
    publish_until_evicted(gateway, "stalled", at, healthy)
    for client in stalled:
        try:
            while client.wire.socket.recv(65536):
                pass
            fail("it got a FIN instead of a reset")
        except ConnectionResetError:
            pass
    gateway.stop()


def who_is_too_slow_gets_a_farewell_and_others_lose_nothing():
    gateway = start(certificates, "--stall", 0, "--slow", 0, "--overflow", "evict", "--slots", 16, "--grace", 0)
    at = {door: over(gateway.doors[door], certificates) for door in TLS_DOORS}
    healthy = clients_of_each_protocol(gateway, at)
    slow = clients_of_each_protocol(gateway, at, STALLED_RCVBUF)
    publish_until_evicted(gateway, "overflow", at, healthy)
    expect(slow[0].rest().endswith(b'{"evicted":"overflow"}\n'), "lines: no farewell")  # with close_notify: wire.OverTls
    expect_equal(slow[1].close_code()[0], 4008, "WebSocket")
    expect_equal(slow[2].event_of("evicted").json(), {"reason": "overflow"}, "SSE")
    slow[2].expect_closed("SSE, behind the farewell")
    gateway.stop()


def the_end_comes_behind_what_is_queued():
    gateway = start(certificates, "--stall", 0, "--slow", 0, "--drain-ms", 60000)
    at = {door: over(gateway.doors[door], certificates) for door in TLS_DOORS}
    lines, frames = Lines(at["tcp-tls"], STALLED_RCVBUF), Frames(at["tcp-length-tls"], STALLED_RCVBUF)
    sse, websocket = (Sse(at["http-tls"], "/sse", receive_buffer=STALLED_RCVBUF),
                      WebSocket(at["http-tls"], receive_buffer=STALLED_RCVBUF))
    for client in (lines, frames):
        expect_equal(client.ask("PING"), "+PONG", "subscribed")
    texts = [f"{number} " + "x" * 20000 for number in range(30)]
    http = Http(at["http-tls"])
    for text in texts:
        expect_equal(http.ask("POST", "/api/v1/publish?topic=news", text.encode()).status, 200, "publishing")
    gateway.terminate()
    gateway.wait_for_log("event=stopping")
    for text in texts:
        expect_equal([lines.line(), frames.line(), sse.event().data, websocket.text()], [text] * 4, "what is queued")
    lines.expect_closed("lines, behind the last message")  # with close_notify: wire.OverTls
    frames.expect_closed("frames, behind the last message")
    expect_equal(sse.event().name, "closing", "SSE, behind the last message")
    sse.expect_closed("SSE")
    expect_equal(websocket.close_code(), (4011, "shutting down"), "WebSocket, behind the last message")
    expect_equal(gateway.wait(), 0, "exit code")
    expect("dropped=0 discarded=0 queued=0" in gateway.log(), "something was lost")


# ---- behind a proxy ----

def a_proxy_speaks_before_TLS_begins():
    gateway = start(certificates, "--proxy-from", "127.0.0.1", "--log-level", "debug")
    for version in VERSIONS:
        context = client_context(certificates, version=version)
        lines = Lines(OverTls(Behind(gateway.doors["tcp-tls"], "192.0.2.7"), context))
        expect_equal(lines.ask("PING"), "+PONG", "PING")
        expect(lines.ask("PUB news x").startswith("-ERR PUB takes a token"), "a client that a proxy names")
        address = OverTls(Behind(gateway.doors["http-tls"], "2001:db8::7"), context)
        expect_equal(ask(address, "GET", "/livez").status, 200, "HTTP")
        expect_equal(WebSocket(address).ask_command("PING"), "+PONG", "WebSocket")
        itself = Lines(OverTls(Behind(gateway.doors["tcp-tls"]), context))
        expect(itself.ask("PUB news x").startswith("+OK PUB"), "the proxy itself")
    gateway.wait_for_log("event=connected .*peer=192.0.2.7:4660")
    gateway.wait_for_log(r"event=connected .*peer=\[2001:db8::7\]:4660")

    hello, header = client_hello(client_context(certificates)), Behind((), "192.0.2.8").header()
    expect(rest_of(gateway.doors["tcp-tls"], hello, ends=False) in (b"", None), "a ClientHello without a header")
    gateway.wait_for_log("event=proxy_refused")
    expect_equal(rest_of(gateway.doors["tcp-tls"], header + b"PING\n", ends=False), b"-ERR this address speaks TLS\n",
                 "no TLS behind a header")
    expect_equal(rest_of(gateway.doors["tcp"], header + hello, ends=False), b"", "a ClientHello at a plain door")
    gateway.stop()


if not shutil.which("curl") or not shutil.which("openssl"):
    skip("there is no curl, or no openssl")
run(curl_reads_publishes_and_follows_events,
    s_client_speaks_lines,
    sessions_are_resumed,
    what_s_client_may_not_do,
    renegotiation_is_refused_and_new_keys_are_not,
    python_speaks_every_protocol,
    websockets_of_python,
    the_certificate_is_that_of_the_name,
    who_speaks_no_TLS_is_told_so,
    who_speaks_TLS_at_a_plain_door_is_closed,
    a_page_over_http_is_another_origin,
    who_stands_still_is_reset_and_others_lose_nothing,
    who_is_too_slow_gets_a_farewell_and_others_lose_nothing,
    the_end_comes_behind_what_is_queued,
    a_proxy_speaks_before_TLS_begins)
