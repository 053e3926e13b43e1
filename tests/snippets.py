#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The C on a page of docs/ stands in one of the example programs that the page links to, character by character.

    snippets.py SOURCES PAGE...     PAGE is relative to SOURCES

Prints each block of C that doesn't, and returns 1 then.
"""
import os
import re
import sys


def strays(sources, page):
    """Yield the blocks of C on the page that are in none of its examples."""
    path = os.path.join(sources, page)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    programs = ""
    for link in set(re.findall(r"\]\(([^)]*\.c)\)", text)):
        with open(os.path.join(os.path.dirname(path), link), encoding="utf-8") as file:
            programs += file.read()
    blocks = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    if not blocks:
        yield f"{page} has no C"
    for block in blocks:
        if block not in programs:
            yield f"{page} has C that isn't in the examples it links to:\n{block}"


found = [stray for page in sys.argv[2:] for stray in strays(sys.argv[1], page)]
for stray in found:
    print(stray)
sys.exit(1 if found else 0)
