"""page.py - the comparison as one HTML file that needs nothing else: figures, charts, machine, all tables.

Uses:    charts.py, and page.css, which is copied into the page; aggregate.py, report.py.
Callers: compare.py.

Where matplotlib is missing the page has tables only, and says so; the functions then return the reason.
"""

import html
import json
import pathlib

import aggregate
import report
from aggregate import FAT_LIMIT, FLOOR, GLIBC, HAKMEM, SLOW_LIMIT

WARNING_COLOURS = ("#b3261e", "#ff8a80")
ABOUT = {
    "means": ("Geometric means", "Over all workloads. Time is divided by that of an imaginary peer that takes the best of every row, memory by "
              "that of the leanest peer. Lower is better; the line at 1 is to be beaten."),
    "time": ("Time, workload by workload", "Each line is a workload, each mark an allocator: its median time divided by the best peer's. "
             "Point at a mark for its figures."),
    "memory": ("Peak memory, workload by workload", "The same for the peak resident memory of the process (of its largest, where a workload "
               "starts several)."),
    "threads": ("Throughput against threads", "Workloads that differ only in their number of threads. Higher is better; beyond the number of "
                "cores a flat line is the ideal."),
    "latency": ("Latency of single calls", "Percentiles of the time of one malloc and one free, on a logarithmic axis. The maximum "
                "leaves out stretches in which the kernel took the processor away; the tables have the whole one, too."),
}


def load_charts():
    """(module, None) or (None, why there are no charts)."""
    try:
        import charts
        return charts, None
    except ImportError as error:
        return None, f"{error}: apt-get install python3-matplotlib, and use /usr/bin/python3"


def write_charts(document, rows, names, latency, folder):
    """Each chart as an SVG file. None, or why there are none."""
    charts, complaint = load_charts()
    if charts is not None:
        target = pathlib.Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for key, svg in charts.draw(rows, names, latency, in_page=False).items():
            (target / f"{key}.svg").write_text(svg)
    return complaint


def write(document, rows, names, latency, path):
    """The page. None, or why it is without charts."""
    charts, complaint = load_charts()
    mark = mark_maker(charts, names)
    drawn = charts.draw(rows, names, latency, in_page=True) if charts else {}
    pieces = [*opening(document, rows, names, latency), navigation(drawn, latency), f'<div class="legend">{"".join(f"<span>{mark(n)}</span>" for n in names)}</div>']
    if complaint:
        pieces.append(f'<p class="soft">This page has no charts: {escape(complaint)}.</p>')
    for key, svg in drawn.items():
        title, words = ABOUT[key]
        pieces += [f'<h2 id="{key}">{title}</h2><p class="soft">{words}</p>', f"<figure>{svg}</figure>"]
    pieces += [summary_table(rows, names, mark), times_table(rows, names, mark), memory_table(rows, names, mark)]
    pieces += [latency_tables(latency, names), failures_table(document), details_section(rows), method(document)]
    head = (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>hakmem beside its peers</title><style>{colours(charts, names)}{style_sheet()}</style></head><body><main>")
    pathlib.Path(path).write_text(head + "\n".join(pieces) + "</main></body></html>\n")
    return complaint


# ---- pieces --------------------------------------------------------------------------------------


def escape(text):
    return html.escape(str(text))


def style_sheet():
    return pathlib.Path(__file__).with_name("page.css").read_text()


def colours(charts, names):
    """CSS variables for both themes. Without charts the few that the page itself needs."""
    pairs = {"--warn": WARNING_COLOURS, "--mine": ("#0060a8", "#58b4ff")}
    if charts:
        looks = charts.Looks(names)
        pairs.update({looks.variable(role): looks.pair(role) for role in looks.roles})
    else:
        pairs.update({"--ink": ("#1b1f24", "#e6e8eb"), "--soft": ("#5c6470", "#9aa3af"), "--line": ("#c9ced6", "#474e58"),
                      "--band": ("#f3f5f8", "#1d2229"), "--paper": ("#ffffff", "#14181d")})
    light, dark = ("".join(f"{key}:{pair[i]};" for key, pair in pairs.items()) for i in (0, 1))
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"


def mark_maker(charts, names):
    """A function from an allocator's name to its heading: with its mark where charts use it."""
    looks = charts.Looks(names) if charts else None
    return lambda name: (charts.legend_mark(looks, name) if charts else "") + escape(name)


def class_of(name, *more):
    kinds = [{HAKMEM: "mine", FLOOR: "floor"}.get(name, ""), *more]
    return f' class="{" ".join(k for k in kinds if k)}"' if any(kinds) else ""


def table(heads, rows, tall=False):
    """heads and cells are ready HTML: <th ...> and <td ...> elements."""
    body = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
    return f'<div class="scroll{" tall" if tall else ""}"><table><thead><tr>{"".join(heads)}</tr></thead><tbody>{body}</tbody></table></div>'


def td(text, *classes):
    kinds = " ".join(c for c in classes if c)
    return f'<td class="{kinds}">{escape(text)}</td>' if kinds else f"<td>{escape(text)}</td>"


def th(text, *classes):
    return td(text, *classes).replace("<td", "<th").replace("</td>", "</th>")


def allocator_heads(names, mark):
    return [f"<th{class_of(n)}>{mark(n)}</th>" for n in names]


# ---- the sections --------------------------------------------------------------------------------


def opening(document, rows, names, latency):
    machine = document["machine"]
    yield f'<h1>hakmem beside its peers</h1><p class="soft">{escape(report.machine_text(machine))}; {escape(machine["date"])}.'
    yield f'Medians of {document["rounds"]} interleaved rounds of {len(rows)} workloads.'
    if document["rounds"] < 5:
        yield "<b>Five rounds are needed for a figure: this is a trial run.</b>"
    if not document["finished"]:
        yield "<b>The run was interrupted: some workloads are not here.</b>"
    yield "</p>"
    yield '<div class="cards">' + "".join(map(card, report.all_bounds(rows, names, latency))) + "</div>"
    yield '<p class="soft small">' + " ".join(escape(a) for a in versions(document)) + "</p>"


def navigation(drawn, latency):
    targets = {**{key: ABOUT[key][0] for key in drawn}, "summary": "All rows together", "times": "Times", "peaks": "Peaks"}
    if latency is not None:
        targets["calls"] = "Latency, table"
    targets.update({"details": "Every figure", "method": "How it was measured"})
    return "<nav>" + "".join(f'<a href="#{key}">{title}</a>' for key, title in targets.items()) + "</nav>"


def versions(document):
    listed = [f"{name}: {a['version']}" for name, a in document["allocators"].items()]
    return ["; ".join(listed) + "."]


def card(bound):
    claim, figure, held = bound
    kind, word = {True: ("holds", "holds"), False: ("missed", "missed"), None: ("", "not known")}[held]
    first, _, rest = figure.partition(" ")
    return (f'<div class="card {kind}"><b>{escape(first)}</b><em>{word}</em> '
            f'<span>{escape(claim)}</span><span>{escape(rest)}</span></div>')


def summary_table(rows, names, mark):
    leanest, cells = report.summary_cells(rows, names)
    heads = ["<th>allocator</th>", *(th(h) for h in report.SUMMARY_HEADS)]
    body = [[f"<td{class_of(n)}>{mark(n)}</td>", *(td(c, "mine" if n == HAKMEM else "") for c in line)] for n, line in cells.items()]
    return ('<h2 id="summary">All rows together</h2><p class="soft">Time: geometric mean ÷ the imaginary peer that takes the best of every '
            "row; the rows that an allocator failed are left out, and “hakmem there” is hakmem on the same rows. Memory: peak ÷ that of "
            f"{escape(leanest or 'nobody')}, the leanest peer, on the rows that both finished; {GLIBC} is shown and does not count there. "
            f"{FLOOR} never frees: it shows what is left to win and is no peer.</p>" + table(heads, body))


def figure_cell(row, name, names, figure, text):
    cell = row["cells"].get(name)
    if not report.is_whole(cell):
        return td(report.short(cell["status"]) if cell else "", "bad")
    is_best = name != FLOOR and cell[figure] == aggregate.best(row, aggregate.contestants_of(names), figure)
    return f"<td{class_of(name, 'best' if is_best else '')}>{escape(text(cell))}</td>"


def times_table(rows, names, mark):
    def line(row):
        base, judged = aggregate.base(row, names, "score"), aggregate.judge(row, names)
        cells = [figure_cell(row, n, names, "score", lambda c: f"{c['score'] / base:.2f}") for n in names]
        return [td(row["name"]), td(report.score_text(row, base)), *cells, td(" ".join(judged["flags"]), "bad")]
    heads = [th("workload"), th("best peer"), *allocator_heads(names, mark), th("")]
    return (f'<h2 id="times">Time ÷ best peer</h2><p class="soft">The fastest is underlined. SLOW: hakmem above {SLOW_LIMIT} of its best peer; '
            f"FAT: its memory above {FAT_LIMIT} of the leanest.</p>" + table(heads, map(line, rows), tall=True))


def memory_table(rows, names, mark):
    def line(row):
        return [td(row["name"]), *(figure_cell(row, n, names, "peak_kib", lambda c: report.mib_text(c["peak_kib"])) for n in names)]
    heads = [th("workload"), *allocator_heads(names, mark)]
    return '<h2 id="peaks">Peak memory, MiB</h2>' + table(heads, map(line, rows), tall=True)


def latency_tables(latency, names):
    if latency is None:
        return ""
    pieces = ['<h2 id="calls">Latency, ns</h2><p class="soft">Medians of the rounds; the last column is the worst of all rounds. '
              "“nothing” is the timer's own window.</p>"]
    for (phase, call), lines in aggregate.latency_groups(latency).items():
        heads = [th(f"{call}, {phase}"), *(th(head) for _, head in report.LATENCY_COLUMNS)]
        body = [[f"<td{class_of(n)}>{escape(n)}</td>", *(td(report.nanoseconds(x.get(k)), "mine" if n == HAKMEM else "")
                                                        for k, _ in report.LATENCY_COLUMNS)] for n, x in lines.items()]
        pieces.append(f"<details><summary>{call}, {phase}</summary>{table(heads, body)}</details>")
    return "\n".join(pieces)


def failures_table(document):
    bad = [[td(row["name"]), td(name, "text"), td(report.words_of(cell), "text", "bad"), td(report.complaint_of(cell), "text")]
           for row in document["rows"] for name, cell in row["cells"].items() if not report.is_whole(cell)]
    if not bad:
        return ""
    heads = [th("workload"), th("allocator", "text"), th("what happened", "text"), th("what it said", "text")]
    return '<h2 id="failures">What failed</h2>' + table(heads, bad)


DETAILS = (("median", lambda c: f"{c['score']:.4g}"), ("least", lambda c: f"{min(s['score'] for s in c['samples']):.4g}"),
           ("most", lambda c: f"{max(s['score'] for s in c['samples']):.4g}"), ("wall, s", lambda c: f"{c['wall']:.3f}"),
           ("user, s", lambda c: f"{c['user']:.3f}"), ("system, s", lambda c: f"{c['sys']:.3f}"),
           ("peak, MiB", lambda c: report.mib_text(c["peak_kib"])), ("minor faults", lambda c: f"{c['minor_faults']:.0f}"),
           ("major faults", lambda c: f"{c['major_faults']:.0f}"), ("waits", lambda c: f"{c['waits']:.0f}"),
           ("preemptions", lambda c: f"{c['preemptions']:.0f}"))


def details_section(rows):
    pieces = ['<h2 id="details">Every figure</h2><p class="soft">Median, least and most of the rounds, in the unit of the row; the other '
              "columns are medians. User and system time are those of all threads and children.</p>"]
    for row in rows:
        heads = [th(f"{row['name']}, {report.unit_of(row)}"), *(th(h) for h, _ in DETAILS)]
        body = [[f"<td{class_of(n)}>{escape(n)}</td>", *(td(text(c), "mine" if n == HAKMEM else "") for _, text in DETAILS)]
                for n, c in row["cells"].items() if report.is_whole(c)]
        command = escape(" ".join(row["command"]))
        pieces.append(f'<details><summary>{escape(row["name"])} <span class="soft small">{command}</span></summary>{table(heads, body)}</details>')
    return "\n".join(pieces)


def method(document):
    machine = document["machine"]
    listed = {"Machine": report.machine_text(machine), "Processor": f"{machine['cpu']}, family {machine['family']}",
              "Compiler of the workloads": machine["compiler"], "Date": machine["date"],
              "Load before": machine["load_before"], "Rounds": document["rounds"],
              "Set in the environment": json.dumps(machine["environment"]) if machine["environment"] else "nothing that tunes an allocator"}
    terms = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in listed.items())
    peers = "".join(f"<dt>{escape(n)}</dt><dd>{escape(a['version'])}</dd>" for n, a in document["allocators"].items())
    return ('<h2 id="method">How it was measured</h2><p>Every workload ran under every allocator, preloaded into the same program, in '
            "interleaved rounds, each of which has another order; a figure is the median. The launcher proves that the "
            f"library was in the process. <code>make bench</code> repeats it.</p><dl>{terms}</dl><h2>Versions</h2><dl>{peers}</dl>")
