"""aggregate.py - the arithmetic of the comparison: ratios, flags, geometric means, rows won, bounds.

Uses:    nothing but the standard library; reads rows, changes nothing, starts nothing.
Callers: report.py, charts.py, page.py, compare.py, tests/bench/.

A row is a dict with "name", "score" ("time" or "rate") and "cells": allocator -> cell. A cell has "status"; when
that is "ok" it has the figures as well, "score" (lower is better) and "peak_kib" among them. An allocator
without a cell in a row did not run there.

Peers are all allocators but hakmem itself and the floor, which never frees and so is no allocator that anybody
could use. Time is judged against every peer. Memory of a row too; but in the mean glibc is shown and not counted:
hakmem has to be as lean as the leanest of those who compete in speed.
"""

import math
import re

HAKMEM, FLOOR, GLIBC = "hakmem", "floor", "glibc"
SLOW_LIMIT = 1.05  # hakmem's time, at most this often the best peer's of the row
FAT_LIMIT = 1.1    # its peak memory, at most this often the leanest peer's of the row
NEAR = 1.05        # within 5 % of the fastest
LONGEST_NS = 1e6   # no single call may take as long
# Rows by name: what is promised of them, and the most that hakmem's time may be of whom.
GROUPS = (
    ("first in every row of fixed sizes, of mixed sizes and of larson", re.compile("^(fixed|mixed|larson)-"), 1, None),
    ("twice the system's larson", re.compile("^larson-"), 0.5, GLIBC),
    ("twice the system's pool of large blocks", re.compile("^fixed-(32768|53248)-"), 0.5, GLIBC),
)


def peers_of(names):
    return [n for n in names if n not in (HAKMEM, FLOOR)]


def contestants_of(names):
    return [n for n in names if n != FLOOR]


def value(row, name, figure):
    """A figure of one cell; None when the allocator did not run or failed there."""
    cell = row["cells"].get(name)
    return cell.get(figure) if cell is not None and cell["status"] == "ok" else None


def best(row, names, figure):
    """The smallest figure of the named allocators; None when none of them has one."""
    return min((v for n in names if (v := value(row, n, figure)) is not None), default=None)


def base(row, names, figure):
    """What figures of a row are divided by: the best peer's, or anybody's where no peer finished."""
    return best(row, peers_of(names), figure) or best(row, names, figure)


def ratio(row, name, names, figure):
    own, unit = value(row, name, figure), best(row, peers_of(names), figure)
    return own / unit if own is not None and unit else None


def geometric_mean(values):
    """None for no values: there is no mean of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def is_missing(row):
    """True when the program itself is not on this machine."""
    return bool(row["cells"]) and all(c["status"] == "missing" for c in row["cells"].values())


def judge(row, names):
    """hakmem against the best peers of the row: {"time", "memory"} as ratios or None, and "flags"."""
    result = {"time": ratio(row, HAKMEM, names, "score"), "memory": ratio(row, HAKMEM, names, "peak_kib"), "flags": []}
    if is_missing(row):
        result["flags"].append("MISSING")
    elif HAKMEM in row["cells"] and row["cells"][HAKMEM]["status"] != "ok":
        result["flags"].append("FAILED")
    if result["time"] is not None and result["time"] > SLOW_LIMIT:
        result["flags"].append("SLOW")
    if result["memory"] is not None and result["memory"] > FAT_LIMIT:
        result["flags"].append("FAT")
    return result


def time_means(rows, names):
    """Allocator -> mean of its time ÷ the imaginary peer that takes the best of every row.

    Rows in which it failed are left out of its mean, so "hakmem" says what hakmem's mean is on the same rows."""
    means = {}
    for name in names:
        own = {r["name"]: x for r in rows if (x := ratio(r, name, names, "score")) is not None}
        hakmem = [x for r in rows if r["name"] in own and (x := ratio(r, HAKMEM, names, "score")) is not None]
        means[name] = {"mean": geometric_mean(list(own.values())), "rows": len(own), "hakmem": geometric_mean(hakmem)}
    return means


def pair_ratio(rows, name, other, figure):
    """(geometric mean of name ÷ other, number of rows) over the rows that both finished."""
    pairs = [(value(r, name, figure), value(r, other, figure)) for r in rows]
    quotients = [a / b for a, b in pairs if a is not None and b]
    return geometric_mean(quotients), len(quotients)


def leanest_of(rows, names):
    """The peer, glibc aside, with the lowest mean of peak memory ÷ the row's leanest; None without such a peer."""
    rivals = [n for n in peers_of(names) if n != GLIBC]
    means = {}
    for name in rivals:
        quotients = [value(r, name, "peak_kib") / best(r, rivals, "peak_kib") for r in rows
                     if value(r, name, "peak_kib") is not None]
        if quotients:
            means[name] = geometric_mean(quotients)
    return min(means, key=means.get, default=None)


def memory_means(rows, names):
    """(the leanest peer, allocator -> its peak memory ÷ that peer's over the rows that both finished)."""
    leanest = leanest_of(rows, names)
    if leanest is None:
        return None, {n: {"mean": None, "rows": 0} for n in names}
    pairs = {n: pair_ratio(rows, n, leanest, "peak_kib") for n in names}
    return leanest, {n: {"mean": mean, "rows": count} for n, (mean, count) in pairs.items()}


def wins(rows, names):
    """Allocator -> (rows in which it is the fastest, rows in which it is within 5 % of the fastest)."""
    runners = contestants_of(names)
    counts = {n: [0, 0] for n in runners}
    for row in rows:
        fastest = best(row, runners, "score")
        for name in runners:
            own = value(row, name, "score")
            if own is not None:
                counts[name][0] += own == fastest
                counts[name][1] += own <= NEAR * fastest
    return {n: tuple(c) for n, c in counts.items()}


def bounds(rows, names):
    """What hakmem promises: [(claim, figure in words, held: True, False, or None when nothing can be said)]."""
    time = time_means(rows, names).get(HAKMEM, {"mean": None, "rows": 0})
    leanest, memory = memory_means(rows, names)
    own = memory.get(HAKMEM, {"mean": None, "rows": 0})
    judged = [(r["name"], judge(r, names)) for r in rows]
    slow = [name for name, j in judged if "SLOW" in j["flags"]]
    failed = [name for name, j in judged if "FAILED" in j["flags"]]
    counted = [j for _, j in judged if j["time"] is not None]
    return [
        ("geometric mean of time at most that of the imaginary peer that takes the best of every row",
         f"{number(time['mean'])} over {time['rows']} rows", None if time["mean"] is None else time["mean"] <= 1),
        (f"no row above {SLOW_LIMIT} of its best peer",
         f"{len(slow)} of {len(counted)} rows" + listed(slow, most=6), not slow if counted else None),
        ("geometric mean of peak memory at most the leanest peer's (glibc aside)",
         f"{number(own['mean'])} of {leanest or 'none'} over {own['rows']} rows",
         None if own["mean"] is None else own["mean"] <= 1),
        ("no row in which hakmem fails", f"{len(failed)} of {len(rows)} rows" + listed(failed, most=6),
         not failed if HAKMEM in names and rows else None),
    ]


def group_bounds(rows, names):
    """The bounds on groups of rows, as far as there are such rows, in the form of bounds()."""
    found = []
    for claim, pattern, most, rival in GROUPS:
        rivals = [rival] if rival else peers_of(names)
        ratios = {r["name"]: value(r, HAKMEM, "score") / unit for r in rows if pattern.search(r["name"])
                  and value(r, HAKMEM, "score") is not None and (unit := best(r, rivals, "score"))}
        behind = [f"{name} {x:.2f}" for name, x in ratios.items() if x > most]
        if ratios:
            found.append((claim, f"{len(behind)} of {len(ratios)} rows above {most}" + listed(behind, most=6), not behind))
    return found


def latency_groups(row):
    """(phase, call) -> allocator -> line of percentiles, in the order of the program; {} for no row."""
    groups = {}
    for name, cell in row["cells"].items() if row else ():
        for line in cell["lines"] if cell["status"] == "ok" else ():
            groups.setdefault((line["phase"], line["call"]), {})[name] = line
    return groups


def latency_bounds(row, names):
    """The bounds on single calls, in the form of bounds(). The longest call of all rounds is judged where the kernel did
    not switch the thread away: what it does with a processor meanwhile is nobody's latency."""
    groups = {key: lines for key, lines in latency_groups(row).items() if key[1] in ("malloc", "free") and HAKMEM in lines}
    behind, long = [], []
    for (phase, call), lines in groups.items():
        own = lines[HAKMEM]
        rivals = [(lines[n]["p9999"], n) for n in peers_of(names) if n in lines]
        if rivals and own["p9999"] > min(rivals)[0]:
            behind.append(f"{call} {phase} {own['p9999']:.0f} ns, {min(rivals)[1]} {min(rivals)[0]:.0f} ns")
        if (own.get("quiet_worst") or 0) >= LONGEST_NS:
            long.append(f"{call} {phase} {own['quiet_worst'] / 1e6:.1f} ms")
    quiet = bool(groups) and all(lines[HAKMEM].get("quiet_worst") is not None for lines in groups.values())
    known = bool(groups) and all(set(lines) & set(peers_of(names)) for lines in groups.values())
    return [
        ("p99.99 of malloc and of free at most the best peer's in every phase",
         f"{len(behind)} of {len(groups)} behind" + listed(behind), not behind if known else None),
        ("no call of 1 ms while the thread has the processor",
         f"{len(long)} of {len(groups)} phases and calls" + listed(long), False if long else True if quiet else None),
    ] if row else []


def number(mean):
    return "-" if mean is None else f"{mean:.3f}"


def listed(words, most=None):
    """": a, b, c", with `most` the first so many of them; "" for none."""
    shown = words[:most]
    rest = f" and {len(words) - len(shown)} more" if len(words) > len(shown) else ""
    return ": " + ", ".join(shown) + rest if words else ""


# ---- many threads ------------------------------------------------------------------------------

def is_same_work(members):
    """True when rows differ in their number of threads alone, so that their wall times can be compared. A rate is one
    anyway."""
    if all(row["score"] == "rate" for _, row in members):
        return True
    counts = [str(threads) for threads, _ in members]
    if len({len(row["command"]) for _, row in members}) > 1:
        return False
    return all(len(set(words)) == 1 or list(words) == counts for words in zip(*(row["command"] for _, row in members)))


def works(threads, row):
    return threads if row.get("per_thread") else 1


def thread_series(rows, names, pattern):
    """stem -> allocator -> [(threads, work per second)], of the rows that differ in their number of threads alone.
    `pattern` has two groups, the stem and the number. The work is an operation where the score is a rate (then it
    is per nanosecond), else the whole row's, or one thread's where each has as much."""
    found = {}
    for row in rows:
        match = pattern.match(row["name"])
        if match:
            found.setdefault(match.group(1), []).append((int(match.group(2)), row))
    series = {}
    for stem, members in found.items():
        if len(members) > 1 and is_same_work(members):
            members.sort(key=lambda m: m[0])
            series[stem] = {n: [(t, works(t, r) / v) for t, r in members if (v := value(r, n, "score"))] for n in names}
    return series
