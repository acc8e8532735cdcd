"""Send 500 requests at once, and print how many are within a limit of 100 a minute."""

import asyncio
import sys

from my_service.auth.limits import RateLimits
from my_service.auth.refusals import Refusal


async def main(url: str) -> None:
    """Send them."""
    limits = RateLimits(
        default="100/minute", storage_url=url, timeout_ms=5000, fail_open=False, prefix="test"
    )
    hits = [limits.hit("web", None) for _ in range(500)]
    results = await asyncio.gather(*hits, return_exceptions=True)
    await limits.close()
    refused = [result for result in results if isinstance(result, Refusal)]
    assert {refusal.reason for refusal in refused} <= {"over_limit"}
    print(len(results) - len(refused))


asyncio.run(main(sys.argv[1]))
