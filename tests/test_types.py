"""Every combination of answers type-checks strictly, as its own `make check` does."""

import sys
from pathlib import Path

import pytest
from support.combinations import FULL, MIXED, Answers, name
from support.commands import run, run_python
from support.generation import Bake
from support.npm import npm_program


@pytest.mark.usefixtures("types_of_dependencies")
def test_types_are_strict_and_right(spread_project: Path) -> None:
    finished = run_python("-m", "mypy", cwd=spread_project)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.startswith("Success")


# Editors show what pyright finds. The last one has the most code.
@pytest.mark.parametrize("answers", MIXED if FULL else MIXED[-1:], ids=name)
def test_pyright_finds_nothing(answers: Answers, bake: Bake) -> None:
    pyright = npm_program("pyright")
    finished = run(pyright, "--pythonpath", sys.executable, "src", cwd=bake(**answers))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "\n0 errors, 0 warnings" in f"\n{finished.stdout}"
