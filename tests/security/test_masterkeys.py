"""Master keys: how the setting is read, what is said when it can't be, and wrapping."""

import base64
import re

import pytest

from portal.security.encryption import new_data_key
from portal.security.errors import SecurityError
from portal.security.masterkeys import BadMasterKeys, MasterKeys, MissingMasterKey, WrongMasterKey

RAW = bytes(range(200, 232))
STANDARD = base64.b64encode(RAW).decode()
URL_SAFE = base64.urlsafe_b64encode(RAW).decode()
OTHER = base64.b64encode(bytes(32)).decode()


@pytest.mark.parametrize("separator", [",", " ", "\n", ", ", "\r\n", " ,\n,"])
def test_entries_may_be_separated_by_commas_spaces_and_lines(separator: str) -> None:
    keys = MasterKeys.parse(f"\n new:{STANDARD}{separator}old:{OTHER} ,\n")
    assert keys.ids == ("new", "old")
    assert keys.primary == "new"


@pytest.mark.parametrize("encoded", [STANDARD, URL_SAFE, STANDARD.rstrip("="), URL_SAFE.rstrip("=")])
def test_both_alphabets_are_read_with_and_without_padding(encoded: str) -> None:
    assert STANDARD != URL_SAFE
    _, wrapped = MasterKeys.parse(f"k:{encoded}").wrap(b"d" * 32, purpose="totp", key_id=1)
    assert MasterKeys.parse(f"k:{STANDARD}").unwrap("k", wrapped, purpose="totp", key_id=1) == b"d" * 32


@pytest.mark.parametrize("text", ["", " \n", ",,"])
def test_an_empty_setting_says_how_to_make_a_key(text: str) -> None:
    with pytest.raises(BadMasterKeys, match=r"is empty.*portal keys generate"):
        MasterKeys.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STANDARD, "entry 1 is not “id:base64”"),
        (f"{STANDARD}:k1", "entry 1 is not “id:base64”"),
        (f"good:{OTHER} :{STANDARD}", "entry 2 is not “id:base64”"),
        (f"ümlaut:{STANDARD}", "entry 1 is not “id:base64”"),
        (f"{'x' * 33}:{STANDARD}", "entry 1 is not “id:base64”"),
        ("k1:", "has 0 bytes instead of 32"),
        (f"k1:{base64.b64encode(RAW[:31]).decode()}", "has 31 bytes instead of 32"),
        (f"k1:{base64.b64encode(RAW * 2).decode()}", "has 64 bytes instead of 32"),
        (f"k1:{STANDARD[:-2]}", "entry 1"),
        (f"k1:{STANDARD[:10]}*{STANDARD[11:]}", "entry 1 is not base64"),
        (f"k1:{STANDARD[:10]}é{STANDARD[11:]}", "entry 1 is not base64"),
        (f"k1:{STANDARD} k1:{OTHER}", "entry 2 repeats the id"),
    ],
)
def test_a_bad_entry_is_named_by_its_number_on_one_line_without_the_key(text: str, said: str) -> None:
    with pytest.raises(BadMasterKeys) as refused:
        MasterKeys.parse(text)
    message = str(refused.value)
    assert said in message
    assert message.startswith("PORTAL_MASTER_KEYS")
    assert "\n" not in message
    for fragment in (STANDARD[start : start + 6] for start in range(len(STANDARD) - 6)):
        assert fragment not in message
    assert issubclass(BadMasterKeys, SecurityError)


def test_a_generated_line_can_be_read_and_is_new_each_time() -> None:
    line = MasterKeys.generate()
    assert re.fullmatch(r"k[0-9a-f]{8}:[A-Za-z0-9+/]{43}=", line)
    assert MasterKeys.parse(line).ids == (line.partition(":")[0],)
    assert MasterKeys.generate("main").startswith("main:")
    assert MasterKeys.generate("main") != MasterKeys.generate("main")


@pytest.mark.parametrize("master_id", ["", "a b", "a:b", "x" * 33, "ä"])
def test_an_id_that_could_not_be_read_back_is_refused(master_id: str) -> None:
    with pytest.raises(BadMasterKeys, match="1 to 32 letters"):
        MasterKeys.generate(master_id)


def test_the_first_key_wraps_and_all_unwrap() -> None:
    data_key = new_data_key()
    old = MasterKeys.parse(f"old:{OTHER}")
    master_id, wrapped = old.wrap(data_key, purpose="credential", key_id=4)
    assert master_id == "old"
    assert data_key not in wrapped
    both = MasterKeys.parse(f"new:{STANDARD},old:{OTHER}")
    assert both.unwrap("old", wrapped, purpose="credential", key_id=4) == data_key
    assert both.wrap(data_key, purpose="credential", key_id=4)[0] == "new"


def test_keys_wrapped_by_earlier_versions_still_unwrap() -> None:
    wrapped = bytes.fromhex(
        "01000102030405060708090a0b8fcc345507fa88fec57f55e2fa04d90b536baf9db89a88f1c8cce30c8a320868f77a3a3cede2ddfa113e2ea0"
        "74af3981"
    )
    keys = MasterKeys.parse(f"main:{OTHER}")
    assert keys.unwrap("main", wrapped, purpose="credential", key_id=7) == b"\x07" * 32


def test_a_missing_master_key_is_named() -> None:
    with pytest.raises(MissingMasterKey, match="Master key “old” is missing") as missing:
        MasterKeys.parse(f"new:{STANDARD}").unwrap("old", b"", purpose="p", key_id=1)
    assert missing.value.master_id == "old"


@pytest.mark.parametrize(("purpose", "key_id"), [("totp", 4), ("credential", 5)])
def test_a_wrapped_key_is_bound_to_its_row(purpose: str, key_id: int) -> None:
    keys = MasterKeys.parse(f"k:{STANDARD}")
    _, wrapped = keys.wrap(new_data_key(), purpose="credential", key_id=4)
    with pytest.raises(WrongMasterKey):
        keys.unwrap("k", wrapped, purpose=purpose, key_id=key_id)


def test_another_key_under_the_same_id_is_the_wrong_one() -> None:
    _, wrapped = MasterKeys.parse(f"k:{STANDARD}").wrap(new_data_key(), purpose="p", key_id=1)
    with pytest.raises(WrongMasterKey, match="“k” is not the one this database was made with") as wrong:
        MasterKeys.parse(f"k:{OTHER}").unwrap("k", wrapped, purpose="p", key_id=1)
    assert wrong.value.master_id == "k"
    assert isinstance(wrong.value, SecurityError)


def test_a_damaged_wrapped_key_does_not_unwrap() -> None:
    keys = MasterKeys.parse(f"k:{STANDARD}")
    _, wrapped = keys.wrap(new_data_key(), purpose="p", key_id=1)
    for damaged in (b"", wrapped[:1], wrapped[:-1], b"\x02" + wrapped[1:]):
        with pytest.raises(WrongMasterKey):
            keys.unwrap("k", damaged, purpose="p", key_id=1)


def test_the_keys_do_not_show() -> None:
    keys = MasterKeys.parse(f"main:{STANDARD}")
    assert repr(keys) == "MasterKeys(main)"
    assert str(keys) == "MasterKeys(main)"
