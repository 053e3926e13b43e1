# SPDX-License-Identifier: MIT
"""State topics by every door: a key too many is an error at once, and no subscriber notices; a value is taken back, by
somebody or for its age, and every subscriber is told in its format; with a backbone the same, and keys of any text.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from nats_server import NatsServer
from wire import Frames, Http, Lines, Sse, WebSocket, ask

NDJSON = ["Content-Type: application/x-ndjson"]
FULL = re.compile("as many keys as it may have.*limit of keys per state topic")


def post(at, key, data="x", topic="prices"):
    return ask(at.http, "POST", f"/api/v1/publish?topic={topic}&key={key}", data.encode())


def delete(at, key, topic="prices"):
    return ask(at.http, "DELETE", f"/api/v1/state?topic={topic}&key={key}")


def metric(at, name):
    return int(re.search(rf"^{re.escape(name)} (\d+)$", ask(at.http, "GET", "/metrics").body.decode(), re.M).group(1))


def newcomer(at, topic="prices"):
    """A client, and what it was sent before the answer to its first command, as {key: value}; more may come."""
    client = WebSocket(at.http, f"/ws?topic={topic}&format=json")
    client.say("PING")
    values = {}
    while True:
        got = json.loads(client.text())
        if "ok" in got:
            return client, values
        if "data" in got:
            values[got["key"]] = got["data"]


def values_of(at, wanted, topic="prices"):
    """Waits until a newcomer gets these."""
    def are_there():
        client, values = newcomer(at, topic)
        try:
            while len(values) < len(wanted):
                got = json.loads(client.text())
                if "data" in got:
                    values[got["key"]] = got["data"]
        finally:
            client.close()
        return values == wanted
    until(f"newcomers get {wanted}", are_there)


def expect_full(response):
    expect_equal(response.status, 503, "a key too many")
    expect(FULL.search(response.json()["error"]), f"it says what to do: {response.json()}")
    expect("retry-after" not in response.headers, "it is no use to try again")


def a_key_too_many_is_refused_and_is_no_gap():
    at = Gateway("--state", "prices", "--state-keys", 3, "--threads", 2)
    lines, sse = Lines(at.lines), Sse(at.http, "/sse?topic=prices")
    lines.ask("UNSUB news")
    expect_equal(lines.ask("SUB prices"), "+OK SUB prices", "SUB")
    for key in "abc":
        expect_equal(post(at, key).status, 200, "a key that fits")
    expect_full(post(at, "d"))
    expect_full(post(at, "e"))
    expect(FULL.search(lines.ask("SET prices d x")), "SET")
    client = WebSocket(at.http, "/ws?topic=news")
    answer = client.ask_command("SET prices d x")
    expect(answer.startswith("-ERR") and FULL.search(answer) and "try again" not in answer, f"WebSocket: {answer}")
    bulk = "\n".join(json.dumps({"topic": "prices", "key": key, "data": "y"}) for key in "ade")
    answer = ask(at.http, "POST", "/api/v1/publish", bulk.encode(), NDJSON)
    expect_full(answer)
    expect_equal((answer.json()["line"], answer.json()["published"]), (2, 1), "a bulk")
    expect_equal(post(at, "a", "last").status, 200, "a key that is there")
    expect_equal([sse.event().data for _ in range(5)], ["x", "x", "x", "y", "last"], "SSE has no gap")
    rest = lines.ask("PING")
    expect_equal(rest, "+PONG", "lines have no gap")
    expect_equal(metric(at, "fluxbp_gateway_state_refused_total"), 5, "counted")
    expect_equal(metric(at, 'fluxbp_gateway_state_keys{topic="prices"}'), 3, "keys")
    expect_equal((metric(at, "fluxbp_gaps_total"), metric(at, "fluxbp_messages_unkept_total")), (0, 0), "no gap")
    stats = ask(at.http, "GET", "/api/v1/stats").json()
    expect_equal(stats["state_topics"], [{"topic": "prices", "keys": 3, "limit": 3}], "stats")
    at.stop()


def every_format_is_told_of_what_is_taken_back():
    at = Gateway("--state", "prices", "--state-keys", 2, "--tcp-length", "127.0.0.1:0", "--threads", 2)
    readers = {"lines": Lines(at.lines), "lines with ids": Lines(at.lines), "frames": Frames(at.frames),
               "websocket": WebSocket(at.http, "/ws?topic=prices"),
               "json": WebSocket(at.http, "/ws?topic=prices&format=json")}
    sse, sse_json = Sse(at.http, "/sse?topic=prices"), Sse(at.http, "/sse?topic=prices&format=json")
    for name in ("lines", "lines with ids", "frames"):
        readers[name].ask("UNSUB news")
        readers[name].ask("SUB prices")
    readers["lines with ids"].ask("IDS")
    expect_equal(post(at, "gold", "7").status, 200, "POST")
    expect_equal(post(at, "a%22b", "8").status, 200, "POST")
    publisher = Lines(at.lines)
    expect(publisher.ask("UNSET prices gold").startswith("+OK UNSET "), "UNSET")
    answer = delete(at, "a%22b")
    expect_equal((answer.status, list(answer.json())), (200, ["id"]), "DELETE")
    for name in ("lines", "frames", "websocket"):
        next_one = readers[name].text if name == "websocket" else readers[name].line
        expect_equal([next_one() for _ in range(4)],
                     ["7", "8", '{"unset":{"topic":"prices","key":"gold"}}',
                      '{"unset":{"topic":"prices","key":"a\\"b"}}'], name)
    expect_equal([readers["lines with ids"].line() for _ in range(3)],
                 ["- prices 7", "- prices 8", '{"unset":{"topic":"prices","key":"gold"}}'], "lines with ids")
    expect_equal([json.loads(readers["json"].text()) for _ in range(4)],
                 [{"topic": "prices", "key": "gold", "data": "7"}, {"topic": "prices", "key": 'a"b', "data": "8"},
                  {"topic": "prices", "key": "gold", "unset": True},
                  {"topic": "prices", "key": 'a"b', "unset": True}], "json")
    for stream in (sse, sse_json):
        stream.event()
        stream.event()
        event = stream.event()
        expect_equal((event.name, event.json()), ("unset", {"topic": "prices", "key": "gold", "unset": True}), "SSE")
    values_of(at, {})
    expect_equal([post(at, key).status for key in "xyz"], [200, 200, 503], "there is room again")
    bulk = ask(at.http, "POST", "/api/v1/publish",
               b'{"topic":"prices","key":"x","unset":true}\n{"topic":"prices","key":"z","data":"1"}', NDJSON)
    expect_equal((bulk.status, bulk.json()["published"]), (200, 2), "a bulk")
    values_of(at, {"y": "x", "z": "1"})
    client, _ = newcomer(at, "other")
    client.say("UNSET prices y")
    until("it is answered in JSON", lambda: list(json.loads(client.text()).items())[0] == ("ok", "UNSET"))
    at.stop()


def what_is_wrong_is_said():
    at = Gateway("--state", "prices", trusts_loopback=False)
    expect_equal(delete(at, "x").status, 401, "DELETE takes a token")
    expect(Lines(at.lines).ask("UNSET prices x").startswith("-ERR UNSET takes a token"), "UNSET takes a token")
    at.stop()
    at = Gateway("--state", "prices")
    http = Http(at.http)
    for query, word in (("", "DELETE /api/v1/state"), ("topic=prices", "give the key"), ("topic=news&key=x", "keys are for"),
                        ("topic=news", "only values of a state topic"), ("topic=prices&key=" + "k" * 65, "1 to 64"),
                        ("topic=no%2Fname&key=x", "a topic is")):
        answer = http.ask("DELETE", "/api/v1/state?" + query)
        expect_equal(answer.status, 400, query)
        expect(word in answer.json()["error"], f"{query}: {answer.json()}")
    answer = http.ask("GET", "/api/v1/state?topic=prices&key=x")
    expect_equal((answer.status, answer.headers["allow"]), (405, "DELETE"), "GET")
    client = Lines(at.lines)
    for command in ("UNSET", "UNSET prices", "UNSET prices a b", "UNSET news x"):
        expect(client.ask(command).startswith("-ERR"), command)
    bad = ask(at.http, "POST", "/api/v1/publish", b'{"topic":"prices","key":"x","unset":true,"data":"1"}', NDJSON)
    expect_equal(bad.status, 400, "unset with data")
    expect(client.ask("UNSET prices nothing").startswith("+OK UNSET"), "a key that isn't there")
    at.stop()


def values_expire():
    at = Gateway("--state", "prices", "--state-age", 500, "--ping", 0, "--threads", 2)
    sse = Sse(at.http, "/sse?topic=prices&format=json")
    expect_equal(post(at, "gold", "7").status, 200, "POST")
    expect_equal(sse.event().json()["data"], "7", "the value")
    event = sse.event()
    expect_equal((event.name, event.json()["key"]), ("unset", "gold"), "its end")
    values_of(at, {})
    expect_equal(metric(at, "fluxbp_gateway_state_expired_total"), 1, "counted")
    expect_equal(metric(at, 'fluxbp_gateway_state_keys{topic="prices"}'), 0, "keys")
    at.stop()


def values_that_fill_the_memory_are_named():
    at = Gateway("--state", "prices", "--state-keys", 2000, "--budget", "1M", "--max-message", "4K", "--ring-bytes", "8K")
    http = Http(at.http)
    ask_post = lambda number: http.ask("POST", f"/api/v1/publish?topic=prices&key={number}", b"x" * 4000)
    number = 0
    while (answer := ask_post(number)).status == 200:
        number += 1
    expect_equal(answer.status, 503, "full")
    expect("values of state topics fill the memory" in answer.json()["error"], f"what to do: {answer.json()}")
    expect("retry-after" not in answer.headers, "it is no use to try again")
    answer = http.ask("POST", "/api/v1/publish?topic=news", b"x" * 4000)
    expect("values of state topics" in answer.json()["error"], "the same on other topics")
    expect("values of state topics" in Lines(at.lines).ask("SET prices k " + "x" * 4000), "SET")
    for taken in range(number // 2):
        expect_equal(http.ask("DELETE", f"/api/v1/state?topic=prices&key={taken}").status, 200, "DELETE")
    until("there is room again", lambda: ask_post(0).status == 200)
    at.stop()


def two_behind_one(*arguments, stream=False):
    server = NatsServer()
    if stream:
        server.make_stream("NEWS", "fluxbp.>")
    options = ["--nats", server.url, "--state", "prices", *(["--jetstream", "NEWS"] if stream else []), *arguments]
    gateways = [Gateway(*options), Gateway(*options)]
    for at, other in (gateways, gateways[::-1]):
        until("it is ready", lambda: ask(at.http, "GET", "/readyz").status == 200)
        if not stream:  # there is no past: wait until it has subscribed
            until("it gets what the other sends", lambda: ask(other.http, "POST", "/api/v1/publish?topic=news", b"x") and
                  metric(at, "fluxbp_backbone_received_total") > 0)
    return server, gateways


def behind_a_backbone(stream):
    server, (one, other) = two_behind_one("--state-keys", 3, stream=stream)
    watcher = Sse(other.http, "/sse?topic=prices&format=json")
    keys = ["%20", "x", "%20x", "x%09", "a%0D%0AFluxbp-Key:%20b"]
    for key in keys[:3]:
        expect_equal(post(one, key, key).status, 200, key)
    expect_equal([(watcher.event().json()["key"]) for _ in range(3)], [" ", "x", " x"], "each is a key of its own")
    expect_full(post(one, keys[3]))
    until("the other has them", lambda: metric(other, 'fluxbp_gateway_state_keys{topic="prices"}') == 3)
    expect_full(post(other, keys[3]))
    expect_equal(delete(other, keys[0]).status, 200, "DELETE")
    event = watcher.event()
    expect_equal((event.name, event.json()), ("unset", {"topic": "prices", "key": " ", "unset": True}), "taken back")
    until("it is gone", lambda: metric(one, 'fluxbp_gateway_state_keys{topic="prices"}') == 2)
    expect_equal(post(one, keys[4], "5").status, 200, "there is room again")
    expect_equal(watcher.event().json()["key"], "a\r\nFluxbp-Key: b", "a key of two lines")

    # a program that knows of no limit
    nats = server.connect()
    for number in range(5):
        nats.publish("fluxbp.prices", b"too many", [f"Fluxbp-Key=more {number}"])
    nats.publish("fluxbp.prices", b"last", ["Fluxbp-Key=x"])
    nats.publish("fluxbp.prices", b"", ["Fluxbp-Key=%20x"])
    nats.flush()
    expect_equal(watcher.event().json(), {"topic": "prices", "key": "x", "data": "last"}, "no gap")
    expect_equal(watcher.event().json(), {"topic": "prices", "key": " x", "unset": True}, "a message without a byte")
    for at in (one, other):
        until("it is counted", lambda: metric(at, "fluxbp_gateway_state_refused_total") >= 5)
        at.wait_for_log("event=backbone_rejected subject=fluxbp.prices.*keys per state topic")
        expect_equal((metric(at, "fluxbp_gaps_total"), metric(at, "fluxbp_messages_unkept_total")), (0, 0), "no gap")
        values_of(at, {"x": "last", "a\r\nFluxbp-Key: b": "5"})
        at.stop()


def behind_NATS():
    behind_a_backbone(False)


def behind_JetStream():
    behind_a_backbone(True)


def a_burst_of_keys_to_a_stream_is_refused_before_it_is_sent():
    server, (one, other) = two_behind_one("--state-keys", 3, stream=True)
    client = Lines(one.lines)
    client.ask("UNSUB news")
    server.stall()
    client.say("\n".join(f"SET prices k{number} x" for number in range(6)))
    until("three are refused", lambda: metric(one, "fluxbp_gateway_state_refused_total") == 3)
    server.resume()
    answers = [client.answer() for _ in range(6)]
    expect_equal([answer.startswith("+OK SET ") for answer in answers], [True] * 3 + [False] * 3, "answers")
    values_of(other, {"k0": "x", "k1": "x", "k2": "x"})
    expect_equal(list(server.messages("NEWS").values()), ["x"] * 3, "the stream")
    one.stop()
    other.stop()


run(a_key_too_many_is_refused_and_is_no_gap,
    every_format_is_told_of_what_is_taken_back,
    what_is_wrong_is_said,
    values_expire,
    values_that_fill_the_memory_are_named,
    behind_NATS,
    behind_JetStream,
    a_burst_of_keys_to_a_stream_is_refused_before_it_is_sent)
