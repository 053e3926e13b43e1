# SPDX-License-Identifier: MIT
"""The dashboard's login: whom it lets watch and act, with which token, and for how long."""
import http.cookies
import json
import subprocess
import unittest

import fixture

LOGIN_TOKEN = "the-token-of-the-dashboard"
WRONG_TOKEN = "a-token-that-is-a-guess"
PROTECTED = (("GET", "/api/gateways"), ("GET", "/api/connection?cell=3"), ("POST", "/api/evict?id=4"),
             ("POST", "/api/policy"))


class LoginTest(unittest.TestCase):
    """Each test says which dashboard it is about."""

    def start(self, *options, **named):
        self.gateway = fixture.played_gateway(20)
        self.dashboard = fixture.Dashboard([self.gateway], *options, **named)
        self.addCleanup(self.dashboard.stop)

    def log_in(self, token, **headers):
        """(status, headers, answer)"""
        body = json.dumps({"token": token})
        status, answered, answer = self.dashboard.ask("POST", "/api/login", body, Content_Type="application/json", **headers)
        return status, answered, json.loads(answer)

    def cookie_of(self, headers):
        cookies = http.cookies.SimpleCookie(headers["Set-Cookie"])
        self.assertEqual(list(cookies), [f"fluxbp_login_{self.dashboard.port}"])
        return next(iter(cookies.values()))

    def logged_in(self, token=LOGIN_TOKEN):
        """The header of a browser that has logged in."""
        status, headers, _ = self.log_in(token)
        self.assertEqual(status, 200)
        cookie = self.cookie_of(headers)
        return {"Cookie": f"other=1; {cookie.key}={cookie.value}"}

    def expect_nothing_is_served(self, **headers):
        for method, path in PROTECTED:
            status, _, body = self.dashboard.ask(method, path, "{}", Content_Type="application/json", **headers)
            self.assertEqual((status, json.loads(body)), (401, {"error": "Log in first."}), path)
        status, _, body = self.dashboard.ask("GET", "/sse?topic=gateway-0", **headers)
        self.assertEqual((status, json.loads(body)), (403, {"error": "Log in first."}))
        self.assertEqual(len(self.gateway.world.clients), 20)


class OwnToken(LoginTest):
    def setUp(self):
        self.start(login_token=LOGIN_TOKEN)

    def test_without_a_login_only_the_page_is_served(self):
        self.expect_nothing_is_served()
        for path in ("/", "/login.js", "/main.js"):
            self.assertEqual(self.dashboard.ask("GET", path)[0], 200)

    def test_a_login_gives_data_and_actions(self):
        cookie = self.logged_in()
        self.assertEqual(fixture.Events(self.dashboard, **cookie).next("snapshot")[2]["connections"]["total"], 20)
        status, _, body = self.dashboard.ask("GET", "/api/gateways", **cookie)
        self.assertEqual(status, 200)
        self.assertTrue(json.loads(body)["may_act"] and json.loads(body)["is_logged_in"])
        self.assertEqual(self.dashboard.post("/api/evict?id=4", {}, **cookie), (200, {"evicted": 4}))

    def test_a_browser_that_a_proxy_passes_on_may_log_in_and_act(self):
        cookie = self.logged_in()
        self.assertEqual(self.dashboard.post("/api/evict?id=4", {}, Via="1.1 proxy", **cookie)[0], 200)

    def test_the_cookie_is_for_this_server_alone_and_not_the_token(self):
        _, headers, _ = self.log_in(LOGIN_TOKEN)
        cookie = self.cookie_of(headers)
        self.assertRegex(cookie.value, "^[0-9a-f]{64}$")
        self.assertEqual((cookie["path"], cookie["samesite"], cookie["max-age"]), ("/", "Strict", "43200"))
        self.assertTrue(cookie["httponly"])
        self.assertFalse(cookie["secure"] or cookie["domain"])

    def test_a_wrong_token_is_refused(self):
        for token in (WRONG_TOKEN, LOGIN_TOKEN[:-1], LOGIN_TOKEN + "x", fixture.TOKEN):
            status, headers, answer = self.log_in(token)
            self.assertEqual((status, answer), (403, {"error": "This is not the token."}))
            self.assertIsNone(headers["Set-Cookie"])
        self.assertEqual(self.dashboard.log().count("event=login_refused"), 4)
        self.expect_nothing_is_served(Cookie=f"fluxbp_login_{self.dashboard.port}={LOGIN_TOKEN}")
        self.expect_nothing_is_served(Cookie=f"fluxbp_login_{self.dashboard.port}={'0' * 64}")
        self.expect_nothing_is_served(Cookie=f"fluxbp_login_{self.dashboard.port}=")

    def test_what_is_no_token_is_refused(self):
        for body in ("", "{", "[]", "{}", '{"token":7}', '{"token":""}', '{"token":"a b"}', '{"token":"%s"}' % ("x" * 300)):
            self.assertEqual(self.dashboard.ask("POST", "/api/login", body, Content_Type="application/json")[0], 400, body)

    def test_guessing_is_slowed(self):
        statuses = [self.log_in(WRONG_TOKEN)[0] for _ in range(11)]
        self.assertEqual(statuses, [403] * 10 + [429])
        status, headers, answer = self.log_in(LOGIN_TOKEN)
        self.assertEqual(status, 429)
        self.assertIn(int(headers["Retry-After"]), range(1, 61))
        self.assertIn("Too many attempts", answer["error"])

    def test_logging_out_ends_the_login_and_its_streams_and_no_other(self):
        cookie, other = self.logged_in(), self.logged_in()
        ended, stays = fixture.Events(self.dashboard, **cookie), fixture.Events(self.dashboard, **other)
        ended.next("snapshot")
        stays.next("snapshot")
        status, headers, _ = self.dashboard.ask("POST", "/api/logout", "{}", Content_Type="application/json", **cookie)
        self.assertEqual((status, self.cookie_of(headers)["max-age"]), (200, "0"))
        self.assertIn('"reason":"logged out"', ended.read_to_end())
        self.expect_nothing_is_served(**cookie)
        last = stays.next("snapshot")[2]["time"]
        self.assertGreater(stays.next("snapshot")[2]["time"], last)

    def test_pages_of_other_sites_neither_log_in_nor_act(self):
        evil = {"Origin": "http://evil.example"}
        self.assertEqual(self.log_in(LOGIN_TOKEN, **evil)[0], 403)
        cookie = self.logged_in()
        self.assertEqual(self.dashboard.post("/api/evict?id=4", {}, **evil, **cookie)[0], 403)
        status, _, _ = self.dashboard.ask("POST", "/api/evict?id=4", "", Content_Type="text/plain", **cookie)
        self.assertEqual(status, 400)
        self.assertEqual(len(self.gateway.world.clients), 20)

    def test_curl_logs_in_with_a_cookie_jar(self):
        jar = f"{self.dashboard.folder.name}/jar"
        json_type = ["-H", "Content-Type: application/json"]

        def curl(path, *arguments):
            command = ["curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "-b", jar, "-c", jar, *arguments]
            return subprocess.run([*command, self.dashboard.url + path], check=True, capture_output=True, text=True).stdout

        self.assertEqual(curl("/api/gateways"), "401")
        self.assertEqual(curl("/api/login", *json_type, "-d", json.dumps({"token": WRONG_TOKEN})), "403")
        self.assertEqual(curl("/api/gateways"), "401")
        self.assertEqual(curl("/api/login", *json_type, "-d", json.dumps({"token": LOGIN_TOKEN})), "200")
        self.assertEqual(curl("/api/gateways"), "200")
        self.assertEqual(curl("/api/evict?id=4", *json_type, "-d", "{}"), "200")
        self.assertEqual(curl("/api/logout", *json_type, "-d", "{}"), "200")
        self.assertEqual(curl("/api/gateways"), "401")


class Proxies(LoginTest):
    def test_a_trusted_proxy_says_that_the_page_came_by_https(self):
        self.start("--trust-proxy", "127.0.0.1", login_token=LOGIN_TOKEN)
        _, headers, _ = self.log_in(LOGIN_TOKEN, X_Forwarded_Proto="https")
        self.assertTrue(self.cookie_of(headers)["secure"])
        _, headers, _ = self.log_in(LOGIN_TOKEN, X_Forwarded_Proto="http")
        self.assertFalse(self.cookie_of(headers)["secure"])

    def test_other_proxies_say_nothing(self):
        self.start("--trust-proxy", "192.0.2.1", login_token=LOGIN_TOKEN)
        _, headers, _ = self.log_in(LOGIN_TOKEN, X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.1")
        self.assertFalse(self.cookie_of(headers)["secure"])
        for client in range(9):
            self.log_in(WRONG_TOKEN, X_Forwarded_For=f"198.51.100.{client}")
        self.assertEqual(self.log_in(LOGIN_TOKEN, X_Forwarded_For="198.51.100.99")[0], 429)

    def test_behind_a_trusted_proxy_each_client_has_its_own_attempts(self):
        self.start("--trust-proxy", "127.0.0.0/8", login_token=LOGIN_TOKEN)
        for _ in range(10):
            self.log_in(WRONG_TOKEN, X_Forwarded_For="198.51.100.2, 198.51.100.1")
        self.assertEqual(self.log_in(LOGIN_TOKEN, X_Forwarded_For="198.51.100.3, 198.51.100.1")[0], 429)
        self.assertEqual(self.log_in(LOGIN_TOKEN, X_Forwarded_For="198.51.100.1, 198.51.100.2")[0], 200)


class GatewaysToken(LoginTest):
    """The dashboard was not given the token that its gateway wants."""

    def setUp(self):
        self.start(has_token=False)
        fixture.wait("the gateway's refusal", lambda: "gateway_away" in self.dashboard.log())

    def test_its_admin_token_logs_in_and_the_dashboard_watches_with_it(self):
        self.expect_nothing_is_served()
        self.assertEqual(self.log_in(WRONG_TOKEN)[0], 403)
        self.expect_nothing_is_served()
        cookie = self.logged_in(fixture.TOKEN)
        self.assertEqual(fixture.Events(self.dashboard, **cookie).next("snapshot")[2]["connections"]["total"], 20)
        self.assertEqual(self.dashboard.post("/api/evict?id=4", {}, **cookie), (200, {"evicted": 4}))
        self.assertEqual(self.dashboard.ask("GET", "/api/gateways")[0], 401)  # a login lets in nobody else

    def test_after_the_last_login_the_token_is_forgotten(self):
        cookie = self.logged_in(fixture.TOKEN)
        fixture.Events(self.dashboard, **cookie).next("snapshot")
        self.dashboard.ask("POST", "/api/logout", "{}", Content_Type="application/json", **cookie)
        fixture.wait("a refusal", lambda: self.dashboard.log().count("gateway_away") >= 2)
        self.expect_nothing_is_served()

    def test_a_token_that_the_gateway_takes_no_more_ends_the_logins(self):
        cookie = self.logged_in(fixture.TOKEN)
        events = fixture.Events(self.dashboard, **cookie)
        events.next("snapshot")
        self.gateway.go_away()
        self.gateway.token = "another-token-altogether"
        self.gateway.come()
        events.read_to_end()
        self.expect_nothing_is_served(**cookie)
        self.assertEqual(self.log_in(fixture.TOKEN)[0], 403)
        self.logged_in("another-token-altogether")

    def test_a_gateway_that_is_away_lets_nobody_in(self):
        self.gateway.go_away()
        status, _, answer = self.log_in(fixture.TOKEN)
        self.assertEqual(status, 502)
        self.assertIn("does not answer", answer["error"])

    def test_streams_end_when_the_gateway_begins_to_want_a_token(self):
        self.gateway.go_away()
        self.gateway.token = None
        self.gateway.come()
        fixture.wait("it is open", lambda: self.dashboard.ask("GET", "/api/gateways")[0] == 200)
        events = fixture.Events(self.dashboard)
        events.next("snapshot")
        self.gateway.go_away()
        self.gateway.token = fixture.TOKEN
        self.gateway.come()
        events.read_to_end()
        self.expect_nothing_is_served()


class NoLogin(LoginTest):
    def test_beyond_loopback_nobody_acts_whatever_the_options(self):
        self.start("--listen", "0.0.0.0:0", "--actions")
        self.assertFalse(json.loads(self.dashboard.ask("GET", "/api/gateways")[2])["may_act"])
        status, answer = self.dashboard.post("/api/evict?id=4", {})
        self.assertEqual(status, 403)
        self.assertIn("--login-token", answer["error"])
        self.assertEqual(len(self.gateway.world.clients), 20)

    def test_beyond_loopback_a_login_acts(self):
        self.start("--listen", "0.0.0.0:0", login_token=LOGIN_TOKEN)
        self.expect_nothing_is_served()
        self.assertEqual(self.dashboard.post("/api/evict?id=4", {}, **self.logged_in())[0], 200)

    def test_there_is_nothing_to_log_in_to(self):
        self.start()
        self.assertEqual(self.log_in(LOGIN_TOKEN)[0], 404)


class Options(unittest.TestCase):
    def refuse(self, text, *arguments):
        result = subprocess.run([fixture.os.environ["DASHBOARD"], *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn(text, result.stderr)

    def test_a_file_that_others_may_read_holds_no_token(self):
        with fixture.tempfile.NamedTemporaryFile("w") as file:
            file.write(LOGIN_TOKEN)
            file.flush()
            fixture.os.chmod(file.name, 0o640)
            self.refuse(f"--login-token {file.name}: others may read or write it: chmod 600", "--login-token", file.name)


if __name__ == "__main__":
    unittest.main(verbosity=2)
