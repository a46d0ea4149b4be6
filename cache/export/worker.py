"""A worker process: what needs DuckDB. Usage: python -m cache.export.worker scan|figures FOLDER.

The process that serves loads no engine. It starts this one when it needs it (cache/export/processes.py). They talk in
frames over standard input and output. The first frame says where the cache is, as the JSON of a CachePlace: it may hold
a password. Then come

    request   length (4 bytes, little-endian), then that many bytes of JSON: a ScanRequest or a FigureRequest
    answer    any number of `D` frames (data), then one `E` frame (end: a summary in JSON) or `X` frame (error: a
              Trouble in JSON); each is the letter, a length (4 bytes, little-endian) and that many bytes

Requests are answered one after the other. Output waits in the pipe until the reader takes it. The process ends when its
standard input closes. FOLDER is for temporary files; it is removed in the end.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import psutil

from cache.cache_place import CachePlace
from cache.errors import OrdersError
from cache.export.executor import ScanExecutor, ScanRequest
from cache.export.figure_executor import FigureExecutor
from cache.export.figure_request import FigureRequest
from cache.export.row_files import Send
from cache.machine.logs import set_up_logging_as_parent
from cache.machine.memory import end_me_first
from cache.storage.backends import open_cache
from cache.storage.store import Cache

FRAME_BYTES = 128 * 1024
LENGTH = struct.Struct("<I")

_Execute = Callable[[bytes, Send], dict[str, Any]]


def main() -> None:
    """Answers requests until standard input closes."""
    work, folder = sys.argv[1:]
    set_up_logging_as_parent("query")
    end_me_first()
    with suppress(psutil.Error, AttributeError):  # readers come first
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10))
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a stray print must not get between frames
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(sys.stdin.buffer, requests, Path(folder)), daemon=True).start()
    execute = _WORK[work](open_cache(CachePlace.model_validate_json(requests.get())), Path(folder))

    def write_frame(letter: bytes, data: bytes | memoryview) -> None:
        out.write(letter + LENGTH.pack(len(data)))
        while data:
            data = data[out.write(data) :]

    def send(data: bytes | memoryview) -> None:
        for start in range(0, len(data), FRAME_BYTES):
            write_frame(b"D", data[start : start + FRAME_BYTES])

    while True:
        try:
            write_frame(b"E", json.dumps(execute(requests.get(), send)).encode())
        except OrdersError as error:
            write_frame(b"X", error.trouble().model_dump_json().encode())
        except BrokenPipeError:  # the reader was killed
            _end(Path(folder))


def _scan(cache: Cache, folder: Path) -> _Execute:
    executor = ScanExecutor(cache, folder)
    return lambda request, send: executor.execute(ScanRequest.model_validate_json(request), send)


def _figures(cache: Cache, folder: Path) -> _Execute:
    executor = FigureExecutor(cache, folder)
    return lambda request, send: executor.execute(FigureRequest.model_validate_json(request), send)


_WORK: Mapping[str, Callable[[Cache, Path], _Execute]] = {"scan": _scan, "figures": _figures}


def _read_requests(file: BinaryIO, requests: queue.SimpleQueue[bytes], folder: Path) -> None:
    """Ends the process when its parent closes the pipe, whatever it is doing."""
    while len(head := file.read(LENGTH.size)) == LENGTH.size:
        requests.put(file.read(*LENGTH.unpack(head)))
    _end(folder)


def _end(folder: Path) -> NoReturn:
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
