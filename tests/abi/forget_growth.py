#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Takes out of the description of an interface what docs/growth.md allows to be appended since an older one.

    forget_growth.py OLDER NEWER GROWTH.md

OLDER and NEWER are abidw's XML, and are rewritten: in NEWER a struct that may grow ends where it ended in OLDER, and an
enum has no more enumerators than there. What differs after that breaks programs, which is for abidiff to say. (Its own
suppressions of "a member was added at the end" suppress every other change of the same struct as well.)

Fails, with a line for each, on a public struct that growth.md doesn't name, on options and tables that don't begin with
their size, and on structs by value: as arguments, as results, and inside of another struct unless they are closed.
"""
import re
import sys
import xml.etree.ElementTree as ET

faults = []


def read_kinds(path):
    """The kinds of growth.md's table, by the name of the struct."""
    kinds = {}
    with open(path, encoding="utf-8") as page:
        for line in page:
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) < 4:
                continue
            for name in re.findall(r"`(fluxbp_\w+)_t`", cells[2]):
                kinds.setdefault(name, cells[1])
    return kinds


class Description:
    """An interface, as abidw describes it."""

    def __init__(self, path):
        self.path = path
        self.tree = ET.parse(path)
        self.root = self.tree.getroot()
        self.by_id = {element.get("id"): element for element in self.root.iter() if element.get("id")}
        for element in self.root.iter():
            element.attrib.pop("hash", None)  # of the type as it was before

    def own(self, tag):
        """The definitions with this tag whose names are ours."""
        return {
            element.get("name"): element
            for element in self.root.iter(tag)
            if element.get("name", "").startswith("fluxbp_") and element.get("is-declaration-only") != "yes"
        }

    def struct_behind(self, type_id):
        """The struct that a type is, by whatever name, or None: it is none, or a pointer."""
        element = self.by_id.get(type_id)
        while element is not None and element.tag in ("typedef-decl", "qualified-type-def", "array-type-def"):
            element = self.by_id.get(element.get("type-id"))
        return element if element is not None and element.tag in ("class-decl", "union-decl") else None

    def write(self):
        self.tree.write(self.path)


def members(struct):
    return struct.findall("data-member")


def offset(member):
    return int(member.get("layout-offset-in-bits", 0))


def size(struct):
    return int(struct.get("size-in-bits"))


def check_struct(interface, struct, kinds):
    name = struct.get("name")
    kind = kinds.get(name)
    if kind is None:
        faults.append(f"{name}_t: docs/growth.md doesn't say of which kind it is")
    elif kind in ("options", "tables of functions", "kept by the caller"):
        if members(struct)[0].find("var-decl").get("name") != "size":
            faults.append(f"{name}_t: does not begin with its size")
    for member in members(struct):
        inner = interface.struct_behind(member.find("var-decl").get("type-id"))
        if inner is not None and kinds.get(inner.get("name")) not in (None, "closed"):
            faults.append(f"{name}_t: has a {inner.get('name')}_t inside, which may grow")


def check_functions(interface):
    for function in interface.own("function-decl").values():
        for part in function.findall("parameter") + function.findall("return"):
            if interface.struct_behind(part.get("type-id")) is not None:
                faults.append(f"{function.get('name')}: takes or returns a struct by value")


def is_appended(member, older):
    """Whether it begins where the older struct has ended, its padding included; or fills that padding."""
    end = size(older)
    last = max(offset(one) for one in members(older))
    fills = member.find("var-decl").get("name").startswith("reserved") and offset(member) > last
    return fills or offset(member) >= end


def shorten_struct(older, newer):
    """Whether members were taken out."""
    appended = [member for member in members(newer) if is_appended(member, older)]
    for member in appended:
        newer.remove(member)
    if appended:
        newer.set("size-in-bits", older.get("size-in-bits"))
    return bool(appended)


def shorten_enum(older, newer):
    values = {item.get("name"): int(item.get("value")) for item in older.findall("enumerator")}
    count = next((name for name in values if name.endswith("_COUNT")), None)
    taken = {value for name, value in values.items() if name != count}
    for item in newer.findall("enumerator"):
        name, value = item.get("name"), int(item.get("value"))
        if name not in values and value not in taken:
            newer.remove(item)
        elif name == count and value > values[count]:
            item.set("value", str(values[count]))


def forget_growth(older, newer, kinds):
    was_shortened = set()
    before = older.own("class-decl")
    for name, struct in newer.own("class-decl").items():
        if name in before and kinds.get(name) != "closed" and shorten_struct(before[name], struct):
            was_shortened.add(name)
    before = older.own("enum-decl")
    for name, enum in newer.own("enum-decl").items():
        if name in before:
            shorten_enum(before[name], enum)

    # To abidiff a new type is a change like any other, unless it is one that functions lead to.
    for tag in ("class-decl", "union-decl", "enum-decl", "typedef-decl"):
        before = {element.get("name") for element in older.root.iter(tag)}
        for element in newer.root.iter(tag):
            if element.get("name") not in before:
                element.attrib.pop("is-non-reachable", None)

    # A constant is as long as its struct. Programs may hold a copy of the first part, which is why its size is kept.
    symbols = {element.get("name"): element for element in older.root.iter("elf-symbol")}
    for variable in newer.own("var-decl").values():
        struct = newer.struct_behind(variable.get("type-id"))
        if struct is not None and struct.get("name") in was_shortened:
            for symbol in newer.root.iter("elf-symbol"):
                if symbol.get("name") == variable.get("name") and symbol.get("name") in symbols:
                    symbol.set("size", symbols[symbol.get("name")].get("size"))


def main():
    older, newer = Description(sys.argv[1]), Description(sys.argv[2])
    kinds = read_kinds(sys.argv[3])
    for struct in newer.own("class-decl").values():
        check_struct(newer, struct, kinds)
    check_functions(newer)
    forget_growth(older, newer, kinds)
    older.write()
    newer.write()
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
