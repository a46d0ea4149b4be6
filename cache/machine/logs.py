"""The log: one format in every process, as text or as one JSON object a line, on standard error.

    2025-12-29T10:25:00.512+00:00 INFO scraper.scheduler: scheduler host=api pid=7 is the leader
    {"time": "2025-12-29T10:25:00.512+00:00", "level": "INFO", "logger": "scraper.scheduler", "process": "api",
     "message": "scheduler host=api pid=7 is the leader"}

Times are UTC. A line that is written while a request is answered has its `request_id`. Escape sequences and other
control characters, which a server could have sent, are left out.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from typing_extensions import override

from cache.control_characters import without_controls

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being answered."""

_AS_PARENT = "CHILD_LOG"  # tells child processes that read no settings
_CHATTY = ("httpx2", "httpcore2", "watchdog", "asyncio")  # at the level INFO they tell each request


def set_up_logging(format: str, level: str, process: str) -> None:
    """Sets up the log of this process, unless that was done before, and says to its child processes how.

    Args:
        format: LOG_FORMAT.
        level: LOG_LEVEL.
        process: What it is: `api`, `dashboard`, `worker`. JSON lines say it.
    """
    os.environ[_AS_PARENT] = f"{format} {level}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process) if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)


def set_up_logging_as_parent(process: str) -> None:
    """Sets up the log of a child process that reads no settings.

    Args:
        process: What it is.
    """
    format, level = os.environ.get(_AS_PARENT, "text info").split()
    set_up_logging(format, level, process)


def log_time(seconds: float) -> str:
    """A time as the log writes it.

    Args:
        seconds: Since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class TextFormatter(logging.Formatter):
    """Writes a record as a line of text, and a traceback below it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    @override
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return log_time(record.created)

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = REQUEST_ID.get()
        return super().formatMessage(record) + (f" request_id={request_id}" if request_id else "")

    @override
    def format(self, record: logging.LogRecord) -> str:
        return without_controls(super().format(record))


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON.

    Args:
        process: What this process is.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": log_time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "process": self._process,
            "message": without_controls(record.getMessage()),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        if record.exc_info:
            line["exception"] = without_controls(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
