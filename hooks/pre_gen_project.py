"""Checks every answer before a file is written, and reports all problems at once.

Runs on the Python that runs cookiecutter (3.10 or newer), with the standard library only.
Cookiecutter renders this file with Jinja first: answers enter as JSON data, never as source.
"""

import os
import sys

# Cookiecutter puts this file into the temporary folder, where anybody may have put a json.py.
sys.path[0] = os.path.dirname(os.__file__)

import contextlib
import json
import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator
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
# RFC 3986, without the quote that it allows.
URL = re.compile(r"https?://([A-Za-z0-9._~:/?#\[\]@!$&()*+,;=-]|%[0-9a-f]{2})+", re.IGNORECASE)
BROKEN_TEXT = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph ends

# What the standard library has on some Python that runs services, if not on this one.
STANDARD_LIBRARY = sys.stdlib_module_names | set(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr
    imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib
    tomllib uu xdrlib
    """.split()
)
# What a service is made of and worked on with, under the names of modules and of distributions.
DEPENDENCIES = set(
    """
    aiosqlite alembic annotated_doc annotated_types anyio ast_serialize certifi click colorama
    dotenv fastapi greenlet h11 hatchling httpcore httptools httpx idna iniconfig librt mako
    markdown_it markdown_it_py markupsafe mdurl mypy mypy_extensions mypyc opentelemetry
    opentelemetry_api packaging pathspec pip pluggy psycopg psycopg_binary py pydantic pydantic_core
    pydantic_settings pygments pytest python_dotenv pyyaml rich ruff setuptools sniffio sqlalchemy
    starlette typing_extensions typing_inspection tzdata uv uvicorn uvloop watchfiles websockets
    yaml
    """.split()
)
# Folders that a service has already, and those that git, builds or linters leave out.
TAKEN_FOLDERS = {"build", "dist", "node_modules", "src", "test", "tests"}
# What stands beside the service in compose.yaml
TAKEN_IN_COMPOSE = {"migrate", "postgres", "valkey"}
TAKEN_IN_YAML = re.compile(r"y|n|yes|no|on|off|true|false|null")
TAKEN_ON_WINDOWS = re.compile(r"aux|con|nul|prn|(com|lpt)\d")

# What HTTP, proxies, browsers and tracing fill in or forbid (RFC 9110; Fetch standard, "forbidden
# request-header"; W3C Trace Context).
TAKEN_HEADERS = set(
    """
    age allow alt-svc authentication-info baggage cache-control connection cookie cookie2 date dnt
    etag expect expires forwarded from host http2-settings if-match if-modified-since if-none-match
    if-range if-unmodified-since keep-alive last-event-id last-modified link location max-forwards
    origin pragma priority range referer retry-after save-data server set-cookie set-cookie2 te
    traceparent tracestate trailer trailers transfer-encoding upgrade upgrade-insecure-requests
    user-agent vary via warning www-authenticate x-http-method x-http-method-override
    x-method-override x-real-ip x-request-id x-requested-with
    """.split()
)
TAKEN_HEADER_PREFIXES = ("accept", "access-control-", "content-", "proxy-", "sec-", "x-forwarded-")

# Browsers hold such cookies to rules, in any casing (RFC 6265bis, section 4.1.3). `Http-` is here
# because the service puts `__Host-` in front of the name, and `__Host-Http-` is such a prefix too.
COOKIE_PREFIX = re.compile(r"__host-|__secure-|__http-|http-", re.IGNORECASE)


def check_line(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that people read, and that may be empty."""
    if any(unicodedata.category(character) in BROKEN_TEXT for character in text):
        yield "must be one line without control characters, such as Parcel Tracking"


def check_text(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that people read, and that must not be empty."""
    if not text.strip():
        yield "must not be empty: say something such as Parcel Tracking"
    yield from check_line(text)


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
    if slug.startswith("pg-") and ANSWERS["key_store"] == "database":
        yield f"must not begin with pg-, which PostgreSQL keeps for its own users: try my-{slug}"
    taken = [
        (keyword.iskeyword(package), "must be no Python keyword"),
        (
            package in STANDARD_LIBRARY | DEPENDENCIES,
            "must not hide the Python package of that name",
        ),
        (package in TAKEN_FOLDERS, "must not be a folder that Python tools use or leave out"),
        (package in TAKEN_IN_COMPOSE, "must not be another service of compose.yaml"),
        (TAKEN_IN_YAML.fullmatch(slug), "must not be a word that YAML takes for a value"),
        (TAKEN_ON_WINDOWS.fullmatch(slug), "must not be a name that Windows reserves"),
    ]
    for applies, rule in taken:
        if applies:
            yield f"{rule}: try {slug}-service"


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
    plain = name.removeprefix("__Host-")
    if not TOKEN.fullmatch(name):
        yield "must be a cookie name without spaces and separators, such as api_key"
    if name and not plain:
        yield "must have a name after __Host-, such as __Host-api_key"
    if COOKIE_PREFIX.match(plain):
        yield (
            "must have no prefix to which browsers attach rules, except for one __Host-,"
            " which the service adds by itself in production: try api_key"
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
            f"must also give a cookie and a query parameter a name ({derived!r} is none):"
            " letters, digits and - . _ ~ only, such as X-API-Key"
        )


CHECK_KEY_NAME: dict[str, Callable[[str], Iterator[str]]] = {
    "header": check_header,
    "cookie": check_cookie,
    "query": check_query_parameter,
    "fallback": check_fallback,
}


def check_key_name(name: str) -> Iterator[str]:
    """Yield what is wrong with the name under which a key is sent."""
    if len(name) > 64:
        yield "must have 64 characters at most, such as X-API-Key"
    if ANSWERS["key_location"] in CHECK_KEY_NAME:
        yield from CHECK_KEY_NAME[ANSWERS["key_location"]](name)


def check_url(url: str) -> Iterator[str]:
    """Yield what is wrong with a link, which may be missing."""
    try:
        parts = urlsplit(url)
        usable = URL.fullmatch(url) and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if url and (not usable or "@" in parts.netloc):
        yield (
            "must be an http or https URL without a password, spaces and quotes,"
            " such as https://example.com/keys, or empty"
        )


def one_of(*choices: str) -> Callable[[str], Iterator[str]]:
    """Return a check for a choice: of a replay file, cookiecutter itself checks none."""

    def check_choice(choice: str) -> Iterator[str]:
        if choice not in choices:
            yield f"must be one of {', '.join(choices)}: try {choices[0]}"

    return check_choice


CHECKS = {
    "project_name": check_text,
    "project_slug": check_slug,
    "description": check_line,
    "author_name": check_text,
    "key_location": one_of(*CHECK_KEY_NAME),
    "key_name": check_key_name,
    "key_docs_url": check_url,
    "protection": one_of("whole_app", "endpoints"),
    "key_store": one_of("settings", "database"),
    "rate_limit": one_of("no", "yes"),
    "deployment": one_of("docker", "kubernetes", "none"),
    "license": one_of("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
}


def problems(variable: str) -> list[str]:
    """Return what is wrong with an answer."""
    answer = ANSWERS[variable]
    if not isinstance(answer, str):  # yes, no and nothing at all in a YAML configuration file
        return ['must be text: put it in quotes, such as "Parcel Tracking" or ""']
    return list(CHECKS[variable](answer))


def remove_nested_folders() -> None:
    """Remove all folders that a slug like a/b made: cookiecutter would remove the innermost."""
    parts = Path(str(ANSWERS["project_slug"])).parts
    folder = Path.cwd()
    if len(parts) < 2:
        return
    os.chdir(folder.anchor)
    for _ in parts:
        with contextlib.suppress(OSError):  # something else is in it
            folder.rmdir()
        folder = folder.parent


def main() -> None:
    """Stop the generation with a message on stderr when an answer breaks a rule."""
    found = {variable: problems(variable) for variable in CHECKS}
    refused = {variable: rules for variable, rules in found.items() if rules}
    if not refused:
        return
    line = "=" * 72
    answers = "1 answer" if len(refused) == 1 else f"{len(refused)} answers"
    print(f"\n{line}\nNothing was generated. Please change {answers}:\n", file=sys.stderr)
    for variable, rules in refused.items():
        print(f"  {variable} = {ANSWERS[variable]!r}", file=sys.stderr)
        print("".join(f"      {rule}\n" for rule in rules), file=sys.stderr)
    print(f"{line}\n", file=sys.stderr)
    remove_nested_folders()
    sys.exit(1)


if __name__ == "__main__":
    main()
