# SPDX-License-Identifier: MIT
"""The configurations in examples/gateway/proxies of nginx, Caddy and Apache, each in front of a gateway: curl and Python's websockets
go through, publishing takes a token, administration is refused. And nginx with no more than proxy_pass, which tells the gateway
nothing of its clients, opens nothing. HAProxy has a test of its own.

A proxy that isn't installed is skipped, unless nothing may be skipped (CI=true).
"""
import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import websockets
from gateway import Gateway, expect, expect_equal, run, scratch, skip, start_process, until
from ports import keep

CONFIGURATIONS = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "gateway", "proxies")
NAME = "feed.example.org"
TOKEN = "publish-0123456789abcdef"
MODULES = "/usr/lib/apache2/modules"
CERTIFICATE = os.path.join(scratch, "fluxbp.pem")
KEY = os.path.join(scratch, "fluxbp.key")

os.environ["PATH"] += ":/usr/sbin:/sbin"


def make_certificate():
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", KEY, "-out", CERTIFICATE],
                   check=True, stderr=subprocess.DEVNULL)


def start_gateway():
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as tokens:  # for its owner alone
        tokens.write(f"publish {TOKEN}\n")
    return Gateway("--tokens", tokens.name, "--allow-host", NAME, trusts_loopback=False)


def configuration(name, gateway, *replacements):
    """The file as it is in the tree, but for addresses and paths. Each of them has to be in it."""
    with open(os.path.join(CONFIGURATIONS, name), encoding="utf-8") as file:
        text = file.read()
    for pattern, replacement in (("127\\.0\\.0\\.1:9001", "127.0.0.1:%d" % gateway.http[1]), *replacements):
        expect(re.search(pattern, text), f"{name} has no {pattern}")
        text = re.sub(pattern, replacement, text)
    return text


def start_proxy(port, text, make_command):
    """Returns once it listens."""
    folder = tempfile.mkdtemp(dir=scratch)
    path = os.path.join(folder, "conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("FOLDER", folder))
    with open(os.path.join(folder, "log"), "wb") as log:
        process = start_process(make_command(path), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env={**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder})

    def listens():
        with open(os.path.join(folder, "log"), errors="replace") as log:
            expect(process.poll() is None, f"the proxy ended: {log.read()}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until("the proxy listens", listens)


def nginx(text):
    temporary = "".join(f"{kind}_temp_path FOLDER/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"daemon off; pid FOLDER/pid; error_log stderr; events {{}} http {{ access_log off; {temporary}\n{text}\n}}\n"


def start_nginx(port, text):
    start_proxy(port, nginx(text), lambda path: ["nginx", "-c", path])


def start_caddy(port, text):
    start_proxy(port, "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text,
                lambda path: ["caddy", "run", "--config", path, "--adapter", "caddyfile"])


def start_apache(port, text):
    modules = ("mpm_event", "authz_core", "ssl", "socache_shmcb", "proxy", "proxy_http", "proxy_wstunnel")
    loads = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in modules)
    start_proxy(port, f"ServerRoot FOLDER\nPidFile FOLDER/pid\nErrorLog /dev/stderr\nListen 127.0.0.1:{port}\n"
                      f"ServerName {NAME}\nUser nobody\nGroup nogroup\nDefaultRuntimeDir FOLDER\n{loads}{text}",
                lambda path: ["apache2", "-D", "FOREGROUND", "-f", path])


def curl(port, path, *arguments):
    """What curl would run as, through the proxy: nothing is checked but what is asked for."""
    return ["curl", "-sS", "--max-time", "40", "--cacert", CERTIFICATE, "--resolve", f"{NAME}:{port}:127.0.0.1", *arguments,
            f"https://{NAME}:{port}{path}"]


def status(port, path, *arguments):
    return int(subprocess.check_output(curl(port, path, "-o", "/dev/null", "-w", "%{http_code}", *arguments)))


def publish(port, text):
    expect_equal(status(port, "/api/v1/publish?topic=news", "-d", text, "-H", f"Authorization: Bearer {TOKEN}"), 200,
                 "publishing with a token")


async def use_websocket(port):
    context = ssl.create_default_context(cafile=CERTIFICATE)
    async with websockets.connect(f"wss://{NAME}:{port}/ws", ssl=context, host="127.0.0.1", port=port,
                                  server_hostname=NAME, origin=f"https://{NAME}:{port}") as client:
        await client.send("PING")
        expect_equal(await client.recv(), "+PONG", "a command by WebSocket")
        await client.send("PUB news forged")
        expect((await client.recv()).startswith("-ERR PUB takes a token"), "publishing by WebSocket without a token")
        publish(port, "by WebSocket")
        expect_equal(await client.recv(), "by WebSocket", "a message by WebSocket")


def use_events(port, *arguments):
    events = start_process(curl(port, "/sse", "-N", *arguments), stdout=subprocess.PIPE)
    expect(events.stdout.readline().startswith(b"retry: "), "the head of the stream")
    for text in ("by SSE", "by SSE " + "many words " * 100):
        publish(port, text)
        while (line := events.stdout.readline()) != f"data: {text}\n".encode():
            expect(line, "the stream has ended")


def use(port):
    use_events(port)
    use_events(port, "--compressed")
    asyncio.run(use_websocket(port))
    expect_equal(status(port, "/api/v1/publish?topic=news", "-d", "x"), 401, "publishing without a token")
    for path in ("/metrics", "/api/v1/stats", "/api/v1/policy", "/api/v1/watch"):
        expect_equal(status(port, path), 403, f"{path} is for administrators")
    expect_equal(status(port, "/livez"), 200, "/livez")


def stop_and_expect_that_events_come_back(gateway, port):
    """Without a gateway: by 200, since an EventSource would take anything else for the end."""
    gateway.stop()
    head, _, body = subprocess.check_output(curl(port, "/sse?topic=news", "-i")).decode().partition("\r\n\r\n")
    expect(re.match(r"HTTP/\S+ 200", head) and re.search(r"(?mi)^content-type: text/event-stream\r?$", head), head)
    expect(re.fullmatch(r"retry: [12]\d\d\d\n\n", body), body)
    expect(status(port, "/livez") in (502, 503), "what is no request for events")


def port_of_ones_own():
    kept = keep()
    return kept, kept.getsockname()[1]


def nginx_passes_clients_on():
    kept, port = port_of_ones_own()
    gateway = start_gateway()
    start_nginx(port, configuration("nginx.conf", gateway, ("listen 443", f"listen 127.0.0.1:{port}"),
                                    ("/etc/nginx/fluxbp", os.path.join(scratch, "fluxbp"))))
    use(port)
    stop_and_expect_that_events_come_back(gateway, port)
    kept.close()


def caddy_passes_clients_on():
    kept, port = port_of_ones_own()
    site = f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {CERTIFICATE} {KEY}\n"
    gateway = start_gateway()
    start_caddy(port, configuration("Caddyfile", gateway, (f"\n{NAME} {{\n", f"\n{site}")))
    use(port)
    stop_and_expect_that_events_come_back(gateway, port)
    kept.close()


def apache_passes_clients_on():
    kept, port = port_of_ones_own()
    start_apache(port, configuration("apache.conf", start_gateway(), ("\\*:443", f"127.0.0.1:{port}"),
                                     ("/etc/apache2/fluxbp", os.path.join(scratch, "fluxbp"))))
    use(port)
    kept.close()


def a_proxy_that_says_nothing_of_its_clients_opens_nothing():
    kept, port = port_of_ones_own()
    gateway = Gateway(trusts_loopback=False)
    start_nginx(port, "server { listen 127.0.0.1:%d; location / { proxy_pass http://127.0.0.1:%d; } }" % (port, gateway.http[1]))
    for path, arguments in (("/api/v1/publish?topic=news", ["-d", "x"]), ("/metrics", []), ("/api/v1/policy", ["-d", "{}"])):
        answer = subprocess.check_output(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *arguments,
                                          f"http://127.0.0.1:{port}{path}"])
        expect_equal(int(answer), 401, path)
    kept.close()


TESTS = {"nginx": [nginx_passes_clients_on, a_proxy_that_says_nothing_of_its_clients_opens_nothing],
         "caddy": [caddy_passes_clients_on], "apache2": [apache_passes_clients_on]}
missing = [proxy for proxy in TESTS if shutil.which(proxy) is None]
if missing and (len(missing) == len(TESTS) or os.environ.get("CI") == "true"):
    skip(f"not installed: {', '.join(missing)}")
if missing:
    print("not tested, since not installed:", ", ".join(missing))
make_certificate()
run(*(test for proxy, tests in TESTS.items() if proxy not in missing for test in tests))
