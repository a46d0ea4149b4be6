"""A message says what failed, and does nothing to the terminal or the log that shows it."""

from __future__ import annotations

import pytest

from cache.errors import OrdersError


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mno\x1b[0m",  # colours
        "\x9b2Jno",  # clears the screen
        "n\x07o\x00",
        "\rno",
        "\u202eno\u2069",  # turns the direction of the text
        "\x1b]0;title\x07no",
    ],
)
def test_a_message_of_a_server_holds_no_escape_sequence(text: str) -> None:
    message = OrdersError(f"The server says: {text}.").message
    assert message.isprintable()
    assert "no" in message


def test_a_message_keeps_letters_and_line_breaks_of_any_language() -> None:
    assert OrdersError("Zahlungsfähig 支払い\n👩\u200d🚀").message == "Zahlungsfähig 支払い\n👩\u200d🚀"
