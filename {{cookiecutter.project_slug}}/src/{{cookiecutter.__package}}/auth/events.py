"""Security events for the log: each has a name to alert on, and fields (OWASP ASVS 5.0, 16.2-3)."""

import asyncio
import logging
from collections import OrderedDict
from time import monotonic

from .context import RequestContext
from .refusals import Refusal

# How often the same refusal of the same client and key is logged at most, and how many are known.
REPEAT_SECONDS = 60
MAX_KINDS = 10_000

logger = logging.getLogger(__name__)

Kind = tuple[str, str, str]


class RefusalLog:
    """Logs a warning for refused requests.

    The access log has a line for each of them; so that a flood does not double it, repetitions are
    counted here, and logged with their number once a minute.
    """

    def __init__(self) -> None:
        # When each kind may be logged again, and how often it came since then; the oldest first.
        self._kinds: OrderedDict[Kind, tuple[float, int]] = OrderedDict()

    def add(self, context: RequestContext, refusal: Refusal) -> None:
        """Log that a request was refused, or count it."""
        now = monotonic()
        kind = (refusal.reason, context.client, context.key.id if context.key else "")
        until, count = self._kinds.get(kind, (0.0, 0))
        if now < until:
            self._kinds[kind] = (until, count + 1)
            if not count:
                asyncio.get_running_loop().call_later(until - now, self._log_repetitions, kind)
            return
        self._kinds[kind] = (now + REPEAT_SECONDS, 0)
        self._kinds.move_to_end(kind)
        if len(self._kinds) > MAX_KINDS:
            self._kinds.popitem(last=False)
        fields = {"event": "request_refused", "status": refusal.status_code, "count": 1}
        logger.warning("Request refused: %s", refusal.reason, extra=fields)

    def _log_repetitions(self, kind: Kind) -> None:
        _, count = self._kinds.pop(kind, (0.0, 0))
        if not count:
            return
        reason, client, key_id = kind
        fields = {"event": "request_refused", "reason": reason, "client": client, "count": count}
        if key_id:
            fields["key_id"] = key_id
        logger.warning("Request refused: %s, %d more times", reason, count, extra=fields)
