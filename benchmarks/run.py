"""Measures what protection costs, side by side in one run: `make bench`, or `python run.py --help`.

Writes `results.json`, `RESULTS.md` and `chart.svg` beside this file; a whole run also writes its
figures into the README of the template.
"""

import argparse
import json
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

from contestants import CONTESTANTS, REFERENCE, SERVICES, folder_of
from generating import TEMPLATE, cookiecutter, generation
from over_socket import allowed_cores, beside, memory, start_up, throughput
from readme import figures, write_readme
from report import PARTS, WITH_SETTINGS, summaries, write_reports
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

HERE = Path(__file__).parent
KEY_COUNTS = [1, 1_000, 100_000]
IN_MEMORY = [REFERENCE, "tutorial: header, app", "tutorial: header, endpoint"]
IN_MEMORY += ["ours: header, whole_app", "ours: header, endpoints"]
AT_START = ["tutorial: header, app", "ours: header, whole_app", "ours: fallback, endpoints"]
PACKAGES = ["fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "cookiecutter"]
PACKAGES += ["keyshield", "fastapi-simple-security", "fastapi-key-auth"]


def generate_services(folder: Path) -> None:
    """Generate the service of each combination, and compile it as an image would."""
    for answers in SERVICES.values():
        given = [f"{question}={answer}" for question, answer in answers.items()]
        cookiecutter(TEMPLATE, folder, f"project_slug={folder_of(answers)}", *given, hooks=False)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)


def in_process(rounds: int, *options: str) -> Iterator[dict[str, Any]]:
    """Run `in_process.py` again and again, and yield a measurement for each case of each round.

    Where a process happens to have its objects makes code a few percent faster or slower: so there
    are several.
    """
    command = [sys.executable, "-W", "ignore", "in_process.py", "--rounds", str(rounds), *options]
    for _ in range(PARTS):
        cases: list[tuple[str, str, int]] = []
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                told = json.loads(line)
                cases = told.get("cases", cases)
                if told.get("missing"):
                    yield {"missing": told["missing"]}
                for (name, kind, status), pair in zip(cases, told.get("round", ()), strict=False):
                    measured = {kind: pair} if pair else {}  # what is slow is measured less often
                    yield {"contestant": name, **measured, "status": {kind: status}}
        if process.returncode:
            raise SystemExit("in_process.py failed")


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
    few, some, many = (2, 2, 2) if quick else (PARTS, 8, 40)
    served = [name for name in CONTESTANTS if not quick or name in IN_MEMORY]
    counts = [str(count) for count in KEY_COUNTS]
    kinds = 4 * len(CONTESTANTS)
    return [
        ("CPU in process", PARTS * many * kinds, in_process(many)),
        ("Many keys", PARTS * many * 3, in_process(many, "--keys", *counts)),
        ("Over a socket", few * len(served), throughput(served, few)),
        ("Memory", some * len(IN_MEMORY), beside(REFERENCE, IN_MEMORY[1:], some, memory)),
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
    with TemporaryDirectory() as name, progress as bars:
        folder = Path(name)
        os.environ["PROJECTS"] = str(folder)
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
