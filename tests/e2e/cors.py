# SPDX-License-Identifier: MIT
"""Pages of other origins over HTTP: what curl sees of preflights, headers and refusals. cors_browser.py is the same with
a browser.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, scratch, until
from wire import Closed, Http, Lines, Sse, WebSocket

RESERVE = 64  # connections by HTTP beyond --max-connections
NAMED, OTHER, FOREIGN = "https://app.example.org", "https://other.example.org", "https://foreign.example.org"
EXPOSED = "Allow, Retry-After, WWW-Authenticate"


class Answer:
    """The status, each header with all of its values, and the body."""

    def __init__(self, text):
        head, self.body = text.split("\r\n\r\n", 1)
        lines = head.split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {}
        for name, value in (line.split(": ", 1) for line in lines[1:]):
            self.headers.setdefault(name.lower(), []).append(value)

    def cors(self):
        """The headers for the page."""
        return {name[len("access-control-"):]: ", ".join(values) for name, values in self.headers.items()
                if name.startswith("access-control-")}

    def vary(self):
        return ", ".join(self.headers.get("vary", []))


def curl(gateway, path, *arguments, origin=None, headers=()):
    command = ["curl", "-si", "--max-time", "40", *arguments, gateway.url(path)]
    for header in [*([f"Origin: {origin}"] if origin else []), *headers]:
        command += ["-H", header]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return Answer(done.stdout.decode())


def preflight(gateway, path, method="POST", origin=NAMED, headers=()):
    return curl(gateway, path, "-X", "OPTIONS", origin=origin,
                headers=[f"Access-Control-Request-Method: {method}", *headers])


def tokens_file():
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as file:
        file.write("publish publishing-token-0001\nadmin administering-token-0001\n")
    return file.name


FOR_NAMED = {"allow-origin": NAMED, "allow-credentials": "true", "expose-headers": EXPOSED}
FOR_ANY = {"allow-origin": "*", "expose-headers": EXPOSED}


def a_named_origin_may_read_every_answer():
    gateway = Gateway("--tokens", tokens_file(), "--allow-origin", NAMED, "--max-message", "1K", "--max-body", "2K",
                      trusts_loopback=False)
    publish = ["Authorization: Bearer publishing-token-0001"]
    cases = [
        ("/livez", [], [], 200),
        ("/livez", ["-I"], [], 200),
        ("/", [], [], 200),
        ("/nothing", [], [], 404),
        ("/api/v1/publish", [], [], 405),
        ("/api/v1/stats", [], [], 401),
        ("/api/v1/stats", [], publish, 403),
        ("/api/v1/stats", [], ["Authorization: Bearer administering-token-0001"], 200),
        ("/sse?format=xml", [], [], 400),
        ("/ws", [], [], 400),
        ("/api/v1/publish?topic=a", ["-d", "x"], [], 401),
        ("/api/v1/publish?topic=a", ["-d", "x"], publish, 200),
        ("/api/v1/publish?topic=a", ["-d", "x" * 1025], publish, 413),
        ("/api/v1/publish?topic=a", ["-d", "x" * 2049], publish, 413),
        ("/api/v1/publish?topic=a", ["-d", "x" * 2049], [*publish, "Transfer-Encoding: chunked"], 413),
        ("/api/v1/publish?topic=a", ["-d", "x"], [*publish, "Content-Encoding: gzip"], 415),
        ("/api/v1/publish?topic=a", ["-d", "x"], [*publish, "Transfer-Encoding: gzip, chunked"], 501),
    ]
    for path, arguments, headers, status in cases:
        answer = curl(gateway, path, *arguments, origin=NAMED, headers=headers)
        case = f"{path} {arguments} {headers}: {answer.body[:200]}"
        expect_equal(answer.status, status, case)
        expect_equal(answer.cors(), FOR_NAMED, case)
        expect_equal(answer.vary(), "Origin", case)
    http = Http(gateway.http)
    http.send_request("POST", "/api/v1/publish?topic=a", headers=[f"Origin: {NAMED}", "Content-Length: 5"])
    status, headers = http.head()
    expect_equal((status, headers.get("access-control-allow-origin")), (401, NAMED), "before the body comes")
    http.close()
    gateway.stop()


def a_page_reads_why_it_is_not_served():
    gateway = Gateway("--allow-origin", NAMED, "--max-connections", 1)
    held = [Http(gateway.http) for _ in range(1 + RESERVE)]
    for http in held:
        expect_equal(http.ask("GET", "/livez").status, 200, "one that is served")
    answer = curl(gateway, "/livez", origin=NAMED)
    expect_equal((answer.status, answer.cors(), answer.headers["retry-after"]), (503, FOR_NAMED, ["1"]), "too many")
    expect_equal(preflight(gateway, "/api/v1/publish").status, 204, "a preflight, so that the page reads the 503")
    for http in held:
        http.close()
    gateway.stop()
    gateway = Gateway("--allow-origin", NAMED, "--handshake", 1000)
    http = Http(gateway.http)
    http.send_request("POST", "/api/v1/publish?topic=news", headers=[f"Origin: {NAMED}", "Content-Length: 5"])
    status, headers = http.head()
    expect_equal((status, headers.get("access-control-allow-origin")), (408, NAMED), "a body that doesn't come")
    http.close()
    gateway.stop()


def answers_to_no_page_and_to_our_own_vary_all_the_same():
    gateway = Gateway("--allow-origin", NAMED)
    for origin in (None, gateway.url()):
        answer = curl(gateway, "/livez", origin=origin)
        expect_equal((answer.status, answer.cors(), answer.vary()), (200, {}, "Origin"), f"origin {origin}")
    gateway.stop()


def a_star_allows_pages_without_credentials():
    gateway = Gateway("--allow-origin", "*", "--allow-origin", NAMED)
    for origin, expected in ((OTHER, FOR_ANY), ("null", FOR_ANY), (NAMED, FOR_NAMED)):
        answer = curl(gateway, "/livez", origin=origin)
        expect_equal((answer.status, answer.cors()), (200, expected), origin)
    cookie = ["Cookie: a=1"]
    answer = curl(gateway, "/api/v1/publish?topic=news", "-d", "x", origin=OTHER, headers=cookie)
    expect_equal((answer.status, answer.cors()), (403, {}), "cookies of a page without a name")
    expect("cookies" in answer.body, answer.body)
    answer = curl(gateway, "/api/v1/publish?topic=news", "-d", "x", origin=NAMED, headers=cookie)
    expect_equal((answer.status, answer.cors()), (200, FOR_NAMED), "cookies of a named page")
    websocket = WebSocket(gateway.http, headers=[f"Origin: {OTHER}", *cookie])
    expect_equal(websocket.status, 101, "a handshake of a WebSocket, which has them always")
    gateway.stop()


def null_is_allowed_when_it_is_listed():
    gateway = Gateway("--allow-origin", NAMED)
    answer = curl(gateway, "/livez", origin="null")
    expect_equal((answer.status, answer.cors()), (403, {}), "not listed")
    gateway.stop()
    gateway = Gateway("--allow-origin", "null")
    answer = curl(gateway, "/livez", origin="null")
    expect_equal((answer.status, answer.cors()), (200, {"allow-origin": "null", "expose-headers": EXPOSED}), "listed")
    gateway.stop()


def an_event_stream_has_the_headers():
    gateway = Gateway("--allow-origin", NAMED, "--allow-origin", "*", "--max-connections", 2)
    for origin, expected in ((NAMED, FOR_NAMED), (OTHER, FOR_ANY)):
        for path, vary in ("/sse", "Origin, Accept-Encoding"), ("/api/v1/watch", "Origin"):
            http = Http(gateway.http)
            http.send_request("GET", path, headers=[f"Origin: {origin}"])
            answer = Answer(http.take_until(b"retry: ").decode() + "\r\n\r\n")
            expect_equal((answer.status, answer.cors(), answer.vary()), (200, expected, vary), f"{path} {origin}")
            http.close()
            until("it is gone", lambda: '"connections":[]' in curl(gateway, "/api/v1/connections").body)
    gateway.stop()


def a_preflight_says_what_its_route_takes():
    gateway = Gateway("--tokens", tokens_file(), "--allow-origin", NAMED, "--state", "prices", trusts_loopback=False)
    wish = ["Access-Control-Request-Headers: authorization,content-type"]
    headers = "Authorization, Cache-Control, Content-Encoding, Content-Type, Last-Event-ID"
    for path, method, allowed in (("/api/v1/publish", "POST", "POST"), ("/api/v1/state", "DELETE", "DELETE"),
                                  ("/api/v1/policy", "POST", "GET, POST"), ("/api/v1/stats", "GET", "GET"),
                                  ("/sse", "GET", "GET"), ("/api/v1/connections/7/evict", "POST", "POST"),
                                  ("/api/v1/stats", "DELETE", "GET")):
        answer = preflight(gateway, path, method, headers=wish)
        expect_equal(answer.status, 204, path)
        expected = {**FOR_NAMED, "allow-methods": allowed, "allow-headers": headers, "max-age": "7200"}
        expect_equal(answer.cors(), expected, path)
        expect_equal(answer.vary(), "Access-Control-Request-Method, Access-Control-Request-Headers, "
                     "Access-Control-Request-Private-Network, Origin", path)
        expect("content-length" not in answer.headers and answer.body == "", f"a 204 with a body: {answer.headers}")
    # a page of the gateway's program: its method and its headers
    answer = preflight(gateway, "/", "PUT", headers=["Access-Control-Request-Headers: x-own"])
    allowed = answer.cors()
    expect_equal((answer.status, allowed["allow-methods"], allowed["allow-headers"]), (204, "PUT", "x-own"), "/")
    answer = preflight(gateway, "/api/v1/publish", origin=FOREIGN)
    expect_equal((answer.status, answer.cors()), (403, {}), "a preflight of a foreign origin")
    answer = curl(gateway, "/api/v1/publish", "-X", "OPTIONS", origin=NAMED)
    expect_equal((answer.status, answer.headers["allow"]), (405, ["POST"]), "OPTIONS that is no preflight")
    gateway.stop()


def a_private_network_is_for_named_origins():
    gateway = Gateway("--allow-origin", NAMED, "--allow-origin", "*")
    wish = ["Access-Control-Request-Private-Network: true"]
    for origin, headers, allowed in ((NAMED, wish, "true"), (OTHER, wish, None), (NAMED, [], None)):
        answer = preflight(gateway, "/sse", "GET", origin, headers)
        expect_equal(answer.cors().get("allow-private-network"), allowed, f"{origin} {headers}")
    gateway.stop()


def a_preflight_keeps_the_connection_and_its_order():
    gateway = Gateway("--allow-origin", NAMED)
    http = Http(gateway.http)
    page = [f"Origin: {NAMED}"]
    http.send_request("OPTIONS", "/api/v1/publish", headers=[*page, "Access-Control-Request-Method: POST"])
    http.send_request("POST", "/api/v1/publish?topic=news", b"hello", page)
    http.send_request("HEAD", "/livez", headers=page)
    http.send_request("GET", "/livez")
    answers = [http.response(is_head) for is_head in (False, False, True, False)]
    expect_equal([answer.status for answer in answers], [204, 200, 200, 200], "in one go")
    expect_equal([answer.headers.get("access-control-allow-origin") for answer in answers], [NAMED, NAMED, NAMED, None],
                 "each by its own page")
    gateway.stop()


def what_a_foreign_page_sends_is_not_carried_out():
    gateway = Gateway("--allow-origin", NAMED, "--state", "prices")
    subscriber = Lines(gateway.lines)
    expect_equal(subscriber.ask("SUB prices"), "+OK SUB prices", "subscribing")
    expect_equal(curl(gateway, "/api/v1/publish?topic=prices&key=a", "-d", "1.08").status, 200, "a value")
    expect_equal(subscriber.line(), "1.08", "a value")
    bulk = "\n".join('{"topic":"news","data":"bulk"}' for _ in range(1000))
    json = ["Content-Type: application/x-ndjson"]
    requests = [("/api/v1/publish?topic=news", ["-d", "single"], []),
                ("/api/v1/publish", ["--data-binary", bulk], json),
                ("/api/v1/state?topic=prices&key=a", ["-X", "DELETE"], []),
                ("/api/v1/policy", ["-d", '{"slots":7}'], [])]
    for path, arguments, headers in requests:
        for who in (f"Origin: {FOREIGN}", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"):
            answer = curl(gateway, path, *arguments, headers=[*headers, who])
            expect_equal((answer.status, answer.cors(), answer.vary()), (403, {}, "Origin"), f"{path} {who}")

    # The head is enough: the body doesn't come, and neither does "100 Continue".
    http = Http(gateway.http)
    http.send_request("POST", "/api/v1/publish", headers=[f"Origin: {FOREIGN}", "Expect: 100-continue",
                                                          "Content-Length: 99"])
    expect_equal(http.head()[0], 403, "before its body")
    try:
        http.send(b'{"topic":"news","data":"late"}' + b" " * 69)
        http.rest()
    except (Closed, OSError):
        pass

    for who in ([f"Origin: {NAMED}"], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"],
                [f"Origin: {NAMED}", "Sec-Fetch-Site: cross-site"]):
        expect_equal(curl(gateway, "/api/v1/publish?topic=news", "-d", "last", headers=who).status, 200, f"{who}")
        expect_equal(subscriber.line(), "last", "nothing but this was published")
    expect('"slots":256' in curl(gateway, "/api/v1/policy").body, "the policy is as it was")
    newcomer = Lines(gateway.lines)
    newcomer.say("SUB prices")
    until("the value is still there", lambda: newcomer.line() == "1.08")
    gateway.stop()


def a_stranger_may_read_no_stream():
    gateway = Gateway("--allow-origin", NAMED)
    for path in ("/sse", "/api/v1/watch", "/api/v1/stats"):
        answer = curl(gateway, path, origin=FOREIGN)
        expect_equal((answer.status, answer.cors()), (403, {}), path)
    expect_equal(WebSocket(gateway.http, headers=[f"Origin: {FOREIGN}"]).status, 403, "a WebSocket")
    websocket = WebSocket(gateway.http, headers=[f"Origin: {NAMED}"])
    expect_equal(websocket.status, 101, "a WebSocket of a named origin")
    expect("access-control-allow-origin" not in websocket.headers, "a handshake needs no headers")
    gateway.stop()


run(a_named_origin_may_read_every_answer,
    a_page_reads_why_it_is_not_served,
    answers_to_no_page_and_to_our_own_vary_all_the_same,
    a_star_allows_pages_without_credentials,
    null_is_allowed_when_it_is_listed,
    an_event_stream_has_the_headers,
    a_preflight_says_what_its_route_takes,
    a_private_network_is_for_named_origins,
    a_preflight_keeps_the_connection_and_its_order,
    what_a_foreign_page_sends_is_not_carried_out,
    a_stranger_may_read_no_stream)
