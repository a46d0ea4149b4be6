"""POST /export/table: a table that a page shows, as CSV, Excel or Parquet.

The page sends what it shows, so that the file has just that. Only numbers are exact where the page rounds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import gettempdir
from typing import Literal

import pyarrow as pa
from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cache.export.row_files import RowsToWrite, write_rows
from cache.export.row_format import CONTENT_TYPES, RowFormat
from cache.schema import Column
from dashboard.auth.identity import Identities
from dashboard.web.downloads import FOR_SPREADSHEETS

PATH = "/export/table"
MAX_BYTES = 16 << 20  # of a request
MAX_DIGITS = 38  # of a decimal in Arrow


class _TableColumn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str
    number: bool


class ShownTable(BaseModel):
    """A table as the page sends it.

    Attributes:
        format: The format of the file.
        name: The title of the table.
        columns: Its columns.
        rows: Its rows. A number is written with a dot, whatever the page shows; "" for none.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "xlsx", "parquet"]
    name: str = Field(max_length=200)
    columns: list[_TableColumn] = Field(min_length=1, max_length=1000)
    rows: list[list[str]]


class TableFiles:
    """Answers requests for files of tables."""

    def __init__(self, identities: Identities) -> None:
        """Recognises visitors by `identities`."""
        self._identities = identities

    async def post(self, request: Request) -> Response:
        """Sends the table that a page shows as a file."""
        if self._identities.identify(request.cookies) is None:
            return PlainTextResponse("Sign in first.", 401)
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                return PlainTextResponse("The table is too large.", 413)
        try:
            table = ShownTable.model_validate_json(bytes(body))
            file = await to_thread.run_sync(table_file, table)
        except (ValidationError, ValueError):
            return PlainTextResponse("This is no table.", 400)
        headers = {"Content-Disposition": f'attachment; filename="table.{table.format}"', "Cache-Control": "no-store"}
        return Response(file, headers=headers, media_type=CONTENT_TYPES[table.format])


def table_file(table: ShownTable) -> bytes:
    """The file of a table.

    Raises:
        ValueError: A row has another number of cells than there are columns, or a number has too many digits.
    """
    if any(len(row) != len(table.columns) for row in table.rows):
        raise ValueError("a row has another number of cells than there are columns")
    cells: Sequence[Sequence[str]] = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    typed = [_typed(column, values) for column, values in zip(table.columns, cells, strict=True)]
    columns, values = [column for column, _ in typed], [array for _, array in typed]
    size = sum(len(cell) for row in table.rows for cell in row)
    rows = RowsToWrite(table.name, columns, [values], len(table.rows), size)
    pieces: list[bytes] = []
    row_format = RowFormat(table.format, csv=FOR_SPREADSHEETS)
    write_rows(row_format, rows, Path(gettempdir()), lambda piece: pieces.append(bytes(piece)))
    return b"".join(pieces)


def _typed(column: _TableColumn, values: Sequence[str]) -> tuple[Column, pa.Array]:
    """A column with its type, which is that of all its values."""
    numbers = _numbers(values) if column.number else None
    if numbers is None:
        text = Column(name=column.label, type="text", kind="text", nullable=True)
        return text, pa.array([value or None for value in values], pa.string())
    places = max((-int(number.as_tuple().exponent) for number in numbers if number is not None), default=0)
    decimals = max(places, 0)
    digits = max((len(f"{number:f}".strip("-").split(".")[0]) for number in numbers if number is not None), default=1)
    if digits + decimals > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    exact = Column(
        name=column.label,
        type=f"decimal({digits + decimals},{decimals})",
        kind="decimal",
        nullable=True,
        digits=digits + decimals,
        decimals=decimals,
    )
    return exact, pa.array(numbers, pa.decimal128(digits + decimals, decimals))


def _numbers(values: Sequence[str]) -> list[Decimal | None] | None:
    """The numbers of a column; None where one of its values is a text."""
    try:
        numbers = [Decimal(value) if value else None for value in values]
    except InvalidOperation:
        return None
    return numbers if all(number is None or number.is_finite() for number in numbers) else None
