"""How long it takes to generate a project, and what cookiecutter needs for an empty template."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).parents[1]
EMPTY = "an empty template with two empty hooks"
OURS = "this template"
WITHOUT_HOOKS = "this template without hooks"


def write_empty_template(folder: Path) -> Path:
    """Write a template of one file and two hooks that do nothing."""
    (folder / "hooks").mkdir(parents=True)
    (folder / "{{cookiecutter.project_slug}}").mkdir()
    (folder / "{{cookiecutter.project_slug}}/README.md").write_text("# {{ cookiecutter.slug }}\n")
    (folder / "cookiecutter.json").write_text(json.dumps({"project_slug": "empty", "slug": "a"}))
    for hook in ("pre_gen_project.py", "post_gen_project.py"):
        (folder / "hooks" / hook).write_text("")
    return folder


def cookiecutter(template: Path, output: Path, *answers: str, hooks: bool = True) -> None:
    """Generate a project; nothing of it is kept in the user's home."""
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--output-dir", str(output)]
    command += ["--accept-hooks", "yes" if hooks else "no", str(template), *answers]
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(configuration(output))}
    subprocess.run(command, check=True, capture_output=True, env=environment)


def configuration(folder: Path) -> Path:
    """Write a configuration that keeps cookiecutter's own files in this folder."""
    file = folder / "cookiecutter.yaml"
    folders = {name: str(folder / name) for name in ("cookiecutters_dir", "replay_dir")}
    file.write_text(json.dumps(folders))
    return file


def generation(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Measure how long both templates take, in turn, round after round."""
    empty = write_empty_template(folder / "template")
    runs = {EMPTY: (empty, True), OURS: (TEMPLATE, True), WITHOUT_HOOKS: (TEMPLATE, False)}
    for _ in range(rounds):
        taken: dict[str, float] = {}
        for name, (template, hooks) in runs.items():
            output = folder / "output"
            output.mkdir()
            started = time.perf_counter()
            cookiecutter(template, output, hooks=hooks)
            taken[name] = time.perf_counter() - started
            shutil.rmtree(output)
            yield {"contestant": name, "generation": [taken[name], taken[EMPTY]]}
