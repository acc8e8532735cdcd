"""Cookiecutter below 2.2 is refused in one line; newer ones give the same project."""

import os
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
from support.commands import run_python
from support.small_template import RunHooks
from support.template import TEMPLATE

OLD = ["1.7.3", "2.1.1"]
NEW = ["2.2.3", "2.6.0", ""]  # the last one is the newest
REFUSAL = "cookiecutter 2.2 or newer is required: pipx run cookiecutter or uvx cookiecutter"


@cache
def installed(version: str) -> Path:
    """Return the command of this version, from an environment of its own."""
    folder = Path(os.environ.get("COOKIECUTTERS") or mkdtemp()) / f"v{version or 'new'}"
    command = folder / "bin/cookiecutter"
    if not command.exists():
        package = f"cookiecutter=={version}" if version else "cookiecutter"
        python = f"--python={sys.executable}"
        assert run_python("-m", "uv", "venv", python, folder, cwd=TEMPLATE).returncode == 0
        install = ("pip", "install", "--compile-bytecode", f"--python={folder}")
        if run_python("-m", "uv", *install, package, "setuptools", cwd=TEMPLATE).returncode:
            pytest.skip("cookiecutter cannot be installed here")
    return command


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("answers", [[], ["key_name=Cookie"], ["project_slug=a/b"]])
def test_old_version_is_refused_in_one_line(
    run_hooks: RunHooks, output: Path, version: str, answers: list[str]
) -> None:
    finished = run_hooks(*answers, command=installed(version))
    assert finished.returncode != 0
    assert finished.stderr.splitlines()[0] == REFUSAL, finished.stderr
    assert len(REFUSAL) <= 80
    assert "Nothing was generated" not in finished.stderr
    assert list(output.iterdir()) == []


def test_old_version_is_refused_at_its_prompts(run_hooks: RunHooks, output: Path) -> None:
    finished = run_hooks(command=installed("2.1.1"), stdin="\n" * 20)
    assert REFUSAL in finished.stderr
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("version", NEW)
def test_new_version_generates_a_project(run_hooks: RunHooks, output: Path, version: str) -> None:
    finished = run_hooks("key_location=bearer", command=installed(version))
    assert finished.returncode == 0, finished.stderr
    assert "Authorization: Bearer my_service_" in finished.stdout
    assert (output / "my-service/.env").exists()


@pytest.mark.parametrize("version", NEW)
def test_new_version_is_told_the_reason(run_hooks: RunHooks, output: Path, version: str) -> None:
    finished = run_hooks("key_name=a_b", command=installed(version))
    assert "nginx" in finished.stderr
    assert REFUSAL not in finished.stderr
    assert list(output.iterdir()) == []
