"""Redaction: no 20 consecutive random characters of a key remain in a text."""

import json
import random
import string
import zlib
from collections.abc import Callable, Iterator

import pytest

from {{ cookiecutter.__package }}.auth import keys

PREFIX = f"{keys.PREFIX}_"
REDACTED = f"{PREFIX}..."
ALPHABET = string.digits + string.ascii_letters


def make_key(source: random.Random) -> str:
    """Return a key that the seed of `source` decides."""
    body = PREFIX + "".join(source.choices(ALPHABET, k=43))
    return f"{body}{zlib.crc32(body.encode()):08x}"


KEY = make_key(random.Random(1))
OTHER = make_key(random.Random(2))


def leaks(text: str, *written: str) -> bool:
    """Tell whether 20 consecutive random characters of a key are in `text`, in any casing."""
    folded = text.lower()
    return any(
        key[start : start + 20].lower() in folded
        for key in written
        for start in range(len(PREFIX), len(PREFIX) + 24)
    )


@pytest.mark.parametrize(
    "spelling",
    [
        PREFIX.upper(),
        PREFIX.title(),
        PREFIX.replace("_", "-"),
        PREFIX.replace("_", "\\_"),
        PREFIX.replace("_", "\\\\_"),
        PREFIX.replace("_", "%5F"),
        PREFIX.replace("_", "%255f"),
        PREFIX.replace("_", "%2525252525255F"),
        PREFIX.replace("_", "%25%35%46"),
        PREFIX.replace("_", "\\u005f"),
        PREFIX.replace("_", "\\\\x5F"),
        PREFIX.replace("_", "&#95;"),
        PREFIX.replace("_", "&amp;#x5f;"),
        PREFIX.replace("_", "\N{EN DASH}"),
        "".join(f"%{ord(character):02x}" for character in PREFIX),
    ],
)
@pytest.mark.parametrize("length", [20, 30, 42, 43, 51])
def test_every_spelling_of_the_prefix_is_recognized(spelling: str, length: int) -> None:
    random_part = KEY[len(PREFIX) :][:length]
    assert keys.redact(f"a {spelling}{random_part}, b") == f"a {REDACTED}, b"


@pytest.mark.parametrize(
    "separator",
    [
        "",
        "%2C",
        ",",
        " ",
        "\n",
        "\\n",
        "_",
        "-",
        ".",
        "...",
        "=",
        "&keys=",
        "%",
        "\\",
        "%252C",
        "x",
    ],
)
def test_both_of_two_keys_are_redacted(separator: str) -> None:
    redacted = keys.redact(f"?keys={KEY}{separator}{OTHER}&b=1")
    assert redacted.startswith(f"?keys={REDACTED}")
    assert redacted.endswith(f"{REDACTED}&b=1")
    assert redacted.count(PREFIX) == 2
    assert len(redacted) <= len(f"?keys={REDACTED}{separator}{REDACTED}&b=1")


def test_separators_remain() -> None:
    assert keys.redact(f"?keys={KEY}%2C{OTHER}") == f"?keys={REDACTED}%2C{REDACTED}"
    assert keys.redact(KEY + OTHER) == REDACTED * 2


@pytest.mark.parametrize("length", range(52))
def test_shortened_keys_are_redacted(length: int) -> None:
    cut = KEY[: len(PREFIX) + length]
    for text in (cut, f"{cut}'", f"{OTHER}{cut}", f"{cut}{OTHER}", f"{cut}...{OTHER[-9:]}"):
        assert not leaks(keys.redact(text), KEY, OTHER)
    if length >= 20:
        assert keys.redact(cut) == REDACTED


@pytest.mark.parametrize("length", [8, 12, 19])
def test_mixed_characters_after_a_prefix_are_redacted(length: int) -> None:
    mixed = "aB3dE5gH7jK9mN1pQ3s"[:length]
    assert keys.redact(f"key={PREFIX}{mixed}.") == f"key={REDACTED}."


@pytest.mark.parametrize("start", range(1, len(PREFIX) + 1))
def test_key_without_its_prefix_is_redacted(start: int) -> None:
    redacted = keys.redact(f"key {KEY[start:]}!")
    assert redacted.endswith("...!")
    assert not leaks(redacted, KEY)


def test_end_of_a_key_is_redacted() -> None:
    for length in range(28, 52):
        assert keys.redact(f"key {KEY[-length:]}!") == "key ...!"
        assert keys.redact(f"{KEY[-length:]}{OTHER}") == f"...{REDACTED}"


def test_long_run_is_redacted_unless_hexadecimal() -> None:
    assert keys.redact("z" * 39) == "z" * 39
    assert keys.redact("z" * 40) == "..."
    assert keys.redact("f" * 39 + "g") == "..."
    for length in (32, 40, 64, 128):
        assert keys.redact("0aF9" * (length // 4)) == "0aF9" * (length // 4)


def test_key_shortened_in_its_middle_is_redacted() -> None:
    for dots in ("...", "\N{HORIZONTAL ELLIPSIS}"):
        text = f"input_value='{KEY[: len(PREFIX) + 13]}{dots}{KEY[-23:]}'"
        assert keys.redact(text) == f"input_value='{REDACTED}'"


@pytest.mark.parametrize("around", ["'...{}'", "Cookie: ...{}; theme=dark", "?a=b...{}&c=d"])
@pytest.mark.parametrize("length", [12, 23, 51])
def test_end_of_a_key_after_dots_is_redacted(around: str, length: int) -> None:
    assert keys.redact(around.format(KEY[-length:])) == around.format("")


@pytest.mark.parametrize("ending", ["\n", "\r\n    ", "\\n", "=\n", " │\n│ "])
def test_key_wrapped_at_a_line_end_is_redacted(ending: str) -> None:
    for position in range(len(PREFIX), len(KEY) + 1):
        redacted = keys.redact(KEY[:position] + ending + KEY[position:])
        assert not leaks(redacted, KEY)


@pytest.mark.parametrize(
    "text",
    [
        keys.PREFIX,
        f"{keys.PREFIX}.auth INFO src/{keys.PREFIX}/auth/keys.py:12",
        f"{keys.PREFIX.replace('_', '-')} 1.0 started",
        f"{PREFIX}settings {PREFIX}migrations_versions_0001 {PREFIX}users...",
        f"{PREFIX.upper()}DATABASE_URL=postgresql+psycopg://user@db:5432/{PREFIX}production",
        f"{PREFIX.replace('_', '-')}7d9f8b6c5d-x2x4z",
        f"{PREFIX.replace('_', '-')}1.0.0-py3-none-any.whl",
        f"{PREFIX}page=1&q=a%20b&q=c+d&x=%2F%C3%A9",
        "7b0e2a0e-3f5c-4c0e-9d53-d9a1a6f0a5b1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "sha256:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683",
        "GET /compare/main...4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d4f2a9c1d",
        "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
        '  File "/usr/lib/python3.11/asyncio/runners.py", line 190, in run\n    raise ValueError',
        "fastapi.security.oauth2.OAuth2PasswordRequestFormStrict: Waiting for startup...",
        r"C:\users\new\table and \\u2028 and &#60;&amp;#62; 100%",
        "\udc80\x00\x9b",
    ],
    ids=range(17),
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert keys.redact(text) == text


def encode_percent(text: str, source: random.Random) -> str:
    """Return `text` with some characters percent-encoded."""
    share = source.random()
    return "".join(
        f"%{ord(character):02{source.choice('xX')}}" if source.random() < share else character
        for character in text
    )


def swap_case(text: str, source: random.Random) -> str:
    """Return `text` with the prefix of its keys in a random casing."""
    mixed = "".join(source.choice([letter.upper(), letter]) for letter in PREFIX)
    return text.replace(PREFIX, mixed)


def respell(text: str, source: random.Random) -> str:
    """Return `text` with another spelling of the underscores."""
    return text.replace("_", source.choice(["-", "\\_", "\\u005f", "&#95;", "%5f"]))


def quote_json(text: str, source: random.Random) -> str:
    """Return `text` as a JSON string, at times inside another one."""
    return json.dumps(json.dumps(text)) if source.random() < 0.3 else json.dumps(text)


CHANGES: list[Callable[[str, random.Random], str]] = [
    encode_percent,
    encode_percent,
    swap_case,
    respell,
    quote_json,
]


def hostile_texts(seed: int, count: int) -> Iterator[tuple[str, str, str]]:
    """Yield texts with two keys in them, and these keys."""
    source = random.Random(seed)
    for _ in range(count):
        first, second = make_key(source), make_key(source)
        separator = "".join(source.choices(string.printable, k=source.randrange(4)))
        text = first[: source.randint(0, len(first))] + separator
        text += second[: source.randint(0, len(second))]
        for change in source.choices(CHANGES, k=source.randrange(5)):
            text = change(text, source)
        yield source.choice(["", "x", "/?k=", "key: ", "a%20"]) + text, first, second


@pytest.mark.parametrize("seed", range(4))
def test_no_hostile_text_keeps_a_key(seed: int) -> None:
    for text, first, second in hostile_texts(seed, 250):
        redacted = keys.redact(text)
        assert not leaks(redacted, first, second), (text, redacted)
        assert keys.redact(redacted) == redacted


def test_redacted_json_is_still_json() -> None:
    for text, first, second in hostile_texts(9, 500):
        line = keys.redact(json.dumps({"message": text, "path": second, "more": "\n" + text}))
        assert not leaks(line, first, second)
        assert json.loads(line).keys() == {"message", "path", "more"}


@pytest.mark.parametrize(
    "part",
    [
        "%25",
        "%3",
        "\\",
        "\\n",
        "&amp;",
        "&#0",
        PREFIX,
        f"{PREFIX}abc ",
        PREFIX[:-1],
        "z",
        "f",
        ".",
        KEY,
    ],
)
def test_long_hostile_text_takes_linear_time(part: str) -> None:
    text = part * (
        2**16 // len(part)
    )  # would take hours if each character meant a look at the rest
    redacted = keys.redact(text)
    assert keys.redact(redacted) == redacted
