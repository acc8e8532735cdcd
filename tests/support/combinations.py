"""Which sets of answers the tests generate projects for, read from `cookiecutter.json`."""

import json
import os
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

from support.template import TEMPLATE

Answers = dict[str, str]
# A combination of answers, and how its service is run.
Variant = tuple[Answers, str]

_CORE = ("key_location", "protection")
_FULL = (*_CORE, "key_store", "rate_limit")


def choices(template: Path) -> dict[str, list[str]]:
    """Return every question of the template that has a list of answers, with these."""
    questions = json.loads((template / "cookiecutter.json").read_text(encoding="utf-8"))
    return {
        question: answers
        for question, answers in questions.items()
        if isinstance(answers, list) and not question.startswith("_")
    }


def core(options: dict[str, list[str]]) -> list[Answers]:
    """Return the combinations that change the most; other answers have their defaults."""
    return _product({question: options[question] for question in _CORE})


def cover(options: dict[str, list[str]]) -> list[Answers]:
    """Return the combinations to test: all that make other Python code, and every other pair.

    Further questions get their answers within these, so that each of their answers meets each
    answer to every other question; what has no place there is added.
    """
    everything = _product(options)
    missing = set().union(*map(_pairs, everything))
    chosen: list[Answers] = []

    def choose(candidates: list[Answers]) -> None:
        chosen.append(max(candidates, key=lambda answers: len(_pairs(answers) & missing)))
        missing.difference_update(_pairs(chosen[-1]))

    for base in _product({question: options[question] for question in _FULL}):
        choose([answers for answers in everything if base.items() <= answers.items()])
    while missing:
        choose(everything)
    return chosen


def half(combinations: list[Answers], options: dict[str, list[str]]) -> list[Answers]:
    """Return every other one of all combinations: any three of their answers still meet."""
    return [answers for answers in combinations if place(answers, options) % 2 == 0]


def few(combinations: list[Answers]) -> list[Answers]:
    """Return combinations with any two main answers beside the location, and many locations."""
    missing = set().union(*map(_pairs_beside_location, combinations))
    chosen: list[Answers] = []
    while missing:
        used = {answers["key_location"] for answers in chosen}
        others = [answers for answers in combinations if answers["key_location"] not in used]
        others.reverse()  # the last answers bring along the most code
        best = max(others, key=lambda answers: len(_pairs_beside_location(answers) & missing))
        chosen.append(best)
        missing.difference_update(_pairs_beside_location(best))
    return chosen


def ends(combinations: list[Answers], options: dict[str, list[str]]) -> list[Answers]:
    """Return the combination nearest to all first answers, and the one nearest to all last ones."""
    ordered = sorted(combinations, key=lambda answers: place(answers, options))
    return [ordered[0], ordered[-1]]


def place(answers: Answers, options: dict[str, list[str]]) -> int:
    """Return how far answers to the main questions are from the first ones, in steps."""
    given = [question for question in _FULL if question in answers]
    return sum(options[question].index(answers[question]) for question in given)


def alternate(combinations: list[Answers], ways: Sequence[str]) -> list[Variant]:
    """Return combinations with one of two ways to run them each, in turns; with FULL=1, with both.

    Of core combinations, any two of a location, a protection and a way meet.
    """
    return [
        (answers, way)
        for answers in combinations
        for step, way in enumerate(ways)
        if FULL or (place(answers, CHOICES) + step) % 2 == 0
    ]


def locations_of(answers: Answers) -> list[str]:
    """Return where a service with these answers looks for keys, in its order."""
    chosen = answers["key_location"]
    return ["cookie", "header", "query"] if chosen == "fallback" else [chosen]


def name(answers: Answers) -> str:
    """Return the id of a combination in the output of pytest, such as `cookie-endpoints-MIT`."""
    return "-".join(answers.values())


def variant_name(variant: Variant) -> str:
    """Return the id of a variant in the output of pytest, such as `cookie-endpoints-h11`."""
    return f"{name(variant[0])}-{variant[1]}"


def _product(options: dict[str, list[str]]) -> list[Answers]:
    return [dict(zip(options, answers, strict=True)) for answers in product(*options.values())]


def _pairs(answers: Answers) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    return set(combinations(answers.items(), 2))


def _pairs_beside_location(answers: Answers) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    _, *others = _FULL
    return _pairs({question: answers[question] for question in others})


CHOICES = choices(TEMPLATE)
QUICK = bool(os.environ.get("QUICK"))
FULL = bool(os.environ.get("FULL"))
# With QUICK=1, two that have no answer to the main questions in common.
COMBINATIONS = ends(cover(CHOICES), CHOICES) if QUICK else cover(CHOICES)
CORE = core(CHOICES)
# Of these, each location once and both protections, unless FULL=1 asks for all.
EACH_LOCATION = CORE if FULL else half(CORE, CHOICES)
# All of them, half with a database and limits, in both protections.
MIXED = [
    answers | ({"key_store": "database", "rate_limit": "yes"} if number % 4 in (1, 2) else {})
    for number, answers in enumerate(CORE)
]
# What takes long runs for these alone, unless FULL=1 asks for all.
SPREAD = COMBINATIONS if QUICK or FULL else half(COMBINATIONS, CHOICES)
# What takes longest: the edited projects of `test_edits.py` run their suites for many others.
FEW = COMBINATIONS if QUICK or FULL else few(COMBINATIONS)
