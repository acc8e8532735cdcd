"""A refusal ends with a command that repeats every good answer."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.utils import create_env_with_context
from support.pre_gen import hook_names, rendered
from support.small_template import RunHooks, refusal

TEXTS = [
    'It\'s "quoted" \\ back\\slash',
    "{{ braces }} {% tag %} {# comment #} 漢字 🚀 '\"",
    "$HOME `id` %PATH% !x! “smart” ^ & | <>",
    "  blanks  ",
]


def words(text: str) -> list[str]:
    """Return the words of the command in a refusal."""
    command = text.partition("\n    cookiecutter ")[2]
    return shlex.split(command.replace("\\\n", " "))


def test_good_answers_are_repeated_and_bad_ones_left(
    run_hooks: RunHooks, small_template: Path, output: Path
) -> None:
    text = refusal(run_hooks("key_name=Cookie", "key_docs_url=x", "author_name=Ada L", "ci=none"))
    assert words(text)[:2] == ["--no-input", str(small_template)]
    assert {"key_name=...", "key_docs_url=...", "author_name=Ada L", "ci=none"} <= {*words(text)}
    assert "Cookie" not in text.partition("Run this")[2]
    assert list(output.iterdir()) == []


def test_printed_command_works_once_filled_in(run_hooks: RunHooks, output: Path) -> None:
    answers = ("key_name=Cookie", "project_name=It's {{ '{{' }}", "project_slug=parcel")
    printed = words(refusal(run_hooks(*answers)))
    repeated = [word for word in printed if word.startswith(("project", "key", "author"))]
    finished = run_hooks(*[word.replace("...", "X-Key") for word in repeated])
    assert finished.returncode == 0, finished.stderr
    given = json.loads((output / "parcel/answers.json").read_text(encoding="utf-8"))
    assert given["project_name"] == "It's {{"


def test_command_left_unfilled_is_refused_again(run_hooks: RunHooks) -> None:
    for name in ("project_name", "project_slug", "description", "author_name", "key_name"):
        assert f"{name} = '...'" in refusal(run_hooks(f"{name}=..."))


def test_other_output_folder_is_repeated(run_hooks: RunHooks, output: Path) -> None:
    text = refusal(run_hooks("key_name=Cookie", env={"PWD": "/elsewhere"}))
    assert words(text)[:3] == ["--no-input", "--output-dir", str(output)]


def test_every_line_fits_80_columns(run_hooks: RunHooks) -> None:
    text = refusal(
        run_hooks(
            "project_slug=aifc",
            "key_name=__Host-__Http-x",
            "key_location=cookie",
            "author_name=",
            "key_docs_url=x",
            "description=\n",
        )
    )
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("system", ["posix", "nt"])
@pytest.mark.parametrize("text", TEXTS)
def test_argument_reaches_cookiecutter_unchanged(
    monkeypatch: pytest.MonkeyPatch, system: str, text: str
) -> None:
    answers: dict[str, Any] = rendered()
    names = hook_names(answers)
    monkeypatch.setattr(os, "name", system)
    printed = names["argument"]("description", text)
    monkeypatch.undo()
    if system == "posix":
        [word] = shlex.split(printed)
    else:  # one pair of double quotes, and nothing within that cmd or PowerShell would expand
        assert re.fullmatch(
            r'"[^"$`%!^“”„\\]*(\\U[0-9a-f]{8}[^"$`%!^“”„\\]*)*"|[\w.:/=-]+', printed
        )
        word = printed.strip('"')
    name, _, value = word.partition("=")
    assert name == "description"
    assert create_env_with_context({"cookiecutter": {}}).from_string(value).render() == text


def test_command_for_windows_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    names = hook_names(rendered() | {"_template": r"C:\My Templates\x", "_output_dir": r"C:\out"})
    monkeypatch.setattr(os, "name", "nt")
    command = names["command"]({"key_name"})
    monkeypatch.undo()
    start = (
        r'cookiecutter --no-input --output-dir C:\out "C:\My Templates\x" "project_name=My Service"'
    )
    assert command.startswith(start)
    assert "\n" not in command
