"""Turns measurements into ratios, and ratios into a table, a page and a chart."""

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from chart import draw
from contestants import CONTESTANTS, REFERENCE
from generating import EMPTY, OURS
from rich.console import Console
from rich.table import Column, Table

# For each part of a run: what its figures are compared with, contestant and figure.
REFERENCES = {
    "CPU in process": (REFERENCE, "key"),
    "Many keys": ("1 keys", None),
    "Over a socket": (REFERENCE, None),
    "Memory": (REFERENCE, None),
    "Start-up": ("bare with settings", None),
    "Generation": (EMPTY, None),
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
}
ABOUT = {
    "CPU in process": "CPU time of a request, the application called without a server.",
    "Many keys": "CPU time of a request with a key, by the number of configured keys.",
    "Over a socket": "uvicorn with uvloop and httptools on a core of its own, 16 connections.",
    "Memory": "Resident memory: idle, and the most while 60 MB of JSON arrive without a key.",
    "Start-up": "From the start of the process to its first answer.",
    "Generation": "From the start of cookiecutter to its end.",
}

Summary = dict[str, Any]


def summarise(values: list[float], reference: list[float]) -> Summary:
    """Return the minimum and median of a figure, and its ratio to the reference with quartiles."""
    ratios = [value / other for value, other in zip(values, reference, strict=False)]
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return {
        "minimum": min(values),
        "median": median(values),
        "ratio": min(values) / min(reference),
        "median ratio": median(ratios),
        "quartiles": [low, high],
    }


def summaries(results: dict[str, Any]) -> dict[str, dict[str, dict[str, Summary]]]:
    """Return part → figure → contestant → summary."""
    summed: dict[str, dict[str, dict[str, Summary]]] = {}
    for title, part in results["parts"].items():
        contestant, fixed = REFERENCES[title]
        for figure, measured in part["figures"].items():
            reference = part["figures"][fixed or figure][contestant]
            summed.setdefault(title, {})[figure] = {
                name: summarise(values, reference)
                for name, values in measured.items()
                if None not in values
            }
    return summed


def targets(summed: dict[str, dict[str, dict[str, Summary]]]) -> list[tuple[str, float, float]]:
    """Return what this project promises itself: the promise, its limit, and what was measured."""
    cpu, passed = summed["CPU in process"], summed["CPU in process"]["key"]

    def worst(figures: dict[str, Summary], *words: str) -> float:
        chosen = [name for name in figures if "ours" in name and all(w in name for w in words)]
        return max(float(figures[name]["ratio"]) for name in chosen)

    one_place = [worst(passed, place, "whole_app") for place in ("header", "cookie", "query")]
    tutorials = {"header": "tutorial: header, endpoint"}
    tutorials["fallback"] = "tutorial: three schemes, endpoint"
    to_tutorial = [
        passed[f"ours: {place}, endpoints"]["ratio"] / passed[name]["ratio"]
        for place, name in tutorials.items()
    ]
    upload = cpu["upload"]["tutorial: header, app"]["ratio"]
    start = summed["Start-up"]["start-up"]
    generated = summed["Generation"]["generation"][OURS]
    return [
        ("`whole_app`, one location, to bare", 1.10, max(one_place)),
        ("`whole_app`, `fallback`, to bare", 1.20, worst(passed, "fallback", "whole_app")),
        ("`endpoints`, protected, to the tutorial's way", 1.00, max(to_tutorial)),
        ("`endpoints`, public, to bare", 1.03, worst(cpu["public"], "endpoints")),
        ("`whole_app`, refusal, to a bare 200", 0.60, worst(cpu["keyless"], "whole_app")),
        (
            "`whole_app`, refusal of 1 MiB, to the tutorial's",
            0.20,
            worst(cpu["upload"], "whole_app") / upload,
        ),
        ("100 000 keys, to one key", 1.02, summed["Many keys"]["key"]["100000 keys"]["ratio"]),
        ("start-up, to bare with settings", 1.15, worst(start)),
        ("generation, to an empty template", 1.60, generated["ratio"]),
    ]


def cell(summary: Summary | None) -> str:
    """Return a ratio with its quartiles, as both tables show it."""
    if summary is None:
        return "-"
    low, high = summary["quartiles"]
    digits = 2 if summary["ratio"] < 100 else 0
    return f"{summary['ratio']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def rows(figures: dict[str, dict[str, Summary]]) -> list[list[str]]:
    """Return the lines of a table: a contestant and its figures."""
    order = [*CONTESTANTS, "bare with settings"]
    names = {name for measured in figures.values() for name in measured}
    known = sorted(names, key=lambda name: order.index(name) if name in order else 99)
    return [[name, *(cell(measured.get(name)) for measured in figures.values())] for name in known]


def markdown_table(heads: list[str], lines: list[list[str]]) -> str:
    """Return a table of Markdown."""
    ruler = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ruler, *lines])


def absolute(title: str, figures: dict[str, dict[str, Summary]]) -> str:
    """Return what 1.00 stands for."""
    contestant, fixed = REFERENCES[title]
    told = []
    for figure in [fixed] if fixed else figures:
        unit, factor = UNITS.get(figure, MICROSECONDS)
        value = figures[figure][contestant]["median"] * factor
        told.append(f"{value:,.0f}{unit}".replace(",", " ") + f" ({HEADINGS.get(figure, figure)})")
    return f"1.00 is {contestant}: " + ", ".join(told) + ", median."


def page(results: dict[str, Any], summed: dict[str, dict[str, dict[str, Summary]]]) -> str:
    """Return `RESULTS.md`."""
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    text = ["# What protection costs", (Path(__file__).parent / "about.md").read_text().strip()]
    text.append(f"Measured on {results['date']}: {facts}.")
    promises = [
        [promise, f"≤ {limit:.2f}", f"{value:.2f}", "met" if value <= limit else "missed"]
        for promise, limit, value in targets(summed)
    ]
    text += ["## Targets", markdown_table(["promise", "limit", "measured", ""], promises)]
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
        mark = "[green]met[/]" if value <= limit else "[red]missed[/]"
        console.print(f"{promise}: {value:.2f}, at most {limit:.2f}: {mark}")


def write_reports(results: dict[str, Any], folder: Path) -> None:
    """Write `results.json`, `RESULTS.md` and `chart.svg`, and print the tables."""
    summed = summaries(results)
    status = results["parts"]["CPU in process"]["status"]
    facts = {name: results[name] for name in ("date", "quick", "machine")}
    told = {**facts, "answers": status, "figures": summed}
    (folder / "results.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(results, summed), encoding="utf-8")
    ratios = {name: summary["ratio"] for name, summary in summed["CPU in process"]["key"].items()}
    (folder / "chart.svg").write_text(draw(ratios), encoding="utf-8")
    show(summed)
