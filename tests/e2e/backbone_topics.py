# SPDX-License-Identifier: MIT
"""Any program on NATS may publish on any subject: names of strangers take no memory and no place at the gateways, with a stream
and without one."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, until
from nats import Nats
from nats_server import NatsServer
from wire import Sse, ask

SUBJECTS = 80_000  # a bus had room for 65536
PIECE = 500        # as many as a gateway's bus has room for, and more than once


def metric(gateway, name):
    metrics = ask(gateway.http, "GET", "/metrics").body.decode()
    return int(re.search(rf"^{name} (\d+)$", metrics, re.M).group(1))


def publish_on_strangers_subjects(nats, gateway):
    before = metric(gateway, "fluxbp_bus_messages_total")
    for begin in range(0, SUBJECTS, PIECE):
        for i in range(begin, begin + PIECE):
            nats.publish(f"fluxbp.stranger.{i}", b"x")
        nats.flush()
    until("the gateway has all of them",
          lambda: metric(gateway, "fluxbp_bus_messages_total") - before >= SUBJECTS)


def strangers_subjects_take_no_place(arguments, stream):
    server = NatsServer()
    if stream:
        server.make_stream(stream, "fluxbp.>")
    gateway = Gateway("--nats", server.url, *arguments)
    until("the gateway is ready", lambda: ask(gateway.http, "GET", "/readyz").status == 200)
    publish_on_strangers_subjects(Nats(server.url), gateway)
    names = metric(gateway, "fluxbp_bus_topics")
    expect(names < 3000, f"the bus knows {names} names")
    events = Sse(gateway.http, "/sse?topic=new")
    answer = ask(gateway.http, "POST", "/api/v1/publish?topic=new", b"hello")
    expect_equal(answer.status, 200, f"publishing on a new topic: {answer.body!r}")
    expect_equal(events.event().data, "hello", "the message of a new topic")
    gateway.stop()


def strangers_subjects_take_no_place_without_a_stream():
    strangers_subjects_take_no_place([], None)


def strangers_subjects_take_no_place_with_a_stream():
    strangers_subjects_take_no_place(["--jetstream", "NEWS"], "NEWS")


run(strangers_subjects_take_no_place_without_a_stream, strangers_subjects_take_no_place_with_a_stream)
