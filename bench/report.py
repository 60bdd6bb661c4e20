"""report.py - the comparison as text: a row as it is measured, the closing tables, Markdown for the documents.

Uses:    aggregate.py.
Callers: compare.py; page.py for the words of failed cells.
"""

import re

import aggregate
from aggregate import FAT_LIMIT, FLOOR, GLIBC, HAKMEM, SLOW_LIMIT

BEST_WIDTH = 11
CELL_WIDTH = 9
RATIO_WIDTH = 8


# ---- small words -------------------------------------------------------------------------------


def is_whole(cell):
    return cell is not None and cell["status"] == "ok"


def words_of(cell):
    """What went wrong in a cell: "SIGSEGV in 5 of 5 runs"."""
    if cell["status"] == "missing":
        return "the program is missing"
    return f"{cell['status']} in {cell['bad']} of {cell['runs']} runs"


def short(status):
    """The same in CELL_WIDTH - 1 letters: SIGSEGV becomes SEGV."""
    return status.removeprefix("SIG").replace("not loaded", "noload")[: CELL_WIDTH - 1]


def complaint_of(cell):
    """The last line that the first bad run wrote to standard error."""
    bad = [s for s in cell["samples"] if s["status"] != "ok"]
    lines = bad[0].get("stderr", "").strip().splitlines() if bad else []
    return lines[-1] if lines else ""


def ratio_text(ratio, digits=2):
    return "-" if ratio is None else f"{ratio:.{digits}f}"


def unit_of(row):
    return "ns/op" if row["score"] == "rate" else "s"


def score_text(row, score):
    return "-" if score is None else f"{score:.3g} {unit_of(row)}"


def mib_text(kib):
    return "-" if kib is None else f"{kib / 1024:.1f}"


def cell_text(row, name, text):
    """text(figures) of a cell that is whole, else why it is not."""
    cell = row["cells"].get(name)
    return text(cell) if is_whole(cell) else short(cell["status"]) if cell else ""


def machine_text(machine):
    virtual = "virtual machine, " if machine.get("virtual") else ""
    return (f"{virtual}{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
            f"{machine['system']}, {machine['libc']}, transparent huge pages: {machine['huge_pages']}")


# ---- rows, as they come ------------------------------------------------------------------------


class Table:
    """The table of times on the terminal, one line a row, with what failed below it."""

    def __init__(self, names, rows_to_come):
        self.names = names
        self.width = 2 + max([len("workload"), *(len(name) for name in rows_to_come)])

    def head(self):
        heads = "".join(f"{n[:CELL_WIDTH - 1]:>{CELL_WIDTH}}" for n in self.names)
        wide = CELL_WIDTH * len(self.names)
        first = f"{'':{self.width + BEST_WIDTH}}{'time ÷ best peer of the row':<{wide}}{'hakmem÷':>{RATIO_WIDTH}}"
        second = f"{'workload':<{self.width}}{'best peer':>{BEST_WIDTH}}{heads}{'fastest':>{RATIO_WIDTH}}"
        return (f"{first}  {'leanest':>{CELL_WIDTH}}{'hakmem÷':>{RATIO_WIDTH}}\n"
                f"{second}  {'peer, MiB':>{CELL_WIDTH}}{'leanest':>{RATIO_WIDTH}}")

    def row(self, row):
        base = aggregate.base(row, self.names, "score")
        line = f"{row['name']:<{self.width}}{score_text(row, base):>{BEST_WIDTH}}"
        for name in self.names:
            line += cell_text(row, name, lambda c: f"{c['score'] / base:.2f}").rjust(CELL_WIDTH)
        judged = aggregate.judge(row, self.names)
        leanest = aggregate.best(row, aggregate.peers_of(self.names), "peak_kib")
        line += f"{ratio_text(judged['time']):>{RATIO_WIDTH}}  {mib_text(leanest):>{CELL_WIDTH}}"
        line += f"{ratio_text(judged['memory']):>{RATIO_WIDTH}}" + "".join(f"  {f}" for f in judged["flags"])
        return "\n".join([line, *failure_lines(row)])

    def memory(self, rows):
        """Peak memory of all rows: it has a table of its own since both would not fit on a line."""
        heads = "".join(f"{n[:CELL_WIDTH - 1]:>{CELL_WIDTH}}" for n in self.names)
        yield f"\n{'peak memory, MiB':<{self.width}}{heads}"
        for row in rows:
            cells = (cell_text(row, n, lambda c: mib_text(c["peak_kib"])).rjust(CELL_WIDTH) for n in self.names)
            yield f"{row['name']:<{self.width}}" + "".join(cells)


def failure_lines(row):
    """What failed in a row; a program that is missing is told once."""
    if aggregate.is_missing(row):
        return ["    " + complaint_of(next(iter(row["cells"].values())))]
    return [f"    {name}: {words_of(cell)}" + (f": {said}" if (said := complaint_of(cell)) else "")
            for name, cell in row["cells"].items() if not is_whole(cell)]


def detail_lines(row):
    for name, c in row["cells"].items():
        if is_whole(c):
            scores = [s["score"] for s in c["samples"]]
            yield (f"    {name:<{CELL_WIDTH}} {c['score']:8.3f} {unit_of(row)} ({min(scores):.3f} to {max(scores):.3f})   "
                   f"wall {c['wall']:.3f} s, user {c['user']:.3f} s, sys {c['sys']:.3f} s, peak {mib_text(c['peak_kib'])} MiB, "
                   f"faults {c['minor_faults']:.0f} + {c['major_faults']:.0f}, switches {c['waits']:.0f} + {c['preemptions']:.0f}")


# ---- latency -----------------------------------------------------------------------------------


def nanoseconds(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value < 1e4 else f"{value / 1e3:.0f} µs" if value < 1e6 else f"{value / 1e6:.1f} ms"


LATENCY_COLUMNS = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("p9999", "p99.99"), ("quiet_max", "max, quiet"),
                   ("quiet_worst", "worst, quiet"), ("max", "max"), ("worst", "worst max"))


def latency_text(row):
    if row is None:
        return
    yield "\nlatency of single calls, ns, medians of the rounds"
    yield from failure_lines(row)
    for (phase, call), lines in aggregate.latency_groups(row).items():
        yield f"{phase + ', ' + call:<20}" + "".join(f"{head:>12}" for _, head in LATENCY_COLUMNS)
        for name, line in lines.items():
            yield f"    {name:<16}" + "".join(f"{nanoseconds(line.get(key)):>12}" for key, _ in LATENCY_COLUMNS)


# ---- the closing figures -----------------------------------------------------------------------


def summary_cells(rows, names):
    """Allocator -> the six figures of the closing table, as text; shared by the terminal, Markdown and the page."""
    time = aggregate.time_means(rows, names)
    leanest, memory = aggregate.memory_means(rows, names)
    won = aggregate.wins(rows, names)
    table = {}
    for name in names:
        counts = won.get(name)
        table[name] = (ratio_text(time[name]["mean"], 3), str(time[name]["rows"]), ratio_text(time[name]["hakmem"], 3),
                       ratio_text(memory[name]["mean"], 3), str(counts[0]) if counts else "-", str(counts[1]) if counts else "-")
    return leanest, table


SUMMARY_HEADS = ("time", "rows", "hakmem there", "memory", "won", "within 5 %")


def summary_text(rows, names):
    leanest, table = summary_cells(rows, names)
    yield ("\ntime: geometric mean ÷ the imaginary peer that takes the best of every row; an allocator's failed rows are left\n"
           f"out, and 'hakmem there' is hakmem on the same rows. memory: peak ÷ that of {leanest or 'nobody'}, the leanest peer"
           f"\n({GLIBC} aside), on the rows that both finished. {FLOOR} never frees and is no peer.")
    yield f"{'':14}" + "".join(f"{h:>14}" for h in SUMMARY_HEADS)
    for name, cells in table.items():
        yield f"{name:<14}" + "".join(f"{c:>14}" for c in cells)
    yield ""


def all_bounds(rows, names, latency):
    """Those of the rows and those of single calls, as far as there are such."""
    if HAKMEM not in names:
        return []
    of_rows = [*aggregate.bounds(rows, names), *aggregate.group_bounds(rows, names)] if rows else []
    return [*of_rows, *aggregate.latency_bounds(latency, names)]


def bound_lines(rows, names, latency):
    for claim, figure, held in all_bounds(rows, names, latency):
        yield f"{'holds' if held else 'UNKNOWN' if held is None else 'MISSED':<8}{claim}: {figure}"


def flag_lines(rows, names):
    flags = {r["name"]: aggregate.judge(r, names)["flags"] for r in rows}
    for flag, meaning in (("SLOW", f"hakmem's time above {SLOW_LIMIT} of the best peer"),
                          ("FAT", f"hakmem's peak memory above {FAT_LIMIT} of the leanest peer, glibc included"),
                          ("FAILED", "hakmem crashed, hung or was not loaded"), ("MISSING", "the program is not there")):
        hit = [name for name, found in flags.items() if flag in found]
        if hit or flag in ("SLOW", "FAT"):
            yield f"{flag:<8}{meaning}: {len(hit)} of {len(rows)} rows" + aggregate.listed(hit)
    for name in names:
        bad = [f"{r['name']} ({c['status']})" for r in rows if (c := r["cells"].get(name)) and not is_whole(c)
               and not aggregate.is_missing(r)]
        if bad and name != HAKMEM:
            yield f"{name} failed in {len(bad)} rows, left out of its means: " + ", ".join(bad)


# ---- Markdown ----------------------------------------------------------------------------------


def markdown_table(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(re.sub(r"\|", "\\|", c) for c in row) + " |"
    yield ""


def bold_best(row, name, names, text):
    is_best = aggregate.value(row, name, "score") == aggregate.best(row, aggregate.contestants_of(names), "score")
    return f"**{text}**" if is_best and name != FLOOR else text


def markdown(document, rows, names, latency):
    """The tables, for docs/PERFORMANCE.md."""
    def times(row):
        base = aggregate.base(row, names, "score")
        cells = [bold_best(row, n, names, cell_text(row, n, lambda c: f"{c['score'] / base:.2f}")) for n in names]
        return [row["name"], score_text(row, base), *cells]
    yield f"{machine_text(document['machine'])}; {document['machine']['date']}; medians of {document['rounds']} interleaved rounds.\n"
    yield from markdown_table(["allocator", "version"], ([n, a["version"]] for n, a in document["allocators"].items()))
    yield from markdown_table(["", *SUMMARY_HEADS], ([n, *c] for n, c in summary_cells(rows, names)[1].items()))
    yield "Time ÷ best peer of the row:\n"
    yield from markdown_table(["workload", "best peer", *names], map(times, rows))
    yield "Peak memory, MiB:\n"
    yield from markdown_table(["workload", *names], ([r["name"], *(cell_text(r, n, lambda c: mib_text(c["peak_kib"])) for n in names)]
                                                     for r in rows))
    for (phase, call), lines in aggregate.latency_groups(latency).items():
        yield f"Latency of {call}, {phase}, ns:\n"
        yield from markdown_table(["", *(h for _, h in LATENCY_COLUMNS)],
                                  ([n, *(nanoseconds(line.get(k)) for k, _ in LATENCY_COLUMNS)] for n, line in lines.items()))
