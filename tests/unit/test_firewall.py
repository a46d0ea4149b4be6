"""What is remembered of a firewall."""

from __future__ import annotations

from cache.storage.source import StatementDialect
from scraper.table.firewall import remembered


def test_nothing_is_remembered_of_a_place_without_a_firewall() -> None:
    assert remembered(StatementDialect()) == StatementDialect()
