"""Who acts, as events name it: the key of a request, or the user who runs this process."""

import getpass
import os
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .context import RequestContext
if sys.platform != "win32":
    import pwd

# The context of the request that the running task handles, for events and log lines.
current_context: ContextVar["RequestContext | None"] = ContextVar("current_context", default=None)


def find_user() -> str:
    """Return the user of the operating system who runs this process."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # environment variables can be forged
    except KeyError:
        return f"uid {os.getuid()}"
