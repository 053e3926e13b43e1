# SPDX-License-Identifier: MIT
"""A real browser on a page of another origin: what the list of origins allows works, the rest is neither read nor
carried out.
"""
import http.server
import os
import shutil
import sys
import tempfile
import threading

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from gateway import Gateway, expect, expect_equal, run, scratch, skip, until
from webdriver import Browser
from wire import Lines, ask

SUBSCRIBE = """
  window.got = [];
  window.failed = false;
  window.source = new EventSource(arguments[0], { withCredentials: arguments[1] });
  source.onmessage = (event) => got.push(event.data);
  source.onerror = () => { failed = true; };
"""

# What the page sees of an answer: its status, its body and the header Allow; or that there is an error.
FETCH = """
  return fetch(arguments[0], arguments[1]).then(
    async (answer) => [answer.status, await answer.text(), answer.headers.get('allow')],
    (error) => [0, error.name, null]);
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>a page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def start_site(host):
    """A site of its own. Returns its origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{host}:{server.server_address[1]}"


def tokens_file():
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as file:
        file.write("publish publishing-token-0001\nadmin administering-token-0001\n")
    return file.name


def url(gateway, path):
    return gateway.url(path)


def publish(gateway, body):
    token = ["Authorization: Bearer publishing-token-0001"]
    answer = ask(gateway.http, "POST", "/api/v1/publish?topic=news", body, token)
    expect_equal(answer.status, 200, "publishing")


def has_come(browser, text):
    """The page has subscribed some time before; so what is published until it has come is the same again and again."""
    return browser.run("return got.includes(arguments[0])", text)


def receives(gateway, browser):
    def is_there():
        publish(gateway, b"to the page")
        return has_come(browser, "to the page")
    until("an event arrives", is_there)


def json_of(token):
    return {"method": "POST", "body": '{"topic":"news","data":"by the page"}',
            "headers": {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}}


def a_page_of_a_named_origin_does_all_of_it(browser):
    for host in ("127.0.0.1", "localhost"):  # the same site, and another one
        site = start_site(host)
        gateway = Gateway("--tokens", tokens_file(), "--allow-origin", site, trusts_loopback=False)
        browser.go(site)
        for has_credentials in (False, True):
            browser.run(SUBSCRIBE, url(gateway, "/sse"), has_credentials)
            receives(gateway, browser)
            expect_equal(browser.run(FETCH, url(gateway, "/api/v1/publish"), json_of("publishing-token-0001"))[0], 200,
                         "publishing")
            until("the page gets what it has published", lambda: has_come(browser, "by the page"))
            expect(not browser.run("source.close(); return failed"), "the source has failed")
        admin = {"headers": {"Authorization": "Bearer administering-token-0001"}, "credentials": "include"}
        status, text, _ = browser.run(FETCH, url(gateway, "/api/v1/stats"), admin)
        expect(status == 200 and '"connections"' in text, f"stats: {status} {text}")
        status, text, _ = browser.run(FETCH, url(gateway, "/api/v1/stats"), {})
        expect(status == 401 and "token" in text, f"the page reads why: {status} {text}")
        status, text, allow = browser.run(FETCH, url(gateway, "/sse"), {"method": "POST"})
        expect_equal((status, allow), (405, "GET"), "a header of ours")
        gateway.stop()


def a_page_of_any_origin_has_no_credentials(browser):
    site = start_site("localhost")
    gateway = Gateway("--tokens", tokens_file(), "--allow-origin", "*", trusts_loopback=False)
    browser.go(site)
    browser.run(SUBSCRIBE, url(gateway, "/sse"), False)
    receives(gateway, browser)
    answer = browser.run(FETCH, url(gateway, "/api/v1/publish"), json_of("publishing-token-0001"))
    expect_equal(answer[0], 200, "publishing")
    until("the page gets what it has published", lambda: has_come(browser, "by the page"))
    browser.run("source.close()")
    browser.run(SUBSCRIBE, url(gateway, "/sse"), True)
    until("with credentials it fails", lambda: browser.run("return failed && source.readyState === EventSource.CLOSED"))
    answer = browser.run(FETCH, url(gateway, "/livez"), {"credentials": "include"})
    expect_equal(answer, [0, "TypeError", None], "credentials")
    gateway.stop()


def a_page_that_is_not_on_the_list_changes_nothing(browser):
    listed, stranger = start_site("localhost"), start_site("localhost")
    gateway = Gateway("--allow-origin", listed)  # this machine may publish without a token
    subscriber = Lines(gateway.lines)
    browser.go(stranger)
    path = url(gateway, "/api/v1/publish?topic=news")
    for request in ({"method": "POST", "body": "simple"},
                    {"method": "POST", "body": "no-cors", "mode": "no-cors"},
                    {"method": "POST", "body": "preflighted", "headers": {"Content-Type": "application/json"}},
                    {"method": "POST", "body": "no referrer", "mode": "no-cors", "referrerPolicy": "no-referrer"}):
        expect_equal(browser.run(FETCH, path, request), [0, "" if "mode" in request else "TypeError", None],
                     f"what the page sees of {request}")
    expect(browser.run("return navigator.sendBeacon(arguments[0], 'beacon')", path), "a beacon is sent")
    browser.run("""
      const form = document.body.appendChild(document.createElement('form'));
      form.method = 'post';
      form.action = arguments[0];
      form.enctype = 'text/plain';
      form.innerHTML = '<input name=a value=b>';
      form.submit();""", path)
    until("the form was refused", lambda: "not in the server's list of origins" in (browser.text("body") or ""))
    browser.go(stranger)
    browser.run(SUBSCRIBE, url(gateway, "/sse"), False)
    until("the source fails", lambda: browser.run("return failed && source.readyState === EventSource.CLOSED"))
    expect_equal(browser.run(FETCH, url(gateway, "/api/v1/stats"), {})[0], 0, "stats")
    browser.go(listed)
    expect_equal(browser.run(FETCH, path, {"method": "POST", "body": "listed"})[0], 200, "a page of the list")
    expect_equal(subscriber.line(), "listed", "nothing but this was published")
    gateway.stop()


for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver)")
with tempfile.TemporaryDirectory() as profile, \
        Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as chromium:

    def with_browser(test):
        def call():
            test(chromium)
        call.__name__ = test.__name__
        return call

    run(*map(with_browser, (a_page_of_a_named_origin_does_all_of_it,
                            a_page_of_any_origin_has_no_credentials,
                            a_page_that_is_not_on_the_list_changes_nothing)))
