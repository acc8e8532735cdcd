"""Every answer is checked before a file is written, and all problems are reported at once."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEMPLATE, run_python
from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context

HOOK = TEMPLATE / "hooks/pre_gen_project.py"


def refusals(**answers: str) -> list[str]:
    """Return the variables that the hook refuses, rendered as cookiecutter does it."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    environment = create_env_with_context(context)
    source = environment.from_string(HOOK.read_text(encoding="utf-8")).render(**context)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        # In this process: a hundred new ones would take a minute.
        exec(compile(source, HOOK, "exec"), {"__name__": "__main__"})  # noqa: S102
    return re.findall(r"^  (\w+) = ", said.getvalue(), re.MULTILINE)


def cookiecutter(output: Path, *answers: str) -> subprocess.CompletedProcess[str]:
    """Run cookiecutter as a user does, with answers given as `name=value`."""
    options = ("--no-input", "--output-dir", output)
    return run_python("-m", "cookiecutter", *options, TEMPLATE, *answers, cwd=output)


@pytest.mark.parametrize(
    "slug",
    [
        *("", "Parcel", "parcel_tracking", "parcel tracking", "parcel.tracking", "1parcel", "a--b"),
        *("-parcel", "parcel-", "päckchen", "包裹", "a" * 64, "../parcel", "parcel/a", "a;b"),
        *("class", "import", "json", "test", "tests", "fastapi", "pydantic-settings", "typing"),
        *("con", "nul", "com1", "lpt9", "asyncio", "uvicorn", "src"),
        *("y", "no", "on", "true", "null"),
    ],
)
def test_a_slug_that_is_no_good_name_is_refused(slug: str) -> None:
    assert set(refusals(project_slug=slug)) == {"project_slug"}


@pytest.mark.parametrize("slug", ["a", "parcel", "parcel-tracking", "p4", "a-1", "a" * 63, "match"])
def test_a_slug_that_is_a_good_name_is_accepted(slug: str) -> None:
    assert refusals(project_slug=slug) == []


REFUSED_NAMES = [
    *(("header", name) for name in ("", " ", "X API Key", "X-API-Key:", "Schlüssel", 'X"Y', "a,b")),
    *(("header", name) for name in ("Host", "cookie", "AUTHORIZATION", "Content-Length", "Origin")),
    *(
        ("header", name)
        for name in ("Sec-Fetch-Site", "Proxy-Authorization", "X-Forwarded-For", "X-Request-ID")
    ),
    *(("cookie", name) for name in ("", "api key", "api;key", "api=key", "schlüssel", "__Host-")),
    *(("cookie", name) for name in ("__Secure-key", "__host-key", "__Host-Http-key")),
    *(("query", name) for name in ("", "api key", "api&key", "api=key", "schlüssel", "a%20b")),
    *(("fallback", name) for name in ("X-", "X" * 65, "Host", "X!Key", "X API Key")),
]
ACCEPTED_NAMES = [
    *(("header", name) for name in ("X-API-Key", "Api.Key", "api_key", "X'Key", "!#$%&*+^`|~")),
    *(("cookie", name) for name in ("api_key", "__Host-api_key", "API.key", "host-key")),
    *(("query", name) for name in ("api_key", "k", "api-key.v1~x")),
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
        *(("HTTPS://example.com/k", True), ("http://[::1]/keys", True)),
        *(("example.com", False), ("ftp://example.com", False), ("javascript:alert(1)", False)),
        *(("https://", False), ("https:///keys", False), ("https://example.com:99999", False)),
        *(("https://example.com/a b", False), ('https://example.com/"', False)),
        *(("https://example.com/>", False), ("https://example.com/\\", False)),
        *(("https://user:word@example.com", False), ("https://[::1", False)),
    ],
)
def test_a_link_is_an_absolute_http_url_or_empty(url: str, accepted: bool) -> None:
    assert refusals(key_docs_url=url) == ([] if accepted else ["key_docs_url"])


@pytest.mark.parametrize("variable", ["project_name", "description", "author_name"])
@pytest.mark.parametrize("text", ["two\nlines", "tab\there", "bell\x07", "line\u2028end", "\x85"])
def test_a_text_is_one_line_of_characters_that_can_be_seen(variable: str, text: str) -> None:
    answers = {"project_slug": "parcel", "author_name": "Ada", variable: f"a{text}b"}
    assert refusals(**answers) == [variable]


@pytest.mark.parametrize("variable", ["project_name", "author_name"])
def test_a_title_and_an_author_are_not_empty(variable: str) -> None:
    answers = {"project_slug": "parcel", "author_name": "Ada", variable: " "}
    assert refusals(**answers) == [variable]


def test_a_description_may_be_empty() -> None:
    assert refusals(description="") == []


def test_all_problems_are_reported_at_once_each_with_its_value_and_an_example(
    tmp_path: Path,
) -> None:
    finished = cookiecutter(
        tmp_path, "project_slug=json", "author_name= ", "key_name=Cookie", "key_docs_url=ftp://x"
    )
    ours = finished.stderr.partition("Traceback")[0]
    assert finished.returncode != 0
    assert re.findall(r"^  (\w+ = '.*')\n      must .*(?:such as|try)", ours, re.MULTILINE) == [
        "project_slug = 'json'",
        "author_name = ' '",
        "key_name = 'Cookie'",
        "key_docs_url = 'ftp://x'",
    ]
    assert "Nothing was generated. Please change 4 answers" in ours
    assert list(tmp_path.iterdir()) == []


def test_authorization_comes_with_a_hint(tmp_path: Path) -> None:
    finished = cookiecutter(tmp_path, "key_name=Authorization")
    assert "HTTPBearer" in finished.stderr


@pytest.mark.parametrize("slug", ["parcel/tracking", "a/b/c", "../parcel", "Parcel"])
def test_no_folder_of_a_refused_project_is_left(tmp_path: Path, slug: str) -> None:
    output = tmp_path / "output"
    output.mkdir()
    finished = cookiecutter(output, f"project_slug={slug}")
    assert finished.returncode != 0
    assert "Nothing was generated" in finished.stderr
    assert list(tmp_path.rglob("*")) == [output]


@pytest.mark.parametrize(
    "answer", ["key_location=body", "protection=none", "deployment=heroku", "license=GPL"]
)
def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path, answer: str) -> None:
    assert cookiecutter(tmp_path, answer).returncode != 0
    assert list(tmp_path.iterdir()) == []


def test_enter_through_all_prompts_gives_a_good_project(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", "-o", str(tmp_path), str(TEMPLATE)]
    finished = subprocess.run(
        command, input="\n" * 10, capture_output=True, text=True, cwd=tmp_path, check=True
    )
    project = tmp_path / "my-service"
    assert "curl --header 'X-API-Key: my_service_" in finished.stdout
    assert "class Gate" in (project / "src/my_service/auth.py").read_text()
