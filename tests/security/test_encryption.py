"""Sealed values: what they look like, and that they open in their own place only."""

import uuid
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.security.encryption import (
    Context,
    DataKey,
    KeyRing,
    NoActiveKey,
    UnknownKey,
    WrongContextOrTampered,
    decrypt,
    key_id,
    length_prefixed,
    new_data_key,
)
from portal.security.errors import SecurityError

ROW = uuid.UUID("0190a000-0000-7000-8000-000000000001")
PLACE = Context("credential", "org-1", "integration_credentials", ROW, "password")


def ring(*ids: int, purpose: str = "credential") -> KeyRing:
    return KeyRing(DataKey(number, purpose, bytes([number]) * 32) for number in ids)


def test_a_sealed_value_opens_in_its_place_and_has_the_documented_layout() -> None:
    blob = ring(7).seal("grüße", PLACE)
    assert blob[:5] == b"\x01\x00\x00\x00\x07"
    assert len(blob) == len("grüße".encode()) + 33
    assert "grüße".encode() not in blob
    assert ring(7).open(blob, PLACE) == "grüße".encode()
    assert key_id(blob) == KeyRing.key_id(blob) == 7


def test_values_sealed_by_earlier_versions_still_open() -> None:
    blob = bytes.fromhex("0100000007000102030405060708090a0b70f48704787beb0e8feb1166595b57f84d0333fee91cba")
    assert ring(7).open(blob, replace(PLACE, organization_id=None)) == b"hunter2"


def test_contexts_and_keys_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PLACE.table = "webhooks"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        ring(1).key(1).active = False  # type: ignore[misc]


def test_every_seal_has_a_nonce_of_its_own() -> None:
    keys = ring(1)
    assert len({keys.seal(b"same", PLACE)[5:17] for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, organization_id="org-2"),
        replace(PLACE, organization_id=None),
        replace(PLACE, table="webhooks"),
        replace(PLACE, row_id=uuid.uuid4()),
        replace(PLACE, field="username"),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(elsewhere: Context) -> None:
    blob = ring(1).seal(b"secret", PLACE)
    with pytest.raises(WrongContextOrTampered):
        ring(1).open(blob, elsewhere)


def test_a_value_of_another_purpose_does_not_open_even_under_the_same_key() -> None:
    blob = ring(1).seal(b"secret", PLACE)
    with pytest.raises(WrongContextOrTampered):
        ring(1).open(blob, replace(PLACE, purpose="totp"))
    with pytest.raises(WrongContextOrTampered):
        ring(1, purpose="totp").open(blob, replace(PLACE, purpose="totp"))


def test_parts_cannot_flow_into_each_other() -> None:
    first = Context("p", "ab", "c", "1", "f")
    second = Context("p", "a", "bc", "1", "f")
    keys = ring(1, purpose="p")
    with pytest.raises(WrongContextOrTampered):
        keys.open(keys.seal(b"x", first), second)


def test_a_uuid_and_its_text_are_the_same_place() -> None:
    blob = ring(1).seal(b"x", PLACE)
    assert ring(1).open(blob, replace(PLACE, row_id=str(ROW))) == b"x"


@given(st.integers(min_value=0, max_value=37), st.integers(min_value=0, max_value=7))
def test_no_flipped_bit_survives(position: int, bit: int) -> None:
    keys = ring(1)
    blob = bytearray(keys.seal(b"value", PLACE))
    blob[position] ^= 1 << bit
    with pytest.raises((WrongContextOrTampered, UnknownKey)):
        keys.open(bytes(blob), PLACE)


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(31)])
def test_other_bytes_are_no_sealed_value(blob: bytes) -> None:
    with pytest.raises(WrongContextOrTampered):
        key_id(blob)


def test_the_empty_value_can_be_sealed() -> None:
    blob = ring(1).seal(b"", PLACE)
    assert len(blob) == 33
    assert ring(1).open(blob, PLACE) == b""


def test_the_newest_active_key_seals_and_the_others_still_open() -> None:
    old = ring(1)
    keys = KeyRing(
        [
            DataKey(9, "credential", b"\x09" * 32, active=False),
            DataKey(2, "credential", b"\x02" * 32),
            DataKey(1, "credential", b"\x01" * 32),
            DataKey(5, "totp", b"\x05" * 32),
        ]
    )
    assert key_id(keys.seal(b"new", PLACE)) == 2
    assert keys.open(old.seal(b"old", PLACE), PLACE) == b"old"
    assert keys.open(ring(9).seal(b"retiring", PLACE), PLACE) == b"retiring"
    assert keys.active("totp").id == 5
    assert keys.key(9).active is False


def test_missing_keys_are_said_with_their_name() -> None:
    blob = ring(3).seal(b"x", PLACE)
    with pytest.raises(UnknownKey, match="Data key 3 is missing") as unknown:
        ring(1).open(blob, PLACE)
    assert unknown.value.key_id == 3
    with pytest.raises(NoActiveKey, match="“credential”") as none:
        ring().seal(b"x", PLACE)
    assert none.value.purpose == "credential"
    assert issubclass(UnknownKey, SecurityError)
    assert issubclass(WrongContextOrTampered, SecurityError)


def test_text_that_could_not_be_read_back_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        ring(1).seal("\ud800", PLACE)


def test_two_keys_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="two data keys have the id 1"):
        ring(1, 1)


@pytest.mark.parametrize(
    ("number", "purpose", "secret", "message"),
    [
        (0, "p", bytes(32), "id"),
        (2**32, "p", bytes(32), "id"),
        (1, "", bytes(32), "purpose"),
        (1, "p", bytes(31), "32 bytes"),
    ],
)
def test_a_key_that_cannot_work_is_refused(number: int, purpose: str, secret: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataKey(number, purpose, secret)


def test_a_key_does_not_show_its_secret() -> None:
    assert "\\x41" not in repr(DataKey(1, "p", b"A" * 32))
    assert "AAAA" not in repr(DataKey(1, "p", b"A" * 32))


@pytest.mark.parametrize("name", ["purpose", "organization_id", "table", "row_id", "field"])
def test_a_context_without_a_part_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(PLACE, **{name: ""})


def test_only_the_organization_may_be_none() -> None:
    assert replace(PLACE, organization_id=None).parts()[1] is None
    with pytest.raises(ValueError, match="row_id"):
        replace(PLACE, row_id=None)  # type: ignore[arg-type]


def test_new_keys_are_random() -> None:
    assert len(new_data_key()) == 32
    assert new_data_key() != new_data_key()


def test_a_box_too_short_to_hold_a_tag_does_not_open() -> None:
    assert decrypt(bytes(32), bytes(27), b"") is None


@given(st.lists(st.one_of(st.none(), st.text())), st.lists(st.one_of(st.none(), st.text())))
def test_length_prefixes_tell_every_two_lists_apart(first: list[str | None], second: list[str | None]) -> None:
    assert (length_prefixed(*first) == length_prefixed(*second)) == (first == second)
