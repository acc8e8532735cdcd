"""API key authentication: from a request or WebSocket handshake to the consumer."""

import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address

from pydantic import SecretStr
from starlette.types import Scope

from . import keys
from .context import Consumer, RequestContext, get_context
from .events import describe_span
from .locations import Location
from .metrics import observe
from .records import KeyRecord, KeyStore, Network, ServiceEvent
from .refusals import Reason, Refusal, unauthenticated

# How many expired keys are remembered, so that only the first refusal of each is an event.
MAX_EXPIRED = 10_000

logger = logging.getLogger(__name__)


class Authenticator:
    """Locates the key of a request, looks it up and checks it."""

    def __init__(self, locations: tuple[Location, ...], store: KeyStore) -> None:
        self.locations = locations
        self.store = store
        self._expired: set[str] = set()  # the keys whose first refusal was logged
        observe(self)

    def availability(self) -> dict[str, bool]:
        """Return which parts are available, for metrics."""
        return self.store.availability()

    async def __call__(self, scope: Scope) -> Consumer:
        """Return the consumer of a request. Further calls for the request give the same result.

        Raises:
            Refusal: 401 without a valid key, otherwise what a location, a limit or the store raises.
        """
        context = get_context(scope)
        if context.refusal is not None:
            raise context.refusal
        if context.consumer is None:
            try:
                context.consumer = await self.authenticate(scope, context)
            except Refusal as refusal:
                context.refusal = refusal
                raise
            scope["state"]["consumer"] = context.consumer  # `request.state.consumer`
            describe_span(context.consumer)
        return context.consumer

    async def authenticate(self, scope: Scope, context: RequestContext) -> Consumer:
        """Return the consumer whose key the request holds.

        Raises:
            Refusal: see `__call__`.
        """
        location, sent = self._locate(context)
        record = await self.authenticate_key(sent, context)
        location.check(scope)
        self.store.note_use(record.id)
        return Consumer(record.consumer, record.scopes, record.id, location.name)

    async def authenticate_key(self, sent: list[SecretStr], context: RequestContext) -> KeyRecord:
        """Return the record of the one valid key that was sent.

        Raises:
            Refusal: 401, the same for every reason; 503 when the store is unavailable.
        """
        if len(sent) != 1 or not sent[0]:  # a form may hold an empty field
            raise unauthenticated(Reason.REPEATED if any(sent) else Reason.MISSING)
        context.digest = digest = keys.hash_key(sent[0].get_secret_value())
        # A key that the store knows has a valid format: only the others are checked for theirs.
        record = self.store.peek(digest) or await self._find(sent[0], digest, context)
        self._check(record, context)
        return record

    async def check_again(self, context: RequestContext) -> None:
        """Check the key of an open WebSocket again.

        Raises:
            Refusal: the key is no longer valid or lost a scope, or the store is unavailable.
        """
        record = await self.store.confirm(context.digest)
        if record is None:
            raise unauthenticated(Reason.UNKNOWN)
        self._check(record, context)
        lost = context.consumer.scopes - record.scopes if context.consumer else ()
        if lost:
            missing = {"missing_scope": " ".join(sorted(lost))}
            raise Refusal(403, "The key has lost a scope", Reason.SCOPE, details=missing)

    def _check(self, record: KeyRecord, context: RequestContext) -> None:
        context.key = record
        if record.revoked:
            raise unauthenticated(Reason.REVOKED)
        if not record.enabled:
            raise unauthenticated(Reason.DISABLED)
        if record.expires is not None and record.expires <= datetime.now(UTC):
            self._note_expired(record, context)
            raise unauthenticated(Reason.EXPIRED)
        if record.networks and not _comes_from(record.networks, context.client):
            raise unauthenticated(Reason.NETWORK)

    async def _find(self, key: SecretStr, digest: str, context: RequestContext) -> KeyRecord:
        # The key itself is in no variable here: error trackers send those of a traceback's frames.
        if not keys.is_well_formed(key.get_secret_value()):
            mistyped = keys.has_key_format(key.get_secret_value())
            raise unauthenticated(Reason.MISTYPED if mistyped else Reason.MALFORMED)
        record = await self.look_up(digest, context)
        if record is None:
            raise unauthenticated(Reason.UNKNOWN, hint=keys.key_hint(key.get_secret_value()))
        return record

    def look_up(self, digest: str, context: RequestContext) -> Awaitable[KeyRecord | None]:
        """Return the record of a key that the store does not know yet, or None if there is none."""
        return self.store.find(digest)

    def note_event(self, event: str, context: RequestContext) -> None:
        """Log what happened to the key of a request, and save it where the store can."""
        key = context.key
        if key is not None:
            fields = {"event": event, "client": context.client, "actor": key.id}
            logger.info("%s: key %s", event, key.id, extra=fields)
            self.store_event(event, context)

    def store_event(self, event: str, context: RequestContext) -> None:
        """Save what happened to the key of a request where the store can."""
        key, now = context.key, datetime.now(UTC)
        if key is not None:
            self.store.note_event(ServiceEvent(event, key.id, key.consumer, context.client, now))

    def _note_expired(self, record: KeyRecord, context: RequestContext) -> None:
        if record.id not in self._expired and len(self._expired) < MAX_EXPIRED:
            self._expired.add(record.id)
            self.note_event("key_expired", context)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the background work of the store for as long as the service runs."""
        async with self.store.running():
            yield

    async def check_ready(self) -> None:
        """Check that keys can be looked up.

        Raises:
            Refusal: 503 when the store is unavailable.
        """
        await self.store.check_ready()

    def _locate(self, context: RequestContext) -> tuple[Location, list[SecretStr]]:
        if context.sent_keys:
            return context.sent_keys[0]  # the first location decides, even if the key is invalid
        if context.misplaced:
            raise unauthenticated(Reason.WRONG_LOCATION, sent_in=context.misplaced)
        raise unauthenticated(Reason.MISSING)


def _comes_from(networks: tuple[Network, ...], client: str) -> bool:
    try:
        address = ip_address(client)
    except ValueError:  # unknown, such as that of a Unix socket
        return False
    # A socket for both IPv4 and IPv6 shows an IPv4 address as an IPv6 one.
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)
