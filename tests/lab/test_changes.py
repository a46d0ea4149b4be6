"""Each generation keeps which rows it changed; several together are the difference of the two ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from copies import Copies
from follower import Follower
from long_cases import soak_but

from cache.errors import ChangesGone
from cache.storage.change_log import count_net
from cache.storage.records import now
from cache.storage.snapshot import JSON, ChangeCounts
from scraper.sync.csv_import import import_file

# -- made by syncs


KEYS = {
    "integer": ("id INT PRIMARY KEY", "CAST(seq AS INT) - 20"),
    "unsigned": ("id BIGINT UNSIGNED PRIMARY KEY", "18446744073709551615 - seq"),
    "text": ("id VARCHAR(40) COLLATE utf8mb4_bin PRIMARY KEY", "CONCAT('ключ \"', seq)"),
    "decimal": ("id DECIMAL(8,3) PRIMARY KEY", "seq / 8"),
    "binary": ("id BINARY(4) PRIMARY KEY", "UNHEX(LPAD(HEX(seq), 8, '0'))"),
    "instant": ("id DATETIME(3) PRIMARY KEY", "'2025-01-01' + INTERVAL seq SECOND"),
    "composite": ("id TINYINT(1), PRIMARY KEY (v, id)", "seq % 2"),
}


@pytest.mark.parametrize("definition", soak_but(("unsigned", "text", "composite"), KEYS))
def test_a_copy_is_kept_by_the_lists_of_syncs_whatever_the_key(
    copies: Copies, small_pages: None, definition: str
) -> None:
    columns, value = KEYS[definition]
    table = copies.table(f"v INT, note VARCHAR(20), {columns}")
    copies.execute(f"INSERT INTO {table} (v, note, id) SELECT seq, 'old', {value} FROM seq_1_to_60")
    copies.sync(table)
    copy = Follower(copies.cache)
    copies.execute(f"UPDATE {table} SET note = 'new' WHERE v IN (3, 30, 31)")
    copies.execute(f"DELETE FROM {table} WHERE v IN (7, 60)")
    copies.execute(f"INSERT INTO {table} (v, note, id) SELECT seq, 'more', {value} FROM seq_61_to_64")
    run = copies.sync(table)
    assert (run.error, run.changes) == (None, ChangeCounts(inserted=4, updated=3, deleted=2))

    assert copy.follow() == run.changes

    copies.execute(f"DELETE FROM {table} WHERE v = 62")
    copies.sync(table)
    copies.execute(f"INSERT INTO {table} (v, note, id) SELECT seq, 'more', {value} FROM seq_62_to_62")
    copies.execute(f"UPDATE {table} SET note = 'newer' WHERE v = 3")
    copies.sync(table)
    assert copy.follow() == ChangeCounts(updated=1)


def test_a_row_whose_key_moves_is_deleted_and_inserted(copies: Copies, small_pages: None) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(50)])
    copies.sync(table)
    copy = Follower(copies.cache)
    copies.execute(f"UPDATE {table} SET id = 1000 WHERE id = 7")
    copies.sync(table)

    assert copy.follow() == ChangeCounts(inserted=1, deleted=1)


def gap_after(copies: Copies, before: int) -> str:
    head = copies.cache.snapshots.head()
    assert head
    assert head.generation == before + 1
    with pytest.raises(ChangesGone) as raised:
        copies.cache.snapshots.changes(before, head.generation)
    return raised.value.message


@pytest.fixture
def forty(copies: Copies, small_pages: None) -> str:
    """A table of forty rows, of which there is a copy."""
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "") for i in range(40)])
    assert copies.sync(table).error is None
    return table


def test_a_column_that_is_added_changes_every_row_and_leaves_a_gap(copies: Copies, forty: str) -> None:
    copies.execute(f"ALTER TABLE {forty} ADD COLUMN more INT DEFAULT 1")
    run = copies.sync(forty)

    assert run.changes == ChangeCounts(updated=40)
    assert gap_after(copies, 1).endswith("The columns of the table changed.")

    copy = Follower(copies.cache)
    copies.execute(f"UPDATE {forty} SET more = 2 WHERE id = 5")
    copies.sync(forty)
    assert copy.follow() == ChangeCounts(updated=1)


def test_another_time_zone_or_table_leaves_a_gap(copies: Copies, forty: str) -> None:
    copies.sync(forty, source_timezone="Europe/Berlin")
    assert gap_after(copies, 1).endswith("The time zone of the source changed.")
    copies.execute(f"CREATE TABLE {forty}b AS SELECT * FROM {forty}")
    copies.execute(f"ALTER TABLE {forty}b ADD PRIMARY KEY (id)")
    copies.sync(f"{forty}b", source_timezone="Europe/Berlin")
    copies.execute(f"DROP TABLE {forty}b")
    assert gap_after(copies, 2).endswith("Another table is copied now.")


def test_a_column_of_empty_texts_that_becomes_json_leaves_a_gap(copies: Copies, forty: str) -> None:
    copies.execute(f"UPDATE {forty} SET note = '[]' WHERE id = 5")
    assert copies.sync(forty).changes == ChangeCounts(updated=1)
    assert gap_after(copies, 1).endswith("A column of empty texts now holds JSON.")


def test_another_digest_leaves_a_gap(copies: Copies, forty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksums of all rows are others then, so that those in older lists are found nowhere."""
    manifest = copies.cache.snapshots.open().manifest
    dialect = manifest.source.dialect.model_copy(update={"digest": "SHA1", "refused": ("MD5()",), "since": now()})
    copies.execute(f"UPDATE {forty} SET note = 'new' WHERE id < 3")
    monkeypatch.setattr("scraper.table.firewall.remembered", lambda _: dialect)

    run = copies.sync(forty)

    assert (run.error, run.changes) == (None, ChangeCounts(updated=3))
    assert gap_after(copies, 1).endswith("The hash function of the row checksums changed.")


def test_a_damaged_generation_leaves_a_gap_only_where_changes_are_lost(copies: Copies, forty: str) -> None:
    copies.cache.snapshots.open().paths(JSON)[1].write_bytes(b"{}")
    copies.execute(f"UPDATE {forty} SET note = 'new' WHERE id = 35")
    copies.sync(forty)
    assert count_net(copies.cache.snapshots.changes(1, 2)) == ChangeCounts(updated=1)

    copies.cache.snapshots.open().paths(JSON)[1].write_bytes(b"{}")
    copies.execute(f"UPDATE {forty} SET note = 'new' WHERE id = 15")
    copies.sync(forty)
    assert gap_after(copies, 2).endswith("were damaged.")


def test_a_lost_generation_leaves_a_gap(copies: Copies, forty: str) -> None:
    copies.cache.snapshots._path(1).unlink()
    copies.sync(forty)

    assert gap_after(copies, 1).endswith("All rows were loaded again.")


def test_a_table_that_changed_almost_whole_is_not_listed(
    copies: Copies, forty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.sync.row_diff.LARGE", 10)
    copies.execute(f"UPDATE {forty} SET note = 'new' WHERE id < 20")
    copies.sync(forty)
    assert len(copies.cache.snapshots.changes(1, 2)) == 1
    copies.execute(f"UPDATE {forty} SET note = 'newer' WHERE id < 21")
    copies.sync(forty)

    assert gap_after(copies, 2).endswith("Most rows changed.")


def test_a_table_without_a_key_has_counts_and_no_lists(copies: Copies) -> None:
    table = copies.table("a INT, b INT", [(1, 1), (1, 1), (2, 2)])
    copies.sync(table)
    copies.execute(f"INSERT INTO {table} VALUES (1, 1), (3, 3)")

    assert copies.sync(table).changes == ChangeCounts(inserted=2)
    assert gap_after(copies, 1).endswith("The table has no key.")


def test_an_import_is_followed_as_a_sync_is(copies: Copies, forty: str, here: Path) -> None:
    copy = Follower(copies.cache)
    file = here / "rows.csv"
    file.write_text("id,note\n" + "".join(f'"{i}","{"new" if i == 3 else ""}"\n' for i in range(1, 42)))
    chosen = copies.settings.model_copy(update={"phpmyadmin_table": forty})

    run = import_file(copies.cache, chosen, file)

    assert (run.outcome, run.changes) == ("unverified", ChangeCounts(inserted=2, updated=1, deleted=1))
    assert copy.follow() == run.changes
