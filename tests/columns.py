#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the lines of C sources that are longer than 120 columns; the exit status is 1 when there is one.

  columns.py SOURCE_DIR
"""
import os
import sys

COLUMNS = 120
FOLDERS = ("include", "lib", "examples", "tests")
SKIPPED = {"baseline", "node_modules"}  # generated headers; packages of others


def main():
    root = sys.argv[1]
    files = 0
    faults = 0
    for folder in FOLDERS:
        for path, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = [name for name in folders if name not in SKIPPED]
            for name in names:
                if not name.endswith((".c", ".h")):
                    continue
                files += 1
                with open(os.path.join(path, name), encoding="utf-8") as text:
                    for number, line in enumerate(text, 1):
                        if len(line.rstrip("\n")) > COLUMNS:
                            faults += 1
                            print(f"{os.path.relpath(os.path.join(path, name), root)}:{number}: {len(line) - 1} columns")
    if files == 0:
        print(f"there are no C sources in {root}")
    sys.exit(1 if faults or files == 0 else 0)


main()
