"""Keys are minted here, recognised by their format, and never stored."""

import re
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
    text = "." * 20_000 + "z" * 20_000
    assert keys.redact(text) == text


def test_redaction_sees_a_key_that_was_shortened_in_its_middle() -> None:
    key = keys.mint()
    text = f"input_value='{key[:24]}...{key[-20:]}'"
    prefix = f"{keys.PREFIX}_"[:24]
    assert keys.redact(text) == f"input_value='{prefix}...'"


@pytest.mark.parametrize("around", ["'...{}'", "Cookie: ...{}; theme=dark", "?a=b...{}&c=d"])
def test_redaction_sees_the_end_of_a_key_whose_prefix_was_cut_off(around: str) -> None:
    for length in (12, 23, 51):
        assert keys.redact(around.format(keys.mint()[-length:])) == around.format("")


def test_redaction_leaves_other_text_alone() -> None:
    text = "{{ cookiecutter.__package }}_users {{ cookiecutter.__package }} /health/live ...and so on"
    assert keys.redact(text) == text


@pytest.mark.parametrize("name", ["w", "w" * 64, "Bäckerei 漢字"])
def test_a_consumer_has_a_printable_name(name: str) -> None:
    assert keys.check_consumer(name) == name


@pytest.mark.parametrize("name", [keys.mint(), keys.digest(keys.mint())])
def test_a_consumer_cannot_be_named_by_a_key_or_a_digest(name: str) -> None:
    mistake = "a consumer's name must not be a key or a digest: try billing-web"
    with pytest.raises(ValueError, match=f"^{mistake}$"):
        keys.check_consumer(name)
