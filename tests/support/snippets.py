"""The snippets of a generated README, as they are printed."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """A block of code, and the heading above it."""

    heading: str
    language: str
    code: str

    @property
    def imports(self) -> list[str]:
        """The lines that import something."""
        return re.findall(r"^from .+ import \w.*$", self.code, re.MULTILINE)

    @property
    def body(self) -> str:
        """The lines after the imports."""
        return re.sub(r"^from .+ import \w.*\n", "", self.code, flags=re.MULTILINE).lstrip("\n")


def read_snippets(project: Path) -> list[Snippet]:
    """Return the snippets in the README of a project, in their order."""
    readme = (project / "README.md").read_text(encoding="utf-8")
    outside = FENCE.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), readme)  # shell comments
    headings = [(found.start(), found[1]) for found in HEADING.finditer(outside)]
    return [
        Snippet(
            [text for start, text in headings if start < block.start()][-1],
            block[2],
            dedent(block[3]),
        )
        for block in FENCE.finditer(readme)
    ]
