"""Checks every answer before a file is written, and reports all problems at once.

Runs on the Python that runs cookiecutter (3.10 or newer), with the standard library only.
Cookiecutter renders this file with Jinja first: answers enter as JSON data, never as source.
"""

import contextlib
import json
import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ANSWERS = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")  # RFC 3986, section 2.3
URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'*+,;=%-]+", re.IGNORECASE)  # RFC 3986
BROKEN_TEXT = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph ends

# Modules that a package of the same name would hide, beside those of the standard library.
TAKEN_MODULES = set(
    """
    annotated_doc annotated_types anyio certifi click dotenv fastapi h11 hatchling httpcore
    httptools httpx idna iniconfig mypy opentelemetry packaging pip pluggy pydantic pydantic_core
    pydantic_settings pytest ruff setuptools sniffio src starlette test tests typing_extensions
    typing_inspection uv uvicorn uvloop watchfiles websockets yaml
    """.split()
)
TAKEN_IN_YAML = re.compile(r"y|n|yes|no|on|off|true|false|null")
TAKEN_ON_WINDOWS = re.compile(r"aux|con|nul|prn|(com|lpt)\d")

# What HTTP, proxies and browsers fill in or forbid (RFC 9110; Fetch standard, section 2.2.2).
TAKEN_HEADERS = set(
    """
    age allow alt-svc authentication-info cache-control connection cookie cookie2 date dnt etag
    expect expires forwarded from host if-match if-modified-since if-none-match if-range
    if-unmodified-since keep-alive last-event-id last-modified link location max-forwards origin
    pragma range referer retry-after server set-cookie set-cookie2 te trailer trailers
    transfer-encoding upgrade user-agent vary via warning www-authenticate x-http-method-override
    x-real-ip x-request-id x-requested-with
    """.split()
)
TAKEN_HEADER_PREFIXES = ("accept", "access-control-", "content-", "proxy-", "sec-", "x-forwarded-")


def check_text(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that people read."""
    if not text.strip():
        yield "must not be empty: say something such as Parcel Tracking"
    if any(unicodedata.category(character) in BROKEN_TEXT for character in text):
        yield "must be one line without control characters, such as Parcel Tracking"


def check_description(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that may be empty."""
    if text.strip():
        yield from check_text(text)


def check_slug(slug: str) -> Iterator[str]:
    """Yield what is wrong with a name that is a distribution, a host label and a Python package.

    Sources: PEP 508, RFC 1123 section 2.1.
    """
    package = slug.replace("-", "_")
    if not SLUG.fullmatch(slug):
        yield (
            "must be lower-case letters, digits and single hyphens, and begin with a letter,"
            " such as parcel-tracking"
        )
    if len(slug) > 63:
        yield "must have 63 characters at most, such as parcel-tracking"
    if keyword.iskeyword(package):
        yield "must be no Python keyword: try " + slug + "-service"
    if package in sys.stdlib_module_names or package in TAKEN_MODULES:
        yield "must not hide the Python module of that name: try " + slug + "-service"
    if TAKEN_IN_YAML.fullmatch(slug):
        yield "must not be a word that YAML takes for a value: try " + slug + "-service"
    if TAKEN_ON_WINDOWS.fullmatch(slug):
        yield "must not be a name that Windows reserves: try " + slug + "-service"


def check_header(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a header."""
    lower = name.lower()
    if not TOKEN.fullmatch(name):
        yield "must be a header name without spaces and separators, such as X-API-Key"
    if lower in ("authorization", "authentication"):
        yield "is for credentials with a scheme, which FastAPI's HTTPBearer reads: try X-API-Key"
    if lower in TAKEN_HEADERS or lower.startswith(TAKEN_HEADER_PREFIXES):
        yield "must be no header that HTTP, proxies or browsers use themselves: try X-API-Key"


def check_cookie(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a cookie (RFC 6265, section 4.1.1; RFC 6265bis)."""
    if not TOKEN.fullmatch(name):
        yield "must be a cookie name without spaces and separators, such as api_key"
    elif name == "__Host-":
        yield "must have a name after __Host-, such as __Host-api_key"
    elif re.match(r"__host-|__secure-|__http-", name, re.IGNORECASE) and not (
        name.startswith("__Host-") and not name.lower().startswith("__host-http-")
    ):
        yield (
            "must have no prefix but __Host-, which the service itself adds in production:"
            " try api_key"
        )


def check_query_parameter(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a query parameter."""
    if not UNRESERVED.fullmatch(name):
        yield "must be letters, digits and - . _ ~ only, such as api_key"


def check_fallback(name: str) -> Iterator[str]:
    """Yield what is wrong with a header name from which the other two names are made."""
    yield from check_header(name)
    derived = ANSWERS["__snake_name"]
    if TOKEN.fullmatch(name) and not UNRESERVED.fullmatch(derived):
        yield (
            "must also give a cookie and a query parameter a name ("
            + repr(derived)
            + " is none): letters, digits and - . _ ~ only, such as X-API-Key"
        )


def check_url(url: str) -> Iterator[str]:
    """Yield what is wrong with a link, which may be missing."""
    try:
        parts = urlsplit(url)
        usable = URL.fullmatch(url) and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if url and (not usable or parts.username or parts.password):
        yield "must be an http or https URL, such as https://example.com/keys, or empty"


def check_key_name(name: str) -> Iterator[str]:
    """Yield what is wrong with the name under which a key is sent."""
    if len(name) > 64:
        yield "must have 64 characters at most, such as X-API-Key"
    yield from CHECK_KEY_NAME[ANSWERS["key_location"]](name)


CHECK_KEY_NAME = {
    "header": check_header,
    "cookie": check_cookie,
    "query": check_query_parameter,
    "fallback": check_fallback,
}
CHECKS = {
    "project_name": check_text,
    "project_slug": check_slug,
    "description": check_description,
    "author_name": check_text,
    "key_name": check_key_name,
    "key_docs_url": check_url,
}


def remove_nested_folders(parts: tuple[str, ...]) -> None:
    """Remove all folders that a slug like a/b made: cookiecutter would remove the innermost."""
    folder = Path.cwd()
    os.chdir(folder.anchor)
    for _ in parts:
        with contextlib.suppress(OSError):  # something else is in it
            folder.rmdir()
        folder = folder.parent


def main() -> None:
    """Stop the generation with a message on stderr when an answer breaks a rule."""
    problems = [
        f"  {variable} = {ANSWERS[variable]!r}\n      {problem}\n"
        for variable, check in CHECKS.items()
        for problem in check(ANSWERS[variable])
    ]
    if problems:
        line = "=" * 72
        answers = "answer" if len(problems) == 1 else "answers"
        print(
            f"\n{line}\nNothing was generated. Please change {len(problems)} {answers}:\n",
            file=sys.stderr,
        )
        print("\n".join(problems), file=sys.stderr)
        print(f"{line}\n", file=sys.stderr)
        parts = Path(ANSWERS["project_slug"]).parts
        if len(parts) > 1:
            remove_nested_folders(parts)
        sys.exit(1)


if __name__ == "__main__":
    main()
