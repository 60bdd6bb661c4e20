"""charts.py - the charts of the comparison, as SVG.

Uses:    python3-matplotlib (Debian); aggregate.py, report.py.
Callers: page.py, which does without charts where matplotlib is missing.

Colours: matplotlib draws with placeholder colours, one for each role. In a page they become CSS variables, so that
one drawing serves light and dark; in a file of its own they become the light colours. hakmem is blue; peers have a
colour and a marker each, so that no two differ by colour alone. The colours are Okabe and Ito's and Tol's.
"""

import io
import math
import re

import matplotlib
import matplotlib.ticker
from matplotlib import pyplot
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle

import aggregate
import report
from aggregate import FLOOR, GLIBC, HAKMEM, SLOW_LIMIT

# role: (light, dark)
ROLES = {
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#5c6470", "#9aa3af"),
    "line": ("#c9ced6", "#474e58"),
    "band": ("#f3f5f8", "#1d2229"),
    "paper": ("#ffffff", "#14181d"),
}
HAKMEM_LOOK = (("#0060a8", "#58b4ff"), "D")
FLOOR_LOOK = (("#7a828e", "#8b94a1"), "|")
GLIBC_LOOK = (("#6b6b6b", "#a8a8a8"), "h")
PEER_LOOKS = [
    (("#d55e00", "#ff8c42"), "o"), (("#009e73", "#2fd0a1"), "s"), (("#b8488c", "#ee93c6"), "^"),
    (("#b58900", "#f0c63c"), "v"), (("#44aa99", "#7fd6c8"), "P"), (("#882255", "#d9709f"), "X"),
    (("#7a7a1f", "#c2c25a"), "<"), (("#6a3d9a", "#b79ae0"), ">"), (("#8c564b", "#c99b90"), "p"),
    (("#117733", "#63bf7e"), "d"),
]
THREADS = re.compile(r"^(.*)-T(\d+)$")
WIDTH = 10.6          # inches, of every chart; the page scales them
RATIO_RANGE = (0.5, 4)
ROW_HEIGHT = 0.185

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "hakmem", "font.family": "sans-serif", "font.size": 8.5, "axes.titlesize": 9.5,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7, "figure.autolayout": False,
})


class Looks:
    """Colours and markers of the allocators of one document."""

    def __init__(self, names, in_page=True):
        self.in_page = in_page  # a page has one legend for all its charts
        fixed = {HAKMEM: HAKMEM_LOOK, FLOOR: FLOOR_LOOK, GLIBC: GLIBC_LOOK}
        others = [n for n in names if n not in fixed]
        self.names = names
        self.look = {n: fixed.get(n) or PEER_LOOKS[others.index(n) % len(PEER_LOOKS)] for n in names}
        self.roles = [*ROLES, *names]

    def colour(self, role):
        """The placeholder of a role."""
        return f"#0a00{self.roles.index(role):02x}"

    def pair(self, role):
        return ROLES[role] if role in ROLES else self.look[role][0]

    def variable(self, role):
        return f"--{role}" if role in ROLES else f"--a{self.names.index(role)}"

    def marker(self, name):
        return self.look[name][1]

    def resolve(self, svg, text_of):
        return re.sub(r"#0a00([0-9a-f]{2})", lambda m: text_of(self.roles[int(m.group(1), 16)]), svg)


def emphasis(name):
    """(size of the marker, order of drawing): hakmem is largest and on top."""
    return (6.4, 5) if name == HAKMEM else (4.4, 2) if name == FLOOR else (4.4, 3)


# ---- from a figure to SVG ----------------------------------------------------------------------


def font_words(match):
    """A font in the words of the page, which has other faces than matplotlib."""
    weight = "font-weight: 600; " if match.group(1) else ""
    return f"{weight}font-size: {match.group(2)}; font-family: var(--sans, 'DejaVu Sans', sans-serif)"


def finish(figure, looks, key, tips):
    """SVG text. `tips`: group id -> words that a browser shows under the pointer."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    svg = buffer.getvalue()
    for group, words in tips.items():
        svg = svg.replace(f'<g id="{group}">', f'<g id="{group}"><title>{escape(words)}</title>', 1)
    svg = re.sub(r'\bid="', f'id="{key}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{key}-", svg)
    svg = re.sub(r"font: ((?:bold|[6-9]00) )?[^;\"]*?([\d.]+px) [^;\"]*", font_words, svg)
    if not looks.in_page:
        return looks.resolve(svg, lambda role: looks.pair(role)[0])
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"([^>]*?)width="[^"]*"', r'<svg role="img" \1\2', svg, count=1)
    return looks.resolve(svg, lambda role: f"var({looks.variable(role)})")


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def dress(axes, looks):
    """Axes in the colours of the page."""
    axes.set_facecolor("none")
    for spine in axes.spines.values():
        spine.set_color(looks.colour("line"))
    axes.tick_params(colors=looks.colour("soft"), labelcolor=looks.colour("ink"), which="both", length=3)
    axes.xaxis.label.set_color(looks.colour("soft"))
    axes.yaxis.label.set_color(looks.colour("soft"))
    axes.grid(True, axis="both", color=looks.colour("line"), linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)


def new_figure(looks, height, **options):
    figure, axes = pyplot.subplots(figsize=(WIDTH, height), squeeze=False, **options)
    figure.patch.set_facecolor(looks.colour("paper"))
    for one in axes.flat:
        dress(one, looks)
    return figure, axes


def legend(figure, looks, names, height):
    if looks.in_page:
        return
    handles = [Line2D([], [], linestyle="none", color=looks.colour(n), marker=looks.marker(n), markersize=6, label=n) for n in names]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.01, 1 - 0.04 / height), ncol=min(len(names), 11),
                  frameon=False, labelcolor=looks.colour("ink"), handletextpad=0.1, columnspacing=1.2)


# ---- one mark for each allocator in each row -----------------------------------------------------


def ratio_chart(rows, names, looks, figure_name, text_of, xlabel, limit):
    """A line of marks for each workload: an allocator's figure ÷ the best peer's, on a logarithmic axis. Marks beyond
    its ends stand at the end, hollow."""
    low, high = RATIO_RANGE
    height = 1.2 + ROW_HEIGHT * len(rows)
    figure, grid = new_figure(looks, height)
    axes, tips = grid[0][0], {}
    place_frame(figure, height, left=1.95, right=0.25, top=0.35 if looks.in_page else 0.67, bottom=0.5)
    for y, row in enumerate(rows):
        if y % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color=looks.colour("band"), linewidth=0, zorder=0)
        base = aggregate.base(row, names, figure_name)
        for name in names:
            own = aggregate.value(row, name, figure_name)
            if own is None or not base:
                continue
            size, order = emphasis(name)
            inside = low <= own / base <= high
            group = f"tip-{y}-{names.index(name)}"
            axes.plot([min(max(own / base, low), high)], [y], linestyle="none", marker=looks.marker(name), markersize=size,
                      color=looks.colour(name), markerfacecolor=looks.colour(name) if inside else "none", zorder=order,
                      clip_on=False, gid=group)
            tips[group] = f"{row['name']}, {name}: {own / base:.2f} ({text_of(row, own)})"
    axes.axvline(1, color=looks.colour("ink"), linewidth=1, zorder=1)
    axes.axvline(limit, color=looks.colour("soft"), linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    ratio_axis(axes, low, high, xlabel)
    axes.set_yticks(range(len(rows)), [r["name"] for r in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", top=True, labeltop=True)
    legend(figure, looks, names, height)
    return figure, tips


def place_frame(figure, height, left, right, top, bottom, **options):
    """Margins in inches: a chart of many rows has the same as one of few."""
    figure.subplots_adjust(left=left / WIDTH, right=1 - right / WIDTH, top=1 - top / height, bottom=bottom / height, **options)


def ratio_axis(axes, low, high, xlabel):
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = [t for t in (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 4, 6, 8) if low <= t <= high]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_xlabel(xlabel)


def time_chart(rows, names, latency, looks):
    return ratio_chart(rows, names, looks, "score", report.score_text,
                       f"time ÷ the best peer's; dashed: {SLOW_LIMIT} (left is faster; hollow marks lie beyond the end)", SLOW_LIMIT)


def memory_chart(rows, names, latency, looks):
    return ratio_chart(rows, names, looks, "peak_kib", lambda row, kib: f"{report.mib_text(kib)} MiB",
                       f"peak memory ÷ the leanest peer's; dashed: {aggregate.FAT_LIMIT} (left is leaner; hollow marks lie beyond the end)",
                       aggregate.FAT_LIMIT)


# ---- geometric means -----------------------------------------------------------------------------


def means_chart(rows, names, latency, looks):
    shown = [n for n in names if n != FLOOR]
    leanest, memory = aggregate.memory_means(rows, names)
    time = aggregate.time_means(rows, names)
    height = 1.0 + 0.24 * len(shown)
    figure, grid = new_figure(looks, height, ncols=2)
    place_frame(figure, height, left=1.0, right=0.35, top=0.38, bottom=0.45, wspace=0.28)
    bars(grid[0][0], shown, {n: time[n]["mean"] for n in shown}, looks, "Time", "÷ the best peer of every row")
    bars(grid[0][1], shown, {n: memory[n]["mean"] for n in shown}, looks, "Peak memory", f"÷ {leanest or 'nobody'}, the leanest peer ({GLIBC} aside)")
    return figure, {}


def bars(axes, names, means, looks, title, xlabel):
    known = sorted((n for n in names if means[n] is not None), key=means.get)
    for y, name in enumerate(known):
        mine = name == HAKMEM
        axes.barh(y, means[name], height=0.66, color=looks.colour(name), alpha=1 if mine else 0.55, linewidth=0)
        axes.annotate(f"{means[name]:.3f}", (means[name], y), xytext=(4, 0), textcoords="offset points", va="center", zorder=4,
                      color=looks.colour("ink"), fontweight="bold" if mine else "normal",
                      bbox={"facecolor": looks.colour("paper"), "edgecolor": "none", "pad": 0.8})
    axes.axvline(1, color=looks.colour("ink"), linewidth=1, zorder=3)
    axes.set_yticks(range(len(known)), known)
    axes.set_ylim(len(known) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * max([1, *(means[n] for n in known)]))
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, color=looks.colour("ink"))
    axes.set_xlabel(xlabel)


# ---- threads -------------------------------------------------------------------------------------


def threads_chart(rows, names, latency, looks):
    series = aggregate.thread_series(rows, names, THREADS)
    if not series:
        return None
    columns = min(3, len(series))
    lines = math.ceil(len(series) / columns)
    height = 0.75 + 2.35 * lines
    figure, grid = new_figure(looks, height, nrows=lines, ncols=columns)
    place_frame(figure, height, left=0.55, right=0.2, top=0.35 if looks.in_page else 0.68, bottom=0.48, wspace=0.24, hspace=0.5)
    scores = {r["name"]: r["score"] for r in rows}
    for axes, (stem, by_name) in zip(grid.flat, series.items()):
        rate = any(scores[n] == "rate" for n in scores if n.startswith(stem + "-T"))
        draw_series(axes, by_name, looks, 1e3 if rate else 1)
        axes.set_title(stem, color=looks.colour("ink"))
        axes.set_ylabel("million operations / s" if rate else "runs of the work / s")
    for axes in list(grid.flat)[len(series):]:
        axes.set_visible(False)
    legend(figure, looks, names, height)
    return figure, {}


def draw_series(axes, by_name, looks, scale):
    counts = sorted({t for points in by_name.values() for t, _ in points})
    for name, points in by_name.items():
        if points:
            size, order = emphasis(name)
            axes.plot([t for t, _ in points], [scale * v for _, v in points], color=looks.colour(name), marker=looks.marker(name),
                      markersize=size - 1, linewidth=1.8 if name == HAKMEM else 0.9, zorder=order)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(c) for c in counts])
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threads")


# ---- latency -------------------------------------------------------------------------------------

LATENCY_POINTS = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("p9999", "p99.99"), ("quiet_max", "max"))


def latency_chart(rows, names, latency, looks):
    groups = {k: g for k, g in aggregate.latency_groups(latency).items() if k[1] in ("malloc", "free")}
    if not groups:
        return None
    phases = list(dict.fromkeys(phase for phase, _ in groups))
    height = 0.75 + 2.35 * 2
    figure, grid = new_figure(looks, height, nrows=2, ncols=len(phases), sharey=True)
    place_frame(figure, height, left=0.65, right=0.2, top=0.35 if looks.in_page else 0.68, bottom=0.3, wspace=0.06, hspace=0.32)
    for (phase, call), lines in groups.items():
        axes = grid[("malloc", "free").index(call)][phases.index(phase)]
        for name, line in lines.items():
            size, order = emphasis(name)
            points = [(x, max(line[k], 1)) for x, (k, _) in enumerate(LATENCY_POINTS) if line.get(k) is not None]
            axes.plot([x for x, _ in points], [y for _, y in points], color=looks.colour(name), marker=looks.marker(name),
                      markersize=size - 1, linewidth=1.8 if name == HAKMEM else 0.9, zorder=order)
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axes.set_xticks(range(len(LATENCY_POINTS)), [head for _, head in LATENCY_POINTS])
        axes.set_title(f"{call}, {phase}", color=looks.colour("ink"))
    for line in grid:
        line[0].set_ylabel("ns")
        line[0].yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda v, _: report.nanoseconds(v)))
    legend(figure, looks, names, height)
    return figure, {}


# ---- all of them ---------------------------------------------------------------------------------

CHARTS = {"means": means_chart, "time": time_chart, "memory": memory_chart, "threads": threads_chart, "latency": latency_chart}


def draw(rows, names, latency, in_page):
    """Name -> SVG, of the charts for which there are figures."""
    looks = Looks(names, in_page)
    drawn = {}
    for key, chart in CHARTS.items():
        result = chart(rows, names, latency, looks) if rows or key == "latency" else None
        if result is not None:
            drawn[key] = finish(result[0], looks, key, result[1])
    return drawn


def legend_mark(looks, name):
    """The marker of an allocator as a small SVG, for legends in HTML."""
    style = MarkerStyle(looks.marker(name))
    path = style.get_path().transformed(style.get_transform())
    letters = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}
    words = []
    for points, code in path.iter_segments(curves=True):
        words.append(letters[code] + " ".join(f"{v * f:.2f}" for v, f in zip(points, (9, -9) * 3)) if code != 79 else "Z")
    colour = f"var({looks.variable(name)})"
    return (f'<svg viewBox="-6 -6 12 12" width="13" height="13" aria-hidden="true"><path d="{" ".join(words)}" '
            f'fill="{colour}" stroke="{colour}" stroke-width="1"/></svg>')
