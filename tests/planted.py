"""Tables of the corpus with personal values planted in them, in columns and in JSON, and what of them a text has."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from schema_corpus import Schema
from schema_orders import Row, as_copied, columns_of, in_key_order

from cache.schema import Column, Kind

VALUES = 200
_MARK = re.compile(r"zqx(\d{3})xqz", re.IGNORECASE)
_STYLES = ("billing_name", "billingName", "Billing Name", "BILLING-NAME")
_TEXTS = (
    *("billing name", "shipping street", "contact email", "browser ip", "notes", "first name", "billing phone"),
    *("shipping zip", "shipping company", "order status url", "customer note", "recipient"),
)
SECRET = "c1"
"""A column whose name says nothing. The set-up says that it holds the e-mail of the customer."""
_JSON = ("order json", "client details", "shipping address", "note attributes", "customer")
_NESTED = ("line_items", "lineItems", "refunds", "shipping_lines", "tax_lines")


class PlantedTable(NamedTuple):
    """Two generations of a table, and the columns that have planted values."""

    columns: tuple[Column, ...]
    before: list[Row]
    after: list[Row]
    planted: frozenset[str]


def planted_table(schema: Schema, style: int) -> PlantedTable:
    """A schema of the corpus with planted values. `style` is how the names of the columns are written."""
    own = columns_of(schema)
    taken = {column.name.casefold() for column in own}
    added = [_column(_named(name, style), "text") for name in _TEXTS] + [_column(SECRET, "text")]
    added += [_column(_named(name, style), "json") for name in _JSON]
    added = [column for column in added if column.name.casefold() not in taken]
    nested = [column.name for column in own if column.name in _NESTED and column.kind == "json"]
    numbers = _numbers()
    rows = []
    for row in as_copied(in_key_order(schema), own):
        texts = {c.name: f"v-{_mark(next(numbers))}@example.com" for c in added if c.kind == "text"}
        objects = {c.name: json.dumps(_object(numbers)) for c in added if c.kind == "json"}
        pruned = {name: _planted_json(row[name], numbers) for name in nested}
        rows.append({**row, **pruned, **texts, **objects})
    changed = [{**row, "c1": f"changed-{_mark(i)}"} if i % 3 == 0 else row for i, row in enumerate(rows)]
    names = frozenset([*(c.name for c in added), *nested])
    return PlantedTable((*own, *added), rows[:-1], changed[1:], names)


def planted_in(data: bytes | str) -> set[int]:
    """The numbers of the planted values in a body of any format."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    found = {int(number) for number in _MARK.findall(text)}
    if isinstance(data, bytes) and data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                found |= planted_in(archive.read(name).decode())
    if isinstance(data, bytes) and data[:4] == b"PAR1":
        found |= planted_in(repr(pq.read_table(io.BytesIO(data)).to_pylist()))
    return found


def guesses() -> Sequence[str]:
    """Planted values, and beginnings and ends of them."""
    return (f"v-{_mark(17)}@example.com", "v-zqx0", f"{_mark(3)}@")


def _numbers() -> Iterator[int]:
    while True:
        yield from range(VALUES)


def _mark(number: int) -> str:
    return f"zqx{number % VALUES:03}xqz"


def _named(name: str, style: int) -> str:
    first, *rest = words = name.split()
    styles = ("_".join(words), first + "".join(map(str.title, rest)), name.title(), "-".join(words).upper())
    return styles[style % len(_STYLES)]


def _column(name: str, kind: Kind) -> Column:
    return Column(name=name, type="longtext", kind=kind, nullable=True)


def _object(numbers: Iterator[int]) -> dict[str, Any]:
    """A part of an order, with personal values where Shopify has them."""
    return {
        "email": _mark(next(numbers)),
        "customer": {"first_name": _mark(next(numbers)), "default_address": {"address1": _mark(next(numbers))}},
        "name": _mark(next(numbers)),
    }


def _planted_json(text: str | None, numbers: Iterator[int]) -> str | None:
    """JSON with personal values in each object of its lists, whatever shape these have."""
    if not text:
        return text
    value = json.loads(text)
    _plant(json.loads(value) if isinstance(value, str) else value, numbers)
    return json.dumps(value)


def _plant(value: Any, numbers: Iterator[int]) -> None:
    if isinstance(value, list):
        for part in value:
            _plant(part, numbers)
    elif isinstance(value, dict):
        for part in list(value.values()):
            _plant(part, numbers)
        value["properties"] = [{"name": "Engraving", "value": _mark(next(numbers))}]
        value["note"] = _mark(next(numbers))
        value["customAttributes"] = {"key": "For", "value": _mark(next(numbers))}
        value["destination"] = {"address1": _mark(next(numbers))}
