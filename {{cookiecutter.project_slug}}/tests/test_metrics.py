"""Metrics count requests by consumer and refusals by reason; the number of labels is bounded."""

import collections

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.metrics import CallbackOptions

from {{ cookiecutter.__package }}.auth import metrics

from .helpers import LIVE, LOCATIONS, UNKNOWN_KEY, WEB_KEY, with_key


class Counter:
    """A counter that records its labels."""

    def __init__(self) -> None:
        self.labels: list[dict[str, str]] = []

    def add(self, amount: int, labels: dict[str, str]) -> None:
        """Keep the labels."""
        self.labels += [labels] * amount


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Return the counter of requests."""
    counter = Counter()
    monkeypatch.setattr(metrics, "_requests", counter)
    monkeypatch.setattr(metrics, "_consumers", set())
    return counter


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Return the counter of refusals."""
    counter = Counter()
    monkeypatch.setattr(metrics, "_refusals", counter)
    return counter


@pytest.mark.anyio
async def test_each_response_is_counted_once(
    client: httpx2.AsyncClient, requests: Counter, refusals: Counter
) -> None:
    await client.get(LIVE)
    await client.get("/_tests/whoami", **with_key(LOCATIONS[0], WEB_KEY))
    await client.get("/_tests/whoami", **with_key(LOCATIONS[0], UNKNOWN_KEY))
    await client.get("/_tests/whoami")
    assert requests.labels == [{"consumer": "web"}]
    assert refusals.labels == [{"reason": "unknown"}, {"reason": "missing"}]


def test_labels_are_bounded(requests: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_CONSUMERS", 2)
    for name in ("a", "b", "c", "d", "a"):
        metrics.count_request(name)
    assert [labels["consumer"] for labels in requests.labels] == [
        *("a", "b", metrics.OTHER, metrics.OTHER, "a")
    ]


def test_changes_of_state_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_state_changes", collections.Counter())
    for event in ("store_slow", "store_slow", "store_available"):
        metrics.count_state_change(event)
    counted = metrics.read_state_changes(CallbackOptions())
    assert [(state.value, state.attributes) for state in counted] == [
        (2, {"event": "store_slow"}),
        (1, {"event": "store_available"}),
    ]


def test_state_is_that_of_the_worst_service(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def availability(self) -> dict[str, bool]:
            return {"store": False}

    def read() -> dict[str, float]:
        states = metrics.read_availability(CallbackOptions())
        return {str((state.attributes or {})["part"]): state.value for state in states}

    monkeypatch.setattr(metrics, "_observed", {app.authenticator})  # type: ignore[attr-defined]
    before = read()
    assert set(before.values()) == {1}
    monkeypatch.setattr(metrics, "_observed", {app.authenticator, Broken()})  # type: ignore[attr-defined]
    assert read() == before | {"store": 0}
