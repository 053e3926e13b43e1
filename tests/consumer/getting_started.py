# SPDX-License-Identifier: MIT
"""Follows docs/getting-started.md in the present folder; see getting_started.sh."""
import re
import socket
import subprocess
import sys

from gateway import expect_equal, start_process
from wire import Lines, WebSocket, ask

text = open(sys.argv[1]).read()
blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.S)
programs = [block for language, block in blocks if language == "c"]
commands = [block for language, block in blocks if language == "sh"]
first, page, handlers_with_page, rooms, handlers_with_rooms = programs
compile_command, run_command = commands[1].splitlines()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Chat:
    """The program, compiled and running."""

    def __init__(self, program):
        self.lines, self.http = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
        for port, address in (9000, self.lines), (9001, self.http):
            expect_equal(program.count(f"127.0.0.1:{port}"), 1, f"mentions of port {port}")
            program = program.replace(f"127.0.0.1:{port}", f"127.0.0.1:{address[1]}")
        with open("chat.c", "w") as file:
            file.write(program)
        subprocess.run(compile_command.replace("cc ", "cc -Wall -Werror "), shell=True, check=True)
        self.process = start_process(run_command, stdout=subprocess.PIPE)
        expect_equal(self.process.stdout.readline(), b"chat is there\n", "what it prints")

    def client(self):
        return Lines(self.lines)

    def end(self):
        self.process.kill()
        self.process.wait()


def replace_once(program, old, new):
    expect_equal(program.count(old), 1, f"places of {old!r}")
    return program.replace(old, new)


def handlers_of(program):
    return re.search(r"  fluxbp_server_handlers_t handlers = .*?;\n", program, re.S).group(0)


def hear(client, line):
    """What others have said before is passed over."""
    while client.text() != line:
        pass


def say_and_hear(client, says, line):
    """A client hears itself, too: when it does, it has been let in, and everything before that is done."""
    client.say(says)
    hear(client, line)


chat = Chat(first)
ann, bob = chat.client(), chat.client()
say_and_hear(bob, "I am here", "I am here")
say_and_hear(ann, "hello", "hello")
hear(bob, "hello")
chat.end()

with_page = replace_once(first, "int main(void) {", page + "\nint main(void) {")
with_page = replace_once(with_page, handlers_of(with_page), handlers_with_page)
chat = Chat(with_page)
answer = ask(chat.http, "GET", "/")
expect_equal(answer.status, 200, "the page's status")
assert "new WebSocket('ws://' + location.host + '/ws')" in answer.body.decode()
assert "append(event.data + '\\n')" in answer.body.decode()
browser, netcat = WebSocket(chat.http, "/ws"), chat.client()
say_and_hear(netcat, "I am here", "I am here")
browser.say("from the browser")
hear(netcat, "from the browser")
chat.end()

on_message = re.search(r"/\* What a client says.*?\n}\n", with_page, re.S).group(0)
with_rooms = replace_once(with_page, on_message, rooms)
with_rooms = replace_once(with_rooms, handlers_of(with_rooms), handlers_with_rooms)
with_rooms = "".join(line for line in with_rooms.splitlines(True) if "options.topic" not in line)
chat = Chat(with_rooms)
ann, bob, eve = chat.client(), chat.client(), chat.client()
ann.say("/nick ann")
say_and_hear(ann, "hello", "ann: hello")
for member in ann, eve:
    member.say("/join tea")
say_and_hear(eve, "in tea", "someone: in tea")
say_and_hear(ann, "more tea", "ann: more tea")
hear(eve, "ann: more tea")
bob.say("in the lobby")
while (line := bob.text()) != "someone: in the lobby":
    assert line == "ann: hello", line  # nothing of what was said in the other room
chat.end()
