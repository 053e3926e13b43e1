# SPDX-License-Identifier: MIT
"""Certificates: what a client's gives and doesn't give, reading them again by SIGHUP, and options that are wrong.
"""
import os
import re
import signal
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from certificates import Certificates
from gateway import ANY, Gateway, expect, expect_equal, fail, run, until
from tls import client_context, over, start
from wire import Http, Lines, OverTls, Sse, WebSocket, ask

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
ADMIN, BOB = "administering-token-0001", "the-token-of-bob-0000001"
TOKENS = f"""admin {ADMIN} name=ops
subscribe {BOB} topics=news
subscribe cert:alice topics=news,user.${{sub}}.>
publish cert:alice topics=user.${{sub}}.>
admin cert:carol
"""
certificates = Certificates()
alice = (certificates.client, certificates.client_key)
carol = certificates.issue("carol", "carol")
dave = certificates.issue("dave", "dave")  # of whom the tokens know nothing


def start_with_clients(*arguments, tokens=TOKENS):
    path = certificates.write("tokens", tokens.encode())
    return start(certificates, "--tls-client-ca", certificates.ca, "--tokens", path, *arguments, trusts_loopback=False)


def at(gateway, door, client=None, version=None):
    return over(gateway.doors[door], certificates, client=client, version=version)


def as_admin(gateway, method, path, body=b""):
    return ask(gateway.http, method, path, body, [f"Authorization: Bearer {ADMIN}"])


def expect_refused(connect, what):
    """In TLS 1.3 a client learns only by reading that its certificate isn't taken."""
    try:
        connect()
    except ssl.SSLError as error:
        return str(error)
    return fail(f"{what}: it was let in")


# ---- clients ----

def a_certificate_is_required():
    gateway = start_with_clients()
    other = Certificates()
    expired = certificates.issue("late", "alice", begins_in_s=-7200, ends_in_s=-3600)
    itself = certificates.issue("itself", "alice", issuer="itself")
    for version in VERSIONS:
        for client, problem in ((None, "did not return a certificate"), ((other.client, other.client_key), "isn't accepted"),
                                (expired, "isn't accepted: certificate has expired"), (itself, "isn't accepted")):
            seen = gateway.log().count("event=tls_failed")
            expect_refused(lambda: Lines(at(gateway, "tcp-tls", client, version)).ask("PING"), problem)
            until("it is logged", lambda: gateway.log().count("event=tls_failed") == seen + 1)
            expect(problem in gateway.log().splitlines()[-1], f"instead of {problem}: {gateway.log()[-300:]}")
        expect_equal(Lines(at(gateway, "tcp-tls", alice, version)).ask("PING"), "+PONG", "with one")
    gateway.stop()


def a_certificate_gives_what_the_tokens_say():
    gateway = start_with_clients()
    for version in VERSIONS:
        lines = Lines(at(gateway, "tcp-tls", alice, version))
        for command, answer in (("SUB user.alice.mail", "+OK SUB"), ("SUB user.bob.mail", "-ERR this token may not subscribe"),
                                ("SUB sport", "-ERR this token may not subscribe"),
                                ("PUB user.alice.mail to_myself", "+OK PUB"), ("PUB news x", "-ERR this token may not publish")):
            said = lines.ask(command)
            expect(said.startswith(answer), f"{command}: {said}")
        sse = Sse(at(gateway, "http-tls", alice, version), "/sse?topic=user.alice.mail")
        websocket = WebSocket(at(gateway, "http-tls", alice, version), "/ws?topic=user.alice.mail")
        expect_equal(websocket.ask_command("PING"), "+PONG", "subscribed")
        http = Http(at(gateway, "http-tls", alice, version))
        expect_equal(http.ask("POST", "/api/v1/publish?topic=user.alice.mail", b"hello").status, 200, "publishing")
        expect_equal((sse.event().data, websocket.text()), ("hello", "hello"), "what arrives")
        # One connection, and a token beside the certificate: which holds for one request.
        expect_equal(http.ask("GET", "/api/v1/stats").status, 403, "no administrator")
        token = [f"Authorization: Bearer {ADMIN}"]
        expect_equal(http.ask("GET", "/api/v1/stats", headers=token).status, 200, "an administrator by token")
        expect_equal(http.ask("GET", "/api/v1/stats").status, 403, "no administrator any more")
        expect_equal(http.ask("POST", "/api/v1/publish?topic=user.alice.mail", b"x").status, 200, "publishing, still")
        expect_equal(Sse(at(gateway, "http-tls", alice, version), "/sse?topic=user.bob.mail").status, 403, "bob's")
        refused = WebSocket(at(gateway, "http-tls", alice, version), "/ws?topic=user.bob.mail")
        expect_equal(refused.close_code()[0], 4403, "bob's, on WebSocket")
        stranger = at(gateway, "http-tls", dave, version)
        expect_equal(Sse(stranger, "/sse?topic=news").status, 401, "a name that the tokens don't know")
        expect_equal(Sse(stranger, f"/sse?topic=news&token={BOB}").status, 200, "with a token")
        for client in (Lines(at(gateway, "tcp-tls", dave, version)), WebSocket(stranger)):
            client.say(f"AUTH {BOB}")
            expect_equal(client.line() if isinstance(client, Lines) else client.text(), "+OK AUTH subscribe", "by AUTH")
    gateway.stop()


def the_subject_is_who_has_done_it():
    gateway = start_with_clients()
    http = Http(at(gateway, "http-tls", carol))
    expect_equal(http.ask("POST", "/api/v1/policy", b'{"stall_ms": 2000}').status, 200, "the policy")
    expect_equal(as_admin(gateway, "GET", "/api/v1/stats").json()["policy_change"]["by"], "carol", "who has changed it")
    gateway.wait_for_log("event=policy_changed by=carol")
    gateway.stop()


def an_optional_certificate():
    gateway = start_with_clients("--tls-clients", "optional")
    for version in VERSIONS:
        without = Lines(at(gateway, "tcp-tls", None, version))
        said = without.ask("SUB user.alice.mail")
        expect(said.startswith("-ERR"), f"without one: {said}")
        expect_equal(without.ask(f"AUTH {BOB}"), "+OK AUTH subscribe", "by token")
        with_one = Lines(at(gateway, "tcp-tls", alice, version))
        expect_equal(with_one.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "with one")
        other = Certificates()
        expect_refused(lambda: Lines(at(gateway, "tcp-tls", (other.client, other.client_key), version)).ask("PING"),
                       "of another authority")
    for door in ("http", "http-tls"):  # the line is no token
        address = gateway.http if door == "http" else at(gateway, door)
        for headers, path in ((["Authorization: Bearer cert:alice"], ""), ([], "&token=cert:alice")):
            answer = ask(address, "POST", f"/api/v1/publish?topic=user.alice.mail{path}", b"x", headers)
            expect_equal(answer.status, 401, f"{headers} {path} at {door}")
    for address in (gateway.lines, at(gateway, "tcp-tls")):
        expect(Lines(address).ask("AUTH cert:alice").startswith("-ERR unknown token"), "AUTH cert:alice")
    gateway.stop()


def a_resumed_session_has_the_same_subject():
    gateway = start_with_clients()
    for version in VERSIONS:
        context = client_context(certificates, version=version, client=alice)
        first = Lines(OverTls(gateway.doors["tcp-tls"], context))
        expect_equal(first.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "at first")
        again = Lines(OverTls(gateway.doors["tcp-tls"], context, session=first.socket.session))
        expect(again.ask("PING") == "+PONG" and again.socket.session_reused, "it is resumed")
        expect_equal(again.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "again")
        expect(again.ask("SUB user.bob.mail").startswith("-ERR"), "bob's")
    gateway.stop()


def a_revoked_subject_is_closed_and_stays_away():
    gateway = start_with_clients()
    lines = Lines(at(gateway, "tcp-tls", alice))
    expect_equal(lines.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "lines")
    sse, websocket = (Sse(at(gateway, "http-tls", alice), "/sse?topic=news"),
                      WebSocket(at(gateway, "http-tls", alice), "/ws?topic=news"))
    expect_equal(websocket.ask_command("PING"), "+PONG", "WebSocket")
    another = Http(at(gateway, "http-tls", carol))
    expect_equal(another.ask("GET", "/api/v1/stats").status, 200, "carol")
    expect_equal(as_admin(gateway, "POST", "/api/v1/revoke", b'{"subject":"alice"}').status, 200, "revoke")
    expect("-ERR" in lines.rest().decode(), "lines are told")
    expect_equal(sse.event_of("closing", "expired", "revoked").name, "closing", "SSE")
    expect_equal(websocket.close_code()[0], 4401, "WebSocket")
    said = Lines(at(gateway, "tcp-tls", alice)).rest()
    expect(b"revoked" in said, f"lines, afterwards: {said}")
    expect_equal(another.ask("GET", "/api/v1/stats").status, 200, "carol, afterwards")
    gateway.stop()


def permissions_follow_the_file_of_tokens():
    gateway = start_with_clients("--log-level", "debug")
    lines = Lines(at(gateway, "tcp-tls", alice))
    expect_equal(lines.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "before")
    certificates.write("tokens", TOKENS.replace("user.${sub}.>", "user.${sub}.mail,sport").encode())
    gateway.process.send_signal(signal.SIGHUP)
    until("it may more", lambda: lines.ask("SUB sport") == "+OK SUB sport")
    expect(lines.ask("SUB user.alice.other").startswith("-ERR"), "and less")
    certificates.write("tokens", re.sub(".*cert:alice.*\n", "", TOKENS).encode())
    gateway.process.send_signal(signal.SIGHUP)
    expect(b"-ERR" in lines.rest(), "its lines are withdrawn")
    gateway.stop()


# ---- reading again ----

def replace(pair):
    """The files of the gateway's certificate have what those of another one have."""
    for old, new in zip((certificates.server, certificates.server_key), pair):
        with open(new, "rb") as file:
            certificates.write(os.path.basename(old), file.read())


def common_name(client):
    return dict(pair for part in client.socket.getpeercert()["subject"] for pair in part).get("commonName")


def a_signal_reads_them_again():
    names = ("localhost", "127.0.0.1", "::1")
    certificates.server, certificates.server_key = certificates.issue("server", "first", names)
    first, second, third = (certificates.issue(name, name, names) for name in ("first", "second", "third"))
    gateway = start(certificates)
    old, http = Lines(at(gateway, "tcp-tls")), Http(at(gateway, "http-tls"))
    expect_equal((common_name(old), old.ask("PING")), ("first", "+PONG"), "at first")

    def read_again(event):
        seen = gateway.log().count(f"event={event}")
        gateway.process.send_signal(signal.SIGHUP)
        until(event, lambda: gateway.log().count(f"event={event}") == seen + 1)
        return gateway.log().splitlines()[-1]

    def expect_served(name):
        client = Lines(at(gateway, "tcp-tls"))
        expect_equal((common_name(client), client.ask("PING")), (name, "+PONG"), "a new connection")
        expect_equal((old.ask("PING"), http.ask("GET", "/livez").status), ("+PONG", 200), "old ones")

    replace(second)
    expect_served("first")
    read_again("certificates_read")
    expect_served("second")
    for pair, problem in (((certificates.expired, certificates.expired_key), "has expired"),
                          ((third[0], second[1]), "the key doesn't belong to the first certificate"),
                          ((certificates.write("broken", b"-----BEGIN CERTIFICATE-----\nMIIB\n"), second[1]), "damaged"),
                          ((certificates.write("empty", b""), second[1]), "there is no certificate in it"),
                          ((second[0], certificates.write("text", b"hello\n")), "there is no private key in it")):
        replace(pair)
        said = read_again("certificates_not_read")
        expect("level=error" in said and problem in said and "the former ones hold on" in said, f"{problem}: {said}")
        expect_served("second")
    replace(second)
    os.chmod(certificates.server_key, 0o644)
    expect("chmod 640" in read_again("certificates_not_read"), "a key that all may read")
    os.remove(certificates.server_key)
    expect("can't be read" in read_again("certificates_not_read"), "no key")
    expect_served("second")
    replace(third)
    read_again("certificates_read")
    expect_served("third")
    gateway.stop()


def a_signal_reads_the_authorities_of_clients_again():
    other = Certificates()
    authority = certificates.write("clients", open(certificates.ca, "rb").read())
    gateway = start(certificates, "--tls-client-ca", authority)
    foreign = (other.client, other.client_key)
    context = client_context(certificates, client=alice)
    known = Lines(OverTls(gateway.doors["tcp-tls"], context))
    expect_equal(known.ask("PING"), "+PONG", "before")
    expect_refused(lambda: Lines(at(gateway, "tcp-tls", foreign)).ask("PING"), "another authority's, before")
    certificates.write("clients", open(other.ca, "rb").read())
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("event=certificates_read")
    expect_equal(Lines(at(gateway, "tcp-tls", foreign)).ask("PING"), "+PONG", "another authority's, afterwards")
    expect_equal(known.ask("PING"), "+PONG", "who was there")
    resumed = OverTls(gateway.doors["tcp-tls"], context, session=known.socket.session)
    expect_refused(lambda: Lines(resumed).ask("PING"), "its session, afterwards")
    gateway.stop()


# ---- options ----

def wrong_options_are_refused():
    files = ["--tls-cert", certificates.server, "--tls-key", certificates.server_key]
    readable = certificates.write("readable.key", open(certificates.server_key, "rb").read())
    os.chmod(readable, 0o644)
    stranger = certificates.issue("stranger")[1]
    door = ["--tcp-tls", ANY]
    for arguments, problem in (
            (door, "takes a certificate: add --tls-cert FILE and --tls-key FILE"),
            (["--http-tls", ANY], "takes a certificate"),
            (["--tcp-length-tls", ANY], "takes a certificate"),
            ([*door, *files, "--tls-cert", certificates.server], "each --tls-cert takes a --tls-key"),
            ([*door, "--tls-key", certificates.server_key], "takes a certificate"),
            ([*door, *files[:2]], "each --tls-cert takes a --tls-key"),
            ([*door, *files * 65], "64 or fewer"),
            (["--tls-client-ca", certificates.ca], "add --tls-cert FILE and --tls-key FILE"),
            ([*door, *files, "--tls-clients", "perhaps"], "tls-clients"),
            ([*door, *files, "--tls-clients", "optional"], "--tls-client-ca"),
            ([*door, "--tls-cert", "/none", *files[2:]], "/none: it can't be read: No such file or directory; check the path"),
            ([*door, *files[:2], "--tls-key", readable], "chmod 640"),
            ([*door, *files[:2], "--tls-key", stranger], "the key doesn't belong to the first certificate"),
            ([*door, "--tls-cert", certificates.expired, "--tls-key", certificates.expired_key], "has expired"),
            ([*door, *files, "--tls-client-ca", "/none"], "/none: it can't be read"),
            ([*door, *files, "--tls-client-ca", certificates.server_key], "there is no certificate in it"),
            (files, "no address speaks that: add --http-tls HOST:PORT or --tcp-tls HOST:PORT"),
            (["--http-tls", "127.0.0.1", *files], "http-tls"),
            (["--http", "127.0.0.1:9001", "--http-tls", "127.0.0.1:9001", *files], "choose another port")):
        for check in ([], ["--check-config"]) if arguments != files else ([],):  # a service manager may open a door
            done = subprocess.run([os.environ["GATEWAY"], "--tcp", ANY, "--http", ANY, *arguments, *check],
                                  capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
            said = f"{arguments[:8]} {check}: {done.returncode} {done.stdout} {done.stderr}"
            expect(done.returncode == 2 and problem in done.stderr and done.stdout == "", said)
            expect_equal(len(done.stderr.splitlines()), 1, said)
    done = subprocess.run([os.environ["GATEWAY"], *door, *files, "--check-config"], capture_output=True, text=True)
    expect_equal((done.returncode, done.stderr), (0, ""), f"right ones: {done.stdout}")
    printed = subprocess.run([os.environ["GATEWAY"], *door, *files, "--print-config"], capture_output=True, text=True).stdout
    path = certificates.write("printed.conf", printed.encode())
    done = subprocess.run([os.environ["GATEWAY"], "--config", path, "--check-config"], capture_output=True, text=True)
    expect_equal((done.returncode, done.stderr), (0, ""), f"what is printed: {printed}")


def any_page_has_no_certificate():
    """A browser shows the certificate for any page: pages that come in by '*' don't have its rights."""
    gateway = start_with_clients("--allow-origin", "*", "--allow-origin", "https://app.example")
    http = Http(at(gateway, "http-tls", alice, VERSIONS[-1]))
    statuses = [http.ask("POST", "/api/v1/publish?topic=user.alice.mail", b"x", headers=headers).status
                for headers in (["Origin: https://evil.example"], ["Origin: https://app.example"], [],
                                ["Origin: https://evil.example"], [])]
    expect_equal(statuses, [401, 200, 200, 401, 200], "on one connection")
    gateway.stop()


run(a_certificate_is_required,
    any_page_has_no_certificate,
    a_certificate_gives_what_the_tokens_say,
    the_subject_is_who_has_done_it,
    an_optional_certificate,
    a_resumed_session_has_the_same_subject,
    a_revoked_subject_is_closed_and_stays_away,
    permissions_follow_the_file_of_tokens,
    a_signal_reads_them_again,
    a_signal_reads_the_authorities_of_clients_again,
    wrong_options_are_refused)
