"""What uvicorn serves: the contestant that the environment variable `CONTESTANT` names."""

import json
import os

from contestants import CONTESTANTS, bare_with_settings

name = os.environ["CONTESTANT"]
contestant = bare_with_settings() if name == "bare with settings" else CONTESTANTS[name]()
if contestant.close:  # connections must not outlive the event loop that made them
    contestant.app.router.on_startup.append(contestant.close)
app = contestant.app
sent = {"location": contestant.location, "parameter": contestant.parameter}
print(json.dumps({**sent, "key": contestant.key, "pid": os.getpid()}), flush=True)
