"""The current view as a request to the API: curl, Python and JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from cache.analytics.dimensions import DimensionId
from dashboard.frame import Shown

_ROLES: Mapping[DimensionId, str] = {
    "currency": "currency", "status": "financial_status", "fulfilment": "fulfillment_status", "channel": "channel",
    "discount": "discount_code",
}  # fmt: skip
_KEY = "SHOPIFY_API_KEY"


def request(shown: Shown) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters of `/fetch-data` that give the orders of a view, and the filters that it cannot say.

    The country stands inside the address and a product inside the line items, which the API does not filter by; a
    text with an empty value is no filter.
    """
    roles = shown.orders.reading.roles
    found: list[tuple[str, str]] = []
    left: list[str] = []
    if shown.span and "created_at" in roles:
        name, zone = roles["created_at"].name, ZoneInfo(shown.orders.timezone)
        found += [(f"{name}__gte", _utc(shown.span.start, zone)), (f"{name}__lt", _utc(shown.span.end, zone))]
    for condition in shown.conditions:
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        role = _ROLES.get(condition.column, "")  # type: ignore[call-overload]
        if role not in roles:
            left += [condition.column] if condition.column in shown.view.filters() else []
        elif "" in values:
            left.append(condition.column)
        else:
            found.append((f"{roles[role].name}__in", ",".join(map(_listed, values))))
    if "test" in roles and roles["test"].kind != "text":
        found.append((roles["test"].name, "false" if roles["test"].kind == "boolean" else "0"))
    return found, left


def curl(address: str, parameters: list[tuple[str, str]]) -> str:
    lines = [f'curl --get --compressed -H "X-API-Key: ${_KEY}" \\', f"  {address}/fetch-data"]
    for name, value in parameters:
        lines[-1] += " \\"
        lines.append(f"  --data-urlencode {_shell(f'{name}={value}')}")
    return "\n".join(lines)


def python(address: str, parameters: list[tuple[str, str]]) -> str:
    listed = "".join(f"    {name!r}: {value!r},\n" for name, value in parameters)
    return (
        f"import os\n\nimport httpx\n\nanswer = httpx.get(\n    {address + '/fetch-data'!r},\n"
        f"    params={{\n{_indented(listed)}    }},\n    headers={{'X-API-Key': os.environ[{_KEY!r}]}},\n)\n"
        "answer.raise_for_status()\norders = answer.json()['data']"
    )


def javascript(address: str, parameters: list[tuple[str, str]]) -> str:
    query = urlencode(parameters)
    return (
        f"const answer = await fetch({json.dumps(f'{address}/fetch-data?{query}')}, {{\n"
        f'  headers: {{ "X-API-Key": process.env.{_KEY} }},\n}});\n'
        "if (!answer.ok) throw new Error((await answer.json()).message);\nconst { data } = await answer.json();"
    )


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.splitlines())


def _utc(local: datetime, zone: ZoneInfo) -> str:
    return local.replace(tzinfo=zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed(value: str) -> str:
    """A value among others; one with a comma stands in double quotes."""
    return '"' + value.replace('"', '""') + '"' if {",", '"'} & set(value) else value


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
