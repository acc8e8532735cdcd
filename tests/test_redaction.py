"""Redaction holds for hostile texts, and for services with any name."""

import json
import re
import string
import types
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
[SOURCE] = ROOT.glob("{{*/src/{{*/auth/keys.py")
PACKAGES = [
    "my_service",
    "a",
    "x1",
    "ab",
    "nx",
    "u",
    "a_a",
    "cafe_9",
    "orders",
    "z" * 63,
    "a_" * 31 + "a",
]
PROFILE = settings(max_examples=400, deadline=None)


@cache
def load_keys(package: str) -> Any:
    """Return the module as it is generated for `package`."""
    source = SOURCE.read_text(encoding="utf-8").replace("{{ cookiecutter.__package }}", package)
    module = types.ModuleType("keys")
    exec(compile(source, f"keys of {package}", "exec"), module.__dict__)  # noqa: S102
    assert package == module.PREFIX
    return module


random_parts = st.text(string.ascii_letters + string.digits, min_size=43, max_size=43).filter(
    lambda text: re.search("[G-Zg-z]", text[:20]) and re.search("[G-Zg-z]", text[-20:])
)


@st.composite
def hostile(draw: st.DrawFn) -> tuple[str, str, list[str]]:
    """Return a package, a text with two keys in it, and the random parts of the keys."""
    package = draw(st.sampled_from(PACKAGES))
    texts, parts = [], []
    for _ in range(2):
        part = draw(random_parts)
        body = f"{package}_{part}"
        key = f"{body}{zlib.crc32(body.encode()):08x}"
        prefix = draw(st.sampled_from([str.lower, str.upper, str.title]))(f"{package}_")
        dash = draw(st.sampled_from(["_", "_", "-", "\\_", "%5F", "%255f", "&#95;", "\\u005f"]))
        end = draw(st.integers(0, 51))
        texts.append(prefix.replace("_", dash) + key[len(package) + 1 :][:end])
        parts.append(part)
    separator = draw(st.one_of(st.sampled_from(["", "%2C", ",", "\n", "..."]), st.text(max_size=3)))
    text = separator.join(texts)
    for _ in range(draw(st.integers(0, 3))):
        text = encode(text, draw(st.sampled_from(["%", "all", "some", "json"])), draw)
    return package, draw(st.sampled_from(["", "x", "?k=", "5"])) + text, parts


def encode(text: str, how: str, draw: st.DrawFn) -> str:
    if how == "json":
        return json.dumps(text)
    chosen = {
        "%": "%",
        "all": None,
        "some": draw(st.text(string.ascii_letters + "%_5", max_size=9)),
    }
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        if chosen[how] is None or character in str(chosen[how])
        else character
        for character in text
    )


def leaks(text: str, part: str) -> bool:
    return any(part[start : start + 20] in text for start in range(24))


@PROFILE
@given(hostile())
def test_no_hostile_text_keeps_a_key(case: tuple[str, str, list[str]]) -> None:
    package, text, parts = case
    redacted = load_keys(package).redact(text)
    assert not any(leaks(redacted, part) for part in parts), redacted


@PROFILE
@given(hostile())
def test_redaction_is_idempotent(case: tuple[str, str, list[str]]) -> None:
    package, text, _ = case
    redact = load_keys(package).redact
    redacted = redact(text)
    assert redact(redacted) == redacted


@PROFILE
@given(hostile(), st.text(max_size=60))
def test_redacted_json_is_still_json(case: tuple[str, str, list[str]], more: str) -> None:
    package, text, parts = case
    line = json.dumps({"message": text, "exception": more + text, "path": text + more})
    redacted = load_keys(package).redact(line)
    assert json.loads(redacted).keys() == json.loads(line).keys()
    assert not any(leaks(redacted, part) for part in parts), redacted


@PROFILE
@given(st.sampled_from(PACKAGES), st.text(max_size=200))
@example("my_service", "%" * 50)
def test_any_text_is_redacted_once(package: str, text: str) -> None:
    redact = load_keys(package).redact
    assert redact(redact(text)) == redact(text)


@PROFILE
@given(
    st.sampled_from(PACKAGES),
    st.lists(st.from_regex(r"[a-z]{1,12}[0-9]{0,4}", fullmatch=True), min_size=1, max_size=5),
    st.sampled_from(["_", "-", ".", "/", " ", "%20"]),
)
def test_identifiers_stay_as_they_are(package: str, words: list[str], separator: str) -> None:
    for text in (f"{package}_{separator.join(words)}", f"{package}/{separator.join(words)}"):
        for cased in (text, text.upper()):
            assert load_keys(package).redact(cased) == cased


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_recognizes_its_keys(package: str) -> None:
    module = load_keys(package)
    key = module.generate_key()
    assert module.is_well_formed(key)
    assert module.redact(f"x%{key}{key}\\{key}\\n{key}") == (
        f"x%{package}_...{package}_...\\{package}_...\\n{package}_..."
    )
