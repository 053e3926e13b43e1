# SPDX-License-Identifier: MIT
"""A graceful restart loses no EventSource of a real browser."""
import os
import shutil
import sys
import tempfile

here = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(here, "..", "support"))
sys.path.insert(0, os.path.join(here, "..", "dashboard"))
from gateway import run, skip
from restart import run_restart
from webdriver import Browser

SOURCES = 4  # a browser has six connections to one host

SCRIPT = """
  window.sources = Array.from({ length: arguments[0] }, () => {
    const source = new EventSource('/sse');
    source.got = [];
    source.onmessage = (event) => source.got.push(event.data);
    return source;
  });
"""


def a_graceful_restart_loses_no_EventSource():
    with tempfile.TemporaryDirectory() as profile, \
            Browser(shutil.which("chromedriver"), shutil.which("chromium"), profile) as browser:

        def start_clients(gateway):
            browser.go("http://%s:%d/" % gateway.http)
            browser.run(SCRIPT, SOURCES)

        run_restart(start_clients, SOURCES, lambda text: browser.run(
            "return sources.every((source) => source.got.includes(arguments[0]))", text))


for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        skip(f"{program} is not installed (Debian's packages are chromium, chromium-driver)")
run(a_graceful_restart_loses_no_EventSource)
