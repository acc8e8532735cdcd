"""The matrix: what is in it comes from `cookiecutter.json` alone."""

import json
from itertools import combinations
from pathlib import Path

from support.combinations import CHOICES, choices, core, cover, few

CORE_OPTIONS = {"key_location": ["header", "cookie"], "protection": ["a", "b"]}
FEW = CORE_OPTIONS | {"key_store": ["s", "d", "e"], "rate_limit": ["no", "yes"]}
MANY = FEW | {f"option_{number}": ["yes", "no"] for number in range(5)}


def test_a_new_choice_is_in_the_matrix(tmp_path: Path) -> None:
    questions = {"name": "text", "_private": ["a"], "__p": ["a"], "store": ["memory", "database"]}
    (tmp_path / "cookiecutter.json").write_text(json.dumps(questions))
    assert choices(tmp_path) == {"store": ["memory", "database"]}


def test_the_core_is_there_with_each_store_with_and_without_limits() -> None:
    assert len(cover(FEW)) == 2 * 2 * 3 * 2


def test_of_many_combinations_each_pair_of_answers_is_there() -> None:
    chosen = cover(MANY)
    for one, other in combinations(MANY, 2):
        met = {(answers[one], answers[other]) for answers in chosen}
        assert met == {(first, second) for first in MANY[one] for second in MANY[other]}


def test_of_many_combinations_few_are_chosen() -> None:
    assert len(cover(MANY)) == len(cover(FEW))


def test_the_core_is_among_many_combinations() -> None:
    chosen = cover(MANY)
    assert all(any(each.items() <= answers.items() for answers in chosen) for each in core(MANY))


def test_few_have_any_two_answers_beside_the_location_and_different_locations() -> None:
    chosen = few(cover(CHOICES))
    for one, other in combinations(("protection", "key_store", "rate_limit"), 2):
        met = {(answers[one], answers[other]) for answers in chosen}
        assert met == {(first, second) for first in CHOICES[one] for second in CHOICES[other]}
    assert "fallback" in {answers["key_location"] for answers in chosen}
    assert len({answers["key_location"] for answers in chosen}) == len(chosen) == 4
