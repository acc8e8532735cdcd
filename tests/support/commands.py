"""Running commands to their end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.template import TEMPLATE


def run(
    *command: str | Path, cwd: Path, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return it with its output as text."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
        check=False,
    )


def run_python(
    *arguments: str | Path, cwd: Path, env: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run this environment's Python, as `run` runs a command."""
    return run(sys.executable, *arguments, cwd=cwd, env=env, stdin=stdin)


def program(name: str) -> Path:
    """Return the path of a program of this environment."""
    return Path(sys.executable).with_name(name)


def find_python(version: str) -> str | None:
    """Return an interpreter of this version when the machine has one."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [str(python) for python in pyenv.glob(f"versions/{version}.*/bin/python")]
    if on_path := shutil.which(f"python{version}"):
        candidates.append(on_path)
    tell = "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}')"
    for candidate in candidates:
        # What stands on the PATH may be a launcher of something that is not installed.
        if run(candidate, "-c", tell, cwd=TEMPLATE).stdout.strip() == version:
            return candidate
    return None
