# SPDX-License-Identifier: MIT
"""The dashboard's page in Chromium, before a played gateway. It leaves screenshots in $BUILD/screenshots for people to
look at."""
import os
import shutil
import tempfile
import unittest

import axe
import fixture
import ports
from fake_gateway import TICK_S
from webdriver import Browser, WebDriverError

SCREENSHOTS = os.path.join(os.environ["BUILD"], "screenshots")
PAGE_DOWN = "\ue00f"
ARROW_RIGHT = "\ue014"
ESCAPE = "\ue00c"


def number(text):
    return int("".join(digit for digit in text if digit.isdigit()) or -1)


def start_browser(profile, tries=5):
    """The driver takes a port that is free for IPv6 and may find it taken for IPv4."""
    try:
        return Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile)
    except (OSError, WebDriverError) as error:
        if tries == 1:
            raise
        print(f"the browser is started again: {error}")
        return start_browser(profile, tries - 1)


def setUpModule():
    profile = tempfile.mkdtemp(prefix="fluxbp-chromium-")
    unittest.addModuleCleanup(shutil.rmtree, profile, ignore_errors=True)
    PageTest.browser = start_browser(profile)
    unittest.addModuleCleanup(PageTest.browser.close)
    os.makedirs(SCREENSHOTS, exist_ok=True)


class PageTest(unittest.TestCase):
    """One browser for all tests; a gateway and a dashboard for each."""

    provokes_failures = False  # of requests, which the browser writes to its console

    def setUp(self):
        self.gateway = fixture.played_gateway()
        self.world = self.gateway.world
        self.dashboard = fixture.Dashboard([self.gateway])
        self.addCleanup(self.dashboard.stop)
        self.set_theme("light")
        self.browser.resize(1280, 900)

    def tearDown(self):
        """The page must not have complained, whatever the test was about."""
        self.browser.go("about:blank")
        complaints = self.browser.console()
        if self.provokes_failures:
            complaints = [complaint for complaint in complaints if complaint["source"] != "network"]
        self.assertEqual(complaints, [])

    def open(self):
        self.browser.go(self.dashboard.url)
        self.wait("the first figures", lambda: self.state() not in ("connecting", None))

    wait = staticmethod(fixture.wait)

    def text(self, selector):
        return self.browser.text(selector)

    def state(self):
        return self.browser.run("return document.documentElement.dataset.state")

    def set_theme(self, theme):
        self.browser.devtools("Emulation.setEmulatedMedia",
                              features=[{"name": "prefers-color-scheme", "value": theme}])

    def shoot(self, name, top=0, height=None):
        self.browser.screenshot(os.path.join(SCREENSHOTS, name + ".png"), top, height)

    def wait_for_total(self, total):
        self.wait(f"{total} clients", lambda: sum(self.counts()) == total)

    def counts(self):
        return [number(self.text(f"#count-{kind}")) for kind in ("healthy", "backpressured", "stalled")]

    def audit(self, where):
        source, problem = axe.source(os.environ["BUILD"])
        if problem:
            self.skipTest(problem)
        self.browser.run(source + "; return 1")
        self.assertEqual(self.browser.run(axe.CHECK), [], where)


class Figures(PageTest):
    def test_counts_are_those_of_the_gateway(self):
        self.world.add(20)
        self.world.add(2, "stalled")
        self.open()
        self.wait("counts as of the gateway", lambda: self.counts() == [20, 0, 2])
        self.assertEqual(self.text("#state-word"), "Stalled")
        self.assertIn("2 of 22 clients take nothing any more", self.text("#state-sentence"))
        counts = self.browser.run("return [...document.querySelectorAll('#legend-counts td')].map((e) => e.textContent)")
        self.assertEqual((counts[0], counts[-1]), ("20", "2"))
        self.audit("light")
        self.shoot("20-stalled")
        self.set_theme("dark")
        self.audit("dark")

    def test_everybody_keeps_up(self):
        self.world.add(20)
        self.open()
        self.wait_for_total(20)
        self.assertEqual((self.text("#state-word"), self.text("#state-sentence")), ("Healthy", "All 20 clients keep up."))
        self.shoot("20-healthy")

    def test_nobody_is_there(self):
        self.open()
        self.assertEqual(self.text("#state-word"), "Idle")
        self.assertIn("Nobody is connected", self.text("#map-empty"))
        self.assertTrue(self.browser.run("return document.getElementById('map-empty').checkVisibility()"))
        self.audit("empty")
        self.shoot("empty")

    def test_a_stalled_client_is_in_the_table_within_2_s_and_its_eviction_in_the_list(self):
        self.world.add(20)
        self.open()
        self.wait_for_total(20)
        client = self.world.clients[7]
        client.set_mood("stalled")
        row = f"#worst tr[data-id='{client.id}']"
        shown = self.browser.run("""
            const { map } = await import('/main.js');
            const first = map.frames; // each is of a tick: a busy machine has fewer, and as long ones
            while (!document.querySelector(arguments[0])) await new Promise(requestAnimationFrame);
            return map.frames - first;""", row)
        self.assertLessEqual(shown * TICK_S, 2)
        self.wait("it is shown as stalled", lambda: "stalled nothing moved" in self.text(f"{row} .verdict-so-far"))
        self.assertIn("window is closed", self.text(f"{row} .kernel"))
        self.world.evict(client)
        said = self.wait("it is in the list", lambda: self.text("#evictions li"))
        self.assertIn(f"Client {client.id}", said)
        self.assertRegex(said, r"Client is not reading: its window has been closed for \d+\.\d\u202fs\.")
        self.wait("it is gone from the table", lambda: self.text(row) is None)
        self.wait("it was said aloud", lambda: "was evicted" in self.text("#announcer"))

    def test_html_in_a_name_is_shown_as_text(self):
        name = "<img src=x onerror=alert(1)><b>&amp;</b>"
        client = self.world.add(1, "stalled", name)
        self.open()
        row = f"#worst tr[data-id='{client.id}']"
        self.assertIn(name, self.wait("it is in the table", lambda: self.text(row)))
        self.world.evict(client)
        self.assertIn(name, self.wait("it is in the list", lambda: self.text("#evictions li")))
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main b').length"), 0)

    def test_every_reason_and_cause_has_its_words(self):
        said = self.browser_words(
            [["stalled", "not reading"], ["stalled", "network"], ["slow", "reads slowly"], ["lag", "unknown"],
             ["overflow", "reads slowly"], ["budget", "unknown"], ["unreachable", "unreachable"],
             ["soft_limit", "reads slowly"], ["admin", "unknown"]])
        for words, sentence in zip(["its window has been closed for 5.0\u202fs", "the client's window is open",
                                    "it reads too slowly", "oldest message has waited 7.0\u202fs", "Its ring was full",
                                    "Memory was nearly used up", "no probe for 30.0\u202fs", "soft limit", "by an administrator"], said):
            self.assertIn(words, sentence)

    def test_a_row_past_its_limit_says_why_it_stays(self):
        self.world.add(20)
        client = self.world.add(1, "stalled")
        self.open()
        verdict = f"#worst tr[data-id='{client.id}'] .verdict-so-far"
        for put_off, words in [("shadow", "not draining for 30.0\u202fs of 5.0\u202fs (only reported)"),
                               ("spared", "not draining for 30.0\u202fs of 32.0\u202fs (spared"),
                               ("crowd", "nearly everybody is slow"), ("grace", "(new, ")]:
            client.put_off = put_off
            self.wait(put_off, lambda: words in (self.text(verdict) or ""))

    def test_the_trend_says_whether_it_gets_worse(self):
        self.open()
        sentence = self.browser.run("""
            const { stateOf } = await import('/words.js');
            const connections = { total: 100, healthy: 88, backpressured: 2, stalled: 10 };
            const snapshot = { connections, gateway: { state: 'ready' }, is_crowd_slow: false };
            return stateOf({ state: 'connected' }, snapshot, 7).sentence;""")
        self.assertEqual(sentence, "10 of 100 clients take nothing any more, 2 more can't keep up. "
                                   "That is 7 more than a minute ago. The other 88 are not affected.")

    def browser_words(self, pairs):
        self.open()
        return self.browser.run("""
            const { evictionWhy } = await import('/words.js');
            return arguments[0].map(([reason, cause]) => evictionWhy({ reason, cause, since_progress_ms: 5000,
              backpressured_ms: 6000, oldest_ms: 7000, unanswered_ms: 30000,
              kernel_bytes: 1 }));""", pairs)


class Acting(PageTest):
    def test_evicting_takes_a_confirmation(self):
        self.world.add(20)
        client = self.world.add(1, "stalled")
        self.open()
        button = f"#worst tr[data-id='{client.id}'] button"
        self.wait("its button", lambda: self.text(button))
        self.browser.click(button)
        self.assertIn(f"Evict Client {client.id}?", self.text("#confirm-title"))
        self.browser.press(ESCAPE)
        self.assertIn(client.cell, self.world.clients)
        self.browser.click(button)
        self.browser.click("#confirm button[value=yes]")
        self.wait("it is evicted", lambda: client.cell not in self.world.clients)
        self.wait("that is said", lambda: "was evicted" in self.text("#toast"))
        self.wait("it is in the list", lambda: "by an administrator: ops." in (self.text("#evictions li") or ""))

    def test_the_policy_is_shown_and_changed(self):
        self.open()
        value = "return document.getElementById('policy-stall_ms').value"
        self.wait("the policy", lambda: self.browser.run(value) == "5000")
        self.change("stall_ms", "7000")
        self.browser.click("#policy-apply")
        self.wait("the gateway has it", lambda: self.world.policy["stall_ms"] == 7000)
        self.wait("the page says so", lambda: self.text("#policy-message") == "Applied.")
        self.wait("it names the administrator", lambda: "by ops." in (self.text("#policy-change") or ""))
        self.provokes_failures = True
        self.change("high", "20")
        self.browser.click("#policy-apply")
        self.wait("the gateway refuses", lambda: self.text("#policy-message") == "low must be below high")
        self.change("high", "lots")
        self.browser.click("#policy-apply")
        self.wait("the page refuses", lambda: "whole number" in self.text("#policy-message"))
        self.assertEqual(self.world.policy["high"], 50)

    def change(self, name, value):
        self.browser.run("""
            const input = document.getElementById(`policy-${arguments[0]}`);
            input.value = arguments[1];
            input.dispatchEvent(new Event('input', { bubbles: true }));""", name, value)

    def test_keys_lead_to_who_is_slow(self):
        self.world.add(200)
        self.world.clients[120].set_mood("stalled")
        self.open()
        self.wait("somebody stalls", lambda: self.counts()[2] == 1)
        self.browser.run("document.getElementById('map').focus()")
        self.browser.press(PAGE_DOWN)
        self.wait("who it is", lambda: "Client 121" in self.text("#readout"))
        valuetext = "return document.getElementById('map').getAttribute('aria-valuetext')"
        self.assertIn("Client 121", self.browser.run(valuetext))
        self.browser.press(ARROW_RIGHT)
        self.wait("the next one, as the gateway says", lambda: "Client 122" in self.text("#readout"))
        self.assertIn("nothing waits", self.text("#readout"))

    def test_the_theme_can_be_chosen_and_stays(self):
        self.open()
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = self.browser.run(ground)
        self.browser.click("#theme")
        dark = self.browser.run(ground)
        self.assertNotEqual(light, dark)
        self.open()
        self.assertEqual(self.browser.run(ground), dark)
        self.browser.run("localStorage.clear()")


class Login(PageTest):
    """The dashboard has a token of its own."""

    TOKEN = "the-token-of-the-dashboard"
    provokes_failures = True

    def setUp(self):
        super().setUp()
        self.world.add(20)
        self.client = self.world.add(1, "stalled")
        self.dashboard = fixture.Dashboard([self.gateway], login_token=self.TOKEN)
        self.addCleanup(self.dashboard.stop)
        self.browser.go(self.dashboard.url)
        self.wait_for_form()

    def wait_for_form(self):
        self.wait("the form", lambda: self.browser.run("return !document.getElementById('login').hidden"))

    def log_in(self, token):
        self.browser.run("document.getElementById('login-token').value = arguments[0]", token)
        self.browser.click("#login-submit")

    def cookies(self):
        """Those of this dashboard: a browser has one jar for all ports of a host."""
        cookies = self.browser.devtools("Network.getCookies", urls=[self.dashboard.url])["cookies"]
        return [cookie for cookie in cookies if cookie["name"] == f"fluxbp_login_{self.dashboard.port}"]

    def test_a_visitor_logs_in_acts_and_logs_out(self):
        self.assertFalse(self.browser.run("return document.getElementById('map').checkVisibility()"))
        self.assertEqual(self.cookies(), [])
        self.audit("login")
        self.shoot("login-light", height=900)
        self.log_in("a-token-that-is-a-guess")
        self.wait("the refusal", lambda: self.text("#login-message") == "This is not the token.")
        self.assertEqual(self.cookies(), [])
        self.set_theme("dark")
        self.audit("login, refused")
        self.shoot("login-dark", height=900)
        self.log_in(self.TOKEN)
        self.wait_for_total(21)
        [cookie] = self.cookies()
        self.assertEqual((cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["secure"]), (True, "Strict", "/", False))
        self.assertEqual(self.browser.run("return document.cookie"), "")
        self.assertFalse(self.browser.run("return document.getElementById('login').checkVisibility()"))
        button = f"#worst tr[data-id='{self.client.id}'] button"
        self.wait("its button", lambda: self.text(button))
        self.browser.click(button)
        self.browser.click("#confirm button[value=yes]")
        self.wait("it is evicted", lambda: self.client.cell not in self.world.clients)
        self.shoot("logged-in", height=900)
        self.browser.click("#logout")
        self.wait_for_form()
        self.assertEqual(self.cookies(), [])

    def test_a_login_lasts_across_pages_and_ends_in_all_of_them(self):
        self.log_in(self.TOKEN)
        self.wait_for_total(21)
        self.browser.go(self.dashboard.url)
        self.wait_for_total(21)
        [cookie] = self.cookies()
        self.dashboard.post("/api/logout", {}, Cookie=f"{cookie['name']}={cookie['value']}")  # as another tab
        self.wait_for_form()


class Gateways(PageTest):
    def test_a_gateway_goes_away_and_comes_back(self):
        self.world.add(20)
        self.world.evict(self.world.clients[3])
        self.open()
        self.wait("its eviction", lambda: self.text("#evictions li"))
        self.wait_for_total(19)
        self.gateway.go_away()
        self.wait("it is away", lambda: self.state() == "away")
        self.wait("why", lambda: "connection refused" in self.text("#state-sentence"))
        self.assertEqual(sum(self.counts()), 19)
        self.audit("away")
        self.shoot("away", height=900)
        self.gateway.begin_anew()
        self.gateway.world.add(5)
        self.gateway.come()
        self.wait("it is back", lambda: self.state() == "healthy")
        self.wait_for_total(5)
        self.wait("evictions of the other one are gone", lambda: self.text("#evictions li") is None)

    def test_the_dashboard_goes_away_and_comes_back(self):
        self.world.add(20)
        self.dashboard.stop()
        kept = ports.keep()
        self.addCleanup(kept.close)
        address = "127.0.0.1:%d" % kept.getsockname()[1]
        self.dashboard = fixture.Dashboard([self.gateway], "--listen", address)
        self.addCleanup(self.dashboard.stop)
        self.open()
        self.provokes_failures = True
        self.dashboard.stop()
        self.wait("that is said", lambda: self.text("#state-word") == "No dashboard")
        self.dashboard = fixture.Dashboard([self.gateway], "--listen", address)
        self.addCleanup(self.dashboard.stop)
        self.wait("it goes on by itself", lambda: self.state() == "healthy")

    def test_another_gateway_is_chosen(self):
        other = fixture.played_gateway(7)
        self.world.add(20)
        with fixture.Dashboard([self.gateway, other]) as dashboard:
            self.browser.go(dashboard.url)
            self.wait_for_total(20)
            self.browser.run("""
                const select = document.getElementById('gateway');
                select.value = '1';
                select.dispatchEvent(new Event('change'));""")
            self.wait_for_total(7)
            self.browser.go("about:blank")


class Sizes(PageTest):
    """Thousands of clients. The screenshots of docs/dashboard.md are from here."""

    def fill(self, total, slow, stalled):
        self.world.add(total - len(self.world.clients))
        self.world.spread(slow, stalled)

    def evict_some(self):
        causes = [("stalled", "not reading"), ("slow", "reads slowly"), ("stalled", "not reading"),
                  ("stalled", "network"), ("stalled", "not reading")]
        stalled = [client for client in self.world.clients.values() if client.mood == "stalled"]
        for client, (reason, cause) in zip(stalled, causes):
            self.world.evict(client, reason, cause)

    def test_2000_clients_light_dark_and_on_a_phone(self):
        self.fill(2000, 60, 25)
        self.open()
        self.wait("stalled clients are judged", lambda: self.counts()[2] == 25)
        self.wait("they have been so for 3 s", lambda: "3." in self.text("#worst .clock"))
        self.evict_some()
        self.wait_for_total(1995)
        self.wait("the evictions", lambda: number(self.text("#evictions-rate")) == 5)
        self.shoot("2000-light")
        self.shoot("2000-light-top", height=900)
        self.set_theme("dark")
        self.shoot("2000-dark")
        self.shoot("2000-dark-top", height=900)
        self.set_theme("light")
        self.browser.resize(390, 844, is_phone=True)
        self.wait("the map has its new size", lambda: self.browser.run(
            "const map = document.getElementById('map'); return map.width === map.clientWidth * 2"))
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 390)
        self.audit("phone")
        self.shoot("2000-phone")
        self.shoot("2000-phone-top", height=1300)

    def test_10000_clients_cost_little(self):
        self.fill(10000, 500, 200)
        self.browser.devtools("Performance.enable", timeDomain="threadTicks")
        self.open()
        self.wait_for_total(10000)
        self.wait("stalled clients are judged", lambda: self.counts()[2] == 200)
        frames = "const { map } = await import('/main.js'); return map.frames"
        first, before = self.browser.run(frames), self.cpu_s()
        self.wait("16 frames", lambda: self.browser.run(frames) >= first + 16)
        after, last = self.cpu_s(), self.browser.run(frames)
        costs = self.browser.run("const { map } = await import('/main.js'); return map.costs.slice(-16).sort((a, b) => a - b)")
        print(f"10000 clients: {costs[0]:.1f} ms at least and {costs[len(costs) // 2]:.1f} ms in the middle for painting "
              f"the map; {(after - before) * 1000 / (last - first):.1f} ms of processor time a frame for the whole page")
        self.shoot("10000-light")
        self.set_theme("dark")
        self.shoot("10000-dark-top", height=900)

    def cpu_s(self):
        metrics = self.browser.devtools("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def test_from_20000_on_squares_are_shared_and_nobody_stalled_disappears(self):
        self.world.add(20001)
        self.world.clients[12345].set_mood("stalled")
        self.world.clients[12346].set_mood("slow")  # in the same square
        self.open()
        self.wait_for_total(20001)
        self.assertIn("a square for 3 of them", self.text("#map-hint"))
        shown = """
            const [{ feed }, { squaresOf, STALLED }] = await Promise.all([import('/main.js'), import('/heat_layout.js')]);
            return squaresOf(feed.slow).indexOf(STALLED);"""
        self.wait("the stalled one is shown", lambda: self.browser.run(shown) != -1)
        self.assertEqual(self.browser.run(shown), 12345 // 3)
        self.shoot("20000-light", height=900)


if __name__ == "__main__":
    unittest.main(verbosity=2)
