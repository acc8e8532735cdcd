"""Whatever stands in headers, cookies and the query, one rule says who gets in.

In process, because thousands of requests say more than dozens; the other attacks use sockets.
"""

from collections.abc import Iterator
from urllib.parse import quote_from_bytes, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.combinations import EACH_LOCATION, name
from support.generation import Bake
from support.in_process import InProcessService, import_service
from support.live import NAMES

MANY = settings(
    max_examples=300,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
VALID = "the valid key"
NOISE = st.one_of(st.binary(max_size=80), st.sampled_from([b"", b" ", b'"', b"api_key", b"%00"]))
# A name and a value, each of which may be the one that the service looks for.
FIELDS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(["api_key", "__Host-api_key", "API_KEY", "%61pi%5Fkey"]), NOISE),
        st.one_of(st.just(VALID), NOISE),
    ),
    max_size=4,
)
HEADER_VALUES = st.lists(st.one_of(st.just(VALID), NOISE), max_size=2)


@pytest.fixture(scope="module", params=EACH_LOCATION, ids=name)
def service(request: pytest.FixtureRequest, bake: Bake) -> Iterator[InProcessService]:
    """Return a service for each location in turn, imported here and forgotten afterwards."""
    with import_service(bake(**request.param), request.param) as service:
        yield service


def bytes_of(service: InProcessService, text: str | bytes) -> bytes:
    """Return a drawn text as it is sent, with the valid key where it stands for one."""
    if isinstance(text, bytes):
        return text
    return (service.key if text == VALID else text).encode()


def decides(sent: list[bytes], key: str) -> bool | None:
    """Return whether this location lets in; None when it holds no key. The contract, once more."""
    if not any(sent):
        return None
    return sent == [key.encode()]


@MANY
@given(cookies=FIELDS, header_values=HEADER_VALUES, tokens=HEADER_VALUES)
def test_the_contract_says_who_gets_in(
    service: InProcessService,
    cookies: list[tuple[str | bytes, str | bytes]],
    header_values: list[str | bytes],
    tokens: list[str | bytes],
) -> None:
    pairs = [(bytes_of(service, n), bytes_of(service, v)) for n, v in cookies]
    pairs = [(n, v) for n, v in pairs if not (set(n) & set(b";=") or b";" in v)]
    values = [bytes_of(service, value) for value in header_values]
    bearers = [b"Bearer " + bytes_of(service, token) for token in tokens]
    line = b"; ".join(n + b"=" + v for n, v in pairs)
    headers = [(b"cookie", line), *((b"x-api-key", value) for value in values)]
    headers += [(b"authorization", bearer) for bearer in bearers]
    held = {
        "cookie": [
            v.strip(b" \t") for n, v in pairs if n.strip(b" \t") == NAMES["cookie"].encode()
        ],
        "header": values,
        "bearer": [bearer.removeprefix(b"Bearer ") or bearer for bearer in bearers],
        "query": [],
    }
    verdicts = [decides(held[location], service.key) for location in service.order]
    expected = next((verdict for verdict in verdicts if verdict is not None), False)
    assert service.drive(headers, b"") == (200 if expected else 401)


@MANY
@given(fields=FIELDS, encoded=st.booleans())
def test_a_query_opens_by_its_one_parameter_and_no_key_is_left_in_it(
    service: InProcessService, fields: list[tuple[str | bytes, str | bytes]], encoded: bool
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
    status = service.drive([], query)
    opens = service.answers["key_location"] in ("query", "fallback")
    assert status == (200 if opens and decides(sent, service.key) else 401)
    assert service.key not in unquote(service.seen[0]["query_string"].decode())
    assert service.key not in str(service.seen[1:])


@MANY
@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_key_in_a_path_stays_in_no_scope_and_no_answer(
    service: InProcessService, before: str, after: str
) -> None:
    path = f"/{before}{service.key}{after}".encode(errors="replace").decode()
    assert service.drive([], b"", path) in (401, 404)
    scope, *answer = service.seen
    for told in (scope["path"], unquote(scope["raw_path"].decode()), str(answer)):
        assert service.key not in told


@MANY
@given(line=st.binary(max_size=400), header=NOISE, query=st.binary(max_size=400))
def test_noise_everywhere_is_refused_in_one_way(
    service: InProcessService, line: bytes, header: bytes, query: bytes
) -> None:
    assert service.drive([(b"cookie", line), (b"x-api-key", header)], query) == 401
    assert service.seen[2]["body"] == b'{"detail":"Missing or invalid API key"}'
    service.seen[0]["query_string"].decode("ascii")
