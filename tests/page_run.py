"""Pages of the dashboard run without a browser, and what their cards and tables show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import streamlit as st
from cache_factory import Row, publish
from streamlit.testing.v1 import AppTest

from cache.schema import Column
from cache.settings import Settings
from checks.generation import check_generation
from dashboard.backend import Backend

Query = Mapping[str, str | list[str]]


@contextmanager
def backend_of(
    folder: Path, rows: Sequence[Row], columns: Sequence[Column], checked: bool = False, **settings: str
) -> Iterator[Backend]:
    """A dashboard's backend over these rows. Columns that a row does not have are empty.

    `checked` says whether the rows are checked, as a sync does.
    """
    st.cache_data.clear()  # a process has one backend
    opened = Backend.open(Settings.load(data_dir=str(folder), cache_url=f"file:{folder / 'cache'}", **settings))
    whole = [{c.name: row.get(c.name) for c in columns} for row in rows]
    check = partial(check_generation, opened.cache, opened.settings) if checked else None
    publish(opened.cache, whole, columns=columns, segments=1, check=check)
    yield opened
    opened.cache.close()


def run(backend: Backend, page: str, query: Query) -> AppTest:
    """A page after its first run."""
    test = AppTest.from_function(_script, args=(backend, page), default_timeout=60)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def _script(backend: object, first: str) -> None:
    """As dashboard/script/main.py, with `first` as the page at the root."""
    from functools import partial

    from dashboard.navigator import PageEntry
    from dashboard.pages import PAGES
    from dashboard.session import Session

    session = Session.current(backend)
    pages = {first: PAGES[first], **PAGES}
    session.navigator.run(
        {path: PageEntry(title, icon, partial(session.draw, draw)) for path, (title, icon, draw) in pages.items()},
        session.shop.title,
    )


def cards(shown: AppTest) -> dict[str, dict[str, Any]]:
    """What the cards of a page show, by the ids of their figures."""
    rows = [each.proto.body for each in shown.get("html") if each.proto.body.startswith('<ul class="cards"')]
    return {item.attrib["data-id"]: _card(item) for row in rows for item in ElementTree.fromstring(row)}


def _card(item: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {"change": "", "tone": "gray", "marks": []}
    for each in item.iter():
        match each.get("class", "").split():
            case ["name"]:
                found["label"] = each.text
            case ["value"]:
                found["value"] = each.text
            case ["change", tone]:
                found |= {"change": each.text, "tone": tone}
            case ["mark"]:
                found["marks"].append(each.text)
    return found


def table(shown: AppTest, label: str) -> list[list[str]]:
    """The texts of a table, its header first; empty where the page has no such table."""
    for data in components(shown):
        if data["label"] == label and "rows" in data:
            rows = [[cell if isinstance(cell, str) else cell["text"] for cell in row["cells"]] for row in data["rows"]]
            return [[column["label"] for column in data["columns"]], *rows]
    return []


def links(shown: AppTest) -> list[tuple[str, dict[str, str]]]:
    """The links of a page to other ones: the text, without Markdown, and the parameters of the address."""
    found = [each.proto for each in shown.get("page_link")]
    return [(_unescaped(link.label), dict(parse_qsl(link.query_string))) for link in found]


def _unescaped(text: str) -> str:
    return re.sub(r":[a-z-]+\[(?::material/\w+: )?(.*)\]$", r"\1", shown_text(text))


def captions(shown: AppTest) -> str:
    """The small texts of a page, as a reader sees them."""
    return " ".join(shown_text(caption.value) for caption in shown.caption)


def shown_text(markdown: str) -> str:
    """What a reader sees of a value in Markdown."""
    return re.sub(r":color\[(.*?)\]", r"\1", re.sub(r"\\(.)", r"\1", markdown))


def messages(shown: AppTest, kind: str) -> list[str]:
    """The messages of a kind on a page (dashboard/messages.py), as a reader sees them."""
    bodies = [each.proto.body for each in shown.get("html")]
    return [unescape(re.sub("<.*?>", "", body)) for body in bodies if body.startswith(f'<p class="message {kind}"')]


def components(shown: AppTest) -> list[dict[str, Any]]:
    """The data of the tables of a page, and of its other components that have any."""
    assert [exception.message for exception in shown.exception] == []
    return [json.loads(each.proto.json) for each in shown.get("bidi_component") if each.proto.json]
