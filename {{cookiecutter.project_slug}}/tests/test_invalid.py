"""Who sends an invalid request is told what is wrong with it, and not what it said."""

import httpx
import pytest

from .conftest import WithKey
from .helpers import ADMIN_KEY

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}


async def post(
    client: httpx.AsyncClient, with_key: WithKey, body: bytes, headers: dict[str, str]
) -> httpx.Response:
    """Send a body with a valid key."""
    request = with_key(ADMIN_KEY)
    request["headers"] = [*dict(request.get("headers", {})).items(), *headers.items()]
    return await client.post("/notes", content=body, **request)


async def test_the_answer_says_where_and_what_and_repeats_nothing(
    client: httpx.AsyncClient, with_key: WithKey
) -> None:
    answer = await post(client, with_key, b'{"text": ["hunter2"]}', JSON)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == {
        "detail": [
            {
                "type": "string_type",
                "loc": ["body", "text"],
                "msg": "Input should be a valid string",
            }
        ]
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": NaN}',
        b'{"text": -1e400}',
        rb'{"text": ["\ud800"]}',
        rb'{"\ud800": 1}',
        b"{",
        b"null",
    ],
)
async def test_what_no_json_can_hold_is_refused_like_anything_else(
    client: httpx.AsyncClient, with_key: WithKey, body: bytes
) -> None:
    assert (await post(client, with_key, body, JSON)).status_code == 422


async def test_bytes_that_are_no_text_are_refused_like_anything_else(
    client: httpx.AsyncClient, with_key: WithKey
) -> None:
    answer = await post(client, with_key, b"\xff", {"Content-Type": "text/plain"})
    assert answer.status_code == 422
