"""The application of this process: `uvicorn {{ cookiecutter.__package }}.main:app`.

Only this module reads settings and configures logging when it is imported.
"""

from .app import create_app
from .logs import configure_logging
from .settings import load_settings

settings = load_settings()
configure_logging(settings)
app = create_app(settings)
