# SPDX-License-Identifier: MIT
"""Who may do what: tokens for subscribing, publishing and administration apart from each other, by the command AUTH, a
header or the query; without tokens only subscribing, or everything on loopback addresses with --trust-loopback.
"""
import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, scratch, until
from wire import Closed, Frames, Http, Lines, Sse, WebSocket, ask

TOKENS = {role: f"{role}-{'0123456789' * 2}" for role in ("subscribe", "publish", "admin")}
REQUESTS = {"subscribe": ("GET", "/sse"), "publish": ("POST", "/api/v1/publish?topic=news"), "admin": ("GET", "/metrics")}
ADMIN_PATHS = [("GET", "/metrics"), ("GET", "/api/v1/stats"), ("GET", "/api/v1/connections"),
               ("GET", "/api/v1/evictions"), ("POST", "/api/v1/connections/1/evict"), ("GET", "/api/v1/policy"),
               ("POST", "/api/v1/policy"), ("GET", "/api/v1/watch")]


def with_tokens(*roles):
    """--tokens FILE, with the token of each of these roles."""
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as file:  # for its owner alone
        file.writelines(f"{role} {TOKENS[role]}\n" for role in roles)
    return "--tokens", file.name


def status(gateway, role, token=None, in_query=False):
    method, path = REQUESTS[role]
    headers = []
    if token is not None and in_query:
        path += ("&" if "?" in path else "?") + f"token={token}"
    elif token is not None:
        headers = [f"Authorization: Bearer {token}"]
    if role == "subscribe":
        sse = Sse(gateway.http, path, headers)
        sse.close()
        return sse.status
    return ask(gateway.http, method, path, b"x" if method == "POST" else b"", headers).status


def each_token_is_good_for_its_role_alone():
    gateway = Gateway(*with_tokens("subscribe", "publish", "admin"))
    for role in TOKENS:
        expect_equal(status(gateway, role), 401, f"{role} without a token")
        for in_query in (False, True):
            expect_equal(status(gateway, role, "wrong" * 4, in_query), 401, f"{role} with a wrong token")
            for holder, token in TOKENS.items():
                wanted = 200 if holder == role else 403
                expect_equal(status(gateway, role, token, in_query), wanted, f"{role} with the token of {holder}")
        expect_equal(status(gateway, role, TOKENS[role][:-1]), 401, f"{role} with a part of its token")
        expect_equal(status(gateway, role, TOKENS[role] + "0"), 401, f"{role} with more than its token")
    for method, path in ADMIN_PATHS:
        expect_equal(ask(gateway.http, method, path).status, 401, f"{path} without a token")
        for role in ("subscribe", "publish"):
            headers = [f"Authorization: Bearer {TOKENS[role]}"]
            expect_equal(ask(gateway.http, method, path, b"", headers).status, 403, f"{path} with the token of {role}")
    response = ask(gateway.http, "GET", "/metrics")
    expect_equal(response.headers["www-authenticate"], "Bearer", "a 401 says how")
    for path in ("/livez", "/readyz", "/"):
        expect_equal(ask(gateway.http, "GET", path).status, 200, f"{path} without a token")
    gateway.stop()


def commands_take_the_token_that_AUTH_showed():
    gateway = Gateway(*with_tokens("subscribe", "publish"), "--tcp-length", "127.0.0.1:0")
    for client in (Lines(gateway.lines), Frames(gateway.frames)):
        for command in ("SUB sport", "PUB news x", "RESUME 0123456789abcdef:1"):
            expect(client.ask(command).startswith(f"-ERR {command.split()[0]} takes a token"), command)
        expect_equal(client.ask("AUTH wrong-0123456789"), "-ERR unknown token", "a wrong token")
        expect_equal(client.ask(f"AUTH {TOKENS['publish']}"), "+OK AUTH publish", "publish")
        expect(client.ask("PUB news unheard").startswith("+OK PUB "), "publishing with its token")
        expect(client.ask("SUB sport").startswith("-ERR SUB takes a token"), "subscribing with the token of publishing")
        expect_equal(client.ask(f"AUTH {TOKENS['subscribe']}"), "+OK AUTH subscribe", "subscribe")
        expect(client.ask("PUB news heard").startswith("+OK PUB "), "publishing after the second token")
        expect_equal(client.line(), "heard", "the default topic, since there was a token")
        expect_equal(client.ask("SUB sport"), "+OK SUB sport", "subscribing with its token")
    gateway.stop()


def a_websocket_takes_its_token_with_the_handshake_or_later():
    gateway = Gateway(*with_tokens("subscribe", "publish"))
    first = WebSocket(gateway.http)
    expect_equal(first.status, 101, "without a token: it shows one as its first message")
    expect(first.ask_command("SUB sport").startswith("-ERR SUB takes a token"), "before that")
    expect_equal(first.ask_command(f"AUTH {TOKENS['subscribe']}"), "+OK AUTH subscribe", "its first message")
    expect_equal(first.ask_command("SUB sport"), "+OK SUB sport", "after that")
    expect_equal(WebSocket(gateway.http, "/ws?token=" + "wrong" * 4).status, 401, "with a wrong one")
    expect_equal(WebSocket(gateway.http, f"/ws?token={TOKENS['publish']}").status, 403, "with that of publishing")
    for client in (WebSocket(gateway.http, f"/ws?token={TOKENS['subscribe']}"),
                   WebSocket(gateway.http, "/ws", [f"Authorization: Bearer {TOKENS['subscribe']}"])):
        expect_equal(client.status, 101, "with its token")
        expect(client.ask_command("PUB news x").startswith("-ERR PUB takes a token"), "publishing without a token")
        expect_equal(client.ask_command(f"AUTH {TOKENS['publish']}"), "+OK AUTH publish", "AUTH")
        expect(client.ask_command("PUB news x").startswith("+OK PUB "), "publishing with the token")
    gateway.stop()


def who_comes_by_a_proxy_comes_from_elsewhere():
    gateway = Gateway()
    for header in ("Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "Via: 1.1 proxy"):
        for role, (method, path) in REQUESTS.items():
            if role != "subscribe":
                body = b"x" if method == "POST" else b""
                expect_equal(ask(gateway.http, method, path, body, [header]).status, 401, f"{role} with {header}")
    gateway.stop()


def a_body_that_nobody_may_publish_is_not_waited_for():
    gateway = Gateway(*with_tokens("publish"))
    http = Http(gateway.http)
    expect_equal(http.ask("HEAD", "/livez").status, 200, "a request before it, whose answer has no body")
    http.send(b"POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n")
    response = http.response()
    expect_equal(response.status, 401, "before the body")
    expect("token" in response.json()["error"], "what is wrong")
    http.close()
    gateway.stop()


def a_publisher_on_lines_need_not_subscribe():
    gateway = Gateway(*with_tokens("subscribe", "publish"), "--handshake", 1000)
    publisher = Lines(gateway.lines)
    expect_equal(publisher.ask(f"AUTH {TOKENS['publish']}"), "+OK AUTH publish", "in time")
    late = Lines(gateway.lines)
    expect(late.rest().startswith(b"-ERR no token came in time"), "its time began later")
    expect(publisher.ask("PUB news x").startswith("+OK PUB "), "a publisher")
    gateway.stop()


def a_client_on_lines_has_a_while_for_its_token():
    gateway = Gateway(*with_tokens("subscribe"), "--handshake", 300)
    good = until("a client is in time, which it may not be on a busy machine", lambda: _in_time(gateway))
    late = Lines(gateway.lines)
    expect(late.rest().startswith(b"-ERR"), "who says nothing is told why it is closed")
    expect_equal(good.ask("PING"), "+PONG", "who showed it")
    gateway.stop()


def _in_time(gateway):
    client = Lines(gateway.lines)
    try:
        return client if client.ask(f"AUTH {TOKENS['subscribe']}") == "+OK AUTH subscribe" else None
    except (Closed, OSError):
        return None


def expect_only_subscribing(gateway):
    expect_equal(status(gateway, "subscribe"), 200, "subscribing")
    expect_equal(status(gateway, "publish"), 401, "publishing")
    for method, path in ADMIN_PATHS:
        response = ask(gateway.http, method, path)
        expect_equal(response.status, 401, path)
        expect(b"this takes a token" in response.body, "the answer says what to do")
    refusal = Lines(gateway.lines).ask("PUB news x")
    expect(refusal.startswith("-ERR PUB takes a token"), "publishing on lines")
    expect(WebSocket(gateway.http).ask_command("PUB news x").startswith("-ERR PUB takes a token"), "by WebSocket")


def on_loopback_too_publishing_and_administration_take_a_token():
    gateway = Gateway(trusts_loopback=False)
    expect_only_subscribing(gateway)
    gateway.stop()


def a_request_that_another_program_was_made_to_send_is_not_done():
    gateway = Gateway("--tcp-length", "127.0.0.1:0")
    listener = Lines(gateway.lines)
    expect_equal(listener.ask("PING"), "+PONG", "a client of lines")
    for request_line in ("POST / HTTP/1.1", "POST http://127.0.0.1:9000/ HTTP/1.0", "PUB / HTTP/1.1", "OPTIONS * HTTP/1.1",
                         "PRI * HTTP/2.0"):
        for end in ("\r\n", "\n"):
            forged = Lines(gateway.lines)
            forged.send(f"{request_line}{end}Host: 127.0.0.1{end}{end}PUB news forged\n".encode())
            expect(forged.rest().startswith(b"-ERR this address takes lines, not HTTP"), f"'{request_line}'")
    publisher = Lines(gateway.lines)
    for message in ("GET http://example.org/ HTTP/1.1", "see http://example.org/ HTTP/2.0", "/ HTTP/1.1"):
        expect(publisher.ask(f"PUB logs {message}").startswith("+OK PUB "), "a message that ends like a request line")
    frames = Frames(gateway.frames)
    frames.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n\x00\x00\x00\x0fPUB news forged")
    frames.rest()
    for harmless in ("PUB news POST / HTTP/1.1", "NAME GET HTTP/1.1"):
        expect(Lines(gateway.lines).ask(harmless).startswith("+OK"), f"'{harmless}' is a command")
    expect_equal(listener.line(), "POST / HTTP/1.1", "nothing was published but this")
    gateway.stop()


def with_trust_on_loopback_all_is_allowed_that_no_token_guards():
    gateway = Gateway()
    for role in TOKENS:
        expect_equal(status(gateway, role), 200, role)
    expect(Lines(gateway.lines).ask("PUB news x").startswith("+OK PUB "), "publishing on lines")
    gateway.stop()
    gateway = Gateway(*with_tokens("admin"))
    for role in TOKENS:
        expect_equal(status(gateway, role), 401 if role == "admin" else 200, role)
    gateway.stop()


def elsewhere_nobody_publishes_or_administers_without_a_token():
    gateway = Gateway("--http", "0.0.0.0:0", "--tcp", "0.0.0.0:0")
    expect_only_subscribing(gateway)
    gateway.stop()
    gateway = Gateway("--http", "0.0.0.0:0", "--tcp", "0.0.0.0:0", *with_tokens("publish"))
    expect_equal(status(gateway, "subscribe"), 200, "subscribing")
    expect_equal(status(gateway, "publish", TOKENS["publish"]), 200, "publishing with the token")
    expect_equal(status(gateway, "admin"), 401, "administration, for which there is no token at all")
    gateway.stop()


def pages_of_other_sites_may_do_nothing():
    gateway = Gateway("--allow-origin", "https://app.example", "--allow-host", "feed.example")
    for headers, wanted in ((["Origin: http://attacker.example"], 403), (["Origin: null"], 403),
                            (["Host: attacker.example"], 403), (["Host: feed.example:80"], 101),
                            (["Origin: https://app.example"], 101), (["Origin: https://app.example.attacker"], 403),
                            ([f"Origin: {gateway.url()}"], 101), (["Origin: http://127.0.0.1:1"], 403)):
        expect_equal(WebSocket(gateway.http, "/ws", headers).status, wanted, f"WebSocket, {headers}")
        wanted = 200 if wanted == 101 else wanted
        expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"x", headers).status, wanted,
                     f"publishing, {headers}")
        expect_equal(ask(gateway.http, "POST", "/api/v1/policy", b"{}", headers).status, wanted, f"policy, {headers}")
    gateway.stop()


def no_token_is_logged():
    gateway = Gateway(*with_tokens("subscribe", "publish", "admin"), "--log-level", "debug")
    lines = Lines(gateway.lines)
    for token in TOKENS.values():
        lines.ask(f"AUTH {token}")
        status(gateway, "subscribe", token, in_query=True)
    gateway.stop()
    expect(not re.search("|".join(TOKENS.values()), gateway.log()), "a token is in the log")


run(each_token_is_good_for_its_role_alone,
    commands_take_the_token_that_AUTH_showed,
    a_websocket_takes_its_token_with_the_handshake_or_later,
    who_comes_by_a_proxy_comes_from_elsewhere,
    a_body_that_nobody_may_publish_is_not_waited_for,
    a_publisher_on_lines_need_not_subscribe,
    a_client_on_lines_has_a_while_for_its_token,
    on_loopback_too_publishing_and_administration_take_a_token,
    a_request_that_another_program_was_made_to_send_is_not_done,
    with_trust_on_loopback_all_is_allowed_that_no_token_guards,
    elsewhere_nobody_publishes_or_administers_without_a_token,
    pages_of_other_sites_may_do_nothing,
    no_token_is_logged)
