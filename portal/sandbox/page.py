"""The sandbox's page: what was sent, to look at, and what the sandbox accepts."""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from flask import render_template_string

from portal.sandbox.state import State

STYLE: Final = (
    "html{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap}dt{font-weight:600}article,section{border-top:1px solid;padding:1rem 0}"
    "nav,.row,summary{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline}.row{gap:.5rem}"
    "[aria-current]{font-weight:600;text-decoration:none}summary{cursor:pointer;padding:.25rem 0}"
    "summary::before{content:'+';width:1ch}details[open]>summary::before{content:'-'}"
    "button,input{font:inherit;padding:.25rem .5rem}input{max-width:100%;box-sizing:border-box}"
    "[aria-pressed=true]{font-weight:700;outline:2px solid}.bad{color:light-dark(#a4161a,#ff8b8b)}"
    ".got{border-top:1px solid color-mix(in srgb,currentcolor 20%,transparent)}.got dl,.got pre{margin:.5rem 2ch}"
)
STYLE_HASH: Final = f"'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
POLICY: Final = (
    f"default-src 'none'; img-src data:; style-src {STYLE_HASH};"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The content security policy of the page and of everything beside it."""
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sandbox outbox</title><link rel="icon" href="data:,"><style>{{ style|safe }}</style></head>
<body><nav><a href="/" aria-current="page">Outbox</a> <a href="/webhooks">Webhooks</a></nav>
<h1>Sandbox outbox</h1>
<p>What the portal sent through providers played by the sandbox. Nothing here has left this machine.</p>
{% for fault in faults %}<p><strong>Fault on for {{ fault[0] }}: {{ fault[1].mode }}</strong></p>{% endfor %}
{% for sent in messages %}
<article>{% if sent.channel == "sms" %}
<h2>Text message to {{ sent.to }}</h2>
<dl><dt>From</dt><dd>{{ sent["from"] or sent.messaging_service_sid }}</dd>
<dt>At</dt><dd>{{ sent.at }}</dd><dt>Through</dt><dd>{{ sent.provider }}, {{ sent.sid }}</dd>
<dt>Segments</dt><dd>{{ sent.segments }}</dd></dl>
<pre>{{ sent.text }}</pre>
{% elif sent.channel == "chat" %}
<h2>{{ sent.title }}</h2>
<dl><dt>To</dt><dd>{{ sent.to }}</dd><dt>At</dt><dd>{{ sent.at }}</dd><dt>Through</dt><dd>{{ sent.provider }}</dd>
{% for label, value in sent.facts %}<dt>{{ label }}</dt><dd>{{ value }}</dd>{% endfor %}
{% if sent.url %}<dt>Button</dt><dd>{{ sent.url }}</dd>{% endif %}</dl>
<pre>{{ sent.text }}</pre>
{% else %}
<h2>{{ sent.subject or "(no subject)" }}</h2>
<dl><dt>From</dt><dd>{{ sent.from_header }} (envelope {{ sent["from"] }})</dd>
<dt>To</dt><dd>{{ sent.to|join(", ") }}</dd>
<dt>At</dt><dd>{{ sent.at }}</dd><dt>Through</dt><dd>{{ sent.provider }}</dd>
<dt>Message ID</dt><dd>{{ sent.message_id }}</dd></dl>
<pre>{{ sent.text }}</pre>
{% if sent.html %}<details><summary>HTML source</summary><pre>{{ sent.html }}</pre></details>{% endif %}
{% endif %}</article>
{% else %}<p>Nothing was sent yet.</p>{% endfor %}
<h2>What the sandbox accepts</h2>
<dl>{% for provider, account in accounts.items() %}{% for name, value in account.items() %}
<dt>{{ provider }}: {{ name }}</dt><dd>{{ value }}</dd>{% endfor %}{% endfor %}</dl>
</body></html>
"""


def outbox_page(state: State, accounts: object) -> str:
    """Return the page.

    Args:
        state: what the sandbox remembers.
        accounts: by provider, what it accepts: name to value.
    """
    faults = [(name, fault) for name, fault in state.faults().items() if fault.mode != "none"]
    messages = state.outbox()[:100]
    return render_template_string(_PAGE, messages=messages, accounts=accounts, faults=faults, style=STYLE)
