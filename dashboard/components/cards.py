"""Figures as cards: value, change, the line of the period in front of the compared one, and the formula.

They are markup of the page, so they stand there before any part of Streamlit is loaded that draws something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import streamlit as st

from dashboard.components.marks import MarkLink
from dashboard.text.formatting import Tone

_COLUMNS = {1: 1, 2: 2, 3: 3, 5: 3, 6: 3}
"""Columns by the number of cards, so that no card stands alone in a second row."""
_presses = st.components.v2.component(
    "phpmyadmin-orders.cards", js=Path(__file__).with_name("cards.js").read_text(encoding="utf-8")
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
    presses = f"{key}-presses"

    def picked() -> None:
        if on_pick and (id := st.session_state[presses].picked) is not None:
            on_pick(id)

    with st.container(key=key, gap=None):
        items = "".join(_card(card, key, place, on_pick is not None) for place, card in enumerate(shown))
        columns = _COLUMNS.get(len(shown), 4)
        st.html(f'<ul class="cards" aria-label="{escape(label)}" style="--columns: {columns}">{items}</ul>')
        result = _presses(key=presses, on_picked_change=picked, on_marked_change=lambda: None)
    if on_mark and result.marked is not None:
        card, mark = result.marked
        on_mark(shown[card].marks[mark])


def _card(card: Card, key: str, place: int, pickable: bool) -> str:
    """A card as well-formed markup."""
    name, value = escape(card.label), escape(card.value)
    parts = [f'<span class="name">{name}</span>']
    if card.formula:
        tip = f"tip-{key}-{place}".replace(" ", "-")  # no other one on the page has this id
        parts.append(f'<button class="help" aria-label="How {name} is computed" aria-describedby="{tip}">?</button>')
        parts.append(f'<span class="tip" role="tooltip" id="{tip}">{escape(card.formula)}</span>')
    label = f'<div class="label">{"".join(parts)}</div>'
    figure = f'class="value" data-exact="{escape(card.exact)}"'
    if pickable:
        spoken = escape(", ".join(filter(None, (f"{card.label}: {card.value}", card.change, card.before))))
        about = f'title="Show what this figure is made of" aria-label="{spoken}"'
        shown = f"<button {figure} {_event('picked', card.id)} {about}>{value}</button>"
    else:
        shown = f"<span {figure}>{value}</span>"
    change = f'<span class="change {card.tone}">{escape(card.change)}</span>' if card.change else ""
    before = f'<span class="before">{escape(card.before)}</span>' if card.before else ""
    marks = "".join(
        f'<button class="mark" {_event("marked", [place, i])} title="Open these orders">{escape(mark.text)}</button>'
        for i, mark in enumerate(card.marks)
    )
    line = _spark(card.line) if card.line and len(card.line.now) > 1 else ""
    return (
        f'<li data-id="{escape(card.id)}">{label}{shown}<div class="compared">{change}{before}</div>{marks}{line}</li>'
    )


def _event(name: str, value: str | list[int]) -> str:
    """Attributes of a button: what cards.js passes on when it is pressed."""
    return f'data-event="{name}" data-value="{escape(json.dumps(value))}"'


def _spark(line: Sparkline) -> str:
    values = [value for value in (*line.now, *line.partial, *line.then) if value is not None]
    high, low = max([*values, 0]), min([*values, 0])

    def y(value: float) -> float:
        return 29 - 28 * (value - low) / ((high - low) or 1)

    layers = (
        ("floor", f"M0 {y(0):.2f}H100", "stroke-width='1'"),
        ("then", _path(line.then, y), "stroke-width='1.25' stroke-dasharray='3 3'"),
        ("now", _path(line.now, y), "stroke-width='1.75'"),
        ("partial", _path(line.partial, y), "stroke-width='1.75' stroke-dasharray='2 3'"),
    )
    shown = "".join(_layer(*layer) for layer in layers if layer[1])
    return f'<div class="spark" aria-hidden="true">{shown}</div>'


def _layer(name: str, path: str, stroke: str) -> str:
    """A line as a mask: Streamlit takes SVG out of markup, and a mask has the colours of the theme."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 30' preserveAspectRatio='none'>"
        f"<path d='{path}' fill='none' stroke='#000' vector-effect='non-scaling-stroke' {stroke}/></svg>"
    )
    return f"""<span class="{name}" style="--line: url('data:image/svg+xml,{quote(svg, safe=" =:/,")}')"></span>"""


def _path(values: Sequence[float | None], y: Callable[[float], float]) -> str:
    """A line through the values, with a gap wherever there is none."""
    steps = []
    for i, value in enumerate(values):
        if value is not None:
            step = "L" if i and values[i - 1] is not None else "M"
            steps.append(f"{step}{100 * i / ((len(values) - 1) or 1):.2f} {y(value):.2f}")
    return "".join(steps)
