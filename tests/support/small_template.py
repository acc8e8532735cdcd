"""The questions and hooks of this template with a project of a few files: quick to generate."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.commands import program, run
from support.template import TEMPLATE

RunHooks = Callable[..., subprocess.CompletedProcess[str]]

# What the hook needs of `auth/keys.py`.
KEYS = """
import hashlib, secrets
def generate_key(): return "my_service_" + secrets.token_hex(26)[:51]
def hash_key(key): return hashlib.sha256(key.encode()).hexdigest()
def key_id(digest): return hashlib.sha256(b"key id:" + digest.encode()).hexdigest()[:16]
def key_hint(key): return key[-12:-8]
"""


@pytest.fixture(scope="session")
def small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with the questions and hooks of this one."""
    folder = tmp_path_factory.mktemp("small") / "template"
    shutil.copytree(TEMPLATE / "hooks", folder / "hooks", ignore=shutil.ignore_patterns("__p*"))
    shutil.copy(TEMPLATE / "cookiecutter.json", folder)
    project = folder / "{{cookiecutter.project_slug}}"
    package = project / "src/{{cookiecutter.__package}}/auth"
    package.mkdir(parents=True)
    (package / "keys.py").write_text(KEYS)
    (project / "answers.json").write_text("{{ cookiecutter | tojson }}")
    (project / ".gitignore").write_text(".env\n")
    return folder


@pytest.fixture
def run_hooks(small_template: Path, output: Path, tmp_path: Path) -> RunHooks:
    """Return a function that generates from the small template as a user does, into `output`."""
    home = tmp_path / "home"
    home.mkdir()
    config = home / "config.yaml"
    # Before 2.0, cookiecutter reads less of YAML.
    config.write_text(f"cookiecutters_dir: {home}/c\nreplay_dir: {home}/replay\n")
    output.mkdir()

    def generate(
        *arguments: str,
        command: Path | None = None,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        options = [] if stdin or "--replay-file" in arguments else ["--no-input"]
        words = [*options, str(small_template), *arguments]
        if "--replay-file" in arguments:
            words = [*arguments, str(small_template)]
        told = {"COOKIECUTTER_CONFIG": str(config), "PWD": str(output)}
        environment = {**os.environ, **told, **(env or {})}
        started = command or program("cookiecutter")
        return run(started, *words, cwd=output, env=environment, stdin=stdin)

    return generate


def refusal(finished: subprocess.CompletedProcess[str]) -> str:
    """Return what the first hook said, without the traceback that cookiecutter adds to it."""
    assert finished.returncode != 0, finished.stdout
    text, end, _ = finished.stderr.rpartition("=" * 72)
    assert end, finished.stderr
    assert "Traceback" not in text
    return text
