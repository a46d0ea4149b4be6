"""The parameters of GET /fetch-data, and the combinations that are refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

from api.contract.errors import ParameterInvalid
from api.contract.queries.csv_parameters import PARAMETERS as CSV_PARAMETERS
from api.contract.queries.csv_parameters import PLAIN_CSV, take_csv_style
from api.contract.queries.page_token import PageToken
from api.contract.queries.parameters import (
    Parameter,
    check_names,
    choice,
    flag,
    names,
    parse,
    repeated,
    split_list,
    split_query,
    unknown_parameter,
    whole_number,
)
from api.contract.queries.request_limits import MAX_COLUMNS
from cache.access.cache_busters import NAMES as CACHE_BUSTERS
from cache.access.cache_busters import is_cache_buster
from cache.access.masking import Mask
from cache.export.about import About
from cache.export.row_format import CONTENT_TYPES, MEDIA_TYPES, CsvStyle, FileFormat, RowFormat
from cache.query.filters import Condition, Query, Sort
from cache.query.operators import OPERATORS

PATH = "/fetch-data"


def _row_number(name: str, description: str) -> Parameter:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:19]) < 10**18):
            raise ValueError
        return int(text)

    schema = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
    return Parameter(name, read, "a whole number from 1", schema, description, "101")


LIMIT = whole_number("limit", "Maximum number of rows; 0 gives only `total_count`. Without it: all rows.", "100")
FORMAT = choice(
    "format", get_args(FileFormat), "Format of the response. The header `Accept` does the same.", "csv", "json"
)
PARAMETERS: tuple[Parameter, ...] = (
    LIMIT,
    whole_number("offset", "Rows to skip. Past the last row the page is empty.", "200", 0),
    Parameter(
        "after",
        PageToken.parse,
        "the `next` of the response before, with the same filters and sort",
        {"type": "string"},
        "The next page. It comes from the same generation, even if a newer one was published since.",
        "AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT",
    ),
    names("sort", "Columns to sort by; `-` before a column means descending. Ties are in key order.", "-created_at,id"),
    names("fields", "Only these columns, in this order.", "id,name,total_price"),
    repeated(
        "facet",
        f"the name of a column, and may be given {MAX_COLUMNS} times, each column once",
        "Counts the values of a column, under `facets`: the 100 most frequent.",
        "financial_status",
    ),
    _row_number("start_row", "The first row, from 1, as `offset` does from 0."),
    _row_number("end_row", "The last row, included."),
    flag("stream_all", "All rows, as without `limit`."),
    flag("metadata_only", "No rows. Adds `columns` with their types, and `size`: the bytes of all rows."),
    flag("parse_json", "`false` gives columns that hold JSON as the stored text.", default=True),
    choice(
        "integers",
        ("number", "string"),
        "`string` gives integers beyond 2^53 as strings, for JavaScript.",
        "string",
        "number",
    ),
    FORMAT,
    *CSV_PARAMETERS,
    flag("refresh", "Requests a refresh in the background. `_info` says what became of it."),
    flag("wait", "Refreshes first, then answers from the new snapshot."),
    flag("stream", "Answers as server-sent events. With `refresh`, sends the rows again after the refresh."),
    choice(
        "rows",
        ("whole", "chunked"),
        "With `stream`. `chunked` sends the rows in `rows` events of about 64 KB after `cached` and `updated`.",
        "chunked",
        "whole",
    ),
)
REPLACED_BY_AFTER = ("offset", "start_row", "end_row", "stream_all", "refresh", "wait")  # on the next page
RESTART_PAGING = "Start again without `after`, from the newest generation."
KNOWN: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}

# Parameters that contradict each other, and what to do.
_CONTRADICTIONS = (
    ("after", "offset", "Leave one of them out: `after` says where the page begins."),
    ("after", "wait", "Leave one of them out: `after` stays with its generation, `wait` takes a new one."),
    ("after", "stream", "Leave one of them out: a stream sends the newest generation."),
    *(
        (one, other, f"Leave '{other}' out.")
        for one in ("start_row", "end_row")
        for other in ("limit", "offset", "after")
    ),
    *(("stream_all", other, "Leave one of them out: `stream_all` sends all rows.") for other in ("limit", "end_row")),
    ("wait", "refresh", "Leave `refresh` out: `wait` refreshes."),
    ("wait", "stream", "Leave `wait` out: with stream=true&refresh=true the stream waits."),
)
_HAS_CACHE_BUSTER = re.compile(rb"(?:^|&)(?:_|(?:%s)(?:[=&]|$))" % "|".join(CACHE_BUSTERS).encode())
_CONTRADICTING = frozenset(one for one, _, _ in _CONTRADICTIONS)
_JSON_ONLY = ("stream", "facet", "metadata_only")
JSON_LINES = "application/jsonl"
_ACCEPTED: Mapping[str, FileFormat] = {
    **{media_type: form for form, media_type in MEDIA_TYPES.items()},
    JSON_LINES: "ndjson",  # the newer name
}
_MAX_ACCEPT = 2_000  # bytes of the header that are read


def content_type(name: FileFormat, accept: bytes | None) -> str:
    """The header `Content-Type` of a format. NDJSON has two names, and gets the one that `accept` has."""
    names = accept.lower() if accept and name == "ndjson" else b""
    if JSON_LINES.encode() in names and MEDIA_TYPES["ndjson"].encode() not in names:
        return CONTENT_TYPES[name].replace(MEDIA_TYPES[name], JSON_LINES)
    return CONTENT_TYPES[name]


class FetchQuery(NamedTuple):
    """The parameters of a request, by their names.

    Attributes:
        format: None leaves the format to `Accept`.
        csv: The style of CSV.
        filters: Names and values as they were given.
        text: The query string.
    """

    limit: int | None = None
    offset: int = 0
    after: PageToken | None = None
    sort: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    facet: tuple[str, ...] = ()
    metadata_only: bool = False
    parse_json: bool = True
    integers: Literal["number", "string"] = "number"
    format: FileFormat | None = None
    csv: CsvStyle = PLAIN_CSV
    refresh: bool = False
    wait: bool = False
    stream: bool = False
    rows: Literal["whole", "chunked"] = "whole"
    filters: tuple[tuple[str, str], ...] = ()
    text: bytes = b""

    def query(self, columns: Collection[str]) -> Query:
        """Which rows, in which order.

        Args:
            columns: The names of the columns.

        Raises:
            ParameterInvalid: A name is neither a column nor a parameter.
        """
        if not (self.filters or self.sort):
            return ALL_ROWS
        filters = (_condition(name, value, columns) for name, value in self.filters)
        conditions = tuple(condition for condition in filters if condition)
        sort = tuple(Sort(name.removeprefix("-"), name.startswith("-")) for name in self.sort)
        return Query(conditions, sort) if conditions or sort else ALL_ROWS

    def identity(self, columns: Collection[str]) -> bytes:
        """The query string without what is ignored. It goes into the ETag, so that equal requests get equal tags.

        Args:
            columns: The names of the columns.
        """
        if not _HAS_CACHE_BUSTER.search(self.text):
            return self.text
        parts = ((part, split_query(part)[0]) for part in self.text.split(b"&") if part)
        return b"&".join(
            part for part, (name, value) in parts if not is_cache_buster(name) or _condition(name, value, columns)
        )

    def row_format(self, accept: bytes | None, mask: Mask, about: About) -> RowFormat:
        """How rows are written.

        Args:
            accept: The header `Accept`.
            mask: What is hidden from the key.
            about: What a file says of itself.
        """
        name = self.format or (accepted_format(accept) if accept and not self._json_only else "json")
        if name == "json" and self.parse_json and self.integers == "number" and not self.fields and not mask:
            return PUBLISHED_FORMAT
        return RowFormat(name, self.fields or None, self.parse_json, self.integers, mask, self.csv, about)

    @property
    def _json_only(self) -> bool:
        return self.stream or self.metadata_only or bool(self.facet)


ALL_ROWS = Query()
PUBLISHED_FORMAT = RowFormat()  # of the rows that were rendered when the snapshot was published


def parse_fetch_query(query: bytes) -> FetchQuery:
    """Parses a query string.

    Raises:
        ParameterInvalid: It names the parameter and what is accepted.
    """
    values, filters = parse(split_query(query), KNOWN)
    if "sort" in values:
        check_names(KNOWN["sort"], [name.removeprefix("-") for name in values["sort"]])
    if not _CONTRADICTING.isdisjoint(values):
        for one, other, advice in _CONTRADICTIONS:
            if values.get(one) and other in values and values[other] != KNOWN[other].default:
                raise ParameterInvalid(f"Parameters '{one}' and '{other}' contradict each other.", advice)
    if values.get("format", "json") != "json":
        for name in _JSON_ONLY:
            if values.get(name):
                raise ParameterInvalid(f"Parameter '{name}' needs JSON.", "Leave 'format' out, or send format=json.")
    style = take_csv_style(values)
    if values.get("rows") == "chunked" and not values.get("stream"):
        raise ParameterInvalid("Parameter 'rows' is for streams.", "Send stream=true with it, or leave it out.")
    return FetchQuery(**_with_page(values), csv=style, filters=tuple(filters), text=query)


def _with_page(values: dict[str, Any]) -> dict[str, Any]:
    """The values with `start_row`, `end_row` and `stream_all` as `offset` and `limit`."""
    first, last = values.pop("start_row", 1), values.pop("end_row", None)
    values.pop("stream_all", None)
    if last is not None and last < first:
        raise ParameterInvalid("Parameter 'end_row' is less than 'start_row'.", "Both are included.")
    if first > 1:
        values["offset"] = first - 1
    if last is not None:
        values["limit"] = last - first + 1
    return values


def _condition(name: str, value: str, columns: Collection[str]) -> Condition | None:
    """The filter of a parameter; None for a name that is ignored."""
    condition = read_condition(name, value, columns)
    if condition or is_cache_buster(name):
        return condition
    filters = f"and filters on columns (COLUMN=value, or COLUMN__OP=value with {', '.join(OPERATORS)})"
    takes = f"{', '.join(KNOWN)}, {filters}; the columns are {', '.join(sorted(columns))}"
    raise unknown_parameter(name, PATH, takes, [*KNOWN, *columns])


def read_condition(name: str, value: str, columns: Collection[str]) -> Condition | None:
    """Reads `COLUMN__OP=value` or `COLUMN=value`.

    Args:
        name: The name of the parameter.
        value: Its value.
        columns: The names that can be filtered by.

    Returns:
        The condition; None if the parameter is no filter.

    Raises:
        ParameterInvalid: A list does not parse.
    """
    column, _, op = name.rpartition("__")
    operator = OPERATORS.get(op)
    if operator and column in columns:
        try:
            return Condition(column, operator.name, split_list(value) if operator.takes == "list" else value)
        except ValueError:
            raise ParameterInvalid(f"Parameter '{name}' does not parse.", "A double quote is not closed.") from None
    return Condition(name, "eq", value) if name in columns else None


@lru_cache(64)
def accepted_format(header: bytes) -> FileFormat:
    """The format that a header `Accept` prefers. JSON if that is as good as another, or if no format matches."""
    best: tuple[float, FileFormat] = (0.0, "json")
    for item in header[:_MAX_ACCEPT].decode("latin-1").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        name = "json" if media_type in ("*/*", "application/*") else _ACCEPTED.get(media_type)
        weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if name and (weight > best[0] or (weight == best[0] and name == "json")):
            best = (weight, name)
    return best[1]
