"""The extended service, with its telemetry on stdout and an endpoint that fails at its body."""

from importlib import import_module

from fastapi import FastAPI, Request, Security
from my_service.auth import get_api_key
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
from pydantic import TypeAdapter

app: FastAPI = import_module("support.apps.extended").app
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter()))
_logs.set_logger_provider(provider)


@app.post("/cut", dependencies=[Security(get_api_key)])
async def cut(request: Request) -> int:
    """Fail with a message that holds the two ends of the body."""
    return TypeAdapter(int).validate_python((await request.body()).decode())
