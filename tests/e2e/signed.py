# SPDX-License-Identifier: MIT
"""Signed tokens at a gateway: one user has exactly its topics, tokens expire, are revoked, and their keys are exchanged."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from nats_server import NatsServer
from tokens import Key, subscribe_to
from wire import Lines, Sse, WebSocket, ask

RIGHTS = subscribe_to("user.${sub}.>", publish=["chat"])
ADMIN = {"admin": True, "name": "root"}


def bearer(token):
    return [f"Authorization: Bearer {token}"]


def a_token_of_each_algorithm_gives_its_topics():
    for algorithm in Key.KINDS:
        key = Key(algorithm)
        gateway = Gateway("--jwt-keys", key.public, "--jwt-issuer", "shop", "--jwt-audience", "feed")
        token = key.token(iss="shop", aud="feed", sub="alice", fluxbp=RIGHTS)
        for query, wanted in ((f"topic=user.alice.mail&token={token}", 200), (f"topic=user.bob.mail&token={token}", 403),
                              ("topic=user.alice.mail", 401), (f"topic=user.alice.mail&token={token}x", 401)):
            events = Sse(gateway.http, f"/sse?{query}")
            events.close()
            expect_equal(events.status, wanted, f"{algorithm}: {query[:30]}")
        other = key.token(iss="another", aud="feed", sub="alice", fluxbp=RIGHTS)
        answer = ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(other))
        expect_equal((answer.status, answer.json()["error"]), (401, "the token is of another issuer"), "another issuer")
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(token)).status, 200, "publishing")
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"x", bearer(token)).status, 403, "not there")
        expect_equal(ask(gateway.http, "GET", "/metrics", b"", bearer(token)).status, 403, "no administrator")
        lines = Lines(gateway.lines)
        expect_equal(lines.ask(f"AUTH {token}"), "+OK AUTH subscribe publish", "AUTH")
        expect_equal(lines.ask("SUB user.alice.mail"), "+OK SUB user.alice.mail", "SUB")
        expect_equal(lines.ask("SUB news"), "-ERR this token may not subscribe to 'news'", "SUB of another topic")
        gateway.stop()


def a_client_is_told_before_its_token_expires_and_may_show_a_newer_one():
    key = Key()
    gateway = Gateway("--jwt-keys", key.public)
    short = key.token(seconds=3, sub="alice", fluxbp=RIGHTS)
    stays, goes = (WebSocket(gateway.http, f"/ws?topic=user.alice.x&token={short}") for _ in range(2))
    for client in (stays, goes):
        expect(client.text().startswith('{"token_expires_in":'), "the warning")
    answer = stays.ask_command(f"AUTH {key.token(sub='alice', fluxbp=RIGHTS)}")
    expect_equal(answer, "+OK AUTH subscribe publish", "a newer token")
    expect_equal(goes.close_code(), (4401, "the token has expired"), "without a newer one")
    expect_equal(stays.ask_command("PING"), "+PONG", "the other client stays")
    gateway.stop()


def a_key_is_exchanged_and_nobody_is_dropped():
    old, new = Key(), Key("ES256")
    path = old.public + ".used"
    shutil.copy(old.public, path)
    gateway = Gateway("--jwt-keys", path)
    before = old.token(sub="alice", fluxbp=RIGHTS)
    client = WebSocket(gateway.http, f"/ws?topic=user.alice.x&token={before}")
    with open(path, "w") as file:
        file.write("no key")
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_for_log("event=keys_not_read .*nor PEM")
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(before)).status, 200, "the old key")
    shutil.copy(new.public, path)
    gateway.wait_for_log("event=keys_read ")  # the gateway finds the change by itself
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(before)).status, 401, "the old key")
    after = new.token(sub="alice", fluxbp=RIGHTS)
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(after)).status, 200, "the new key")
    expect_equal(client.ask_command("PING"), "+PONG", "the client that was there")
    gateway.stop()


def a_revoked_subject_goes_at_every_gateway(arguments, stream):
    server = NatsServer()
    if stream:
        server.make_stream(stream, "fluxbp.>")
    key = Key()
    gateways = [Gateway("--nats", server.url, "--jwt-keys", key.public, *arguments) for _ in range(2)]
    for gateway in gateways:
        until("the gateway is ready", lambda: ask(gateway.http, "GET", "/readyz").status == 200)
    alice = key.token(sub="alice", jti="a-1", fluxbp=RIGHTS)
    bob = key.token(sub="bob", jti="b-1", fluxbp=RIGHTS)
    clients = [WebSocket(gateway.http, f"/ws?topic=user.{name}.x&token={token}")
               for gateway in gateways for name, token in (("alice", alice), ("bob", bob))]
    admin = key.token(sub="root", fluxbp=ADMIN)
    answer = ask(gateways[0].http, "POST", "/api/v1/revoke", b'{"subject":"alice"}', bearer(admin))
    expect_equal((answer.status, answer.json()), (200, {"revoked": "alice"}), "revoking")
    for client in clients[::2]:
        expect_equal(client.close_code(), (4401, "the token was revoked"), "alice")
    for client in clients[1::2]:
        expect_equal(client.ask_command("PING"), "+PONG", "bob stays")
    for gateway in gateways:
        refused = ask(gateway.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(alice))
        expect_equal((refused.status, refused.json()["error"]), (401, "the token was revoked"), "coming back")
    answer = ask(gateways[1].http, "POST", "/api/v1/revoke", b'{"token":"b-1","seconds":60}', bearer(admin))
    expect_equal(answer.status, 200, "revoking by the id")
    for client in clients[1::2]:
        expect_equal(client.close_code(), (4401, "the token was revoked"), "bob")
    if stream:  # the stream keeps revocations
        late = Gateway("--nats", server.url, "--jwt-keys", key.public, *arguments)
        until("the late gateway is ready", lambda: ask(late.http, "GET", "/readyz").status == 200)
        expect_equal(ask(late.http, "POST", "/api/v1/publish?topic=chat", b"x", bearer(alice)).status, 401, "a late gateway")
        late.stop()
    for gateway in gateways:
        gateway.stop()


def a_revoked_subject_goes_at_every_gateway_without_a_stream():
    a_revoked_subject_goes_at_every_gateway([], None)


def a_revoked_subject_goes_at_every_gateway_with_a_stream():
    a_revoked_subject_goes_at_every_gateway(["--jetstream", "NEWS"], "NEWS")


run(a_token_of_each_algorithm_gives_its_topics,
    a_client_is_told_before_its_token_expires_and_may_show_a_newer_one,
    a_key_is_exchanged_and_nobody_is_dropped,
    a_revoked_subject_goes_at_every_gateway_without_a_stream,
    a_revoked_subject_goes_at_every_gateway_with_a_stream)
