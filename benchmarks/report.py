"""Turns measurements into ratios, and ratios into a table, a page and a chart."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from chart import draw
from contestants import LOCATIONS, REFERENCE, WITH_SETTINGS, WITHOUT_LIMIT
from generating import EMPTY, OURS
from rich.console import Console
from rich.table import Column, Table

HERE = Path(__file__).parent
PARTS = 5  # of a run, whose ratios are compared: its spread
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
    "Rate limit": WITHOUT_LIMIT,
    "Over a socket": REFERENCE,
    "As shipped": REFERENCE,
    "Two processes": REFERENCE,
    "granian": REFERENCE,
    "Memory": REFERENCE,
    "Hostile clients": REFERENCE,
    "A million keys": "PostgreSQL, 1 000 keys",
    "Start-up": WITH_SETTINGS,
    "Generation": EMPTY,
}
UNITS = {"requests/s": ("", 1), "idle": (" MB", 1e-6), "peak": (" MB", 1e-6)}
UNITS |= {"start-up": (" ms", 1e3), "generation": (" ms", 1e3), "flood": (" MB", 1e-6)}
UNITS |= {"slow": (" connections", 1), "list": (" ms", 1e3), "revoke": (" ms", 1e3)}
UNITS |= {"revoke, no such name": (" ms", 1e3), "start-up of a command": (" ms", 1e3)}
MICROSECONDS = (" µs", 1e6)
HEADINGS = {
    "key": "with a key",
    "public": "public endpoint",
    "keyless": "refused: no key",
    "wrong key": "refused: wrong key",
    "upload": "refused: no key, 1 MiB of JSON",
    "peak": "during the upload",
    "flood": "memory during 16 MiB of headers",
    "slow": "of 200 half-sent requests open after 12 s",
    "cold": "request by a cold key",
    "warm": "by a warm key",
    "list": "first page of `keys list`",
    "revoke": "`keys revoke`",
    "revoke, no such name": "of an unknown consumer",
}
ABOUT = {
    "CPU in process": "CPU time of a request to the application, called without a server. The"
    " bare application gets the same request, without the large body.",
    "Many keys": "CPU time of a request with a key, by the number of configured keys.",
    "Rate limit": "CPU time of a request with a key whose consumer is limited, beside the same"
    " service without limits. So many consumers were counted before.",
    "Over a socket": "uvicorn with uvloop and httptools on a core of its own, without logs, 16"
    " connections.",
    "As shipped": "`serve` with its access log, beside bare FastAPI on uvicorn with the log of"
    " uvicorn; both write to a file. A rate limit counts in memory or in Redis.",
    "Two processes": "The same with two processes, which share the cores with their clients.",
    "granian": "granian with its access log, beside bare FastAPI on uvicorn with that of uvicorn.",
    "Memory": "Resident memory: idle, and the most while 60 MB of JSON arrive without a key.",
    "Hostile clients": "`serve` beside bare FastAPI on uvicorn.",
    "A million keys": "Requests to the running service over a socket, and commands for keys from"
    " start to end, as a ratio to the same database with 1 000 keys.",
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


class Target(NamedTuple):
    """What this project promises itself, and what was measured."""

    promise: str
    limit: float
    value: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the promise is kept, to the digits that are shown."""
        value = round(self.value, 2)
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def limit_text(self) -> str:
        """The limit as the tables show it."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:.2f}"


def targets(summed: dict[str, dict[str, dict[str, Summary]]]) -> list[Target]:
    """Return the promises whose figures were measured; a quick run measures few."""

    def ratio(title: str, figure: str, name: str) -> float:
        return float(summed[title][figure][name]["ratio"])

    def cpu(kind: str, *names: str) -> float:
        return max(ratio("CPU in process", kind, f"ours: {name}") for name in names)

    def shipped(name: str) -> float:
        return ratio("As shipped", "requests/s", f"ours: {name}")

    def to_tutorial() -> float:
        tutorial = ratio("CPU in process", "upload", "tutorial: header, app")
        return cpu("upload", "header, whole_app") / tutorial

    def database() -> float:
        return cpu("key", "header, database") / cpu("key", "header, whole_app")

    def counting() -> float:
        limited = summed["Rate limit"]["key"]["in memory, 100000 consumers"]
        return 200 * float(limited["best"] * (1 - 1 / limited["ratio"]))

    whole_app = [f"{place}, whole_app" for place in LOCATIONS]
    endpoints = [f"{place}, endpoints" for place in LOCATIONS]
    promises: list[tuple[str, float, Callable[[], float]]] = [
        ("`whole_app`, header", 1.18, lambda: cpu("key", "header, whole_app")),
        ("`whole_app`, cookie and query", 1.24, lambda: cpu("key", *whole_app[1:3])),
        ("`whole_app`, `fallback`", 1.28, lambda: cpu("key", "fallback, whole_app")),
        ("`whole_app`, refused without a key", 0.35, lambda: cpu("keyless", *whole_app)),
        ("`whole_app`, refusal of 1 MiB vs. the tutorial", 0.20, to_tutorial),
        ("`endpoints`, protected, header", 1.20, lambda: cpu("key", "header, endpoints")),
        ("`endpoints`, protected, cookie and query", 1.26, lambda: cpu("key", *endpoints[1:3])),
        ("`endpoints`, protected, `fallback`", 1.30, lambda: cpu("key", "fallback, endpoints")),
        ("`endpoints`, the consumer as a parameter", 1.46, lambda: cpu("key", "header, injected")),
        ("`endpoints`, refused without a key", 1.00, lambda: cpu("keyless", *endpoints)),
        ("`endpoints`, public", 1.12, lambda: cpu("public", *endpoints)),
        ("keys in a database vs. in settings", 1.05, database),
        ("100 000 keys vs. one key", 1.02, lambda: ratio("Many keys", "key", "100000 keys")),
        ("start-up vs. bare with settings", 1.15, lambda: worst(summed["Start-up"]["start-up"])),
        (
            "generation vs. an empty template",
            1.60,
            lambda: ratio("Generation", "generation", OURS),
        ),
        ("rate limit, 100 000 consumers, share of a CPU for 200 requests/s", 0.03, counting),
    ]
    made = []
    for promise, limit, measure in promises:
        with suppress(KeyError):
            made.append(Target(promise, limit, measure()))
    text = "`serve` with its log, requests/s vs. uvicorn with its own"
    return [Target(text, 1.00, shipped("header, whole_app"), at_least=True), *made]


def worst(figures: dict[str, Summary]) -> float:
    """Return the highest ratio of those of this template."""
    return max(float(figures[name]["ratio"]) for name in figures if "ours" in name)


def check_alone(cpu: dict[str, dict[str, Summary]]) -> list[list[str]]:
    """Return what the check adds to the service around it: for each location, three ratios."""
    lines = []
    for place in LOCATIONS:
        if f"ours: {place}, without the check" not in cpu["key"]:
            continue  # in a quick run
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
    numbers = f": {'; '.join(told)}" if told else ""
    return f"1.00 is {REFERENCES[title]}{numbers}."


def page(results: dict[str, Any], summed: dict[str, dict[str, dict[str, Summary]]]) -> str:
    """Return `RESULTS.md`."""
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    text = ["# The cost of protection", (HERE / "about.md").read_text().strip()]
    text.append(f"Measured on {results['date']}: {facts}.")
    promises = [
        [told.promise, told.limit_text, f"{told.value:.2f}", "met" if told.kept else "missed"]
        for told in targets(summed)
    ]
    text += ["## Targets", markdown_table(["promise", "limit", "measured", ""], promises)]
    heads = ["", "`whole_app`", "`endpoints`, protected", "`endpoints`, public"]
    text += ["## The check alone", CHECK_ALONE]
    text.append(markdown_table(heads, check_alone(summed["CPU in process"])))
    for title, figures in summed.items():
        heads = ["", *(HEADINGS.get(figure, figure) for figure in figures)]
        text += [f"## {title}", f"{ABOUT[title]} {absolute(title, figures)}"]
        text.append(markdown_table(heads, rows(figures)))
    for part in results["parts"].values():
        for name, reason in part["missing"].items():
            text.append(f"{name} was not measured: {reason}")
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
    for told in targets(summed):
        mark = "[green]met[/]" if told.kept else "[red]missed[/]"
        console.print(f"{told.promise}: {told.value:.2f}, {told.limit_text}: {mark}")


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
