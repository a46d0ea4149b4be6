"""What a page says in a box: an error, a warning or a note; and in place of a part that cannot be drawn.

Streamlit's own words for such a part name neither what failed nor what to do. A part is a page, or a fragment that runs
alone.
"""

from __future__ import annotations

import html
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Literal, ParamSpec

import duckdb
import streamlit as st
from streamlit.errors import FragmentHandledException

from cache.errors import OrdersError

_Parameters = ParamSpec("_Parameters")

log = logging.getLogger(__name__)

_CODE = re.compile(r"`(.+?)`")


def message(kind: Literal["error", "warning", "note", "success"], text: str, title: str = "") -> None:
    """Draws a box with a message.

    The browser loads Streamlit's own boxes after the page, which they would push down.

    Args:
        kind: What it is about. A screen reader speaks errors and warnings at once.
        text: Sentences of ours. What is between backquotes is shown as code.
        title: What comes first, in bold.
    """
    role = "alert" if kind in ("error", "warning") else "status"
    shown = _CODE.sub(r"<code>\1</code>", html.escape(text))
    first = f"<b>{html.escape(title)}</b> " if title else ""
    st.html(f'<p class="message {kind}" role="{role}">{first}{shown}</p>')


def says_why_it_fails(draw: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """The same function, which draws why it fails where data cannot be read. For fragments and whole pages."""

    @wraps(draw)
    def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        with failure_shown(draw.__qualname__):
            draw(*args, **kwargs)

    return guarded


@contextmanager
def failure_shown(part: str) -> Iterator[None]:
    """Draws why a part of a page fails where data cannot be read, and a button to try again.

    Args:
        part: Its name, for the log and the key of the button.
    """
    try:
        yield
    except (OrdersError, duckdb.Error, OSError) as error:
        # The text of an error of the engine may hold a value of an order.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("%s failed: %s\n%s", part, type(error).__name__, where)
        _draw(part, *_words(error))
    except FragmentHandledException:
        raise  # this was drawn in its fragment
    except Exception:
        _draw(part, "This part of the page failed.", "The log of the dashboard has the cause. Open another page.")
        raise  # Streamlit logs it; its own words are hidden (style.css)


def _draw(part: str, title: str, advice: str) -> None:
    with st.container(key=f"failed {part}"):
        message("error", advice, title)
        st.button("Try again", icon=":material/refresh:", key=f"again {part}")


def _words(error: Exception) -> tuple[str, str]:
    """What failed, and what to do."""
    if isinstance(error, OrdersError):
        return error.message, error.advice
    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            "This takes more memory than the dashboard may use.",
            "Choose a shorter period, more filters, or fewer rows and columns.",
        )
    if isinstance(error, (duckdb.IOException, OSError)):
        return (
            "A file of the copy cannot be read.",
            "It was removed or damaged, or the disk is full. The next refresh writes what is missing: press Refresh.",
        )
    return (
        f"The query engine refused this ({type(error).__name__}).",
        "Choose other rows, columns or filters. The log of the dashboard has the cause.",
    )
