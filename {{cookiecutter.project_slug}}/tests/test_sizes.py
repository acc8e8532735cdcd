"""What is too large is refused, and not read to its end."""

import json

import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }}.sizes import (
    MAX_HEADERS_SIZE,
    MAX_QUERY_SIZE,
)

from .conftest import WithKey
from .helpers import ADMIN_KEY, ask, make_app, to_asgi

pytestmark = pytest.mark.anyio

PATH = "/notes"
BODY = b'{"text": "x"}'


@pytest.mark.parametrize(("limit", "status"), [(len(BODY), 204), (len(BODY) - 1, 413)])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_the_limit_is_413(
    with_key: WithKey, limit: int, status: int, declared: bool
) -> None:
    app = make_app(max_body_size=limit)
    request = to_asgi(with_key(ADMIN_KEY))
    request["headers"] |= {"Content-Type": "application/json"}
    if declared:
        request["headers"] |= {"Content-Length": str(len(BODY))}
    answer = await ask(app, PATH, method="POST", body=BODY, **request)
    assert answer.status == status
    assert answer.receives == (0 if declared and status == 413 else 1)
    if status == 413:
        assert json.loads(answer.messages[1]["body"]) == {"detail": "Content Too Large"}


async def test_a_limit_of_nothing_lets_an_empty_body_through(with_key: WithKey) -> None:
    app = make_app(max_body_size=0)
    answer = await ask(app, PATH, method="POST", **to_asgi(with_key(ADMIN_KEY)))
    assert answer.status == 422


async def test_a_body_in_many_parts_is_not_read_beyond_the_limit(with_key: WithKey) -> None:
    app = make_app(max_body_size=10)
    request = to_asgi(with_key(ADMIN_KEY))
    request["headers"] |= {"Content-Type": "application/json"}
    answer = await ask(app, PATH, method="POST", body=b"1234", endless=True, **request)
    assert answer.status == 413
    assert answer.receives == 3


@pytest.mark.parametrize(("size", "status"), [(MAX_HEADERS_SIZE, 200), (MAX_HEADERS_SIZE + 1, 431)])
async def test_headers_over_the_limit_are_431(app: FastAPI, size: int, status: int) -> None:
    headers = {"cookie": "c" * (size - len("cookie"))}
    answer = await ask(app, "/health/live", headers=headers)
    assert answer.status == status
    if status == 431:
        assert answer.headers["cache-control"] == "no-store"
        detail = "Request Header Fields Too Large"
        assert json.loads(answer.messages[1]["body"]) == {"detail": detail}


@pytest.mark.parametrize(("size", "status"), [(MAX_QUERY_SIZE, 200), (MAX_QUERY_SIZE + 1, 414)])
async def test_a_query_over_the_limit_is_414(app: FastAPI, size: int, status: int) -> None:
    answer = await ask(app, "/health/live", query="q" * size)
    assert answer.status == status
    if status == 414:
        assert answer.headers["cache-control"] == "no-store"
        assert json.loads(answer.messages[1]["body"]) == {"detail": "URI Too Long"}
