"""The format of keys, and the rules for names, scopes and expiries."""

import hashlib
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from {{ cookiecutter.__package }}.auth import keys


def test_generated_keys_are_well_formed_and_differ() -> None:
    generated = {keys.generate_key() for _ in range(100)}
    assert len(generated) == 100
    assert all(keys.is_well_formed(key) for key in generated)


def test_key_has_prefix_256_random_bits_and_checksum() -> None:
    assert re.fullmatch(keys.PREFIX + r"_[0-9A-Za-z]{43}[0-9a-f]{8}", keys.generate_key())
    assert 62**43 > 2**256


def test_any_single_wrong_character_is_noticed() -> None:
    key = keys.generate_key()
    for position in range(len(key)):
        wrong = "A" if key[position] != "A" else "B"
        assert not keys.is_well_formed(key[:position] + wrong + key[position + 1 :])


@pytest.mark.parametrize("change", [" {}", "{}\n", "{}x", "x{}", "\x00{}", "{}é", "{}٣"])
def test_surrounding_characters_are_refused(change: str) -> None:
    text = change.format(keys.generate_key())
    assert not keys.has_key_format(text)
    assert not keys.is_well_formed(text)


def test_mistyped_key_has_the_format_only() -> None:
    key = keys.generate_key()
    mistyped = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert keys.has_key_format(mistyped)
    assert not keys.is_well_formed(mistyped)


def test_checksum_is_crc_32_of_the_rest() -> None:
    key = keys.generate_key()
    assert key[-8:] == zlib.crc32(key[:-8].encode()).to_bytes(4, "big").hex()


def test_hash_is_sha_256_in_hexadecimal() -> None:
    assert (
        keys.hash_key("key") == "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"
    )


def test_key_id_is_derived_from_the_digest() -> None:
    digest = keys.hash_key(keys.generate_key())
    key_id = keys.key_id(digest)
    assert key_id == hashlib.sha256(f"key id:{digest}".encode()).hexdigest()[:16]
    assert key_id == keys.key_id(digest.upper())
    assert key_id not in digest


def test_hint_is_the_last_four_random_characters() -> None:
    key = keys.generate_key()
    assert keys.key_hint(key) == key.removeprefix(f"{keys.PREFIX}_")[39:43]


NAMES = ["w", "w " * 31 + "ww", "Bäckerei 漢字", "O'Neil & Sons", "web \N{PARTY POPPER}"]
NOT_NAMES = [
    "",
    " ",
    " web",
    "web ",
    "w " * 32 + "w",
    "two\nlines",
    "tab\tted",
    "bell\x07",
    "next\x85line",
    "escape\x9b31m",
    "del\x7f",
    "line\u2028separator",
    "\u202egnp.exe",
    "isolate\u2066d",
    "zero\u200bwidth",
    "surrogate\udc80",
    "no-break\u00a0space",
]


@pytest.mark.parametrize("name", NAMES)
def test_printable_names_are_accepted(name: str) -> None:
    keys.check_consumer(name)
    keys.check_name(name)


@pytest.mark.parametrize("name", NOT_NAMES, ids=ascii)
def test_other_names_are_refused(name: str) -> None:
    for check, what in ((keys.check_consumer, "a consumer's name"), (keys.check_name, "a key's")):
        with pytest.raises(ValueError, match=f"is not {what}.*1 to 64 printable") as caught:
            check(name)
        assert str(caught.value).isprintable()


def test_keys_and_digests_are_no_names_or_scopes() -> None:
    key = keys.generate_key()
    for name in (key, key[:-1], key.upper(), keys.hash_key(key), keys.hash_key(key).upper()):
        for check in (keys.check_consumer, keys.check_name):
            with pytest.raises(ValueError, match="must not be a key or a digest") as caught:
                check(name)
            assert name[-20:] not in str(caught.value)
    with pytest.raises(ValueError, match="must not be a key"):
        keys.check_scope(key)


@pytest.mark.parametrize("scope", ["admin", "orders:read", "https://a/b#c", "!" * 64])
def test_scope_tokens_are_accepted(scope: str) -> None:
    keys.check_scope(scope)


@pytest.mark.parametrize("scope", ["", "a b", 'a"b', "a\\b", "é", "a" * 65, "a\n"])
def test_other_scopes_are_refused(scope: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 ASCII characters"):
        keys.check_scope(scope)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2030-12-31", datetime(2031, 1, 1, tzinfo=UTC)),
        ("2028-02-28", datetime(2028, 2, 29, tzinfo=UTC)),
        ("2030-12-31T12:00:00Z", datetime(2030, 12, 31, 12, tzinfo=UTC)),
        ("2030-12-31t12:00:00z", datetime(2030, 12, 31, 12, tzinfo=UTC)),
        ("2030-12-31T12:00:00+01:00", datetime(2030, 12, 31, 11, tzinfo=UTC)),
        ("2030-12-31T23:30:00-01:30", datetime(2031, 1, 1, 1, tzinfo=UTC)),
        ("2030-12-31T12:00:00.25Z", datetime(2030, 12, 31, 12, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_expiry_is_a_last_day_or_a_time(text: str, end: datetime) -> None:
    expires = keys.parse_expires(text)
    assert expires == end
    assert expires.utcoffset() == timedelta()
    assert keys.parse_expires(keys.format_expires(expires)) == end


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2030-02-30",
        "2030-1-1",
        "20301231",
        "2030-W01-1",
        "2030-12-31 12:00:00Z",
        "2030-12-31T12:00Z",
        "2030-12-31T25:00:00Z",
        "2030-12-31T12:00:00+24:00",
        "2030-12-31T12:00:00+0100",
        "٢٠٣٠-١٢-٣١",
        "2030-12-31\n",
        "9999-12-31",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_other_expiries_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an expiry: use the last valid day .* 2030-12-31"):
        keys.parse_expires(text)


def test_time_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no UTC offset: append Z .* 2030-12-31T12:00:00Z"):
        keys.parse_expires("2030-12-31T12:00:00")
    with pytest.raises(ValueError, match="no UTC offset"):
        keys.format_expires(datetime(2030, 12, 31))


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2031, 1, 1, tzinfo=UTC), "2030-12-31"),
        (datetime.fromisoformat("2031-01-01T01:00:00+01:00"), "2030-12-31"),
        (datetime.fromisoformat("2031-01-01T00:00:00+01:00"), "2030-12-31T23:00:00Z"),
        (datetime(2031, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "2031-01-01T00:00:00.000001Z"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_expiry_is_written_as_it_is_read(moment: datetime, text: str) -> None:
    assert keys.format_expires(moment) == text
    assert keys.parse_expires(text) == moment


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("0", timedelta()),
        ("0d", timedelta()),
    ],
)
def test_duration_is_a_number_and_a_unit(text: str, duration: timedelta) -> None:
    assert keys.parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "90", "90 d", "-1d", "1.5h", "1w", "9" * 6 + "d", "٣d", "1d\n"]
)
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: .* 90d, 12h or 30m"):
        keys.parse_duration(text)


def test_errors_do_not_repeat_a_pasted_key() -> None:
    key = keys.generate_key()
    for parse in (keys.parse_expires, keys.parse_duration):
        with pytest.raises(ValueError, match="is not a") as caught:
            parse(key)
        assert key[len(keys.PREFIX) + 1 :][:8] not in str(caught.value)
