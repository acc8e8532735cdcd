"""The benchmarks count what they say, and report it; no test looks at a time."""

import json
import os
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.combinations import CORE
from support.commands import run
from support.generation import generate
from support.template import TEMPLATE

BENCHMARKS = TEMPLATE / "benchmarks"
# Bearer is not measured: it reads one header, as `header` does.
MEASURED = [answers for answers in CORE if answers["key_location"] != "bearer"]
OURS = [f"ours: {answers['key_location']}, {answers['protection']}" for answers in MEASURED]
DATABASE = {"key_location": "header", "protection": "whole_app", "key_store": "database"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what two rounds of the measurement in process print, for bare FastAPI and for us."""
    projects = tmp_path_factory.mktemp("projects")
    for answers in [*MEASURED, DATABASE]:
        slug = "-".join(answers.values()).replace("_", "-")
        generate(projects, hooks=False, project_slug=slug, **answers)
    command = [sys.executable, "in_process.py", "--rounds", "2", "--only", "ours"]
    finished = run(*command, cwd=BENCHMARKS, env={**os.environ, "PROJECTS": str(projects)})
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module that writes the reports."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import report

    return report


def results(report: Any) -> dict[str, Any]:
    """Return measurements as if the reference took 1 and 2, and everybody else 3 times that."""
    from contestants import CONTESTANTS

    figures = {
        "CPU in process": ["key", "keyless", "wrong key", "upload", "public"],
        "Many keys": ["key"],
        "Over a socket": ["requests/s", "CPU/request"],
        "Memory": ["idle", "peak"],
        "Start-up": ["start-up"],
        "Generation": ["generation"],
    }
    others = {"Many keys": ["100000 keys"], "Generation": [report.OURS]}
    parts = {}
    for title, names in figures.items():
        reference = report.REFERENCES[title]
        slower = others.get(title, [name for name in CONTESTANTS if name != reference])
        pairs = {reference: [(1.0, 1.0), (2.0, 2.0)]}
        pairs |= {key: [(3.0, 1.0), (6.0, 2.0)] for key in slower}
        measured = {name: dict(pairs) for name in names}
        parts[title] = {"figures": measured, "status": {}, "missing": {"peer": "no such module"}}
    return {"date": "2026-01-31", "quick": False, "machine": {"cores": 2}, "parts": parts}


def test_every_service_answers_each_kind_of_request_as_it_should(
    measured: list[dict[str, Any]],
) -> None:
    answers = {(name, kind): status for name, kind, status in measured[1]["cases"]}
    assert answers.pop(("bare FastAPI", "key")) == 200
    kinds = {"key": 200, "keyless": 401, "wrong key": 401, "upload": 401}
    services = [*OURS, "ours: header, database"]
    expected = {(name, kind): status for name in services for kind, status in kinds.items()}
    expected |= {(name, "public"): 200 for name in OURS if "endpoints" in name}
    for name in OURS[::2]:
        unprotected = name.replace("whole_app", "without the check")
        expected |= {(unprotected, "key"): 200, (unprotected, "public"): 200}
    assert answers == expected


def test_each_round_measures_every_case(measured: list[dict[str, Any]]) -> None:
    missing, cases, *rounds = measured
    assert missing == {"missing": {}}
    assert [len(told["round"]) for told in rounds] == [len(cases["cases"])] * 2
    assert all(min(pair) > 0 for told in rounds for pair in told["round"])


def test_a_ratio_is_that_of_minima_and_lies_within_its_spread(report: Any) -> None:
    pairs = [(4.0, 2.0), (2.0, 4.0), (9.0, 1.5), (8.0, 1.0), (3.0, 3.0), (6.0, 2.0), (6.0, 3.0)]
    summary = report.summarise(pairs)
    assert summary["ratio"] == 2.0
    assert summary["median ratio"] == 2.0
    assert summary["spread"] == [1.0, 8.0]  # 2 to 2, 8 to 1, 3 to 2 and 6 to 3
    assert report.summarise(pairs, max)["ratio"] == 9.0 / 4.0


def test_what_took_longer_than_a_round_has_no_figure(report: Any) -> None:
    made = results(report)
    made["parts"]["Over a socket"]["figures"]["CPU/request"]["keyshield: default"] = [None, (1, 1)]
    assert "keyshield: default" not in report.summaries(made)["Over a socket"]["CPU/request"]


def test_the_reports_hold_every_figure_and_whether_promises_are_kept(
    report: Any, tmp_path: Path
) -> None:
    report.write_reports(results(report), tmp_path)
    told = json.loads((tmp_path / "results.json").read_text())
    assert told["figures"]["Memory"]["peak"]["tutorial: header, app"]["ratio"] == 3.0
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| tutorial: header, app | 3.00 (3.00 to 3.00) |" in page
    assert "| 100 000 keys vs. one key | ≤ 1.02 | 3.00 | missed |" in page
    assert "| `endpoints`, protected, vs. the tutorial | ≤ 1.00 | 1.00 | met |" in page
    assert "| header | 1.00 | 1.00 | 1.00 |" in page
    assert "peer does not run with these versions: no such module" in page
    chart = ElementTree.parse(tmp_path / "chart.svg")  # noqa: S314 - our own
    bars = [bar.get("class") for bar in chart.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars.count("ours") == 1
    assert len(bars) == len(report.SHOWN) == 5


def test_the_committed_reports_are_of_one_whole_run() -> None:
    told = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))
    assert not told["quick"]
    assert set(OURS) <= set(told["figures"]["Over a socket"]["requests/s"])
    assert told["date"] in (BENCHMARKS / "RESULTS.md").read_text(encoding="utf-8")


def test_the_readme_has_the_figures_of_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    from readme import figures, write_readme

    told = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))
    committed = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(committed, encoding="utf-8")
    write_readme(readme, figures(told["figures"]))
    assert readme.read_text(encoding="utf-8") == committed
    assert committed.count(f"{told['figures']['CPU in process']['key'][OURS[0]]['ratio']:.2f}")
