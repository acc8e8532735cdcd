"""Tests of a generated service's rate limits with a real Redis, run by `test_redis_counter.py`."""
