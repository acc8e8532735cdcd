"""The page about OWASP's requirements names tests that exist, in every combination."""

import ast
import re
from pathlib import Path

REFERENCE = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
# What proves a row without a test.
COMMANDS = {"-", "`make check`"}


def read_rows(project: Path) -> list[list[str]]:
    """Return the cells of each row in the tables of the page."""
    text = (project / "docs/security.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in rows if row[1] != "How it is met" and not set(row[0]) <= {"-"}]


def list_tests(project: Path) -> set[tuple[str, str]]:
    """Return the tests of a project, each with its file."""
    return {
        (file.name, node.name)
        for file in (project / "tests").glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_named_tests_exist(project: Path) -> None:
    found = list_tests(project)
    for requirement, _, test, _ in read_rows(project):
        named = REFERENCE.fullmatch(test)
        assert test in COMMANDS or (named and named.groups() in found), requirement


def test_rows_say_how_or_why_not(project: Path) -> None:
    for row in read_rows(project):
        assert len(row) == 4, row
        requirement, how, test, owner = row
        assert re.match(r"(\d+\.\d+\.\d+|API\d+) ?", requirement), requirement
        assert how != "-", requirement
        # Rows without a test are the owner's task.
        assert (test, owner) != ("-", "-"), requirement


def test_settings_and_files_of_the_page_exist(project: Path) -> None:
    text = (project / "docs/security.md").read_text(encoding="utf-8")
    known = (project / ".env.example").read_text(encoding="utf-8")
    for setting in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", text):
        assert f"{setting}=" in known, setting
    for file in re.findall(r"`(\w+\.(?:sql|md))`", text):
        assert (project / file).exists(), file
