"""Stores change lists as files in one folder."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from cache.errors import ChangesGone
from cache.storage.change_log import MOST_BYTES, MOST_LISTS, About, ChangedRows, ChangeList, fingerprint
from cache.storage.local.atomic_files import write_whole
from cache.storage.snapshot import Manifest

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

    def write(self, generation: int, changes: bytes | None) -> None:
        """Writes the list of a generation.

        Args:
            generation: The generation.
            changes: The file (`encoded`); None: a list that is there is removed.
        """
        if changes is None:
            self.path(generation).unlink(missing_ok=True)  # left by a publish that was killed
        else:
            write_whole(self.path(generation), changes)

    def cut(self, newest: int, oldest_new: int) -> None:
        """Removes lists of another history: those after the newest generation, and those that the new do not continue.

        Args:
            newest: The newest generation.
            oldest_new: The first of the generations whose lists were written now.
        """
        for generation in self.numbers():
            if generation > newest:
                self.path(generation).unlink(missing_ok=True)
        for generation in range(newest, oldest_new - 1, -1):
            if not self._continues(generation):
                for older in self.numbers():
                    if older < generation:
                        self.path(older).unlink(missing_ok=True)
                return

    def _continues(self, generation: int) -> bool:
        """Whether a list continues the one before it, if both are here."""
        try:
            before, after = ChangeList(self.path(generation - 1)), ChangeList(self.path(generation))
        except (OSError, ValueError):
            return True
        return before.about.fingerprint == after.about.parent_fingerprint

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


def encoded(manifest: Manifest, changes: ChangedRows | None, parent_fingerprint: str) -> bytes | None:
    """Returns the file with the changes that a generation made.

    Args:
        manifest: The generation.
        changes: The rows that differ from its parent, if they are known.
        parent_fingerprint: The fingerprint of its parent.

    Returns:
        The file; None if the changes are not known, or the number before it is not its parent's: lists are read in the
        order of numbers.
    """
    if changes is None or manifest.parent != manifest.generation - 1:
        return None
    about = About(
        generation=manifest.generation,
        fingerprint=fingerprint(manifest.created_at),
        parent_fingerprint=parent_fingerprint,
    )
    return changes.encode(about)
