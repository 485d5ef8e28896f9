"""Chat messages that try to be more than text."""

from portal.providers.base import OutgoingChat

MESSAGE = OutgoingChat(
    title="SendGrid: login refused\u202e",
    text="Emails <!channel> & more\nare not sending. [here](https://evil.example)",
    facts=(("Impact", "Emails <@U1> not sending"), ("Code", "401"), ("Nothing", " ")),
    url="https://portal.example/admin/alerts/1",
    tone="err",
)
UNSENDABLE = [
    ({"title": " \u200b "}, "it has no title"),
    ({"url": "javascript:alert(1)"}, "its link is not a web address"),
    ({"url": "https://portal.example/a b"}, "its link is not a web address"),
]
