#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A gateway that is played: it speaks what the dashboard reads of one (docs/protocol.md, "Administration"), and its
clients are numbers. The tests tell it what happens; by hand it plays a story by itself:

    python3 tests/dashboard/fake_gateway.py --clients 2000 --port 9001
"""
import argparse
import http.server
import json
import math
import os
import random
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import ports

TICK_S = 0.25
EPOCH = "5f1c0de5a7b3c9d2"
MESSAGES_PER_S = 20
MESSAGE_BYTES = 200
POLICY = {"slots": 256, "ring_bytes": 1048576, "high": 50, "low": 25, "overflow": "drop-newest", "stall_ms": 5000,
          "slow_ms": 5000, "lag_ms": 0, "soft_bytes": 0, "soft_ms": 10000, "grace_ms": 5000, "shadow": False}


class Client:
    """One connection. `mood` says what it does: reads, slow (its ring swings), or stalled (it takes nothing)."""

    def __init__(self, number, cell, name, protocol):
        self.id = number
        self.cell = cell
        self.name = name
        self.protocol = protocol
        self.peer = f"127.0.0.1:{20000 + number % 40000}"
        self.topics = ["news"] if number % 3 else ["news", "prices"]
        self.since = time.monotonic()
        self.mood = "reads"
        self.put_off = "none"
        self.mood_since = self.since
        self.phase = random.random() * 6.28
        self.fill = 0
        self.dropped = 0
        self.evict_after_s = None

    def set_mood(self, mood):
        self.mood = mood
        self.mood_since = time.monotonic()

    def advance(self, now):
        age = now - self.mood_since
        if self.mood == "stalled":
            self.fill = min(100, 20 + int(age * 60))
            if self.fill == 100:
                self.dropped += 5
        elif self.mood == "slow":
            self.fill = max(1, min(99, int(55 + 40 * math.sin(age / 3 + self.phase))))
        else:
            self.fill = 0

    def state(self, now):
        if self.mood == "stalled" and now - self.mood_since >= 1:
            return "stalled"
        return "backpressured" if self.fill >= POLICY["high"] else "healthy"

    def verdict(self, age_ms):
        if self.put_off != "none":
            return {"nearest": "slow", "used_ms": 30000, "limit_ms": 5000 if self.put_off == "shadow" else 32000,
                    "put_off": self.put_off}
        if self.mood == "stalled":
            return {"nearest": "stalled", "used_ms": age_ms, "limit_ms": POLICY["stall_ms"], "put_off": "none"}
        if self.fill >= POLICY["high"]:
            return {"nearest": "slow", "used_ms": min(age_ms, 4000), "limit_ms": POLICY["slow_ms"], "put_off": "none"}
        return {"nearest": "none", "used_ms": 0, "limit_ms": 0, "put_off": "none"}

    def row(self, now, newest):
        age_ms = int((now - self.mood_since) * 1000)
        queued = self.fill * 256 // 100
        is_stalled = self.state(now) == "stalled"
        return {"id": self.id, "cell": self.cell, "peer": self.peer, "protocol": self.protocol, "name": self.name,
                "topics": self.topics, "age_ms": int((now - self.since) * 1000), "fill_percent": self.fill,
                "queued": queued, "queued_bytes": queued * MESSAGE_BYTES,
                "oldest_ms": age_ms if is_stalled else queued * 20, "dropped": self.dropped,
                "written": max(0, newest - queued), "last_id": max(0, newest - queued),
                "since_progress_ms": age_ms if self.mood == "stalled" else 20,
                "backpressured_ms": min(age_ms, 4000) if self.fill >= 50 else 0,
                "unanswered_ms": 0, "kernel_bytes": 170000 if self.fill else 0, **self.verdict(age_ms),
                "state": self.state(now),
                "cause": "not reading" if is_stalled else "reads slowly" if self.fill else "unknown"}


class World:
    """All clients, and what is counted. Under `changed`, which is told after each tick."""

    def __init__(self):
        self.changed = threading.Condition()
        self.clients = {}  # by cell
        self.next_id = 1
        self.started = time.monotonic()
        self.policy = dict(POLICY)
        self.policy_change = None
        self.evictions = []
        self.by_reason = dict.fromkeys(["stalled", "slow", "lag", "overflow", "budget", "unreachable", "soft_limit", "admin"], 0)
        self.published = 0
        self.accepted = 0
        self.dropped = 0
        self.ticks = 0
        self.evicted_total = 0
        self.p99_us = 400
        self.is_crowd_slow = False

    def add(self, count=1, mood="reads", name="", protocol=None):
        with self.changed:
            cell = 0
            for _ in range(count):
                while cell in self.clients:
                    cell += 1
                kind = protocol or ("lines", "lines", "lines", "websocket", "sse")[self.next_id % 5]
                client = Client(self.next_id, cell, name, kind)
                client.set_mood(mood)
                self.clients[cell] = client
                self.next_id += 1
            return client

    def remove(self, cell):
        with self.changed:
            self.clients.pop(cell, None)

    def spread(self, slow, stalled):
        """So many of them, at random places, are slow and stalled."""
        with self.changed:
            cells = list(self.clients)
            random.shuffle(cells)
            for i, cell in enumerate(cells[:slow + stalled]):
                self.clients[cell].set_mood("slow" if i < slow else "stalled")

    def evict(self, client, reason="stalled", cause="not reading", is_shadow=False):
        with self.changed:
            now = time.monotonic()
            row = client.row(now, self.published)
            self.evicted_total += 1
            self.evictions.append({
                "n": self.evicted_total, "time": time.time(), "id": client.id, "cell": client.cell, "peer": client.peer,
                "protocol": client.protocol, "name": client.name, "reason": reason, "cause": cause,
                "by": "ops" if reason == "admin" else None,
                "since_progress_ms": row["since_progress_ms"], "backpressured_ms": row["backpressured_ms"],
                "oldest_ms": row["oldest_ms"], "queued": row["queued"], "queued_bytes": row["queued_bytes"],
                "dropped": client.dropped, "unanswered_ms": row["unanswered_ms"], "kernel_bytes": row["kernel_bytes"],
                "last_id": row["last_id"],
                "is_shadow": is_shadow})
            del self.evictions[:-256]
            if not is_shadow:
                self.by_reason[reason] += 1
                self.clients.pop(client.cell, None)
            self.changed.notify_all()

    def tick(self):
        with self.changed:
            now = time.monotonic()
            self.ticks += 1
            self.published += int(MESSAGES_PER_S * TICK_S)
            self.accepted += int(MESSAGES_PER_S * TICK_S) * len(self.clients)
            for client in list(self.clients.values()):
                before = client.dropped
                client.advance(now)
                self.dropped += client.dropped - before
                if client.evict_after_s is not None and now - client.mood_since >= client.evict_after_s:
                    self.evict(client)
            self.p99_us = 300 + len(self.clients) // 4 + int(120 * math.sin(now / 7) + 60 * random.random())
            self.changed.notify_all()

    def snapshot(self):
        now = time.monotonic()
        states = [client.state(now) for client in self.clients.values()]
        queued = sum(client.fill * 256 // 100 for client in self.clients.values())
        protocols = dict.fromkeys(["lines", "length", "websocket", "sse"], 0)
        for client in self.clients.values():
            protocols[client.protocol] += 1
        written = max(0, self.accepted - self.dropped - queued)
        used = 6_000_000 + len(self.clients) * 400 + queued * 230
        return {
            "time": time.time(),
            "gateway": {"version": "0.2.0", "threads": 2, "uptime_s": now - self.started, "state": "ready"},
            "connections": {"total": len(states), "healthy": states.count("healthy"),
                            "backpressured": states.count("backpressured"), "stalled": states.count("stalled"),
                            "limit": 19960, "protocols": protocols},
            "counters": {"published": self.published, "accepted": self.accepted, "written": written,
                         "written_at_once": max(0, written - queued), "dropped": self.dropped, "conflated": 0, "discarded": 5,
                         "queued": queued, "written_bytes": written * MESSAGE_BYTES, "received_bytes": 1,
                         "writes": written, "refusals": 1, "gaps": 1, "opened": self.next_id - 1,
                         "closed": self.next_id - 1 - len(states), "refused_connections": 0, "publish_refused": 0},
            "write_success_rate": max(0, written - queued) / written if written > 0 else 1,
            "evictions": dict(self.by_reason),
            "memory": {"used_bytes": used, "peak_bytes": used + 200000, "budget_bytes": 268435456,
                       "queued_bytes": queued * MESSAGE_BYTES, "kernel_bytes": 170000 * states.count("stalled")},
            "broadcast": {"count": self.published, "p50_us": 120, "p99_us": self.p99_us, "p999_us": 1500,
                          "max_us": 2 * self.p99_us},
            "bus": {"lag": 0, "slots": 4096, "newest": f"{EPOCH}:{self.published}", "oldest_since": f"{EPOCH}:0"},
            "is_crowd_slow": self.is_crowd_slow, "policy": dict(self.policy),
            "policy_change": self.policy_change}

    def slow(self):
        now = time.monotonic()
        slow = [client for client in self.clients.values() if client.fill > 0]
        slow.sort(key=lambda client: (client.state(now) == "stalled", client.fill, now - client.mood_since),
                  reverse=True)
        cells = max(self.clients) + 1 if self.clients else 0
        free = []
        for cell in range(cells):
            if cell in self.clients:
                continue
            if free and free[-1][1] == cell - 1:
                free[-1][1] = cell
            else:
                free.append([cell, cell])
        return {"cells": cells, "free": free,
                "slow": [[client.cell, client.fill, int(client.state(now) == "stalled")] for client in slow],
                "worst": [client.row(now, self.published) for client in slow[:50]]}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_allowed(self):
        token = self.server.gateway.token
        if token is None or self.headers.get("Authorization") == f"Bearer {token}":
            return True
        self.answer(401, {"error": "an admin token is needed"})
        return False

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        world = self.server.gateway.world
        if not self.is_allowed():
            return
        if url.path == "/api/v1/watch":
            self.watch(world)
        elif url.path == "/api/v1/policy":
            self.answer(200, world.policy)
        elif url.path == "/api/v1/connections" and "cell" in query:
            with world.changed:
                client = world.clients.get(int(query["cell"][0]))
                rows = [client.row(time.monotonic(), world.published)] if client else []
            self.answer(200, {"connections": rows})
        else:
            self.answer(404, {"error": "no such path"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        world = self.server.gateway.world
        if not self.is_allowed():
            return
        parts = self.path.split("/")
        if self.path == "/api/v1/policy":
            self.set_policy(world, json.loads(body))
        elif len(parts) == 6 and parts[3] == "connections" and parts[5] == "evict":
            number = int(parts[4])
            with world.changed:
                found = [client for client in world.clients.values() if client.id == number]
                if found:
                    world.evict(found[0], "admin", "unknown")
            self.answer(200 if found else 404, {"evicted": number} if found else {"error": "there is no such client"})
        else:
            self.answer(404, {"error": "no such path"})

    def set_policy(self, world, change):
        if change.get("low", world.policy["low"]) >= change.get("high", world.policy["high"]):
            self.answer(400, {"error": "low must be below high"})
            return
        with world.changed:
            world.policy.update(change)
            world.policy_change = {"time": time.time(), "by": "ops", "changes": change}
        self.answer(200, world.policy)

    def send_event(self, name, value):
        self.wfile.write(f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode())

    def watch(self, world):
        server = self.server
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with world.changed:
            seen = world.evictions[0]["n"] - 1 if world.evictions else 0
            ticks = -1
        while not server.is_closed:
            with world.changed:
                world.changed.wait_for(lambda: server.is_closed or world.ticks != ticks or world.evicted_total > seen, 1)
                if server.is_closed:
                    return
                evictions = [record for record in world.evictions if record["n"] > seen]
                seen = world.evicted_total
                due = world.ticks != ticks
                ticks = world.ticks
                snapshot, slow = (world.snapshot(), world.slow()) if due else (None, None)
            try:
                for record in evictions:
                    self.send_event("evicted", record)
                if due:
                    self.send_event("snapshot", snapshot)
                    self.send_event("slow", slow)
            except OSError:
                return


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    is_closed = False

    def handle_error(self, request, client_address):
        pass  # a dashboard that went away


class FakeGateway:
    def __init__(self, port=0, token=None):
        self.world = World()
        self.token = token
        self.kept = ports.keep(port)
        self.port = self.kept.getsockname()[1]
        self.server = None
        threading.Thread(target=self.run_ticks, daemon=True).start()

    def run_ticks(self):
        while True:
            self.world.tick()
            time.sleep(TICK_S)

    def come(self):
        """Listen; always on the same port."""
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.gateway = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def go_away(self):
        """As a gateway that was killed: nobody listens, and streams end."""
        self.server.is_closed = True
        with self.world.changed:
            self.world.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def begin_anew(self):
        """It was killed and started: nobody is connected, counting begins anew."""
        self.world = World()


def tell_story(world, count):
    """Clients come and go, some are slow, some stall and are evicted."""
    world.add(count)
    world.spread(max(1, count // 50), 0)
    while True:
        time.sleep(random.uniform(0.5, 3))
        with world.changed:
            reading = [client for client in world.clients.values() if client.mood == "reads"]
        for client in random.sample(reading, min(len(reading), max(1, count // 400))):
            client.set_mood("stalled")
            client.evict_after_s = 5
        if len(world.clients) < count:
            world.add(count - len(world.clients))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--token")
    arguments = parser.parse_args()
    gateway = FakeGateway(arguments.port, arguments.token)
    gateway.come()
    print(f"a played gateway at http://127.0.0.1:{gateway.port}; Ctrl-C ends it", flush=True)
    tell_story(gateway.world, arguments.clients)


if __name__ == "__main__":
    main()
