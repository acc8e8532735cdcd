"""The faults: how each begins and ends, and what the service promises during it."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from support.chaos.traffic import Seen
from support.chaos.world import World

Inject = Callable[[World], AbstractContextManager[None]]

GRACE = "known keys stay valid; other keys get 503 if they cannot be checked"
UNNOTICED = "requests are unaffected"
UNCOUNTED = "requests pass uncounted"


@dataclass
class Fault:
    """A fault that lasts for some seconds."""

    name: str
    promise: str
    inject: Inject
    seconds: float = 5
    # The seconds in which the service recovers after the end.
    recovery: float = 6
    # Responses that break off: those of a process that was killed.
    breaks: int = 0
    quick: bool = False

    def violations(self, seen: list[Seen]) -> list[Seen]:
        """Return the responses that no promise covers."""
        return [s for s in seen if s.status not in self._allowed(s.kind)]

    def _allowed(self, kind: str) -> set[int]:
        broken = {0} if self.breaks else set()
        unavailable = {503} if self.promise == GRACE else set()
        return (
            broken
            | {
                "known": {200},
                "live": {200},
                "ready": {200} | unavailable,
                "unknown": {401} | unavailable,
                "revoked": {401} | unavailable,
            }[kind]
        )


def is_right(seen: Seen) -> bool:
    """Tell whether a response is as expected in normal operation."""
    if seen.seconds > 1:
        return False
    if seen.kind == "known":
        return seen.status == 200 and seen.counted
    return seen.status == (401 if seen.kind in ("unknown", "revoked") else 200)


def sql(*statements: str, undo: tuple[str, ...], end_sessions: bool = True) -> Inject:
    """Return a fault that SQL statements of the administrator cause and undo."""

    @contextmanager
    def inject(world: World) -> Iterator[None]:
        world.execute(*(statement.format(world=world) for statement in statements))
        if end_sessions:
            world.end_sessions()
        try:
            yield
        finally:
            world.execute(*(statement.format(world=world) for statement in undo))
            if end_sessions:
                world.end_sessions()

    return inject


def once(action: Callable[[World], object]) -> Inject:
    """Return a fault that is not undone."""

    @contextmanager
    def inject(world: World) -> Iterator[None]:
        action(world)
        yield

    return inject


def between(begin: Callable[[World], object], end: Callable[[World], object]) -> Inject:
    """Return a fault with a beginning and an end."""

    @contextmanager
    def inject(world: World) -> Iterator[None]:
        begin(world)
        try:
            yield
        finally:
            end(world)

    return inject


def configure_redis(name: str, value: str, normal: str) -> Inject:
    """Return a fault that is an option of Redis."""
    return between(
        lambda world: world.redis.client().config_set(name, value),
        lambda world: world.redis.client().config_set(name, normal),
    )


def delay(link: str, milliseconds: float) -> Inject:
    """Return a fault that delays the replies of a server."""

    def set_delay(world: World, seconds: float) -> None:
        getattr(world, link).round_trip = seconds

    return between(
        lambda world: set_delay(world, milliseconds / 1000), lambda world: set_delay(world, 0)
    )


@contextmanager
def frozen_postgres(world: World) -> Iterator[None]:
    """Stop all processes of the database server."""
    with world.postgres.frozen():
        yield


@contextmanager
def locked_table(world: World) -> Iterator[None]:
    """Lock the table of keys against all other sessions."""
    with world.admin() as connection, connection.transaction():
        connection.execute(b"LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def wrong_redis_password(world: World) -> Iterator[None]:
    """Change the password of Redis, and close the connections that had the old one."""
    admin = world.redis.client()
    admin.config_set("requirepass", "another")
    world.to_redis.cut()
    world.to_redis.mend()
    try:
        yield
    finally:
        admin.config_set("requirepass", world.redis.password)


def hang_up(world: World) -> None:
    """Send SIGHUP to the parent process."""
    if sys.platform == "win32":
        raise NotImplementedError
    world.signal(signal.SIGHUP)


def kill_worker(world: World) -> None:
    """Kill one of the two workers."""
    if sys.platform == "win32":
        raise NotImplementedError
    os.kill(world.workers()[0], signal.SIGKILL)
    time.sleep(1)


WRONG_PASSWORD = sql(
    "ALTER ROLE service VALID UNTIL '2000-01-01'",
    undo=("ALTER ROLE service VALID UNTIL 'infinity'",),
)

FAULTS = [
    Fault(
        "PostgreSQL stops and starts again",
        GRACE,
        between(lambda world: world.postgres.stop(), lambda world: world.postgres.start()),
        quick=True,
    ),
    Fault("PostgreSQL hangs (SIGSTOP)", GRACE, frozen_postgres, 10, quick=True),
    Fault(
        "the network to PostgreSQL is cut",
        GRACE,
        between(lambda world: world.to_postgres.cut(), lambda world: world.to_postgres.mend()),
    ),
    Fault(
        "the network to PostgreSQL goes silent",
        GRACE,
        between(lambda world: world.to_postgres.pause(), lambda world: world.to_postgres.resume()),
        10,
    ),
    Fault(
        "connections to PostgreSQL are silently dead",
        "known keys stay valid; other keys wait for 2 s",
        once(lambda world: world.to_postgres.kill_silently()),
        0,
        quick=True,
    ),
    Fault("a round trip to PostgreSQL takes 200 ms", UNNOTICED, delay("to_postgres", 200)),
    Fault("a round trip to PostgreSQL takes 300 ms", UNNOTICED, delay("to_postgres", 300)),
    Fault("the table of keys is locked", GRACE, locked_table, 10),
    Fault("PostgreSQL ends all sessions", UNNOTICED, once(lambda world: world.end_sessions()), 2),
    Fault(
        "PostgreSQL has no free connection",
        GRACE,
        sql(
            "ALTER ROLE service CONNECTION LIMIT 0",
            undo=("ALTER ROLE service CONNECTION LIMIT -1",),
        ),
    ),
    Fault("the password of PostgreSQL changes", GRACE, WRONG_PASSWORD),
    Fault(
        "the permission to read keys is revoked",
        GRACE,
        sql(
            "REVOKE SELECT ON api_keys FROM service",
            undo=("GRANT SELECT ON api_keys TO service",),
            end_sessions=False,
        ),
    ),
    Fault(
        "the table of keys is missing",
        GRACE,
        sql(
            "ALTER TABLE api_keys RENAME TO lost",
            undo=("ALTER TABLE lost RENAME TO api_keys",),
            end_sessions=False,
        ),
    ),
    Fault(
        "PostgreSQL becomes read-only",
        UNNOTICED,
        sql(
            "ALTER ROLE service SET default_transaction_read_only = on",
            undo=("ALTER ROLE service RESET default_transaction_read_only",),
        ),
    ),
    Fault(
        "Redis stops and starts again",
        UNCOUNTED,
        between(lambda world: world.redis.stop(), lambda world: world.redis.start()),
        quick=True,
    ),
    Fault(
        "Redis hangs (SIGSTOP)",
        UNCOUNTED,
        between(lambda world: world.redis.freeze(), lambda world: world.redis.thaw()),
    ),
    Fault(
        "connections to Redis are silently dead",
        UNCOUNTED,
        once(lambda world: world.to_redis.kill_silently()),
        0,
    ),
    Fault("a round trip to Redis takes 260 ms", UNNOTICED, delay("to_redis", 260), quick=True),
    Fault("a round trip to Redis takes 600 ms", UNCOUNTED, delay("to_redis", 600)),
    Fault(
        "Redis loses its data and its scripts",
        UNNOTICED,
        once(lambda world: (world.redis.client().flushall(), world.redis.client().script_flush())),
        2,
    ),
    Fault("Redis is out of memory", UNCOUNTED, configure_redis("maxmemory", "1", "0")),
    Fault(
        "Redis becomes a replica",
        UNCOUNTED,
        between(
            lambda world: world.redis.client().replicaof("127.0.0.1", "1"),
            lambda world: world.redis.client().replicaof("NO", "ONE"),
        ),
    ),
    Fault("the password of Redis changes", UNCOUNTED, wrong_redis_password),
    Fault(
        "a worker is killed",
        "the other worker serves; the parent starts a new one",
        once(kill_worker),
        0,
        breaks=20,
        quick=True,
    ),
    Fault(
        "SIGHUP",
        UNNOTICED,
        once(hang_up),
        1,
    ),
]
