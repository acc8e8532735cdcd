"""A name is accepted only where everything that uses it can carry a key under it."""

import pytest
from support.pre_gen import hook_names, rendered


def problems(location: str, name: str) -> list[str]:
    """Return what the hook says about the name of a key."""
    answers = rendered(key_location=location, key_name=name)
    found: list[str] = hook_names(answers)["problems"]("key_name")
    return found


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("header", "X-API-Key"),
        ("bearer", "Authorization"),
        ("cookie", "api_key"),
        ("query", "api_key"),
        ("fallback", "X-API-Key"),
    ],
)
def test_default_name_fits_its_location(location: str, name: str) -> None:
    assert rendered(key_location=location)["key_name"] == name
    assert problems(location, name) == []


@pytest.mark.parametrize(
    ("location", "name", "reason"),
    [
        ("header", "api_key", "nginx"),
        ("fallback", "X_API_Key", "nginx"),
        ("header", "Authorization", "key_location=bearer"),
        ("fallback", "authorization", "key_location=bearer"),
        ("bearer", "X-API-Key", "RFC 6750"),
        ("bearer", "authorization", "RFC 6750"),
        ("bearer", "", "RFC 6750"),
        ("header", "X Key", "header name"),
        ("cookie", "path", "http.cookies"),
        ("cookie", "Max-Age", "http.cookies"),
        ("cookie", "__Host-Domain", "http.cookies"),
        ("cookie", "partitioned", "http.cookies"),
        ("cookie", "a:b", "cookie name"),
        ("query", "a b", "letters, digits"),
        ("query", "\ud83d", "letters, digits"),
        ("query", "next", "the service itself"),
        ("fallback", "X-Path", "'path'"),
        ("fallback", "Version", "'version'"),
        ("fallback", "X-Next", "'next'"),
        ("fallback", "X-", "''"),
        ("header", "...", "filled in"),
    ],
)
def test_name_that_cannot_carry_a_key_is_refused(location: str, name: str, reason: str) -> None:
    assert reason in " ".join(problems(location, name))
