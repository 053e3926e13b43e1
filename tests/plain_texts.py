# SPDX-License-Identifier: MIT
"""No text of the server library names an option of the gateway: other programs link the library, too.

usage: plain_texts.py DIRECTORY OPTION_TABLE
"""
import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/", re.S)
TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"')
OPTION = re.compile(r'^ *\{OPTION_\w+, "([a-z-]+)"', re.M)

options = OPTION.findall(pathlib.Path(sys.argv[2]).read_text())
if len(options) < 40:
    sys.exit(f"only {len(options)} options found in {sys.argv[2]}")
named = re.compile(r"--(?:%s)\b" % "|".join(options))
problems = []
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.[ch]")):
    code = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), path.read_text())
    problems += [f"{path}:{code.count(chr(10), 0, found.start()) + 1}: {found[0]}" for found in TEXT.finditer(code)
                 if named.search(found[0])]
print(*problems, sep="\n")
sys.exit(len(problems) > 0)
