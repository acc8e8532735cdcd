"""Where clients send their key: one class for each location, and `make_locations` for their order."""

{% if cookiecutter.__query %}
from urllib.parse import unquote_plus

{% endif %}
{% if cookiecutter.__bearer %}
from fastapi.security import HTTPBearer
{% endif %}
{% if cookiecutter.key_location == "header" %}
from fastapi.security import APIKeyHeader
{% elif cookiecutter.key_location == "cookie" %}
from fastapi.security import APIKeyCookie
{% elif cookiecutter.key_location == "query" %}
from fastapi.security import APIKeyQuery
{% elif cookiecutter.key_location == "fallback" %}
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
{% endif %}
from fastapi.security.base import SecurityBase
from starlette.types import Scope

{% if cookiecutter.__bearer %}
from . import keys
{% endif %}
{% if cookiecutter.__cookie %}
from .csrf import is_cross_origin
from .refusals import Reason, Refusal
{% endif %}
from .settings import AuthSettings

{% if cookiecutter.__cookie %}
COOKIE = "{{ cookiecutter.__cookie_name }}"
{% endif %}
{% if cookiecutter.__header %}
HEADER = "{{ cookiecutter.key_name }}"
{% endif %}
{% if cookiecutter.__query %}
QUERY = "{{ cookiecutter.__query_name }}"
{% endif %}
{% if cookiecutter.key_docs_url %}
DESCRIPTION = "[Generate a token](<{{ cookiecutter.key_docs_url }}>)"
{% else %}
DESCRIPTION = "An API key of this service"
{% endif %}


def make_locations(settings: AuthSettings) -> tuple["Location", ...]:
    """Return the locations of a key in the order in which they are searched."""
    {% if cookiecutter.key_location == "header" %}
    return (HeaderLocation(HEADER),)
    {% elif cookiecutter.key_location == "bearer" %}
    return (BearerLocation(),)
    {% elif cookiecutter.key_location == "cookie" %}
    return (CookieLocation(settings),)
    {% elif cookiecutter.key_location == "query" %}
    return (QueryLocation(QUERY),)
    {% else %}
    return (CookieLocation(settings), HeaderLocation(HEADER), QueryLocation(QUERY))
    {% endif %}


class Location:
    """A place in a request where clients send their key.

    A key is removed from the request, so that nothing can log, trace, redirect or report it.

    Attributes:
        name: its name in logs.
        scheme: its scheme in the OpenAPI document.
        header: the request header that pages of other origins must be allowed to send (CORS).
    """

    name: str
    scheme: SecurityBase
    header: str | None = None

    def take(self, scope: Scope) -> list[str]:
        """Remove every key that was sent here from the request, and return them.

        More than one is an error.
        """
        raise NotImplementedError

    def check(self, scope: Scope) -> None:
        """Refuse a valid key that is not safe to accept here.

        Raises:
            Refusal: 403.
        """
{% if cookiecutter.__header %}


class HeaderLocation(Location):
    """A request header of its own."""

    name = "header"

    def __init__(self, header: str) -> None:
        self.header = header
        self.scheme = APIKeyHeader(
            name=header, scheme_name="ServiceKeyHeader", description=DESCRIPTION
        )
        self._raw_name = header.lower().encode()

    def take(self, scope: Scope) -> list[str]:
        """Remove each header with this name, and return their values."""
        kept, sent = [], []
        for header in scope["headers"]:
            if header[0] == self._raw_name:
                sent.append(header[1].decode("latin-1"))
            else:
                kept.append(header)
        if sent:
            scope["headers"] = kept
        return sent
{% endif %}
{% if cookiecutter.__bearer %}


class BearerLocation(Location):
    """The header `Authorization: Bearer KEY` (RFC 6750, section 2.1)."""

    name = "bearer"
    header = "Authorization"

    def __init__(self) -> None:
        self.scheme = HTTPBearer(scheme_name="ServiceKeyBearer", description=DESCRIPTION)

    def take(self, scope: Scope) -> list[str]:
        """Return the token of each `Authorization` header, or all of it when it is not one token.

        A header without the prefix of a key stays in the request: it may be of another scheme.
        """
        headers = scope["headers"]
        sent = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
        if any(map(keys.has_prefix, sent)):
            scope["headers"] = [header for header in headers if header[0] != b"authorization"]
        return [_token(credentials) for credentials in sent]


def _token(credentials: str) -> str:
    scheme, space, token = credentials.partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    # A key sent without a scheme gets a trailing space, which makes it invalid.
    return f"{credentials} " if credentials and not space else credentials
{% endif %}
{% if cookiecutter.__cookie %}


class CookieLocation(Location):
    """A cookie, which browsers also attach to cross-origin requests."""

    name = "cookie"

    def __init__(self, settings: AuthSettings) -> None:
        self.cookie = cookie_name(settings)
        self.scheme = APIKeyCookie(
            name=self.cookie,
            scheme_name="ServiceKeyCookie",
            description=f"{DESCRIPTION} · [Sign in](sign-in)",
        )
        self._trusted_origins = frozenset(settings.cors_origins)

    def take(self, scope: Scope) -> list[str]:
        """Remove each cookie with this name, and return their values; other cookies stay.

        By RFC 6265, section 5.4, quotes are part of a value. No key has quotes, so a key in quotes
        is refused. A cookie without `=` does not count.
        """
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        sent, kept = [], []
        for pair in (pair.strip(" \t") for line in lines for pair in line.split(";")):
            name, equals, value = pair.partition("=")
            if equals and name == self.cookie:
                sent.append(value)
            else:
                kept.append(pair)
        if sent:
            headers = [header for header in scope["headers"] if header[0] != b"cookie"]
            cookie = (b"cookie", "; ".join(kept).encode("latin-1"))
            scope["headers"] = [*headers, cookie] if kept else headers
        return sent

    def check(self, scope: Scope) -> None:
        """Refuse an unsafe request or a WebSocket that a page of another origin has caused.

        Raises:
            Refusal: 403.
        """
        if is_cross_origin(scope, self._trusted_origins):
            detail = "A key in a cookie is not accepted from another origin"
            raise Refusal(403, detail, Reason.CROSS_ORIGIN)


def cookie_name(settings: AuthSettings) -> str:
    """Return the name of the cookie: with `__Host-` (RFC 6265bis) unless plain HTTP is allowed."""
    return f"__Host-{COOKIE}" if settings.cookie_secure else COOKIE
{% endif %}
{% if cookiecutter.__query %}


class QueryLocation(Location):
    """A query parameter."""

    name = "query"

    def __init__(self, parameter: str) -> None:
        self.parameter = parameter
        self.scheme = APIKeyQuery(
            name=parameter, scheme_name="ServiceKeyQuery", description=DESCRIPTION
        )

    def take(self, scope: Scope) -> list[str]:
        """Remove each parameter with this name, and return their values."""
        if not scope["query_string"]:
            return []
        kept, sent = [], []
        for field in scope["query_string"].decode("latin-1").split("&"):
            name, _, value = field.partition("=")
            if unquote_plus(name) == self.parameter:
                sent.append(unquote_plus(value))
            else:
                kept.append(field)
        if sent:
            scope["query_string"] = "&".join(kept).encode("latin-1")
        return sent
{% endif %}
