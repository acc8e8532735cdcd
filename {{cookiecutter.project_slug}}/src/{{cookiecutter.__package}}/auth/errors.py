"""Errors that stop the service from starting."""


class ConfigurationError(ValueError):
    """The service cannot work until its configuration is changed; the text says what is wrong."""
