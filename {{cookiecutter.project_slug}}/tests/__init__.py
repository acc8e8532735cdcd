"""The promises of the service, one file a topic."""

{% if not cookiecutter.__database %}
import json
{% endif %}
import os

{% if cookiecutter.__database %}
# `main.py` reads the settings of its process when it is imported: give it none of this machine.
os.environ["API_KEYS"] = "[]"
os.environ["DATABASE_URL"] = "sqlite:///keys.db"
{% else %}
# `main.py` reads the settings of its process when it is imported: give it a key, and no file.
os.environ["API_KEYS"] = json.dumps([{"consumer": "tests", "sha256": "0" * 64}])
{% endif %}
os.environ["CONFIG_FILE"] = os.devnull
