# SPDX-License-Identifier: MIT
"""What an answer to a publisher means when there is a backbone: NATS has the message. It comes with the message's id, in the
order of the publishes, once, whatever happens to NATS meanwhile, or it says why not; and a gateway that is killed takes
nothing with it that it has answered for.
"""
import json
import os
import re
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import gateway
from gateway import Gateway, expect, expect_equal, run, until
from nats_server import NatsServer
from wire import STALLED_RCVBUF, Frames, Http, Lines, WebSocket, ask, handshake

NDJSON = ["Content-Type: application/x-ndjson"]
UNKNOWN = "the server is shutting down, and NATS has not confirmed this: it may not have arrived"


def start(*arguments, subject="fluxbp.>", **stream):
    """NATS with a stream, and a gateway."""
    server = NatsServer()
    server.make_stream("NEWS", subject, **stream)
    return server, Gateway("--nats", server.url, "--jetstream", "NEWS", *arguments)


def publisher(at):
    """A client that gets answers alone, and the epoch."""
    client = Lines(at.lines)
    expect_equal(client.ask("UNSUB news"), "+OK UNSUB news", "UNSUB")
    return client, client.ask("IDS").removeprefix("+OK IDS ").split(":")[0]


def unconfirmed(at):
    metrics = ask(at.http, "GET", "/metrics").body.decode()
    return int(re.search(r"^fluxbp_backbone_unconfirmed_messages (\d+)$", metrics, re.M).group(1))


def until_due(at, count):
    until(f"{count} answers are due", lambda: unconfirmed(at) == count)


def until_ready(at):
    until("the gateway is ready", lambda: ask(at.http, "GET", "/readyz").status == 200)


def bulk(*messages):
    return b"".join(json.dumps({"topic": "news", "data": message}).encode() + b"\n" for message in messages)


def numbered(first, last):
    return [str(number) for number in range(first, last + 1)]


def an_answer_has_the_number_in_the_stream():
    server, at = start("--state", "prices", "--tcp-length", "127.0.0.1:0")
    client, epoch = publisher(at)
    expect_equal(client.ask("PUB news one"), f"+OK PUB {epoch}:1", "PUB")
    expect_equal(client.ask("SET prices gold 2"), f"+OK SET {epoch}:2", "SET")
    http, websocket = Http(at.http), WebSocket(at.http, "/ws?topic=other")
    post = "/api/v1/publish?topic=news"
    expect_equal(http.ask("POST", post, b"three").json(), {"id": f"{epoch}:3"}, "POST")
    answer = http.ask("POST", "/api/v1/publish", bulk("four", "five") + b"\n", NDJSON)
    expect_equal((answer.status, answer.json()), (200, {"published": 2, "id": f"{epoch}:5"}), "a bulk")
    websocket.say("PUB news six")
    expect_equal(websocket.text(), f"+OK PUB {epoch}:6", "WebSocket")
    client.say("PUB news seven\nQUIT\nPUB news eight")
    expect_equal(client.answer(), f"+OK PUB {epoch}:7", "before QUIT")
    expect_equal(client.answer(), "+OK QUIT", "QUIT")
    client.expect_closed("behind QUIT")
    expect_equal(list(server.messages("NEWS").values()), ["one", "2", "three", "four", "five", "six", "seven"], "stream")
    at.stop()


def answers_come_in_order_when_NATS_does():
    server, at = start("--state", "prices")
    client, epoch = publisher(at)
    http = Http(at.http)
    server.stall()
    client.say("PUB news one\nPUB no/topic x\nPUB\nSET news k x\nPUB news two\nNAME n\nPING")
    expect_equal(client.answer(), "+OK NAME", "what needs no NATS is first")
    expect_equal(client.answer(), "+PONG", "what needs no NATS is first")
    http.send_request("POST", "/api/v1/publish?topic=news", b"three")
    http.send_request("GET", "/livez")
    http.send_request("POST", "/api/v1/publish?topic=news", b"four")
    http.send_request("POST", "/api/v1/publish", bulk(*["x" * 60000] * 10), NDJSON)  # held meanwhile
    until_due(at, 3)
    server.resume()
    expect_equal(client.answer(), f"+OK PUB {epoch}:1", "the first")
    for what in ("-ERR that is no name of a topic", "-ERR PUB needs", "-ERR keys are for state topics"):
        answer = client.answer()
        expect(answer.startswith(what), f"{answer} instead of {what}")
    expect_equal(client.answer(), f"+OK PUB {epoch}:2", "the last")
    expect_equal(http.response().json(), {"id": f"{epoch}:3"}, "POST")
    expect_equal(http.response().body, b"ok\n", "the request behind it")
    expect_equal(http.response().json(), {"id": f"{epoch}:4"}, "the POST behind that")
    expect_equal(http.response().json(), {"published": 10, "id": f"{epoch}:14"}, "a long one behind that")
    expect_equal(client.ask("PUB news five"), f"+OK PUB {epoch}:15", "afterwards")
    at.stop()


def what_is_due_when_NATS_is_killed_is_answered_once():
    server, at = start("--threads", 2)
    clients = [publisher(at) for _ in range(2)]
    epoch = clients[0][1]
    http = Http(at.http)
    server.stall()
    for client, _ in clients:
        client.say("\n".join(f"PUB news {number}" for number in range(300)))
    http.send_request("POST", "/api/v1/publish", bulk(*numbered(1, 1000)), NDJSON)
    until_due(at, 1600)
    server.kill()
    at.wait_for_log("event=backbone_disconnected")
    expect_equal(Lines(at.lines).ask("PUB news refused")[:31], "-ERR busy: the backbone is away", "while it is away")
    clients[0][0].say("PUB news refused")  # the answer waits for those before it
    expect_equal(clients[0][0].ask("PING"), "+PONG", "PING while it is away")
    server.start()
    ids = []
    for client, _ in clients:
        answers = [client.answer() for _ in range(300)]
        expect(all(answer.startswith(f"+OK PUB {epoch}:") for answer in answers), f"not all were taken: {answers}")
        own = [int(answer.rsplit(":", 1)[1]) for answer in answers]
        expect_equal(own, sorted(own), "their order")
        ids += own
    answer = http.response().json()
    expect_equal(answer["published"], 1000, "of the bulk")
    expect_equal(clients[0][0].answer()[:31], "-ERR busy: the backbone is away", "in its turn")
    for client, _ in clients:
        expect_equal(client.ask("PING"), "+PONG", "and nothing more")
    stored = server.messages("NEWS")
    expect_equal(len(stored), 1600, "messages in the stream, each once")
    expect_equal(len(set(ids)), 600, "ids")
    expect_equal([stored[id] for id in ids], numbered(0, 299) * 2, "the messages of these ids")
    expect_equal(stored[int(answer["id"].split(":")[1])], "1000", "the last of the bulk")
    at.stop()


def what_the_stream_refuses_is_an_error():
    server, at = start(max_msgs=5, discard="new", max_msg_size=1000)
    client, epoch = publisher(at)
    http = Http(at.http)
    post = "/api/v1/publish?topic=news"
    client.say("PUB news one\nPUB news " + "x" * 2000 + "\nPUB news two")
    expect_equal(client.answer(), f"+OK PUB {epoch}:1", "the first")
    expect(client.answer().startswith("-ERR NATS refuses it: message size exceeds maximum allowed"), "too long")
    expect_equal(client.answer(), f"+OK PUB {epoch}:2", "the one behind it")
    expect_equal(http.ask("POST", post, b"x" * 2000).status, 413, "too long")
    answer = http.ask("POST", "/api/v1/publish", bulk("three", "x" * 2000, "four", "five", "six"), NDJSON)
    expect_equal((answer.status, answer.json()["line"], answer.json()["published"]), (413, 2, 3), "a bulk")
    full = "NATS refuses it: maximum messages exceeded; see the limits of the stream"
    expect_equal(client.ask("PUB news six"), "-ERR " + full, "full")
    answer = http.ask("POST", post, b"six")
    expect_equal((answer.status, answer.json(), "retry-after" in answer.headers), (503, {"error": full}, False), "full")
    answer = http.ask("POST", "/api/v1/publish", bulk("six") + b"no object\n" + bulk("seven"), NDJSON)
    expect_equal((answer.status, answer.json()), (503, {"error": full, "line": 1, "published": 0}), "the first of two")
    answer = http.ask("POST", "/api/v1/publish", b"\n\nno object\n", NDJSON)
    expect_equal((answer.status, answer.json()["line"]), (400, 3), "a line that is wrong")
    expect_equal(list(server.messages("NEWS").values()), ["one", "two", "three", "four", "five"], "stream")
    until_due(at, 0)
    at.stop()


class Killed:
    """A publisher that is ahead of its answers, and a gateway that is killed meanwhile."""

    def __init__(self):
        self.server, self.at = start()
        support = os.path.join(os.path.dirname(__file__), "..", "support", "pipelining_publisher.py")
        self.said = os.path.join(gateway.scratch, "answers")
        with open(self.said, "w") as said:
            self.publisher = gateway.start_process([sys.executable, support, str(self.at.lines[1]), "news"], stdout=said)

    def answers(self):
        with open(self.said) as said:
            return [line.split(" ", 1) for line in said.read().split("\n") if " " in line]

    def kill(self):
        """@return the answers, and how many messages were sent"""
        self.at.process.kill()
        expect_equal(self.publisher.wait(gateway.DEADLINE_S), 0, "exit code of the publisher")
        *answers, (word, sent) = self.answers()
        expect_equal(word, "sent", "its last word")
        return answers, int(sent)

    def expect_stored(self, answers, sent):
        stored = self.server.messages("NEWS")
        taken = [(number, answer) for number, answer in answers if answer.startswith("+OK PUB ")]
        print(f"  {sent} sent, {len(answers)} answered, {len(taken)} of them taken, {len(stored)} in the stream", flush=True)
        expect_equal(len(taken), len(answers), "answers that took the message")
        lost = set(number for number, _ in taken) - set(stored.values())
        expect_equal(len(lost), 0, "answered for, and lost")
        for number, answer in taken:
            expect_equal(stored[int(answer.split(":")[1])], number, answer)


def a_gateway_that_is_killed_has_answered_for_nothing_that_is_lost():
    test = Killed()
    until("the middle of a burst", lambda: len(test.answers()) >= 2000 and len(test.answers()) % 300 > 0)
    test.expect_stored(*test.kill())


def nor_has_one_that_is_killed_with_its_NATS():
    test = Killed()
    until("1000 answers", lambda: len(test.answers()) >= 1000)
    test.server.stall()
    until("100 answers are due", lambda: unconfirmed(test.at) >= 100)
    killed = test.kill()
    test.server.kill()
    test.server.start()
    expect(len(killed[0]) + 100 <= killed[1], "nothing was under way")
    test.expect_stored(*killed)


def one_that_is_stopped_answers_what_is_confirmed_in_time():
    server, at = start("--drain-ms", 60000)
    client, epoch = publisher(at)
    http = Http(at.http)
    server.stall()
    client.say("\n".join(["PUB news x"] * 600))
    until_due(at, 600)
    http.send_request("POST", "/api/v1/publish?topic=news", b"y")
    until_due(at, 601)
    at.terminate()
    at.wait_for_log("event=stopping")
    server.resume()
    for number in range(600):
        expect_equal(client.answer(), f"+OK PUB {epoch}:{number + 1}", "PUB")
    expect_equal(http.response().json(), {"id": f"{epoch}:601"}, "POST")
    client.expect_closed("behind the last answer")
    expect_equal(at.wait(), 0, "exit code")


def and_says_of_the_rest_that_it_does_not_know():
    server, at = start("--drain-ms", 300)
    client, _ = publisher(at)
    http = Http(at.http)
    server.stall()
    client.say("PUB news x\nPUB\nPUB news x\nQUIT")
    http.send_request("POST", "/api/v1/publish?topic=news", b"x")
    until_due(at, 3)
    at.terminate()
    expect_equal(client.answer(), "-ERR " + UNKNOWN, "PUB")
    expect_equal(client.answer()[:14], "-ERR PUB needs", "PUB without a message")
    expect_equal(client.answer(), "-ERR " + UNKNOWN, "PUB")
    expect_equal(client.answer(), "+OK QUIT", "QUIT")
    response = http.response()
    expect_equal((response.status, response.headers["connection"]), (503, "close"), "POST")
    expect_equal(at.wait(), 0, "exit code")


def another_stream_of_the_same_name_gives_no_ids():
    server, at = start()
    client, epoch = publisher(at)
    for number in (1, 2, 3):
        expect_equal(client.ask(f"PUB news {number}"), f"+OK PUB {epoch}:{number}", "PUB")
    server.connect().request("$JS.API.STREAM.DELETE.NEWS", b"")
    server.make_stream("NEWS", "fluxbp.>")
    expect_equal(client.ask("PUB news to the other one"), f"-ERR {UNKNOWN}", "the answer")
    expect_equal(at.wait(), 1, "exit code")
    expect("event=backbone_stream_lost" in at.log(), "the log doesn't say why it ended")


def whoever_has_gone_needs_no_answer():
    server, at = start("--threads", 2, "--handshake", 500)  # so long it could still be reading
    server.stall()
    for number in range(4):
        client, websocket = Lines(at.lines), WebSocket(at.http)
        client.say("PUB news x\nPUB news y\nPUB news")
        websocket.say("PUB news z")
        http = Http(at.http)
        http.send_request("POST", "/api/v1/publish", bulk("x", "y", "z"), NDJSON)
        until_due(at, 6 * (number + 1))
        for gone in (client, http, websocket):
            gone.close()
    until("they have gone", lambda: b"fluxbp_connections 1\n" in ask(at.http, "GET", "/metrics").body)
    server.resume()
    until_due(at, 0)
    client, epoch = publisher(at)
    expect_equal(client.ask("PUB news x"), f"+OK PUB {epoch}:25", "afterwards")
    server.stall()
    client.say("PUB news x")
    until_due(at, 1)
    client.close()
    at.terminate()  # and an answer that nobody wants is in nobody's way
    server.resume()
    expect_equal(at.wait(), 0, "exit code")


def who_sends_no_more_gets_its_answers():
    server, at = start("--tcp-length", "127.0.0.1:0")
    clients = [Lines(at.lines), Frames(at.frames)]
    server.stall()
    for client in clients:
        for number in (1, 2):
            client.say(f"PUB other {number}")
    http = Http(at.http)
    for number in (1, 2):
        http.send_request("POST", "/api/v1/publish?topic=other", b"x")
    for client in (*clients, http):
        client.socket.shutdown(socket.SHUT_WR)
    until_due(at, 5)
    server.resume()
    for client in clients:
        for number in (1, 2):
            expect(client.line().startswith("+OK PUB "), "the answer")
        client.expect_closed("behind the answers")
    for number in (1, 2):
        expect_equal(http.response().status, 200, "the status")
    http.expect_closed("behind the answers")
    at.stop()


def a_stream_that_it_asked_for_behind_them_ends():
    server, at = start()
    clients = [Http(at.http), Http(at.http)]
    server.stall()
    for client in clients:
        client.send_request("POST", "/api/v1/publish?topic=other", b"x")
    clients[0].send_request("GET", "/sse?topic=other")
    clients[1].send(handshake(at.http, "/ws?topic=other"))
    for client in clients:
        client.socket.shutdown(socket.SHUT_WR)
    until_due(at, 2)
    server.resume()
    for client, status in zip(clients, (200, 101)):
        expect_equal(client.response().status, 200, "the answer that was due")
        expect_equal(client.head()[0], status, "the status of the stream")
        client.rest()  # it is closed
    at.stop()


def but_it_waits_no_longer_than_it_may():
    server, at = start("--handshake", 500)
    server.stall()
    http = Http(at.http)  # now, since it has so long for a request
    for _ in range(20):  # the end of what it sends is seen while they are answered
        http.send_request("GET", "/api/v1/stats")
    http.send_request("POST", "/api/v1/publish?topic=news", b"x")
    http.socket.shutdown(socket.SHUT_WR)
    for _ in range(20):
        expect_equal(http.response().status, 200, "the status")
    http.expect_closed("though NATS says nothing")
    expect_equal(unconfirmed(at), 1, "what NATS has not confirmed")
    server.resume()
    at.stop()


def nor_does_one_whose_commands_wait_behind_its_answers():
    server, at = start("--handshake", 500)
    client, _ = publisher(at)
    server.stall()
    client.say("\n".join(["PUB news x"] * 4296))  # 200 more than may be due
    client.socket.shutdown(socket.SHUT_WR)
    client.expect_closed("though NATS says nothing")
    server.resume()
    at.stop()


def answers_that_are_due_are_bounded():
    server, at = start()
    client, epoch = publisher(at)
    server.stall()
    most = 4096
    client.say("\n".join(["PUB news x"] * most))
    until_due(at, most)
    client.say("PUB news x\nPUB news x\nPING")
    other = Lines(at.lines)
    other.say("PING\nPUB news x")
    expect_equal(other.answer(), "+PONG", "another client")
    expect_equal(unconfirmed(at), most, "no more are due")
    server.resume()
    ids = [client.answer() for _ in range(most + 3)]
    ids.remove("+PONG")
    ids.append(other.answer())
    expect_equal(sorted(ids), sorted(f"+OK PUB {epoch}:{number + 1}" for number in range(most + 3)), "PUB")
    expect_equal(client.ask("PUB news x"), f"+OK PUB {epoch}:{most + 4}", "afterwards")
    at.stop()


def who_reads_answers_late_gets_them_all():
    for rule in ("drop-newest", "drop-oldest", "evict"):
        server, at = start("--slots", 16, "--stall", 0, "--slow", 0, "--overflow", rule)
        client = Lines(at.lines, STALLED_RCVBUF)
        expect_equal(client.ask("UNSUB news"), "+OK UNSUB news", "UNSUB")
        epoch = client.ask("IDS").removeprefix("+OK IDS ").split(":")[0]
        count = 20000
        sending = threading.Thread(target=client.say, args=("\n".join(["PUB news x"] * count),), daemon=True)
        sending.start()
        until("no more is read", lambda: is_backpressured(at))
        for number in range(count):
            expect_equal(client.answer(), f"+OK PUB {epoch}:{number + 1}", "PUB")
        sending.join()
        at.stop()


def is_backpressured(at):
    return ask(at.http, "GET", "/api/v1/stats").json()["connections"]["backpressured"] > 0


def without_a_stream_it_is_on_the_bus():
    server = NatsServer()
    at = Gateway("--nats", server.url)
    until_ready(at)
    client, epoch = publisher(at)
    reader = Lines(at.lines)
    expect_equal(reader.ask("IDS"), f"+OK IDS {epoch}:0", "IDS")
    answers = []
    for number in range(1, 4):
        answers.append(client.ask(f"PUB news {number}"))
        expect_equal(reader.line(), f"{epoch}:{number} news {number}", "message")
    expect_equal(answers, [f"+OK PUB {epoch}:{number}" for number in range(1, 4)], "PUB")
    expect_equal(ask(at.http, "POST", "/api/v1/publish?topic=news", b"4").json(), {"id": f"{epoch}:4"}, "POST")
    http = Http(at.http)
    server.stall()
    client.say("PUB news 5\nPUB news 6")
    http.send_request("POST", "/api/v1/publish?topic=news", b"7")
    until_due(at, 3)
    server.kill()
    at.wait_for_log("event=backbone_disconnected")
    expect_equal(client.ask("PING"), "+PONG", "PING while it is away")
    server.start()
    lost = "the backbone's connection was lost: it may not have arrived"
    expect_equal((client.answer(), client.answer()), ("-ERR " + lost, "-ERR " + lost), "PUB")
    response = http.response()
    expect_equal((response.status, response.json()), (503, {"error": lost}), "POST")
    until_ready(at)
    expect_equal(client.ask("PUB news 8"), f"+OK PUB {epoch}:5", "afterwards")
    at.stop()


def a_number_that_was_never_given_means_nothing():
    server = NatsServer()
    at = Gateway("--nats", server.url)
    until_ready(at)
    client, epoch = publisher(at)
    other = server.connect()
    other.send(b"SUB fluxbp.news news")
    other.flush()
    expect_equal(client.ask("PUB news 1"), f"+OK PUB {epoch}:1", "PUB")
    reply = other.expect([b"MSG"])[3].decode()  # everybody on NATS sees it
    for number in (2, 1 << 63, (1 << 64) - 1):
        other.publish("fluxbp.news", b"from NATS", reply=f"{reply.rsplit('.', 1)[0]}.{number}")
    until("they have come", lambda: client.ask("IDS") == f"+OK IDS {epoch}:4")
    expect_equal(client.ask("PUB news 2"), f"+OK PUB {epoch}:5", "afterwards")
    at.stop()


def a_sequence_that_was_never_given_means_nothing():
    server, at = start()
    client, epoch = publisher(at)
    other = server.connect()
    other.send(b"SUB fluxbp.> all")
    other.flush()
    expect_equal(client.ask("PUB news one"), f"+OK PUB {epoch}:1", "PUB")
    words = other.expect([b"MSG", b"HMSG"])
    other.lines.read(int(words[-1]) + 2)
    inbox = words[3].decode().rsplit(".", 1)[0]
    for number in (0, 77, 1 << 63):
        other.publish(f"{inbox}.{number}", b'{"stream":"NEWS","seq":1000000}')
    other.flush()
    expect_equal(client.ask("PUB news two"), f"+OK PUB {epoch}:2", "afterwards")
    expect("backbone_ack_withheld" not in at.log(), "it believed the one that was made up")
    at.stop()


def what_is_too_long_with_its_headers_says_nothing_of_others():
    server = NatsServer("max_payload: 1024")
    at = Gateway("--nats", server.url, "--state", "prices")
    until_ready(at)
    client, epoch = publisher(at)
    server.stall()
    client.say("PUB news x")
    until_due(at, 1)
    client.say("SET prices gold " + "x" * 1024 + "\nPING")
    expect_equal(client.answer(), "+PONG", "PING")
    at.wait_for_log("event=backbone_publish_failed")
    server.resume()
    expect_equal(client.answer(), f"+OK PUB {epoch}:1", "the one before")
    expect_equal(client.answer(), "-ERR NATS refuses it: it is over the max_payload of NATS", "too long")
    at.stop()


run(an_answer_has_the_number_in_the_stream,
    answers_come_in_order_when_NATS_does,
    what_is_due_when_NATS_is_killed_is_answered_once,
    what_the_stream_refuses_is_an_error,
    a_gateway_that_is_killed_has_answered_for_nothing_that_is_lost,
    nor_has_one_that_is_killed_with_its_NATS,
    one_that_is_stopped_answers_what_is_confirmed_in_time,
    and_says_of_the_rest_that_it_does_not_know,
    another_stream_of_the_same_name_gives_no_ids,
    whoever_has_gone_needs_no_answer,
    who_sends_no_more_gets_its_answers,
    a_stream_that_it_asked_for_behind_them_ends,
    but_it_waits_no_longer_than_it_may,
    nor_does_one_whose_commands_wait_behind_its_answers,
    answers_that_are_due_are_bounded,
    who_reads_answers_late_gets_them_all,
    without_a_stream_it_is_on_the_bus,
    a_number_that_was_never_given_means_nothing,
    a_sequence_that_was_never_given_means_nothing,
    what_is_too_long_with_its_headers_says_nothing_of_others)
