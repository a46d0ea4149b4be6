"""After a back-up was restored, or an earlier generation brought back, syncs go on as if nothing had happened."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from cache_factory import cache_in
from copies import Copies

from cache.operations.backup import restore_backup, write_backup
from cache.operations.rollback import roll_back


def test_a_sync_over_a_restored_back_up_finds_only_what_changed_since(copies: Copies, tmp_path: Path) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(500)])
    copies.sync(table)
    file, key_file = tmp_path / "backup", tmp_path / "api_key"
    write_backup(copies.cache, file, key_file)
    copies.execute(f"UPDATE {table} SET note = 'y' WHERE id = 77")
    with closing(cache_in(tmp_path / "other")) as other:
        restore_backup(other, file, key_file)
        elsewhere = Copies(copies.lab, other, copies.session, copies.settings)
        run = elsewhere.sync(table)
        assert (run.error, run.outcome, run.changes.updated) == (None, "published", 1)  # type: ignore[union-attr]
        assert elsewhere.differences(table) == []
        elsewhere.close()


def test_a_sync_after_a_roll_back_brings_the_table_and_proves_it(copies: Copies) -> None:
    table = copies.table("id INT PRIMARY KEY, note TEXT", [(i, "x") for i in range(500)])
    copies.sync(table)
    copies.execute(f"DELETE FROM {table} WHERE id < 100")
    copies.sync(table)
    roll_back(copies.cache, 1)
    assert copies.cache.snapshots.open().rows == 500
    run = copies.sync(table)
    assert (run.error, run.outcome, run.generation) == (None, "published", 4)
    head = copies.cache.snapshots.head()
    assert head is not None
    assert head.verified
    assert copies.differences(table) == []
