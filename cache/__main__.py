"""Commands: python -m cache info | verify | backup FILE | restore FILE | rollback GENERATION | prune.

info      shows where the cache is, what it holds, and how large it is. `--json` is for programs.
verify    reads every file and compares it with its digest. Exit code 1 if rows are damaged: the next sync loads them
          again.
backup    writes the newest generation, API keys, set-up and history of syncs to a file. The file has secrets.
restore   brings a backup back. Over rows that are there already only with `--replace`.
rollback  makes an earlier generation the newest again, as not verified, until the next sync.
prune     removes all generations but the newest and those that were replaced in the last 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from cache.errors import OrdersError, SettingsInvalid
from cache.operations.backup import Backup, restore_backup, write_backup
from cache.operations.rollback import roll_back
from cache.private_files import keep_files_private
from cache.settings import Settings
from cache.storage.backends import open_cache
from cache.storage.file_format import FORMAT
from cache.storage.records import now
from cache.storage.snapshot import Manifest, Segment
from cache.storage.store import Cache
from cache.version import versioned

FAILED, USAGE = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, and returns its exit code.

    Args:
        arguments: The command line; None: that of the process.
    """
    options = _parser().parse_args(arguments)
    keep_files_private()
    try:
        settings = Settings.load()
        with closing(open_cache(settings.cache_place)) as cache:
            return _run(cache, settings, options)
    except OrdersError as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, SettingsInvalid) else FAILED


def _run(cache: Cache, settings: Settings, options: argparse.Namespace) -> int:
    if options.command != "restore":
        cache.snapshots.catch_up()  # of a shared cache, this host shows its copy
    match options.command:
        case "info":
            info = _info(cache, settings)
            if options.json:
                print(json.dumps(info, indent=2))
            else:
                _print_info(info)
        case "verify":
            return _verify(cache)
        case "backup":
            backup = write_backup(cache, options.file, settings.api_key_file)
            size = options.file.stat().st_size
            print(f"{options.file} holds {_held(backup)} ({_megabytes(size)}). Keep it secret: it has the keys.")
        case "restore":
            backup = restore_backup(cache, options.file, settings.api_key_file, options.replace)
            print(f"Restored {_held(backup)}, of {_minute(backup.made_at.isoformat())}.")
        case "rollback":
            number = roll_back(cache, options.generation)
            print(f"Generation {options.generation} is the newest again, as generation {number}.")
            print("The next sync compares it with the table. To keep it, set SCHEDULER=off first.")
        case _:
            with cache.sync_lock():
                cache.snapshots.prune()
            print(f"Kept: generations {', '.join(map(str, cache.snapshots.generations())) or 'none'}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = versioned(argparse.ArgumentParser(prog="python -m cache", description=__doc__, formatter_class=formatter))
    commands = parser.add_subparsers(dest="command", required=True)
    info = commands.add_parser("info", help="show what the cache holds")
    info.add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("verify", help="compare every file with its digest")
    commands.add_parser("backup", help="write a backup").add_argument("file", type=Path, metavar="FILE")
    restore = commands.add_parser("restore", help="bring a backup back")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--replace", action="store_true", help="also over rows, keys and set-up that are there")
    rollback = commands.add_parser("rollback", help="make an earlier generation the newest again")
    rollback.add_argument("generation", type=int, metavar="GENERATION", help="its number, as `info` shows it")
    commands.add_parser("prune", help="remove earlier generations")
    return parser


def _info(cache: Cache, settings: Settings) -> dict[str, Any]:
    """What `info` shows, as JSON."""
    head, draft = cache.snapshots.head(), cache.snapshots.draft()
    manifests = {number: cache.snapshots.inspect(number).manifest for number in cache.snapshots.generations()}
    return {
        "cache": settings.cache_place.label,
        "format": FORMAT,
        "read_only": cache.read_only,
        "documents": "in the database" if settings.cache_place.is_shared else str(settings.kept_dir),
        "generations": [_generation(number, manifest) for number, manifest in manifests.items()],
        "newest": head
        and {
            "generation": head.generation,
            "verified": head.verified,
            "reason": head.reason,
            "age_seconds": (now() - head.updated_at).total_seconds(),
        },
        "draft_rows": sum(segment.rows for segment in draft.segments) if draft else None,
        "syncs": len(cache.runs.recent(1_000)),
        "queued": cache.runs.queued(),
        "free_bytes": shutil.disk_usage(settings.cache_place.folder).free if manifests else None,
    }


def _generation(number: int, manifest: Manifest) -> dict[str, Any]:
    return {
        "generation": number,
        "created_at": manifest.created_at.isoformat(),
        "rows": manifest.rows,
        "table": f"{manifest.source.database}.{manifest.source.table}",
        "segments": len(manifest.segments),
        "bytes": _size(manifest),
    }


def _print_info(info: dict[str, Any]) -> None:
    print(f"cache        {info['cache']}, format {info['format']}{', read-only' if info['read_only'] else ''}")
    print(f"documents    {info['documents']}")
    for made in info["generations"]:
        shown = f"{made['generation']:<12} {_minute(made['created_at'])}, {made['rows']:,} rows of {made['table']}, "
        shown += f"{made['segments']} segments, {_megabytes(made['bytes'])}"
        print(f"generation {shown}{_freshness(info['newest'], made['generation'])}")
    if info["newest"] is None:
        print("generations  none: the first sync fills the cache")
    if info["draft_rows"] is not None:
        print(f"draft        of a first load: {info['draft_rows']:,} rows")
    print(f"syncs        {info['syncs']} in the history, {info['queued']} requests wait")
    if info["free_bytes"] is not None:
        print(f"disk         {_megabytes(info['free_bytes'])} free")


def _freshness(newest: dict[str, Any] | None, number: int) -> str:
    if newest is None or newest["generation"] != number:
        return ""
    state = "verified" if newest["verified"] else f"not verified: {newest['reason']}"
    return f"; the newest, {state}, {newest['age_seconds'] / 60:,.0f} minutes old"


def _verify(cache: Cache) -> int:
    segments: dict[str, Segment] = {}
    for number in cache.snapshots.generations():
        segments |= {segment.id: segment for segment in cache.snapshots.inspect(number).manifest.segments}
    faults = {id: fault for id, segment in segments.items() if (fault := cache.snapshots.verify(segment))}
    for id, fault in faults.items():
        print(f"Segment {id} {fault}. The next sync loads its rows again.", file=sys.stderr)
    size = _megabytes(sum(segment.bytes for segment in segments.values()))
    print(f"{len(segments) - len(faults)} of {len(segments)} segments ({size}) are as they were written.")
    return FAILED if faults else 0


def _held(backup: Backup) -> str:
    rows = f"{backup.generation.manifest.rows:,} rows" if backup.generation else "no rows"
    return f"{rows}, keys, set-up and {len(backup.runs)} syncs"


def _size(manifest: Manifest) -> int:
    return sum(segment.bytes for segment in manifest.segments)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _minute(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC"


if __name__ == "__main__":
    sys.exit(main())
