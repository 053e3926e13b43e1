# SPDX-License-Identifier: MIT
"""Topics have names that clients choose: those that nobody needs any more go, and limits that are reached name their option,
show at /readyz, and end when subscribers go."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from wire import TEXT, Http, Lines, Sse, WebSocket, ask, frame

BULK = 500
MIB = 1 << 20
IS_SANITIZED = re.search(rb"lib[at]san", subprocess.check_output(["ldd", os.environ["GATEWAY"]])) is not None
NDJSON = ["Content-Type: application/x-ndjson"]


def metric(gateway, name):
    lines = ask(gateway.http, "GET", "/metrics").body.decode().split("\n")
    return next(int(float(line.split(" ")[1])) for line in lines if line.startswith(name + " "))


def resident_bytes(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def publish_bulk(http, lines):
    """All of them, however often the gateway says that it is busy."""

    def ask_for_the_rest():
        answer = http.ask("POST", "/api/v1/publish", b"".join(lines), NDJSON)
        if answer.status == 200:
            return True
        expect_equal(answer.status, 503, f"publishing: {answer.body!r}")
        del lines[:answer.json()["published"]]
        return False

    until("a bulk is published", ask_for_the_rest)


def publish_on_strangers_topics(http, first, end):
    for begin in range(first, end, BULK):
        publish_bulk(http, [b'{"topic":"stranger.%d","data":"x"}\n' % i for i in range(begin, begin + BULK)])


def publish(gateway, topic, text):
    expect_equal(ask(gateway.http, "POST", f"/api/v1/publish?topic={topic}", text.encode()).status, 200, "publishing")


def strangers_names_take_no_memory_and_no_place(arguments):
    gateway = Gateway(*arguments)
    http = Http(gateway.http)
    publish_on_strangers_topics(http, 0, 40_000)
    before = resident_bytes(gateway)
    publish_on_strangers_topics(http, 40_000, 200_000)
    grown = resident_bytes(gateway) - before
    expect(grown < 4 * MIB or IS_SANITIZED, f"160 000 more names took {grown} bytes")
    names = metric(gateway, "fluxbp_bus_topics")
    expect(names < 3000, f"the bus knows {names} names")
    expect_equal(metric(gateway, "fluxbp_gateway_topics"), 0, "topics of clients")
    events = Sse(gateway.http, "/sse?topic=new")
    publish(gateway, "new", "hello")
    expect_equal(events.event().data, "hello", "the message of a new topic")
    gateway.stop()


def strangers_names_take_no_memory():
    strangers_names_take_no_memory_and_no_place([])


def strangers_names_take_no_memory_without_a_history():
    strangers_names_take_no_memory_and_no_place(["--history", 0, "--threads", 2])


def a_crowd_with_many_topics_leaves_room_for_newcomers():
    gateway = Gateway()
    crowd = [Sse(gateway.http, "/sse?topic=" + ",".join(f"topic.{i}.{k}" for k in range(15))) for i in range(137)]
    until("all topics are there", lambda: metric(gateway, "fluxbp_gateway_topics") == 137 * 15)
    newcomer = Sse(gateway.http, "/sse?topic=new")
    publish(gateway, "new", "hello")
    expect_equal(newcomer.event().data, "hello", "what a newcomer gets")
    publish(gateway, "topic.136.14", "for one")
    expect_equal(crowd[136].event().data, "for one", "what one of the crowd gets")
    for events in crowd:
        events.close()
    until("the topics of the crowd are gone", lambda: metric(gateway, "fluxbp_gateway_topics") == 1)
    gateway.stop()


def a_limit_names_itself_and_shows_at_readyz():
    gateway = Gateway("--max-topics", 3, "--max-topics-per-client", 2, "--state", "prices")
    first = Lines(gateway.lines)  # which has "news"
    expect_equal(first.ask("SUB a"), "+OK SUB a", "a second topic")
    expect_equal(first.ask("SUB b"),
                 "-ERR too many topics: this server's limit of topics per client is 2; UNSUB one first", "a third")
    for path in ("/sse", "/ws"):
        wire = Http(gateway.http)
        answer = wire.ask("GET", path + "?topic=a,b,c", headers=[
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13"] if path == "/ws" else [])
        expect_equal(answer.status, 400, path)
        expect("this server's limit of topics per client" in answer.json()["error"], f"{path}: {answer.body!r}")
    expect_equal(ask(gateway.http, "GET", "/readyz").status, 200, "before the table is full")

    second = Sse(gateway.http, "/sse?topic=b,c")
    until("the table is full", lambda: metric(gateway, "fluxbp_gateway_topics") == 3)
    answer = ask(gateway.http, "GET", "/readyz")
    expect_equal((answer.status, answer.body), (503, 
                 b"full: clients can't have new topics, as the server's limit of topics is reached\n"), "readyz")
    expect_equal(Sse(gateway.http, "/sse?topic=d").event_of("closing").json()["reason"],
                 "too many topics: this server's limit of topics is reached; try again later", "a newcomer's reason")
    expect_equal(WebSocket(gateway.http, "/ws?topic=d").close_code(),
                 (1013, "too many topics: this server's limit of topics is reached; try again later"), "on a WebSocket")
    expect_equal(Lines(gateway.lines).ask("SUB d"),
                 "-ERR too many topics: this server's limit of topics is 3; try again later", "on lines")
    expect_equal(metric(gateway, "fluxbp_gateway_topics_refused_total"), 3, "refused")
    expect_equal(metric(gateway, "fluxbp_gateway_topics_limit"), 3, "the limit")

    known = Sse(gateway.http, "/sse?topic=a,prices")  # what is there can be had
    publish(gateway, "d", "for nobody")               # and publishing takes no place
    publish(gateway, "a", "for all")
    expect_equal(known.event().data, "for all", "on a topic that was there")
    expect_equal(first.line(), "for all", "on a topic that was there")

    second.close()
    until("ready again", lambda: ask(gateway.http, "GET", "/readyz").status == 200)
    events = Sse(gateway.http, "/sse?topic=d")
    publish(gateway, "d", "hello")
    expect_equal(events.event().data, "hello", "a new topic when there is room again")
    gateway.stop()


def ask_in_turn(client, verb, topics):
    for begin in range(0, len(topics), BULK):
        part = topics[begin:begin + BULK]
        client.send(b"".join(frame(TEXT, f"{verb} {topic}".encode()) for topic in part))
        for topic in part:
            expect_equal(client.text(), f"+OK {verb} {topic}", "an answer")


def a_client_may_have_thousands_of_topics():
    gateway = Gateway("--max-topics-per-client", 65536)
    topics = [f"t{i}" for i in range(5000)]
    client = WebSocket(gateway.http, "/ws?topic=" + ",".join(topics[:1000]))
    ask_in_turn(client, "SUB", topics[1000:])
    publish(gateway, topics[4321], "one of them")
    publish(gateway, topics[999], "another")
    expect_equal([client.text(), client.text()], ["one of them", "another"], "messages")
    row = ask(gateway.http, "GET", "/api/v1/connections").json()["connections"][0]
    expect_equal((row["topic_count"], row["topics"]), (5000, topics[:16]), "what administrators see")

    ask_in_turn(client, "UNSUB", topics[:4000])
    publish(gateway, topics[999], "not any more")
    publish(gateway, topics[4321], "still")
    expect_equal(client.text(), "still", "what is left")
    expect_equal(metric(gateway, "fluxbp_gateway_topics"), 1000, "topics")
    ask_in_turn(client, "SUB", topics[:4000])
    client.close()
    until("all of them are gone", lambda: metric(gateway, "fluxbp_gateway_topics") == 0)
    gateway.stop()


def a_client_resumes_with_hundreds_of_topics():
    gateway = Gateway("--max-topics-per-client", 1000)
    topics = [f"t{i}" for i in range(900)]
    http = Http(gateway.http)
    publish(gateway, "t0", "seen")
    events = Sse(gateway.http, "/sse?topic=" + ",".join(topics))
    publish(gateway, "t1", "seen, too")
    since = events.event().id
    events.close()
    missed = [(f"t{i * 7 % 1800}", str(i)) for i in range(2000)]
    lines = [json.dumps({"topic": topic, "data": text}).encode() + b"\n" for topic, text in missed]
    for begin in range(0, len(lines), BULK):
        publish_bulk(http, lines[begin:begin + BULK])
    events = Sse(gateway.http, f"/sse?since={since}&topic=" + ",".join(topics))
    wanted = [text for topic, text in missed if topic in topics]
    got = []
    while len(got) < len(wanted):
        event = events.event()
        if event.name == "message":
            got.append(event.data)
    expect_equal(got, wanted, "what it missed")
    gateway.stop()


run(strangers_names_take_no_memory, strangers_names_take_no_memory_without_a_history,
    a_crowd_with_many_topics_leaves_room_for_newcomers, a_limit_names_itself_and_shows_at_readyz,
    a_client_may_have_thousands_of_topics, a_client_resumes_with_hundreds_of_topics)
