"""While a writer changes 50 rows a second, a sync ends verified, or says truthfully that it did not."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from copies import Copies, json_rows

PER_SECOND = 50
ROWS = 3_000


class Writer(threading.Thread):
    """Updates, inserts and deletes rows, each in a statement of its own, without an end.

    `committed` holds the number of each row that is known to be in the table, `history` all rows that ever were.
    """

    def __init__(self, copies: Copies, table: str) -> None:
        super().__init__()
        self._connection = copies.lab.connect()
        self._table = table
        self._ended = threading.Event()
        self.committed = dict.fromkeys(range(ROWS), 0)
        self.history = {(i, 0) for i in range(ROWS)}

    def run(self) -> None:
        with self._connection, self._connection.cursor() as cursor:
            number = 0
            while not self._ended.wait(1 / PER_SECOND):
                number += 1
                key = number * 997 % ROWS if number % 10 else ROWS + number  # all over the table, or a new one
                if number % 10 == 5:
                    cursor.execute(f"DELETE FROM {self._table} WHERE id = %s", (key,))
                    self.committed.pop(key, None)
                    continue
                self.history.add((key, number))
                sql = f"UPDATE {self._table} SET number = %s, note = %s WHERE id = %s"
                if number % 10 == 0:
                    sql = f"INSERT INTO {self._table} (number, note, id) VALUES (%s, %s, %s)"
                if cursor.execute(sql, (number, f"note {number}", key)):
                    self.committed[key] = number

    def end(self) -> None:
        self._ended.set()
        self.join()


@pytest.fixture
def writer(copies: Copies) -> Iterator[Writer]:
    rows = [(i, 0, "note 0") for i in range(ROWS)]
    writer = Writer(copies, copies.table("id INT PRIMARY KEY, number INT, note TEXT", rows, name="busy"))
    writer.start()
    yield writer
    writer.end()


def test_published_rows_existed_and_a_verified_copy_misses_no_older_row(
    copies: Copies, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    monkeypatch.setattr("scraper.sync.keyset_pager.PAGE_ROWS", 500)
    monkeypatch.setattr("scraper.sync.segment_assembler.SEGMENT_ROWS", 500)
    monkeypatch.setattr("scraper.sync.reconcile.EARLY_ROWS", 1_000)
    for _ in range(4):
        before = dict(writer.committed)
        run = copies.sync("busy")
        head = copies.cache.snapshots.head()
        assert head is not None
        assert run.outcome in ("published", "unverified")
        assert head.verified == (run.outcome == "published")
        assert (head.reason is None) == head.verified
        rows = json_rows(copies.cache.snapshots.open())
        assert {row["note"] for row in rows} == {f"note {row['number']}" for row in rows}
        assert {(row["id"], row["number"]) for row in rows} <= writer.history.copy()
        if head.verified:
            copied = {row["id"]: row["number"] for row in rows}
            late = {key for key in before if key in writer.committed.copy() and copied.get(key, -1) < before[key]}
            assert late == set()
    writer.end()
    run = copies.sync("busy")
    assert run.error is None
    assert copies.differences("busy") == []
    assert copies.cache.snapshots.head().verified  # type: ignore[union-attr]
