"""The main figures as cards: value, change, the line of the period with the compared one behind it, and the formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from dashboard.formatting import Tone

_FILES = Path(__file__).parent
_mount = st.components.v2.component(
    "phpmyadmin-orders.cards",
    html='<div class="place"></div>',
    css=(_FILES / "cards.css").read_text(encoding="utf-8"),
    js=(_FILES / "cards.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Card:
    """`formula` tells how the figure is counted, `before` what it is compared with ("from $71,200"); `now` and `then`
    are its line and the compared one, empty where there is none."""

    id: str
    label: str
    value: str
    formula: str
    change: str = ""
    tone: Tone = "gray"
    before: str = ""
    now: Sequence[float] = ()
    then: Sequence[float] = ()


def cards(label: str, shown: Sequence[Card], key: str, on_pick: Callable[[str], None] | None = None) -> None:
    """Shows them in a row; `label` names them to screen readers, `on_pick` is called with the id of the one picked."""
    result = _mount(
        key=key,
        data={"label": label, "cards": [asdict(card) for card in shown], "pickable": on_pick is not None},
        on_picked_change=lambda: None,
    )
    if on_pick and result.picked is not None:
        on_pick(result.picked)
