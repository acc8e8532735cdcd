"""Classifies texts that may be keys, for `keys find`."""

import sys
from typing import Any

from . import keys


def read_key() -> str:
    """Return the key that was written to stdin: an argument would stay in the shell's history.

    Raises:
        ValueError: there is none, or more than one line.
    """
    text = _read_stdin() if sys.stdin else ""  # the process may have no stdin
    if not text.strip() or len(text.split()) > 1:
        raise ValueError("write one key to stdin, on a single line")
    return text.strip()


def _read_stdin() -> str:
    if sys.stdin.isatty():
        print("Paste the key, and press Enter.", file=sys.stderr)
        return sys.stdin.readline()
    text = sys.stdin.read(4096).removeprefix("\ufeff")
    return text.encode(errors="replace").decode()  # without bytes that are not text


def describe_unstored(key: str) -> dict[str, Any]:
    """Say what a text is if the store has no such key."""
    if keys.is_well_formed(key):
        return {"state": "unknown", "hint": keys.key_hint(key)}
    return {"state": "mistyped" if keys.has_key_format(key) else "not a key of this service"}


def explain_found(found: dict[str, Any]) -> str:
    """Return one line with the consumer and the state of a key."""
    state: str = found["state"]
    if "id" not in found:
        explained = {
            "unknown": f"unknown: it is well formed, ends in {found.get('hint')}, and is not stored",
            "mistyped": "mistyped: its checksum is wrong",
        }
        return explained.get(state, state)
    since = {"expired": found["expires"], "revoked": found.get("revoked")}.get(state)
    name = f" {found['name']!r}" if found["name"] else ""
    return f"Key {found['id']}{name} of {found['consumer']}: {state}" + (
        f" since {since}" if since else ""
    )
