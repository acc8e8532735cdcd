"""The repository itself is in order: its workflow, its dependencies, its paths, its README."""

import json
import re
import shutil
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from identify.vendor.licenses import LICENSES
from support.combinations import CHOICES
from support.commands import program, run, run_python
from support.files import windows_refuses
from support.generation import Bake
from support.requirements import declared
from support.template import TEMPLATE

REQUIREMENTS = TEMPLATE / "requirements.txt"
# Written so that this file does not name one.
PACKAGE_INDEX = re.compile(r"(pypi|pythonhosted|npmjs|crates|rubygems)\.(org|io|com)\b")


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Return the files that git knows in the repository."""
    listed = run("git", "ls-files", "-z", cwd=TEMPLATE)
    assert listed.returncode == 0, listed.stderr
    return [Path(name) for name in listed.stdout.split("\0") if (TEMPLATE / name).is_file()]


def pinned() -> dict[str, str]:
    """Return the version of each compiled requirement."""
    pins = re.findall(
        r"^([\w.-]+)==([\w.+!]+)", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE
    )
    return dict(pins)


def test_the_workflow_is_valid() -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    workflows = list((TEMPLATE / ".github/workflows").iterdir())
    finished = run_python(*command, *workflows, cwd=TEMPLATE)
    assert finished.returncode == 0, finished.stdout


def test_repository_practises_what_it_generates(bake: Bake) -> None:
    for file in ("SECURITY.md", ".github/dependabot.yml", ".pre-commit-config.yaml"):
        assert (bake() / file).exists()
        assert (TEMPLATE / file).exists()
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.dependabot"]
    finished = run_python(*command, ".github/dependabot.yml", cwd=TEMPLATE)
    assert finished.returncode == 0, finished.stdout
    own, generated = (
        yaml.safe_load((folder / ".github/dependabot.yml").read_text())["updates"]
        for folder in (TEMPLATE, bake())
    )
    shape = [*generated[0].keys()]
    assert all([*update.keys()] == shape for update in own)
    assert all(list(update["groups"].values()) == [{"patterns": ["*"]}] for update in own)
    own, generated = (
        yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())["repos"][-1]
        for folder in (TEMPLATE, bake())
    )
    assert own == generated
    assert run(program("pre-commit"), "validate-config", cwd=TEMPLATE).returncode == 0


def test_the_workflow_is_safe() -> None:
    finished = run(program("zizmor"), "--offline", "--pedantic", ".github", cwd=TEMPLATE)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_continuous_integration_script_is_a_script() -> None:
    assert run("bash", "-n", ".ci/run", cwd=TEMPLATE).returncode == 0
    mode = run("git", "ls-files", "--stage", ".ci/run", cwd=TEMPLATE).stdout.split()[0]
    assert mode == "100755"


def test_no_package_index_is_named(tracked: list[Path]) -> None:
    for path in tracked:
        text = (TEMPLATE / path).read_text(encoding="utf-8", errors="ignore")  # pictures are none
        assert not PACKAGE_INDEX.search(text), path
    assert "://" not in REQUIREMENTS.read_text(encoding="utf-8")


def test_no_lock_file_is_tracked(tracked: list[Path]) -> None:
    assert not [path for path in tracked if re.search(r"(\.lock|-lock\.\w+)$", path.name)]


def test_the_compiled_requirements_are_in_step(tmp_path: Path) -> None:
    recompiled = tmp_path / "requirements.txt"
    shutil.copy(REQUIREMENTS, recompiled)  # what is pinned there stays, where it may
    options = ["--universal", "--python-version", "3.11", "--group", "dev"]
    options += ["--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    output = ["--output-file", str(recompiled)]
    finished = run_python("-m", "uv", "pip", "compile", *options, *output, cwd=TEMPLATE)
    assert finished.returncode == 0, finished.stderr
    committed = REQUIREMENTS.read_text(encoding="utf-8")
    assert committed.endswith(recompiled.read_text(encoding="utf-8")), "run: make requirements"


@pytest.mark.parametrize("store", CHOICES["key_store"])
def test_what_services_need_is_installed_here(bake: Bake, store: str) -> None:
    here = {requirement.name for requirement in declared(TEMPLATE / "pyproject.toml")}
    for requirement in declared(bake(key_store=store) / "pyproject.toml"):
        assert requirement.name in here, requirement
        assert pinned()[requirement.name] in requirement.specifier, requirement


def test_windows_can_check_the_repository_out(tracked: list[Path]) -> None:
    assert not [path for path in tracked if windows_refuses(path)]
    assert len({str(path).casefold() for path in tracked}) == len(tracked)
    assert max(len(str(path)) for path in tracked) < 160


def test_every_question_is_asked_in_words_and_explained_in_the_readme() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    asked = [question for question in questions if not question.startswith("_")]
    prompts = questions["__prompts__"]
    assert list(prompts) == asked
    for question, answers in CHOICES.items():
        assert list(prompts[question]) == ["__prompt__", *answers]
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == asked


def test_readme_names_the_version_of_the_template() -> None:
    questions = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    readme = (TEMPLATE / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"--checkout v(\S+)", readme)
    assert named == [questions["__template_version"]]


def test_every_licence_has_its_text_and_its_expression(bake: Bake) -> None:
    texts = {path.name for path in (TEMPLATE / "templates/licenses").iterdir()}
    assert texts == set(CHOICES["license"])
    expressions = {
        license_: tomllib.loads((bake(license=license_) / "pyproject.toml").read_text())["project"]
        for license_ in CHOICES["license"]
    }
    for license_, metadata in expressions.items():
        private = license_ == "Proprietary"
        assert metadata["license"] == ("LicenseRef-Proprietary" if private else license_)
        assert ("Private :: Do Not Upload" in metadata["classifiers"]) == private


@pytest.mark.parametrize("license_", CHOICES["license"])
def test_a_licence_names_the_year_and_the_holder(bake: Bake, license_: str) -> None:
    text = (bake(license=license_, author_name="Ada Lovelace") / "LICENSE").read_text()
    year = datetime.now(UTC).year
    mark = "Copyright" if license_ == "Apache-2.0" else "Copyright (c)"
    assert text.count(f"{mark} {year} Ada Lovelace\n") == 1
    if license_ == "Proprietary":
        assert "All rights reserved." in text
        return
    published = next(full for name, full in LICENSES if name == license_)
    assert wording(text) == wording(published)


def wording(text: str) -> list[str]:
    """Return the words of a licence without year, holder and the reservation, which is optional."""
    variable = re.compile(r"\s*Copyright (\(c\) )?[\[\d]|All rights reserved\.")
    return " ".join(line for line in text.splitlines() if not variable.match(line)).split()
