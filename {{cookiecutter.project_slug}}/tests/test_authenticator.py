"""From the key of a request to its consumer."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from pydantic import SecretStr

from {{ cookiecutter.__package }}.auth import (
    authenticator,
    keys,
)
from {{ cookiecutter.__package }}.auth.authenticator import (
    Authenticator,
)
from {{ cookiecutter.__package }}.auth.context import (
    STATE_KEY,
    RequestContext,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.auth.records import (
    KeyRecord,
    ServiceEvent,
)
from {{ cookiecutter.__package }}.auth.refusals import (
    Reason,
    Refusal,
)

from .helpers import UNKNOWN_KEY, WEB_KEY, make_scope

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


class FakeStore:
    """A store that holds one key, and records its queries."""

    def __init__(self, record: KeyRecord) -> None:
        self.record = record
        self.asked: list[str] = []
        self.used: list[str] = []
        self.events: list[str] = []

    def peek(self, digest: str) -> None:
        """Return None: only `find` knows the key."""

{% if cookiecutter.__limited %}
    def knows(self, digest: str) -> bool:
        """Return False: only `find` knows the key."""
        return False

{% endif %}
    async def find(self, digest: str) -> KeyRecord | None:
        """Return the record."""
        self.asked.append(digest)
        return self.record if digest == keys.hash_key(WEB_KEY) else None

    def note_event(self, event: ServiceEvent) -> None:
        """Note an event."""
        self.events.append(event.event)

    def note_use(self, key_id: str) -> None:
        """Note the id."""
        self.used.append(key_id)


class FakeLocation(Location):
    """A location that accepts every key."""

    name = "fake"


def make_record(**fields: object) -> KeyRecord:
    """Return the record of a key of the consumer `web`."""
    return KeyRecord(**({"id": "id", "consumer": "web"} | fields))  # type: ignore[arg-type]


def make_context(*sent: str, client: str = "127.0.0.1") -> RequestContext:
    """Return the context of a request that holds these keys."""
    context = RequestContext("request", client)
    if sent:
        context.sent_keys.append((FakeLocation(), [SecretStr(key) for key in sent]))
    return context


async def authenticate(
    record: KeyRecord, *sent: str, client: str = "127.0.0.1"
) -> tuple[Reason | None, FakeStore]:
    """Return why keys are refused, and the store that was queried."""
    store = FakeStore(record)
    scope = make_scope("/")
    scope["state"] = {STATE_KEY: make_context(*sent, client=client)}
    authenticate = Authenticator((FakeLocation(),), store)  # type: ignore[arg-type]
    try:
        await authenticate(scope)
    except Refusal as refusal:
        return refusal.reason, store
    return None, store


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (WEB_KEY, None),
        (UNKNOWN_KEY, Reason.UNKNOWN),
        ("wrong", Reason.MALFORMED),
        ("", Reason.MISSING),
        (WEB_KEY[:-1], Reason.MALFORMED),
        (WEB_KEY.upper(), Reason.MALFORMED),
        (f" {WEB_KEY}", Reason.MALFORMED),
        (f'"{WEB_KEY}"', Reason.MALFORMED),
        (WEB_KEY + "é", Reason.MALFORMED),
        ("k" * 300, Reason.MALFORMED),
        (WEB_KEY[:-8] + f"{int(WEB_KEY[-8:], 16) ^ 1:08x}", Reason.MISTYPED),
    ],
    ids=(
        *("valid", "unknown", "wrong", "empty", "short", "upper case", "space", "quotes"),
        *("not ASCII", "long", "mistyped"),
    ),
)
async def test_reason_of_a_refusal(key: str, reason: Reason | None) -> None:
    refused, store = await authenticate(make_record(), key)
    assert refused is reason
    assert store.asked == ([keys.hash_key(key)] if reason in (None, Reason.UNKNOWN) else [])
    assert store.used == ([] if reason else ["id"])


@pytest.mark.parametrize(("sent", "reason"), [((), Reason.MISSING), (2, Reason.REPEATED)])
async def test_exactly_one_key_is_accepted(sent: tuple[()] | int, reason: Reason) -> None:
    refused, store = await authenticate(make_record(), *([WEB_KEY] * sent if sent else ()))
    assert refused is reason
    assert store.asked == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"revoked": True}, Reason.REVOKED),
        ({"enabled": False}, Reason.DISABLED),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, Reason.EXPIRED),
        ({"expires": datetime(2999, 1, 1, tzinfo=UTC)}, None),
    ],
    ids=["revoked", "disabled", "expired", "not yet expired"],
)
async def test_state_of_a_key_decides(fields: dict[str, object], reason: Reason | None) -> None:
    refused, store = await authenticate(make_record(**fields), WEB_KEY)
    assert refused is reason
    assert store.events == (["key_expired"] if reason is Reason.EXPIRED else [])


@pytest.mark.parametrize(("before", "reason"), [(HOUR, None), (timedelta(), Reason.EXPIRED)])
async def test_key_expires_while_the_service_runs(
    monkeypatch: pytest.MonkeyPatch, before: timedelta, reason: Reason | None
) -> None:
    expires = datetime(2030, 1, 31, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return expires - before

    monkeypatch.setattr(authenticator, "datetime", Clock)
    refused, _ = await authenticate(make_record(expires=expires), WEB_KEY)
    assert refused is reason


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("2001:db8::1", None),
        ("11.1.2.3", Reason.NETWORK),
        ("::ffff:11.1.2.3", Reason.NETWORK),
        ("2001:db9::1", Reason.NETWORK),
        ("", Reason.NETWORK),
        ("unix:", Reason.NETWORK),
    ],
)
async def test_network_of_the_client_decides(client: str, reason: Reason | None) -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    refused, _ = await authenticate(make_record(networks=networks), WEB_KEY, client=client)
    assert refused is reason


async def test_request_is_authenticated_once() -> None:
    store = FakeStore(make_record(scopes=frozenset({"admin"})))
    scope = make_scope("/")
    scope["state"] = {STATE_KEY: make_context(WEB_KEY)}
    authenticate = Authenticator((FakeLocation(),), store)  # type: ignore[arg-type]
    consumer = await authenticate(scope)
    assert await authenticate({**scope}) is consumer
    assert scope["state"]["consumer"] is consumer
    assert (consumer.name, consumer.scopes) == ("web", {"admin"})
    assert (consumer.key_id, consumer.location) == ("id", "fake")
    assert (store.asked, store.used) == ([keys.hash_key(WEB_KEY)], ["id"])


async def test_refused_request_stays_refused() -> None:
    store = FakeStore(make_record())
    scope = make_scope("/")
    scope["state"] = {STATE_KEY: make_context()}
    authenticate = Authenticator((FakeLocation(),), store)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(Refusal) as caught:
            await authenticate(scope)
        assert caught.value is scope["state"][STATE_KEY].refusal


@pytest.mark.parametrize(("misplaced", "reason"), [("cookie", "wrong_location"), ("", "missing")])
async def test_log_says_where_a_misplaced_key_was(misplaced: str, reason: str) -> None:
    store = FakeStore(make_record())
    context = make_context()
    context.misplaced = misplaced
    scope = make_scope("/")
    scope["state"] = {STATE_KEY: context}
    with pytest.raises(Refusal) as caught:
        await Authenticator((FakeLocation(),), store)(scope)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert caught.value.details == ({"sent_in": misplaced} if misplaced else {})
    assert store.asked == []
