# SPDX-License-Identifier: MIT
"""A gateway with quotas, and its clients. It believes loopback addresses that they are proxies, so that the clients can come from
anywhere."""
import tempfile

from gateway import Gateway, expect_equal, scratch, until
from wire import Behind, Http, Lines

ONE, OTHER = "192.0.2.7", "192.0.2.8"
PUBLISHER = "publisher-0123456789"
ADMIN = "admin-0123456789abc"


def start(*arguments, threads=2):
    with tempfile.NamedTemporaryFile("w", dir=scratch, delete=False) as tokens:  # for its owner alone
        tokens.write(f"publish {PUBLISHER}\nadmin {ADMIN}\n")
    return Gateway("--proxy-from", "127.0.0.0/8", "--tokens", tokens.name, "--threads", threads, *arguments)


def limited(gateway):
    """How often each limit was reached; of those that were."""
    http = Http(Behind(gateway.http))
    bearer = [f"Authorization: Bearer {ADMIN}"]

    def read():
        limits = http.ask("GET", "/api/v1/stats", headers=bearer).json()["limits"]
        text = http.ask("GET", "/metrics", headers=bearer).body.decode()
        agree = all(f'fluxbp_gateway_limited_total{{limit="{name}"}} {value}\n' in text for name, value in limits.items())
        return agree and limits

    limits = until("both say the same, as nothing more is limited", read)
    http.close()
    return {name: value for name, value in limits.items() if value > 0}


def lines_of(gateway, client):
    lines = Lines(Behind(gateway.lines, client))
    expect_equal(lines.ask("PING"), "+PONG", f"a client from {client}")
    return lines


def token_of(key, subject, **rights):
    return key.token(sub=subject, fluxbp={"subscribe": [">"], "publish": [">"], **rights})


def start_with_keys(key, *arguments):
    return Gateway("--jwt-keys", key.public, "--proxy-from", "127.0.0.0/8", *arguments)
