# SPDX-License-Identifier: MIT
"""The clients that tests/npm/install.sh, which tests/run.sh calls, fetches into the build folder."""
import os
import sys

MODULES = os.path.join(os.environ["BUILD"], "npm", "node_modules")


def is_installed():
    """Not in CI, which has no registry."""
    return os.environ.get("CI") != "true" and os.path.isdir(MODULES)


def skip_unless_installed():
    if is_installed():
        return
    print("skipped: there are no clients from npm here; tests/npm/install.sh fetches them where there is node")
    sys.exit(77)


def environment():
    """Of a program that uses them."""
    return {**os.environ, "NODE_PATH": MODULES}
