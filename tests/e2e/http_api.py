# SPDX-License-Identifier: MIT
"""The HTTP of the gateway over real sockets: every route, what is refused and how, and connections that are kept."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import STALLED_RCVBUF, Http, Lines, Sse, WebSocket, ask

ID = re.compile(r"^[0-9a-f]{16}:\d+$")
NDJSON = ["Content-Type: application/x-ndjson"]


def expect_shape(got, wanted, where="answer"):
    """`wanted` has a type, a literal, or the same of what is in it; a list has one shape for all of its elements."""
    if isinstance(wanted, dict):
        expect_equal(sorted(got), sorted(wanted), where)
        for name, shape in wanted.items():
            expect_shape(got[name], shape, f"{where}.{name}")
    elif isinstance(wanted, list):
        expect(isinstance(got, list), f"{where} is no list but {got!r}")
        for element in got:
            expect_shape(element, wanted[0], f"{where}[]")
    elif isinstance(wanted, type):
        expect(type(got) is wanted or (wanted is float and type(got) is int), f"{where} is {got!r}")
    elif isinstance(wanted, re.Pattern):
        expect(wanted.search(got), f"{where} is {got!r}")
    else:
        expect_equal(got, wanted, where)


COUNTERS = """published accepted written written_at_once dropped conflated discarded queued written_bytes received_bytes
    writes refusals gaps opened closed refused_connections publish_refused late_messages wrong_tokens slowed_tokens
    state_refused state_expired compressed_messages compressed_plain_bytes compressed_bytes""".split()
REASONS = "stalled slow lag overflow budget unreachable soft_limit admin".split()
POLICY = dict(slots=int, ring_bytes=int, high=int, low=int, overflow=str, stall_ms=int, slow_ms=int, lag_ms=int,
              soft_bytes=int, soft_ms=int, grace_ms=int, shadow=bool)
QUOTAS, RATES = ["connections", "subscriptions", "topics", "keys"], ["commands", "publishes", "replays"]
PAYERS = ["address", "subject", "client"]
SNAPSHOT = dict(
    time=float,
    gateway=dict(version=str, threads=int, uptime_s=float, state="ready"),
    connections=dict(total=int, healthy=int, backpressured=int, stalled=int, limit=int,
                     protocols=dict(lines=int, length=int, websocket=int, sse=int)),
    counters={name: int for name in COUNTERS} | dict(not_allowed=dict(subscribe=int, publish=int, admin=int)),
    write_success_rate=float,
    evictions={reason: int for reason in REASONS},
    limits={f"{limit}_per_{payer}": int for limit in QUOTAS + RATES for payer in PAYERS if payer != "client" or limit in RATES} | {"replays_per_thread": int},
    memory=dict(used_bytes=int, peak_bytes=int, budget_bytes=int, allocator_calls=int, queued_bytes=int,
                kernel_bytes=int, input_bytes=int, input_limit_bytes=int, input_refused=int),
    broadcast=dict(count=int, p50_us=int, p99_us=int, p999_us=int, max_us=int),
    bus=dict(lag=int, slots=int, newest=ID, oldest_since=ID),
    state_topics=[dict(topic=str, keys=int, limit=int)],
    is_crowd_slow=bool,
    policy=POLICY,
    policy_change=type(None))
CONNECTION = dict(id=int, cell=int, peer=re.compile(r"^127\.0\.0\.1:\d+$"), protocol=str, compressed=bool, name=str, topics=[str],
                  age_ms=int, fill_percent=int, queued=int, queued_bytes=int, oldest_ms=int, dropped=int, written=int,
                  topic_count=int, last_id=int, since_progress_ms=int, backpressured_ms=int, unanswered_ms=int,
                  kernel_bytes=int, nearest=str, used_ms=int, limit_ms=int, put_off=str, state=str, cause=str)
EVICTION = dict(n=int, time=float, id=int, cell=int, peer=str, protocol=str, name=str, reason=str, cause=str, by=type(None),
                since_progress_ms=int, backpressured_ms=int, oldest_ms=int, queued=int, queued_bytes=int, dropped=int,
                unanswered_ms=int, kernel_bytes=int, last_id=int, is_shadow=bool)


def connections(gateway, query=""):
    return ask(gateway.http, "GET", "/api/v1/connections?" + query).json()["connections"]


def publish(http, topic, body, headers=()):
    return http.ask("POST", f"/api/v1/publish?topic={topic}", body, headers)


def every_route_answers_in_its_form():
    gateway = Gateway("--state", "prices", "--threads", 2)
    sse = Sse(gateway.http, "/sse?topic=news,sport&name=n1")
    lines = Lines(gateway.lines)
    websocket = WebSocket(gateway.http, "/ws?topic=prices")
    until("all are counted", lambda: len(connections(gateway)) == 3)
    http = Http(gateway.http)

    for path, body, kind in (("/livez", b"ok\n", "text/plain"), ("/readyz", b"ready\n", "text/plain"),
                             ("/", None, "text/html")):
        response = http.ask("GET", path)
        expect_equal(response.status, 200, path)
        expect(response.headers["content-type"].startswith(kind), response.headers)
        expect(body is None or response.body == body, response.body)
        expect_equal(response.headers["x-content-type-options"], "nosniff", path)
        expect_equal(response.headers["content-security-policy"], "default-src 'self'", path)

    expect_shape(publish(http, "news", b"hello").json(), dict(id=ID))
    response = http.ask("POST", "/api/v1/publish?topic=prices&key=EUR%2FUSD", b"1.08")
    expect_shape(response.json(), dict(id=ID))
    expect_shape(http.ask("GET", "/api/v1/stats").json(), SNAPSHOT)
    listed = http.ask("GET", "/api/v1/connections?sort=id").json()
    expect_shape(listed, dict(connections=[CONNECTION]))
    by_protocol = {connection["protocol"]: connection for connection in listed["connections"]}
    expect_equal(sorted(by_protocol), ["lines", "sse", "websocket"], "protocols")
    expect_equal(by_protocol["sse"]["topics"], ["news", "sport"], "topics")
    expect_equal(by_protocol["sse"]["name"], "n1", "name")
    expect_equal(len({connection["id"] for connection in by_protocol.values()}), 3, "different ids")
    for sort in ("lag", "fill", "bytes", "id"):
        expect_equal(len(connections(gateway, f"sort={sort}&limit=2")), 2, f"limit, sorted by {sort}")
    for connection in by_protocol.values():
        for key in ("id", "cell"):
            found = connections(gateway, f"{key}={connection[key]}")
            expect_equal([each["id"] for each in found], [connection["id"]], f"the one of that {key}")
    expect_equal(connections(gateway, "id=999999"), [], "an id that nobody has")
    expect_shape(http.ask("GET", "/api/v1/evictions").json(), dict(evictions=[EVICTION]))
    expect_shape(http.ask("GET", "/api/v1/policy").json(), POLICY)
    expect_equal(sse.event().data, "hello", "what was published")
    expect_equal(lines.line(), "hello", "what was published")
    expect_equal(websocket.text(), "1.08", "what was published")
    gateway.stop()


def what_is_wrong_is_refused_with_its_status():
    gateway = Gateway("--max-message", "1K", "--max-body", "8K", "--state", "prices")
    long_line = json.dumps(dict(topic="news", data="x" * 1025)).encode()
    cases = [
        ("GET", "/nothing", b"", [], 404),
        ("GET", "/api/v1/connections/x/evict", b"", [], 404),
        ("GET", "/api/v1/publish", b"", [], 405),
        ("POST", "/sse", b"", [], 405),
        ("DELETE", "/api/v1/policy", b"", [], 405),
        ("GET", "/livez", b"", ["Host: attacker.example"], 403),
        ("GET", "/livez", b"", ["Origin: http://attacker.example"], 403),
        ("GET", "/sse", b"", ["Origin: null"], 403),
        ("GET", "/sse?topic=no%2Fname", b"", [], 400),
        ("GET", "/sse?topic=" + ",".join(f"t{i}" for i in range(257)), b"", [], 400),
        ("GET", "/sse?format=xml", b"", [], 400),
        ("GET", "/sse?since=yesterday", b"", [], 400),
        ("GET", "/sse?name=" + "n" * 65, b"", [], 400),
        ("GET", "/sse?topics=news", b"", [], 400),
        ("GET", "/sse?since=0123456789abcdef:1&since=0123456789abcdef:2", b"", [], 400),
        ("GET", "/sse?" + "&".join(f"topic=t{i}" for i in range(257)), b"", [], 400),
        ("GET", "/ws?topics=news", b"", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                         "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="], 400),
        ("POST", "/api/v1/publish?topic=news&topic=sport", b"x", [], 400),
        ("POST", "/api/v1/publish?topic=news&id=7", b"x", [], 400),
        ("GET", "/readyz?verbose", b"", [], 400),
        ("GET", "/api/v1/connections?sorted=lag", b"", [], 400),
        ("GET", "/ws", b"", [], 400),
        ("GET", "/ws", b"", ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
                             "Sec-WebSocket-Version: 12"], 426),
        ("POST", "/api/v1/publish", b"x", [], 400),
        ("POST", "/api/v1/publish?topic=news", b"", [], 400),
        ("POST", "/api/v1/publish?topic=news&key=k", b"x", [], 400),
        ("POST", "/api/v1/publish?topic=prices", b"x", [], 400),
        ("POST", "/api/v1/publish?topic=prices&key=" + "k" * 65, b"x", [], 400),
        ("POST", "/api/v1/publish?topic=prices&key=k", b"a\nb", [], 400),
        ("POST", "/api/v1/publish?topic=news", b"x" * 1025, [], 413),
        ("POST", "/api/v1/publish?topic=news", b"x" * 8193, [], 413),
        ("POST", "/api/v1/publish", long_line, NDJSON, 413),
        ("GET", "/livez", b"", ["X: " + "x" * 9000], 431),
        ("GET", "/livez", b"", [f"X{i}: x" for i in range(65)], 431),
        ("GET", "/" + "x" * 9000, b"", [], 414),
        ("GET", "/livez", b"", ["Transfer-Encoding: chunked", "Content-Length: 1"], 400),
        ("GET", "/api/v1/connections?sort=age", b"", [], 400),
        ("GET", "/api/v1/connections?limit=0", b"", [], 400),
        ("GET", "/api/v1/connections?limit=201", b"", [], 400),
        ("GET", "/api/v1/connections?id=x", b"", [], 400),
        ("GET", "/api/v1/evictions?limit=257", b"", [], 400),
        ("POST", "/api/v1/connections/7/evict", b"", [], 404),
        ("POST", "/api/v1/connections/99999999999999999999999999/evict", b"", [], 404),
        ("POST", "/api/v1/policy", b"", [], 400),
        ("POST", "/api/v1/policy", b"[]", [], 400),
        ("POST", "/api/v1/policy", b'{"stall_ms": "soon"}', [], 400),
        ("POST", "/api/v1/policy", b'{"stall_ms": 1, "no_setting": 1}', [], 400),
        ("POST", "/api/v1/policy", b'{"stall_ms": 1, "high": 20}', [], 400),
        ("POST", "/api/v1/policy", b'{"stall_ms": 1, "slots": -1}', [], 400),
    ]
    before = ask(gateway.http, "GET", "/api/v1/policy").json()
    for method, path, body, headers, status in cases:
        response = ask(gateway.http, method, path, body, headers)
        case = f"{method} {path[:60]} {headers}"[:140]
        expect_equal(response.status, status, case)
        expect_shape(response.json()["error"], str, case)
        expect(status != 405 or response.headers["allow"], f"no Allow: {case}")
    expect_equal(ask(gateway.http, "POST", "/sse").headers["allow"], "GET", "Allow")
    expect_equal(ask(gateway.http, "GET", "/api/v1/policy").json(), before, "the policy after wrong changes")
    expect_equal(ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]["published"], 0, "published")
    gateway.stop()


def an_unknown_parameter_is_named():
    gateway = Gateway()
    wanted = "there is no query parameter 'topics' here; there are: topic, "
    expect(ask(gateway.http, "GET", "/sse?topics=b").json()["error"].startswith(wanted), "SSE")
    expect_equal(ask(gateway.http, "GET", "/livez?_=1764000000&_cache=no").status, 200, "a name that begins with _")
    expect_equal(ask(gateway.http, "GET", "/?utm_source=mail").status, 200, "the page, which takes none")
    gateway.stop()


def head_is_get_without_the_body():
    gateway = Gateway()
    http = Http(gateway.http)
    for path in ("/", "/livez", "/api/v1/policy", "/api/v1/evictions"):
        get, head = http.ask("GET", path), http.ask("HEAD", path)
        expect_equal(head.status, get.status, path)
        expect_equal(head.headers["content-length"], str(len(get.body)), path)
    for path in ("/metrics", "/api/v1/stats", "/api/v1/connections"):
        expect_equal(http.ask("HEAD", path).status, 200, path)
    expect_equal(http.ask("HEAD", "/nothing").status, 404, "HEAD /nothing")
    for path in ("/sse", "/ws", "/api/v1/watch"):  # whose answers have no end
        expect_equal(http.ask("HEAD", path).status, 405, path)
    expect_equal(http.ask("GET", "/livez").body, b"ok\n", "the next request on the connection")
    expect_equal(connections(gateway), [], "subscribers")
    gateway.stop()


def requests_on_one_connection_are_answered_in_order():
    gateway = Gateway("--threads", 2)
    http = Http(gateway.http)
    # the second and third wait for an answer that comes from other threads, the others' answers are known at once
    paths = ["/livez", "/api/v1/stats", "/metrics", "/readyz", "/nothing", "/api/v1/policy", "/livez"]
    text = "".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths * 20).encode()
    for piece in (len(text), 1000, 7):
        for start in range(0, len(text), piece):
            http.send(text[start:start + piece])
        for path in paths * 20:
            response = http.response()
            expect_equal(response.status, 404 if path == "/nothing" else 200, path)
            if path == "/livez":
                expect_equal(response.body, b"ok\n", path)
            elif path == "/metrics":
                expect(response.body.startswith(b"# HELP"), response.body[:80])
            elif path == "/api/v1/stats":
                expect_shape(response.json(), SNAPSHOT)
    expect_equal(http.ask("GET", "/livez", headers=["Connection: close"]).headers["connection"], "close", "close")
    http.expect_closed("after the last answer")
    gateway.stop()


def a_client_that_goes_before_its_answer_is_no_harm():
    gateway = Gateway("--threads", 2)
    for _ in range(100):
        http = Http(gateway.http)
        http.send(b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        http.close()
    expect_equal(ask(gateway.http, "GET", "/api/v1/stats").status, 200, "afterwards")
    gateway.stop()


def who_sends_no_more_still_gets_its_answers():
    gateway = Gateway()
    paths = ["/api/v1/stats", "/metrics", "/livez", "/api/v1/connections", "/api/v1/stats"]
    for count in range(1, len(paths) + 1):
        client = Http(gateway.http)
        for path in paths[:count]:
            client.send_request("GET", path)
        client.socket.shutdown(socket.SHUT_WR)
        expect_equal([client.response().status for _ in range(count)], [200] * count, f"the first {count}")
        client.expect_closed("what comes behind the last answer")
    gateway.stop()


def also_those_that_it_has_yet_to_make_room_for():
    gateway = Gateway("--threads", 1, "--handshake", 40000)
    client = Http(gateway.http, STALLED_RCVBUF)
    for _ in range(300):
        client.send_request("GET", "/metrics")
    client.socket.shutdown(socket.SHUT_WR)
    until("it is backpressured", lambda: b"\nfluxbp_connections_backpressured 1\n" in ask(gateway.http, "GET", "/metrics").body)
    expect_equal([client.response().status for _ in range(300)], [200] * 300, "the answers")
    client.expect_closed("what comes behind the last answer")
    gateway.stop()


def a_body_is_asked_for_once_it_may_come():
    gateway = Gateway("--max-message", "8K", "--max-body", "8K")
    http = Http(gateway.http)
    head = (b"POST /api/v1/publish?topic=news HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n")
    http.send(head % 5)
    expect_equal(http.response().status, 100, "before the body")
    http.send(b"hello")
    expect_equal(http.response().status, 200, "behind the body")
    http.send(head % 8193)
    expect_equal(http.response().status, 413, "a body that is too long")
    http.expect_closed("nobody knows where the next request begins")
    gateway.stop()


def many_messages_are_published_up_to_the_one_that_is_wrong():
    gateway = Gateway()
    lines = Lines(gateway.lines)
    http = Http(gateway.http)

    def bulk(*texts):
        return http.ask("POST", "/api/v1/publish", "\n".join(texts).encode(), NDJSON)

    expect_equal(lines.ask("PING"), "+PONG", "subscribed")
    good = '{"topic":"news","data":"m%d"}'
    response = bulk(good % 1, "", '{"topic":"news","base64":"AP8="}', good % 3, "")
    expect_equal(response.status, 200, "a good one")
    expect_shape(response.json(), dict(published=3, id=ID))
    for wrong, status in (("no json", 400), ("[]", 400), ('{"data":"x"}', 400), ('{"topic":"news"}', 400),
                          ('{"topic":"a/b","data":"x"}', 400), ('{"topic":"news","data":""}', 400),
                          ('{"topic":"news","data":"x","base64":"eA=="}', 400), ('{"topic":"news","base64":"e"}', 400),
                          ('{"topic":"news","data":"x","key":"k"}', 400), ('{"topic":"news","data":7}', 400),
                          ('{"topic":"news","data":"%s"}' % ("x" * 65537), 413)):
        response = bulk(good % 4, good % 5, "", wrong, good % 6)
        expect_equal(response.status, status, wrong[:60])
        expect_shape(response.json(), dict(error=str, line=4, published=2))
    expect_equal(bulk("").status, 400, "an empty body")
    expect_equal([lines.line() for _ in range(5)], ["m1", "\0\udcff", "m3", "m4", "m5"], "what was published")
    other = '{"topic":"other","data":"x"}'
    response = bulk(*[other] * 1000)
    expect_equal((response.status, response.json()["published"]), (200, 1000), "as many as there may be")
    until("the bus is empty again", lambda: http.ask("GET", "/api/v1/stats").json()["bus"]["lag"] == 0)
    response = bulk(*[other] * 1001)
    expect_equal(response.status, 413, "more than there may be")
    expect_shape(response.json(), dict(error=str, line=1001, published=1000))
    gateway.stop()


def a_body_that_the_budget_has_no_room_for_is_refused_for_good():
    gateway = Gateway("--budget", "1M", "--max-message", "64K", "--max-body", "8M")
    body = b"\n".join(json.dumps(dict(topic="news", data="x" * 60000)).encode() for _ in range(3))
    response = Http(gateway.http).ask("POST", "/api/v1/publish", body, NDJSON)  # more than 3/32 of the budget
    expect_equal(response.status, 413, "a body of 180 KB")
    response = Http(gateway.http).ask("POST", "/api/v1/publish", body.split(b"\n")[0], NDJSON)
    expect_equal(response.status, 200, "a body of 60 KB")
    gateway.stop()


def a_publisher_waits_for_a_client_that_makes_no_progress_as_long_as_it_may():
    gateway = Gateway("--patience", 600000, "--stall", 0, "--slow", 0, "--overflow", "drop-newest", "--slots", 16,
                      "--handshake", 1000)
    stalled = Lines(gateway.lines, STALLED_RCVBUF)
    healthy = Lines(gateway.lines)
    expect_equal(healthy.ask("PING"), "+PONG", "subscribed")
    http = Http(gateway.http)
    published = []
    while True:
        text = f"{len(published)} " + "x" * 16000
        response = publish(http, "news", text.encode())
        if response.status == 503:
            break
        expect_equal(response.status, 200, "status")
        published.append(text)
    expect_equal(response.headers["retry-after"], "1", "Retry-After")
    stalled.close()
    until("it goes on", lambda: publish(http, "news", b"the last").status == 200)
    for text in [*published, "the last"]:
        expect_equal(healthy.line(), text, "the healthy client has all")
    gateway.stop()


def flood(gateway, healthy):
    """More than a client that doesn't read takes into its kernel's buffers."""
    http = Http(gateway.http)
    for _ in range(64):
        until("published", lambda: publish(http, "news", b"x" * 60000).status == 200)
        expect_equal(len(healthy.event().data), 60000, "what the healthy client gets")


def a_policy_changed_at_run_time_evicts_whom_the_former_one_spared():
    gateway = Gateway("--stall", 86400000, "--slow", 0, "--grace", 0, "--threads", 2)
    stalled = [Lines(gateway.lines, STALLED_RCVBUF) for _ in range(4)]
    healthy = Sse(gateway.http, "/sse")
    until("all are there", lambda: len(connections(gateway)) == 5)
    flood(gateway, healthy)
    until("they are stalled",
          lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["connections"]["stalled"] == 4)
    changed = ask(gateway.http, "POST", "/api/v1/policy", b'{"stall_ms": 500, "overflow": "drop-oldest"}')
    expect_equal(changed.status, 200, "changing the policy")
    expect_shape(changed.json(), dict(POLICY, stall_ms=500, overflow="drop-oldest"))
    until("they are evicted",
          lambda: len(ask(gateway.http, "GET", "/api/v1/evictions").json()["evictions"]) == 4)
    evictions = ask(gateway.http, "GET", "/api/v1/evictions").json()
    expect_shape(evictions, dict(evictions=[dict(EVICTION, reason="stalled", cause="not reading", is_shadow=False)]))
    expect_equal([each["n"] for each in evictions["evictions"]], [4, 3, 2, 1], "newest first")
    expect_equal(len(ask(gateway.http, "GET", "/api/v1/evictions?limit=2").json()["evictions"]), 2, "limit")
    stats = ask(gateway.http, "GET", "/api/v1/stats").json()
    expect_equal(stats["evictions"], dict.fromkeys(REASONS, 0) | dict(stalled=4), "counted")
    expect_equal(stats["policy"]["stall_ms"], 500, "the policy in the stats")
    expect_shape(stats["policy_change"],
                 dict(time=float, by="loopback", changes=dict(stall_ms=500, overflow="drop-oldest")))
    gateway.wait_for_log("event=policy_changed by=loopback changes=")
    for each in stalled:
        each.close()
    gateway.stop()


def an_administrator_evicts_by_id():
    gateway = Gateway("--threads", 2)
    clients = [Lines(gateway.lines), Sse(gateway.http, "/sse?name=sse"), WebSocket(gateway.http, "/ws?name=ws")]
    until("all are there", lambda: len(connections(gateway)) == 3)
    ids = {connection["protocol"]: connection["id"] for connection in connections(gateway)}
    for protocol in ("lines", "sse", "websocket"):
        path = f"/api/v1/connections/{ids[protocol]}/evict"
        response = ask(gateway.http, "POST", path)
        expect_equal((response.status, response.json()), (200, dict(evicted=ids[protocol])), protocol)
        until("it is gone", lambda: ask(gateway.http, "POST", path).status == 404)
    expect_equal(clients[0].rest(), b"-ERR closed by an administrator\n", "what a client on lines is told")
    event = clients[1].event()
    expect_equal((event.name, event.json()["reason"]), ("closing", "closed by an administrator"), "SSE")
    expect_equal(clients[2].close_code(), (4000, "closed by an administrator"), "WebSocket")
    expect_equal(ask(gateway.http, "GET", "/api/v1/stats").json()["evictions"]["admin"], 3, "counted")
    evictions = ask(gateway.http, "GET", "/api/v1/evictions").json()["evictions"]
    expect_equal([(each["reason"], each["by"]) for each in evictions], [("admin", "loopback")] * 3, "listed")
    gateway.stop()


SAMPLE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+(\+Inf)?$')


def metrics_are_what_prometheus_reads():
    gateway = Gateway("--threads", 2)
    sse = Sse(gateway.http, "/sse")
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=news", b"hello").status, 200, "publishing")
    expect_equal(sse.event().data, "hello", "delivered")
    response = ask(gateway.http, "GET", "/metrics")
    expect(response.headers["content-type"].startswith("text/plain; version=0.0.4"), response.headers)
    text = response.body.decode()
    typed = {}
    values = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            expect(name not in typed, f"{name} has two types")
            typed[name] = kind
        elif not line.startswith("#"):
            expect(SAMPLE.match(line), f"no sample: {line}")
            name, value = line.rsplit(" ", 1)
            expect(name not in values, f"{name} is there twice")
            values[name] = float(value)
            family = re.sub(r"\{.*", "", name)
            expect(family in typed or re.sub("_(bucket|sum|count)$", "", family) in typed, f"{name} has no type")
    for name in ("fluxbp_connections", "fluxbp_pending_bytes", 'fluxbp_evictions_total{reason="stalled"}',
                 'fluxbp_messages_dropped_total{rule="drop_newest"}', "fluxbp_broadcast_duration_seconds_count",
                 'fluxbp_gateway_subscribers{protocol="sse"}'):
        expect(name in values, f"there is no {name}")
    expect_equal(values['fluxbp_gateway_subscribers{protocol="sse"}'], 1, "subscribers")
    expect_equal(values["fluxbp_bus_messages_total"], 1, "messages on the bus")
    if shutil.which("promtool"):
        check = subprocess.run(["promtool", "check", "metrics"], input=response.body, capture_output=True, check=False)
        expect_equal((check.returncode, check.stderr + check.stdout), (0, b""), "promtool check metrics")
    gateway.stop()


run(every_route_answers_in_its_form,
    what_is_wrong_is_refused_with_its_status,
    an_unknown_parameter_is_named,
    head_is_get_without_the_body,
    requests_on_one_connection_are_answered_in_order,
    a_client_that_goes_before_its_answer_is_no_harm,
    who_sends_no_more_still_gets_its_answers,
    also_those_that_it_has_yet_to_make_room_for,
    a_body_is_asked_for_once_it_may_come,
    many_messages_are_published_up_to_the_one_that_is_wrong,
    a_body_that_the_budget_has_no_room_for_is_refused_for_good,
    a_publisher_waits_for_a_client_that_makes_no_progress_as_long_as_it_may,
    a_policy_changed_at_run_time_evicts_whom_the_former_one_spared,
    an_administrator_evicts_by_id,
    metrics_are_what_prometheus_reads)
