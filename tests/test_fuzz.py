"""Generated input for the running service: whatever is sent, it neither breaks nor opens."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.combinations import CORE, FULL, alternate, name, variant_name
from support.commands import program, run
from support.generation import Bake
from support.live import NAMES, SCHEMES, Live, run_app

FUZZ = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# Both visitors in both protections, unless FULL=1 asks for all.
VISITORS = alternate(CORE, ["admin", "nobody"])[:: 1 if FULL else 3]
FUZZED = [answers for answers, _ in VISITORS]
# Bytes that end a header would make another request of it, not another key.
VALUES = st.binary(max_size=300).filter(lambda value: not {*b"\r\n"} & {*value})


@pytest.fixture(scope="module", params=CORE if FULL else FUZZED, ids=name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return some services in turn, as their owners generated them."""
    folder = tmp_path_factory.mktemp("fuzzed")
    app = "my_service.main:app"
    with run_app(bake(**request.param), request.param, folder, app=app) as service:
        yield service


@FUZZ
@given(value=VALUES)
def test_arbitrary_bytes_as_a_header_key_are_refused(live: Live, value: bytes) -> None:
    assert live.ask("/users/me", value, location="header").status in (400, 401)


@FUZZ
@given(value=VALUES)
def test_arbitrary_bytes_as_a_cookie_key_are_refused(live: Live, value: bytes) -> None:
    assert live.ask("/users/me", value, location="cookie").status in (400, 401)


@FUZZ
@given(value=VALUES)
def test_arbitrary_cookie_headers_are_refused(live: Live, value: bytes) -> None:
    request = live.request("/users/me").replace(
        b"\r\n\r\n", b"\r\nCookie: " + value + b"; " + NAMES["cookie"].encode() + b"=x\r\n\r\n"
    )
    assert live.send(request).status in (400, 401)


@FUZZ
@given(value=VALUES)
def test_arbitrary_bytes_as_a_query_key_are_refused(live: Live, value: bytes) -> None:
    key = quote_from_bytes(value, safe="")
    assert live.ask("/users/me", key, location="query").status == 401


@FUZZ
@given(position=st.integers(0, 60), byte=st.integers(0, 255).filter(lambda b: b not in b"\r\n"))
def test_a_valid_key_with_one_changed_byte_is_refused(live: Live, position: int, byte: int) -> None:
    key = bytearray(live.keys["web"].encode())
    key[position % len(key)] = byte
    changed = bytes(key) != live.keys["web"].encode()
    for location in live.locations:
        sent = quote_from_bytes(bytes(key), safe="").encode() if location == "query" else bytes(key)
        status = live.ask("/users/me", sent, location=location).status
        assert status in ((400, 401) if changed else (200,))


@pytest.mark.parametrize(
    ("live", "consumer"), VISITORS, indirect=["live"], ids=map(variant_name, VISITORS)
)
def test_the_service_does_what_its_openapi_document_says(
    live: Live, consumer: str, tmp_path: Path
) -> None:
    document = json.loads(live.ask("/openapi.json", live.keys["admin"]).body)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    config = tmp_path / "schemathesis.toml"
    if consumer in live.keys:
        scheme = SCHEMES[live.locations[0]]
        field = "bearer" if live.locations[0] == "bearer" else "api_key"
        config.write_text(f'[auth.openapi.{scheme}]\n{field} = "{live.keys[consumer]}"\n')
    else:
        config.write_text("")
    finished = run(
        program("schemathesis"),
        *("--config-file", config, "run", tmp_path / "openapi.json"),
        *(
            "--url",
            f"http://127.0.0.1:{live.port}",
            "--checks",
            "all",
            "--exclude-checks",
            "unsupported_method",
            "--seed",
            "1",
        ),
        *("--max-examples", "8", "--phases", "examples,coverage,fuzzing", "--no-color"),
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
