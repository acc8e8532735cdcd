"""The table of faults, as a page of this repository."""

from collections import Counter
from dataclasses import dataclass, field

from support.template import TEMPLATE

PAGE = TEMPLATE / "docs/chaos.md"
INTRODUCTION = """\
# Bad days

`make chaos` injects faults into a busy service and writes this page. The service has two workers,
keys in a real PostgreSQL, limits in a real Redis, `KEY_CACHE_SECONDS=2`, and eleven clients that
send requests without a pause: known keys, unknown keys, a revoked key and health checks.

"Recovered" is how long after the end of a fault the last response came that was not as it is on a
good day, or took a second; for processes it is how long all of it took. "Slowest" is the longest
time that a request with a known key took. Log lines are those of both workers above the level
`info`, by event or by their beginning, without refusals of keys.

{summary}

| Fault | Promised | Seen | Slowest | Recovered | Log lines |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass
class Row:
    """What was seen of one fault."""

    name: str
    promise: str
    seen: str
    slowest: float = 0
    recovered: float = 0
    lines: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    responses: int = 0

    def text(self) -> str:
        """Return a row of the table."""
        lines = ", ".join(f"{count}x {line}" for line, count in sorted(self.lines.items()))
        seen = "; ".join([self.seen, *(f"**broken: {what}**" for what in self.broken)])
        times = [f"{seconds:.1f} s" for seconds in (self.slowest, self.recovered)]
        return (
            f"| {self.name} | {self.promise} | {seen} | {' | '.join(times)} | {lines or 'none'} |"
        )


def write_page(rows: list[Row], seconds: float) -> None:
    """Write the page anew."""
    total = sum(row.responses for row in rows)
    broken = sum(bool(row.broken) for row in rows)
    summary = (
        f"The last run took {seconds / 60:.0f} minutes and {total} requests."
        f" {broken or 'No'} promise{'s were' if broken > 1 else ' was'} broken."
    )
    table = [row.text() for row in rows]
    PAGE.write_text(
        INTRODUCTION.format(summary=summary) + "\n".join(table) + "\n", encoding="utf-8"
    )
