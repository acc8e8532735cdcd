"""The promises of the service, one file for each module."""

{% if cookiecutter.__settings %}
import json
import os

# What `main.py` cannot do without; add each setting of yours that has no default.
REQUIRED = {"API_KEYS": json.dumps([{"consumer": "tests", "sha256": "0" * 64}])}
{% else %}
import atexit
import os
import shutil
import tempfile
from pathlib import Path

# The databases of the tests; `empty.db` is that of `main.py`, and `helpers.py` creates it.
DATABASES = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, DATABASES, ignore_errors=True)

# What `main.py` cannot do without; add each setting of yours that has no default.
REQUIRED = {"DATABASE_URL": f"sqlite:///{(DATABASES / 'empty.db').as_posix()}"}
{% endif %}


def _isolate() -> None:
    """Hide the settings of this machine from the tests, whichever settings there are."""
    os.environ |= {"ENV_FILE": os.devnull, "CONFIG_FILE": os.devnull, "SECRETS_DIR": os.devnull}
    # Imported only now: the modules read these variables on import.
    from {{ cookiecutter.__package }}.auth.settings import (
        find_setting,
    )
{% if cookiecutter.__database %}
    from {{ cookiecutter.__package }}.migrate import (
        MigrationSettings as Settings,
    )
{% else %}
    from {{ cookiecutter.__package }}.settings import (
        Settings,
    )
{% endif %}

    for variable in [name for name in os.environ if find_setting(Settings, name)]:
        del os.environ[variable]
    os.environ |= REQUIRED


_isolate()
