"""Stores change lists as files in one folder."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from cache.errors import ChangesGone
from cache.storage.change_log import About, ChangedRows, ChangeList, fingerprint
from cache.storage.local.atomic_files import write_whole
from cache.storage.snapshot import Manifest

MOST_BYTES = 256 << 20  # of all lists together
MOST_LISTS = 10_000
_NUMBER = re.compile(r"[0-9]{10}")


class ChangeLists:
    """The change lists of one cache.

    Args:
        folder: The folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, generation: int) -> Path:
        """Returns the file with the changes that a generation made."""
        return self.folder / f"{generation:010d}.rows"

    def numbers(self) -> set[int]:
        """Returns the generations that have a list."""
        return numbers(self.folder, "rows")

    def read(self, since: int, until: int) -> list[ChangeList]:
        """Returns the list of each generation after `since`, up to and including `until`.

        Raises:
            ChangesGone: A list is not kept, is damaged, or does not list its rows.
        """
        lists = []
        for generation in range(since + 1, until + 1):
            try:
                lists.append(ChangeList(self.path(generation)))
            except (OSError, ValueError) as error:
                raise ChangesGone.since(since) from error
            if reason := lists[-1].about.gap:
                raise ChangesGone(f"The changes since generation {since} are not known. {reason}")
        return lists

    def write(self, manifest: Manifest, changes: ChangedRows | None, parent_fingerprint: str) -> None:
        """Writes the list of a generation, if its changes are known.

        Args:
            manifest: The generation.
            changes: The rows that differ from its parent.
            parent_fingerprint: The fingerprint of its parent.
        """
        path = self.path(manifest.generation)
        if changes is None or manifest.parent != manifest.generation - 1:  # lists are read in the order of numbers
            path.unlink(missing_ok=True)  # left by a publish that was killed
            return
        about = About(
            generation=manifest.generation,
            fingerprint=fingerprint(manifest.created_at),
            parent_fingerprint=parent_fingerprint,
        )
        write_whole(path, changes.encode(about))

    def collect(self, oldest: datetime) -> None:
        """Removes lists that are older, and those beyond the limits. The remaining lists are consecutive."""
        paths = [self.path(number) for number in sorted(self.numbers())]
        sizes = [path.stat().st_size for path in paths]
        for i, path in enumerate(paths):
            surplus = sum(sizes[i:]) > MOST_BYTES or len(paths) - i > MOST_LISTS
            if not surplus and path.stat().st_mtime >= oldest.timestamp():
                break
            path.unlink(missing_ok=True)


def numbers(folder: Path, suffix: str) -> set[int]:
    """Returns the generations that files of a folder are named by. Other files in the folder are not ours."""
    paths = folder.glob(f"*.{suffix}")
    return {int(path.stem) for path in paths if _NUMBER.fullmatch(path.stem) and path.is_file()}
