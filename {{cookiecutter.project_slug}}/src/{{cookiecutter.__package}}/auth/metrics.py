"""Metrics through the OpenTelemetry API, which costs nothing while no SDK is installed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

# How many consumers get a label value of their own; the others share one.
MAX_CONSUMERS = 200
OTHER = "_other"


class Observed(Protocol):
    """An object whose state is read with the metrics."""

    def availability(self) -> Mapping[str, bool]:
        """Tell which of its parts are available."""
        ...


_consumers: set[str] = set()
_observed: WeakSet[Observed] = WeakSet()
# Not a counter of the SDK: it has locks, and a signal handler may count while one is held.
_state_changes: Counter[str] = Counter()


def observe(observed: Observed) -> None:
    """Report the state of this object for as long as it exists."""
    _observed.add(observed)


def count_request(consumer: str) -> None:
    """Count a request whose key is valid."""
    if consumer not in _consumers:
        if len(_consumers) >= MAX_CONSUMERS:
            consumer = OTHER
        else:
            _consumers.add(consumer)
    _requests.add(1, {"consumer": consumer})


def count_refusal(reason: str) -> None:
    """Count a request that was refused."""
    _refusals.add(1, {"reason": reason})


def count_state_change(event: str) -> None:
    """Count a change of state, which is a line of the log with this event."""
    _state_changes[event] += 1


def read_state_changes(options: CallbackOptions) -> Iterable[Observation]:
    """Return how often each state changed."""
    return [Observation(count, {"event": event}) for event, count in list(_state_changes.items())]


def read_availability(options: CallbackOptions) -> Iterable[Observation]:
    """Return the state of each part, 1 or 0; the worse one if a process runs two services."""
    states: dict[str, bool] = {}
    for observed in list(_observed):
        for part, available in observed.availability().items():
            states[part] = available and states.get(part, True)
    return [Observation(int(available), {"part": part}) for part, available in states.items()]


_meter = metrics.get_meter(__package__ or __name__)
_requests = _meter.create_counter(
    "api_key.requests", unit="{request}", description="Requests with a valid key, by consumer"
)
_refusals = _meter.create_counter(
    "api_key.refusals", unit="{request}", description="Refused requests, by reason"
)
_changes = _meter.create_observable_counter(
    "api_key.state_changes", [read_state_changes], unit="{change}", description="Changes by event"
)
_availability = _meter.create_observable_gauge(
    "api_key.available", [read_availability], description="Whether keys and limits can be checked"
)
