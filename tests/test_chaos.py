"""A busy service keeps its promises while its PostgreSQL, its Redis and its processes fail.

This is a short selection: `make chaos` injects every fault.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chaos.faults import FAULTS, Fault, is_right
from support.chaos.run import inject
from support.chaos.scenarios import SCENARIOS, Scenario
from support.chaos.traffic import Traffic
from support.chaos.world import ANSWERS, World, make_world
from support.generation import Bake
from support.postgresql import Postgres
from support.redis_server import Redis, run_redis

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="finds processes in /proc"
)

QUICK_FAULTS = [fault for fault in FAULTS if fault.quick]
QUICK_SCENARIOS = [scenario for scenario in SCENARIOS if scenario.quick]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Return a running server."""
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def world(
    bake: Bake, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis: Redis
) -> Iterator[World]:
    """Return a running service, its database and its Redis."""
    folder = tmp_path_factory.mktemp("chaos")
    with make_world(bake(**ANSWERS), folder, postgres, redis) as world:
        yield world


@pytest.fixture(scope="module")
def traffic(world: World) -> Iterator[Traffic]:
    """Return clients that send requests without a pause, once each process knows their key."""
    with world.traffic() as traffic:
        traffic.settle(time.monotonic(), is_right)
        yield traffic


@pytest.mark.parametrize("fault", QUICK_FAULTS, ids=lambda fault: fault.name)
def test_promises_hold_during_a_fault(fault: Fault, world: World, traffic: Traffic) -> None:
    row = inject(fault, world, traffic)
    assert not row.broken, row.text()
    assert row.responses > 100


@pytest.mark.parametrize("scenario", QUICK_SCENARIOS, ids=lambda scenario: scenario.name)
def test_promises_hold_when_processes_start_and_end(
    scenario: Scenario, bake: Bake, tmp_path: Path, postgres: Postgres, redis: Redis
) -> None:
    row = scenario.run(bake(**ANSWERS), tmp_path, postgres, redis)
    assert not row.broken, row.text()
