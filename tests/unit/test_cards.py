"""Cards of figures are markup, and their texts are never taken for any."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from page_run import cards
from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.slow
HOSTILE = """<img src=x onerror="alert(1)"> & 'a' "b" </ul>"""


def drawn(pickable: bool) -> AppTest:
    return AppTest.from_function(_script, args=(HOSTILE, pickable), default_timeout=60).run()


def _script(text: str, pickable: bool) -> None:
    from dashboard.components.cards import Card, Sparkline, cards
    from dashboard.components.marks import MarkLink

    line = Sparkline(now=[1, None, 3, 4], partial=[None, None, None, 4], then=[2, 2])
    marks = [MarkLink(text, "", False, "orders", {})]
    cards(
        text,
        [
            Card("a", text, text, text, text, "red", text, line, marks, text),
            Card("b", "Orders", "0", "", line=Sparkline([0, 0], [None, None])),
        ],
        key="row",
        on_pick=(lambda _: None) if pickable else None,
    )


@pytest.mark.parametrize("pickable", [True, False])
def test_texts_of_cards_are_shown_as_text(pickable: bool) -> None:
    page = drawn(pickable)
    hostile = {"label": HOSTILE, "value": HOSTILE, "change": HOSTILE, "tone": "red", "marks": [HOSTILE]}
    assert cards(page) == {
        "a": hostile,
        "b": {"label": "Orders", "value": "0", "change": "", "tone": "gray", "marks": []},
    }
    (markup,) = (each.proto.body for each in page.get("html"))
    assert "<img" not in markup
    assert ('<button class="value"' in markup) == pickable


def test_the_line_of_a_card_has_a_gap_where_there_is_no_figure() -> None:
    (markup,) = (unquote(each.proto.body) for each in drawn(True).get("html"))
    assert "<path d='M0.00 22.00M66.67 8.00L100.00 1.00'" in markup  # of 1, none, 3 and 4, from 0 at 29 to 4 at 1
    assert "<path d='M0.00 15.00L100.00 15.00'" in markup  # of the compared period
    assert "<path d='M0.00 29.00L100.00 29.00'" in markup  # figures that are all 0
