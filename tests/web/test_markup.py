"""HTML made in Python: escaped as markupsafe does, whatever it is made of."""

from markupsafe import Markup, escape

from portal.web.markup import attributes, made, quoted, uptime_bar

TEXTS = ["", "plain", *map(chr, range(0x250)), "a<b>&amp;\"'", "&", "x'", "ä株😀"]


def test_a_text_is_escaped_as_markupsafe_does() -> None:
    assert [quoted(each) for each in TEXTS] == [str(escape(each)) for each in TEXTS]


def test_values_of_attributes_are_escaped_also_where_they_are_html_elsewhere() -> None:
    assert attributes({"title": '"><b>', "data-a": Markup("<i>"), "hidden": True, "id": None, "open": False}) == (
        ' title="&#34;&gt;&lt;b&gt;" data-a="&lt;i&gt;" hidden'
    )


def test_what_was_made_is_html_and_is_not_escaped_again() -> None:
    assert escape(made("<b>")) == "<b>"
    assert type(made(Markup("<b>"))) is Markup


def test_a_strip_is_drawn_for_the_bars_that_it_has_and_its_own_label() -> None:
    one, other = uptime_bar(["ok", "err"], "First"), uptime_bar(["ok", "err"], "Second")
    assert one != other
    assert one.replace("First", "Second") == other
    assert uptime_bar(["ok", "warn"], "First") != one
    assert uptime_bar(["ok", "err"], "First", mini=True) != one
