"""The format of an API key: generate, check, hash and redact keys.

A key is `my_service_`, 43 random characters and a checksum of eight. Secret scanners find a leaked
key by its prefix, a double click selects it whole, and the checksum detects a typo without a
look-up. 43 characters out of 62 carry 256 random bits. A fast hash is safe for that much
randomness, so stores hold the SHA-256 digest of a key and never the key.

Standard library only, and Python 3.10: the hook that generates a project executes this file alone.
"""

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone

# What messages call the program that `pyproject.toml` installs.
PROGRAM = "my-service"
PREFIX = "my_service"
REMOVED_LENGTH = len(PREFIX) + 1 + 40  # the shortest text that `remove_keys` removes
DIGEST = re.compile(r"[0-9A-Fa-f]{64}")

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY = re.compile(PREFIX + "_[0-9A-Za-z]{43}[0-9a-f]{8}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,64}")

_UTC = timezone.utc  # noqa: UP017 - `datetime.UTC` is new in Python 3.11
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_DURATION = re.compile("([0-9]{1,5})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def generate_key() -> str:
    """Return a new key with 256 random bits."""
    body = PREFIX + "_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
    return f"{body}{_checksum(body):08x}"


def has_key_format(text: str) -> bool:
    """Tell whether `text` has the prefix, the length and the characters of a key.

    A text that has the format without being well-formed is a mistyped key: its checksum is wrong.
    """
    return _KEY.fullmatch(text) is not None


def is_well_formed(text: str) -> bool:
    """Tell whether `text` has the format of a key and the right checksum."""
    return has_key_format(text) and _checksum(text[:-8]) == int(text[-8:], 16)


def hash_key(key: str) -> str:
    """Return the SHA-256 digest of a key as 64 hexadecimal digits, the form that stores hold."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_id(digest: str) -> str:
    """Return the public id of the key with this digest: 16 hexadecimal digits.

    The id is a hash of the digest, so that logs and tools can show it without showing a part of
    the digest.
    """
    return hashlib.sha256(f"key id:{digest.lower()}".encode()).hexdigest()[:16]


def key_hint(key: str) -> str:
    """Return the last four random characters of a key, by which people recognize it."""
    return key[-12:-8]


def check_consumer(name: str) -> None:
    """Check the name of a consumer, which is shown in logs and tools.

    Raises:
        ValueError: the name is empty, longer than 64 characters, not printable, a key or a digest.
    """
    _check_label("a consumer's name", name, "billing-web")


def check_name(name: str) -> None:
    """Check the name of a key, which is shown in logs and tools.

    Raises:
        ValueError: the name is empty, longer than 64 characters, not printable, a key or a digest.
    """
    _check_label("a key's name", name, "laptop-2030")


def check_scope(scope: str) -> None:
    """Check that a scope is a scope token (RFC 6749, section 3.3) of at most 64 characters.

    Raises:
        ValueError: the scope is empty, too long, a key, or holds a space, a quote or a backslash.
    """
    if redact(scope) != scope:
        raise ValueError("a scope must not be a key: use a word such as admin or orders:read")
    if not _SCOPE.fullmatch(scope):
        raise ValueError(
            f"{_quoted(scope)} is not a scope: use 1 to 64 ASCII characters without spaces,"
            " quotes and backslashes, such as admin or orders:read"
        )


def parse_expires(text: str) -> datetime:
    """Return the time (UTC) from which a key is no longer valid.

    `text` is the last day on which the key is valid (UTC) or the end itself (RFC 3339).

    Raises:
        ValueError: the text is neither, or a time without UTC offset.
    """
    moment = _MOMENT.fullmatch(text)
    if moment and moment[3] is None:
        raise ValueError(
            f"{_quoted(text)} has no UTC offset: append Z for UTC or an offset such as +01:00,"
            " as in 2030-12-31T12:00:00Z"
        )
    try:
        if moment:
            offset = "+00:00" if moment[3] in "Zz" else moment[3]
            return datetime.fromisoformat(f"{moment[1]}T{moment[2]}{offset}").astimezone(_UTC)
        if _DATE.fullmatch(text):
            last_day = datetime.combine(date.fromisoformat(text), time(), _UTC)
            return last_day + timedelta(days=1)
    except (ValueError, OverflowError):
        pass  # no such day or hour
    raise ValueError(
        f"{_quoted(text)} is not an expiry: use the last valid day (UTC) such as 2030-12-31, or a"
        " time with its UTC offset such as 2030-12-31T12:00:00Z"
    )


def format_expires(moment: datetime) -> str:
    """Return an expiry as `parse_expires` reads it: the last valid day where it ends at midnight.

    Raises:
        ValueError: the time has no UTC offset.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"{moment.isoformat()} has no UTC offset: use datetime.now(UTC)")
    moment = moment.astimezone(_UTC)
    if moment.time() == time() and moment.date() > date.min:
        return (moment.date() - timedelta(days=1)).isoformat()
    return moment.replace(tzinfo=None).isoformat() + "Z"


def parse_duration(text: str) -> timedelta:
    """Return a duration written as a number of days, hours or minutes, or `0`.

    Raises:
        ValueError: the text is not `0` or one to five digits and `d`, `h` or `m`.
    """
    if text == "0":
        return timedelta()
    duration = _DURATION.fullmatch(text)
    if duration is None:
        raise ValueError(
            f"{_quoted(text)} is not a duration: use a whole number of days, hours or minutes such"
            " as 90d, 12h or 30m, or 0"
        )
    return timedelta(**{_UNITS[duration[2]]: int(duration[1])})


# How redaction recognizes keys in any text. All patterns run in linear time: each repetition ends
# at a character that it cannot match, or has a limit.
_HEX = frozenset(string.hexdigits)
# A prefix in any casing; people and programs also write a dash for an underscore.
_DASH = "[_\\-\u2010-\u2015\u2212\uff3f]"
_PREFIX = "(?ai:" + _DASH.join([*PREFIX.split("_"), ""]) + ")"
# A letter or digit of a key. It is not the first one of another key's prefix: two keys may touch.
_CHARACTER = "(?:(?!" + _PREFIX + ")[0-9A-Za-z])"
_ALONE = "(?<![0-9A-Za-z])"
_MIXED = "(?=[A-Za-z]*[0-9])(?=[0-9a-z]*[A-Z])(?=[0-9A-Z]*[a-z])"
_NOT_HEX = "(?=[0-9A-Fa-f]*[G-Zg-z])"
_DOTS = r"(?:\.\.\.|\u2026)"
# The rest of a key that was shortened in its middle, or wrapped at the end of a line.
_REST = (
    "(?:" + _DOTS + _CHARACTER + "+"
    r"|[^0-9A-Za-z._:/\"-]{1,16}" + _MIXED + _CHARACTER + "{20,})"
)  # fmt: skip
_RANDOM = "(?:" + _MIXED + _CHARACTER + "{8,}|" + _CHARACTER + "{20,})"
_PREFIXED_KEY = (
    "(?:" + _ALONE + _PREFIX + _RANDOM +
    "|" + _PREFIX + _NOT_HEX + _CHARACTER + "{20,}"
    "|" + _PREFIX + _CHARACTER + "*(?=" + _REST + ")"
    ")" + _REST + "*"
)  # fmt: skip
_CHECKSUM = "[0-9a-f]{8}(?!" + _CHARACTER + ")"
_OWN_NAME = "(?ai:" + "|".join(PREFIX.split("_")) + ")(?![0-9A-Za-z])"
_SECRET = re.compile(
    "(?:(" + _PREFIXED_KEY + ")"
    "|" + _ALONE + "(?!" + _OWN_NAME + ")" + _NOT_HEX + _CHARACTER + "{40,}"
    "|" + _ALONE + _MIXED + _CHARACTER + "{20,}" + _CHECKSUM +
    "|" + _DOTS + _NOT_HEX + _CHARACTER + "{4,}" + _CHECKSUM +
    # Keys that follow without a separator
    ")((?:" + _PREFIX + _RANDOM + _REST + "*)*)"
)  # fmt: skip

_LITERAL_PREFIX = re.compile(_PREFIX)
# \u005f, \x5f, \_ and \n behind any number of backslashes; &#95; and &#x5f;, escaped again or not.
_ESCAPE = re.compile(
    r"\\(?<!\\\\)\\*(?!" + _PREFIX + r")(?:"
    r"u(?!.{0,3}" + _PREFIX + r")([0-9A-Fa-f]{4})|x(?!.?" + _PREFIX + r")([0-9A-Fa-f]{2})"
    r"|([_-])|[abfnrtv])"
    r"|&(?:amp;)*#(?:[xX]0*([0-9A-Fa-f]{1,2})|0*([0-9]{1,3}));"
)

# A key that is complete, or nearly so, after a prefix in any spelling.
_WHOLE_KEY = re.compile(_PREFIX + _NOT_HEX + _CHARACTER + "{40,}")

# For the quick look at each text: lower case and underscores, then letters and digits alike.
_FLAT = bytes.maketrans(
    string.ascii_uppercase.encode() + b"-?", string.ascii_lowercase.encode() + b"__"
)
_FLAT_PREFIX = f"{PREFIX}_".encode()
_RUNS = bytes(ord("0") if chr(byte).isalnum() and byte < 128 else ord(" ") for byte in range(256))
_LONG_RUN = b"0" * 28


def redact(text: str) -> str:
    """Return `text` with `<prefix>_...` in place of each key, and `...` where a prefix is missing.

    After a prefix in any spelling, 20 letters and digits are taken for a key, and so are eight
    that mix upper case, lower case and digits. Without a prefix, 40 letters and digits are, unless
    all are hexadecimal, and 28 that end like a key. Escapes are decoded to recognize keys; the
    rest of the text stays as it was written.
    """
    view, starts = _decode(text)
    if not _may_hold_key(view):
        return text
    parts, end = [], 0
    for secret in _SECRET.finditer(view):
        parts.append(text[end : starts[secret.start()]])
        parts.append(f"{PREFIX}_..." if secret[1] else "...")
        parts.append(f"{PREFIX}_..." if secret[2] else "")
        end = starts[secret.end()]
    return "".join(parts) + text[end:]


def remove_keys(text: str) -> str:
    """Return `text` with `<prefix>_...` in place of each key, and the rest as it was.

    This is for what the service goes on to use, so it removes less than `redact`: only a prefix in
    any spelling with 40 letters and digits or more that are not all hexadecimal.
    """
    view, starts = _decode(text)
    if not has_prefix(view):
        return text
    parts, end = [], 0
    for key in _WHOLE_KEY.finditer(view):
        parts += [text[end : starts[key.start()]], f"{PREFIX}_..."]
        end = starts[key.end()]
    return "".join(parts) + text[end:]


def has_prefix(text: str) -> bool:
    """Tell whether the prefix of keys is in `text`, in any casing."""
    return _FLAT_PREFIX in _flatten(text)


def _flatten(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(_FLAT)


def _may_hold_key(text: str) -> bool:
    """Tell whether the pattern could match. Most texts hold no key, and this look is quick."""
    flat = _flatten(text)
    if _FLAT_PREFIX in flat or "..." in text or "\u2026" in text:
        return True
    runs = flat.translate(_RUNS) + b" "
    start = runs.find(_LONG_RUN)
    while start >= 0:
        end = runs.find(b" ", start)
        if text[start:end].strip(string.hexdigits):
            return True
        start = runs.find(_LONG_RUN, end)
    return False


def _decode(text: str) -> tuple[str, Sequence[int]]:
    """Return `text` without escapes, and for each of its characters where it starts in `text`.

    The last start is the end of `text`. Escapes of different kinds are decoded four deep, for
    example a percent-encoded key in a JSON string inside another JSON string.
    """
    view: str = text
    starts: Sequence[int] = range(len(text) + 1)
    for _ in range(4):
        length = len(view)
        if "%" in view:
            view, steps = _decode_percent(view)
            starts = [starts[step] for step in steps]
        if ("\\" in view or "&" in view) and _ESCAPE.search(view):
            view, steps = _decode_escapes(view)
            starts = [starts[step] for step in steps]
        if len(view) == length:
            break
    return view, starts


def _decode_percent(text: str) -> tuple[str, Sequence[int]]:
    """Decode percent-encoding repeatedly and completely, in linear time.

    A decoded character can complete an earlier escape (`%25%35%46` is `%5F`), so the last three
    characters are looked at after each step. Each decoded escape makes the result shorter.
    """
    first, *pieces = text.split("%")
    view, position = list(first), len(first)
    starts = list(range(position))
    for piece in pieces:
        view.append("%")
        starts.append(position)
        position += 1
        index = 0
        while index < len(piece) and "%" in view[-2:]:
            view.append(piece[index])
            starts.append(position + index)
            index += 1
            while view[-3:-2] == ["%"] and _HEX.issuperset(view[-2:]):
                # The digits may be the start of a key, as in 100%ab_...
                if any(_LITERAL_PREFIX.match(text, start) for start in starts[-2:]):
                    break
                view[-3:] = [chr(int(view[-2] + view[-1], 16))]
                del starts[-2:]
        view += piece[index:]
        starts += range(position + index, position + len(piece))
        position += len(piece)
    return "".join(view), [*starts, len(text)]


def _decode_escapes(text: str) -> tuple[str, Sequence[int]]:
    """Decode backslash escapes and HTML character references."""
    parts: list[str] = []
    starts: list[int] = []
    end = 0
    for escape in _ESCAPE.finditer(text):
        unicode, byte, dash, hexadecimal, decimal = escape.groups()
        if code := unicode or byte or hexadecimal:
            character = chr(int(code, 16))
        elif decimal:
            character = chr(int(decimal))
        else:  # a control character such as \n: no part of a key, whichever it is
            character = dash or "\n"
        parts += [text[end : escape.start()], character]
        starts += range(end, escape.start() + 1)
        end = escape.end()
    return "".join([*parts, text[end:]]), [*starts, *range(end, len(text) + 1)]


def _check_label(what: str, text: str, example: str) -> None:
    if redact(text) != text or DIGEST.fullmatch(text):
        raise ValueError(
            f"{what} must not be a key or a digest, nor 40 letters and digits in a row:"
            f" use a name such as {example}"
        )
    # Control, format (bidirectional, zero-width) and other invisible characters are not printable.
    if not text.isprintable() or text != text.strip() or not 1 <= len(text) <= 64:
        raise ValueError(
            f"{_quoted(text)} is not {what}: use 1 to 64 printable characters without spaces at"
            f" the ends, such as {example}"
        )


def _quoted(text: str) -> str:
    """Return the beginning of `text` for an error message, without keys and control characters."""
    return repr(redact(text)[:40])


def _checksum(body: str) -> int:
    return zlib.crc32(body.encode())
