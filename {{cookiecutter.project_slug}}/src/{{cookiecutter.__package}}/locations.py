"""Where a client puts its key."""

from collections.abc import Callable
{% if cookiecutter.__cookie %}
from functools import partial
{% endif %}
from typing import NamedTuple

{% if cookiecutter.key_location == "header" %}
from fastapi.security import APIKeyHeader
{% elif cookiecutter.key_location == "cookie" %}
from fastapi.security import APIKeyCookie
{% elif cookiecutter.key_location == "query" %}
from fastapi.security import APIKeyQuery
{% else %}
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
{% endif %}
from fastapi.security.api_key import APIKeyBase
from starlette.types import Scope

{% if cookiecutter.__cookie %}
from .settings import Settings

COOKIE = "{{ cookiecutter.__cookie_name }}"
{% endif %}
{% if cookiecutter.__header %}
HEADER = "{{ cookiecutter.key_name }}"
{% endif %}
{% if cookiecutter.__query %}
QUERY = "{{ cookiecutter.__query_name }}"
{% endif %}

{% if cookiecutter.__header %}
_HEADER_IN_ASGI = HEADER.lower().encode()
{% endif %}
{% if cookiecutter.key_docs_url %}
_DESCRIPTION = "[Generate a token](<{{ cookiecutter.key_docs_url }}>)"
{% else %}
_DESCRIPTION = "An API key of this service"
{% endif %}


class Location(NamedTuple):
    """A place for keys: its name, how to read what was sent there, and its scheme in OpenAPI."""

    name: str
    read: Callable[[Scope], list[str]]
    scheme: APIKeyBase


{% if cookiecutter.__cookie %}
def locations(settings: Settings) -> tuple[Location, ...]:
{% else %}
def locations() -> tuple[Location, ...]:
{% endif %}
    """Return the places for keys, in the order in which they are looked through."""
    {% if cookiecutter.__cookie %}
    name = cookie_name(settings)
    cookie = Location(
        "cookie",
        partial(read_cookie, name),
        APIKeyCookie(name=name, description=f"{_DESCRIPTION} · [Sign in](sign-in)"),
    )
    {% endif %}
    {% if cookiecutter.__header %}
    header = Location("header", _read_header, APIKeyHeader(name=HEADER, description=_DESCRIPTION))
    {% endif %}
    {% if cookiecutter.__query %}
    query = Location(
        "query",
        _read_query,
        APIKeyQuery(name=QUERY, description=_DESCRIPTION),
    )
    {% endif %}
    {% if cookiecutter.key_location == "fallback" %}
    return (cookie, header, query)
    {% else %}
    return ({{ cookiecutter.key_location }},)
    {% endif %}
{% if cookiecutter.__cookie %}


def cookie_name(settings: Settings) -> str:
    """Return what the cookie is called: `__Host-` (RFC 6265bis) unless plain HTTP has to do."""
    return f"__Host-{COOKIE}" if settings.cookie_secure else COOKIE


def read_cookie(name: str, scope: Scope) -> list[str]:
    """Return the value of each cookie with this name."""
    # Of a cookie that comes twice, `request.cookies` knows the last one only.
    return [
        value
        for header, line in scope["headers"]
        if header == b"cookie"
        for pair in line.decode("latin-1").split(";")
        for key, _, value in [pair.strip(" \t").partition("=")]
        if key == name
    ]
{% endif %}
{% if cookiecutter.__header %}


def _read_header(scope: Scope) -> list[str]:
    # Of a header that comes twice, `request.headers` gives the first one only.
    return [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER_IN_ASGI]
{% endif %}
{% if cookiecutter.__query %}


def _read_query(scope: Scope) -> list[str]:
    # `keep_keys_out_of_url` took them from the query string before a log could repeat it.
    sent: list[str] = scope.get("query_keys", [])
    return sent
{% endif %}
