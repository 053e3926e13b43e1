# SPDX-License-Identifier: MIT
"""A real browser that trusts the tests' authority, over https and wss: a page's WebSocket and EventSource, publishing, and the end.
Another authority's certificate is refused.
"""
import os
import shutil
import subprocess
import sys
import tempfile

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from certificates import Certificates
from gateway import expect, expect_equal, run, scratch, skip, until
from tls import start
from webdriver import Browser

SCRIPT = """
  window.got = {events: [], texts: [], closed: null};
  const source = new EventSource('/sse?topic=news');
  source.onmessage = (event) => got.events.push(event.data);
  window.socket = new WebSocket(`wss://${location.host}/ws?topic=news`);
  socket.onmessage = (message) => got.texts.push(message.data);
  socket.onclose = (event) => { got.closed = [event.code, event.wasClean]; };
"""
PUBLISH = """
  return fetch('/api/v1/publish?topic=news', { method: 'POST', body: arguments[0] }).then((answer) => answer.status);
"""

certificates = Certificates()


def page_of(gateway):
    return "https://localhost:%d/" % gateway.doors["http-tls"][1]


def a_page_does_all_of_it(browser):
    gateway = start(certificates)
    browser.go(page_of(gateway))
    browser.run(SCRIPT)
    until("both are open", lambda: browser.run("return socket.readyState === 1 && got.events !== null"))
    large = "x" * 50000

    def have_come(text):
        return browser.run("return got.events.includes(arguments[0]) && got.texts.includes(arguments[0])", text)

    def publish_until_both_have_it():  # the source may be subscribed later
        expect_equal(browser.run(PUBLISH, "hello"), 200, "publishing")
        return have_come("hello")

    until("a message comes by both", publish_until_both_have_it)
    browser.run("socket.send('PUB news ' + arguments[0])", large)
    until("a large one that the page has sent by its WebSocket", lambda: have_come(large))
    expect(browser.run("return isSecureContext"), "the page isn't secure")
    gateway.terminate()
    until("the WebSocket has its close code", lambda: browser.run("return got.closed"))
    expect_equal(browser.run("return got.closed"), [4011, True], "the close code")
    expect_equal(gateway.wait(), 0, "exit code")


def another_authority_is_refused(browser):
    gateway = start(Certificates())
    browser.go(page_of(gateway))
    expect_equal(browser.run("return location.protocol"), "chrome-error:", "the page")
    gateway.wait_for_log("event=tls_failed .*certificate unknown")
    gateway.stop()


for program in ("chromium", "chromedriver", "certutil"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver, libnss3-tools)")
os.environ["HOME"] = tempfile.mkdtemp(dir=scratch)  # where Chromium looks for authorities
os.environ.pop("XDG_DATA_HOME", None)
database = os.path.join(os.environ["HOME"], ".pki", "nssdb")
os.makedirs(database)
for arguments in (["-N", "--empty-password"], ["-A", "-n", "test", "-t", "C,,", "-i", certificates.ca]):
    subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True)

with tempfile.TemporaryDirectory() as profile, \
        Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as chromium:

    def with_browser(test):
        def call():
            test(chromium)
        call.__name__ = test.__name__
        return call

    run(*map(with_browser, (a_page_does_all_of_it, another_authority_is_refused)))
