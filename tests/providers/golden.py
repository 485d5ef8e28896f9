"""Golden requests: what the providers' references say a call looks like, beside what a driver really sends."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.providers.web_kit import Asked

FOLDER = Path(__file__).parent / "golden"


def load(slug: str) -> dict[str, Any]:
    """The golden requests of a provider."""
    golden: dict[str, Any] = json.loads((FOLDER / f"{slug}.json").read_text("utf-8"))
    return golden


def same(asked: Asked, slug: str, call: str) -> None:
    """Compare a request with a golden one: method, host, target, the headers that matter, and the body's meaning."""
    golden = load(slug)
    wanted = golden[call]
    assert (asked.method, asked.target) == (wanted["method"], wanted["target"])
    headers = {"host": wanted.get("host", golden["host"]), **golden["headers"], **wanted.get("headers", {})}
    assert {name: asked.headers.get(name) for name in headers} == headers
    if "json" in wanted:
        assert json.loads(asked.body) == wanted["json"]
        if "content" in wanted["json"]:
            assert list(json.loads(asked.body)["content"][0]) == ["type", "value"]
    elif "form" in wanted:
        assert (
            dict(parse_qsl(asked.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)) == wanted["form"]
        )
    else:
        assert asked.body == b""
