"""Generating projects: in this process, or with the command that people type."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from cookiecutter.main import cookiecutter

from support.commands import run_python
from support.template import TEMPLATE

Bake = Callable[..., Path]


def generate(output: Path, *, hooks: bool = True, **answers: str) -> Path:
    """Generate a project with `answers` in `output`, in this process, and return its folder."""
    return Path(
        cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            accept_hooks=hooks,
        )
    )


def generate_once(generated: Path, output: Path, **answers: str) -> Path:
    """Generate a project in the empty folder `output`, or copy the one that `generated` holds.

    The processes of a test run share the folder `generated`.
    """
    kept = generated / sha256(json.dumps(answers, sort_keys=True).encode()).hexdigest()
    if kept.exists():
        shutil.copytree(kept, output, symlinks=True, dirs_exist_ok=True)
    else:
        generate(output, hooks=True, **answers)
        publish(output, kept)
    [project] = output.iterdir()
    return project


def publish(folder: Path, kept: Path) -> None:
    """Copy a folder to where other processes of this run find it whole, if none was faster."""
    copy = Path(mkdtemp(dir=kept.parent))
    shutil.copytree(folder, copy, symlinks=True, dirs_exist_ok=True)
    with suppress(OSError):
        copy.rename(kept)


def run_cookiecutter(
    output: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command `cookiecutter` in `output`, and return how it ended: it may refuse."""
    output.mkdir(exist_ok=True)
    command = ("-m", "cookiecutter", "--no-input", str(TEMPLATE), *options)
    return run_python(*command, cwd=output, env={**os.environ, **(env or {})})


def generate_by_command(output: Path, **answers: str) -> tuple[Path, str]:
    """Generate the one project in `output` by command; return its folder and what was printed."""
    options = [f"{question}={answer}" for question, answer in answers.items()]
    finished = run_cookiecutter(output, *options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [project] = output.iterdir()
    return project, finished.stdout
