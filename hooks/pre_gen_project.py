"""Checks every answer before a file is written, and reports all problems at once.

Runs on the Python that runs cookiecutter (3.10 or newer), with the standard library only.
Cookiecutter renders this file with Jinja first: answers enter as JSON data, never as source.
"""

import os
import sys

# Cookiecutter runs this file from the temporary folder, where another user may have put a json.py.
sys.path[0] = os.path.dirname(os.__file__)
if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit("Python 3.10 or newer is required to run cookiecutter with this template")

import contextlib
import json
import keyword
import re
import shlex
import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlsplit

ANSWERS = json.loads(
    r"""
{{ cookiecutter | tojson }}
"""
)

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
# RFC 3986, without the quote that it allows.
URL = re.compile(r"https?://([A-Za-z0-9._~:/?#\[\]@!$&()*+,;=-]|%[0-9a-f]{2})+", re.IGNORECASE)
BROKEN_TEXT = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line and paragraph ends
TO_FILL_IN = "..."  # stands for a refused answer in the command that a refusal prints

# Modules of the standard library on any Python that runs services.
STANDARD_LIBRARY = sys.stdlib_module_names | set(
    """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr
    imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib
    tomllib uu xdrlib
    """.split()
)
# The dependencies and tools of a service: names of modules and of distributions.
DEPENDENCIES = set(
    """
    aiosqlite alembic annotated_doc annotated_types anyio ast_serialize async_timeout certifi click
    colorama deprecated dotenv fastapi fastapi_cli greenlet h11 hatchling httpcore httpcore2
    httptools httpx httpx2 idna iniconfig librt limits mako markdown_it markdown_it_py markupsafe
    mdurl mypy mypy_extensions mypyc opentelemetry opentelemetry_api packaging pathspec pip pluggy
    psycopg psycopg_binary py pydantic pydantic_core pydantic_settings pygments pytest python_dotenv
    pyyaml redis rich rich_toolkit ruff setuptools shellingham sniffio sqlalchemy starlette
    truststore typer typing_extensions typing_inspection tzdata uv uvicorn uvloop watchfiles
    websockets wrapt yaml
    """.split()
)
# Folders that a service has, and those that git, builds or linters ignore.
TAKEN_FOLDERS = {"build", "dist", "node_modules", "src", "test", "tests"}
# The other services of compose.yaml.
TAKEN_IN_COMPOSE = {"migrate", "postgres", "valkey"}
TAKEN_IN_YAML = re.compile(r"y|n|yes|no|on|off|true|false|null")
TAKEN_ON_WINDOWS = re.compile(r"aux|con|nul|prn|(com|lpt)\d")

# Headers that HTTP, proxies, browsers and tracing set or forbid (RFC 9110; Fetch standard,
# "forbidden request-header"; W3C Trace Context).
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

# Browsers enforce rules for cookies with these prefixes, in any casing (RFC 6265bis, section
# 4.1.3). `Http-` is here because the service puts `__Host-` in front of the name, and
# `__Host-Http-` is such a prefix too.
COOKIE_PREFIX = re.compile(r"__host-|__secure-|__http-|http-", re.IGNORECASE)
TAKEN_COOKIES = {"partitioned"}  # an attribute of cookies that http.cookies knows from 3.14 on
# Query parameters that the service itself reads.
TAKEN_PARAMETERS = set("consumer cursor limit name next state with_successors".split())

# The private variables that cookiecutter.json derives from an answer, with the choices that set
# them: the tests compare both. A replay file that was edited may contradict itself.
FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "key_location": {
        "__header": ("header", "fallback"),
        "__bearer": ("bearer",),
        "__cookie": ("cookie", "fallback"),
        "__query": ("query", "fallback"),
    },
    "protection": {"__whole_app": ("whole_app",), "__endpoints": ("endpoints",)},
    "key_store": {"__settings": ("settings",), "__database": ("database",)},
    "rate_limit": {"__limited": ("yes",)},
    "deployment": {"__docker": ("docker", "kubernetes"), "__kubernetes": ("kubernetes",)},
    "ci": {"__github": ("github",), "__gitlab": ("gitlab",)},
}


def derive(answers: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the expected private variables, by the answer that they are derived from."""
    derived = {
        question: {
            name: "yes" if answers[question] in choices else "" for name, choices in flags.items()
        }
        for question, flags in FLAGS.items()
    }
    name, fallback = answers["key_name"], answers["key_location"] == "fallback"
    derived["project_slug"] = {"__package": answers["project_slug"].replace("-", "_")}
    derived["key_name"] = {
        "__snake_name": snake_name(name),
        "__cookie_name": snake_name(name) if fallback else name.removeprefix("__Host-"),
        "__query_name": snake_name(name) if fallback else name,
    }
    licence = answers["license"]
    proprietary = licence == "Proprietary"
    derived["license"] = {"__license_id": "LicenseRef-Proprietary" if proprietary else licence}
    return derived


def snake_name(header: str) -> str:
    """Return the name of the cookie and the query parameter, from that of the header (fallback)."""
    return header.lower().replace("-", "_").removeprefix("x_")


def check_line(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that people read, and that may be empty."""
    if any(unicodedata.category(character) in BROKEN_TEXT for character in text):
        yield "must be one line without control characters, such as Parcel Tracking"


def check_text(text: str) -> Iterator[str]:
    """Yield what is wrong with a text that people read, and that must not be empty."""
    if not text.strip():
        yield "must not be empty: use a text such as Parcel Tracking"
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
        yield "must have at most 63 characters, such as parcel-tracking"
    if slug.startswith("pg-") and ANSWERS.get("key_store") == "database":
        yield f"must not begin with pg-, which PostgreSQL reserves: try my-{slug}"
    taken = [
        (keyword.iskeyword(package), "must not be a Python keyword"),
        (
            package in STANDARD_LIBRARY | DEPENDENCIES,
            "must not hide the Python package of that name",
        ),
        (package in TAKEN_FOLDERS, "must not be a folder that Python tools use or ignore"),
        (package in TAKEN_IN_COMPOSE, "must not be another service of compose.yaml"),
        (TAKEN_IN_YAML.fullmatch(slug), "must not be a word that YAML reads as a value"),
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
    if "_" in name:
        yield "must not contain an underscore, since nginx drops such headers: try X-API-Key"
    if lower in ("authorization", "authentication"):
        yield "is for credentials with a scheme: try X-API-Key, or key_location=bearer"
    if lower in TAKEN_HEADERS or lower.startswith(TAKEN_HEADER_PREFIXES):
        yield "must not be a header that HTTP, proxies or browsers use: try X-API-Key"


def check_bearer(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of the header that carries a bearer token (RFC 6750)."""
    if name != "Authorization":
        yield "must be Authorization (RFC 6750): use it, or choose key_location=header"


def check_cookie(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a cookie (RFC 6265, section 4.1.1; RFC 6265bis)."""
    plain = name.removeprefix("__Host-")
    if not TOKEN.fullmatch(name):
        yield "must be a cookie name without spaces and separators, such as api_key"
    elif not sets_cookie(plain):
        yield "must be a name that Python's http.cookies can set, such as api_key"
    if COOKIE_PREFIX.match(plain):
        yield (
            "must not have a prefix for which browsers enforce rules, except one __Host-,"
            " which the service itself adds in production: try api_key"
        )


def sets_cookie(name: str) -> bool:
    """Tell whether the library that sets the cookie takes this name."""
    try:
        SimpleCookie()[name] = "key"
    except CookieError:
        return False
    return name.lower() not in TAKEN_COOKIES


def check_query_parameter(name: str) -> Iterator[str]:
    """Yield what is wrong with the name of a query parameter (RFC 3986, section 2.3)."""
    if not name or quote(name, safe="", errors="replace") != name:
        yield "must contain only letters, digits and - . _ ~, such as api_key"
    if name in TAKEN_PARAMETERS:
        yield "must not be a parameter that the service itself uses: try api_key"


def check_fallback(name: str) -> Iterator[str]:
    """Yield what is wrong with a header name from which the other two names are made."""
    yield from check_header(name)
    derived = snake_name(name)
    if not TOKEN.fullmatch(name):
        return
    if [*check_cookie(derived), *check_query_parameter(derived)]:
        yield f"must also name a cookie and a parameter ({derived!r} cannot): try X-API-Key"


CHECK_KEY_NAME: dict[str, Callable[[str], Iterator[str]]] = {
    "header": check_header,
    "bearer": check_bearer,
    "cookie": check_cookie,
    "query": check_query_parameter,
    "fallback": check_fallback,
}


def check_key_name(name: str) -> Iterator[str]:
    """Yield what is wrong with the name under which a key is sent."""
    if len(name) > 64:
        yield "must have at most 64 characters, such as X-API-Key"
    check = CHECK_KEY_NAME.get(str(ANSWERS.get("key_location")))
    if check:
        yield from check(name)


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
    """Return a check for a choice: cookiecutter does not check those of a replay file."""

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
    "ci": one_of("github", "gitlab", "none"),
    "license": one_of("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
}


def problems(variable: str) -> list[str]:
    """Return what is wrong with an answer."""
    answer = ANSWERS.get(variable)
    if not isinstance(answer, str):  # such as yes or no in a YAML configuration file
        return ['must be text: put it in quotes, such as "Parcel Tracking" or ""']
    if answer == TO_FILL_IN:
        return [f"must be filled in: {TO_FILL_IN} is a placeholder"]
    return list(CHECKS[variable](answer))


def contradictions() -> dict[str, list[str]]:
    """Return the answers that contradict the variables derived from them."""
    found: dict[str, list[str]] = {}
    for question, derived in derive(ANSWERS).items():
        stale = [name for name, value in derived.items() if ANSWERS.get(name) != value]
        if stale:
            names = " and ".join(f"{name}={ANSWERS.get(name)!r}" for name in stale)
            found[question] = [f"contradicts {names}: was a replay file edited?"]
    return found


def argument(name: str, value: str) -> str:
    """Return `name=value` for the command line of cookiecutter, which renders it as a template."""
    odd = r"\{[#%{]" if os.name != "nt" else r"[^\w .,:/+@()=~-]"
    if re.search(odd, value):
        characters = (c if re.match(r"[\w .:/-]", c) else f"\\U{ord(c):08x}" for c in value)
        value = "{" * 2 + f" '{''.join(characters)}' " + "}" * 2
    if os.name != "nt":
        return f"{name}={shlex.quote(value)}"
    return shell_quote(f"{name}={value}")


def shell_quote(text: str) -> str:
    """Quote a text as one word for the shell; on Windows for cmd and PowerShell."""
    if os.name != "nt":
        return shlex.quote(text)
    return text if re.fullmatch(r"[\w.:/\\=-]+", text) else f'"{text}"'


def command(refused: set[str]) -> str:
    """Return the command that repeats all answers but the refused ones."""
    words = ["cookiecutter", "--no-input"]
    if ANSWERS.get("_checkout"):
        words += ["--checkout", shell_quote(ANSWERS["_checkout"])]
    folder = ANSWERS.get("_output_dir")
    if folder and folder != os.environ.get("PWD"):  # Windows has no PWD: there it is always given
        words += ["--output-dir", shell_quote(folder)]
    words.append(shell_quote(ANSWERS.get("_template", "TEMPLATE")))
    for name in CHECKS:
        words.append(f"{name}={TO_FILL_IN}" if name in refused else argument(name, ANSWERS[name]))
    if os.name == "nt":  # its two shells continue lines in two ways
        return " ".join(words)
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) > 68:
            lines.append("")
        lines[-1] += f"{word} "
    return " \\\n        ".join(line.rstrip() for line in lines)


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


def refuse(message: str) -> NoReturn:
    """Stop the generation with a message on stderr, and leave nothing behind."""
    print(message, file=sys.stderr)
    remove_nested_folders()
    sys.exit(1)


def main() -> None:
    """Stop the generation when an answer breaks a rule."""
    if "__prompts__" in ANSWERS:  # before 2.2, cookiecutter takes the texts of prompts for answers
        refuse("cookiecutter 2.2 or newer is required: pipx run cookiecutter or uvx cookiecutter")
    found = {variable: problems(variable) for variable in CHECKS}
    refused = {variable: rules for variable, rules in found.items() if rules}
    reported = refused or contradictions()
    if not reported:
        return
    line = "=" * 72
    answers = "1 answer" if len(reported) == 1 else f"{len(reported)} answers"
    message = [f"\n{line}\nNothing was generated. Please check {answers}:\n"]
    for variable, rules in reported.items():
        message.append(f"  {variable} = {ANSWERS.get(variable)!r}")
        message += [
            textwrap.indent(textwrap.fill(rule, 72, break_on_hyphens=False), " " * 6)
            for rule in rules
        ]
        message.append("")
    fill_in = f", with each {TO_FILL_IN} filled in" if refused else ""
    message.append(f"Run this instead{fill_in}:\n\n    {command(set(refused))}\n\n{line}\n")
    refuse("\n".join(message))


if __name__ == "__main__":
    main()
