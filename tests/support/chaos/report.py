"""The table of faults, as a page of this repository."""

from collections import Counter
from dataclasses import dataclass, field

from support.template import TEMPLATE

PAGE = TEMPLATE / "docs/chaos.md"
INTRODUCTION = """\
# Fault injection

`make chaos` injects faults into a busy service and writes this page. The service runs two workers,
with keys in a real PostgreSQL, limits in a real Redis, and `KEY_CACHE_SECONDS=2`. Eleven clients
send requests without a pause: with known keys, unknown keys and a revoked key, and to the
readiness and liveness checks.

"Observed" counts responses by kind of request and status. "Slowest" is the longest time of a
request with a known key. "Recovered" is the time from the end of the fault to the last response
that differed from normal operation or took longer than a second; for processes, it is the duration
of the whole scenario. "Log lines" counts the lines of both workers above the level `info`, by event
or by their first words, without refusals of keys.

{summary}

| Fault | Promised | Observed | Slowest | Recovered | Log lines |
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
    """Write the page."""
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
