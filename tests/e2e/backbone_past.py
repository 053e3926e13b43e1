# SPDX-License-Identifier: MIT
"""Who resumes behind what a gateway has in its history gets it from the stream of the backbone: once, in order, at its own
pace, without a seam; or is told why not.

$SEED repeats a run that failed.
"""
import json
import os
import random
import selectors
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, fail, run, until
from nats_server import NatsServer
from wire import Lines, STALLED_RCVBUF, Sse, WebSocket, ask, position_of

HISTORY = 50
PATIENT = ("--stall", 600000, "--slow", 600000)
TOO_OLD = "-ERR too old, oldest is "


class Feed:
    """A stream, and all that was ever published on it: message i has the sequence number i + 1."""

    def __init__(self, *more_subjects, **settings):
        self.nats = NatsServer()
        self.nats.make_stream("NEWS", "fluxbp.>", *more_subjects, **settings)
        self.connection = self.nats.connect()
        self.messages = []

    def publish(self, topic, text, *headers, prefix="fluxbp."):
        self.connection.publish(prefix + topic, text.encode(), headers)
        self.messages.append((topic, text))

    def flush(self):
        self.connection.flush()

    def last(self, *topics):
        return max((number for number, (topic, _) in enumerate(self.messages, 1) if topic in topics), default=0)

    def since(self, since, *topics):
        return [(number, topic, text) for number, (topic, text) in enumerate(self.messages, 1)
                if number > since and topic in topics]

    def gateway(self, *arguments):
        gateway = Gateway("--nats", self.nats.url, "--jetstream", "NEWS", "--history", HISTORY, *PATIENT, *arguments)
        gateway.epoch = ask(gateway.http, "GET", "/api/v1/stats").json()["bus"]["newest"].split(":")[0]
        return gateway


def fetched(gateway):
    """Messages of the stream's past, so far."""
    metrics = ask(gateway.http, "GET", "/metrics").body.decode()
    return int(metrics.split("\nfluxbp_backbone_fetched_total ")[1].split("\n")[0])


def wait_for_newest(gateway, last):
    """Waits until the gateway has the message with this id, and with it all that came before."""
    until(f"the gateway has message {last}", lambda: ask(gateway.http, "GET", "/api/v1/stats").json()["bus"][
        "newest"] == f"{gateway.epoch}:{last}")


class Reader(Lines):
    """A client on lines that has resumed."""

    def __init__(self, gateway, since, topics=("news",), receive_buffer=None):
        super().__init__(gateway.lines, receive_buffer)
        self.gateway, self.topics, self.start = gateway, topics, since
        self.messages = []
        self.is_resumed = False
        for topic in topics[1:]:
            self.say(f"SUB {topic}")
        self.say("IDS")
        self.say(f"RESUME {gateway.epoch}:{since}")

    def count(self, line):
        """What comes before +OK RESUMED is to be thrown away."""
        if line.startswith("+OK RESUMED"):
            self.is_resumed = True
        elif position_of(line) is not None:
            pass
        elif line[0] in "-{":
            fail(f"since {self.start} it was told: {line}")
        elif self.is_resumed and line[0] != "+":
            id_text, topic, text = line.split(" ", 2)
            self.messages.append((int(id_text.split(":")[1]), topic, text))

    def read_to(self, last):
        while not (self.messages and self.messages[-1][0] >= last):
            self.count(self.line())

    def on_readable(self, length):
        self.received += self.socket.recv(length)
        *lines, self.received = self.received.split(b"\n")
        for line in lines:
            self.count(line.decode())

    def expect_all(self, feed):
        expect_equal(self.messages, feed.since(self.start, *self.topics), f"what it got since {self.start}")


def crowds_of_all_ages_get_exactly_what_they_missed():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}", flush=True)
    draw = random.Random(seed)
    feed = Feed()

    def publish(count):
        for _ in range(count):
            topic = draw.choice(("news", "news", "b", "c", "prices"))
            feed.publish(topic, f"{topic} {len(feed.messages)} " + "x" * draw.randrange(200),
                         *(["Fluxbp-Key=k"] if topic == "prices" else []))
        feed.flush()

    publish(3000)
    gateway = feed.gateway("--threads", 2, "--state", "prices", "--slots", 2048)  # what comes live fits even into slow ones
    selector = selectors.DefaultSelector()
    readers = []
    for number in range(200):
        topics = draw.choice((("news",), ("news", "b"), ("news", "b", "c")))
        reader = Reader(gateway, draw.randrange(len(feed.messages)), topics, STALLED_RCVBUF if number % 10 == 0 else None)
        reader.piece = 3000 if number % 10 == 0 else 1 << 16
        selector.register(reader.socket, selectors.EVENT_READ, reader)
        readers.append(reader)
    for _ in range(100):
        publish(10)
        for key, _ in selector.select(0.01):
            key.data.on_readable(key.data.piece)
    lasts = {reader: feed.last(*reader.topics) for reader in readers}

    def is_complete():
        for key, _ in selector.select(0.01):
            key.data.on_readable(key.data.piece)
        return all(reader.messages and reader.messages[-1][0] >= lasts[reader] for reader in readers)

    until("everybody has everything", is_complete)
    for reader in readers:
        reader.expect_all(feed)
    gateway.stop()


def other_subjects_and_holes_cost_no_reading():
    feed = Feed("foreign.>")
    for number in range(300):
        feed.publish("news", f"early {number}")
    for number in range(20000):
        feed.publish("x", "y", prefix="foreign.")
    for number in range(300):
        feed.publish("news", f"late {number}")
    for number in range(20000):
        feed.publish("x", "y", prefix="foreign.")
    feed.flush()
    gateway = feed.gateway("--threads", 1)
    for since in (0, 250, 299, 300, 15000, 20299, 20450, 20599, 20600, 30000):
        reader = Reader(gateway, since)
        feed.publish("news", f"live since {since}")
        feed.flush()
        reader.read_to(feed.last("news"))
        reader.expect_all(feed)
    count = fetched(gateway)
    expect(600 <= count < 3000, f"{count} messages were fetched for 600")
    gateway.stop()


def what_the_stream_has_dropped_is_too_old():
    feed = Feed()
    for number in range(1000):
        feed.publish("news", f"message {number}")
    feed.flush()
    gateway = feed.gateway()
    feed.nats.purge_below("NEWS", 501)
    client = Lines(gateway.lines)
    client.ask("IDS")
    for since in (0, 300, 499):
        expect_equal(client.ask(f"RESUME {gateway.epoch}:{since}"), f"{TOO_OLD}{gateway.epoch}:500", "the answer")
    feed.publish("news", "live")
    feed.flush()
    expect_equal(client.line(), f"{gateway.epoch}:1001 news live", "what came then")
    reader = Reader(gateway, 500)
    reader.read_to(1001)
    reader.expect_all(feed)
    socket = WebSocket(gateway.http, f"/ws?since={gateway.epoch}:7")
    expect_equal(socket.close_code()[0], 4010, "the close code")
    event = Sse(gateway.http, f"/sse?since={gateway.epoch}:7").event()
    expect_equal((event.name, event.json()), ("too_old", dict(reason="too old", oldest=f"{gateway.epoch}:500")), "event")
    gateway.stop()


def what_the_stream_drops_before_a_slow_client_has_it_is_said_at_its_place():
    feed = Feed()
    for number in range(2000):
        feed.publish("news", f"message {number} " + "x" * 4000)
    feed.flush()
    gateway = feed.gateway()
    reader = Reader(gateway, 0, receive_buffer=STALLED_RCVBUF)
    until("it is resumed", lambda: reader.count(reader.line()) or reader.messages)
    feed.nats.purge_below("NEWS", 1901)
    line = reader.line()
    while not line.startswith("-"):
        reader.count(line)
        line = reader.line()
    expect_equal(line, f"{TOO_OLD}{gateway.epoch}:1900", "the answer in the middle")
    expect(len(reader.messages) < 1900, "it was not slow at all")
    expect_equal(reader.messages, feed.since(0, "news")[:len(reader.messages)], "what came before")
    feed.publish("news", "live")
    feed.flush()
    expect_equal(reader.line(), f"{gateway.epoch}:2001 news live", "what came then")
    gateway.stop()


def a_client_waits_while_the_backbone_is_away():
    feed = Feed()
    for number in range(500):
        feed.publish("news", f"message {number}")
    feed.flush()
    gateway = feed.gateway()
    feed.nats.kill()
    gateway.wait_for_log("event=backbone_disconnected")
    reader = Reader(gateway, 0)
    expect(reader.answer().startswith("+OK IDS"), "IDS")
    expect_equal(reader.ask("PING"), "+PONG", "the answer that doesn't wait")
    feed.nats.start()
    reader.read_to(500)
    reader.expect_all(feed)
    gateway.stop()


def all_protocols_get_it():
    feed = Feed()
    for text in ("first", "two\nlines", *(f"message {number}" for number in range(300))):
        feed.publish("news", text)
    feed.flush()
    gateway = feed.gateway()
    texts = [text for _, _, text in feed.since(0, "news")]
    socket = WebSocket(gateway.http, f"/ws?since={gateway.epoch}:0")
    expect_equal(socket.text(), '{"resumed":"%s:0"}' % gateway.epoch, "the first text")
    expect_equal([socket.text() for _ in texts], texts, "WebSocket")
    events = Sse(gateway.http, f"/sse?since={gateway.epoch}:0")
    expect_equal(events.event().name, "resumed", "the first event")
    expect_equal([(event.data, event.id) for event in (events.event() for _ in texts)],
                 [(text, f"{gateway.epoch}:{number}") for number, text in enumerate(texts, 1)], "events")
    lines = Lines(gateway.lines)
    lines.ask("IDS")
    expect(lines.ask(f"RESUME {gateway.epoch}:0").startswith("+OK RESUMED"), "RESUME")
    expect_equal(lines.line(), f"{gateway.epoch}:1 news first", "a line")
    expect_equal(lines.line(), '{"gap":{"from":2,"to":2,"count":1}}', "what can't be a line")
    expect_equal(lines.line(), f"{gateway.epoch}:3 news message 0", "a line")
    gateway.stop()


def the_oldest_is_that_of_the_stream():
    feed = Feed()
    for number in range(1000):
        feed.publish("news", f"message {number}")
    feed.flush()
    feed.nats.purge_below("NEWS", 501)
    gateway = feed.gateway()
    socket = WebSocket(gateway.http, "/ws?since=oldest&format=json")
    expect_equal(json.loads(socket.text()), dict(resumed=f"{gateway.epoch}:500"), "the first text")
    for number in range(501, 1001):
        expect_equal(json.loads(socket.text())["id"], f"{gateway.epoch}:{number}", "a message")
    lines = Lines(gateway.lines)
    expect_equal(lines.ask("RESUME oldest"), f"+OK RESUMED {gateway.epoch}:500", "on lines")
    expect_equal(lines.line(), "message 500", "the first line")
    gateway.stop()


def long_messages_come_in_smaller_blocks():
    feed = Feed()
    for number in range(400):
        feed.publish("news", f"message {number} " + "x" * 20000)
    feed.flush()
    for budget in ("256M", "1M"):  # the latter has no room for a block that is as long as others are
        gateway = feed.gateway("--budget", budget)
        for since in (0, 127, 250):
            reader = Reader(gateway, since)
            reader.read_to(feed.last("news"))
            reader.expect_all(feed)
        gateway.stop()


def what_no_gateway_takes_holds_nobody_up():
    feed = Feed()
    for number in range(600):
        feed.publish("news", f"message {number}")
    feed.publish("prices", "42", "Fluxbp-Key=k")
    feed.publish("news", "x" * 70000)  # is over --max-message
    feed.flush()
    gateway = feed.gateway("--state", "prices")
    gateway.wait_for_log("event=backbone_rejected")
    socket = WebSocket(gateway.http, f"/ws?topic=news,prices&since={gateway.epoch}:550")
    texts = [socket.text() for _ in range(52)]
    expect_equal(texts[1:], [text for _, _, text in feed.since(550, "news")[:-1]] + ["42"], "what came")
    gateway.stop()


def what_cannot_be_fetched_comes_from_the_history():
    feed = Feed(max_consumers=1)  # which is the one that the gateway follows
    for number in range(600):
        feed.publish("news", f"message {number}")
    feed.flush()
    gateway = feed.gateway("--history", 500)
    wait_for_newest(gateway, 600)
    waiting = Reader(gateway, 0)  # from before the history, so the gateway goes on trying to fetch
    reader = Reader(gateway, 120)  # in its older half, where the stream is asked first
    reader.read_to(600)
    reader.expect_all(feed)
    gateway.wait_for_log("event=backbone_past_away")
    expect_equal(fetched(gateway), 0, "messages of the stream that were fetched")
    expect(waiting.answer().startswith("+OK IDS"), "IDS")
    expect_equal(waiting.ask("PING"), "+PONG", "the answer to the client that waits")
    gateway.stop()


def a_gateway_that_stops_waits_for_no_answer_of_a_stalled_one():
    feed = Feed()
    for number in range(600):
        feed.publish("news", f"message {number} " + "x" * 2000)
    feed.flush()
    gateway = feed.gateway("--drain-ms", 100)
    longer = Gateway("--nats", feed.nats.url, "--drain-ms", 4000)  # which it would outlast by seconds
    reader = Reader(gateway, 100)
    until("it is resumed", lambda: reader.count(reader.line()) or reader.messages)
    feed.nats.stall()
    Lines(longer.lines).say("PUB news what it waits for")
    until("that is due", lambda: b"unconfirmed_messages 1\n" in ask(longer.http, "GET", "/metrics").body)
    other = Reader(gateway, 300)
    expect(other.answer().startswith("+OK IDS"), "IDS")
    expect_equal(other.ask("PING"), "+PONG", "behind the RESUME")
    gateway.terminate()
    longer.terminate()
    expect_equal(gateway.wait(), 0, "exit code")
    expect(longer.process.poll() is None, "the gateway took longer than the one that waits for 4 s")
    expect("backbone_gap" not in gateway.log(), "its own end is no gap")


def subscriptions_may_change_meanwhile():
    feed = Feed()
    for number in range(1500):
        feed.publish(("news", "b", "c")[number % 3], f"message {number} " + "x" * 4000)
    feed.flush()
    gateway = feed.gateway()
    reader = Reader(gateway, 0, ("news", "b"), receive_buffer=STALLED_RCVBUF)
    until("it is resumed", lambda: reader.count(reader.line()) or reader.messages)
    reader.say("UNSUB b")
    reader.say("SUB c")
    line = reader.line()
    while line != "+OK SUB c":
        reader.count(line)
        line = reader.line()
    b_until = max(number for number, topic, _ in reader.messages if topic == "b")
    expect(b_until < 1400, "it was not slow at all")
    for topic in ("news", "b", "c"):
        feed.publish(topic, "live")
    feed.flush()
    live_id = feed.last("c")
    while sum(message[2] == "live" for message in reader.messages) < 2:
        reader.count(reader.line())
    expect_equal([message for message in reader.messages if message[1] == "news"], feed.since(0, "news"), "news")
    expect_equal([message for message in reader.messages if message[1] == "b"],
                 [message for message in feed.since(0, "b") if message[0] <= b_until], "b until it was left")
    expect_equal([message for message in reader.messages if message[1] == "c"], [(live_id, "c", "live")], "c, live")
    gateway.stop()


def the_last_resume_counts():
    feed = Feed()
    for number in range(1000):
        feed.publish("news", f"message {number} " + "x" * 4000)
    feed.flush()
    gateway = feed.gateway()
    reader = Reader(gateway, 0, receive_buffer=STALLED_RCVBUF)
    until("it is resumed", lambda: reader.count(reader.line()) or reader.messages)
    reader.say(f"RESUME {gateway.epoch}:600")
    line = reader.line()
    while line != f"+OK RESUMED {gateway.epoch}:600":
        line = reader.line()
    reader.messages, reader.start = [], 600
    feed.publish("news", "live")
    feed.flush()
    reader.read_to(1001)
    reader.expect_all(feed)
    gateway.stop()


def topics_of_the_past_take_no_place_from_new_ones():
    feed = Feed()
    for number in range(66000):  # more than a bus has room for
        feed.publish(f"t{number}", "x")
    for number in range(100):
        feed.publish("news", f"message {number}")
    feed.flush()
    gateway = feed.gateway()
    reader = Reader(gateway, 0)
    reader.read_to(66100)
    reader.expect_all(feed)
    expect_equal(Lines(gateway.lines).ask("PUB new x"), f"+OK PUB {gateway.epoch}:66101", "PUB on a topic that is new")
    gateway.stop()


def of_what_one_client_asks_for_the_last_is_fetched():
    feed = Feed()
    for number in range(20000):
        feed.publish("news", f"message {number}")
    feed.flush()
    gateway = feed.gateway("--threads", 1)
    client = Lines(gateway.lines)
    client.ask("IDS")
    client.say("\n".join(f"RESUME {gateway.epoch}:{since}" for since in range(64, 19700, 128)))
    reader = Reader(gateway, 19700)  # it comes after all of these
    reader.read_to(20000)
    reader.expect_all(feed)
    count = fetched(gateway)
    expect(count < 5000, f"{count} messages were fetched")
    gateway.stop()


def a_crowd_that_reads_nothing_keeps_nobody_waiting():
    feed = Feed()
    for number in range(45000):
        feed.publish("news", f"message {number} " + "x" * 800)
    feed.flush()
    gateway = feed.gateway("--threads", 1)
    crowd = [Reader(gateway, since, receive_buffer=STALLED_RCVBUF) for since in range(64, 44000, 128)]
    for reader in crowd:
        while not reader.is_resumed:
            reader.count(reader.line())
    counts = [-1, 0]
    until("it is sent nothing more", lambda: counts.append(fetched(gateway)) or counts[-2] == counts[-1])
    reader = Reader(gateway, 44000)  # it comes after all of these
    reader.read_to(45000)
    reader.expect_all(feed)
    count = fetched(gateway) - counts[-1]
    expect(500 <= count < 3000, f"{count} messages were fetched for 1000")
    gateway.stop()


def each_topic_has_a_past_of_its_own():
    """A quiet topic's is in the history, though a busy one's isn't: that of both comes from the stream."""
    feed = Feed()
    gateway = feed.gateway("--history", 1000, "--history-topic", 20)
    for number in range(400):
        feed.publish("quiet" if number % 50 == 49 else "busy", f"message {number}")
    feed.flush()
    wait_for_newest(gateway, 400)
    sse = Sse(gateway.http, f"/sse?topic=quiet&since={gateway.epoch}:250")
    expect_equal([sse.event().data for _ in range(4)][1:], [f"message {number}" for number in (299, 349, 399)], "quiet")
    expect_equal(fetched(gateway), 0, "messages of the stream that the quiet topic's client needed")
    reader = Reader(gateway, 250, ("news", "quiet", "busy"))
    reader.read_to(400)
    reader.expect_all(feed)
    expect(fetched(gateway) > 0, "the busy topic's came from the stream")
    gateway.stop()


def what_other_topics_are_about_to_drive_out_comes_from_the_stream():
    """The quiet topic has lost nothing yet, but its messages are among the oldest of all."""
    feed = Feed()
    gateway = feed.gateway("--history", 100)
    for number in range(400):
        feed.publish("quiet" if number in (310, 320) else "busy", f"message {number}")
    feed.flush()
    wait_for_newest(gateway, 400)
    sse = Sse(gateway.http, f"/sse?topic=quiet&since={gateway.epoch}:305")
    expect_equal([sse.event().data for _ in range(3)][1:], ["message 310", "message 320"], "quiet")
    expect(fetched(gateway) > 0, "they came from the stream")
    gateway.stop()


run(crowds_of_all_ages_get_exactly_what_they_missed,
    other_subjects_and_holes_cost_no_reading,
    what_the_stream_has_dropped_is_too_old,
    what_the_stream_drops_before_a_slow_client_has_it_is_said_at_its_place,
    a_client_waits_while_the_backbone_is_away,
    all_protocols_get_it,
    the_oldest_is_that_of_the_stream,
    long_messages_come_in_smaller_blocks,
    what_no_gateway_takes_holds_nobody_up,
    what_cannot_be_fetched_comes_from_the_history,
    each_topic_has_a_past_of_its_own,
    what_other_topics_are_about_to_drive_out_comes_from_the_stream,
    a_gateway_that_stops_waits_for_no_answer_of_a_stalled_one,
    subscriptions_may_change_meanwhile,
    the_last_resume_counts,
    of_what_one_client_asks_for_the_last_is_fetched,
    a_crowd_that_reads_nothing_keeps_nobody_waiting,
    topics_of_the_past_take_no_place_from_new_ones)
