"""Each request has an id, which its log lines and its answer share."""

import pytest
from fastapi import FastAPI
from starlette.types import Scope

from {{ cookiecutter.__package }}.logs import (
    current_scope,
    identify,
)

from .conftest import WithKey
from .helpers import UNKNOWN_KEY, WEB_KEY, ask, to_asgi


def identified(*sent: bytes) -> str:
    """Return the id of a request with these in its headers."""
    scope: Scope = {"headers": [(b"x-request-id", value) for value in sent]}
    identify(scope)
    return str(scope["request_id"])


@pytest.mark.parametrize("sent", [b"8f3a", b"a" * 128, b"A-b_c.9"])
def test_a_request_keeps_the_id_that_it_comes_with(sent: bytes) -> None:
    assert identified(sent) == sent.decode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"a" * 129, b"a b", b"a\n", b"a\x1b[31m", b'a"', b"\xe9", WEB_KEY.encode()],
)
def test_a_request_without_a_proper_id_gets_a_new_one(sent: bytes) -> None:
    new = identified(sent)
    assert len(new) == 32
    assert int(new, 16) != int(identified(), 16)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/whoami", "/health/live", "/nowhere"])
async def test_the_id_of_a_request_is_in_its_answer_and_in_its_log_lines(
    app: FastAPI, with_key: WithKey, path: str
) -> None:
    for key in (WEB_KEY, UNKNOWN_KEY):
        answer = await ask(app, path, **to_asgi(with_key(key)))
        assert answer.headers["x-request-id"] == current_scope.get()["request_id"]
