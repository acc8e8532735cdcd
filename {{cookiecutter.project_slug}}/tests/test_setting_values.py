"""Each setting takes sensible values only."""

from typing import Any

import pytest
from pydantic import ValidationError

from .helpers import make_settings


@pytest.mark.parametrize(
    "fields",
    [
        {"max_body_size": -1},
        {"log_level": "loud"},
        {% if cookiecutter.__limited %}
        {"rate_limit": ""},
        {"rate_limit": "often"},
        {"rate_limit": "600"},
        {"rate_limit": "0/minute"},
        {"rate_limit": "-1/minute"},
        {"rate_limit": "1000001/minute"},
        {"rate_limit": "10/fortnight"},
        {"rate_limit": "10/2 months"},
        {"rate_limit": "10/second;600/minute"},
        {"failed_attempts_limit": "0/minute"},
        {"rate_limit_fail_open": "perhaps"},
        {% endif %}
        {"port": 0},
        {"port": 65536},
        {"workers": 0},
        {"forwarded_allow_ips": "proxy"},
        {"forwarded_allow_ips": "10.0.0.1,"},
        {"forwarded_allow_ips": "10.0.0.1/8"},
        {"forwarded_allow_ips": "*,10.0.0.1"},
        {"root_path": "parcels"},
        {"root_path": "/parcels/"},
        {"root_path": "/parcels?"},
        {% if cookiecutter.__database %}
        {"key_cache_seconds": -1},
        {"key_grace_seconds": -1},
        {% endif %}
        {"cors_origins": ("app.example.com",)},
        {"cors_origins": ("https://app.example.com/",)},
        {"cors_origins": ("https://App.example.com",)},
        {"cors_origins": ("https://user@app.example.com",)},
        {% if cookiecutter.__cookie %}
        {"cors_origins": ("*",)},
        {% endif %}
    ],
)
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_settings(**fields)


def test_an_origin_is_explained() -> None:
    rule = (
        "an origin is a scheme, a lower-case host and perhaps a port, without a path,"
        " such as https://app.example.com"
    )
    with pytest.raises(ValidationError, match=f"Value error, {rule} "):
        make_settings(cors_origins=("app.example.com",))
    {% if cookiecutter.__cookie %}
    rule = "cookies are sent to named origins only: . is too wide, name each origin"
    with pytest.raises(ValidationError, match=f"Value error, {rule} "):
        make_settings(cors_origins=("*",))
    {% endif %}


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "http://localhost:5173",
        "http://[::1]:8080",
        {% if not cookiecutter.__cookie %}
        "*",
        {% endif %}
    ],
)
def test_an_origin_may_have_a_port(origin: str) -> None:
    assert make_settings(cors_origins=(origin,)).cors_origins == (origin,)


@pytest.mark.parametrize("proxies", ["10.0.0.1", "10.0.0.0/8, ::1", "*"])
def test_proxies_are_addresses_networks_or_all(proxies: str) -> None:
    assert make_settings(forwarded_allow_ips=proxies).forwarded_allow_ips == proxies


@pytest.mark.parametrize("path", ["", "/parcels", "/api/v1.0/parcel_tracking"])
def test_a_root_path_begins_with_a_slash_and_ends_without(path: str) -> None:
    assert make_settings(root_path=path).root_path == path
{% if cookiecutter.__limited %}


@pytest.mark.parametrize("limit", ["600/minute", "1 per second", "5000/2 hours", "1000000/day"])
def test_a_limit_is_a_number_and_a_time(limit: str) -> None:
    assert make_settings(rate_limit=limit).rate_limit == limit
{% endif %}
