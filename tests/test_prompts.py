"""Every answer is checked before a file is written, and all problems are reported at once."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.pre_gen import refusals
from support.template import TEMPLATE


@pytest.mark.parametrize(
    "slug",
    [
        *("", "Parcel", "parcel_tracking", "parcel tracking", "parcel.tracking", "1parcel", "a--b"),
        *("-parcel", "parcel-", "päckchen", "包裹", "a" * 64, "a;b", "parcel\n"),
        *("class", "import", "json", "typing", "asyncio", "con", "nul", "com1", "lpt9"),
        *("y", "no", "on", "true", "null"),  # YAML
        *("tomllib", "distutils"),  # the standard library of some Pythons
        *("test", "tests", "src", "build", "dist", "node-modules"),  # git or a linter skips them
        *("migrate", "postgres", "valkey"),  # compose.yaml has them
    ],
)
def test_a_slug_that_is_no_good_name_is_refused(slug: str) -> None:
    assert set(refusals(project_slug=slug)) == {"project_slug"}


def test_a_slug_that_postgresql_refuses_as_a_user_is_refused_where_it_is_one() -> None:
    assert refusals(project_slug="pg-tools", key_store="database") == ["project_slug"]
    assert refusals(project_slug="pg-tools") == []


@pytest.mark.parametrize("slug", ["a", "parcel", "parcel-tracking", "p4", "a-1", "a" * 63, "match"])
def test_a_slug_that_is_a_good_name_is_accepted(slug: str) -> None:
    assert refusals(project_slug=slug) == []


REFUSED_NAMES = [
    *(("header", name) for name in ("", " ", "X API Key", "X-API-Key:", "Schlüssel", 'X"Y', "a,b")),
    *(("header", name) for name in ("Host", "cookie", "AUTHORIZATION", "Content-Length", "Origin")),
    *(("header", name) for name in ("Sec-Fetch-Site", "Proxy-Authorization", "X-Forwarded-For")),
    *(("header", name) for name in ("Set-Cookie", "Connection", "Transfer-Encoding", "Upgrade")),
    *(("header", name) for name in ("Referer", "Accept", "Accept-Language", "User-Agent", "TE")),
    *(("header", name) for name in ("Access-Control-Allow-Origin", "Forwarded", "Expect", "Date")),
    *(("header", name) for name in ("Via", "Trailer", "Keep-Alive", "X-HTTP-Method", "Priority")),
    *(("header", name) for name in ("Traceparent", "X-Request-ID", "X-API-Key\n", "X" * 65)),
    *(("header", name) for name in ("api_key", "X_API_Key")),  # nginx drops them
    *(("bearer", name) for name in ("X-API-Key", "api_key", "authorization", "")),
    *(("cookie", name) for name in ("", "api key", "api;key", "api=key", "schlüssel", "__Host-")),
    *(("cookie", name) for name in ("__Secure-key", "__host-key", "__Http-key", "__SECURE-key")),
    # The service puts __Host- in front of them.
    *(("cookie", name) for name in ("Http-key", "__Host-Http-key", "__Host-__Host-key")),
    *(("query", name) for name in ("", "api key", "api&key", "api=key", "schlüssel", "a%20b")),
    *(("fallback", name) for name in ("X-", "X" * 65, "Host", "X!Key", "X'Key", "X API Key")),
]
ACCEPTED_NAMES = [
    *(("header", name) for name in ("X-API-Key", "Api.Key", "X'Key", "!#$%&*+^`|~")),
    *(
        ("cookie", name)
        for name in ("api_key", "__Host-api_key", "API.key", "host-key", "https-key")
    ),
    *(("query", name) for name in ("api_key", "k", "api-key.v1~x")),
    ("bearer", "Authorization"),
    *(("fallback", name) for name in ("X-API-Key", "Parcel-Key", "X-Parcel.Key")),
]


@pytest.mark.parametrize(("location", "name"), REFUSED_NAMES)
def test_a_name_that_cannot_carry_a_key_is_refused(location: str, name: str) -> None:
    assert set(refusals(key_location=location, key_name=name)) == {"key_name"}


@pytest.mark.parametrize(("location", "name"), ACCEPTED_NAMES)
def test_a_name_that_can_carry_a_key_is_accepted(location: str, name: str) -> None:
    assert refusals(key_location=location, key_name=name) == []


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        *(("", True), ("https://example.com", True), ("http://example.com:8080/keys?a=b#c", True)),
        *(("HTTPS://example.com/k", True), ("http://[::1]/keys", True), ("http://a/b@c", True)),
        *(("https://example.com/keys_(new)", True), ("https://example.com/%C3%A9", True)),
        *(("example.com", False), ("ftp://example.com", False), ("javascript:alert(1)", False)),
        *(("https://", False), ("https:///keys", False), ("https://example.com:99999", False)),
        *(("https://example.com/a b", False), ('https://example.com/"', False)),
        *(("https://example.com/>", False), ("https://example.com/\\", False)),
        *(("https://user:word@example.com", False), ("https://@example.com", False)),
        *(("https://[::1", False), ("https://example.com/'", False), ("https://a/`", False)),
        *(("https://example.com/é", False), ("https://example.com/100%", False)),
        *(("https://example.com/\n", False), ("//example.com", False), (" ", False)),
    ],
)
def test_a_link_is_an_absolute_http_url_or_empty(url: str, accepted: bool) -> None:
    assert refusals(key_docs_url=url) == ([] if accepted else ["key_docs_url"])


@pytest.mark.parametrize("variable", ["project_name", "description", "author_name"])
@pytest.mark.parametrize(
    "text", ["\n", "\r", "\t", "\0", "\x07", "\x7f", "\x85", "\u2028", "\u2029", "\ud83d"]
)
def test_a_text_is_one_line_of_characters_that_can_be_seen(variable: str, text: str) -> None:
    answers = {"project_slug": "parcel", "author_name": "Ada", variable: f"a{text}b"}
    assert refusals(**answers) == [variable]


@pytest.mark.parametrize("variable", ["project_name", "author_name"])
def test_a_title_and_an_author_are_not_empty(variable: str) -> None:
    answers = {"project_slug": "parcel", "author_name": "Ada", variable: " "}
    assert refusals(**answers) == [variable]


@pytest.mark.parametrize("description", ["", " "])
def test_a_description_may_be_empty(description: str) -> None:
    assert refusals(description=description) == []


def test_a_line_end_is_no_empty_description() -> None:
    assert refusals(description="\n") == ["description"]


def test_enter_through_all_prompts_gives_a_good_project(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", "-o", str(tmp_path), str(TEMPLATE)]
    finished = subprocess.run(
        command, input="\n" * 13, capture_output=True, text=True, cwd=tmp_path, check=True
    )
    project = tmp_path / "my-service"
    assert "X-API-Key: my_service_" in finished.stdout
    protection = project / "src/my_service/auth/protection.py"
    assert "covers_everything = True" in protection.read_text()
