"""What watches over the code of a service: its CI jobs, its updates, its commits."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.combinations import CHOICES
from support.commands import program, run, run_python
from support.files import tree
from support.generation import Bake, generate
from support.keys import new_key
from support.suites import SUPPORTED

FILES = {
    "github": {".github/workflows/ci.yml", ".github/dependabot.yml"},
    "gitlab": {".gitlab-ci.yml", "renovate.json"},
    "none": set(),
}
# Each way to deploy, and one that needs other services.
DEPLOYMENTS = [*CHOICES["deployment"], "docker with services"]


def bake_for(bake: Bake, ci: str, deployment: str) -> Path:
    """Return a project for a CI service and a way to deploy."""
    chosen, _, services = deployment.partition(" with ")
    return bake(ci=ci, deployment=chosen, rate_limit="yes" if services else "no")


@pytest.fixture(params=DEPLOYMENTS)
def github_project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return a project on GitHub for each way to deploy."""
    return bake_for(bake, "github", request.param)


@pytest.fixture(params=DEPLOYMENTS)
def gitlab_project(request: pytest.FixtureRequest, bake: Bake) -> Path:
    """Return a project on GitLab for each way to deploy."""
    return bake_for(bake, "gitlab", request.param)


def load(file: Path) -> dict[str, Any]:
    """Return what is in a YAML file."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def check_schema(project: Path, file: str, schema: str) -> None:
    """Fail with what a schema says against a file."""
    command = ["-m", "check_jsonschema", "--builtin-schema", schema, file]
    finished = run_python(*command, cwd=project)
    assert finished.returncode == 0, finished.stdout


def has_images_to_update(project: Path) -> bool:
    """Tell whether a compose file names images that others publish."""
    compose = project / "compose.yaml"
    return compose.exists() and any("image" in used for used in load(compose)["services"].values())


@pytest.mark.parametrize("ci", CHOICES["ci"])
def test_only_the_chosen_ci_service_has_files(bake: Bake, ci: str) -> None:
    project = bake(ci=ci)
    names = {path.relative_to(project).as_posix() for path in tree(project)}
    assert names & set().union(*FILES.values()) == FILES[ci]
    assert (".github" in names) == (ci == "github")


@pytest.mark.parametrize("ci", CHOICES["ci"])
def test_other_ci_services_are_not_mentioned(bake: Bake, ci: str) -> None:
    others = {"github": ["gitlab", "renovate"], "gitlab": ["dependabot", "github actions"]}
    for path in tree(bake(ci=ci)):
        if path.is_file() and path.name != ".env":
            text = path.read_text(encoding="utf-8").lower()
            for other in others.get(ci, [*others["github"], *others["gitlab"]]):
                assert other not in text, path


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        (".github/workflows/ci.yml", "vendor.github-workflows"),
        (".github/workflows/ci.yml", "custom.github-workflows-require-timeout"),
        (".github/dependabot.yml", "vendor.dependabot"),
    ],
)
def test_github_files_are_valid(github_project: Path, file: str, schema: str) -> None:
    check_schema(github_project, file, schema)


@pytest.mark.parametrize(
    ("file", "schema"),
    [(".gitlab-ci.yml", "vendor.gitlab-ci"), ("renovate.json", "vendor.renovate")],
)
def test_gitlab_files_are_valid(gitlab_project: Path, file: str, schema: str) -> None:
    check_schema(gitlab_project, file, schema)


def test_zizmor_finds_nothing(github_project: Path) -> None:
    finished = run(program("zizmor"), "--offline", "--pedantic", ".", cwd=github_project)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_github_tests_every_python_and_builds_an_image(github_project: Path) -> None:
    jobs = load(github_project / ".github/workflows/ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == SUPPORTED
    assert ("image" in jobs) == (github_project / "Dockerfile").exists()


def test_gitlab_tests_every_python_and_builds_an_image(gitlab_project: Path) -> None:
    jobs = load(gitlab_project / ".gitlab-ci.yml")
    assert jobs["test"]["parallel"]["matrix"] == [{"PYTHON": SUPPORTED}]
    assert ("build-image" in jobs) == (gitlab_project / "Dockerfile").exists()


def test_ci_services_run_the_same_commands(bake: Bake) -> None:
    github = load(bake(ci="github") / ".github/workflows/ci.yml")["jobs"]
    gitlab = load(bake(ci="gitlab") / ".gitlab-ci.yml")
    on_github = [
        step["run"]
        for job in github.values()
        for step in job["steps"]
        if "run" in step and "name" not in step  # those that warn
    ]
    on_gitlab = [line for job in gitlab.values() if "script" in job for line in job["script"]]
    scan, pushed = "pre-commit run no-api-keys --all-files", "sh scripts/find_pushed_keys.sh"
    steps = ["make check", scan, pushed, "make test", "make audit", "docker build ."]
    assert [line.removeprefix("pipx run ").partition(' "')[0] for line in on_github] == steps
    others = ("pip ", "pip install", "test ")
    assert [line.partition(' "')[0] for line in on_gitlab if not line.startswith(others)] == steps


@pytest.mark.parametrize("deployment", CHOICES["deployment"])
def test_missing_lock_file_is_warned_about(bake: Bake, deployment: str) -> None:
    github = load(bake(ci="github", deployment=deployment) / ".github/workflows/ci.yml")["jobs"]
    warnings = {
        job: step["run"]
        for job, description in github.items()
        for step in description["steps"]
        if "::warning::uv.lock is missing" in step.get("run", "")
    }
    image = {"image"} if deployment != "none" else set()
    assert warnings.keys() == {"audit"} | image
    assert all("pipx run uv lock" in warnings[job] for job in image)
    gitlab = load(bake(ci="gitlab", deployment=deployment) / ".gitlab-ci.yml")
    assert "WARNING, uv.lock is missing" in gitlab["audit"]["script"][0]
    assert "uv.lock" in gitlab["audit"]["artifacts"]["paths"]
    assert all(gitlab[job]["needs"] == ["audit"] for job in gitlab.keys() & {"build-image"})


def test_list_of_dependencies_is_kept(bake: Bake) -> None:
    makefile = (bake() / "Makefile").read_text(encoding="utf-8")
    [file] = re.findall(r"--format cyclonedx1\.5 --output-file (\S+)", makefile)
    audit = load(bake(ci="github") / ".github/workflows/ci.yml")["jobs"]["audit"]
    assert audit["steps"][-1]["with"]["path"] == file
    gitlab = load(bake(ci="gitlab") / ".gitlab-ci.yml")["audit"]
    assert gitlab["artifacts"]["reports"] == {"cyclonedx": [file]}
    assert f"/{file}" in (bake() / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_list_of_dependencies_is_one_of_cyclonedx(bake: Bake, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(bake(), project)
    recipe = run("make", "-n", "audit", f"UV={program('uv')}", cwd=project).stdout
    [export] = [line for line in recipe.splitlines() if " export " in line]
    words = shlex.split(export)
    exported = run(program("uv"), *words[words.index("export") :], cwd=project)
    assert exported.returncode == 0, exported.stderr
    assert (project / "uv.lock").exists()
    document = json.loads((project / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert {"fastapi", "uvicorn"} <= {part["name"] for part in document["components"]}
    assert "pytest" not in {part["name"] for part in document["components"]}


def test_github_updates_everything_pinned_in_groups(github_project: Path) -> None:
    updates = load(github_project / ".github/dependabot.yml")["updates"]
    kept = {update["package-ecosystem"] for update in updates}
    docker = {"docker"} if (github_project / "Dockerfile").exists() else set()
    if has_images_to_update(github_project):
        docker.add("docker-compose")
    assert kept == {"github-actions", "uv", "pre-commit"} | docker
    for update in updates:
        [group] = update["groups"].values()
        assert group == {"patterns": ["*"]}


def test_gitlab_updates_everything_pinned_in_groups(gitlab_project: Path) -> None:
    config = json.loads((gitlab_project / "renovate.json").read_text(encoding="utf-8"))
    assert config["pre-commit"] == {"enabled": True}  # Renovate leaves it out otherwise
    managers = {name for rule in config["packageRules"] for name in rule["matchManagers"]}
    docker = (gitlab_project / "Dockerfile").exists()
    images = {"dockerfile", "docker-compose"} if docker else set()
    if (gitlab_project / "kubernetes.yaml").exists():
        images.add("kubernetes")
    assert ("docker:pinDigests" in config["extends"]) == docker
    assert managers == {"pep621", "pre-commit", "gitlabci"} | images


def test_ruff_is_the_same_in_commits_and_checks(bake: Bake) -> None:
    project = bake()
    [*_, ruff] = load(project / ".pre-commit-config.yaml")["repos"]
    shown = run(program("ruff"), "--version", cwd=project).stdout
    assert ruff["rev"] == "v" + shown.split()[1]


def test_committed_key_is_found(tmp_path: Path) -> None:
    project = generate(tmp_path / "repository", project_slug="parcel-tracking")
    assert run(program("pre-commit"), "validate-config", cwd=project).returncode == 0
    [local, _] = load(project / ".pre-commit-config.yaml")["repos"]  # the other one is elsewhere
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"repos": [local]}))

    def scan(text: str) -> subprocess.CompletedProcess[str]:
        (project / "notes.txt").write_text(text)
        run("git", "add", "--all", cwd=project)
        options = ("--config", config, "--all-files")
        return run(program("pre-commit"), "run", *options, "no-api-keys", cwd=project)

    key, digest = new_key(project, "parcel_tracking")
    passed = scan(f"The digest {digest} may be told, and parcel_tracking_1.\n")
    assert (passed.returncode, "Passed" in passed.stdout) == (0, True)
    found = scan(f"\ncurl --header 'X-API-Key: {key}' localhost\n")
    assert (found.returncode, "notes.txt:2:" in found.stdout) == (1, True)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return a project with a commit that adds a key, and one that removes it."""
    project = generate(tmp_path / "repository", project_slug="parcel-tracking")
    key, _ = new_key(project, "parcel_tracking")
    run("git", "init", "--quiet", cwd=project)
    for text in ("begin", f"key: {key}", "end", "more"):
        (project / "notes.txt").write_text(f"{text}\n")
        commit(project, text[:3])
    return project


def commit(project: Path, message: str) -> None:
    """Commit everything."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    run("git", "add", "--all", cwd=project)
    finished = run("git", *identity, "commit", "--quiet", "--message", message, cwd=project)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    ("commits", "status"),
    [
        ("HEAD~3..HEAD", 1),
        ("HEAD~2..HEAD", 0),
        ("HEAD~1..HEAD", 0),
        ("0000000000000000000000000000000000000000..HEAD", 1),
        ("..HEAD~3", 0),
        ("..HEAD", 1),
    ],
)
def test_key_that_a_later_commit_removes_is_found(history: Path, commits: str, status: int) -> None:
    finished = run("sh", "scripts/find_pushed_keys.sh", commits, cwd=history)
    assert (finished.returncode, finished.stderr) == (status, "")
    assert finished.stdout.count("adds an API key") == status
    assert "parcel_tracking_" not in finished.stdout


def test_key_is_found_before_it_is_pushed(history: Path, tmp_path: Path) -> None:
    [local, _] = load(history / ".pre-commit-config.yaml")["repos"]
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"repos": [local]}))
    command = (program("pre-commit"), "run", "--config", config, "--hook-stage", "pre-push")
    for first, status in (("HEAD~3", 1), ("HEAD~2", 0)):
        refs = ("--from-ref", first, "--to-ref", "HEAD")
        finished = run(*command, *refs, "no-pushed-api-keys", cwd=history)
        assert finished.returncode == status, finished.stdout


def test_key_in_a_merge_is_found(history: Path) -> None:
    key, _ = new_key(history, "parcel_tracking")
    run("git", "checkout", "--quiet", "-b", "other", "HEAD~1", cwd=history)
    (history / "other.txt").write_text("other")
    commit(history, "other")
    run("git", "merge", "--quiet", "--no-commit", "--no-ff", "@{-1}", cwd=history)
    (history / "notes.txt").write_text(f"merged {key}\n")
    commit(history, "merge")
    finished = run("sh", "scripts/find_pushed_keys.sh", "HEAD~1..HEAD", cwd=history)
    assert finished.returncode == 1
