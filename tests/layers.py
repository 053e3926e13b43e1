#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the core is built in layers, as the table in docs/ARCHITECTURE.md says.

  layers.py ARCHITECTURE.md SOURCE_DIR INCLUDE_DIR OBJECT...

The table is the code block behind the line "<!-- layers: from the top -->": of each layer the name, a colon, and its files
without ".c"; "X.h" is a header that stands lower than X.c. The symbols of the objects and the includes of the sources have to agree with it:

- each file has a place, and each place a file;
- no file uses a symbol or includes a header of a higher layer;
- no files use each other's symbols in a circle;
- a function that is declared in X.h is defined in X.c, or in X_*.c.

Prints each fault; the exit status is 1 when there is one.
"""
import os
import re
import subprocess
import sys

MARK = "<!-- layers: from the top -->"

# Files whose name doesn't begin with that of the public header.
AT_HOME = {
    "fluxbp.h": ("version",),
    "histogram.h": ("prometheus",),
    "metrics.h": ("prometheus",),
    "topic.h": ("topics",),
}


def read_layers(page):
    with open(page, encoding="utf-8") as text:
        block = text.read().split(MARK, 1)[1].split("```")[1]
    lines = re.findall(r"^(\w+):((?:[^:]*)(?:\n|$))", block, flags=re.M)
    lines.reverse()  # the lowest first
    layers = {}
    for height, (name, files) in enumerate(lines):
        for entry in files.split():
            layers[entry] = (height, name)
    return layers


def read_symbols(objects):
    defined, used = {}, {}
    for path in objects:
        stem = os.path.basename(path).split(".")[0]
        used[stem] = set()
        output = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
        for line in output.splitlines():
            kind, symbol = line.split()[-2:]
            if kind == "U":
                used[stem].add(symbol)
            elif kind in "TDRBVW":
                defined[symbol] = stem
    return defined, used


def edges_of(defined, used):
    edges = {stem: {} for stem in used}
    for stem, symbols in used.items():
        for symbol in sorted(symbols):
            home = defined.get(symbol, stem)
            if home != stem:
                edges[stem].setdefault(home, symbol)
    return edges


def find_circle(edges):
    """Return the files of a circle in their order, or None."""
    done, path = set(), []

    def visit(stem):
        if stem in path:
            return path[path.index(stem):] + [stem]
        if stem in done:
            return None
        path.append(stem)
        for other in edges[stem]:
            circle = visit(other)
            if circle:
                return circle
        path.pop()
        done.add(stem)
        return None

    for stem in edges:
        circle = visit(stem)
        if circle:
            return circle
    return None


def declarations_of(text):
    """Return what stands outside of comments, directives and braces."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#(?:.*\\\n)*.*$", " ", text, flags=re.M).replace('extern "C" {', "")
    outside, depth = [], 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth <= 0:
            outside.append(";" if character == "}" else character)
    return "".join(outside)


def check_includes(sources, layers, faults):
    for name in sorted(os.listdir(sources)):
        stem, ending = os.path.splitext(name)
        if ending not in (".c", ".h"):
            continue
        with open(os.path.join(sources, name), encoding="utf-8") as text:
            included = re.findall(r'^#include "([a-z0-9_]+)\.h"', text.read(), flags=re.M)
        if stem not in layers:
            faults.append(f"{name} has no place in the table")
            continue
        for other in included:
            place = layers.get(other + ".h", layers.get(other))
            if place and place[0] > layers.get(name, layers[stem])[0]:
                faults.append(f"{name} ({layers[stem][1]}) includes {other}.h of a higher layer ({place[1]})")


def check_homes(header_dirs, defined, faults):
    declaration = re.compile(r"\b(fluxbp_[a-z0-9_]+)\s*\([^;]*\)\s*;")
    found = 0
    for directory in header_dirs:
        for name in sorted(os.listdir(directory)):
            if not name.endswith(".h"):
                continue
            stem = name[:-2]
            with open(os.path.join(directory, name), encoding="utf-8") as text:
                symbols = declaration.findall(declarations_of(text.read()))
            found += len(symbols)
            for symbol in symbols:
                home = defined.get(symbol)
                if home is None or home == stem or home.startswith(stem + "_") or home in AT_HOME.get(name, ()):
                    continue
                faults.append(f"{symbol} is declared in {name} and defined in {home}.c")
    if found < 100:
        faults.append(f"only {found} declarations were found")


def main():
    page, sources, headers, *objects = sys.argv[1:]
    layers = read_layers(page)
    defined, used = read_symbols(objects)
    edges = edges_of(defined, used)
    faults = []
    for stem in sorted(used):
        if stem not in layers:
            faults.append(f"{stem}.c has no place in the table")
    for stem in sorted(layers):
        if not any(os.path.exists(os.path.join(sources, stem + ending)) for ending in (".c", ".h", "")):
            faults.append(f"{stem} is in the table and not in {sources}")
    for stem, others in sorted(edges.items()):
        for other, symbol in sorted(others.items()):
            if stem in layers and other in layers and layers[other][0] > layers[stem][0]:
                faults.append(f"{stem}.c ({layers[stem][1]}) calls {symbol} of a higher layer ({layers[other][1]}: {other}.c)")
    circle = find_circle(edges)
    if circle:
        faults.append("a circle: " + ", ".join(f"{a}.c uses {edges[a][b]} of {b}.c" for a, b in zip(circle, circle[1:])))
    check_includes(sources, layers, faults)
    check_homes((sources, os.path.join(headers, "fluxbp")), defined, faults)
    if len(objects) < 10 or len(layers) < 10:
        faults.append("there are too few objects or layers: has this been called with the right paths?")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
