"""What a request to `/fetch-data` asks for: its parameters, read strictly, and what they may not ask together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from api.contract.errors import ParameterInvalid
from api.contract.parameters import Parameter, choice, flag, listed, names, pairs, parse, repeated, text, unknown, whole
from cache.export.row_format import FileFormat, RowFormat
from cache.query.filters import Condition, Query, Sort
from cache.query.operators import OPERATORS

PATH = "/fetch-data"

PARAMETERS: tuple[Parameter, ...] = (
    whole("limit", "Rows of a page at most; 0 gives none but `total_count`. Without it: all rows.", "100"),
    whole("offset", "Rows to leave out before the page; past the last row the page is empty.", "200", 0),
    text(
        "after",
        "the `next` of the answer before, with the same filters and sort",
        "The page that follows an answer, of the same generation, whatever was published since.",
        "AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT",
    ),
    names("sort", "Columns to sort by, `-` before one for descending; the key breaks ties.", "-created_at,id"),
    names("fields", "Only these columns, in this order.", "id,name,total_price"),
    repeated(
        "facet",
        "the name of a column, and may be given several times",
        "Values of a column with their counts, the most frequent 100, under `facets`.",
        "financial_status",
    ),
    flag("metadata_only", "Everything but the rows, and `columns` with their types and `size`, the bytes of all rows."),
    flag("parse_json", "`false` gives columns that hold JSON as the stored text.", default=True),
    choice(
        "integers", ("number", "string"),
        "`string` gives integers beyond 2^53 as strings, for JavaScript.", "string", "number",
    ),
    choice("format", get_args(FileFormat), "Form of the answer; the header `Accept` says the same.", "csv", "json"),
    choice(
        "formulas", ("keep", "defuse"),
        "`defuse` puts an apostrophe before cells of a CSV that a spreadsheet would run.", "defuse", "keep",
    ),
    flag("refresh", "Asks for a refresh in the background; `_info` says what became of it."),
    flag("wait", "Refreshes first, and answers from the new snapshot."),
    flag("stream", "Answers as server-sent events; with `refresh`, once more after the refresh."),
)  # fmt: skip
KNOWN: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}

# Pairs that say two things at once, and what to do.
_CONTRADICTIONS = (
    ("after", "offset", "Leave one of them out: `after` says where the page begins."),
    ("after", "wait", "Leave one of them out: `after` stays with its generation, `wait` takes a new one."),
    ("after", "stream", "Leave one of them out: a stream sends each newest generation."),
    ("wait", "refresh", "Leave `refresh` out: `wait` refreshes."),
    ("wait", "stream", "Leave `wait` out: with stream=true&refresh=true the stream waits."),
)
_JSON_ONLY = ("stream", "facet", "metadata_only")
_MEDIA_TYPES: Mapping[str, FileFormat] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.apache.parquet": "parquet",
}
MEDIA_TYPES: Mapping[FileFormat, str] = {form: media_type for media_type, form in _MEDIA_TYPES.items()}


class FetchQuery(NamedTuple):
    """The parameters of PARAMETERS by their names; `format` None leaves it to `Accept`.

    `filters` are names and values as they were given. `said` is the query without what is ignored, so that answers
    which say the same have the same tag.
    """

    limit: int | None = None
    offset: int = 0
    after: str | None = None
    sort: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    facet: tuple[str, ...] = ()
    metadata_only: bool = False
    parse_json: bool = True
    integers: Literal["number", "string"] = "number"
    format: FileFormat | None = None
    formulas: str = "keep"
    refresh: bool = False
    wait: bool = False
    stream: bool = False
    filters: tuple[tuple[str, str], ...] = ()
    said: bytes = b""

    def query(self, known: Collection[str]) -> Query:
        """Which rows, in which order. Parameters: names of the columns that are `known`.

        Raises ParameterInvalid where a name is of no column or parameter.
        """
        if not (self.filters or self.sort):
            return ALL
        found = (_condition(name, value, known) for name, value in self.filters)
        conditions = tuple(condition for condition in found if condition)
        sort = tuple(Sort(name.removeprefix("-"), name.startswith("-")) for name in self.sort)
        return Query(conditions, sort) if conditions or sort else ALL

    def shape(self, accepted: bytes | None, masked: frozenset[str]) -> RowFormat:
        """How rows are written. Parameters: `accepted` is the header `Accept`; `masked` columns are hidden."""
        form = self.format or (_accepted(accepted) if accepted and not self._json_only else "json")
        if form == "json" and self.parse_json and self.integers == "number" and not self.fields and not masked:
            return PREPARED
        return RowFormat(form, self.fields or None, self.parse_json, self.integers, masked, self.formulas == "defuse")

    @property
    def _json_only(self) -> bool:
        return self.stream or self.metadata_only or bool(self.facet)


ALL = Query()
PREPARED = RowFormat()  # that of rows as they were rendered when they were published


def read(query: bytes) -> FetchQuery:
    """Reads a query string. Raises ParameterInvalid, which names the parameter and what is taken."""
    values, filters = parse(pairs(query), KNOWN)
    if "after" in values or "wait" in values:
        for one, other, advice in _CONTRADICTIONS:
            if values.get(one) and other in values and values[other] is not False:
                raise ParameterInvalid(f"Parameters '{one}' and '{other}' contradict each other.", advice)
    if values.get("format", "json") != "json":
        for name in _JSON_ONLY:
            if values.get(name):
                raise ParameterInvalid(f"Parameter '{name}' needs JSON.", "Leave 'format' out, or take format=json.")
    if "formulas" in values and values.get("format") != "csv":
        raise ParameterInvalid("Parameter 'formulas' is for CSV.", "Take format=csv with it, or leave it out.")
    return FetchQuery(**values, filters=tuple(filters), said=_said(query))


def _condition(name: str, value: str, known: Collection[str]) -> Condition | None:
    """`COLUMN__OP=value` or `COLUMN=value`; None for a name that is ignored."""
    column, _, op = name.rpartition("__")
    operator = OPERATORS.get(op)
    if operator and column in known:
        try:
            return Condition(column, operator.name, listed(value) if operator.takes == "list" else value)
        except ValueError:
            raise ParameterInvalid(f"Parameter '{name}' does not parse.", "A double quote is not closed.") from None
    if name.startswith("_"):
        return None
    if name in known:
        return Condition(name, "eq", value)
    filters = f"and filters on columns (COLUMN=value, or COLUMN__OP=value with {', '.join(OPERATORS)})"
    raise unknown(name, PATH, f"{', '.join(KNOWN)}, {filters}; the columns are {', '.join(sorted(known))}")


def _said(query: bytes) -> bytes:
    """The query without what is ignored."""
    if not query.startswith(b"_") and b"&_" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"_") or b"__" in part)


@lru_cache(64)
def _accepted(header: bytes) -> FileFormat:
    """What `Accept` prefers of what there is; JSON where it is as good, or where there is nothing of the kind."""
    best: tuple[float, FileFormat] = (0.0, "json")
    for item in header.decode("latin-1").lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        form = "json" if media_type in ("*/*", "application/*") else _MEDIA_TYPES.get(media_type)
        weights = [part.removeprefix("q=") for part in parameters if part.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if form and (weight > best[0] or (weight == best[0] and form == "json")):
            best = (weight, form)
    return best[1]
