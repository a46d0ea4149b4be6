"""What programs that stand for hosts of a shared cache have in common: what they note, and clocks that are wrong."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

from cache.storage import records


class History:
    """What this process does, a JSON object a line. Times are those of the machine's monotonic clock."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def add(self, event: str, **values: object) -> None:
        line = json.dumps({"event": event, "at": time.monotonic(), **values})
        os.write(self._file, f"{line}\n".encode())


def set_clock(by: timedelta) -> None:
    """Put the clock of this process forward, as far as the product can see."""
    right = records.now

    def wrong() -> datetime:
        return right() + by

    for module in list(sys.modules.values()):
        if getattr(module, "now", None) is right:
            module.now = wrong  # type: ignore[attr-defined]
