"""A FastAPI service that opens with an API key."""

__version__ = "0.1.0"
