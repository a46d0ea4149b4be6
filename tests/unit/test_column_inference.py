"""Which kind the values of a column show, page by page."""

from __future__ import annotations

import pyarrow as pa
import pytest

from cache.schema import Column
from scraper.table.column_inference import ColumnInference
from scraper.table.table import Table

TEXT = Column(name="a", type="text", kind="text", nullable=True)
FLAG = Column(name="a", type="tinyint(1)", kind="boolean", nullable=True)


def inferred(column: Column, *pages: list[str | None]) -> Column:
    """The column as a manifest records it after a load of these pages."""
    inference = ColumnInference(Table("shop", "orders", (column,), ""), ())
    for page in pages:
        inference.observe(pa.table([pa.array(page, pa.string())], names=["c0"]))
    return inference.recorded()[0]


@pytest.mark.parametrize("empty", [None, "", " ", "\r\n\t", "null", " null ", '""', '"null"', "[]", '"[]"'])
def test_empty_values_keep_a_column_json(empty: str | None) -> None:
    for values in (['{"a": 1}', empty], [empty, '{"a": 1}']):
        for pages in ([values], [[value] for value in values]):
            column = inferred(TEXT, *pages)
            assert (column.kind, column.decided) == ("json", True)


@pytest.mark.parametrize("text", ["NULL", "Null", "0", "false", '" x "', "nullx", "words", "\u00a0"])
def test_any_other_value_makes_it_text(text: str) -> None:
    for values in ([text, '{"a": 1}'], ["", text], ["null", text, "[]"]):
        column = inferred(TEXT, values)
        assert (column.kind, column.decided, column.blank) == ("text", True, False)


@pytest.mark.parametrize(("page", "blank"), [([], False), ([None], False), (["", None], True), (["null"], True)])
def test_without_an_object_or_array_it_is_undecided_text(page: list[str | None], blank: bool) -> None:
    column = inferred(TEXT, page)
    assert (column.kind, column.decided, column.blank) == ("text", False, blank)


def test_a_later_load_decides_what_was_undecided() -> None:
    for page, kind in ((["[1]"], "json"), (["words"], "text")):
        former = inferred(TEXT, [""])
        inference = ColumnInference(Table("shop", "orders", (TEXT,), ""), [former])
        inference.observe(pa.table([pa.array(page, pa.string())], names=["c0"]))
        assert inference.recorded() == (TEXT.model_copy(update={"kind": kind}),)


@pytest.mark.parametrize(
    ("pages", "kind", "decided"),
    [
        ([["0", "1", None]], "boolean", True),
        ([[None], ["1"]], "boolean", True),
        ([["2"]], "integer", True),
        ([[None]], "integer", False),
    ],
)
def test_a_tinyint_of_0_and_1_is_boolean(pages: list[list[str | None]], kind: str, decided: bool) -> None:
    column = inferred(FLAG, *pages)
    assert (column.kind, column.decided) == (kind, decided)
