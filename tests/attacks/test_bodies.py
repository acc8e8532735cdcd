"""No body that a valid key sends breaks the service, and none of it is logged."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.combinations import EACH_LOCATION, name
from support.generation import Bake
from support.live import Live, run_app

PASSWORD = "correct-horse-battery"  # noqa: S105 - used in this test only
DOCUMENTS = {
    "not a number": b'{"user": NaN, "new_password": "correct-horse-battery"}',
    "infinite": b'{"user": 1e400, "new_password": "correct-horse-battery"}',
    "half a character": b'{"user": "\\ud800", "new_password": "correct-horse-battery"}',
    "half a character as a name": b'{"\\ud800": "correct-horse-battery"}',
    "a name too many": b'{"user": 1, "new_password": "correct-horse-battery", "x": 1}',
    "of another type": b'{"user": "1", "new_password": "correct-horse-battery"}',
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "a long number": b'{"user": ' + b"1" * 5_000 + b"}",
    "not UTF-8": b'"correct-horse-battery\xff\xfe"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "nothing": b"null",
}
FORMS = {
    "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\n",
    "cut off": b"--x",
    "odd bytes": b"text=%ff%fe&text=\xff",
    "an odd file": b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\n.',
    "many fields": b"a=b&" * 5_000,
}
CONTENT_TYPES = [
    *("application/json", "application/json; charset=utf-99", "text/plain", "\xff", ""),
    *(
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
    ),
]


@pytest.fixture(scope="module", params=EACH_LOCATION, ids=name)
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return a service for each location in turn, with what its owner might add."""
    folder = tmp_path_factory.mktemp("bodies")
    with run_app(bake(**request.param), request.param, folder) as service:
        yield service


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_an_invalid_document_is_refused_and_not_repeated(live: Live, kind: str) -> None:
    sent: dict[str, Any] = {"method": "POST", "headers": [f"Content-Type: {kind}"]}
    for description, document in DOCUMENTS.items():
        answer = live.ask("/admin/password_reset", live.keys["admin"], body=document, **sent)
        assert answer.status in (400, 422), description
        assert PASSWORD not in answer.body.decode(), description
        if len(document) < 10_000:  # the rest of a longer one can hide the response
            refused = live.ask("/admin/password_reset", body=document, **sent)
            assert refused.status == 401, description
    assert PASSWORD not in live.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["/form", "/upload", "/by-endpoint", "/admin/password_reset"])
def test_no_form_breaks_the_service(live: Live, target: str) -> None:
    for kind in CONTENT_TYPES:
        for description, form in FORMS.items():
            kinds = [f"Content-Type: {kind}"]
            for key, statuses in ((live.keys["admin"], range(200, 500)), (None, [401])):
                answer = live.ask(target, key, method="POST", headers=kinds, body=form)
                assert answer.status in statuses, (kind, description)


@pytest.mark.parametrize("target", ["/by-endpoint", "/form", "/stream", "/admin/password_reset"])
def test_a_body_without_a_declared_size_is_stopped_at_the_limit(live: Live, target: str) -> None:
    kind = "application/x-www-form-urlencoded" if target == "/form" else "application/json"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    sent = ["Transfer-Encoding: chunked", f"Content-Type: {kind}"]
    head = live.request(target, live.keys["admin"], method="POST", headers=sent)
    assert live.send(head + chunk * 17 + b"0\r\n\r\n").status == 413


@pytest.mark.parametrize("length", ["9" * 5_000, "9" * 20, "-1", "+5", "0x10", "\xb2", "1_0", ""])
def test_an_odd_declared_size_is_refused(live: Live, length: str) -> None:
    sent: dict[str, Any] = {"method": "POST", "headers": [f"Content-Length: {length}"]}
    for key in (None, live.keys["admin"]):
        assert 400 <= live.ask("/by-endpoint", key, **sent).status < 500
