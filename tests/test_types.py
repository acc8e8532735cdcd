"""Every combination of answers type-checks strictly, as its own `make check` does."""

from pathlib import Path

import pytest
from support.commands import run_python


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for this process: mypy reads each dependency once, not once a project."""
    return tmp_path_factory.mktemp("mypy-cache")


def test_types_are_strict_and_right(spread_project: Path, cache: Path) -> None:
    finished = run_python("-m", "mypy", "--cache-dir", cache, cwd=spread_project)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.startswith("Success")
