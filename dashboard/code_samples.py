"""The current view as a request to the API: curl, Python and JavaScript."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from cache.analytics.dimensions.catalogue import DIMENSIONS, FILTER_ONLY, PLACED_AT
from cache.query.filters import Condition
from dashboard.selection import Selection

Parameters = list[tuple[str, str]]

_KEY = "ORDERS_API_KEY"


def request_parameters(selection: Selection) -> tuple[Parameters, list[str]]:
    """The parameters of `/fetch-data` that give the orders of a page.

    The API cannot filter by country and product, which are inside JSON columns, nor by an empty value, nor by dates
    that are in several columns or are written in another way than ISO 8601.

    Args:
        selection: The orders of the page.

    Returns:
        The parameters, and the filters that they do not contain.
    """
    roles = selection.orders.roles
    parameters: Parameters = []
    unsupported: list[str] = []
    if selection.span and _dates_are_plain(selection):
        name, zone = roles["created_at"].name, ZoneInfo(selection.orders.timezone)
        start, end = selection.span
        parameters += [(f"{name}__gte", _utc(start, zone)), (f"{name}__lt", _utc(end, zone))]
    elif selection.span:
        unsupported.append("date")
    for condition in selection.conditions:
        if condition.column in FILTER_ONLY:
            continue
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        role = next((each.role for name, each in DIMENSIONS.items() if name == condition.column), "")
        if role not in roles:
            unsupported += [condition.column] if condition.column in selection.view.filters() else []
        elif "" in values:
            unsupported.append(condition.column)
        else:
            parameters.append((f"{roles[role].name}__in", ",".join(map(_quoted, values))))
    for condition in _of_ranges(selection):
        dimension = FILTER_ONLY[condition.column]
        column = roles.get(dimension.role)
        is_plain = dimension.id != PLACED_AT or _dates_are_plain(selection)
        if column and column.kind in ("decimal", "datetime", "timestamp") and is_plain:
            parameters.append((f"{column.name}__{condition.op}", str(condition.value)))
        else:
            unsupported.append(dimension.noun)
    counted = selection.orders.reading.counted
    if "test" in roles and "test" not in counted and roles["test"].kind != "text":
        parameters.append((roles["test"].name, "false" if roles["test"].kind == "boolean" else "0"))
    cancelled = roles.get("cancelled_at")
    if selection.orders.cancelled_orders == "excluded" and cancelled and cancelled.kind != "text":
        parameters.append((f"{cancelled.name}__isnull", "true"))
    return parameters, list(dict.fromkeys(unsupported))


def events_query(selection: Selection, metric: str) -> str | None:
    """The query string of `/figures/events` for a figure of a page; None for a period that the API does not take.

    Args:
        selection: The orders of the page.
        metric: The figure.
    """
    view = selection.view
    if view.hour is not None:
        return None
    parameters: Parameters = [("metric", metric)]
    if selection.span:
        parameters.append(("period", view.period))
    if view.start and view.end:
        parameters += [("from", view.start.isoformat()), ("to", view.end.isoformat())]
    if selection.currency:
        parameters.append(("currency", selection.currency))
    if selection.orders.rates:
        parameters.append(("convert", "true"))
    if view.returns != "returned":
        parameters.append(("returns", view.returns))
    parameters += [(f"{name}__in", ",".join(map(_quoted, values))) for name, values in view.filters().items()]
    parameters += [(f"{column}__{op}", str(value)) for column, op, value in _of_ranges(selection)]
    return urlencode(parameters)


def _of_ranges(selection: Selection) -> list[Condition]:
    """The conditions of the page that come from ranges."""
    return [condition for condition in selection.conditions if condition.column in FILTER_ONLY]


def _dates_are_plain(selection: Selection) -> bool:
    """Whether one column holds the dates of all orders as instants."""
    column = selection.orders.roles.get("created_at")
    plain = column is not None and column.kind in ("datetime", "timestamp", "date")
    return plain and not selection.orders.reading.fallbacks


def curl(address: str, parameters: Parameters) -> str:
    """The request as a command for a shell. `address` is that of the API."""
    lines = [f'curl --get --compressed -H "X-API-Key: ${_KEY}" \\', f"  {address}/fetch-data"]
    for name, value in parameters:
        lines[-1] += " \\"
        lines.append(f"  --data-urlencode {_shell(f'{name}={value}')}")
    return "\n".join(lines)


def python(address: str, parameters: Parameters) -> str:
    """The request as a Python program. `address` is that of the API."""
    items = "".join(f"        {name!r}: {value!r},\n" for name, value in parameters)
    return (
        f"import os\n\nimport httpx2\n\nresponse = httpx2.get(\n    {address + '/fetch-data'!r},\n"
        f"    params={{\n{items}    }},\n    headers={{'X-API-Key': os.environ[{_KEY!r}]}},\n)\n"
        "response.raise_for_status()\norders = response.json()['data']"
    )


def javascript(address: str, parameters: Parameters) -> str:
    """The request as a program for Node.js. `address` is that of the API."""
    query = urlencode(parameters)
    return (
        f"const response = await fetch({json.dumps(f'{address}/fetch-data?{query}')}, {{\n"
        f'  headers: {{ "X-API-Key": process.env.{_KEY} }},\n}});\n'
        "if (!response.ok) throw new Error((await response.json()).message);\n"
        "const { data } = await response.json();"
    )


def _utc(local: datetime, zone: ZoneInfo) -> str:
    return local.replace(tzinfo=zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quoted(value: str) -> str:
    """A value in a list; one with a comma or a quote stands in double quotes."""
    return '"' + value.replace('"', '""') + '"' if {",", '"'} & set(value) else value


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
