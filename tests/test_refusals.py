"""A refusal says what was wrong with each answer, and leaves nothing behind."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from support.combinations import CHOICES
from support.commands import run_python
from support.generation import run_cookiecutter
from support.template import TEMPLATE


def ours(finished: subprocess.CompletedProcess[str]) -> str:
    """Return what the hook said, and not the traceback that cookiecutter adds to it."""
    assert finished.returncode != 0
    said, end, _ = finished.stderr.rpartition("=" * 72)
    assert end, finished.stderr
    assert "Nothing was generated" in said
    assert "Traceback" not in said
    return said


def test_all_problems_are_reported_at_once_each_with_its_value_and_an_example(
    tmp_path: Path,
) -> None:
    finished = run_cookiecutter(
        tmp_path, "project_slug=json", "author_name= ", "key_name=Cookie", "key_docs_url=ftp://x"
    )
    said = ours(finished)
    assert re.findall(
        r"^  (\w+ = '.*')\n      must (?:.+\n +)*?.*(?:such\s+as|try)", said, re.MULTILINE
    ) == [
        "project_slug = 'json'",
        "author_name = ' '",
        "key_name = 'Cookie'",
        "key_docs_url = 'ftp://x'",
    ]
    assert "Please check 4 answers" in said
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_breaks_two_rules_is_one_answer_to_change(tmp_path: Path) -> None:
    said = ours(run_cookiecutter(tmp_path, f"project_slug={'A' * 64}"))
    assert "Please check 1 answer:" in said
    assert said.count("project_slug = ") == 1
    assert said.count("      must ") == 2


def test_authorization_comes_with_a_hint(tmp_path: Path) -> None:
    assert "key_location=bearer" in ours(run_cookiecutter(tmp_path, "key_name=Authorization"))


@pytest.mark.parametrize(
    "console",
    [
        {"PYTHONIOENCODING": "cp1252", "NO_COLOR": "1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["cp1252", "C"],
)
def test_any_console_can_show_a_refused_answer(tmp_path: Path, console: dict[str, str]) -> None:
    said = ours(run_cookiecutter(tmp_path, "project_slug=parcel", "key_name=漢字🚀", env=console))
    assert "key_name = '" in said


@pytest.mark.parametrize("value", ["", "yes", "{}"])
def test_an_answer_of_a_configuration_file_that_is_no_text_is_refused(
    tmp_path: Path, value: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"replay_dir: {json.dumps(str(tmp_path))}\ndefault_context:\n  key_docs_url: {value}\n"
    )
    output = tmp_path / "output"
    output.mkdir()
    said = ours(run_cookiecutter(output, env={"COOKIECUTTER_CONFIG": str(config)}))
    assert re.search(r"^  key_docs_url = .+\n      must be text", said, re.MULTILINE)
    assert list(output.iterdir()) == []


@pytest.mark.parametrize("variable", CHOICES)
def test_a_choice_of_a_replay_file_that_does_not_exist_is_refused(
    tmp_path: Path, variable: str
) -> None:
    context = generate_context(str(TEMPLATE / "cookiecutter.json"))
    answers = {**prompt_for_config(context, no_input=True), variable: "typo"}
    replay = tmp_path / "replay.json"
    replay.write_text(json.dumps({"cookiecutter": answers}))
    command = ("-m", "cookiecutter", "--replay-file", replay, TEMPLATE)
    said = ours(run_python(*command, cwd=tmp_path))
    for choice in CHOICES[variable]:
        assert choice in said
    assert list(tmp_path.iterdir()) == [replay]


@pytest.mark.parametrize("slug", ["parcel/tracking", "a/b/c", "../parcel", "Parcel"])
def test_no_folder_of_a_refused_project_is_left(tmp_path: Path, slug: str) -> None:
    output = tmp_path / "output"
    output.mkdir()
    finished = run_cookiecutter(output, f"project_slug={slug}")
    assert "project_slug = " in ours(finished)
    assert list(tmp_path.rglob("*")) == [output]


@pytest.mark.parametrize(
    "answer", ["key_location=body", "protection=none", "deployment=heroku", "license=GPL"]
)
def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path, answer: str) -> None:
    assert run_cookiecutter(tmp_path, answer).returncode != 0
    assert list(tmp_path.iterdir()) == []
