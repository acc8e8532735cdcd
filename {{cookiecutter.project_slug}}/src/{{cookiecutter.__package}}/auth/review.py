"""Keys that need attention: expiring, unused, or with scopes that no endpoint requires."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from .settings import KeyEntry

# A key that expires this soon needs a successor.
SOON = timedelta(days=14)
{% if cookiecutter.__database %}
# A key unused for this long may not be needed.
IDLE = timedelta(days=90)
{% endif %}
# How many keys a warning names at most.
MAX_NAMED = 10


def review_entry(entry: KeyEntry, asked: Collection[str] | None) -> dict[str, str]:
    """Return the findings about a key, each with a text.

    `asked` are the scopes that endpoints require, where they are known.
    """
    now = datetime.now(UTC)
    findings = {}
    if entry.expires is None:
        findings["no_end"] = "never expires"
    elif entry.expires <= now:
        findings["expired"] = "has expired"
    elif entry.expires <= now + SOON:
        findings["ends_soon"] = f"expires within {SOON.days} days"
    if asked is not None and (unasked := entry.scopes.difference(asked)):
        findings["unasked_scopes"] = f"no endpoint requires {' '.join(sorted(unasked))}"
    return findings


{% if cookiecutter.__database %}
def review_use(last_used: datetime | None, replaced: datetime | None) -> dict[str, str]:
    """Return the findings about the use of a valid key; `replaced` is when its successor began."""
    if last_used is None:
        return {"never_used": "never used"}
    findings = {}
    if last_used <= datetime.now(UTC) - IDLE:
        findings["idle"] = f"idle for {IDLE.days} days"
    if replaced is not None and last_used > replaced:
        findings["used_after_successor"] = "used after its successor was created"
    return findings


{% endif %}
def describe_ends(ends: Iterable[tuple[str, str, datetime | None]]) -> list[str]:
    """Return at most one warning, which names the keys that have expired or expire soon.

    `ends` has the id, the consumer and the expiry of each key.
    """
    now = datetime.now(UTC)
    expired: list[str] = []
    soon: list[str] = []
    for key_id, consumer, end in ends:
        if end is not None and end <= now + SOON:
            (expired if end <= now else soon).append(f"{key_id} of {consumer}")
    parts = [("Expired keys", expired), (f"Keys that expire within {SOON.days} days", soon)]
    named = [f"{what}: {_name(labels)}" for what, labels in parts if labels]
    return [". ".join(named)] if named else []


def _name(labels: list[str]) -> str:
    more = " and others" if len(labels) > MAX_NAMED else ""
    return ", ".join(labels[:MAX_NAMED]) + more
