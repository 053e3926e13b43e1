#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""examples/chat as people use it: netcat and browsers in one room, other rooms, names, whispers, and going."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import expect, expect_equal, run, start_process  # noqa: E402
from wire import Lines, WebSocket, ask  # noqa: E402


class Chat:
    def __init__(self):
        program = os.path.join(os.environ["BUILD"], "examples", "chat")
        self.process = start_process([program, "127.0.0.1:0", "127.0.0.1:0"], stdout=subprocess.PIPE)
        ports = re.findall(r"127\.0\.0\.1:(\d+)", self.process.stdout.readline().decode())
        self.lines, self.http = [("127.0.0.1", int(port)) for port in ports]

    def enter(self, name, by_browser=False):
        """A member of that name, in the lobby."""
        member = WebSocket(self.http, "/ws") if by_browser else Lines(self.lines)
        expect(member.text().startswith("welcome to lobby, guest"), "the greeting")
        member.say(f"/nick {name}")
        hear(member, f"you are now {name}")
        return member


def hear(member, wanted):
    """What others say about coming and going is passed over."""
    while (text := member.text()) != wanted:
        expect(text.endswith((" is here", " has gone", " has left the room")), f"{text!r} instead of {wanted!r}")


def netcat_and_a_browser_talk():
    chat = Chat()
    ann, bob = chat.enter("ann"), chat.enter("bob", by_browser=True)
    ann.say("hello")
    hear(bob, "ann: hello")
    bob.say("hello, ann")
    hear(ann, "bob: hello, ann")  # and not what she has said herself
    page = ask(chat.http, "GET", "/")
    expect_equal(page.status, 200, "the page's status")
    expect("new WebSocket(`ws://${location.host}/ws`)" in page.body.decode(), "the page talks to us")
    expect_equal(ask(chat.http, "GET", "/metrics").status, 404, "a part that is left out")


def a_room_hears_only_its_own():
    chat = Chat()
    ann, bob, eve = chat.enter("ann"), chat.enter("bob"), chat.enter("eve", by_browser=True)
    for member in ann, bob:
        member.say("/join tea")
        hear(member, f"welcome to tea, {'ann' if member is ann else 'bob'}")
    ann.say("only here")
    hear(bob, "ann: only here")
    eve.say("in the lobby")
    eve.say("/join tea")
    hear(eve, "welcome to tea, eve")
    eve.say("here I am")
    hear(ann, "eve: here I am")
    hear(bob, "eve: here I am")
    ann.say("/join no/room")
    hear(ann, "cannot join no/room: invalid argument")


def names_are_taken_once_and_whispers_are_private():
    chat = Chat()
    ann, bob, eve = chat.enter("ann"), chat.enter("bob", by_browser=True), chat.enter("eve")
    eve.say("/nick ann")
    hear(eve, "there is another ann")
    ann.say("/msg bob the key is under the mat")
    hear(bob, "ann whispers: the key is under the mat")
    ann.say("/msg zoe hello")
    hear(ann, "there is no zoe")
    ann.say("/who")
    expect_equal({ann.text() for _ in range(3)}, {f"{name} is in lobby" for name in ("ann", "bob", "eve")}, "members")
    ann.say("/dance")
    hear(ann, "there are /nick NAME, /join ROOM, /msg NAME TEXT, /who and /quit")
    ann.say("to all")
    hear(eve, "ann: to all")  # the whisper wasn't for her


def a_member_goes():
    chat = Chat()
    ann, bob, eve = chat.enter("ann"), chat.enter("bob", by_browser=True), chat.enter("eve")
    bob.say("/quit")
    expect_equal(bob.close_code(), (1000, "bye"), "close frame")
    while eve.text() != "bob has gone":
        pass
    ann.close()
    while eve.text() != "ann has gone":
        pass


run(netcat_and_a_browser_talk, a_room_hears_only_its_own, names_are_taken_once_and_whispers_are_private, a_member_goes)
