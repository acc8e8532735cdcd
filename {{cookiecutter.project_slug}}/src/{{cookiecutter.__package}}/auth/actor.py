"""The user who runs this process, as events name it."""

import getpass
import os
import sys

if sys.platform != "win32":
    import pwd


def find_user() -> str:
    """Return the user of the operating system who runs this process."""
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name  # environment variables can be forged
    except KeyError:
        return f"uid {os.getuid()}"
