"""Runs cookiecutter as its users do, hooks and all."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import TEMPLATE, run

KEY = re.compile(r"my_service_[0-9A-Za-z]{51}")


def generate(
    output: Path, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a user does."""
    output.mkdir(exist_ok=True)
    command = (sys.executable, "-m", "cookiecutter", "--no-input", str(TEMPLATE), *options)
    return run(*command, cwd=output, env={**os.environ, **(env or {})})


def copy_of_the_template(folder: Path) -> Path:
    """Return a copy of this template that a test may edit."""
    for part in ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project_slug}}"):
        copy = shutil.copy if (TEMPLATE / part).is_file() else shutil.copytree
        folder.mkdir(exist_ok=True)
        copy(TEMPLATE / part, folder / part)
    return folder
