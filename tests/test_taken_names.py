"""A service cannot have the name of anything that it runs with or is worked on with.

Its package would hide the module of that name, and its distribution would be another one.
"""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.combinations import COMBINATIONS
from support.dependencies import INSTALLED_ELSEWHERE, Closure, resolve
from support.generation import Bake
from support.pre_gen import refusals
from support.requirements import declared

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@pytest.fixture(scope="module")
def closure(bake: Bake) -> Closure:
    """Return what all combinations together depend on."""
    files = [bake(**answers) / "pyproject.toml" for answers in COMBINATIONS]
    return resolve(requirement for file in files for requirement in declared(file))


def accepted(names: set[str]) -> list[str]:
    """Return the names that the hook accepts as slugs."""
    slugs = sorted({canonicalize_name(name) for name in names})
    return [slug for slug in slugs if SLUG.fullmatch(slug) and not refusals(project_slug=slug)]


def test_dependencies_are_installed_here(closure: Closure) -> None:
    hint = "add them to the group dev of pyproject.toml, or to INSTALLED_ELSEWHERE"
    assert closure.missing == set(), hint


def test_dependency_names_are_refused_as_slugs(closure: Closure) -> None:
    assert len(closure.names) > 50
    hint = "add them to DEPENDENCIES in hooks/pre_gen_project.py"
    assert accepted(closure.names) == [], hint


def test_build_backend_name_is_refused_as_slug(bake: Bake) -> None:
    document = tomllib.loads((bake() / "pyproject.toml").read_text(encoding="utf-8"))
    required = {Requirement(line).name for line in document["build-system"]["requires"]}
    assert required
    assert accepted(required) == []


def test_distributions_of_other_systems_are_still_required(closure: Closure) -> None:
    assert closure.modules.keys() >= INSTALLED_ELSEWHERE.keys()
