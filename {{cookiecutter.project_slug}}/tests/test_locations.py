"""Where keys are read from, and how a location is added."""

{% if cookiecutter.__query %}
from urllib.parse import quote

{% endif %}
import pytest
from fastapi import FastAPI

{% if cookiecutter.__cookie %}
from {{ cookiecutter.__package }}.auth import keys
{% endif %}
from {{ cookiecutter.__package }}.auth.locations import (
{% if cookiecutter.__bearer %}
    BearerLocation,
{% endif %}
{% if cookiecutter.__cookie %}
    CookieLocation,
{% endif %}
    Location,
{% if cookiecutter.__query %}
    QueryLocation,
{% endif %}
)

{% if cookiecutter.__cookie %}
from .helpers import (
    WEB_KEY,
    call_asgi,
    make_scope,
    make_settings,
    to_asgi,
    with_key,
)
{% else %}
from .helpers import WEB_KEY, call_asgi, make_scope, to_asgi, with_key
{% endif %}

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("sent", [(), ("a",), ("a", "b"), ("", "a"), ("a", "")])
def test_every_key_is_taken(location: Location, sent: tuple[str, ...]) -> None:
    request = to_asgi(with_key(location, *sent))
    scope = make_scope("/")
    headers = with_key(location, *sent).get("headers", {})
    pairs = headers.items() if isinstance(headers, dict) else headers
    scope["headers"] += [(name.lower().encode(), value) for name, value in pairs]
    scope["query_string"] = request["query"].encode()
    assert [key for key in location.take(scope) if key != "Bearer "] == [
        key for key in sent if key or location.name != "bearer"
    ]


def test_empty_request_has_no_key(location: Location) -> None:
    assert location.take(make_scope("/")) == []


async def test_key_is_accepted(app: FastAPI, location: Location) -> None:
    request = to_asgi(with_key(location, WEB_KEY))
    assert (await call_asgi(app, "/_tests/whoami", **request)).status == 200


@pytest.mark.parametrize("prefix", ["x-", "not-"])
def test_similar_name_is_another_place(location: Location, prefix: str) -> None:
    scope = make_scope("/", headers={f"{prefix}{location.header}": WEB_KEY})
    assert location.take(scope) == []


def test_request_keeps_no_key(location: Location) -> None:
    request = to_asgi(with_key(location, WEB_KEY))
    scope = make_scope("/", **request)
    assert location.take(scope) == [WEB_KEY]
    assert WEB_KEY not in str(scope)
    assert location.take(scope) == []
{% if cookiecutter.__bearer %}


@pytest.mark.parametrize(
    ("credentials", "found"),
    [
        ("Bearer KEY", "KEY"),
        ("bearer KEY", "KEY"),
        ("BEARER KEY", "KEY"),
        ("Bearer  KEY", " KEY"),
        ("Bearer KEY KEY", "KEY KEY"),
        ("KEY", "KEY "),
        ("Basic KEY", "Basic KEY"),
        ("Bearer", "Bearer "),
        ("", ""),
        ("Bearer ", "Bearer "),
    ],
)
def test_bearer_token_is_read(credentials: str, found: str) -> None:
    scope = make_scope("/", headers={"authorization": credentials})
    assert BearerLocation().take(scope) == [found]


@pytest.mark.parametrize("credentials", ["Basic d2ViOnNlY3JldA==", "Bearer eyJhbGciOiJub25lIn0"])
def test_credentials_of_another_scheme_stay(credentials: str) -> None:
    scope = make_scope("/", headers={"authorization": credentials})
    BearerLocation().take(scope)
    assert (b"authorization", credentials.encode()) in scope["headers"]


@pytest.mark.parametrize("scheme", ["", "Basic ", "Bearer  ", "Bearer Bearer "])
async def test_key_without_the_scheme_is_refused(app: FastAPI, scheme: str) -> None:
    headers = {"Authorization": f"{scheme}{WEB_KEY}"}
    assert (await call_asgi(app, "/_tests/whoami", headers=headers)).status == 401
{% endif %}
{% if cookiecutter.__cookie %}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("NAME=KEY", ["KEY"]),
        ("a=b; NAME=KEY; c=d", ["KEY"]),
        ("a=b;NAME=KEY;c=d", ["KEY"]),
        ("NAME=KEY; NAME=KEY", ["KEY", "KEY"]),
        ('NAME="KEY"', ['"KEY"']),
        ("NAME; NAME=KEY", ["KEY"]),
        ("NAME", []),
        ("NAME=", [""]),
        ("name=NAME=KEY", []),
        ("NAME =KEY", []),
        ("NAME=a=b", ["a=b"]),
        ("xNAME=KEY; NAMEx=KEY", []),
        ("=NAME=KEY", []),
    ],
)
def test_cookie_is_read_as_rfc_6265_has_it(line: str, found: list[str]) -> None:
    location = CookieLocation(make_settings())
    name = location.cookie
    cookie = line.replace("NAME", name).replace("KEY", WEB_KEY)
    expected = [value.replace("KEY", WEB_KEY) for value in found]
    assert location.take(make_scope("/", headers={"cookie": cookie})) == expected


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("a=b; NAME=KEY; c=d", "a=b; c=d"),
        ("NAME=KEY;a=b", "a=b"),
        ('NAME; a="b=c"; NAME=KEY', 'NAME; a="b=c"'),
        ("NAME=KEY; NAME=KEY", None),
        ("a=b;  c", "a=b;  c"),
    ],
)
def test_other_cookies_stay(line: str, kept: str | None) -> None:
    location = CookieLocation(make_settings())
    cookie, kept = (text and text.replace("NAME", location.cookie) for text in (line, kept))
    scope = make_scope("/", headers={"cookie": str(cookie).replace("KEY", WEB_KEY)})
    location.take(scope)
    sent = dict(scope["headers"]).get(b"cookie")
    assert sent == (kept.encode() if kept else None)


def test_quoted_key_is_refused() -> None:
    assert not keys.is_well_formed(f'"{WEB_KEY}"')
{% endif %}
{% if cookiecutter.__query %}


@pytest.mark.parametrize(
    ("query", "found", "kept"),
    [
        ("NAME=KEY", ["KEY"], ""),
        ("a=1&NAME=KEY&b=2", ["KEY"], "a=1&b=2"),
        ("NAME=KEY&NAME=KEY", ["KEY", "KEY"], ""),
        ("NAME=&a", [""], "a"),
        ("NAME", [""], ""),
        ("NAME=a+b%20c", ["a b c"], ""),
        ("a=1&&b=%C3%A9", [], "a=1&&b=%C3%A9"),
        ("ENCODED=KEY", ["KEY"], ""),
    ],
)
def test_key_is_removed_from_the_url(query: str, found: list[str], kept: str) -> None:
    location = QueryLocation("api_key")
    name = location.parameter
    encoded = "".join(f"%{ord(character):02x}" for character in name)
    query = query.replace("NAME", quote(name)).replace("ENCODED", encoded)
    scope = make_scope("/", query=query.replace("KEY", WEB_KEY))
    assert location.take(scope) == [value.replace("KEY", WEB_KEY) for value in found]
    assert scope["query_string"].decode() == kept


async def test_redirect_does_not_repeat_the_key(app: FastAPI, location: Location) -> None:
    request = to_asgi(with_key(location, WEB_KEY))
    response = await call_asgi(app, "/_tests/whoami/", **request)
    assert WEB_KEY not in response.headers.get("location", "")
    if request["query"]:
        assert response.headers["referrer-policy"] == "no-referrer"
{% endif %}
