"""What a server serves: the contestant that the environment variable `CONTESTANT` names."""

import json
import os
from pathlib import Path

from contestants import APPLICATIONS

contestant = APPLICATIONS[os.environ["CONTESTANT"]]()
if contestant.close:  # connections must not outlive the event loop that made them
    contestant.app.router.on_startup.append(contestant.close)
app = contestant.app
sent = {"location": contestant.location, "parameter": contestant.parameter}
# Of several processes, each replaces the file at once: it is never half-written.
written = Path(f"{os.environ['TOLD']}.{os.getpid()}")
written.write_text(json.dumps({**sent, "key": contestant.key}))
written.replace(os.environ["TOLD"])
