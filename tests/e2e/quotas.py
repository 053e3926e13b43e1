# SPDX-License-Identifier: MIT
"""What the clients of one address, and those of one subject, may have together: connections, subscriptions, topics and keys.
Beyond a limit the client is told which one it is, on every protocol; others have theirs; and what goes makes room. Rates are in
rates.py and replay_rates.py.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from limited_gateway import ONE, OTHER, PUBLISHER, limited, lines_of, start, start_with_keys, token_of
from tokens import Key
from wire import Behind, Http, Lines, Sse, WebSocket, ask

RETRY = "10"


def words(quota, payer, limit):
    return f"too many {quota} of your {payer}: this server's limit of {quota} per {payer} is {limit}"


def expect_turned_away(gateway, client, problem):
    """On each protocol, in its own form."""
    lines = Lines(Behind(gateway.lines, client))
    expect_equal(lines.line(), f"-ERR {problem}", "on lines")
    lines.expect_closed("behind that")
    address = Behind(gateway.http, client)
    expect_equal(WebSocket(address).close_code(), (1013, problem), "on WebSocket")
    event = Sse(address, "/sse").event()
    expect_equal((event.name, event.json()["reason"]), ("closing", problem), "on SSE")
    response = ask(address, "GET", "/livez")
    expect_equal((response.status, response.headers["retry-after"], response.json()), (429, RETRY, {"error": problem}), "a request")


def an_address_has_so_many_connections():
    gateway = start("--max-per-address", 2, threads=3)
    held = [lines_of(gateway, ONE), lines_of(gateway, ONE)]
    expect_turned_away(gateway, ONE, words("connections", "address", 2))
    expect_equal(limited(gateway), {"connections_per_address": 4}, "what was reached")
    lines_of(gateway, OTHER).close()
    for _ in range(3):  # the proxy itself has no limit
        held.append(Lines(Behind(gateway.lines)))
        expect_equal(held[-1].ask("PING"), "+PONG", "the proxy")
    held[0].close()
    until("there is room again", lambda: Lines(Behind(gateway.lines, ONE)).ask("PING") == "+PONG")
    for lines in held[1:]:
        expect_equal(lines.ask("PING"), "+PONG", "whoever was served")
    gateway.stop()


def ipv6_counts_by_its_prefix():
    gateway = start("--max-per-address", 1)
    held = lines_of(gateway, "2001:db8::1")
    expect_turned_away(gateway, "2001:db8::ffff:2", words("connections", "address", 1))
    lines_of(gateway, "2001:db8:0:1::1").close()
    held.close()
    gateway.stop()


def loopback_has_no_limits():
    gateway = Gateway("--max-per-address", 1, "--max-subscriptions-per-address", 1, "--max-topics-per-address", 1,
                      "--max-keys-per-address", 1, "--state", "prices")
    for i in range(3):
        lines = Lines(gateway.lines)
        for topic in "a", "b":
            expect_equal(lines.ask(f"SUB {topic}{i}"), f"+OK SUB {topic}{i}", "from loopback")
        expect(lines.ask(f"SET prices k{i} v").startswith("+OK SET"), "a key from loopback")
    gateway.stop()


def a_crowd_beyond_the_limit_is_not_told():
    gateway = start("--max-per-address", 1)
    held = lines_of(gateway, ONE)
    silent, closed = [], 0
    for _ in range(40):
        try:
            silent.append(Http(Behind(gateway.http, ONE)))  # none of them asks anything: each is there for a while
        except OSError:  # over TLS it was closed in its handshake
            closed += 1
    until("the gateway has seen them", lambda: limited(gateway).get("connections_per_address") == 40)
    for http in silent:
        http.socket.settimeout(0)
        try:
            closed += http.socket.recv(1) == b""
        except ConnectionResetError:
            closed += 1
        except BlockingIOError:
            pass
    expect(closed >= 24, f"only {closed} of 40 were closed at once")
    expect_equal(held.ask("PING"), "+PONG", "whoever was served")
    gateway.stop()


def an_address_has_so_many_subscriptions():
    problem = words("subscriptions", "address", 4)
    gateway = start("--max-subscriptions-per-address", 4)
    one, two = lines_of(gateway, ONE), lines_of(gateway, ONE)  # each has the default topic
    expect_equal(one.ask("SUB a"), "+OK SUB a", "the third")
    expect_equal(two.ask("SUB a"), "+OK SUB a", "the fourth")
    for client in one, two:
        expect_equal(client.ask("SUB b"), f"-ERR {problem}", "one too many")
        expect_equal(client.ask("SUB a"), "+OK SUB a", "one that it has")
    address = Behind(gateway.http, ONE)
    expect_equal(WebSocket(address, "/ws?topic=a,b").close_code(), (1013, problem), "on WebSocket")
    event = Sse(address, "/sse?topic=a").event()
    expect_equal((event.name, event.json()["reason"]), ("closing", problem), "on SSE")
    third = Lines(Behind(gateway.lines, ONE))
    expect_equal(third.line(), f"-ERR {problem}", "the default topic")
    third.expect_closed("behind that")
    expect_equal(limited(gateway), {"subscriptions_per_address": 5}, "what was reached")
    other = lines_of(gateway, OTHER)
    for topic in "abc":
        expect_equal(other.ask(f"SUB {topic}"), f"+OK SUB {topic}", "another address")
    expect_equal(one.ask("UNSUB a"), "+OK UNSUB a", "it makes room")
    expect_equal(two.ask("SUB b"), "+OK SUB b", "there is room")
    expect_equal(one.ask("SUB c"), f"-ERR {problem}", "no more")
    two.close()
    until("the end of a client makes room", lambda: one.ask("SUB c") == "+OK SUB c")
    gateway.stop()


def an_address_pays_for_the_topics_that_it_makes():
    problem = words("topics", "address", 2)
    gateway = start("--max-topics-per-address", 2, threads=1)
    one, other = lines_of(gateway, ONE), lines_of(gateway, OTHER)
    for topic in "ab":
        expect_equal(one.ask(f"SUB {topic}"), f"+OK SUB {topic}", "its own")
    expect_equal(one.ask("SUB c"), f"-ERR {problem}", "one too many")
    expect_equal(other.ask("SUB c"), "+OK SUB c", "another address makes it")
    expect_equal(one.ask("SUB c"), "+OK SUB c", "then it is there")
    expect_equal(WebSocket(Behind(gateway.http, ONE), "/ws?topic=d").close_code(), (1013, problem), "on WebSocket")
    for topic in "ab":
        expect_equal(other.ask(f"SUB {topic}"), f"+OK SUB {topic}", "of the first")
    expect_equal(other.ask("SUB d"), "+OK SUB d", "it has made only two")
    expect_equal(other.ask("SUB e"), f"-ERR {problem}", "now two")
    expect_equal(one.ask("UNSUB a"), "+OK UNSUB a", "the other one keeps it")
    expect_equal(one.ask("SUB f"), f"-ERR {problem}", "so the first still pays")
    expect_equal(other.ask("UNSUB a"), "+OK UNSUB a", "the last one lets go")
    expect_equal(one.ask("SUB f"), "+OK SUB f", "now there is room")
    expect_equal(limited(gateway), {"topics_per_address": 4}, "what was reached")
    gateway.stop()


def an_address_has_so_many_keys():
    problem = words("keys", "address", 2)
    gateway = start("--max-keys-per-address", 2, "--state", "prices", "--state", "more")
    one, other = lines_of(gateway, ONE), lines_of(gateway, OTHER)
    for client in one, other:
        expect_equal(client.ask(f"AUTH {PUBLISHER}"), "+OK AUTH publish", "a publisher")
    for topic, key in ("prices", "a"), ("more", "a"), ("prices", "a"):
        expect(one.ask(f"SET {topic} {key} 1").startswith("+OK SET"), f"{topic} {key}")
    expect_equal(one.ask("SET prices b 1"), f"-ERR {problem}", "one too many")
    expect(other.ask("SET prices b 1").startswith("+OK SET"), "another address")
    expect(one.ask("SET prices b 2").startswith("+OK SET"), "a key that is there")
    address, bearer = Behind(gateway.http, ONE), [f"Authorization: Bearer {PUBLISHER}"]
    response = ask(address, "POST", "/api/v1/publish?topic=prices&key=c", b"1", bearer)
    expect_equal((response.status, response.headers["retry-after"], response.json()), (429, RETRY, {"error": problem}), "by HTTP")
    bulk = b'{"topic":"prices","key":"a","data":"1"}\n{"topic":"prices","key":"c","data":"1"}\n'
    response = ask(address, "POST", "/api/v1/publish", bulk, [*bearer, "Content-Type: application/x-ndjson"])
    expect_equal((response.status, response.json()), (429, {"error": problem, "line": 2, "published": 1}), "in a bulk")
    expect(other.ask("UNSET prices a").startswith("+OK UNSET"), "whoever takes it back")
    expect(one.ask("SET prices c 1").startswith("+OK SET"), "makes room")
    expect_equal(limited(gateway), {"keys_per_address": 3}, "what was reached")
    one.close()
    gateway.stop()


def a_subject_has_so_many_connections_from_anywhere():
    problem, key = words("connections", "subject", 2), Key()
    gateway = start_with_keys(key, "--max-per-subject", 2)
    alice, bob = token_of(key, "alice"), token_of(key, "bob")
    held = [Lines(Behind(gateway.lines, client)) for client in (ONE, OTHER)]
    for lines in held:
        expect_equal(lines.ask(f"AUTH {alice}"), "+OK AUTH subscribe publish", "Alice")
        expect_equal(lines.ask(f"AUTH {alice}"), "+OK AUTH subscribe publish", "the same once more")
    third = Lines(Behind(gateway.lines, "192.0.2.9"))
    expect_equal(third.ask(f"AUTH {alice}"), f"-ERR {problem}", "the third")
    expect_equal(third.ask(f"AUTH {bob}"), "+OK AUTH subscribe publish", "another subject")
    address = Behind(gateway.http, ONE)
    bearer = [f"Authorization: Bearer {alice}"]
    response = ask(address, "POST", "/api/v1/publish?topic=news", b"x", bearer)
    expect_equal((response.status, response.headers["retry-after"], response.json()), (429, RETRY, {"error": problem}), "a request")
    expect_equal(WebSocket(address, f"/ws?token={alice}").close_code(), (1013, problem), "on WebSocket")
    event = Sse(address, "/sse", bearer).event()
    expect_equal((event.name, event.json()["reason"]), ("closing", problem), "on SSE")
    expect_equal(held[0].ask(f"AUTH {bob}"), "+OK AUTH subscribe publish", "Alice's becomes Bob's")
    http = Http(address)
    for _ in range(3):
        expect_equal(http.ask("POST", "/api/v1/publish?topic=news", b"x", bearer).status, 200, "there is room for one connection")
    expect_equal(ask(address, "POST", "/api/v1/publish?topic=news", b"x", bearer).status, 429, "and for no second one")
    expect_equal(http.ask("GET", "/livez").status, 200, "a request without a token")
    expect_equal(ask(address, "POST", "/api/v1/publish?topic=news", b"x", bearer).status, 200, "gives the place back")
    http.close()
    held[1].close()
    until("there is room for two", lambda: WebSocket(address, f"/ws?token={alice}").status == 101)
    gateway.stop()


def what_a_subject_has_goes_with_it():
    key = Key()
    gateway = start_with_keys(key, "--max-subscriptions-per-subject", 3, "--max-topics-per-subject", 2, "--max-keys-per-subject", 1,
                              "--state", "prices")
    alice, bob = token_of(key, "alice"), token_of(key, "bob")
    one, two = (Lines(Behind(gateway.lines, client)) for client in (ONE, OTHER))
    for lines in one, two:
        expect_equal(lines.ask(f"AUTH {alice}"), "+OK AUTH subscribe publish", "Alice")
    expect_equal(one.ask("SUB a"), "+OK SUB a", "with the two default topics the third")
    expect_equal(two.ask("SUB a"), f"-ERR {words('subscriptions', 'subject', 3)}", "one too many")
    expect_equal(one.ask(f"AUTH {bob}"), "+OK AUTH subscribe publish", "the first is Bob's now")
    expect_equal(two.ask("SUB a"), "+OK SUB a", "Alice has room")
    expect_equal(two.ask("SUB b"), "+OK SUB b", "and once more")
    expect_equal(two.ask("UNSUB a"), "+OK UNSUB a", "it goes")
    expect_equal(two.ask("SUB c"), f"-ERR {words('topics', 'subject', 2)}", "Alice has made two: Bob has one of them")
    expect_equal(one.ask("SUB c"), "+OK SUB c", "Bob's third")
    expect_equal(one.ask("SUB d"), f"-ERR {words('subscriptions', 'subject', 3)}", "Bob's fourth")
    expect(two.ask("SET prices a 1").startswith("+OK SET"), "Alice's key")
    expect_equal(two.ask("SET prices b 1"), f"-ERR {words('keys', 'subject', 1)}", "one too many")
    expect(one.ask("SET prices b 1").startswith("+OK SET"), "Bob's key")
    one.close()
    two.close()
    gateway.stop()


if __name__ == "__main__":
    run(an_address_has_so_many_connections, ipv6_counts_by_its_prefix, loopback_has_no_limits,
        a_crowd_beyond_the_limit_is_not_told, an_address_has_so_many_subscriptions,
        an_address_pays_for_the_topics_that_it_makes, an_address_has_so_many_keys,
        a_subject_has_so_many_connections_from_anywhere, what_a_subject_has_goes_with_it)
