"""A cache read by `docs/snapshot-format.md` alone, with none of the product's code."""

from __future__ import annotations

import hashlib
import itertools
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from cache_factory import as_json, order, publish

from cache.storage.store import Cache

ROWS = 9
RECORD = struct.Struct("<QQQQ??Q")


@pytest.fixture
def root(cache: Cache, here: Path) -> Path:
    """A cache of two generations: the first row is deleted, the last one is new, and one has another name."""
    publish(cache, ROWS)
    publish(cache, [{**order(i), "name": "new" if i == 4 else order(i)["name"]} for i in range(1, ROWS + 1)])
    return here / "cache"


def load(path: Path) -> Any:
    content = json.loads(path.read_bytes())
    assert next(iter(content)) == "format"
    assert content["format"] == 2
    return content


def segments(root: Path) -> list[tuple[Path, Any]]:
    """Folder and description of each segment of the newest generation."""
    current = load(root / "current.json")
    manifest = load(root / f"generations/{current['generation']:010}.json")
    return [(root / "segments" / each["id"], each) for each in manifest["segments"]]


def numbers(path: Path) -> tuple[int, ...]:
    data = path.read_bytes()
    return struct.unpack(f"<{len(data) // 8}Q", data)


def expected() -> list[dict[str, Any]]:
    return [{**as_json(i), **({"name": "new"} if i == 4 else {})} for i in range(1, ROWS + 1)]


def test_a_segment_is_named_by_its_files_and_holds_the_rows_three_times(root: Path) -> None:
    rows: list[Any] = []
    for folder, segment in segments(root):
        digests = {}
        for name, file in segment["files"].items():
            data = (folder / name).read_bytes()
            digests[name] = hashlib.sha256(data).hexdigest()
            assert (len(data), digests[name]) == (file["size"], file["sha256"])
        assert len(digests) == 6
        joined = "".join(digests[name] for name in sorted(digests))
        assert segment["id"] == hashlib.sha256(joined.encode()).hexdigest()[:32]

        text = (folder / "rows.json").read_bytes()
        assert zlib.crc32(text[:-1]) == segment["crc32"]
        assert zlib.decompressobj(-15).decompress((folder / "rows.deflate").read_bytes()) == text[:-1]
        offsets = numbers(folder / "offsets.u64")
        assert len(offsets) == segment["rows"] + 1
        cut = [text[start:end] for start, end in itertools.pairwise(offsets)]
        assert all(row.endswith(b",") for row in cut)
        rows += [json.loads(row[:-1]) for row in cut]
        assert sum(numbers(folder / "checksums.u64")) == segment["checksum"]
        assert (
            pq.read_table(folder / "rows.parquet").column("id").to_pylist()
            == [row["id"] for row in rows][-segment["rows"] :]
        )
    assert rows == expected()


def decoded(data: bytes) -> dict[str, list[Any]]:
    """The columns of a block: integers as their keys, texts as bytes, None for NULL."""
    length, header = struct.unpack_from("<QQ", data)
    assert length == len(data)
    about, arrays = json.loads(data[16 : 16 + header]), data[16 + header :]
    columns: dict[str, list[Any]] = {}
    for name, column in about["columns"].items():
        assert column["codes"] % 8 == 0
        letter = {"|u1": "B", "<u2": "H", "<u4": "I"}[column["type"]]
        codes = struct.unpack_from(f"<{about['rows']}{letter}", arrays, column["codes"])
        top = column["top"]
        if "texts" in column:
            ends = struct.unpack_from(f"<{top + 1}I", arrays, column["ends"])
            texts = arrays[column["texts"] :]
            values: list[Any] = [texts[start:end] for start, end in itertools.pairwise(ends)]
        elif "keys" in column:
            values = list(struct.unpack_from(f"<{top}q", arrays, column["keys"]))
        else:
            values = [column.get("base", 0) + column.get("unit", 1) * code for code in range(top)]
        columns[name] = [None if code == top else values[code] for code in codes]
    return columns


def test_column_arrays_hold_the_values_in_order(root: Path) -> None:
    ids: list[int] = []
    names: list[bytes] = []
    prices: list[int] = []
    for folder, _ in segments(root):
        columns = decoded((folder / "columns.bin").read_bytes())
        assert "line_items" not in columns
        ids += [key + (1 << 63) for key in columns["id"]]
        names += columns["name"]
        prices += columns["total_price"]
        assert set(columns["fulfillment_status"]) == {None, b"fulfilled"}
    assert ids == [row["id"] for row in expected()]
    assert names == [row["name"].encode() for row in expected()]
    assert prices == [int(row["total_price"].replace(".", "")) for row in expected()]


def test_a_change_list_holds_each_row_that_differs(root: Path) -> None:
    line, _, rest = (root / "changes/0000000002.rows").read_bytes().partition(b"\n")
    about = json.loads(line)
    assert (about["generation"], about["rows"], about["gap"]) == (2, 3, None)
    assert RECORD.size == 42
    records = list(RECORD.iter_unpack(rest[: 42 * 3]))
    texts = rest[42 * 3 :]
    assert texts == b"[1000]\n"
    assert len(texts) == about["texts"]
    hashes = {hashlib.blake2b(b"[%d]" % id, digest_size=16).digest(): id for id in (1000, 1004, 1000 + ROWS)}
    assert sorted(records) == records
    seen = {hashes[struct.pack("<QQ", *record[:2])]: (record[4], record[5]) for record in records}
    assert seen == {1000: (True, False), 1004: (True, True), 1000 + ROWS: (False, True)}
