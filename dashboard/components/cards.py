"""Figures as cards: value, change, the line of the period in front of the compared one, and the formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from dashboard.components.marks import MarkLink
from dashboard.text.formatting import Tone

_FILES = Path(__file__).parent
_mount = st.components.v2.component(
    "phpmyadmin-orders.cards",
    html='<div class="place"></div>',
    css=(_FILES / "cards.css").read_text(encoding="utf-8"),
    js=(_FILES / "cards.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Sparkline:
    """A small line: a figure over time in front of that of the compared period.

    Attributes:
        now: The figure by complete bucket; None for no point.
        partial: The dashed parts of the line, which lead to partial buckets; as long as `now`.
        then: The figure of the compared period; empty where nothing is compared.
    """

    now: Sequence[float | None]
    partial: Sequence[float | None]
    then: Sequence[float] = ()


@dataclass(frozen=True)
class Card:
    """A figure on a card.

    Attributes:
        id: What `on_pick` is called with.
        label: The name of the figure.
        value: The figure.
        formula: How it is computed.
        change: The change, such as "+9.5%"; "" for none.
        tone: The colour of the change.
        before: What it is compared with, such as "from $71,200"; "" for nothing.
        line: The figure over time; None for no line.
        marks: What is wrong with orders behind the figure.
        exact: The figure as a plain number, which is copied in place of `value`; "" where it has none.
    """

    id: str
    label: str
    value: str
    formula: str
    change: str = ""
    tone: Tone = "gray"
    before: str = ""
    line: Sparkline | None = None
    marks: Sequence[MarkLink] = ()
    exact: str = ""


def cards(
    label: str,
    shown: Sequence[Card],
    key: str,
    on_pick: Callable[[str], None] | None = None,
    on_mark: Callable[[MarkLink], None] | None = None,
) -> None:
    """Draws cards in a row.

    Args:
        label: The name of the row for screen readers.
        shown: The cards.
        key: Streamlit's key of the row.
        on_pick: Called with the id of the card that the visitor picks, before the page runs again; None for cards that
            cannot be picked.
        on_mark: Called with the mark that the visitor picks.
    """

    def picked() -> None:
        if on_pick and (id := st.session_state[key].picked) is not None:
            on_pick(id)

    result = _mount(
        key=key,
        data={"label": label, "cards": [asdict(card) for card in shown], "pickable": on_pick is not None},
        on_picked_change=picked,
        on_marked_change=lambda: None,
    )
    if on_mark and result.marked is not None:
        card, mark = result.marked
        on_mark(shown[card].marks[mark])
