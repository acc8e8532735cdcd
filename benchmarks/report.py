"""Turns measurements into ratios, and ratios into a table, a page and a chart."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from chart import draw
from contestants import LOCATIONS, REFERENCE
from generating import EMPTY, OURS
from rich.console import Console
from rich.table import Column, Table

HERE = Path(__file__).parent
PLACES = ("header", "cookie", "query")
PARTS = 5  # of a run, whose ratios are compared: its spread
WITH_SETTINGS = "bare with settings"
# The rows of the README and of the chart: the default, the usual ways, the best and the worst peer.
SHOWN = [
    REFERENCE,
    "ours: header, whole_app",
    "tutorial: header, app",
    "fastapi-key-auth: middleware",
    "keyshield: default",
]
# For each part of a report: what its figures are compared with.
REFERENCES = {
    "CPU in process": REFERENCE,
    "Many keys": "1 key",
    "Over a socket": REFERENCE,
    "Memory": REFERENCE,
    "Start-up": WITH_SETTINGS,
    "Generation": EMPTY,
}
UNITS = {"requests/s": ("", 1), "idle": (" MB", 1e-6), "peak": (" MB", 1e-6)}
UNITS |= {"start-up": (" ms", 1e3), "generation": (" ms", 1e3)}
MICROSECONDS = (" µs", 1e6)
HEADINGS = {
    "key": "with a key",
    "public": "public endpoint",
    "keyless": "refused: no key",
    "wrong key": "refused: wrong key",
    "upload": "refused: no key, 1 MiB of JSON",
    "peak": "during the upload",
}
ABOUT = {
    "CPU in process": "CPU time of a request to the application, called without a server. The"
    " bare application gets the same request, without the large body.",
    "Many keys": "CPU time of a request with a key, by the number of configured keys.",
    "Over a socket": "uvicorn with uvloop and httptools on a core of its own, 16 connections.",
    "Memory": "Resident memory: idle, and the peak during an upload of 60 MB of JSON with no key.",
    "Start-up": "From the start of the process to its first response.",
    "Generation": "From the start of cookiecutter to its end.",
}

CHECK_ALONE = (
    "CPU time in process, as a ratio to the same service without its check. That service redacts"
    " keys in URLs, adds a request ID to the response and to log lines, and limits headers and"
    " bodies. Bare FastAPI does not."
)

Pair = tuple[float, float]  # a value, and what the reference took beside it
Summary = dict[str, Any]


def summarise(pairs: list[Pair], best: Callable[..., float] = min) -> Summary:
    """Return a figure as a ratio to its reference, of minima and of medians, and its spread.

    The spread is the lowest and the highest ratio of minima in the parts of the run; that of the
    whole run lies between them, since no part has a smaller minimum. Where more is better, `best`
    is the maximum.
    """

    def ratio(some: list[Pair]) -> float:
        return best(value for value, _ in some) / best(other for _, other in some)

    size = -(-len(pairs) // PARTS)
    ratios = [ratio(pairs[start : start + size]) for start in range(0, len(pairs), size)]
    return {
        "best": best(value for value, _ in pairs),
        "median": median(value for value, _ in pairs),
        "ratio": ratio(pairs),
        "median ratio": median(value / other for value, other in pairs),
        "spread": [min(ratios), max(ratios)],
    }


def summaries(results: dict[str, Any]) -> dict[str, dict[str, dict[str, Summary]]]:
    """Return part → figure → contestant → summary."""
    return {
        title: {
            figure: {
                name: summarise(pairs, max if figure == "requests/s" else min)
                for name, pairs in measured.items()
                if None not in pairs
            }
            for figure, measured in part["figures"].items()
        }
        for title, part in results["parts"].items()
    }


def to_tutorial(passed: dict[str, Summary]) -> float:
    """Return the worst of the ratios of a protected endpoint here to one of the tutorial."""
    pairs = {f"ours: {place}, endpoints": f"tutorial: {place}, endpoint" for place in PLACES}
    pairs["ours: fallback, endpoints"] = "tutorial: three schemes, endpoint"
    return max(float(passed[ours]["ratio"] / passed[name]["ratio"]) for ours, name in pairs.items())


def targets(summed: dict[str, dict[str, dict[str, Summary]]]) -> list[tuple[str, float, float]]:
    """Return what this project promises itself: the promise, its limit, and what was measured."""
    cpu, passed = summed["CPU in process"], summed["CPU in process"]["key"]

    def worst(figures: dict[str, Summary], *words: str) -> float:
        chosen = [name for name in figures if "ours" in name and all(w in name for w in words)]
        return max(float(figures[name]["ratio"]) for name in chosen)

    return [
        (
            "`whole_app`, one location, vs. bare",
            1.10,
            max(worst(passed, place, "whole_app") for place in PLACES),
        ),
        ("`whole_app`, `fallback`, vs. bare", 1.20, worst(passed, "fallback", "whole_app")),
        ("`endpoints`, protected, vs. the tutorial", 1.00, to_tutorial(passed)),
        ("`endpoints`, public, vs. bare", 1.03, worst(cpu["public"], "endpoints")),
        ("`whole_app`, refusal, vs. a bare 200", 0.60, worst(cpu["keyless"], "whole_app")),
        (
            "`whole_app`, refusal of 1 MiB, vs. the tutorial",
            0.20,
            worst(cpu["upload"], "whole_app") / cpu["upload"]["tutorial: header, app"]["ratio"],
        ),
        (
            "keys in a database vs. in settings",
            1.05,
            passed["ours: header, database"]["ratio"] / passed["ours: header, whole_app"]["ratio"],
        ),
        ("100 000 keys vs. one key", 1.02, summed["Many keys"]["key"]["100000 keys"]["ratio"]),
        ("start-up vs. bare with settings", 1.15, worst(summed["Start-up"]["start-up"])),
        (
            "generation vs. an empty template",
            1.60,
            summed["Generation"]["generation"][OURS]["ratio"],
        ),
    ]


def kept(limit: float, value: float) -> bool:
    """Tell whether a promise is kept, to the digits that are shown."""
    return round(value, 2) <= limit


def check_alone(cpu: dict[str, dict[str, Summary]]) -> list[list[str]]:
    """Return what the check adds to the service around it: for each location, three ratios."""
    lines = []
    for place in LOCATIONS:
        compared = [("key", "whole_app"), ("key", "endpoints"), ("public", "endpoints")]
        ratios = [
            cpu[kind][f"ours: {place}, {protection}"]["ratio"]
            / cpu[kind][f"ours: {place}, without the check"]["ratio"]
            for kind, protection in compared
        ]
        lines.append([place, *(f"{ratio:.2f}" for ratio in ratios)])
    return lines


def digits(ratio: float) -> str:
    """Return a ratio with as many digits as tell something."""
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:.0f}"


def cell(summary: Summary | None) -> str:
    """Return a ratio with its spread, as both tables show it."""
    if summary is None:
        return "-"
    low, high = map(digits, summary["spread"])
    return f"{digits(summary['ratio'])} ({low} to {high})"


def rows(figures: dict[str, dict[str, Summary]]) -> list[list[str]]:
    """Return the lines of a table: a contestant and its figures."""
    names = list(dict.fromkeys(name for measured in figures.values() for name in measured))
    return [[name, *(cell(measured.get(name)) for measured in figures.values())] for name in names]


def markdown_table(heads: list[str], lines: list[list[str]]) -> str:
    """Return a table of Markdown."""
    ruler = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ruler, *lines])


def absolute(title: str, figures: dict[str, dict[str, Summary]]) -> str:
    """Return what 1.00 stands for."""
    told = []
    for figure, measured in figures.items():
        if REFERENCES[title] in measured:
            unit, factor = UNITS.get(figure, MICROSECONDS)
            best, middle = (measured[REFERENCES[title]][of] * factor for of in ("best", "median"))
            numbers = f"{best:_.0f}{unit}, median {middle:_.0f}{unit}".replace("_", " ")
            told.append(f"{HEADINGS.get(figure, figure)} {numbers}")
    return f"1.00 is {REFERENCES[title]}: " + "; ".join(told) + "."


def page(results: dict[str, Any], summed: dict[str, dict[str, dict[str, Summary]]]) -> str:
    """Return `RESULTS.md`."""
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    text = ["# The cost of protection", (HERE / "about.md").read_text().strip()]
    text.append(f"Measured on {results['date']}: {facts}.")
    promises = [
        [promise, f"≤ {limit:.2f}", f"{value:.2f}", "met" if kept(limit, value) else "missed"]
        for promise, limit, value in targets(summed)
    ]
    text += ["## Targets", markdown_table(["promise", "limit", "measured", ""], promises)]
    heads = ["", "`whole_app`", "`endpoints`, protected", "`endpoints`, public"]
    text += ["## The check alone", CHECK_ALONE]
    text.append(markdown_table(heads, check_alone(summed["CPU in process"])))
    for title, figures in summed.items():
        heads = ["", *(HEADINGS.get(figure, figure) for figure in figures)]
        text += [f"## {title}", f"{ABOUT[title]} {absolute(title, figures)}"]
        text.append(markdown_table(heads, rows(figures)))
    for name, reason in results["parts"]["CPU in process"]["missing"].items():
        text.append(f"{name} does not run with these versions: {reason}")
    return "\n\n".join(text) + "\n"


def show(summed: dict[str, dict[str, dict[str, Summary]]]) -> None:
    """Print the tables on the terminal."""
    console = Console()
    for title, figures in summed.items():
        heads = [HEADINGS.get(name, name) for name in figures]
        table = Table(Column(no_wrap=True), *heads, title=title)
        for line in rows(figures):
            table.add_row(*line)
        console.print(table)
    for promise, limit, value in targets(summed):
        mark = "[green]met[/]" if kept(limit, value) else "[red]missed[/]"
        console.print(f"{promise}: {value:.2f}, at most {limit:.2f}: {mark}")


def write_reports(results: dict[str, Any], folder: Path) -> None:
    """Write `results.json`, `RESULTS.md` and `chart.svg`, and print the tables."""
    summed = summaries(results)
    status = results["parts"]["CPU in process"]["status"]
    facts = {name: results[name] for name in ("date", "quick", "machine")}
    told = {**facts, "statuses": status, "figures": summed}
    (folder / "results.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(results, summed), encoding="utf-8")
    passed = summed["CPU in process"]["key"]
    ratios = {name: passed[name]["ratio"] for name in SHOWN if name in passed}
    (folder / "chart.svg").write_text(draw(ratios), encoding="utf-8")
    show(summed)
