"""How dense the conditions in the files of the template are: `python -m support.conditions`.

A line counts when it holds a Jinja statement that decides or repeats.
"""

import re
from pathlib import Path

from support.template import PROJECT, TEMPLATE

CONDITION = re.compile(r"\{%[-+]?\s*(if|elif|else|endif|for)\b")
SHOWN = 10


def density(text: str) -> float:
    """Return the share of the lines that hold a condition."""
    lines = text.splitlines()
    return sum(bool(CONDITION.search(line)) for line in lines) / len(lines) if lines else 0.0


def densities(folder: Path) -> dict[str, float]:
    """Return the density of each template file in a folder, the densest first."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    found = {
        file.relative_to(folder).as_posix(): density(file.read_text(encoding="utf-8"))
        for file in files
    }
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def main() -> None:
    """Print the densest files of the template."""
    for file, share in list(densities(TEMPLATE / PROJECT).items())[:SHOWN]:
        print(f"{share:6.1%}  {file}")


if __name__ == "__main__":
    main()
