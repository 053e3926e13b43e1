# SPDX-License-Identifier: MIT
"""What the clients of one address, and those of one subject, may have together: connections, subscriptions, topics and keys.
Beyond a limit the client is told which one it is, on every protocol; others have theirs; and what goes makes room.

The gateway believes loopback addresses that they are proxies, so that the clients can come from anywhere.
"""
import json
import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, scratch, until
from tokens import Key
from wire import PING, PONG, Behind, Http, Lines, Sse, WebSocket, ask, frame

ONE, OTHER = "192.0.2.7", "192.0.2.8"
PUBLISHER = "publisher-0123456789"
ADMIN = "admin-0123456789abc"
RETRY = "10"


def words(quota, payer, limit):
    return f"too many {quota} of your {payer}: this server's limit of {quota} per {payer} is {limit}"


def start(*arguments, threads=2):
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as tokens:  # for its owner alone
        tokens.write(f"publish {PUBLISHER}\nadmin {ADMIN}\n")
    return Gateway("--proxy-from", "127.0.0.0/8", "--tokens", tokens.name, "--threads", threads, *arguments)


def limited(gateway):
    """How often each limit was reached; of those that were."""
    http = Http(Behind(gateway.http))
    bearer = [f"Authorization: Bearer {ADMIN}"]

    def read():
        limits = http.ask("GET", "/api/v1/stats", headers=bearer).json()["limits"]
        text = http.ask("GET", "/metrics", headers=bearer).body.decode()
        agree = all(f'fluxbp_gateway_limited_total{{limit="{name}"}} {value}\n' in text for name, value in limits.items())
        return agree and limits

    limits = until("both say the same, as nothing more is limited", read)
    http.close()
    return {name: value for name, value in limits.items() if value > 0}


def lines_of(gateway, client):
    lines = Lines(Behind(gateway.lines, client))
    expect_equal(lines.ask("PING"), "+PONG", f"a client from {client}")
    return lines


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


def token_of(key, subject, **rights):
    return key.token(sub=subject, fluxbp={"subscribe": [">"], "publish": [">"], **rights})


def start_with_keys(key, *arguments):
    return Gateway("--jwt-keys", key.public, "--proxy-from", "127.0.0.0/8", *arguments)


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


def answered(client, count):
    """Waits for so many answers to PING."""
    for _ in range(count):
        expect_equal(client.answer(), "+PONG", "the answer")


def a_client_that_is_too_fast_waits_and_others_do_not():
    """At five a second: fifty at once, and the rest takes the time that it takes."""
    gateway = start("--command-rate", 5)
    fast, other = lines_of(gateway, ONE), lines_of(gateway, ONE)
    fast.send(b"PING\n" * 55)
    answered(fast, 50)
    until("it waits", lambda: limited(gateway).get("commands_per_client", 0) >= 1)
    expect_equal(other.ask("PING"), "+PONG", "another one of the same address")
    answered(fast, 5)
    fast.send(b"PING\n" * 5)
    fast.socket.shutdown(socket.SHUT_WR)
    answered(fast, 5)  # also behind its end
    fast.expect_closed("behind all of it")
    gateway.stop()


def all_of_an_address_have_one_rate():
    gateway = start("--command-rate-per-address", 5)
    one, two, other = (lines_of(gateway, client) for client in (ONE, ONE, OTHER))
    for client in one, two:
        client.send(b"PING\n" * 28)
    other.send(b"PING\n" * 40)
    for client in other, one, two:
        answered(client, 40 if client is other else 28)
    expect_equal(list(limited(gateway)), ["commands_per_address"], "what was reached")
    one.close()
    two.close()
    again = lines_of(gateway, ONE)  # it has the same account
    again.send(b"PING\n" * 40)
    before = limited(gateway)["commands_per_address"]
    answered(again, 40)
    expect(limited(gateway)["commands_per_address"] > before, "an address that comes again had to wait")
    gateway.stop()


def all_of_a_subject_have_one_rate():
    key = Key()
    gateway = start_with_keys(key, "--command-rate-per-subject", 5)
    alice, bob = token_of(key, "alice"), token_of(key, "bob")
    one, two, other = (Lines(Behind(gateway.lines, client)) for client in (ONE, OTHER, OTHER))
    for client, token in (one, alice), (two, alice), (other, bob):
        expect_equal(client.ask(f"AUTH {token}"), "+OK AUTH subscribe publish", "a token")
    for client in one, two:
        client.send(b"PING\n" * 28)
    other.send(b"PING\n" * 40)
    for client in other, one, two:
        answered(client, 40 if client is other else 28)
    gateway.stop()


def requests_and_pings_have_the_rate_too():
    gateway = start("--command-rate", 5)
    http = Http(Behind(gateway.http, ONE))
    http.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 55)
    for _ in range(55):
        expect_equal(http.response().status, 200, "a request")
    before = limited(gateway)["commands_per_client"]
    expect(before >= 1, "the requests had to wait")
    websocket = WebSocket(Behind(gateway.http, ONE))
    websocket.send(b"".join(frame(PING, b"x") for _ in range(55)))
    for _ in range(55):
        expect_equal(websocket.frame(), (PONG, b"x"), "a pong")
    expect(limited(gateway)["commands_per_client"] > before, "the pings had to wait")
    gateway.stop()


def publishing_has_a_rate_of_its_own():
    gateway = start("--publish-rate", 5, "--state", "prices")
    publisher = lines_of(gateway, ONE)
    expect_equal(publisher.ask(f"AUTH {PUBLISHER}"), "+OK AUTH publish", "a publisher")
    publisher.send(b"PUB other x\nSET prices a 1\nUNSET prices a\n" * 18)
    for _ in range(18):
        for verb in "PUB", "SET", "UNSET":
            expect(publisher.answer().startswith(f"+OK {verb} "), verb)
    before = limited(gateway)
    expect_equal(list(before), ["publishes_per_client"], "what was reached")
    http = Http(Behind(gateway.http, OTHER))
    bulk = b'{"topic":"other","data":"x"}\n' * 55
    for _ in range(2):  # the second one waits for what the first has cost
        response = http.ask("POST", "/api/v1/publish", bulk, [f"Authorization: Bearer {PUBLISHER}", "Content-Type: application/x-ndjson"])
        expect_equal((response.status, response.json()["published"]), (200, 55), "a bulk")
    expect(sum(limited(gateway).values()) > before["publishes_per_client"], "the second bulk had to wait")
    gateway.stop()


def publishing_has_no_rate_by_default():
    gateway = start("--command-rate", 1)
    publisher = lines_of(gateway, ONE)
    expect_equal(publisher.ask(f"AUTH {PUBLISHER}"), "+OK AUTH publish", "a publisher")
    publisher.send(b"PUB other x\n" * 2000)
    for _ in range(2000):
        expect(publisher.answer().startswith("+OK PUB "), "a message")
    http = Http(Behind(gateway.http, OTHER))
    for _ in range(100):
        response = http.ask("POST", "/api/v1/publish?topic=other", b"x", [f"Authorization: Bearer {PUBLISHER}"])
        expect_equal(response.status, 200, "by HTTP")
    expect_equal(limited(gateway), {}, "what was reached")
    gateway.stop()


def fill(gateway, count, size=1):
    """So many messages on the topic `past`, m1 to mCOUNT, with a tail of so many bytes."""
    bulk = "".join(json.dumps({"topic": "past", "data": f"m{i} {'x' * size}"}) + "\n" for i in range(1, count + 1)).encode()
    response = ask(Behind(gateway.http, OTHER), "POST", "/api/v1/publish", bulk,
                   [f"Authorization: Bearer {PUBLISHER}", "Content-Type: application/x-ndjson"])
    expect_equal((response.status, response.json()["published"]), (200, count), "the past")


def reader(gateway, client):
    lines = lines_of(gateway, client)
    expect_equal(lines.ask("UNSUB news"), "+OK UNSUB news", "it reads")
    expect_equal(lines.ask("SUB past"), "+OK SUB past", "the past alone")
    return lines


def expect_replayed(lines, count):
    while (line := lines.line()).startswith("m"):  # of the replay before
        pass
    expect(line.startswith("+OK RESUMED "), line)
    for i in range(1, count + 1):
        line = lines.line()
        expect(line.startswith(f"m{i} "), f"{line} instead of m{i}")


def a_resume_costs_what_it_replays():
    """At ten a second, sixty messages cost six seconds, of which a client has ten: two resumes leave it in debt."""
    gateway = start("--replay-rate", 10, threads=1)
    fill(gateway, 60)
    greedy, other = reader(gateway, ONE), reader(gateway, ONE)
    greedy.say("RESUME oldest")
    since = greedy.line().split(" ")[2]
    greedy.send(f"RESUME {since}\nRESUME {since}\nPING\n".encode())
    until("it waits", lambda: limited(gateway).get("replays_per_client") == 1)
    other.say("RESUME oldest")
    expect_replayed(other, 60)  # of the same address, which has no debt
    expect_replayed(greedy, 0)
    expect_replayed(greedy, 60)
    expect_equal(greedy.line(), "+PONG", "what came behind is done behind")
    expect_equal(list(limited(gateway)), ["replays_per_client"], "what was reached")
    gateway.stop()


def bytes_cost_too():
    gateway = start("--replay-bytes", "1K", threads=1)
    fill(gateway, 15, size=1000)
    greedy = reader(gateway, ONE)
    greedy.send(b"RESUME oldest\nRESUME last=1\n")
    expect_replayed(greedy, 0)
    until("it waits", lambda: limited(gateway) == {"replays_per_client": 1})
    expect(greedy.line().startswith("m1 "), "the first replay")
    while not greedy.line().startswith("+OK RESUMED "):
        pass
    expect(greedy.line().startswith("m15 "), "the last one of the second")
    gateway.stop()


def an_address_and_a_subject_have_one_rate_of_replays():
    gateway = start("--replay-rate-per-address", 10, threads=2)
    fill(gateway, 60)
    for _ in range(2):
        client = reader(gateway, ONE)
        client.say("RESUME oldest")
        expect_replayed(client, 60)
        client.close()
    address = Behind(gateway.http, ONE)
    waiting = [Sse(address, "/sse?topic=past&since=oldest"), WebSocket(address, "/ws?topic=past&since=oldest")]
    until("both wait", lambda: limited(gateway) == {"replays_per_address": 2})
    other = reader(gateway, OTHER)
    other.say("RESUME oldest")
    expect_replayed(other, 60)
    expect_equal(waiting[0].event().name, "resumed", "the event stream")
    for i in range(1, 61):
        expect(waiting[0].event().data.startswith(f"m{i} "), "its past")
    expect(json.loads(waiting[1].frame()[1])["resumed"], "the WebSocket")
    gateway.stop()
    key = Key()
    gateway = start_with_keys(key, "--replay-rate-per-subject", 10)
    alice = token_of(key, "alice")
    bulk = b'{"topic":"past","data":"m1 x"}\n' * 60
    ask(Behind(gateway.http, ONE), "POST", "/api/v1/publish", bulk,
        [f"Authorization: Bearer {alice}", "Content-Type: application/x-ndjson"])
    for client in (ONE, OTHER, ONE):
        sse = Sse(Behind(gateway.http, client), f"/sse?topic=past&since=oldest&token={alice}")
        expect_equal(sse.event().name, "resumed", "an event stream of Alice's")
        sse.close()
    gateway.stop()


def a_storm_of_one_address_holds_up_no_other():
    """The thread replays ten messages a second, and each replay has thirty: of the crowd of one address, which came first, one has
    its turn before the other address, and the rest after that."""
    gateway = start("--replay-rate-per-thread", 10, "--replay-rate-per-address", 10, threads=1)
    fill(gateway, 30)
    first, other = reader(gateway, "192.0.2.9"), reader(gateway, OTHER)
    crowd = [reader(gateway, ONE) for _ in range(4)]
    first.say("RESUME oldest")
    expect_replayed(first, 30)
    for client in crowd:
        client.send(b"RESUME oldest\nPING\n")
    until("they wait", lambda: limited(gateway) == {"replays_per_thread": 4})
    other.say("RESUME oldest")
    expect_replayed(other, 30)
    had_turns = 0
    for client in crowd:
        client.socket.settimeout(0)
        try:
            data = client.socket.recv(65536)
            expect(data.startswith(b"+OK RESUMED "), f"what comes behind a resume is not done before: {data[:40]}")
            expect(b"+PONG" in data, "but then")
            had_turns += 1
        except BlockingIOError:
            pass
    expect_equal(had_turns, 1, "those of the crowd that were before the other address")
    gateway.stop()


if __name__ == "__main__":
    run(an_address_has_so_many_connections, ipv6_counts_by_its_prefix, loopback_has_no_limits,
        a_crowd_beyond_the_limit_is_not_told, an_address_has_so_many_subscriptions,
        an_address_pays_for_the_topics_that_it_makes, an_address_has_so_many_keys,
        a_subject_has_so_many_connections_from_anywhere, what_a_subject_has_goes_with_it,
        a_client_that_is_too_fast_waits_and_others_do_not, all_of_an_address_have_one_rate, all_of_a_subject_have_one_rate,
        requests_and_pings_have_the_rate_too, publishing_has_a_rate_of_its_own, publishing_has_no_rate_by_default,
        a_resume_costs_what_it_replays, bytes_cost_too, an_address_and_a_subject_have_one_rate_of_replays,
        a_storm_of_one_address_holds_up_no_other)
