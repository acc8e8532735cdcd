"""The files of a generated project."""

import re
from pathlib import Path

RESERVED_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def tree(project: Path) -> list[Path]:
    """Return the files and folders of a generated project, except those of git."""
    return [path for path in sorted(project.rglob("*")) if ".git" not in path.parts]


def contents(project: Path) -> dict[str, bytes]:
    """Return the files of a generated project with their content, except those of git."""
    files = [path for path in tree(project) if path.is_file()]
    return {file.relative_to(project).as_posix(): file.read_bytes() for file in files}


def windows_refuses(path: Path) -> bool:
    """Tell whether Windows cannot have a file of this name."""
    return any(
        re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part) or RESERVED_ON_WINDOWS.fullmatch(part)
        for part in path.parts
    )
