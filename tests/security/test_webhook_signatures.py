"""Signatures of webhooks against the published vectors, and against the published verifiers."""

from base64 import b64encode

import pytest

from portal.security.webhook_signatures import (
    BadSignatureSecret,
    body_hash,
    key_of,
    new_secret,
    sign,
    verify,
)

FIRST = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
VECTORS = [
    (*FIRST, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553,
        b'{"email":"test@example.com","username":"test_user"}', "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", *FIRST[1:], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr", *FIRST[1:], "v1,yK2tMbA6BHPrMEJ1lLv7UlJJbgFoqGenJkiajZ29evg="),
]  # fmt: skip


def accepted(headers: dict[str, str], *, secret: str = FIRST[0], body: bytes = FIRST[3], now: int = FIRST[2]) -> bool:
    return verify(
        secret, message_id=headers["id"], timestamp=headers["timestamp"], signatures=headers["signature"],
        body=body, now=now,
    )  # fmt: skip


def good(**changes: str) -> dict[str, str]:
    return {"id": FIRST[1], "timestamp": str(FIRST[2]), "signature": VECTORS[0][4], **changes}


@pytest.mark.parametrize(("secret", "message_id", "timestamp", "body", "expected"), VECTORS)
def test_published_vectors(secret: str, message_id: str, timestamp: int, body: bytes, expected: str) -> None:
    assert sign([key_of(secret)], message_id=message_id, timestamp=timestamp, body=body) == expected


def test_the_hash_of_the_body_is_the_one_that_code_hosts_send() -> None:
    found = body_hash(b"It's a Secret to Everybody", b"Hello, World!")
    assert found == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize(
    "headers",
    [
        good(),
        good(signature=f"v1,AAAA {VECTORS[0][4]}"),
        good(signature=f"{VECTORS[0][4]} v2,x"),
        good(timestamp=str(FIRST[2])),
    ],
)
def test_a_right_signature_is_accepted_wherever_it_stands(headers: dict[str, str]) -> None:
    assert accepted(headers)
    assert accepted(headers, now=FIRST[2] + 300)
    assert accepted(headers, now=FIRST[2] - 300)


@pytest.mark.parametrize(
    "headers",
    [
        good(id=""), good(timestamp=""), good(signature=""), good(timestamp="hello"), good(signature="v1,"),
        good(signature=VECTORS[0][4].replace("v1,", "v2,")), good(signature=VECTORS[0][4].replace("1OE=", "1OA=")),
        good(id="msg_other"), good(timestamp=str(FIRST[2] + 1)), good(timestamp="9" * 40), good(timestamp="１６１"),
    ],
)  # fmt: skip
def test_a_wrong_one_is_not(headers: dict[str, str]) -> None:
    assert not accepted(headers)


def test_what_is_too_old_or_too_new_or_changed_is_refused() -> None:
    assert not accepted(good(), now=FIRST[2] + 301)
    assert not accepted(good(), now=FIRST[2] - 301)
    assert not accepted(good(), body=FIRST[3] + b" ")
    assert not accepted(good(), secret=new_secret())


def test_while_a_secret_is_replaced_both_sign() -> None:
    old, new = new_secret(), new_secret()
    signature = sign([key_of(new), key_of(old)], message_id="evt_1", timestamp=10, body=b"{}")
    assert len(signature.split(" ")) == 2
    for secret in (old, new):
        assert verify(secret, message_id="evt_1", timestamp="10", signatures=signature, body=b"{}", now=10)


@pytest.mark.parametrize("message_id", ["", "a.b", "evt 1", "é", "x" * 65])
def test_an_id_that_could_be_taken_for_another_message_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        sign([b"k" * 32], message_id=message_id, timestamp=1, body=b"")


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", f"whsec_{b64encode(b'k' * 23).decode()}", "é" * 40])
def test_what_is_no_secret_is_said_so(secret: str) -> None:
    with pytest.raises(BadSignatureSecret):
        key_of(secret)


def test_new_secrets_are_new_and_long_enough() -> None:
    assert new_secret() != new_secret()
    assert len(key_of(new_secret())) == 32
