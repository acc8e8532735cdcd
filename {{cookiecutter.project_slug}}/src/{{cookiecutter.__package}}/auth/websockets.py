"""Closes WebSockets whose key is no longer valid: it is checked at the handshake and afterwards."""

import asyncio
import logging
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from .authenticator import Authenticator
from .context import get_context
from .refusals import Refusal

# Codes of RFC 6455, section 7.4: the key is no longer valid, or cannot be checked right now.
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013

logger = logging.getLogger(__name__)


class KeyEndedError(OSError):
    """The WebSocket was closed because its key is no longer valid."""


class CheckedWebSocket:
    """One WebSocket whose key is checked again while it is open.

    To the application, the end of the key is that of the connection: `receive()` returns a
    disconnect, and `send()` raises an OSError, for which Starlette raises WebSocketDisconnect.
    """

    def __init__(
        self, authenticator: Authenticator, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._authenticator = authenticator
        self._context = get_context(scope)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._checking: asyncio.Task[None] | None = None
        self._receiving: asyncio.Timeout | None = None
        self._code = 0  # with which it was closed

    async def run(self, app: ASGIApp) -> None:
        """Run the application until it ends by itself or through the end of the connection."""
        try:
            await app(self._scope, self._receive_message, self._send_message)
        except (WebSocketDisconnect, KeyEndedError):
            if not self._code:
                raise
        finally:
            if self._checking is not None:
                self._checking.cancel()
                await asyncio.gather(self._checking, return_exceptions=True)

    async def _send_message(self, message: Message) -> None:
        if self._code:
            if message["type"] == "websocket.close":
                return
            raise KeyEndedError
        await self._send(message)
        if message["type"] == "websocket.accept" and self._context.consumer is not None:
            self._checking = asyncio.create_task(self._check())
        elif message["type"] == "websocket.close" and self._checking is not None:
            self._checking.cancel()

    async def _receive_message(self) -> Message:
        if self._checking is None:
            return await self._receive()
        if not self._code:
            try:
                async with asyncio.timeout(None) as self._receiving:
                    return await self._receive()
            except TimeoutError:
                if not self._code:
                    raise
            finally:
                self._receiving = None
        return {"type": "websocket.disconnect", "code": self._code, "reason": ""}

    async def _check(self) -> None:
        """Check the key again and again, and close the WebSocket when it is not valid."""
        while True:
            await asyncio.sleep(self._pause())
            try:
                await self._authenticator.check_again(self._context)
            except Refusal as refusal:
                await self._close(refusal)
                return
            except Exception:
                logger.exception("Could not check the key of a WebSocket; it stays open")

    def _pause(self) -> float:
        """Return how many seconds to wait: until the store may know more, or the key expires."""
        pause = self._authenticator.store.recheck_seconds
        key = self._context.key
        if key is not None and key.expires is not None:
            pause = min(pause, (key.expires - datetime.now(UTC)).total_seconds())
        return max(pause, 0)

    async def _close(self, refusal: Refusal) -> None:
        self._context.refusal, self._context.refusal_event = refusal, "websocket_closed"
        self._code = TRY_AGAIN_LATER if refusal.status_code == 503 else POLICY_VIOLATION
        try:
            await self._send({"type": "websocket.close", "code": self._code})
        except Exception as error:  # the client has disconnected
            logger.debug("Could not close a WebSocket: %r", error)
        if self._receiving is not None:
            self._receiving.reschedule(asyncio.get_running_loop().time())
