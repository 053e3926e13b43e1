# SPDX-License-Identifier: MIT
"""The dashboard's server without a browser: what it serves, whom it lets do what, and how it follows gateways."""
import gzip
import json
import socket
import threading
import types
import unittest

import fixture


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = fixture.played_gateway(20)
        cls.dashboard = fixture.Dashboard([cls.gateway])
        cls.addClassCleanup(cls.dashboard.stop)

    def test_the_page_comes_plain_and_compressed_and_is_the_same(self):
        status, headers, plain = self.dashboard.ask("GET", "/")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIsNone(headers["Content-Encoding"])
        _, headers, compressed = self.dashboard.ask("GET", "/", Accept_Encoding="br, gzip")
        self.assertEqual(headers["Content-Encoding"], "gzip")
        self.assertEqual(gzip.decompress(compressed), plain)

    def test_every_answer_forbids_what_is_inline_or_foreign(self):
        for path in ("/", "/main.js", "/api/gateways", "/nothing"):
            _, headers, _ = self.dashboard.ask("GET", path)
            self.assertIn("default-src 'self'", headers["Content-Security-Policy"], path)
            self.assertNotIn("unsafe", headers["Content-Security-Policy"], path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)

    def test_nothing_in_the_page_is_inline_and_no_token_is_in_it(self):
        _, _, page = self.dashboard.ask("GET", "/")
        self.assertNotIn(b" style=", page)
        self.assertNotIn(b"<style", page)
        self.assertNotRegex(page, rb"<script(?![^>]*src=)")
        self.assertNotRegex(page, rb"\son[a-z]+=")
        for path in ("/", "/main.js", "/api.js", "/api/gateways"):
            self.assertNotIn(fixture.TOKEN.encode(), self.dashboard.ask("GET", path)[2])

    def test_another_name_for_us_or_another_site_is_refused(self):
        self.assertEqual(self.dashboard.ask("GET", "/", Host="evil.example")[0], 403)
        self.assertEqual(self.dashboard.ask("GET", "/sse", Origin="http://evil.example")[0], 403)
        client = next(iter(self.gateway.world.clients.values()))
        self.assertEqual(self.dashboard.post(f"/api/evict?id={client.id}", {}, Origin="http://evil.example")[0], 403)
        self.assertIn(client.cell, self.gateway.world.clients)

    def test_a_post_that_a_form_could_send_is_refused(self):
        client = next(iter(self.gateway.world.clients.values()))
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            status, _, _ = self.dashboard.ask("POST", f"/api/evict?id={client.id}", "", Content_Type=kind)
            self.assertEqual(status, 400)
        self.assertIn(client.cell, self.gateway.world.clients)

    def test_wrong_requests_are_told_what_is_wrong(self):
        for method, path, status in (("GET", "/nothing", 404), ("POST", "/", 405), ("GET", "/api/evict", 405),
                                     ("GET", "/sse?topic=gateway-1", 403), ("GET", "/sse?topic=news", 403),
                                     ("GET", "/api/connection", 400), ("GET", "/api/connection?cell=-1", 400)):
            answer = self.dashboard.ask(method, path)
            self.assertEqual(answer[0], status, path)
            self.assertIn("error", json.loads(answer[2]), path)

    def test_two_requests_in_one_piece_are_both_answered(self):
        with socket.create_connection(("127.0.0.1", self.dashboard.port)) as sock:
            request = b"GET /api/gateways HTTP/1.1\r\nHost: localhost\r\n"
            sock.sendall(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
            answers = b""
            while piece := sock.recv(65536):
                answers += piece
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), 2)


class Actions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = fixture.played_gateway(20)
        cls.dashboard = fixture.Dashboard([cls.gateway])
        cls.addClassCleanup(cls.dashboard.stop)

    def test_details_eviction_and_policy_go_through_with_the_servers_token(self):
        status, _, body = self.dashboard.ask("GET", "/api/connection?cell=3")
        client = json.loads(body)["connections"][0]
        self.assertEqual((status, client["cell"]), (200, 3))
        self.assertEqual(self.dashboard.post(f"/api/evict?id={client['id']}", {}), (200, {"evicted": client["id"]}))
        self.assertNotIn(3, self.gateway.world.clients)
        status, policy = self.dashboard.post("/api/policy", {"high": 70})
        self.assertEqual((status, policy["high"], self.gateway.world.policy["high"]), (200, 70, 70))

    def test_what_the_gateway_refuses_is_passed_on(self):
        self.assertEqual(self.dashboard.post("/api/evict?id=999999", {})[0], 404)
        status, answer = self.dashboard.post("/api/policy", {"high": 10, "low": 20})
        self.assertEqual((status, answer), (400, {"error": "low must be below high"}))

    def test_without_a_gateway_the_answer_says_so(self):
        gateway = fixture.played_gateway(1)
        gateway.go_away()
        with fixture.Dashboard([gateway]) as dashboard:
            status, answer = dashboard.post("/api/evict?id=1", {})
            self.assertEqual(status, 502)
            self.assertIn("connection refused", answer["error"])

    def ask_a_silent_gateway(self):
        """A dashboard that has asked a gateway which doesn't answer: (the dashboard, a function that waits for the answer)."""
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        dashboard = fixture.Dashboard([types.SimpleNamespace(port=silent.getsockname()[1])])
        self.addCleanup(dashboard.stop)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(dashboard.post("/api/evict?id=1", {})))
        asking.start()
        requests = b""
        while b"POST /api/v1/connections/1/evict" not in requests:  # beside the watch stream's
            client, _ = silent.accept()
            self.addCleanup(client.close)
            requests += client.recv(65536)

        def join():
            asking.join()
            return answers[0]
        return dashboard, join

    def test_a_request_that_a_gateway_has_not_answered_is_answered_when_the_dashboard_stops(self):
        dashboard, join = self.ask_a_silent_gateway()
        dashboard.stop()
        status, answer = join()
        self.assertEqual(status, 503)
        self.assertIn("shutting down", answer["error"])

    def test_a_gateway_that_does_not_answer_is_given_up(self):
        status, answer = self.ask_a_silent_gateway()[1]()
        self.assertEqual(status, 504)
        self.assertIn("did not answer within 5 s", answer["error"])

    def expect_only_looking(self, dashboard, **headers):
        self.assertFalse(json.loads(dashboard.ask("GET", "/api/gateways", **headers)[2])["may_act"])
        self.assertEqual(dashboard.post("/api/evict?id=1", {}, **headers)[0], 403)
        self.assertEqual(dashboard.post("/api/policy", {"high": 71}, **headers)[0], 403)

    def test_browsers_only_look_where_nothing_says_that_they_may_act(self):
        with fixture.Dashboard([self.gateway], trusts_loopback=False) as dashboard:
            self.expect_only_looking(dashboard)

    def test_on_other_interfaces_browsers_only_look(self):
        with fixture.Dashboard([self.gateway], "--listen", "0.0.0.0:0") as dashboard:
            self.expect_only_looking(dashboard)

    def test_browsers_that_a_proxy_passes_on_only_look(self):
        for name, value in (("Forwarded", "for=192.0.2.1"), ("X-Forwarded-For", "192.0.2.1"), ("Via", "1.1 proxy"),
                            ("X-Real-IP", "192.0.2.1")):
            self.expect_only_looking(self.dashboard, **{name.replace("-", "_"): value})

    def test_with_actions_every_browser_may_act(self):
        with fixture.Dashboard([self.gateway], "--actions", trusts_loopback=False) as dashboard:
            self.assertTrue(json.loads(dashboard.ask("GET", "/api/gateways", Via="1.1 proxy")[2])["may_act"])
            self.assertEqual(dashboard.post("/api/policy", {"high": 72}, Via="1.1 proxy")[0], 200)


class Following(unittest.TestCase):
    def setUp(self):
        self.gateway = fixture.played_gateway(20)
        self.dashboard = fixture.Dashboard([self.gateway])
        self.addCleanup(self.dashboard.stop)

    def test_a_newcomer_gets_state_snapshot_slow_and_evictions(self):
        world = self.gateway.world
        for cell in range(3):
            world.evict(world.clients[cell])
        first = self.collect({"gateway", "snapshot", "slow", "evicted", "past"})
        self.assertEqual(first["gateway"][-1], {"state": "connected"})
        self.assertEqual(sorted({record["n"] for record in first["evicted"]}), [1, 2, 3])

    def collect(self, names):
        """What a new browser gets until it had each of these, and three evictions."""
        events = fixture.Events(self.dashboard)
        self.addCleanup(events.close)
        seen = {name: [] for name in names}
        while not all(seen.values()) or len(seen["evicted"]) < 3:
            name, _, data = events.next()
            seen[name].append(data)
        return seen

    def test_a_gateway_goes_away_comes_back_and_begins_a_new_session(self):
        events = fixture.Events(self.dashboard)
        self.addCleanup(events.close)
        _, session, _ = events.next("snapshot")
        self.gateway.go_away()
        state = events.next("gateway")[2]
        while state["state"] != "away":
            state = events.next("gateway")[2]
        self.assertGreater(state["retry_ms"], 0)
        self.assertIn("problem", state)
        self.gateway.begin_anew()
        self.gateway.come()
        while events.next("gateway")[2] != {"state": "connected"}:
            pass
        _, later, snapshot = events.next("snapshot")
        self.assertGreater(later, session)
        self.assertEqual(snapshot["connections"]["total"], 0)

    def test_a_new_session_forgets_the_evictions_of_the_last(self):
        for cell in range(5):
            self.gateway.world.evict(self.gateway.world.clients[cell])
        fixture.wait("the evictions", lambda: len(self.evictions_kept()) == 5)
        self.gateway.go_away()
        self.gateway.begin_anew()
        self.gateway.come()
        fixture.wait("a new session", lambda: self.dashboard.log().count("gateway_connected") == 2)
        self.gateway.world.add(5)
        self.gateway.world.evict(self.gateway.world.clients[2])
        self.assertEqual(fixture.wait("the eviction", self.evictions_kept), {3})

    def evictions_kept(self):
        """Those that a newcomer gets: by the third snapshot all that is kept has come. Ids of clients."""
        events = fixture.Events(self.dashboard)
        seen = []
        while [name for name, _ in seen].count("snapshot") < 3:
            name, _, data = events.next()
            seen.append((name, data.get("id")))
        events.close()
        return {client for name, client in seen if name == "evicted"}

    def test_a_wrong_token_is_named_as_the_problem(self):
        self.gateway.go_away()
        self.gateway.token = "another-token-altogether"
        self.gateway.come()
        events = fixture.Events(self.dashboard)
        self.addCleanup(events.close)
        problem = ""
        while "--token-file" not in problem:
            problem = events.next("gateway")[2].get("problem", "")

    def test_a_gateway_that_stops_is_away_and_asked_less_and_less_often(self):
        """It answers with a stream that ends, as an EventSource wants it."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 1000\n\n" \
                 b'event: closing\ndata: {"reason":"shutting down","retry_ms":1000}\n\n'
        stopping = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(stopping.close)

        def serve():
            try:
                while True:
                    client, _ = stopping.accept()
                    with client:
                        client.recv(65536)
                        client.sendall(answer)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        gateway = types.SimpleNamespace(port=stopping.getsockname()[1])
        with fixture.Dashboard([gateway]) as dashboard:
            events = fixture.Events(dashboard)
            self.addCleanup(events.close)
            states = [{}]
            while states[-1].get("retry_ms", 0) <= 500:
                states.append(events.next("gateway")[2])
                self.assertIn(states[-1]["state"], ("connecting", "away"))
            self.assertNotIn("gateway_connected", dashboard.log())

    def test_each_gateway_has_a_stream_of_its_own(self):
        other = fixture.played_gateway(7)
        with fixture.Dashboard([self.gateway, other]) as dashboard:
            for number, total in ((0, 20), (1, 7)):
                events = fixture.Events(dashboard, number)
                self.addCleanup(events.close)
                self.assertEqual(events.next("snapshot")[2]["connections"]["total"], total)

    def listen_without_reading(self):
        """A browser's socket with small buffers."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", self.dashboard.port))
        sock.sendall(b"GET /sse?topic=gateway-0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return sock

    def test_a_slow_browser_gets_the_newest_state_and_no_queue_of_old_ones(self):
        self.gateway.world.add(3000)
        self.gateway.world.spread(1500, 100)
        sock = self.listen_without_reading()
        events = fixture.Events(self.dashboard)
        self.addCleanup(events.close)
        for _ in range(8):  # far more than its buffers hold, and it isn't evicted yet
            newest = events.next("snapshot")[2]["time"]
        stream = sock.makefile("rb")
        times = [0]
        while times[-1] < newest:
            line = stream.readline()
            self.assertTrue(line)
            if line.startswith(b'data: {"event":"snapshot"'):
                times.append(json.loads(line[len("data: "):])["data"]["time"])
        self.assertLess(len(times), 8)
        self.assertEqual(times, sorted(times))

    def test_a_browser_that_stops_reading_is_evicted_and_the_others_go_on(self):
        self.gateway.world.add(3000)
        self.gateway.world.spread(1500, 100)
        self.listen_without_reading()
        events = fixture.Events(self.dashboard)
        self.addCleanup(events.close)
        last = 0
        while "event=evicted" not in self.dashboard.log():
            time_of = events.next("snapshot")[2]["time"]
            self.assertGreater(time_of, last)
            last = time_of
        self.assertIn('reason=stalled cause="not reading"', self.dashboard.log())
        self.assertEqual(self.dashboard.log().count("event=evicted"), 1)
        self.assertGreater(events.next("snapshot")[2]["time"], last)


if __name__ == "__main__":
    unittest.main(verbosity=2)
