"""The extended service, with its telemetry on stdout and an endpoint that fails at its headers."""

from importlib import import_module

from fastapi import FastAPI, Request, Security
from my_service.auth import get_api_key
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter, SimpleLogRecordProcessor
from pydantic import TypeAdapter

SENT_IN = ("x-api-key", "authorization", "cookie")

app: FastAPI = import_module("support.apps.extended").app
provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(ConsoleLogRecordExporter()))
_logs.set_logger_provider(provider)


@app.get("/cut", dependencies=[Security(get_api_key)])
async def cut(request: Request) -> int:
    [sent] = [text for name in SENT_IN if (text := request.headers.get(name))][:1]
    return TypeAdapter(int).validate_python(sent.rpartition("=")[2])
