"""The template under test."""

import shutil
from pathlib import Path

TEMPLATE = Path(__file__).parents[2]
PROJECT = "{{cookiecutter.project_slug}}"
LONGEST_SLUG = "parcel-tracking-for-the-whole-wide-world-of-ships-and-of-trains"


def copy_template(folder: Path) -> Path:
    """Return a copy of this template that a test may edit."""
    folder.mkdir(exist_ok=True)
    for part in ("cookiecutter.json", "hooks", "templates", PROJECT):
        copy = shutil.copy if (TEMPLATE / part).is_file() else shutil.copytree
        copy(TEMPLATE / part, folder / part)
    return folder
