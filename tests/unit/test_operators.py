"""Every operator on every kind of column: the column index finds what DuckDB finds.

Operators that dictionary codes cannot answer are compared with a reference in this file.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from cache_factory import Row, cache_in, publish
from query_oracle import QueryOracle

from cache.errors import BadFilter
from cache.query.filters import Condition, Query, compile_predicate, where
from cache.query.operators import ALL_KINDS, OPERATORS, Op, Operator, operators_for
from cache.schema import Column, Kind

API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"
COLUMNS = tuple(
    Column(name=kind, type=kind, kind=kind, nullable=True, digits=12, decimals=2 if kind == "decimal" else 3)
    for kind in ALL_KINDS
)
INTEGERS = ["0", "0", "1", "-1", str(-(2**63)), str(2**63 - 2), "7"]
TEXTS = ["", "", "paid", "PAID", "pa", "pb", "K\u212a", "İi", "Ünal", "ünal", "🎂", "a,b", '"', "\\", "%", "{}"]
# Values of each kind as the scraper reads them: extremes, duplicates, neighbours.
VALUES: dict[Kind, list[str]] = {
    "integer": INTEGERS,
    "unsigned": ["0", "0", "1", "2", str(2**63), str(2**64 - 2)],
    "boolean": ["0", "1", "1", "2", "-128", "127"],
    "decimal": ["0.00", "0.00", "-0.01", "598.94", "598.95", "9999999999.99", "-9999999999.99"],
    "float": ["0.1", "-0.0", "0.0", "3.4028234663852886e38", "-3.4028234663852886e38", "1e-45", "0.25"],
    "double": ["0.1", "-0.0", "0.0", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324", "0.25"],
    "date": ["2025-12-29", "2025-12-29", "2025-12-30", "1000-01-01", "9999-12-31", "1970-01-01"],
    "datetime": ["2025-12-29 10:25:00", "2025-12-29 00:00:00", "1000-01-01 00:00:00", "9999-12-31 23:59:59.999"],
    "timestamp": ["1767003900", "1766966400", "1.001", "2147483647.999", "1767003900"],
    "text": TEXTS,
    "json": ["[]", "[]", '{"a":1}', '{"A":1}', '["paid"]'],
    "bytes": ["", "", "00", "00ff", "ff", "deadbeef"],
}
# Further values to compare with, as in a query string: those that no row can hold, or only in another spelling.
FURTHER: dict[Kind, list[str]] = {
    "integer": ["+5", "-0", str(2**63 - 1)],
    "unsigned": [str(2**64 - 1), str(2**63 - 1)],
    "boolean": ["true", "FALSE"],
    "decimal": ["0.005", "-1e-7", "1e19", "12345678901234567890.5", "598.940"],
    "float": ["-1e-3", "5"],
    "double": ["-1e-3", "5", "1e-400"],
    "date": ["0001-01-01"],
    "datetime": ["2025-12-29", "2025-12-29T11:25:00+01:00", "0001-01-01", "2025-12-29T10:25:00.000001"],
    "timestamp": ["2025-12-29", "1970-01-01T00:00:01.0010001Z"],
    "text": ["PA", "q", "Ü"],
    "json": ["[", "{", "PAID"],
    "bytes": ["/w==", "AP8A"],
}


def spelled(kind: Kind, value: str) -> str:
    """A value as the scraper reads it, in the spelling of a query string."""
    match kind:
        case "timestamp":
            return datetime.fromtimestamp(float(value), UTC).isoformat()
        case "bytes":
            return base64.b64encode(bytes.fromhex(value)).decode()
        case "boolean":
            return "true" if value == "1" else "false"
        case _:
            return value


def table(*, nulls: bool, values: bool) -> list[Row]:
    """Rows that hold each value of VALUES, NULLs between them, or NULLs alone."""
    size = 2 * max(map(len, VALUES.values()))

    def cell(kind: Kind, row: int) -> str | None:
        if nulls and (row % 3 == 2 or not values):
            return None
        return VALUES[kind][row % len(VALUES[kind])]

    return [{kind: cell(kind, row) for kind in ALL_KINDS} for row in range(size)]


TABLES = {
    "values and NULLs": table(nulls=True, values=True),
    "values alone": table(nulls=False, values=True),
    "NULLs alone": table(nulls=True, values=False),
    "no rows": [],
}


@pytest.fixture(scope="module", params=TABLES)
def contents(request: pytest.FixtureRequest) -> list[Row]:
    return TABLES[request.param]


@pytest.fixture(scope="module")
def oracle(contents: list[Row], tmp_path_factory: pytest.TempPathFactory) -> QueryOracle:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    key = Column(name="id", type="int", kind="integer", nullable=False, key=1)
    rows = [{"id": str(i), **row} for i, row in enumerate(contents)]
    publish(cache, rows, columns=(key, *COLUMNS), segments=3)
    snapshot = cache.snapshots.open()
    cache.close()
    return QueryOracle(snapshot)


def arguments(operator: Operator, kind: Kind) -> Iterator[str | tuple[str, ...]]:
    """What an operator is tried with on columns of a kind."""
    values = [*dict.fromkeys(spelled(kind, value) for value in VALUES[kind]), *FURTHER[kind]]
    match operator.takes:
        case "value":
            yield from values
        case "list":
            yield from [(), *((value,) for value in values), *pairwise(values), tuple(values)]
        case "text":
            yield from {text[start:stop] for text in values for start in range(2) for stop in (1, 2, 3, len(text))}
        case "flag":
            yield from ("true", "false")


def passes(operator: Operator, text: str | None, argument: str | tuple[str, ...]) -> bool:
    """Whether a text passes an operator that dictionary codes cannot answer. Written without the code under test."""
    if operator.name == "isnull":
        return (text is None) == (argument == "true")
    if text is None:
        return operator.name == "ne"
    if operator.name == "in":
        return text in argument
    assert isinstance(argument, str)
    match operator.name:
        case "eq" | "ne":
            return (text == argument) == (operator.name == "eq")
        case "contains":
            return lower(argument) in lower(text)
        case "startswith":
            return lower(text).startswith(lower(argument))
    raise AssertionError(f"add {operator.name} here")


def lower(text: str) -> str:
    """Lower case, one letter for each letter: Python makes two of U+0130."""
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


PAIRS = [(operator, kind) for operator in OPERATORS.values() for kind in ALL_KINDS]


@pytest.mark.parametrize(("operator", "kind"), PAIRS, ids=[f"{operator.name}-{kind}" for operator, kind in PAIRS])
def test_the_index_and_duckdb_agree(oracle: QueryOracle, contents: list[Row], operator: Operator, kind: Kind) -> None:
    for argument in arguments(operator, kind):
        query = Query((Condition(kind, operator.name, argument),))
        if kind not in operator.kinds:
            for index in oracle.indexes:
                with pytest.raises(BadFilter, match=f"{kind} does not support {operator.name}"):
                    index.supports(query)
        elif (kind == "json" and not oracle.empty) or compile_predicate(query.conditions[0], COLUMNS) is None:
            assert not any(index.supports(query) for index in oracle.indexes)
            passing = [row for row, cells in enumerate(contents) if passes(operator, cells[kind], argument)]
            assert oracle.expected(query) == passing
        else:
            oracle.agree(query, (1, 3))


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.name)
def test_each_operator_compiles_with_a_question_mark_for_each_parameter(operator: Operator) -> None:
    for kind in operator.kinds:
        for argument in arguments(operator, kind):
            clause, parameters = where([Condition(kind, operator.name, argument)], COLUMNS)
            assert clause.count("?") == len(parameters)


def test_the_type_of_names_lists_the_operators() -> None:
    assert get_args(Op) == tuple(OPERATORS)


def test_operators_are_listed_by_kind() -> None:
    assert operators_for("bytes") == ["eq", "ne", "in", "isnull"]
    assert operators_for("text") == list(OPERATORS)


def described(kinds: Sequence[Kind]) -> str:
    """Kinds of columns, in words."""
    missing = [kind for kind in ALL_KINDS if kind not in kinds]
    if not missing:
        return "all"
    return f"all but {', '.join(missing)}" if len(missing) < len(kinds) else ", ".join(kinds)


def test_the_api_page_has_a_row_for_each_operator() -> None:
    lines = API_PAGE.read_text(encoding="utf-8").splitlines()
    for operator in OPERATORS.values():
        assert f"| `{operator.name}` | {described(operator.kinds)} | {operator.description} |" in lines
