"""The example in docs/ is what the template generates today."""

import re
from pathlib import Path

from support.example import ANSWERS, EXAMPLE, make_example
from support.files import contents
from support.generation import generate


def test_example_is_current(tmp_path: Path) -> None:
    expected = make_example(generate(tmp_path, hooks=False, **ANSWERS))
    committed = {name: content.decode() for name, content in contents(EXAMPLE).items()}
    assert committed.keys() == expected.keys(), "run: make example"
    for name, text in expected.items():
        assert committed[name] == text, f"{name}: run: make example"


def test_example_holds_no_secret() -> None:
    for name, content in contents(EXAMPLE).items():
        text = content.decode()
        assert not name.endswith(".env")
        assert not re.search(r"my_service_[0-9A-Za-z]{43}", text), name
        assert not re.search(r"\b[0-9a-f]{64}\b", text), name
