# SPDX-License-Identifier: MIT
"""The watch stream: its counts are right, a client that stalls is seen before and when it goes, a watcher that doesn't read
gets the newest later and hurts nobody, and no name that a client gives itself breaks it.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import STALLED_RCVBUF, Http, Lines, Sse, WebSocket

NAMES = {  # as it is sent, percent-encoded for the query; and what is shown
    b"<script>alert(1)</script>": "<script>alert(1)</script>",
    b'"quotes" \\ and \'those\'': '"quotes" \\ and \'those\'',
    b"\xff\xfe invalid": "?? invalid",
    b"\xed\xa0\x80": "???",
    "\u00fc\u20ac\U0001f600".encode(): "\u00fc\u20ac\U0001f600",
    b"\x01\x1b[31m": "\x01\x1b[31m",
    b"line\nevent: evicted\ndata: {}": "line\nevent: evicted\ndata: {}",
    "\u20ac".encode() * 22: None,  # cut in the middle of a character
}


OUTCOMES = ["written", "dropped", "conflated", "discarded", "queued"]


def percent(name):
    return "".join(f"%{byte:02x}" for byte in name)


def watch(gateway, **options):
    watcher = Sse(gateway.http, "/api/v1/watch", **options)
    expect_equal((watcher.status, watcher.headers["content-type"]), (200, "text/event-stream"), "watching")
    return watcher


def snapshot_with(watcher, what, is_right):
    return until(what, lambda: (lambda snapshot: snapshot if is_right(snapshot) else None)(
        watcher.event_of("snapshot").json()))


def publish(http, body):
    until("published", lambda: http.ask("POST", "/api/v1/publish?topic=news", body).status == 200)


def snapshots_count_what_happens():
    gateway = Gateway("--threads", 2)
    watcher = watch(gateway)
    first = watcher.event_of("snapshot").json()
    expect_equal(first["connections"]["total"], 0, "a watcher is no subscriber")
    clients = [Lines(gateway.lines) for _ in range(5)] + [Sse(gateway.http, "/sse") for _ in range(3)] + \
        [WebSocket(gateway.http) for _ in range(2)]
    protocols = dict(lines=5, length=0, websocket=2, sse=3)
    snapshot = snapshot_with(watcher, "all are there", lambda each: each["connections"]["total"] == 10)
    expect_equal(snapshot["connections"]["protocols"], protocols, "protocols")
    expect_equal(snapshot["connections"]["healthy"], 10, "healthy")
    expect_equal(snapshot["gateway"]["threads"], 2, "threads")
    http = Http(gateway.http)
    for _ in range(100):
        publish(http, b"hello")
    snapshot = snapshot_with(watcher, "all is written", lambda each: each["counters"]["written"] >= 1000 and
                             each["counters"]["queued"] == 0)
    counters = snapshot["counters"]
    expect_equal(counters["accepted"], sum(counters[name] for name in OUTCOMES), "what became of all deliveries")
    expect_equal([counters[name] for name in OUTCOMES[1:]], [0] * 4, "nothing else became of any")
    expect_equal(counters["published"], 100, "published, without what the watch itself publishes")
    stats = http.ask("GET", "/api/v1/stats").json()
    expect_equal(sorted(stats), sorted(snapshot), "the same as /api/v1/stats")
    cells = watcher.event_of("slow").json()
    expect_equal((cells["slow"], cells["worst"]), ([], []), "nobody is slow")
    expect(cells["cells"] >= 10, f"{cells}")
    expect_equal(sum(last - first + 1 for first, last in cells["free"]), cells["cells"] - 10, "free cells")
    for client in clients:
        client.close()
    snapshot_with(watcher, "all are gone", lambda each: each["connections"]["total"] == 0)
    gateway.stop()


def a_stalled_client_is_slow_first_and_evicted_then():
    gateway = Gateway("--stall", 3000, "--grace", 0, "--threads", 2)
    watcher = watch(gateway)
    stalled, healthy = Lines(gateway.lines, STALLED_RCVBUF), Lines(gateway.lines)
    stalled.ask("NAME the slow one")
    healthy.ask("NAME the fast one")
    http = Http(gateway.http)
    for _ in range(40):
        publish(http, b"x" * 60000)
        expect_equal(len(healthy.line()), 60000, "what the healthy one gets")

    def slow_event():
        event = watcher.event_of("slow").json()
        return event if any(is_stalled for _, _, is_stalled in event["slow"]) else None

    event = until("it is stalled", slow_event)
    expect_equal([worst["name"] for worst in event["worst"]], ["the slow one"], "worst")
    worst = event["worst"][0]
    expect_equal((worst["state"], worst["topics"]), ("stalled", ["news"]), "worst")
    expect(worst["cause"] in ("not reading", "reads slowly"), worst["cause"])  # the kernel takes a while to know
    expect_equal([cell for cell, _, _ in event["slow"]], [worst["cell"]], "its cell")
    expect(worst["fill_percent"] > 0 and worst["queued"] > 0 and worst["since_progress_ms"] >= 1000, f"{worst}")
    snapshot = watcher.event_of("snapshot", "evicted")
    expect(snapshot.name == "evicted" or snapshot.json()["connections"]["stalled"] == 1, "the count")
    evicted = snapshot.json() if snapshot.name == "evicted" else watcher.event_of("evicted").json()
    expect_equal({name: evicted[name] for name in ("n", "id", "cell", "name", "reason", "cause", "is_shadow")},
                 dict(n=1, id=worst["id"], cell=worst["cell"], name="the slow one", reason="stalled",
                      cause="not reading", is_shadow=False), "evicted")
    snapshot = snapshot_with(watcher, "it is gone", lambda each: each["connections"]["total"] == 1)
    expect_equal((snapshot["evictions"]["stalled"], snapshot["connections"]["stalled"]), (1, 0), "counted")
    later = watch(gateway)
    expect_equal(later.event_of("evicted").json(), evicted, "who watches later sees it, too")
    stalled.close()
    gateway.stop()


def who_begins_to_watch_gets_the_last_256_evictions():
    gateway = Gateway("--threads", 2)
    http = Http(gateway.http)
    for number in range(1, 301):
        client = Lines(gateway.lines)
        expect_equal(client.ask(f"NAME c{number}"), "+OK NAME", "answer")
        listed = http.ask("GET", "/api/v1/connections").json()["connections"]
        ids = [each["id"] for each in listed if each["name"] == f"c{number}"]
        expect_equal(http.ask("POST", f"/api/v1/connections/{ids[0]}/evict").status, 200, "evicting")
        client.close()
    watcher = watch(gateway)
    events = sorted((watcher.event_of("evicted").json() for _ in range(256)), key=lambda event: event["n"])
    expect_equal([each["n"] for each in events], list(range(45, 301)), "the last 256")
    expect_equal([each["name"] for each in events], [f"c{number}" for number in range(45, 301)], "names")
    gateway.stop()


def a_watcher_that_does_not_read_gets_the_newest_later():
    gateway = Gateway("--stall", 600000, "--threads", 2, "--patience", 60000)
    sleeper = watch(gateway, receive_buffer=STALLED_RCVBUF)
    watcher = watch(gateway)
    healthy = Lines(gateway.lines)
    clients = [Sse(gateway.http, "/sse?topic=quiet&name=" + "n" * 60) for _ in range(100)]
    http = Http(gateway.http)
    uptimes = [watcher.event_of("snapshot").json()["gateway"]["uptime_s"] for _ in range(20)]
    for number in range(100):  # patience isn't for who watches
        publish(http, f"m{number}".encode())
    expect_equal([healthy.line() for _ in range(100)], [f"m{number}" for number in range(100)], "the healthy one")
    expect_equal(uptimes, sorted(uptimes), "snapshots in order")
    newest = snapshot_with(watcher, "all is counted", lambda each: each["counters"]["published"] == 100)
    seen = []
    while not seen or seen[-1]["gateway"]["uptime_s"] < newest["gateway"]["uptime_s"]:
        seen.append(sleeper.event_of("snapshot").json())
    times = [each["gateway"]["uptime_s"] for each in seen]
    expect_equal(times, sorted(times), "what the sleeper gets, in order")
    expect_equal(seen[-1]["counters"]["published"], 100, "the newest")
    for client in clients:
        client.close()
    gateway.stop()


def no_name_breaks_the_stream():
    gateway = Gateway("--stall", 600000, "--threads", 2)
    watcher = watch(gateway)
    stalled = [Sse(gateway.http, f"/sse?name={percent(name)}", receive_buffer=STALLED_RCVBUF) for name in NAMES
               if len(name) <= 64]
    by_command = []
    for name in NAMES:
        if b"\n" not in name:
            by_command.append(Lines(gateway.lines, STALLED_RCVBUF))
            by_command[-1].send(b"NAME " + name + b"\n")
            expect_equal(by_command[-1].answer(), "+OK NAME", f"{name}")
    http = Http(gateway.http)
    count = len(stalled) + len(by_command)
    wanted = set(filter(None, NAMES.values()))

    def all_are_slow():
        publish(http, b"x" * 60000)
        event = watcher.event_of("slow").json()
        return event if len(event["slow"]) == count else None

    names = [worst["name"] for worst in until("all are slow", all_are_slow)["worst"]]
    expect_equal(wanted - set(names), set(), f"names, of {names}")
    listed = http.ask("GET", "/api/v1/connections?limit=200").json()["connections"]
    expect_equal(sorted(each["name"] for each in listed), sorted(names), "names in the list")
    for each in listed:
        expect_equal(http.ask("POST", f"/api/v1/connections/{each['id']}/evict").status, 200, "evicting")
    evicted = [watcher.event_of("evicted").json()["name"] for _ in range(count)]
    expect_equal(sorted(evicted), sorted(names), "names of those evicted")
    for client in (*stalled, *by_command):
        client.close()
    gateway.stop()


run(snapshots_count_what_happens,
    a_stalled_client_is_slow_first_and_evicted_then,
    who_begins_to_watch_gets_the_last_256_evictions,
    a_watcher_that_does_not_read_gets_the_newest_later,
    no_name_breaks_the_stream)
