"""Builds the authenticator that the settings describe."""

{% if cookiecutter.__limited %}
from . import keys
from .authenticator import Authenticator
from .counters import parse_limit
from .limited import LimitedAuthenticator
from .limits import RateLimits
{% else %}
from .authenticator import Authenticator
{% endif %}
from .locations import make_locations
from .settings import AuthSettings
from .store import make_store
{% if cookiecutter.__limited %}
from .throttle import Throttle
{% endif %}


def make_authenticator(settings: AuthSettings) -> Authenticator:
    """Return the authenticator for these settings."""
{% if cookiecutter.__limited %}
    return LimitedAuthenticator(
        make_locations(settings),
        make_store(settings),
        limits=RateLimits(
            default=settings.rate_limit,
            storage_url=settings.rate_limit_storage_url.get_secret_value(),
            timeout_ms=settings.rate_limit_timeout_ms,
            fail_open=settings.rate_limit_fail_open,
            prefix=keys.PREFIX,
        ),
        throttle=Throttle(*parse_limit(settings.failed_attempts_limit)),
    )
{% else %}
    return Authenticator(make_locations(settings), make_store(settings))
{% endif %}
