"""Whatever stands in headers, cookies and the query, one rule says who gets in.

In process, because thousands of requests say more than dozens; the other attacks use sockets.
"""

import asyncio
import json
import logging
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, unquote

import pytest
from combinations import Answers, name
from conftest import CORE, Bake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live import NAMES
from starlette.types import ASGIApp

MANY = settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
KEY = "the valid key"
NOISE = st.one_of(st.binary(max_size=80), st.sampled_from([b"", b" ", b'"', b"api_key", b"%00"]))
# A name and a value, each of which may be the one that the service looks for.
FIELDS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(["api_key", "__Host-api_key", "API_KEY", "%61pi%5Fkey"]), NOISE),
        st.one_of(st.just(KEY), NOISE),
    ),
    max_size=4,
)


@dataclass
class Service:
    """A generated service within this process."""

    app: ASGIApp
    answers: Answers
    key: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, headers: list[tuple[bytes, bytes]], query: bytes, path: str = "/users/me") -> int:
        """Drive the app as a server does and return the status; remember scope and messages."""
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": quote_from_bytes(path.encode()).encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "query_string": query,
            "headers": [(b"host", b"service.test"), *headers],
        }
        self.seen = [scope]

        async def receive() -> dict[str, Any]:
            raise AssertionError("a request without a body was asked for it")

        async def send(message: Any) -> None:
            self.seen.append(message)

        async def answer() -> None:
            await self.app(scope, receive, send)

        asyncio.run(answer())
        status: int = self.seen[1]["status"]
        return status


@pytest.fixture(scope="module", params=CORE, ids=name)
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[Service]:
    """Return each core combination in turn, imported here and forgotten afterwards."""
    project: Path = bake(**request.param)
    keys = runpy.run_path(str(project / "src/my_service/keys.py"))
    key = keys["mint"]()
    root = logging.getLogger()
    before = root.level, [(handler, handler.formatter) for handler in root.handlers]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "src"))
        patch.setenv("API_KEYS", json.dumps([{"consumer": "web", "sha256": keys["digest"](key)}]))
        patch.chdir(project.parent)
        import my_service.main

        yield Service(my_service.main.app, request.param, key)
    for module in [module for module in sys.modules if module.split(".")[0] == "my_service"]:
        del sys.modules[module]
    root.setLevel(before[0])
    for handler, formatter in before[1]:
        handler.setFormatter(formatter)


def bytes_of(service: Service, text: str | bytes) -> bytes:
    """Return a drawn text as it is sent, with the valid key where it stands for one."""
    if isinstance(text, bytes):
        return text
    return (service.key if text == KEY else text).encode()


def decides(sent: list[bytes], key: str) -> bool | None:
    """Return whether this location lets in; None when it holds no key. The contract, once more."""
    if not any(sent):
        return None
    return sent == [key.encode()]


@MANY
@given(cookies=FIELDS, header_values=st.lists(st.one_of(st.just(KEY), NOISE), max_size=2))
def test_the_contract_says_who_gets_in(
    service: Service,
    cookies: list[tuple[str | bytes, str | bytes]],
    header_values: list[str | bytes],
) -> None:
    pairs = [(bytes_of(service, n), bytes_of(service, v)) for n, v in cookies]
    pairs = [(n, v) for n, v in pairs if not (set(n) & set(b";=") or b";" in v)]
    values = [bytes_of(service, value) for value in header_values]
    line = b"; ".join(n + b"=" + v for n, v in pairs)
    headers = [(b"cookie", line), *((b"x-api-key", value) for value in values)]
    held = {
        "cookie": [
            v.strip(b" \t") for n, v in pairs if n.strip(b" \t") == NAMES["cookie"].encode()
        ],
        "header": values,
        "query": [],
    }
    place = service.answers["key_location"]
    order = ["cookie", "header", "query"] if place == "fallback" else [place]
    verdicts = [decides(held[location], service.key) for location in order]
    expected = next((verdict for verdict in verdicts if verdict is not None), False)
    assert service.ask(headers, b"") == (200 if expected else 401)


@MANY
@given(fields=FIELDS, encoded=st.booleans())
def test_a_query_opens_by_its_one_parameter_and_no_key_is_left_in_it(
    service: Service, fields: list[tuple[str | bytes, str | bytes]], encoded: bool
) -> None:
    # Names come encoded as they are, values are encoded whole, byte by byte, or as usual.
    pairs = [(bytes_of(service, n), bytes_of(service, v)) for n, v in fields]
    written = [
        (
            name if isinstance(drawn, str) else quote_from_bytes(name, safe="").encode(),
            "".join(f"%{byte:02x}" for byte in value).encode()
            if encoded
            else quote_from_bytes(value, safe="").encode(),
        )
        for (drawn, _), (name, value) in zip(fields, pairs, strict=True)
    ]
    query = b"&".join(name + b"=" + value for name, value in written)
    own = (b"api_key", b"%61pi%5Fkey")
    sent = [value for (_, value), (name, _) in zip(pairs, written, strict=True) if name in own]
    status = service.ask([], query)
    opens = service.answers["key_location"] in ("query", "fallback")
    assert status == (200 if opens and decides(sent, service.key) else 401)
    assert service.key not in unquote(service.seen[0]["query_string"].decode())
    assert service.key not in str(service.seen[1:])


@MANY
@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_key_in_a_path_stays_in_no_scope_and_no_answer(
    service: Service, before: str, after: str
) -> None:
    path = f"/{before}{service.key}{after}".encode(errors="replace").decode()
    assert service.ask([], b"", path) in (401, 404)
    scope, *answer = service.seen
    for told in (scope["path"], unquote(scope["raw_path"].decode()), str(answer)):
        assert service.key not in told


@MANY
@given(line=st.binary(max_size=400), header=NOISE, query=st.binary(max_size=400))
def test_noise_everywhere_is_refused_in_one_way(
    service: Service, line: bytes, header: bytes, query: bytes
) -> None:
    assert service.ask([(b"cookie", line), (b"x-api-key", header)], query) == 401
    assert service.seen[2]["body"] == b'{"detail":"Missing or invalid API key"}'
    service.seen[0]["query_string"].decode("ascii")
