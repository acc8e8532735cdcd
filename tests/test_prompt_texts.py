"""Every question is asked in words, each choice is explained, and a terminal shows all of it."""

import json
import re

from support.template import TEMPLATE

QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
PROMPTS = QUESTIONS["__prompts__"]
VISIBLE = [name for name in QUESTIONS if not name.startswith("_")]


def texts() -> list[str]:
    """Return all texts that a prompt shows."""
    return [
        text
        for prompt in PROMPTS.values()
        for text in ([prompt] if isinstance(prompt, str) else prompt.values())
    ]


def test_questions_come_in_the_order_of_the_design() -> None:
    assert [
        *("project_name", "project_slug", "description", "author_name"),
        *("key_location", "key_name", "key_docs_url", "protection", "key_store", "rate_limit"),
        *("deployment", "ci", "license"),
    ] == VISIBLE
    assert list(PROMPTS) == VISIBLE


def test_every_choice_is_explained() -> None:
    for name in VISIBLE:
        if isinstance(QUESTIONS[name], list):
            assert list(PROMPTS[name]) == ["__prompt__", *QUESTIONS[name]]
            for choice in QUESTIONS[name]:
                assert PROMPTS[name][choice].startswith(f"{choice}: ")


def test_texts_fit_80_columns() -> None:
    for text in texts():
        assert len(text) <= 70, text  # beside the number of a choice or question


def test_texts_have_no_markup_of_rich() -> None:
    assert [text for text in texts() if re.search(r"[\[\]]", text)] == []
