"""What a key store knows about a key, and the interface of key stores."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, Protocol

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key without the key itself: its public id, its consumer and what it may do."""

    id: str
    consumer: str
    scopes: frozenset[str] = frozenset()
    expires: datetime | None = None
    networks: tuple[Network, ...] = ()
    {% if cookiecutter.__limited %}
    rate_limit: str | None = None
    {% endif %}
    enabled: bool = True
    revoked: bool = False


class ServiceEvent(NamedTuple):
    """What happened to a key while the service ran, for the store."""

    event: str
    key_id: str
    consumer: str
    client: str
    time: datetime


class KeyStore(Protocol):
    """A key store."""

    def availability(self) -> dict[str, bool]:
        """Return which parts are available, for metrics."""
        ...

    @property
    def recheck_seconds(self) -> float:
        """How often a key that stays in use, such as that of a WebSocket, is checked again."""
        ...

    def peek(self, digest: str) -> KeyRecord | None:
        """Return the key with this hash if the store knows it without a query."""
        ...

{% if cookiecutter.__limited %}
    def knows(self, digest: str) -> bool:
        """Tell whether a key is known, even if it has to be confirmed again."""
        ...

{% endif %}
    async def find(self, digest: str) -> KeyRecord | None:
        """Return the key with this SHA-256 hash, valid or not, or None when there is none.

        Raises:
            Refusal: 503 when the store is unavailable.
        """
        ...

    async def confirm(self, digest: str) -> KeyRecord | None:
        """Return the key with this hash as it is now; otherwise like `find`."""
        ...

    def note_use(self, key_id: str) -> None:
        """Note that the key with this id was accepted now."""
        ...

    def note_event(self, event: ServiceEvent) -> None:
        """Note an event; a store that can keep it saves it later."""
        ...

    async def check_ready(self) -> None:
        """Check that the store is available.

        Raises:
            Refusal: 503 when it is unavailable.
        """
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Run the background work of the store for as long as the service runs."""
        ...
