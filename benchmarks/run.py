"""Measures what protection costs, side by side in one run: `make bench`, or `python run.py --help`.

Writes `results.json`, `RESULTS.md` and `chart.svg` beside this file.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contestants import CONTESTANTS, SERVICES
from generating import TEMPLATE, cookiecutter, generation
from over_socket import memory, start_up, throughput
from report import write_reports
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

HERE = Path(__file__).parent
KEY_COUNTS = [1, 1_000, 100_000]
IN_MEMORY = ["bare FastAPI", "tutorial: header, app", "tutorial: header, endpoint"]
IN_MEMORY += ["ours: header, whole_app", "ours: header, endpoints"]
AT_START = ["bare with settings", "tutorial: header, app", "ours: header, whole_app"]
AT_START += ["ours: fallback, endpoints"]
PACKAGES = ["fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "cookiecutter"]
PACKAGES += ["keyshield", "fastapi-simple-security", "fastapi-key-auth"]


def generate_services(folder: Path) -> None:
    """Generate the service of each combination, and compile it as an image would."""
    for location, protection in SERVICES:
        slug = f"{location}-{protection}".replace("_", "-")
        answers = f"project_slug={slug}", f"key_location={location}", f"protection={protection}"
        cookiecutter(TEMPLATE, folder, *answers, hooks=False)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)


def in_process(rounds: int, *options: str) -> Iterator[dict[str, Any]]:
    """Run `in_process.py` and yield a measurement for each case of each round."""
    command = [sys.executable, "-W", "ignore", "in_process.py", "--rounds", str(rounds), *options]
    cases: list[tuple[str, str, int]] = []
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            told = json.loads(line)
            cases = told.get("cases", cases)
            if told.get("missing"):
                yield {"missing": told["missing"]}
            if "round" in told:
                for (name, kind, status), seconds in zip(cases, told["round"], strict=True):
                    yield {"contestant": name, kind: seconds, "status": {kind: status}}
    if process.returncode:
        raise SystemExit("in_process.py failed")


def collect(measurements: Iterable[dict[str, Any]], advance: Any) -> dict[str, Any]:
    """Return all values of each figure of each contestant, in the order of the rounds."""
    found: dict[str, Any] = {"missing": {}, "status": defaultdict(dict)}
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for measurement in measurements:
        advance()
        found["missing"] |= measurement.pop("missing", {})
        contestant = measurement.pop("contestant", None)
        found["status"][contestant] |= measurement.pop("status", {})
        for figure, value in measurement.items():
            figures[figure][contestant].append(value)
    return {**found, "figures": figures}


def plan(folder: Path, *, quick: bool) -> list[tuple[str, int, Iterator[dict[str, Any]]]]:
    """Return the parts of the run: title, number of measurements, and what measures."""
    few, some, many = (1, 2, 8) if quick else (5, 7, 60)
    served = [name for name in CONTESTANTS if not quick or name in IN_MEMORY]
    counts = [str(count) for count in KEY_COUNTS]
    kinds = 4 * len(CONTESTANTS)
    return [
        ("CPU in process", many * kinds, in_process(many)),
        ("Many keys", many * 3, in_process(many, "--keys", *counts)),
        ("Over a socket", few * len(served), throughput(served, few, 1 if quick else 3)),
        ("Memory", some * len(IN_MEMORY), memory(IN_MEMORY, some)),
        ("Start-up", some * 2 * len(AT_START), start_up(AT_START, some * 2)),
        ("Generation", some * 2 * 2, generation(folder / "generation", some * 2)),
    ]


def machine() -> dict[str, Any]:
    """Return what the figures depend on; nothing that names this machine."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    return {
        "CPU": model,
        "cores": len(os.sched_getaffinity(0)),
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
    results: dict[str, Any] = {"machine": machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    results |= {"quick": options.quick, "parts": {}}
    with TemporaryDirectory() as name, Progress(*columns, console=Console(stderr=True)) as bars:
        folder = Path(name)
        os.environ["PROJECTS"] = str(folder)
        generate_services(folder)
        for title, total, measurements in plan(folder, quick=options.quick):
            bar = bars.add_task(title, total=total)
            results["parts"][title] = collect(measurements, lambda bar=bar: bars.advance(bar))
            bars.update(bar, completed=total)
    write_reports(results, options.output)


if __name__ == "__main__":
    main()
