"""A FastAPI service protected by API keys."""

__version__ = "0.1.0"
