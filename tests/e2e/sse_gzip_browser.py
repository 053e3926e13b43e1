# SPDX-License-Identifier: MIT
"""A real browser's EventSource on a compressed stream: each event comes at once, long or short, and it resumes by itself."""
import json
import os
import shutil
import sys
import tempfile

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from gateway import Gateway, expect_equal, run, skip, until
from webdriver import Browser
from wire import ask

TEXT = json.dumps([dict(symbol=f"S{i}", bid=100 + i, ask=101 + i) for i in range(200)])
SCRIPT = """
  window.got = [];
  window.source = new EventSource('/sse?topic=news');
  source.onmessage = (event) => got.push(event.data);
"""


def publish(gateway, text):
    response = ask(gateway.http, "POST", "/api/v1/publish?topic=news", text.encode())
    expect_equal(response.status, 200, "publishing")


def counters(gateway):
    return ask(gateway.http, "GET", "/api/v1/stats").json()["counters"]


def connections(gateway):
    return ask(gateway.http, "GET", "/api/v1/connections").json()["connections"]


def a_page_gets_each_event_at_once_and_resumes():
    gateway = Gateway("--ping", 600000)
    with tempfile.TemporaryDirectory() as profile, \
            Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as browser:
        browser.go("http://%s:%d/" % gateway.http)
        browser.run(SCRIPT)
        until("it is open", lambda: browser.run("return source.readyState === 1"))
        texts = [text + str(i) for i in range(5) for text in ("short ", TEXT)]
        for number, text in enumerate(texts):  # nothing follows that would push an event on
            publish(gateway, text)
            until("an event", lambda: browser.run("return got.length") > number)
        expect_equal(browser.run("return got"), texts, "the events")
        expect_equal(counters(gateway)["compressed_messages"], 5, "compressed messages")
        client = connections(gateway)[0]["id"]
        ask(gateway.http, "POST", f"/api/v1/connections/{client}/evict")
        until("it is cut off", lambda: not [row for row in connections(gateway) if row["id"] == client])
        missed = [TEXT + " missed " + str(i) for i in range(5)]
        for text in missed:
            publish(gateway, text)
        until("it has come back", lambda: browser.run("return got.length") == len(texts) + len(missed))
        expect_equal(browser.run("return got"), texts + missed, "what was missed")
    gateway.stop()


for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver)")
run(a_page_gets_each_event_at_once_and_resumes)
