"""What a request to `/fetch-data` asks for: its parameters, read strictly, and what they may not ask together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.errors import ParameterInvalid
from api.parameters import Parameter, flag, pairs, parse, text, unknown, whole

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
    flag("metadata_only", "Everything but the rows, and the columns with their types."),
    flag("refresh", "Asks for a refresh in the background; `_info` says what became of it."),
    flag("stream", "Answers as server-sent events; with `refresh`, once more after the refresh."),
)  # fmt: skip
_KNOWN: Mapping[str, Parameter] = {parameter.name: parameter for parameter in PARAMETERS}
# Pairs that say two things at once, and what to do.
_CONTRADICTIONS = (
    ("after", "offset", "Leave one of them out: `after` says where the page begins."),
    ("after", "stream", "Leave one of them out: a stream sends each newest generation."),
)


@dataclass(frozen=True)
class FetchQuery:
    """The parameters of PARAMETERS by their names. `said` is the query without what is ignored, so that answers which
    say the same have the same tag."""

    limit: int | None = None
    offset: int = 0
    after: str | None = None
    metadata_only: bool = False
    refresh: bool = False
    stream: bool = False
    said: bytes = b""


def read(query: bytes) -> FetchQuery:
    """Reads a query string. Raises ParameterInvalid, which names the parameter and what is taken."""
    values, others = parse(pairs(query), _KNOWN)
    for one, other, advice in _CONTRADICTIONS:
        if values.get(one) and other in values and values[other] is not False:
            raise ParameterInvalid(f"Parameters '{one}' and '{other}' contradict each other.", advice)
    for name, _ in others:
        if not name.startswith("_"):
            raise unknown(name, PATH, ", ".join(_KNOWN))
    return FetchQuery(**values, said=_said(query))


def _said(query: bytes) -> bytes:
    """The query without what is ignored."""
    if not query.startswith(b"_") and b"&_" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"_"))
