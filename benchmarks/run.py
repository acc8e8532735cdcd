"""Measures what protection costs, side by side in one run: `make bench`, or `python run.py --help`.

Writes `results.json`, `RESULTS.md` and `chart.svg` beside this file; a whole run also writes its
figures into the README of the template.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contestants import (
    CONTESTANTS,
    LIMITED,
    MANY_KEYS,
    REFERENCE,
    SERVICES,
    WITH_SETTINGS,
    WITHOUT_LIMIT,
    folder_of,
)
from generating import TEMPLATE, cookiecutter, generation
from in_process import compare
from many_rows import MANY, many_rows
from over_socket import allowed_cores, attack, beside, memory, start_up, throughput
from readme import figures, write_readme
from report import PARTS, summaries, write_reports
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from stores import run_redis

HERE = Path(__file__).parent
IN_MEMORY = [REFERENCE, "tutorial: header, app", "tutorial: header, endpoint"]
IN_MEMORY += ["ours: header, whole_app", "ours: header, endpoints"]
AT_START = ["tutorial: header, app", "ours: header, whole_app", "ours: fallback, endpoints"]
SHIPPED = [REFERENCE, "tutorial: header, app", "ours: header, whole_app"]
SHIPPED += ["ours: bearer, whole_app", "ours: fallback, whole_app", "ours: header, endpoints"]
SHIPPED += ["ours: header, database", "in memory, 1 consumer"]
TWO_PROCESSES = [REFERENCE, "ours: header, whole_app"]
GRANIAN = [REFERENCE, "ours: header, whole_app"]
PACKAGES = ["fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "granian"]
PACKAGES += ["cookiecutter", "keyshield", "fastapi-simple-security", "fastapi-key-auth"]


def generate_services(folder: Path) -> None:
    """Generate the service of each combination, and compile it as an image would."""
    for answers in SERVICES.values():
        given = [f"{question}={answer}" for question, answer in answers.items()]
        cookiecutter(TEMPLATE, folder, f"project_slug={folder_of(answers)}", *given, hooks=False)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)


def collect(measurements: Iterable[dict[str, Any]], advance: Callable[[], None]) -> dict[str, Any]:
    """Return figure → contestant → pairs of a value and its reference, in their order."""
    found: dict[str, Any] = {"missing": {}, "status": defaultdict(dict)}
    figures: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for measurement in measurements:
        advance()
        found["missing"] |= measurement.pop("missing", {})
        contestant = measurement.pop("contestant", "")
        if "status" in measurement:
            found["status"][contestant] |= measurement.pop("status")
        for figure, pair in measurement.items():
            figures[figure][contestant].append(pair)
    return {**found, "figures": figures}


def plan(folder: Path, *, quick: bool) -> list[tuple[str, int, Iterator[dict[str, Any]]]]:
    """Return the parts of the run: title, number of measurements, and what measures."""
    parts, rounds, plain, few, some = (1, 4, 1, 1, 1) if quick else (PARTS, 10, 2, 3, 4)
    chosen = [*IN_MEMORY, "ours: fallback, endpoints"] if quick else CONTESTANTS
    redis = "REDIS_URL" in os.environ
    limited = [name for name in LIMITED if redis or name != "in Redis"]
    shipped = [*SHIPPED, "in Redis"] if redis else SHIPPED
    served = (
        IN_MEMORY if quick else [name for name in CONTESTANTS if "without the check" not in name]
    )
    in_process = {"parts": parts, "rounds": rounds}
    stores, rows = (["SQLite"], 10_000) if quick else (["PostgreSQL", "SQLite"], MANY)
    return [
        (
            "CPU in process",
            parts * rounds * 4 * len(chosen),
            compare(chosen, REFERENCE, **in_process),
        ),
        ("Many keys", parts * rounds * 3, compare(MANY_KEYS, "1 key", **in_process)),
        ("Rate limit", parts * rounds * 4, compare(limited, WITHOUT_LIMIT, **in_process)),
        ("Over a socket", plain * len(served), throughput(served, plain)),
        ("As shipped", few * len(shipped), throughput(shipped, few, how="shipped")),
        ("Two processes", few * 2, throughput(TWO_PROCESSES, few, how="shipped", workers=2)),
        ("granian", few * 2, throughput(GRANIAN, few, how="granian")),
        ("Memory", some * len(IN_MEMORY), beside(REFERENCE, IN_MEMORY[1:], some, memory)),
        ("Hostile clients", 2, beside(REFERENCE, [WITHOUT_LIMIT], 1, attack, "shipped")),
        ("A million keys", 2 * len(stores), many_rows(folder, stores, rows)),
        (
            "Start-up",
            some * 2 * (len(AT_START) + 1),
            beside(WITH_SETTINGS, AT_START, some * 2, start_up),
        ),
        ("Generation", some * 2 * 3, generation(folder / "generation", some * 2)),
    ]


@dataclass
class Clock:
    """Moves a bar forward, and shows it once a second at most."""

    bars: Progress
    bar: TaskID
    shown: float = 0

    def advance(self) -> None:
        """Say that there is one measurement more."""
        self.bars.advance(self.bar)
        if time.monotonic() > self.shown + 1:
            self.bars.refresh()
            self.shown = time.monotonic()


def machine() -> dict[str, Any]:
    """Return what the figures depend on; nothing that names this machine."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    return {
        "CPU": model,
        "cores": len(allowed_cores()),
        "system": platform.system(),
        "Python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def main() -> None:
    """Measure everything and write the reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two minutes, rougher figures")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the reports")
    options = parser.parse_args()
    columns = TextColumn("{task.description:18}"), BarColumn(), TimeElapsedColumn()
    # A bar that moves by itself would compete with what is measured.
    progress = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
    results: dict[str, Any] = {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    results |= {"quick": options.quick, "parts": {}}
    with TemporaryDirectory() as name, run_redis(Path(name)) as redis, progress as bars:
        folder = Path(name)
        os.environ["PROJECTS"] = str(folder)
        if redis:
            os.environ["REDIS_URL"] = redis
        generate_services(folder)
        for title, total, measurements in plan(folder, quick=options.quick):
            bar = bars.add_task(title, total=total)
            results["parts"][title] = collect(measurements, Clock(bars, bar).advance)
            bars.update(bar, completed=total, refresh=True)
    write_reports(results, options.output)
    if not options.quick and options.output == HERE:
        write_readme(TEMPLATE / "README.md", figures(summaries(results)))


if __name__ == "__main__":
    main()
