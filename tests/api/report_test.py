#!/usr/bin/env python3
"""report_test.py - malloc_info is well-formed XML and malloc_stats text, both in glibc's format, with the
figures of mallinfo2 and hak_stats of the same moment.

Runs report, which the build puts beside this script's copy, in each of the ways to bring hakmem in. The format is glibc 2.36's: malloc/malloc.c,
__malloc_info and __malloc_stats. TAP on standard output.
"""
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = ["preload", "shared", "static", "static-pie"]
STATS_FORMAT = re.compile(
    r"(?:Arena \d+:\nsystem bytes     = +\d+\nin use bytes     = +\d+\n)+"
    r"Total \(incl\. mmap\):\nsystem bytes     = +(?P<system>\d+)\nin use bytes     = +(?P<used>\d+)\n"
    r"max mmap regions = +(?P<regions>\d+)\nmax mmap bytes   = +(?P<bytes>\d+)\n"
)

results = []


def ok(good, name, detail=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}{'' if good else f' # {detail}'}")


def attributes_are_numbers(element, names):
    return all(element.get(name, "").isdigit() for name in names)


def check_sums(parent, way, where):
    """The totals that stand in each heap, and once more for the whole."""
    kinds = {(e.tag, e.get("type")) for e in parent if e.tag != "heap" and e.tag != "sizes"}
    wanted = {("total", "fast"), ("total", "rest"), ("system", "current"), ("system", "max"),
              ("aspace", "total"), ("aspace", "mprotect")}
    ok(wanted <= kinds, f"{way}_malloc_info_{where}_has_glibc's_totals", f"missing {wanted - kinds}")
    for element in parent:
        if element.tag == "total":
            ok(attributes_are_numbers(element, ["count", "size"]), f"{way}_{where}_{element.get('type')}_counts",
               str(element.attrib))
        if element.tag in ("system", "aspace"):
            ok(attributes_are_numbers(element, ["size"]), f"{way}_{where}_{element.tag}_{element.get('type')}",
               str(element.attrib))


def check_info(text, figures, way):
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        ok(False, f"{way}_malloc_info_is_well_formed_XML", str(error))
        return
    ok(True, f"{way}_malloc_info_is_well_formed_XML")
    ok(root.tag == "malloc" and root.get("version") == "1", f"{way}_malloc_info_root", str(root.attrib))
    heaps = root.findall("heap")
    ok(len(heaps) >= 1, f"{way}_malloc_info_has_a_heap")
    numbers = [heap.get("nr") for heap in heaps]
    ok(numbers == [str(n) for n in range(len(heaps))], f"{way}_heaps_are_numbered", str(numbers))
    for heap in heaps:
        ok(heap.find("sizes") is not None, f"{way}_heap_{heap.get('nr')}_has_sizes")
        check_sums(heap, way, f"heap_{heap.get('nr')}")
        for size in heap.iter("size"):
            ok(attributes_are_numbers(size, ["from", "to", "total", "count"]), f"{way}_size_row", str(size.attrib))
    check_sums(root, way, "whole")
    mapped = root.find("total[@type='mmap']")
    ok(mapped is not None and int(mapped.get("count")) == figures["hblks"] and int(mapped.get("size")) == figures["hblkhd"],
       f"{way}_malloc_info_mmap_agrees_with_mallinfo2", f"{None if mapped is None else mapped.attrib} {figures}")
    system = root.find("system[@type='current']")
    ok(system is not None and int(system.get("size")) == figures["arena"],
       f"{way}_malloc_info_system_agrees_with_mallinfo2", f"{None if system is None else system.attrib} {figures}")


def check_stats(text, figures, way):
    match = STATS_FORMAT.fullmatch(text)
    ok(match is not None, f"{way}_malloc_stats_has_glibc's_layout", repr(text[:300]))
    if not match:
        return
    ok(int(match["used"]) == figures["live"], f"{way}_malloc_stats_in_use_is_live", f"{match['used']} {figures}")
    ok(int(match["system"]) == figures["arena"] + figures["hblkhd"], f"{way}_malloc_stats_system_agrees_with_mallinfo2",
       f"{match['system']} {figures}")


def main():
    for way in WAYS:
        run = subprocess.run([os.path.join(HERE, way, "report")], capture_output=True, text=True, timeout=60)
        ok(run.returncode == 0, f"{way}_report_runs", f"exit {run.returncode}: {run.stderr[:200]!r}")
        if run.returncode != 0:
            continue
        text, _, last = run.stdout.rstrip("\n").rpartition("\n")
        figures = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", last)}
        check_info(text, figures, way)
        check_stats(run.stderr, figures, way)
    print(f"1..{len(results)}")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
