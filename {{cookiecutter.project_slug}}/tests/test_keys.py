"""Keys are minted here, recognised by their format, and never stored."""

{% if not cookiecutter.__database %}
import io
import json
{% endif %}
import re
{% if not cookiecutter.__database %}
import subprocess
import sys
{% endif %}
import zlib

import pytest

from {{ cookiecutter.__package }} import keys


def test_a_minted_key_is_well_formed_and_no_two_are_alike() -> None:
    minted = {keys.mint() for _ in range(100)}
    assert len(minted) == 100
    assert all(keys.is_well_formed(key) for key in minted)


def test_a_key_carries_its_prefix_256_random_bits_and_a_checksum() -> None:
    assert re.fullmatch(keys.PREFIX + r"_[0-9A-Za-z]{43}[0-9a-f]{8}", keys.mint())
    assert 62**43 > 2**256


def test_any_single_wrong_character_is_noticed() -> None:
    key = keys.mint()
    for position in range(len(key)):
        wrong = "A" if key[position] != "A" else "B"
        assert not keys.is_well_formed(key[:position] + wrong + key[position + 1 :])


@pytest.mark.parametrize("change", [" {}", "{}\n", "{}x", "x{}", "\x00{}", "{}é"])
def test_nothing_may_stand_around_a_key(change: str) -> None:
    assert not keys.is_well_formed(change.format(keys.mint()))


def test_the_checksum_is_the_crc_32_of_what_stands_before_it() -> None:
    key = keys.mint()
    assert key[-8:] == zlib.crc32(key[:-8].encode()).to_bytes(4, "big").hex()


def test_a_digest_is_sha_256_in_hexadecimal() -> None:
    assert keys.digest("key") == "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"


def test_redaction_leaves_the_prefix_of_whole_and_of_mistyped_keys() -> None:
    key = keys.mint()
    assert keys.redact(f"a {key} b {key[:-1]}! c") == f"a {keys.PREFIX}_... b {keys.PREFIX}_...! c"


@pytest.mark.parametrize("encode", ["%{:02x}", "%{:02X}", "%25{:02x}", "%2525{:02X}"])
def test_redaction_sees_through_percent_encoding(encode: str) -> None:
    key = keys.mint()
    for encoded in (
        encode.format(ord(key[0])) + key[1:],
        key.replace("_", encode.format(ord("_"))),
        "".join(encode.format(ord(character)) for character in key),
    ):
        assert keys.redact(f"?a={encoded}&b=1") == f"?a={keys.PREFIX}_...&b=1"


def test_redaction_of_a_long_text_comes_to_an_end() -> None:
    text = f"{keys.PREFIX}_" + "%2525" * 8 + "!"
    assert keys.redact(text * 2000) == text * 2000


def test_redaction_sees_a_key_that_was_shortened_in_its_middle() -> None:
    key = keys.mint()
    text = f"input_value='{key[:24]}...{key[-20:]}'"
    assert keys.redact(text) == f"input_value='{keys.PREFIX}_...'"


def test_redaction_leaves_other_text_alone() -> None:
    text = "{{ cookiecutter.__package }}_users {{ cookiecutter.__package }} /health/live"
    assert keys.redact(text) == text


{% if not cookiecutter.__database %}
def test_new_prints_the_key_and_its_entry(capsys: pytest.CaptureFixture[str]) -> None:
    keys.main(["new", "web"])
    shown = capsys.readouterr().out
    key = re.search(keys.PREFIX + r"_\w+", shown)
    assert key is not None
    assert json.dumps({"consumer": "web", "sha256": keys.digest(key[0])}) in shown


def test_new_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    keys.main(
        ["new", "web", "--scope", "admin", "--scope", "a", "--expires", "2027-01-31", "--json"]
    )
    minted = json.loads(capsys.readouterr().out)
    assert keys.is_well_formed(minted["key"])
    assert minted["entry"] == {
        "consumer": "web",
        "sha256": keys.digest(minted["key"]),
        "scopes": ["admin", "a"],
        "expires": "2027-01-31",
    }


def test_digest_reads_a_key_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keys.mint()
    monkeypatch.setattr("sys.stdin", io.StringIO(key + "\n"))
    keys.main(["digest"])
    assert json.loads(capsys.readouterr().out) == {"sha256": keys.digest(key)}


def test_digest_refuses_what_is_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2"))
    with pytest.raises(SystemExit) as stopped:
        keys.main(["digest"])
    assert stopped.value.code == 2
    mistake = "keys: stdin holds no key of this service: check that it was copied whole\n"
    assert capsys.readouterr().err == mistake


NAME = "a consumer's name is 1 to 64 printable characters, such as billing-web"
SCOPE = (
    "a scope is 1 to 64 ASCII characters without spaces, quotes and backslashes,"
    " such as admin or orders:read"
)
EXPIRES = "an expiry is a calendar date written YYYY-MM-DD, such as 2027-01-31"


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ([], "keys: the following arguments are required: COMMAND"),
        (["new"], "keys new: the following arguments are required: NAME"),
        (["new", "web", "--js"], "keys: unrecognized arguments: --js"),
        (["--hel"], "keys: the following arguments are required: COMMAND"),
        (["new", ""], f"keys: {NAME}"),
        (["new", " web"], f"keys: {NAME}"),
        (["new", "web\n"], f"keys: {NAME}"),
        (["new", "w" * 65], f"keys: {NAME}"),
        (["new", "web", "--scope", "two words"], f"keys: {SCOPE}"),
        (["new", "web", "--scope", ""], f"keys: {SCOPE}"),
        (["new", "web", "--scope", "s" * 65], f"keys: {SCOPE}"),
        (["new", "web", "--expires", "31.01.2027"], f"keys: {EXPIRES}"),
        (["new", "web", "--expires", "2027-02-30"], f"keys: {EXPIRES}"),
        (["new", "web", "--expires", "20270131"], f"keys: {EXPIRES}"),
        (["new", "web", "--expires", ""], f"keys: {EXPIRES}"),
    ],
)
def test_a_mistake_is_one_line_on_stderr(
    arguments: list[str], mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        keys.main(arguments)
    shown = capsys.readouterr()
    assert stopped.value.code == 2
    assert shown.out == ""
    assert shown.err == f"{mistake}\n"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ["--help"],
            [
                "usage: keys [-h] COMMAND ...",
                "Mint and recognise API keys.",
                "new mint a key",
                "digest read a key from stdin, print its entry fields",
            ],
        ),
        (
            ["new", "--help"],
            [
                "NAME who holds the key, such as billing-web",
                "--scope SCOPE what it may do; repeatable",
                "--expires YYYY-MM-DD last day on which it is valid (UTC)",
                "--json print one JSON object, key and entry",
            ],
        ),
    ],
)
def test_help_says_how_it_is_done(
    arguments: list[str],
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit):
        keys.main(arguments)
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert set(lines) <= set(shown)


{% endif %}
@pytest.mark.parametrize("name", ["w", "w" * 64, "Bäckerei 漢字"])
def test_a_consumer_has_a_printable_name(name: str) -> None:
    assert keys.check_consumer(name) == name


@pytest.mark.parametrize("name", [keys.mint(), keys.digest(keys.mint())])
def test_a_consumer_cannot_be_named_by_a_key_or_a_digest(name: str) -> None:
    mistake = "a consumer's name must not be a key or a digest, but say billing-web"
    with pytest.raises(ValueError, match=f"^{mistake}$"):
        keys.check_consumer(name)
{% if not cookiecutter.__database %}


def test_the_command_line_runs_as_a_script_where_nothing_is_installed() -> None:
    command = [sys.executable, "-I", keys.__file__, "new", "web", "--json"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert keys.is_well_formed(json.loads(finished.stdout)["key"])
{% endif %}
