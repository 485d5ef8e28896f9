"""The page of the receiver: what each endpoint got, newest first, and the dials of its faults."""

from base64 import b64encode
from hashlib import sha256
from typing import Any, Final

from flask import render_template_string

from portal.sandbox.page import STYLE, STYLE_HASH
from portal.sandbox.state import WEBHOOKS, FaultMode, State

SHOWN: Final = 25
"""Requests of one endpoint on the page; its JSON has the others."""
_LONGEST: Final = 8000
DIALS: Final = (
    (FaultMode.NONE, "Accept"),
    (FaultMode.FLAKY, "500 every third time"),
    (FaultMode.ERROR_500, "500"),
    (FaultMode.UNAVAILABLE, "503 with Retry-After"),
    (FaultMode.RATE_LIMIT, "429 with Retry-After"),
    (FaultMode.GONE, "410 gone"),
    (FaultMode.DISABLE, "webhook-delivery: disable"),
    (FaultMode.ABORT_MESSAGE, "webhook-delivery: abort-message"),
    (FaultMode.BAD_CREDENTIALS, "401"),
    (FaultMode.REVOKED, "403"),
    (FaultMode.SLOW, "Slow"),
    (FaultMode.TIMEOUT, "Hang"),
    (FaultMode.RESET, "Reset"),
    (FaultMode.REDIRECT, "Redirect inward"),
    (FaultMode.ENDLESS, "Endless body"),
    (FaultMode.MALFORMED, "Half the JSON"),
    (FaultMode.NOT_HTTP, "No HTTP"),
)
"""Fault, words of its button."""
# Takes over what is new from the page itself every two seconds; what somebody opened stays open, what they type stays.
_SCRIPT: Final = """
const parts = () => document.querySelectorAll("[data-live]");
setInterval(async () => {
  if (document.hidden) return;
  const note = document.getElementById("stale");
  try {
    const answer = await fetch(location.href, {redirect: "error"});
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (fresh.querySelectorAll("[data-live]").length !== parts().length) return location.reload();
    for (const part of parts()) {
      const found = fresh.getElementById(part.id);
      if (!found || found.innerHTML === part.dataset.seen) continue;
      const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
      part.dataset.seen = found.innerHTML;
      part.innerHTML = found.innerHTML;
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    }
    note.hidden = true;
  } catch {
    note.hidden = false;
  }
}, 2000);
"""
POLICY: Final = (
    f"default-src 'none'; img-src data:; style-src {STYLE_HASH}; connect-src 'self';"
    f" script-src 'sha256-{b64encode(sha256(_SCRIPT.encode()).digest()).decode()}';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox webhooks</title><link rel="icon" href="data:,"><style>{{ style|safe }}</style></head>
<body><nav><a href="/">Outbox</a> <a href="/webhooks" aria-current="page">Webhooks</a></nav>
<h1>Sandbox webhooks</h1>
<p>What came to <code>{{ base }}webhooks/…</code>. Any name makes an endpoint; one that knows its secret answers 401 to
a wrong signature.</p>
<p id="stale" role="status" hidden><strong>Not up to date: the sandbox does not answer.</strong></p>
{% macro dials(name, fault) %}
<form method="post" action="/webhooks"><input type="hidden" name="endpoint" value="{{ name }}">
<p class="row" id="buttons-{{ name }}" data-live>{% for mode, words in modes %}
<button name="mode" value="{{ mode }}"{% if mode == fault.mode %} aria-pressed="true"{% endif %}>{{ words }}</button>
{% endfor %}</p>
<p class="row"><label>Delay in ms <input name="delay_ms" inputmode="numeric" pattern="[0-9]{1,6}" size="7"></label>
<label>Only so many times <input name="times" inputmode="numeric" pattern="[0-9]{1,6}" size="7"></label></p></form>
{% endmacro %}
{% macro now(fault) %}{% if fault.mode != "none" %}<strong>Fault on: {{ words[fault.mode] }}
{%- if fault.delay_ms is not none %}, {{ fault.delay_ms }} ms{% endif %}
{%- if fault.times is not none %}, {{ fault.times }} more {{ "time" if fault.times == 1 else "times" }}{% endif -%}
.</strong>{% else %}No fault is on.{% endif %}{% endmacro %}
<section><h2>All endpoints</h2>
<div id="now-" data-live><p>{{ now(overall) }}</p></div>
<details id="dials-"><summary>Make all of them fail</summary>{{ dials("", overall) }}</details></section>
{% for endpoint in endpoints %}
<section id="at-{{ endpoint.name }}"><h2>{{ endpoint.name }}</h2>
<p><code>{{ base }}webhooks/{{ endpoint.name }}</code></p>
<details id="dials-{{ endpoint.name }}"><summary>Faults and secret</summary>{{ dials(endpoint.name, endpoint.fault) }}
<form method="post" action="/webhooks"><input type="hidden" name="endpoint" value="{{ endpoint.name }}">
<p class="row"><label>Signing secret <input name="secret" type="password" autocomplete="off" size="30"
placeholder="whsec_…"></label><button>Use this secret</button></p></form>
<form method="post" action="/webhooks"><input type="hidden" name="endpoint" value="{{ endpoint.name }}">
<p><button name="forget" value="yes">Forget what came</button></p></form></details>
<div id="now-{{ endpoint.name }}" data-live>
<p>{{ now(endpoint.fault) }} Otherwise it answers {{ endpoint.status }}.
{{ "It checks signatures." if endpoint.has_secret else "It does not know its secret, so it checks no signature." }}
{{ endpoint.received }} received{% if endpoint["items"]|length > shown %}, the newest {{ shown }} here and
<a href="/_sandbox/webhooks/{{ endpoint.name }}">{{ endpoint["items"]|length }} as JSON</a>{% endif %}.</p>
{% for got in endpoint["items"][:shown] %}
<details class="got" id="got-{{ got.id }}"><summary><time datetime="{{ got.at }}">{{ got.at[11:19] }}</time>
<b>{{ got.event or got.method }}</b>
<span{% if not got.status or got.status >= 300 %} class="bad"{% endif %}>
{{- got.status or "no answer (" ~ words[got.fault] ~ ")" }}</span>
{% if got.good is not none %}<span{% if not got.good %} class="bad"{% endif %}>signature {{ got.signature }}
{%- if got.body_hash != got.signature %}, plain hash {{ got.body_hash }}{% endif %}</span>{% endif %}
{% if got.attempt|string not in ("", "1") %}<span>attempt {{ got.attempt }}</span>{% endif %}
{% if got.accepted_before %}<span class="bad">again, was accepted before</span>
{% elif got.times > 1 %}<span>again, {{ got.times }} times now</span>{% endif %}</summary>
<dl>{% for name, value in got.headers.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<pre>{{ got.body[:longest] }}</pre>{% if got.bytes > longest %}<p>{{ got.bytes }} bytes in all.</p>{% endif %}
</details>
{% else %}<p>Nothing came yet.</p>{% endfor %}</div></section>
{% else %}<p>Nothing came yet.</p>{% endfor %}
<script>{{ script|safe }}</script></body></html>
"""


def webhooks_page(state: State, endpoints: list[dict[str, Any]], base: str) -> str:
    """Return the page.

    Args:
        state: what the sandbox remembers.
        endpoints: each with its fault and what it got, newest first.
        base: where the sandbox is, / at the end.
    """
    return render_template_string(
        _PAGE, endpoints=endpoints, overall=state.fault(WEBHOOKS).as_dict(), modes=DIALS, words=dict(DIALS),
        shown=SHOWN, longest=_LONGEST, base=base, style=STYLE, script=_SCRIPT,
    )  # fmt: skip
