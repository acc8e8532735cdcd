"""The generated service with what its owner might add: mounts, files, WebSockets, uploads, bugs."""

import asyncio
import os
from typing import Annotated

from fastapi import APIRouter, FastAPI, Form, Request, Security, UploadFile, WebSocket
from fastapi.staticfiles import StaticFiles
from my_service.auth import CurrentConsumer, get_api_key
from my_service.main import app
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from starlette.responses import PlainTextResponse

NEEDS_KEY = Security(get_api_key)

# Spans go to stdout, where the tests look for keys.
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)

by_router = APIRouter(dependencies=[NEEDS_KEY])
by_inclusion = APIRouter()
inner = APIRouter()


@by_router.post("/by-router")
@by_inclusion.post("/by-inclusion")
@inner.post("/nested")
@app.post("/by-endpoint", dependencies=[NEEDS_KEY])
async def echo(text: dict[str, str]) -> dict[str, str]:
    return text


@app.post("/form", dependencies=[NEEDS_KEY])
async def form(text: Annotated[str, Form()] = "") -> str:
    return text


@app.post("/upload", dependencies=[NEEDS_KEY])
async def upload(file: UploadFile) -> int | None:
    return file.size


@app.post("/stream", dependencies=[NEEDS_KEY])
async def stream(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@app.get("/bug", dependencies=[NEEDS_KEY])
async def bug(request: Request) -> None:
    raise RuntimeError(f"{request.url} {request.headers}")


@app.get("/number/{number}", dependencies=[NEEDS_KEY])
async def number(number: int) -> int:
    return number


@app.websocket("/feed")
async def feed(websocket: WebSocket, consumer: CurrentConsumer) -> None:
    await websocket.accept()
    await websocket.send_text(consumer.name)
    await websocket.close()


@app.websocket("/ticks")
async def ticks(websocket: WebSocket, consumer: CurrentConsumer) -> None:
    await websocket.accept()
    while True:
        await websocket.send_text(consumer.name)
        await asyncio.sleep(0.05)


@app.websocket("/ears")
async def ears(websocket: WebSocket, consumer: CurrentConsumer) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        print(text)


outer = APIRouter(prefix="/outer", dependencies=[NEEDS_KEY])
outer.include_router(inner)
app.include_router(by_router)
app.include_router(by_inclusion, dependencies=[NEEDS_KEY])
app.include_router(outer)
app.mount("/static", StaticFiles(directory=os.environ["STATIC_FILES"]))
app.mount("/mounted", PlainTextResponse("mounted"))
sub = FastAPI()
app.mount("/sub", sub)


@sub.get("/hello")
async def hello() -> str:
    return "hello"
