"""`python -m cache`: backups, rolling back, pruning, verifying, and what it says of a cache."""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cache_factory import cache_in, order, publish

from cache.__main__ import main
from cache.access.api_keys import ApiKey, digest
from cache.errors import BackupInvalid, CacheFormat, ChangesGone, RangeDamaged, SyncRunning
from cache.operations.backup import CONTENTS, restore_backup, write_backup
from cache.operations.rollback import roll_back
from cache.saved.views import SavedView
from cache.storage.documents import API_KEYS, DOCUMENTS, SETUP, VIEWS
from cache.storage.local import snapshots as local_snapshots
from cache.storage.records import Run, now
from cache.storage.snapshot import GZIP, JSON, PARQUET
from cache.storage.store import Cache
from cache.table_setup import Setup

pytestmark = pytest.mark.slow

DEFAULT_KEY = "the default key of the first machine"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.backup"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "var/api_key"
    path.parent.mkdir(exist_ok=True)
    path.write_text(DEFAULT_KEY + "\n")
    return path


@pytest.fixture
def full(cache: Cache) -> Cache:
    """A cache with two generations, keys, a set-up, a saved view and a history."""
    publish(cache, 30, segments=4)
    publish(cache, 40, segments=4)
    cache.documents.change(SETUP, lambda _: Setup(timezone="Europe/Berlin"))
    key = ApiKey(name="a", digest=digest("secret"), scopes=("read",), created_at=now())
    cache.documents.change(API_KEYS, lambda keys: keys.add(key))
    view = SavedView(id="1", name="Paid", page="orders", query="status=paid", saved_at=now())
    cache.documents.change(VIEWS, lambda views: views.save(view))
    for trigger in ("schedule", "request", "command"):
        run = Run(trigger=trigger)
        cache.runs.begin(run)
        cache.runs.finish(run.model_copy(update={"outcome": "published", "generation": 2}))
    return cache


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cache]:
    """The cache of another machine."""
    with closing(cache_in(tmp_path / "other")) as other:
        yield other


@pytest.fixture
def command(
    cache: Cache, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`python -m cache` for `cache`, within this process: gives exit code, output and errors."""
    monkeypatch.setenv("CACHE_URL", f"file:{here / 'cache'}")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def rows(cache: Cache) -> bytes:
    return b"".join(cache.snapshots.open().json_slices())


# -- back-up and restore


def test_a_backup_brings_back_all_on_an_empty_machine(full: Cache, empty: Cache, file: Path, key_file: Path) -> None:
    write_backup(full, file, key_file)
    other_key = key_file.with_name("other_key")
    restore_backup(empty, file, other_key)
    assert rows(empty) == rows(full)
    assert empty.snapshots.open().verify() == []
    assert empty.snapshots.head() == full.snapshots.head()
    for document in DOCUMENTS:
        assert empty.documents.read(document) == full.documents.read(document)
    assert [run.id for run in empty.runs.recent()] == [run.id for run in full.runs.recent()]
    assert other_key.read_text() == key_file.read_text()
    assert stat.S_IMODE(other_key.stat().st_mode) == 0o600


def test_the_file_is_for_its_owner_alone_and_its_record_shows_no_key(full: Cache, file: Path, key_file: Path) -> None:
    backup = write_backup(full, file, key_file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert DEFAULT_KEY not in repr(backup)
    assert list(file.parent.glob("*.new")) == []


def test_a_backup_of_a_cache_without_rows_restores_keys_and_set_up(
    cache: Cache, empty: Cache, file: Path, key_file: Path
) -> None:
    cache.documents.change(SETUP, lambda _: Setup(timezone="Asia/Tokyo"))
    write_backup(cache, file, key_file)
    restore_backup(empty, file, key_file)
    assert empty.documents.read(SETUP).timezone == "Asia/Tokyo"
    assert empty.snapshots.head() is None


def test_a_backup_leaves_out_the_plain_rows(full: Cache, file: Path, key_file: Path) -> None:
    write_backup(full, file, key_file)
    with tarfile.open(file) as archive:
        names = archive.getnames()
    assert names[0] == CONTENTS
    assert not any(name.endswith(JSON) for name in names)


def test_a_table_without_rows_is_restored(cache: Cache, empty: Cache, file: Path, key_file: Path) -> None:
    publish(cache, 0, segments=1)
    write_backup(cache, file, key_file)
    restore_backup(empty, file, key_file)
    assert rows(empty) == b""


def test_over_rows_a_backup_is_restored_only_by_replace(
    full: Cache, file: Path, key_file: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    before = rows(full)
    assert command("backup", str(file))[0] == 0
    publish(full, 7)
    assert command("restore", str(file))[0] == 1
    assert full.snapshots.open().rows == 7
    code, said, _ = command("restore", str(file), "--replace")
    assert (code, said.startswith("Restored 40 rows, keys, set-up and 3 syncs, of 2")) == (0, True)
    assert rows(full) == before
    assert full.snapshots.open().generation == 4  # numbers never go back
    with pytest.raises(ChangesGone):
        full.snapshots.changes(3, 4)


def test_a_number_of_the_backup_is_not_given_to_other_rows(
    full: Cache, empty: Cache, file: Path, key_file: Path
) -> None:
    write_backup(full, file, key_file)
    restore_backup(empty, file, key_file)
    assert empty.snapshots.next_number() == 3


def test_a_generation_that_is_damaged_is_not_backed_up(full: Cache, file: Path, key_file: Path) -> None:
    file.write_text("the backup before")
    path = full.snapshots.open().paths(PARQUET)[1]
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(RangeDamaged):
        write_backup(full, file, key_file)
    assert file.read_text() == "the backup before"
    assert list(file.parent.glob("*.new")) == []


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 1])
def test_a_backup_that_is_cut_off_changes_nothing(
    full: Cache, empty: Cache, file: Path, key_file: Path, share: float
) -> None:
    write_backup(full, file, key_file)
    with tarfile.open(file) as archive:
        last = archive.getmembers()[-1]
    size = last.offset_data + last.size  # zeros follow
    file.write_bytes(file.read_bytes()[: int((size - 1) * share)])
    refused(empty, file, key_file)


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def write_members(file: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(file, "w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def refused(cache: Cache, file: Path, key_file: Path, error: type[Exception] = BackupInvalid) -> None:
    with pytest.raises(error):
        restore_backup(cache, file, key_file)
    assert cache.snapshots.head() is None
    assert cache.documents.read(SETUP) == Setup()
    assert cache.runs.recent() == []


@pytest.mark.parametrize("place", range(1, 21, 3))
@pytest.mark.parametrize("damage", ["a byte", "missing"])
def test_a_backup_with_a_damaged_file_changes_nothing(
    full: Cache, empty: Cache, file: Path, key_file: Path, place: int, damage: str
) -> None:
    write_backup(full, file, key_file)
    content = members(file)
    name = list(content)[place]
    data = bytearray(content.pop(name))
    data[len(data) // 2] ^= 1
    write_members(file, {**content, name: bytes(data)} if damage == "a byte" else content)
    refused(empty, file, key_file)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": 2}'])
def test_a_backup_whose_contents_cannot_be_read_changes_nothing(
    full: Cache, empty: Cache, file: Path, key_file: Path, text: bytes
) -> None:
    write_backup(full, file, key_file)
    write_members(file, {**members(file), CONTENTS: text})
    refused(empty, file, key_file)


def test_any_other_file_is_no_backup(empty: Cache, file: Path, key_file: Path) -> None:
    refused(empty, file, key_file)
    file.write_text("id,name\n1,#1001\n")
    refused(empty, file, key_file)
    write_members(file, {"segments/x": b""})
    refused(empty, file, key_file)


def test_a_backup_of_a_newer_format_is_refused(full: Cache, empty: Cache, file: Path, key_file: Path) -> None:
    write_backup(full, file, key_file)
    content = members(file)
    write_members(file, {**content, CONTENTS: content[CONTENTS].replace(b'"format":2', b'"format":3', 1)})
    refused(empty, file, key_file, CacheFormat)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside-of-the-cache", f"segments/{'0' * 32}/../../outside"])
def test_no_name_in_a_backup_leads_out_of_the_cache(
    full: Cache, empty: Cache, file: Path, key_file: Path, name: str
) -> None:
    write_backup(full, file, key_file)
    write_members(file, {**members(file), name: b"outside"})
    restore_backup(empty, file, key_file)
    assert list(file.parent.rglob("outside*")) == []
    assert not Path("/tmp/outside-of-the-cache").exists()


def test_beside_a_running_sync_nothing_is_restored(full: Cache, empty: Cache, file: Path, key_file: Path) -> None:
    write_backup(full, file, key_file)
    with empty.sync_lock(), closing(cache_in(file.parent / "other")) as second:
        refused(second, file, key_file, SyncRunning)


# -- rolling back


def test_a_generation_that_is_brought_back_is_the_newest_and_not_verified(
    full: Cache, command: Callable[..., tuple[int, str, str]]
) -> None:
    wanted = b"".join(full.snapshots.open(1).json_slices())
    code, said, _ = command("rollback", "1")
    assert (code, said.splitlines()[0]) == (0, "Generation 1 is the newest again, as generation 3.")
    assert rows(full) == wanted
    head = full.snapshots.head()
    assert head is not None
    assert (head.generation, head.verified, head.reason) == (3, False, "Generation 1 was brought back by hand.")
    assert full.snapshots.open(2).rows == 40


def test_a_generation_that_is_not_kept_cannot_be_brought_back(
    full: Cache, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, error = command("rollback", "9")
    assert (code, "Generation 9 is not kept." in error) == (1, True)
    assert full.snapshots.open().generation == 2


def test_a_damaged_generation_is_not_brought_back(full: Cache) -> None:
    path = full.snapshots.open(1).paths(GZIP)[0]
    path.write_bytes(b"")
    with pytest.raises(RangeDamaged):
        roll_back(full, 1)
    assert full.snapshots.head().generation == 2  # type: ignore[union-attr]


# -- pruning, verifying, and what it says


def test_prune_keeps_the_newest_and_what_was_replaced_a_moment_ago(
    full: Cache, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    assert command("prune") == (0, "Kept: generations 1, 2.\n", "")
    monkeypatch.setattr(local_snapshots, "KEPT_AFTER", timedelta(0))
    assert command("prune") == (0, "Kept: generations 2.\n", "")
    wanted = {segment.id for segment in full.snapshots.open().manifest.segments}
    assert {folder.name for folder in (here / "cache/segments").iterdir()} == wanted
    assert rows(full)


def test_prune_leaves_a_running_sync_alone(full: Cache, command: Callable[..., tuple[int, str, str]]) -> None:
    with full.sync_lock():
        code, _, error = command("prune")
    assert (code, "Another sync is running." in error) == (1, True)


def test_prune_and_verify_of_an_empty_cache_say_so(command: Callable[..., tuple[int, str, str]]) -> None:
    assert command("prune") == (0, "Kept: generations none.\n", "")
    assert command("verify") == (0, "0 of 0 segments (0.0 MB) are as they were written.\n", "")
    assert "none: the first sync fills the cache" in command("info")[1]


def test_verify_finds_a_flipped_byte_in_any_generation(
    full: Cache, command: Callable[..., tuple[int, str, str]]
) -> None:
    assert command("verify")[0] == 0
    path = full.snapshots.inspect(1).paths(JSON)[0]
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(data)
    code, said, error = command("verify")
    assert (code, "has a damaged rows.json. The next sync loads its rows again." in error) == (1, True)
    assert said.startswith("7 of 8 segments")


def test_info_names_generations_rows_and_syncs_and_no_secret(
    full: Cache, command: Callable[..., tuple[int, str, str]], key_file: Path
) -> None:
    code, said, _ = command("info")
    assert code == 0
    for text in (
        "generation 1 ",
        "generation 2 ",
        "40 rows of shop.orders, 4 segments",
        "verified",
        "3 in the history",
    ):
        assert text in said
    assert str(order(0)["email"]) not in said
    assert DEFAULT_KEY not in said
