# SPDX-License-Identifier: MIT
"""A browser, driven over WebDriver's HTTP interface with nothing but the standard library."""
import base64
import ctypes
import http.client
import json
import os
import re
import signal
import subprocess


class WebDriverError(Exception):
    pass


def die_with_parent():
    """In a child, before its program: SIGTERM when the test ends, however it does (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Browser:
    """Chromium without a window. Use it in a with statement: at its end driver and browser are gone."""

    def __init__(self, chromedriver, chromium, profile):
        self.session = None
        self._start_driver(chromedriver)
        try:
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:loggingPrefs": {"browser": "ALL"},
                "goog:chromeOptions": {"binary": chromium, "args": [
                    "--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb",
                    f"--user-data-dir={profile}"]}}}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """The driver leads a group of its own, in which the browser's processes are, too."""
        if self.session is not None:
            try:
                self._call("DELETE", f"/session/{self.session}")
            except (OSError, WebDriverError, http.client.HTTPException):
                pass
            self.session = None
        try:
            os.killpg(self.driver.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.driver.wait()
        self.driver.stdout.close()

    def _start_driver(self, chromedriver):
        """It picks a port that is free on IPv6, which another program may have on IPv4: then it ends, and is started anew."""
        for attempt in range(5):
            self.driver = subprocess.Popen([chromedriver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           text=True, start_new_session=True, preexec_fn=die_with_parent)
            try:
                self.port = self._read_port()
                return
            except WebDriverError as error:
                self.close()
                if attempt == 4 or "Address already in use" not in str(error):
                    raise

    def _read_port(self):
        said = []
        for line in self.driver.stdout:
            said.append(line)
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found[1])
        raise WebDriverError(f"chromedriver did not start: {''.join(said)}")

    def _call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, json.dumps(body or {}) if method == "POST" else None,
                           {"Content-Type": "application/json"})
        value = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{value['error']}: {value['message']}")
        return value

    def _in_session(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def go(self, url):
        self._in_session("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a script's `return`; of a promise what it comes to."""
        return self._in_session("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def press(self, *keys):
        """Keys one after the other, to what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._in_session("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector):
        element = self._in_session("POST", "/element", {"using": "css selector", "value": selector})
        self._in_session("POST", f"/element/{next(iter(element.values()))}/click")

    def devtools(self, command, **parameters):
        return self._in_session("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height, is_phone=False):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=2 if is_phone else 1, mobile=is_phone)

    def screenshot(self, path, top=0, height=None):
        """The page from `top` on, to its end or so far."""
        width, whole = self.run("const e = document.documentElement; return [e.clientWidth, e.scrollHeight]")
        clip = {"x": 0, "y": top, "width": width, "height": height or whole - top, "scale": 1}
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def console(self):
        """What the page and the browser complained about since the last call."""
        entries = self._in_session("POST", "/se/log", {"type": "browser"})
        return [entry for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
