"""Pages on which a login failed: a sync saves them (scraper/login/failure_pages.py), the dashboard shows them.

The files are in DATA_DIR/diagnostics, named by time and error code: `20251229T102500Z-login_refused.png`.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cache.storage.records import Run, now

_TIME = "%Y%m%dT%H%M%SZ"


def name(at: datetime, code: str) -> str:
    """Returns the name of the files, without the file extension.

    Args:
        at: When the login failed (UTC).
        code: The code of the error.
    """
    return f"{at:{_TIME}}-{code}"


def screenshot(folder: Path, run: Run) -> Path | None:
    """Returns the screenshot of the page on which a sync failed.

    Args:
        folder: The folder of diagnostics, `Settings.diagnostics_dir`.
        run: The sync.

    Returns:
        The path of a PNG file; None if the sync saved none, ran on another machine, or the file was deleted since.
    """
    if run.error is None or run.host != socket.gethostname():
        return None
    for path in sorted(folder.glob(f"*-{run.error.code}.png"), reverse=True):
        try:
            at = datetime.strptime(path.stem.partition("-")[0], _TIME).replace(tzinfo=UTC)
        except ValueError:
            continue
        if run.started_at - timedelta(seconds=1) <= at <= (run.finished_at or now()):
            return path
    return None
