"""What a project declares that it needs."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement


def declared(pyproject: Path) -> list[Requirement]:
    """Return what a project needs to run and to be worked on."""
    document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    lists = [
        document.get("project", {}).get("dependencies", []),
        document["dependency-groups"]["dev"],
    ]
    return [Requirement(requirement) for each in lists for requirement in each]
