"""What watches over the code of a service: its workflow, its updates, its commits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CHOICES, Bake, render, run, run_python
from live import minted
from test_generated_suites import SUPPORTED

TOOLS = Path(sys.executable).parent


@pytest.fixture(params=[*CHOICES["deployment"], "docker with servers"])
def service(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return a project for each way to deploy, and one that needs servers beside it."""
    deployment, _, servers = request.param.partition(" with ")
    return bake(deployment=deployment, rate_limit="yes" if servers else "no")


def load(file: Path) -> dict[str, Any]:
    """Return what is in a YAML file."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        (".github/workflows/ci.yml", "vendor.github-workflows"),
        (".github/workflows/ci.yml", "custom.github-workflows-require-timeout"),
        (".github/dependabot.yml", "vendor.dependabot"),
    ],
)
def test_what_github_reads_is_valid(service: Path, file: str, schema: str) -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", schema, file]
    finished = run_python(*command, cwd=service)
    assert finished.returncode == 0, finished.stdout


def test_zizmor_has_nothing_to_say(service: Path) -> None:
    finished = run(TOOLS / "zizmor", "--offline", "--pedantic", ".", cwd=service)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_supported_python_is_tested_and_an_image_is_built(service: Path) -> None:
    jobs = load(service / ".github/workflows/ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == SUPPORTED
    assert ("image" in jobs) == (service / "Dockerfile").exists()


def test_everything_that_is_pinned_is_kept_current(service: Path) -> None:
    updates = load(service / ".github/dependabot.yml")["updates"]
    kept = {update["package-ecosystem"] for update in updates}
    docker = {"docker"} if (service / "Dockerfile").exists() else set()
    compose = service / "compose.yaml"
    if compose.exists() and any("image" in used for used in load(compose)["services"].values()):
        docker.add("docker-compose")
    assert kept == {"github-actions", "uv", "pre-commit"} | docker


def test_the_ruff_of_the_commits_is_the_one_of_the_checks(service: Path) -> None:
    [*_, ruff] = load(service / ".pre-commit-config.yaml")["repos"]
    shown = run(TOOLS / "ruff", "--version", cwd=service).stdout
    assert ruff["rev"] == "v" + shown.split()[1]


def test_a_committed_key_is_caught(tmp_path: Path) -> None:
    project = render(tmp_path / "repository", project_slug="parcel-tracking")
    assert run(TOOLS / "pre-commit", "validate-config", cwd=project).returncode == 0
    [local, _] = load(project / ".pre-commit-config.yaml")["repos"]  # the other one is elsewhere
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"repos": [local]}))

    def scan(text: str) -> subprocess.CompletedProcess[str]:
        (project / "notes.txt").write_text(text)
        run("git", "add", "--all", cwd=project)
        options = ("--config", config, "--all-files")
        return run(TOOLS / "pre-commit", "run", *options, "no-api-keys", cwd=project)

    key, digest = minted(project, "parcel_tracking")
    passed = scan(f"The digest {digest} may be told, and parcel_tracking_1.\n")
    assert (passed.returncode, "Passed" in passed.stdout) == (0, True)
    caught = scan(f"\ncurl --header 'X-API-Key: {key}' localhost\n")
    assert (caught.returncode, "notes.txt:2:" in caught.stdout) == (1, True)
