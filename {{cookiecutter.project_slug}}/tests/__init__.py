"""The promises of the service, one file a topic."""

import json
import os

# `main.py` reads the settings of its process when it is imported: give it a key, and no file.
os.environ["API_KEYS"] = json.dumps([{"consumer": "tests", "sha256": "0" * 64}])
os.environ["CONFIG_FILE"] = os.devnull
