"""Events for the log: each has a name to alert on, and fields (OWASP ASVS 5.0, 16.2-3)."""

import asyncio
import logging
from collections import OrderedDict
from contextvars import Context
from time import monotonic
from typing import Any

from opentelemetry import trace

from .context import Consumer, RequestContext
from .metrics import count_refusal, count_request, count_state_change
from .refusals import Refusal

# The time between log lines about the same refusal of a client and key, and how many are known.
REPEAT_SECONDS = 60
MAX_KINDS = 10_000

logger = logging.getLogger(__name__)

Kind = tuple[str, str, str, str]


class RefusalLog:
    """Logs a warning for refused requests.

    The access log has a line for each of them; so that a flood does not double it, repetitions are
    counted here, and logged with their number once a minute.
    """

    def __init__(self) -> None:
        # When each kind may be logged again, and its repetitions until then; the oldest first.
        self._kinds: OrderedDict[Kind, tuple[float, int]] = OrderedDict()

    def report(self, context: RequestContext, status: int) -> None:
        """Log and count a request whose response begins now."""
        if context.refusal is not None and status >= 400:
            count_refusal(context.refusal.reason.value)
            self._add(context, context.refusal)
        elif context.consumer is not None:
            count_request(context.consumer.name)

    def flush(self) -> None:
        """Log the pending repetitions when the service stops."""
        for kind in list(self._kinds):
            self._log_repetitions(kind)
        self._kinds.clear()

    def _add(self, context: RequestContext, refusal: Refusal) -> None:
        now = monotonic()
        key_id = context.key.id if context.key else ""
        kind = (context.refusal_event, refusal.reason.value, context.client, key_id)
        until, count = self._kinds.get(kind, (0.0, 0))
        if now < until:
            self._kinds[kind] = (until, count + 1)
            if not count:
                self._log_later(kind, until - now)
            return
        self._log_repetitions(kind)  # where the timer's event loop has ended
        self._remember(kind, now)
        fields = {"event": kind[0], "client": context.client, "status": refusal.status_code}
        logger.warning("Request refused: %s", refusal.reason, extra={**fields, "count": 1})

    def _remember(self, kind: Kind, now: float) -> None:
        self._kinds[kind] = (now + REPEAT_SECONDS, 0)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > MAX_KINDS:
            self._log_repetitions(next(iter(self._kinds)))
            self._kinds.popitem(last=False)

    def _log_later(self, kind: Kind, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._end_minute, kind)

    def _end_minute(self, kind: Kind) -> None:
        if self._log_repetitions(kind):
            self._remember(kind, monotonic())

    def _log_repetitions(self, kind: Kind) -> bool:
        _, count = self._kinds.get(kind, (0.0, 0))
        if not count:
            return False
        self._kinds[kind] = (0.0, 0)
        event, reason, client, key_id = kind
        fields: dict[str, Any] = {"event": event, "reason": reason, "client": client}
        fields |= {"key_id": key_id} if key_id else {}
        text = "Request refused: %s, %d more times"
        # In a context of its own: the line is about many requests, and shows the id of none.
        Context().run(logger.warning, text, reason, count, extra={**fields, "count": count})
        return True


def log_state(source: logging.Logger, level: int, event: str, text: str, *args: object) -> None:
    """Log and count a change of state; the README's table lists all of these events."""
    count_state_change(event)
    source.log(level, text, *args, extra={"event": event}, stacklevel=2)


def describe_span(consumer: Consumer) -> None:
    """Add the consumer and the id of its key to the current span of a trace, if it is recorded."""
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes({"api_key.consumer": consumer.name, "api_key.id": consumer.key_id})
