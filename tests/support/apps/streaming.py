"""The generated service with a WebSocket and a stream of server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Security, WebSocket
from my_service.auth import CurrentConsumer, get_api_key
from my_service.main import app
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

# How many events a stream has; a client connects anew at its end, as a browser does.
EVENTS = 20


@app.websocket("/feed")
async def feed(websocket: WebSocket, consumer: CurrentConsumer) -> None:
    """Repeat what the client sends."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@app.get("/events", dependencies=[Security(get_api_key)])
async def events() -> StreamingResponse:
    """Send some events."""

    async def stream() -> AsyncIterator[str]:
        for number in range(EVENTS):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(stream(), media_type="text/event-stream")
