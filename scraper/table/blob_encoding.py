"""Long binary cells as text.

No function of the server returns more than max_allowed_packet, 16 MB by default: hexadecimal carries a cell of half as
much, base64 one of three quarters.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from cache.schema import Column
from scraper.errors import Unconfirmed

_BASE64, _TOO_LONG = "=", "-"  # how a text begins that is not hexadecimal


def text_sql(cell: str) -> str:
    """Returns MySQL's expression for the text of a cell that may be long."""
    return f"IF({cell} IS NULL, NULL, COALESCE(HEX({cell}), CONCAT('{_BASE64}', TO_BASE64({cell})), '{_TOO_LONG}'))"


def all_hexadecimal(rows: pa.Table, columns: Sequence[Column]) -> pa.Table:
    """Returns the rows with all binary cells in hexadecimal.

    Args:
        rows: As exported: binary cells are what `text_sql` gives.
        columns: The columns of the rows.

    Raises:
        Unconfirmed: A cell is longer than max_allowed_packet allows.
    """
    for i, column in enumerate(columns):
        if column.kind != "bytes":
            continue
        cells = rows.column(i)
        if pc.any(pc.equal(cells, _TOO_LONG)).as_py():
            raise Unconfirmed(
                f"A cell of the column {column.name} is too long for the server's max_allowed_packet.",
                "Nothing was published. Raise max_allowed_packet on the server, or copy a view without this column.",
            )
        if pc.any(pc.starts_with(cells, _BASE64)).as_py():
            hexadecimal = [
                base64.b64decode(text[1:]).hex() if text and text[0] == _BASE64 else text for text in cells.to_pylist()
            ]
            rows = rows.set_column(i, rows.column_names[i], pa.array(hexadecimal, pa.string()))
    return rows
