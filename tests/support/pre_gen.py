"""The hook that checks answers, run in this process."""

import contextlib
import io
import json
import re
import sys
from typing import Any
from unittest.mock import patch

from cookiecutter.generate import generate_context
from cookiecutter.prompt import prompt_for_config
from cookiecutter.utils import create_env_with_context

from support.template import TEMPLATE

HOOK = TEMPLATE / "hooks/pre_gen_project.py"


def refusals(**answers: str) -> list[str]:
    """Return the variables that the hook refuses, rendered as cookiecutter does it."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    environment = create_env_with_context(context)
    source = environment.from_string(HOOK.read_text(encoding="utf-8")).render(**context)
    said = io.StringIO()
    # In this process, whose path it shall leave alone: a hundred new ones would take a minute.
    own_path = patch.object(sys, "path", list(sys.path))
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit), own_path:
        exec(compile(source, HOOK, "exec"), {"__name__": "__main__"})  # noqa: S102
    return re.findall(r"^  (\w+) = ", said.getvalue(), re.MULTILINE)


def rendered(**answers: str) -> dict[str, Any]:
    """Return all variables as cookiecutter renders them."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=answers)
    return dict(prompt_for_config(context, no_input=True))


def hook_names(answers: dict[str, Any]) -> dict[str, Any]:
    """Return what the hook defines for these variables, without running it."""
    source = HOOK.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "hook"}
    own_path = patch.object(sys, "path", list(sys.path))
    with own_path:
        code = source.replace("{{ cookiecutter | tojson }}", json.dumps(answers))
        exec(compile(code, HOOK, "exec"), names)  # noqa: S102
    return names
