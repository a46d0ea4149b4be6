"""python -m cache.scan CACHE_URL FOLDER: what needs DuckDB is done here, in a process of its own.

The process that serves loads no engine; it starts this one when it needs it (`pool`). Frames go both ways:

    request   length (4 bytes, little-endian), and that many bytes of JSON: a ScanRequest
    answer    any number of `D` frames, then one `E` (end: JSON that sums up) or `X` (error: JSON of a Trouble);
              each is a letter, a length (4 bytes, little-endian) and that many bytes

One request is answered after the other. Nothing is held whole: what is written waits in the pipe until it is read. The
process ends when its standard input closes. FOLDER takes what does not fit in memory, and is removed.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from cache.errors import OrdersError
from cache.export.executor import ScanExecutor, ScanRequest
from cache.storage.backends import open_cache

FRAME_BYTES = 128 * 1024
LENGTH = struct.Struct("<I")


def main() -> None:
    """Answers until standard input closes."""
    url, folder = sys.argv[1:]
    with suppress(psutil.Error, AttributeError):  # readers come first
        psutil.Process().nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", 10))
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints must not get between frames
    asked: queue.SimpleQueue[ScanRequest] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked, Path(folder)), daemon=True).start()
    scans = ScanExecutor(open_cache(url), Path(folder))

    def frame(kind: bytes, data: bytes | memoryview) -> None:
        out.write(kind + LENGTH.pack(len(data)))
        while data:
            data = data[out.write(data) :]

    def send(data: bytes | memoryview) -> None:
        for start in range(0, len(data), FRAME_BYTES):
            frame(b"D", data[start : start + FRAME_BYTES])

    while True:
        try:
            frame(b"E", json.dumps(scans.answer(asked.get(), send)).encode())
        except OrdersError as error:
            frame(b"X", error.trouble().model_dump_json().encode())


def _listen(file: BinaryIO, asked: queue.SimpleQueue[ScanRequest], folder: Path) -> None:
    """Ends the process with the one that started it, whatever it is doing."""
    while len(head := file.read(LENGTH.size)) == LENGTH.size:
        asked.put(ScanRequest.model_validate_json(file.read(*LENGTH.unpack(head))))
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
