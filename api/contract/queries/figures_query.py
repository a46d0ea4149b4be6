"""The parameters of GET /figures and GET /figures/events, and the combinations that are refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from api.contract.errors import ParameterInvalid
from api.contract.queries.csv_parameters import PARAMETERS as CSV_PARAMETERS
from api.contract.queries.csv_parameters import take_csv_style
from api.contract.queries.fetch_query import FORMAT, accepted_format, read_condition
from api.contract.queries.page_token import PageToken
from api.contract.queries.parameters import (
    Parameter,
    choice,
    did_you_mean,
    flag,
    parse,
    split_list,
    split_query,
    unknown_parameter,
)
from cache.access.cache_busters import is_cache_buster
from cache.analytics.dimensions.catalogue import DIMENSIONS, FILTER_ONLY, FILTERS, ROW_PATTERN, is_row_dimension
from cache.analytics.figure_query import ALL_CURRENCIES, FigureQuery
from cache.analytics.figures import RETURNS
from cache.analytics.metrics import METRICS
from cache.calendar.periods import COMPARISONS, PERIODS
from cache.calendar.steps import STEPS
from cache.export.row_format import CsvStyle, FileFormat
from cache.query.filters import Condition

PATH = "/figures"
EVENTS_PATH = f"{PATH}/events"
MAX_ROWS = 10_000  # of a response
MAX_DIMENSIONS = 3
EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)
GROUPED = tuple(name for name in DIMENSIONS if name != "currency")


def _list_of(
    name: str, known: Collection[str], most: int, description: str, example: str, pattern: str = ""
) -> Parameter:
    """A parameter that is a list of known names, or of names of a pattern."""
    takes = f"names of GET {PATH}/metrics, separated by commas, each once"
    listed = {"type": "string", "enum": list(known)}
    schema: Mapping[str, Any] = {
        "type": "array",
        "items": {"anyOf": [listed, {"type": "string", "pattern": f"^{pattern}$"}]} if pattern else listed,
        "minItems": 1,
        "uniqueItems": True,
        "maxItems": most,
    }
    return Parameter(name, split_list, takes, schema, description, example, ())


def _day(name: str, description: str) -> Parameter:
    def read(text: str) -> date:
        day = date.fromisoformat(text)
        if len(text) != len("2026-07-01") or not EARLIEST <= day <= LATEST:
            raise ValueError
        return day

    takes = f"a day from {EARLIEST} to {LATEST}, such as 2026-07-01"
    return Parameter(name, read, takes, {"type": "string", "format": "date"}, description, "2026-07-01")


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:18]) <= MAX_ROWS):
        raise ValueError
    return int(text)


def _code(text: str) -> str:
    if not (text.isascii() and text.isalpha() and text.isupper() and len(text) == 3):
        raise ValueError
    return text


def _currency(text: str) -> str:
    return text if text == ALL_CURRENCIES else _code(text)


METRIC = _list_of("metric", METRICS, len(METRICS), "The figures. Without it: all that the table can tell.", "net_sales")
BY = _list_of(
    "by",
    GROUPED,
    MAX_DIMENSIONS,
    f"Dimensions to group by, {MAX_DIMENSIONS} at most. `column:NAME` is a column of the table, and `json:NAME.PATH` a "
    "value inside its JSON.",
    "country",
    ROW_PATTERN,
)
FROM, TO = _day("from", "First day of `period=custom`."), _day("to", "Last day of it, included.")
COMPARE_FROM = _day("compare_from", "First day of `compare=custom`.")
COMPARE_TO = _day("compare_to", "Last day of it, included.")
PERIOD = choice("period", list(PERIODS), "The days, on the shop's clock.", "last_month", "all")
CONVERT = flag(
    "convert",
    "Amounts in all currencies, converted to the main one at the rates of RATES_FILE: each event at the rate of its "
    "day.",
)
_OF_RETURNS = choice(
    "returns",
    list(RETURNS),
    "Whether returns count on the day of the refund (`returned`) or of the order (`ordered`).",
    "ordered",
    "returned",
)
_PAGED = (
    Parameter(
        "limit",
        _limit,
        f"a whole number from 1 to {MAX_ROWS}",
        {"type": "integer", "minimum": 1, "maximum": MAX_ROWS},
        "Maximum number of rows.",
        "100",
        MAX_ROWS,
    ),
    Parameter(
        "after",
        PageToken.parse,
        "the `next` of the response before, with the same parameters",
        {"type": "string"},
        "The next page. It comes from the same generation, even if a newer one was published since.",
        "AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT",
    ),
    FORMAT,
    *CSV_PARAMETERS,
)
PARAMETERS: tuple[Parameter, ...] = (
    METRIC,
    BY,
    choice("step", list(STEPS), "A row for each hour, day or longer unit of the shop's calendar.", "month"),
    PERIOD,
    FROM,
    TO,
    choice("compare", list(COMPARISONS), "Adds the figures of another period, as `compared`.", "year", "none"),
    COMPARE_FROM,
    COMPARE_TO,
    Parameter(
        "currency",
        _currency,
        f"an ISO 4217 code, or {ALL_CURRENCIES}",
        {"type": "string", "pattern": f"^([A-Z]{{3}}|{ALL_CURRENCIES})$"},
        f"Orders in this currency. `{ALL_CURRENCIES}`: each currency in rows of its own. Without it: the main one.",
        "EUR",
    ),
    CONVERT,
    _OF_RETURNS,
    *_PAGED,
)
EVENT_METRIC = Parameter(
    "metric",
    str,
    f"a name of GET {PATH}/metrics",
    {"type": "string", "enum": list(METRICS)},
    "The figure.",
    "net_sales",
    required=True,
)
EVENTS_PARAMETERS: tuple[Parameter, ...] = (
    EVENT_METRIC,
    PERIOD,
    FROM,
    TO,
    Parameter(
        "currency",
        _code,
        "an ISO 4217 code",
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        "Orders in this currency. Without it: the main one.",
        "EUR",
    ),
    CONVERT,
    _OF_RETURNS,
    *_PAGED,
)


class FiguresQuery(NamedTuple):
    """The parameters of a request.

    Attributes:
        query: Which figures.
        convert: Whether amounts in all currencies are converted to the main one.
        limit: Rows at most.
        after: Where the page begins; None for the first one.
        format: None leaves the format to `Accept`.
        csv: The style of CSV.
    """

    query: FigureQuery
    convert: bool
    limit: int
    after: PageToken | None
    format: FileFormat | None
    csv: CsvStyle

    def file_format(self, accept: bytes | None) -> FileFormat:
        """The format of the response. `accept` is the header `Accept`."""
        return self.format or (accepted_format(accept) if accept else "json")


def parse_figures_query(query: bytes) -> FiguresQuery:
    """Parses a query string of GET /figures.

    Raises:
        ParameterInvalid: It names the parameter and what is accepted.
    """
    values, conditions = _read(query, PATH, PARAMETERS)
    _check_names(METRIC, values.get("metric", ()), METRICS)
    _check_names(BY, [name for name in values.get("by", ()) if not is_row_dimension(name)], GROUPED)
    if values.get("compare", "none") != "none" and values.get("period", "all") == "all":
        raise ParameterInvalid("Parameter 'compare' needs a period.", "All time has nothing before it: send 'period'.")
    return _figures_query(values, values.get("metric", ()), conditions)


def parse_events_query(query: bytes) -> FiguresQuery:
    """Parses a query string of GET /figures/events.

    Raises:
        ParameterInvalid: It names the parameter and what is accepted.
    """
    values, conditions = _read(query, EVENTS_PATH, EVENTS_PARAMETERS)
    if "metric" not in values:
        raise ParameterInvalid("Parameter 'metric' is missing.", f"It takes {EVENT_METRIC.takes}.")
    _check_names(METRIC, (values["metric"],), METRICS)
    return _figures_query(values, (values["metric"],), conditions)


def _read(query: bytes, path: str, parameters: Sequence[Parameter]) -> tuple[dict[str, Any], tuple[Condition, ...]]:
    """The values of the parameters that are given, and the filters."""
    known = {parameter.name: parameter for parameter in parameters}
    values, others = parse(split_query(query), known)
    if values.get("convert") and values.get("currency") == ALL_CURRENCIES:
        raise ParameterInvalid(
            "Parameters 'convert' and 'currency' contradict each other.",
            "Send convert=true for one total, or currency=all for rows of each currency.",
        )
    conditions = (_condition(name, value, path, known) for name, value in others)
    return values, tuple(condition for condition in conditions if condition)


def _figures_query(values: dict[str, Any], metrics: tuple[str, ...], conditions: tuple[Condition, ...]) -> FiguresQuery:
    return FiguresQuery(
        FigureQuery(
            metrics=metrics,
            by=values.get("by", ()),
            step=values.get("step"),
            period=values.get("period", "all"),
            days=_days(values, "period", FROM, TO),
            compare=values.get("compare", "none"),
            compared_days=_days(values, "compare", COMPARE_FROM, COMPARE_TO),
            currency=values.get("currency", ""),
            returns=values.get("returns", "returned"),
            conditions=conditions,
        ),
        values.get("convert", False),
        values.get("limit", MAX_ROWS),
        values.get("after"),
        values.get("format"),
        take_csv_style(values),
    )


def _check_names(parameter: Parameter, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            message = f"Parameter '{parameter.name}' does not know '{name[:50]}'."
            raise ParameterInvalid(message, f"{did_you_mean(name, known)}It takes {', '.join(known)}.")


def _days(values: Mapping[str, Any], parameter: str, first: Parameter, last: Parameter) -> tuple[date, date] | None:
    """The days of a custom period or comparison."""
    given = [each.name for each in (first, last) if each.name in values]
    if values.get(parameter) != "custom":
        if given:
            raise ParameterInvalid(
                f"Parameter '{given[0]}' is for {parameter}=custom.", f"Send {parameter}=custom, or leave it out."
            )
        return None
    if len(given) < 2:
        raise ParameterInvalid(f"{parameter}=custom needs '{first.name}' and '{last.name}'.", f"Each is {first.takes}.")
    days = values[first.name], values[last.name]
    if days[0] > days[1]:
        raise ParameterInvalid(f"Parameter '{first.name}' is later than '{last.name}'.", "Swap them.")
    return days


def _condition(name: str, value: str, path: str, parameters: Collection[str]) -> Condition | None:
    of_rows = [each for each in (name, name.rpartition("__")[0]) if is_row_dimension(each)]
    condition = read_condition(name, value, [*FILTERS, *FILTER_ONLY, *of_rows])
    if condition or is_cache_buster(name):
        return condition
    filters = (*FILTERS, *FILTER_ONLY)
    takes = f"{', '.join(parameters)}, and filters on {', '.join(filters)} (NAME=value, or NAME__OP=value)"
    raise unknown_parameter(name, path, takes, [*parameters, *filters])
