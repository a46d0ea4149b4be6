"""The parameters that say how CSV is written, of every path that gives CSV."""

from __future__ import annotations

from typing import Any

from api.contract.errors import ParameterInvalid
from api.contract.queries.parameters import Parameter, choice, flag
from cache.export.row_format import CsvStyle

PARAMETERS: tuple[Parameter, ...] = (
    choice(
        "formulas",
        ("keep", "defuse"),
        "`defuse` puts an apostrophe before CSV cells that a spreadsheet would run as a formula.",
        "defuse",
        "keep",
    ),
    flag("bom", "Begins CSV with a byte order mark: Excel then reads it as UTF-8."),
    choice("delimiter", (",", ";"), "What stands between the cells of CSV.", ";", ","),
    choice(
        "decimal",
        (".", ","),
        "The decimal sign of numbers in CSV. A number with a comma is quoted where the comma is the delimiter.",
        ",",
        ".",
    ),
)


def take_csv_style(values: dict[str, Any]) -> CsvStyle:
    """Takes the parameters of CSV out of the values of a request.

    Args:
        values: The values of the parameters that are given.

    Raises:
        ParameterInvalid: Another format than CSV is asked for, and would ignore a parameter.
    """
    given = {parameter.name: values.pop(parameter.name) for parameter in PARAMETERS if parameter.name in values}
    changed = [each.name for each in PARAMETERS if given.get(each.name, each.default) != each.default]
    if changed and values.get("format") != "csv":
        raise ParameterInvalid(f"Parameter '{changed[0]}' is for CSV.", "Send format=csv with it, or leave it out.")
    return CsvStyle(given.pop("formulas", "keep") == "defuse", **given) if changed else PLAIN_CSV


PLAIN_CSV = CsvStyle()
