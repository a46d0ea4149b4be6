"""Backups: one file with the newest generation, the documents, the history of syncs, and the default API key.

The file is a tar archive. `backup.json` comes first, then the files of the segments. The plain JSON of the rows is left
out, since it is the largest file by far and is inflated again from the compressed one.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from cache.check_report import CheckReport
from cache.errors import BackupInvalid, CacheNotEmpty, NoSnapshot, RangeDamaged
from cache.storage.documents import DOCUMENTS, Content, Document
from cache.storage.file_format import decode, encode
from cache.storage.gzip_concat import inflate
from cache.storage.local.atomic_files import disk_errors
from cache.storage.records import Publication, Run, now
from cache.storage.snapshot import GZIP, JSON, SEGMENT_FILES, Head, Manifest, Snapshot, fault
from cache.storage.store import Cache

CONTENTS = "backup.json"
STORED = tuple(name for name in SEGMENT_FILES if name != JSON)
HISTORY = 1_000  # syncs
MAX_CONTENTS = 256 << 20  # bytes of `backup.json`
_MEMBER = re.compile(rf"segments/([0-9a-f]{{32}})/({'|'.join(map(re.escape, STORED))})")


class Generation(BaseModel, frozen=True):
    """The generation of a backup.

    Attributes:
        head: How fresh it was.
        manifest: Its segments.
        checks: What the checks found of it; None if they were not made.
    """

    head: Head
    manifest: Manifest
    checks: CheckReport | None


class Backup(BaseModel, frozen=True):
    """What a backup has beside the rows.

    Attributes:
        made_at: When it was made (UTC).
        generation: The newest generation; None if nothing had been published.
        documents: What people made, by the name of the document.
        runs: The history of syncs, newest first.
        default_key: The API key that was made at the first start; None if there is none.
    """

    made_at: AwareDatetime
    generation: Generation | None
    documents: dict[str, dict[str, Any]]
    runs: tuple[Run, ...]
    default_key: str | None = Field(repr=False)


def write_backup(cache: Cache, file: Path, key_file: Path) -> Backup:
    """Writes a backup. Only its owner may read the file, which has all secrets of the cache.

    Args:
        cache: The cache.
        file: The backup. It is replaced as a whole, once the new one is complete.
        key_file: The file of the default API key, which may be missing.

    Returns:
        What was written beside the rows.

    Raises:
        RangeDamaged: A file of the generation differs from its digest.
        CacheUnwritable: The file cannot be written.
    """
    snapshot = _newest(cache)
    backup = Backup(
        made_at=now(),
        generation=Generation(
            head=snapshot.head, manifest=snapshot.manifest, checks=cache.snapshots.checks(snapshot.generation)
        )
        if snapshot
        else None,
        documents={document.name: _stored(cache, document) for document in DOCUMENTS},
        runs=tuple(cache.runs.recent(HISTORY)),
        default_key=key_file.read_text(encoding="ascii").strip() if key_file.exists() else None,
    )
    with disk_errors(), _replaced(file) as temporary, tarfile.open(temporary, "w") as archive:
        _add(archive, CONTENTS, encode(backup))
        for segment in snapshot.manifest.segments if snapshot else ():
            if found := cache.snapshots.verify(segment):
                raise RangeDamaged.of(segment.id, found)
            for name in STORED:
                archive.add(cache.snapshots.segment_folder(segment) / name, f"segments/{segment.id}/{name}")
    return backup


def restore_backup(cache: Cache, file: Path, key_file: Path, replace: bool = False) -> Backup:
    """Brings back what a backup holds.

    Args:
        cache: The cache to restore to.
        file: The backup.
        key_file: The file of the default API key. One that exists stays, unless `replace`.
        replace: Whether to restore over what the cache holds. The rows become its newest generation.

    Returns:
        What was restored beside the rows.

    Raises:
        BackupInvalid: The file is no backup, or is damaged. Nothing is changed.
        CacheFormat: A newer version of the product made it.
        CacheNotEmpty: The cache has a generation, and `replace` is false.
        SyncRunning: A sync is running.
        CacheUnwritable: The cache cannot be written.
    """
    with cache.sync_lock(), cache.snapshots.workspace() as workspace, _read(file) as archive:
        backup = _contents(archive)
        cache.snapshots.catch_up(to_repair=True)
        if cache.snapshots.head() and not replace:
            raise CacheNotEmpty()
        if backup.generation:
            _unpack(archive, workspace, backup.generation.manifest)
            _publish(cache, workspace, backup.generation)
        for document in DOCUMENTS:
            _restore(cache, document, backup.documents.get(document.name, {}))
        cache.runs.restore(backup.runs)
        if backup.default_key and (replace or not key_file.exists()):
            with disk_errors():
                key_file.write_text(backup.default_key + "\n", encoding="ascii")
                key_file.chmod(0o600)
    return backup


def _newest(cache: Cache) -> Snapshot | None:
    with suppress(NoSnapshot):
        return cache.snapshots.open()
    return None


def _stored(cache: Cache, document: Document[Content]) -> dict[str, Any]:
    return cache.documents.read(document).model_dump(mode="json")


def _restore(cache: Cache, document: Document[Content], stored: dict[str, Any]) -> None:
    content = document.model.model_validate(stored)
    cache.documents.change(document, lambda _: content)


@contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """A file beside another one, whose place it takes at the end. After an error it is removed."""
    temporary = file.with_name(file.name + ".new")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, BytesIO(data))


@contextmanager
def _read(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as archive:
            yield archive
    except FileNotFoundError as error:
        if error.filename != str(file):
            raise
        raise BackupInvalid(f"There is no file {file}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise BackupInvalid(f"{file} is not a backup, or was cut off.") from error


def _contents(archive: tarfile.TarFile) -> Backup:
    member = archive.next()
    stream = archive.extractfile(member) if member and member.name == CONTENTS and member.size < MAX_CONTENTS else None
    if stream is None:
        raise BackupInvalid(f"The file does not begin with {CONTENTS}.")
    try:
        return decode(Backup, stream.read())
    except ValidationError as error:
        raise BackupInvalid(f"{CONTENTS} cannot be read.") from error


def _unpack(archive: tarfile.TarFile, workspace: Path, manifest: Manifest) -> None:
    """Writes the files of the segments, and compares each with its digest."""
    with disk_errors():
        for member in archive:
            named = _MEMBER.fullmatch(member.name)
            stream = archive.extractfile(member) if named else None
            if named and stream:
                folder = workspace / named[1]
                folder.mkdir(mode=0o700, exist_ok=True)
                with (folder / named[2]).open("wb") as written:
                    shutil.copyfileobj(stream, written)
        for segment in manifest.segments:
            with suppress(FileNotFoundError):
                inflate(workspace / segment.id / GZIP, workspace / segment.id / JSON)
            if found := fault(workspace, segment, digests=True):
                raise BackupInvalid(f"Segment {segment.id} of the backup {found}.")


def _publish(cache: Cache, workspace: Path, generation: Generation) -> None:
    last = cache.snapshots.head()
    number = max(cache.snapshots.next_number(), generation.manifest.generation)
    for segment in generation.manifest.segments:
        cache.snapshots.adopt(workspace / segment.id, segment)
    manifest = generation.manifest.model_copy(
        update={"generation": number, "parent": last.generation if last else None, "created_at": now()}
    )
    head = generation.head.model_copy(update={"generation": number})
    cache.snapshots.publish(Publication(manifest, head, checks=generation.checks))
