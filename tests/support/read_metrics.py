"""Run in a generated service: print what an OpenTelemetry reader gets after some requests."""

import asyncio
import json
from importlib import import_module
from typing import Any

import httpx2
from my_service.auth import keys
from my_service.server import refuse_reload
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

helpers: Any = import_module("tests.helpers")
# More consumers than get a label of their own.
CONSUMERS = 210


def read(reader: InMemoryMetricReader) -> dict[str, dict[str, Any]]:
    """Return the value of each label of the service's own metrics."""
    data, found = reader.get_metrics_data(), {}
    assert data is not None
    scopes = [part for resource in data.resource_metrics for part in resource.scope_metrics]
    for metric in [metric for scope in scopes for metric in scope.metrics]:
        if metric.name.startswith("api_key."):
            points = [p for p in metric.data.data_points if isinstance(p, NumberDataPoint)]
            found[metric.name] = {
                " ".join(map(str, (point.attributes or {}).values())): point.value
                for point in points
            }
    return found


async def main() -> None:
    """Send requests, and print the metrics as a JSON object."""
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    sent = [keys.generate_key() for _ in range(CONSUMERS)]
    entries = [helpers.make_entry(key, consumer=f"consumer-{n}") for n, key in enumerate(sent)]
    expired = keys.generate_key()
    app = helpers.make_app(api_keys=[*entries, helpers.make_entry(expired, expires="2020-01-31")])
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=helpers.base_url(app)) as client:
        for key in [*sent, sent[0], helpers.UNKNOWN_KEY, helpers.UNKNOWN_KEY, expired]:
            await client.get("/users/me", **helpers.with_key(helpers.LOCATIONS[0], key))
        await client.get("/users/me")
        await client.get("/health/live")
    refuse_reload()
    print(json.dumps(read(reader)))


asyncio.run(main())
