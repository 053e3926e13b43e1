# SPDX-License-Identifier: MIT
"""A real browser's WebSocket: it agrees on compression, gets compressed messages, compresses what it sends, and resumes."""
import json
import os
import shutil
import sys
import tempfile

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from gateway import Gateway, expect, expect_equal, run, skip, until
from webdriver import Browser
from wire import ask

TEXT = json.dumps([dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(200)])
SCRIPT = """
  window.socket = new WebSocket(`ws://${location.host}/ws?format=json&topic=news${arguments[0]}`);
  socket.got = [];
  socket.onmessage = (message) => socket.got.push(JSON.parse(message.data));
"""


def counters(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]


def publish(gateway, text):
    response = ask(gateway.http, "POST", "/api/v1/publish?topic=news", text.encode())
    expect_equal(response.status, 200, "publishing")
    return response.json()["id"]


def open_socket(browser, gateway, query=""):
    browser.run(SCRIPT, query)
    until("it is open", lambda: browser.run("return socket.readyState === 1"))
    agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover".split("; ")
    expect_equal(browser.run("return socket.extensions").split("; "), agreed, "the extension")


def until_has(browser, texts):
    until("the messages", lambda: browser.run(
        "return arguments[0].every((text) => socket.got.some((message) => message.data === text))", texts))


def a_page_gets_and_sends_compressed_messages_and_resumes():
    gateway = Gateway()
    with tempfile.TemporaryDirectory() as profile, \
            Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as browser:
        browser.go("http://%s:%d/" % gateway.http)
        open_socket(browser, gateway)
        before = counters(gateway)
        first = publish(gateway, TEXT)
        until_has(browser, [TEXT])
        after = counters(gateway)
        expect_equal(after["compressed_messages"] - before["compressed_messages"], 1, "compressed messages")
        received = after["received_bytes"]
        own = TEXT.replace("S", "T")
        browser.run("socket.send('PUB news ' + arguments[0])", own)
        until_has(browser, [own])
        taken = counters(gateway)["received_bytes"] - received
        expect(taken < len(own) / 2, f"{taken} bytes came for {len(own)}")
        browser.run("socket.close()")
        until("it is gone", lambda: ask(gateway.http, "GET", "/api/v1/connections").json()["connections"] == [])
        missed = [own, *(TEXT + str(i) for i in range(10))]
        for text in missed[1:]:
            publish(gateway, text)
        open_socket(browser, gateway, "&since=" + first)
        until_has(browser, missed)
        got = browser.run("return socket.got.filter((message) => message.data).map((message) => message.data)")
        expect_equal(got, missed, "what was missed")
    gateway.stop()


for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver)")
run(a_page_gets_and_sends_compressed_messages_and_resumes)
