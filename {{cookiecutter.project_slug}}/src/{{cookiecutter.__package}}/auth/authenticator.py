"""API key authentication: from a request or WebSocket handshake to the consumer."""

import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address

from starlette.types import Scope

from . import keys
from .context import Consumer, RequestContext, get_context
from .locations import Location
from .metrics import observe
from .records import KeyRecord, KeyStore, ServiceEvent
from .refusals import Reason, Refusal, unauthenticated

# How many expired keys are remembered, so that only the first refusal of each is an event.
MAX_EXPIRED = 10_000

logger = logging.getLogger(__name__)

_MARK = f"{keys.PREFIX}_".encode()  # every key starts with it


class Authenticator:
    """Locates the key of a request, looks it up and checks it."""

    def __init__(self, locations: tuple[Location, ...], store: KeyStore) -> None:
        self.locations = locations
        self.store = store
        self._expired: set[str] = set()  # the keys whose first refusal was logged
        observe(self)

    def availability(self) -> dict[str, bool]:
        """Tell for the metrics what is available."""
        return self.store.availability()

    async def __call__(self, scope: Scope) -> Consumer:
        """Return the consumer; asked again about the same request, give the same result.

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
        return context.consumer

    async def authenticate(self, scope: Scope, context: RequestContext) -> Consumer:
        """Return the consumer whose key the request holds.

        Raises:
            Refusal: see `__call__`.
        """
        location, sent = self._locate(scope, context)
        record = await self.authenticate_key(sent, context)
        location.check(scope)
        self.store.note_use(record.id)
        return Consumer(record.consumer, record.scopes, record.id, location.name)

    async def authenticate_key(self, sent: list[str], context: RequestContext) -> KeyRecord:
        """Return the record of the one valid key that was sent.

        Raises:
            Refusal: 401, the same for every reason; 503 when the store is unavailable.
        """
        if len(sent) != 1 or not sent[0]:  # a form may hold an empty field
            raise unauthenticated(Reason.REPEATED if any(sent) else Reason.MISSING)
        digest = keys.hash_key(sent[0])
        # A key that the store knows has a valid format: only the others are checked for theirs.
        record = self.store.peek(digest) or await self._find(sent[0], digest, context)
        context.key = record
        try:
            _check_state(record)
        except Refusal as refusal:
            if refusal.reason is Reason.EXPIRED and record.id not in self._expired:
                self._note_expired(context)
            raise
        _check_network(record, context)
        return record

    async def _find(self, key: str, digest: str, context: RequestContext) -> KeyRecord:
        if not keys.is_well_formed(key):
            mistyped = keys.has_key_format(key)
            raise unauthenticated(Reason.MISTYPED if mistyped else Reason.MALFORMED)
        record = await self.look_up(digest, context)
        if record is None:
            raise unauthenticated(Reason.UNKNOWN, hint=keys.key_hint(key))
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

    def _note_expired(self, context: RequestContext) -> None:
        if context.key is not None and len(self._expired) < MAX_EXPIRED:
            self._expired.add(context.key.id)
            self.note_event("key_expired", context)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run what the store does in the background for as long as the service runs."""
        async with self.store.running():
            yield

    async def check_ready(self) -> None:
        """Return when keys can be looked up.

        Raises:
            Refusal: 503 when the store is unavailable.
        """
        await self.store.check_ready()

    def _locate(self, scope: Scope, context: RequestContext) -> tuple[Location, list[str]]:
        for location in self.locations:
            sent = location.read(scope)
            if any(sent):  # the first location with a key decides, even if the key is invalid
                return location, sent
        misplaced = context.misplaced or _find_misplaced_key(scope)
        if misplaced:
            raise unauthenticated(Reason.WRONG_LOCATION, sent_in=misplaced)
        raise unauthenticated(Reason.MISSING)


def _check_state(record: KeyRecord) -> None:
    if record.revoked:
        raise unauthenticated(Reason.REVOKED)
    if not record.enabled:
        raise unauthenticated(Reason.DISABLED)
    if record.expires is not None and record.expires <= datetime.now(UTC):
        raise unauthenticated(Reason.EXPIRED)


def _check_network(record: KeyRecord, context: RequestContext) -> None:
    if not record.networks:
        return
    try:
        address = ip_address(context.client)
    except ValueError:  # unknown, such as that of a Unix socket
        raise unauthenticated(Reason.NETWORK) from None
    if not any(address in network for network in record.networks):
        raise unauthenticated(Reason.NETWORK)


def _find_misplaced_key(scope: Scope) -> str:
    """Return where a well-formed key was sent although keys are not accepted there, or ''."""
    for raw_name, raw_value in scope["headers"]:
        if _MARK not in raw_value:  # most headers: the rest takes longer
            continue
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        values = (part.partition("=")[2] for part in value.split(";")) if name == "cookie" else ()
        if any(map(keys.is_well_formed, (value, value.rpartition(" ")[2], *values))):
            return "cookie" if name == "cookie" else f"header {name}"
    return ""
