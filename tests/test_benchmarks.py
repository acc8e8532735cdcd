"""The benchmarks count what they say, and report it; no test looks at a time."""

import json
import os
import subprocess
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.combinations import CORE
from support.commands import run
from support.generation import generate
from support.server_process import free_port
from support.template import TEMPLATE
from support.waiting import until

BENCHMARKS = TEMPLATE / "benchmarks"
OURS = [f"ours: {answers['key_location']}, {answers['protection']}" for answers in CORE]
HEADER = {"key_location": "header", "protection": "whole_app"}
OTHERS = [HEADER | {"key_store": "database"}, HEADER | {"rate_limit": "yes"}]
HEADER_NAME = "ours: header, whole_app"
MEASURE = """
import json, sys
from in_process import compare
names, reference = sys.argv[1].split("; "), sys.argv[2]
for measurement in compare(names, reference, parts=1, rounds=2):
    print(json.dumps(measurement))
"""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the services that are measured."""
    projects = tmp_path_factory.mktemp("projects")
    for answers in [*CORE, *OTHERS]:
        slug = "-".join(answers.values()).replace("_", "-")
        generate(projects, hooks=False, project_slug=slug, **answers)
    return projects


def measure(projects: Path, names: list[str], reference: str) -> list[dict[str, Any]]:
    """Return what two rounds of the measurement in process tell."""
    command = [sys.executable, "-c", MEASURE, "; ".join(names), reference]
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
        "Rate limit": ["key"],
        "Over a socket": ["requests/s", "CPU/request"],
        "As shipped": ["requests/s", "CPU/request"],
        "Two processes": ["requests/s", "CPU/request"],
        "granian": ["requests/s", "CPU/request"],
        "Memory": ["idle", "peak"],
        "Hostile clients": ["flood", "slow"],
        "A million keys": ["cold", "warm", "list", "revoke"],
        "Start-up": ["start-up"],
        "Generation": ["generation"],
    }
    others = {"Many keys": ["100000 keys"], "Generation": [report.OURS]}
    others["Rate limit"] = ["in memory, 100000 consumers"]
    others["A million keys"] = ["PostgreSQL, 1 000 000 keys"]
    parts = {}
    for title, names in figures.items():
        reference = report.REFERENCES[title]
        slower = others.get(title, [name for name in CONTESTANTS if name != reference])
        pairs = {reference: [(1.0, 1.0), (2.0, 2.0)]}
        pairs |= {key: [(3.0, 1.0), (6.0, 2.0)] for key in slower}
        measured = {name: dict(pairs) for name in names}
        parts[title] = {"figures": measured, "status": {}, "missing": {"peer": "no such module"}}
    return {"date": "2026-01-31", "quick": False, "machine": {"cores": 2}, "parts": parts}


def test_every_service_answers_each_kind_of_request_as_it_should(projects: Path) -> None:
    unprotected = [f"ours: {place}, without the check" for place in ("header", "query")]
    services = [*OURS, "ours: header, database", "ours: header, rate limit"]
    services.append("ours: header, injected")
    measured = measure(projects, ["bare FastAPI", *services, *unprotected], "bare FastAPI")
    answers = [
        (told["contestant"], kind, status)
        for told in measured
        for kind, status in told["status"].items()
    ]
    kinds = {"key": 200, "keyless": 401, "wrong key": 401, "upload": 401}
    expected = [("bare FastAPI", "key", 200)]
    for name in services:
        expected += [(name, kind, status) for kind, status in kinds.items()]
        expected += [(name, "public", 200)] if "endpoints" in name or "injected" in name else []
    expected += [(name, kind, 200) for name in unprotected for kind in ("key", "public")]
    assert sorted(answers) == sorted([*expected, *expected])  # in both rounds
    assert all(min(told[kind]) > 0 for told in measured for kind in told["status"])


def test_limits_and_keys_are_measured_beside_the_same_service(projects: Path) -> None:
    limited = ["in memory, 1 consumer", "in memory, 10000 consumers"]
    for names, reference in ((limited, HEADER_NAME), (["1 key", "1000 keys"], "1 key")):
        measured = measure(projects, names, reference)
        assert [told["contestant"] for told in measured] == [names[0]] * 2 + [names[1]] * 2
        assert all(min(told["key"]) > 0 for told in measured)


@pytest.mark.parametrize("name", ["bare FastAPI", HEADER_NAME])
def test_server_is_that_which_is_shipped_and_logs(
    projects: Path, tmp_path: Path, name: str
) -> None:
    port, told, log = free_port(), tmp_path / "told.json", tmp_path / "log"
    env = {**os.environ, "PROJECTS": str(projects), "CONTESTANT": name, "TOLD": str(told)}
    command = [sys.executable, "shipped.py", str(port), "1"]
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=BENCHMARKS, env=env, stdout=out, stderr=out)
    try:
        until(told.exists)
        sent = json.loads(told.read_text())
        until(lambda: ask(port, {sent["parameter"]: sent["key"]}) == 200)
    finally:
        server.kill()
        server.wait()
    written = log.read_text()
    assert "GET /item HTTP/1.1" in written
    assert ('"consumer": "bench"' in written) == (name == HEADER_NAME)


def ask(port: int, headers: dict[str, str]) -> int:
    """Return the status of a request; 0 where nobody listens yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection), suppress(ConnectionError):
        connection.request("GET", "/item", headers=headers)
        return connection.getresponse().status
    return 0


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
    assert "| `whole_app`, refusal of 1 MiB vs. the tutorial | ≤ 0.20 | 1.00 | missed |" in page
    assert "requests/s vs. uvicorn with its own | ≥ 1.00 | 3.00 | met |" in page
    assert "| header | 1.00 | 1.00 | 1.00 |" in page
    assert "peer was not measured: no such module" in page
    chart = ElementTree.parse(tmp_path / "chart.svg")  # noqa: S314 - our own
    bars = [bar.get("class") for bar in chart.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars.count("ours") == 1
    assert len(bars) == len(report.SHOWN) == 5


def test_the_committed_reports_are_of_one_whole_run() -> None:
    told = json.loads((BENCHMARKS / "results.json").read_text(encoding="utf-8"))
    assert not told["quick"]
    served = set(told["figures"]["Over a socket"]["requests/s"])
    assert {name for name in OURS if "bearer" not in name} <= served
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
