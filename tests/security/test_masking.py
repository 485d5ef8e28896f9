"""How secrets are shown, and how shown ones are recognised."""

import pytest

from portal.security.masking import BULLETS, looks_masked, mask
from portal.security.secret import Secret


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("", ""),
        ("short", "••••"),
        ("elevenchars", "••••"),
        ("twelve-chars", "••••hars"),
        ("sk-0123456789012345678901234567x7Qa", "••••x7Qa"),
        ("ends with space ", "••••"),
        ("-----END PRIVATE KEY-----\n", "••••"),
        ("ends with ünïcödé", "••••"),
    ],
)
def test_mask_keeps_the_last_four_of_long_secrets_only(secret: str, shown: str) -> None:
    assert mask(secret) == shown
    assert mask(Secret(secret)) == shown


def test_the_length_never_shows() -> None:
    assert {mask("x" * length) for length in range(1, 12)} == {BULLETS}
    assert {len(mask("x" * length)) for length in range(12, 300)} == {8}


@pytest.mark.parametrize("value", ["••••", "••••x7Qa", " ••••1234 ", "SG.••••", "●●●●●●", "********", "*", "****1234"])
def test_masked_values_are_recognised(value: str) -> None:
    assert looks_masked(value)


@pytest.mark.parametrize("value", ["", "secret", "a•b", "p*ss*word", "***secret***", "****secret", "SG.abc"])
def test_real_values_are_not_taken_for_masked_ones(value: str) -> None:
    assert not looks_masked(value)


@pytest.mark.parametrize("secret", ["x", "hunter2-hunter2"])
def test_whatever_mask_shows_is_recognised(secret: str) -> None:
    assert looks_masked(mask(secret))
