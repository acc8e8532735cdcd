"""Errors that end the start of the service."""


class ConfigurationError(ValueError):
    """The service cannot work until its configuration is changed; the text says what is wrong."""
