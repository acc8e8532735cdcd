"""Mint and recognise API keys: `python -m {{ cookiecutter.__package }}.keys --help`.

A key is `{{ cookiecutter.__package }}_`, 43 random characters and a checksum of eight. The prefix lets
secret scanners find a key that got lost, the alphabet lets a double click select it, and the checksum
refuses a typo without a look-up. 43 characters out of 62 carry 256 random bits: against that much
chance a fast hash is enough, so what is stored is the SHA-256 digest of a key and never the key.
{% if not cookiecutter.__database %}

Standard library only: this file also runs as a script where nothing is installed.
{% endif %}
"""

{% if cookiecutter.__database %}
import hashlib
import re
import secrets
import string
import zlib
from datetime import date
{% else %}
import argparse
import hashlib
import json
import re
import secrets
import string
import sys
import zlib
from datetime import date
from typing import Any, NoReturn
{% endif %}

PREFIX = "{{ cookiecutter.__package }}"
DIGEST = re.compile(r"[0-9A-Fa-f]{64}")

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
{% raw %}
_KEY = re.compile(rf"{PREFIX}_[0-9A-Za-z]{{43}}[0-9a-f]{{8}}")
# In free text a key may be mistyped, percent-encoded (twice, even) or have dots for its middle.
_PREFIX_IN_TEXT = "".join(f"({letter}|%(25)*(?i:{ord(letter):x}))" for letter in f"{PREFIX}_")
_KEY_IN_TEXT = re.compile(_PREFIX_IN_TEXT + r"([0-9A-Za-z%]{43,}|[0-9A-Za-z]*\.\.\.[0-9A-Za-z]*)")
# The dots may also stand for the prefix; random characters and the checksum come after them.
_TAIL_IN_TEXT = re.compile(r"\.\.\.[0-9A-Za-z]{4,}[0-9a-f]{8}(?![0-9A-Za-z])")
{% endraw %}
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def mint() -> str:
    """Return a new key with 256 random bits."""
    body = f"{PREFIX}_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
    return f"{body}{_checksum(body):08x}"


def is_well_formed(text: str) -> bool:
    """Tell whether `text` has the format of a key and a checksum that fits."""
    return _KEY.fullmatch(text) is not None and _checksum(text[:-8]) == int(text[-8:], 16)


def digest(key: str) -> str:
    {% if cookiecutter.__database %}
    """Return the SHA-256 digest of a key, 64 hexadecimal digits: what the database holds."""
    {% else %}
    """Return the SHA-256 digest of a key, 64 hexadecimal digits: what `API_KEYS` holds."""
    {% endif %}
    return hashlib.sha256(key.encode()).hexdigest()


def redact(text: str) -> str:
    """Return `text` with every key in it, whole or mistyped, replaced by its prefix and three dots.

    Of a key that was shortened in its middle, no character after the dots is left either.
    """
    if len(text) < 43 and "..." not in text:  # most texts are paths, and too short to hold a key
        return text
    return _TAIL_IN_TEXT.sub("...", _KEY_IN_TEXT.sub(f"{PREFIX}_...", text))


def check_consumer(name: str) -> str:
    """Return the name of a consumer when it can stand in a log line.

    Raises:
        ValueError: the name is empty, too long, not printable, a digest or holds a key.
    """
    if redact(name) != name or DIGEST.fullmatch(name):
        raise ValueError("a consumer's name must not be a key or a digest: try billing-web")
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= 64:
        raise ValueError("a consumer's name is 1 to 64 printable characters, such as billing-web")
    return name


def check_scope(scope: str) -> str:
    """Return a scope when it is a scope token (RFC 6749, section 3.3) of at most 64 characters.

    Raises:
        ValueError: the scope is empty, too long or holds a space, a quote or a backslash.
    """
    if not _SCOPE.fullmatch(scope):
        raise ValueError(
            "a scope is 1 to 64 ASCII characters without spaces, quotes and backslashes,"
            " such as admin or orders:read"
        )
    return scope


def parse_expires(text: str) -> date:
    """Return the last day (UTC) on which a key is valid.

    Raises:
        ValueError: the text is no calendar date written YYYY-MM-DD.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("an expiry is a calendar date written YYYY-MM-DD, such as 2027-01-31")


def _checksum(body: str) -> int:
    return zlib.crc32(body.encode())


{% if cookiecutter.__database %}
if __name__ == "__main__":
    from .commands import main

    main()
{% else %}
class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="keys", description="Mint and recognise API keys.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="mint a key", allow_abbrev=False)
    new.add_argument("consumer", metavar="NAME", help="who holds the key, such as billing-web")
    new.add_argument("--scope", action="append", default=[], help="what it may do; repeatable")
    new.add_argument("--expires", metavar="YYYY-MM-DD", help="last day on which it is valid (UTC)")
    new.add_argument("--json", action="store_true", help="print one JSON object, key and entry")
    commands.add_parser("digest", help="read a key from stdin, print its entry fields")
    return parser


def _new(consumer: str, scopes: list[str], expires: str | None) -> tuple[str, dict[str, Any]]:
    key = mint()
    entry: dict[str, Any] = {"consumer": check_consumer(consumer), "sha256": digest(key)}
    if scopes:
        entry["scopes"] = [check_scope(scope) for scope in dict.fromkeys(scopes)]
    if expires is not None:
        entry["expires"] = parse_expires(expires).isoformat()
    return key, entry


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a mistake is one line on stderr and exit status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "digest":
        key = sys.stdin.readline().strip()
        if not is_well_formed(key):
            parser.error("stdin holds no key of this service: check that it was copied whole")
        print(json.dumps({"sha256": digest(key)}))
        return
    try:
        key, entry = _new(options.consumer, options.scope, options.expires)
    except ValueError as error:
        parser.error(str(error))
    if options.json:
        print(json.dumps({"key": key, "entry": entry}))
    else:
        print(f"Key, shown once and stored nowhere:\n\n  {key}\n")
        print(f"Its entry for API_KEYS:\n\n  {json.dumps(entry)}")


if __name__ == "__main__":
    main()
{% endif %}
