"""Derived values must agree with the answers that they come from."""

import json
from itertools import product
from pathlib import Path

import pytest
from support.combinations import CHOICES
from support.pre_gen import hook_names, rendered
from support.small_template import RunHooks, refusal
from support.template import TEMPLATE

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
# Folder names that follow from other private variables, and what no answer decides.
OTHERS = {
    "__template_version",
    "__versions",
    "__migrations",
    "__workflows",
    "__dot_github",
    "__year",
    "__prompts__",
}
NAMES = ["X-API-Key", "x-parcel-key", "__Host-key", "X-X-Key", "api_key", ""]


def test_hook_derives_what_cookiecutter_does() -> None:
    derive = hook_names(rendered())["derive"]
    expected = {name for name in QUESTIONS if name.startswith("__")} - OTHERS
    values_of = [CHOICES[question] for question in CHOICES if question != "license"]
    for values in product(*values_of):
        answers = rendered(**dict(zip(CHOICES, values, strict=False)))
        derived = {
            name: value for group in derive(answers).values() for name, value in group.items()
        }
        assert derived == {name: answers[name] for name in expected}


@pytest.mark.parametrize("location", CHOICES["key_location"])
@pytest.mark.parametrize("name", NAMES)
def test_hook_derives_names_as_cookiecutter_does(location: str, name: str) -> None:
    answers = rendered(project_slug="a-b-c", key_location=location, key_name=name)
    derived = hook_names(answers)["derive"](answers)
    for group in derived.values():
        assert group.items() <= answers.items()


def test_choices_of_the_hook_are_those_of_the_prompts() -> None:
    names = hook_names(rendered())
    for question, choices in CHOICES.items():
        for choice in choices:
            assert list(names["CHECKS"][question](choice)) == []
        [rule] = names["CHECKS"][question]("typo")
        assert rule.startswith(f"must be one of {', '.join(choices)}:")
    assert list(names["CHECKS"]) == [name for name in QUESTIONS if not name.startswith("_")]


def edited(folder: Path, **changes: str) -> str:
    """Return a replay file in which a person changed answers."""
    file = folder / "replay.json"
    file.write_text(json.dumps({"cookiecutter": {**rendered(), **changes}}))
    return str(file)


@pytest.mark.parametrize(
    ("question", "answer", "stale"),
    [
        ("project_slug", "parcel", "__package='my_service'"),
        ("key_location", "cookie", "__header='yes'"),
        ("key_location", "fallback", "__cookie=''"),
        ("key_name", "X-Parcel-Key", "__query_name='X-API-Key'"),
        ("protection", "endpoints", "__whole_app='yes'"),
        ("key_store", "database", "__database=''"),
        ("rate_limit", "yes", "__limited=''"),
        ("deployment", "none", "__docker='yes'"),
        ("ci", "gitlab", "__github='yes'"),
    ],
)
def test_edited_replay_file_is_refused(
    run_hooks: RunHooks, tmp_path: Path, output: Path, question: str, answer: str, stale: str
) -> None:
    text = refusal(run_hooks("--replay-file", edited(tmp_path, **{question: answer})))
    assert f"\n  {question} = '{answer}'\n      contradicts " in text
    assert stale in text
    assert f" {question}={answer}" in text
    assert "=..." not in text
    assert list(output.iterdir()) == []


def test_derived_value_given_by_hand_is_refused(run_hooks: RunHooks) -> None:
    assert "contradicts __database='yes'" in refusal(run_hooks("__database=yes"))


@pytest.mark.parametrize("changes", [{}, {"author_name": "Ada", "description": "Parcels"}])
def test_replay_file_that_agrees_is_accepted(
    run_hooks: RunHooks, tmp_path: Path, output: Path, changes: dict[str, str]
) -> None:
    finished = run_hooks("--replay-file", edited(tmp_path, __year="2020", **changes))
    assert finished.returncode == 0, finished.stderr
    assert (output / "my-service/.env").exists()
