"""Injecting a fault under traffic, and judging what is seen."""

import time
from collections import Counter

from support.chaos.faults import Fault, is_right
from support.chaos.report import Row
from support.chaos.traffic import Seen, Traffic
from support.chaos.world import World

# A request with a known key waits 250 ms for the database and 500 ms for Redis at most. A busy
# machine takes more; a request that waited for a whole query would take five seconds.
SLOWEST_SECONDS = 4


def inject(fault: Fault, world: World, traffic: Traffic) -> Row:
    """Inject a fault, end it, and wait for normal operation."""
    line, began = world.line_count(), time.monotonic()
    with fault.inject(world):
        time.sleep(fault.seconds)
    healed = time.monotonic() if fault.seconds else began
    recovered = traffic.settle(healed, is_right)
    seen = traffic.since(began)
    row = Row(fault.name, fault.promise, describe(seen), responses=len(seen))
    row.slowest = slowest(seen)
    row.recovered = recovered
    row.lines = world.lines(line)
    row.broken = judge(fault, row, seen)
    return row


def judge(fault: Fault, row: Row, seen: list[Seen]) -> list[str]:
    """Return which promises were broken."""
    broken = [f"{kind} {status}" for kind, status in counted(fault.violations(seen))]
    breaks = sum(s.status == 0 for s in seen)
    if breaks > fault.breaks:
        broken.append(f"{breaks} responses were aborted")
    if row.slowest > SLOWEST_SECONDS:
        broken.append("a request with a known key was slow")
    if row.recovered > fault.recovery:
        broken.append("the recovery was slow")
    if row.lines["traceback"]:
        broken.append("a traceback")
    return broken


def soak(world: World, traffic: Traffic, seconds: float) -> Row:
    """Watch the service without a fault."""
    line, began = world.line_count(), time.monotonic()
    time.sleep(seconds)
    seen = traffic.since(began)
    wrong = [s for s in seen if not is_right(s)]
    row = Row("none", "every response is as expected", describe(seen), responses=len(seen))
    row.slowest, row.lines = slowest(seen), world.lines(line)
    row.broken = [f"{kind} {status}" for kind, status in counted(wrong)]
    return row


def describe(seen: list[Seen]) -> str:
    """Return the responses by kind and status."""
    uncounted = sum(s.kind == "known" and s.status == 200 and not s.counted for s in seen)
    found = Counter((s.kind, s.status) for s in seen if s.kind != "live")
    texts = [
        f"{kind} {number}x {status or 'aborted'}"
        for (kind, status), number in sorted(found.items())
    ]
    return ", ".join(texts) + (f" ({uncounted} uncounted)" if uncounted else "")


def slowest(seen: list[Seen]) -> float:
    """Return how long the slowest request with a known key took."""
    return max((s.seconds for s in seen if s.kind == "known" and s.status), default=0)


def counted(seen: list[Seen]) -> list[tuple[str, int]]:
    """Return the distinct kinds and statuses of responses."""
    return sorted({(s.kind, s.status) for s in seen})
