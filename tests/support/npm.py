"""Programs from npm, which `make test` installs."""

import os
import shutil
from pathlib import Path

from support.machine import missing
from support.template import TEMPLATE

PACKAGES = TEMPLATE / "tests" / "browser" / "node_modules"


def npm_program(name: str) -> Path:
    """Return the path of a program; where CI runs, it has to be there."""
    folder = PACKAGES / ".bin"
    found = shutil.which(name, path=f"{folder}{os.pathsep}{os.environ['PATH']}")
    if found is None or not folder.exists():
        missing(f"no {name}: install npm (Debian: apt install npm), then make test")
    return Path(found)
