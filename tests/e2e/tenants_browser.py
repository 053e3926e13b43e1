# SPDX-License-Identifier: MIT
"""Two tenants at two gateways, in a real browser on a page of the service: acme's clients show the cookie that the login has
set, and globex's a token in the query or in the first message.
"""
import http.server
import os
import shutil
import sys
import tempfile
import threading
import urllib.parse

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from gateway import run, skip
from tenants import COOKIE, Service, run_tenants
from webdriver import Browser

PAGE = b"""<!doctype html><title>the service</title><script>
const said = {}, sockets = {};
const say = (client, what, data = null) => (said[client] ??= []).push([what, data]);
function openEvents(client, url) {
  const source = new EventSource(url, { withCredentials: true });
  source.onopen = () => say(client, 'open');
  source.onmessage = (event) => say(client, 'message', event.data);
  source.onerror = () => source.readyState === EventSource.CLOSED && say(client, 'end');
}
function openSocket(client, url, token) {
  const socket = sockets[client] = new WebSocket(url.replace('http:', 'ws:'));
  socket.onopen = () => { if (token) socket.send(`AUTH ${token}`); say(client, 'open'); };
  socket.onmessage = (event) => say(client, 'message', event.data);
  socket.onclose = (event) => say(client, 'close', event.code);
}
</script>"""


class Site(http.server.BaseHTTPRequestHandler):
    """The page, and the login, which sets the cookie."""

    def do_GET(self):
        token = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("token")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        if token:
            self.send_header("Set-Cookie", f"{COOKIE}={token[0]}; HttpOnly; SameSite=Strict; Path=/")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *arguments):
        pass


class Pages:
    """The cookie is of `localhost`; clients of a tenant without it go to 127.0.0.1."""

    def __init__(self, browser, gateways):
        self.browser = browser
        self.gateways = gateways

    def open(self, kind, name, gateway, tenant, topic, token):
        has_cookie = tenant == "acme"
        host = "localhost" if has_cookie else "127.0.0.1"
        if has_cookie:
            self.browser.run("return fetch('/login?token=' + arguments[0]).then((answer) => answer.status)", token)
        path = {"events": "/sse", "socket": "/ws"}[kind]
        url = f"http://{host}:{self.gateways[gateway].http[1]}{path}?topic={topic}"
        if kind == "events" and not has_cookie:
            url += f"&token={token}"
        script = {"events": "openEvents", "socket": "openSocket"}[kind]
        self.browser.run(f"{script}(arguments[0], arguments[1], arguments[2])", name, url, None if has_cookie else token)

    def send(self, name, text):
        self.browser.run("sockets[arguments[0]].send(arguments[1])", name, text)

    def said(self, name):
        return [tuple(said) for said in self.browser.run("return said[arguments[0]] ?? []", name)]


def two_tenants_in_a_browser():
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    origin = f"http://localhost:{site.server_address[1]}"
    with tempfile.TemporaryDirectory() as profile, \
            Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as browser:
        browser.go(origin)
        service = Service(origin)
        run_tenants(service, Pages(browser, service.gateways))


for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver)")
run(two_tenants_in_a_browser)
