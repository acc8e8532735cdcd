"""Metrics through the OpenTelemetry API, which costs nothing while no SDK is installed."""

from opentelemetry import metrics

# How many consumers get a label value of their own; the others share one.
MAX_CONSUMERS = 200
OTHER = "_other"

_meter = metrics.get_meter(__package__ or __name__)
_requests = _meter.create_counter(
    "api_key.requests", unit="{request}", description="Authenticated requests by consumer"
)
_refusals = _meter.create_counter(
    "api_key.refusals", unit="{request}", description="Refused requests by reason"
)
_consumers: set[str] = set()


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
