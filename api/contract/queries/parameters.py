"""Query parameters.

A table says what each parameter is and accepts. Requests are parsed by it, and OpenAPI is made from it. Unknown
parameters are refused by name. Cache busters (cache/access/cache_busters.py) are ignored, unless they are names of
columns.

Clients write lists as `facet=a&facet=b`, as `facet[]=a&facet[]=b` (axios), and as `facet[0]=a&facet[1]=b` (PHP).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import unquote_to_bytes

from api.contract.errors import ParameterInvalid
from api.contract.queries.request_limits import MAX_COLUMNS, MAX_PARAMETERS
from cache.access.cache_busters import is_cache_buster
from cache.query.operators import OPERATORS
from cache.query.values import FLAGS

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an endpoint.

    Attributes:
        name: Its name.
        read: Turns the text into a value, or raises ValueError.
        takes: What it accepts, in words.
        schema: The same in JSON Schema.
        description: What it does.
        example: A value, as in a query string.
        default: The value if the parameter is not given.
        repeats: Whether it may be given several times. Then its value is a tuple.
        required: Whether it must be given.
    """

    name: str
    read: Callable[[str], Any]
    takes: str
    schema: Mapping[str, Any]
    description: str
    example: str
    default: Any = None
    repeats: bool = False
    required: bool = False


_FLAGS = {"": True} | FLAGS


def flag(name: str, description: str, default: bool = False) -> Parameter:
    """A parameter that is true or false."""
    example = str(not default).lower()
    return Parameter(name, _flag, "true or false", {"type": "boolean"}, description, example, default)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError
    return _FLAGS[text.lower()]


def whole_number(name: str, description: str, example: str, default: int | None = None) -> Parameter:
    """A parameter that is a whole number, 0 or more."""
    schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    return Parameter(name, _whole, "a whole number, 0 or more", schema, description, example, default)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError
    return int(text)


def choice(name: str, choices: Sequence[str], description: str, example: str, default: str | None = None) -> Parameter:
    """A parameter that is one of several words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    takes = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Parameter(name, read, takes, {"type": "string", "enum": list(choices)}, description, example, default)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_COLUMNS, "uniqueItems": True}


def names(name: str, description: str, example: str) -> Parameter:
    """A parameter that is a list of columns."""
    takes = (
        f"names of columns, separated by commas, each once, at most {MAX_COLUMNS}; a name with a comma in double quotes"
    )
    return Parameter(name, split_list, takes, _NAMES, description, example, ())


def repeated(name: str, takes: str, description: str, example: str) -> Parameter:
    """A parameter that is a text and may be given several times."""
    return Parameter(name, _text, takes, _NAMES, description, example, (), repeats=True)


_ARRAY = re.compile(r"\[\d{0,3}\]$")
_ITEM = re.compile(r'"(?:[^"]|"")*"|(?:[^,"][^,]*)?')


def split_list(text: str) -> tuple[str, ...]:
    """Splits a list at its commas.

    An item with a comma is in double quotes. A double quote in such an item is doubled.

    Raises:
        ValueError: A quote is not closed.
    """
    if '"' not in text:
        return tuple(text.split(","))
    items: list[str] = []
    at = 0
    while True:
        match = _ITEM.match(text, at)
        assert match  # the pattern also matches nothing
        item, at = match[0], match.end()
        items.append(item[1:-1].replace('""', '"') if item.startswith('"') else item)
        if at == len(text):
            return tuple(items)
        if text[at] != ",":
            raise ValueError
        at += 1


def split_query(query: bytes) -> Pairs:
    """Splits a query string into names and values, in order.

    Raises:
        ParameterInvalid: They are not UTF-8, or too many.
    """
    if query.count(b"&") >= MAX_PARAMETERS:
        raise ParameterInvalid(f"There are more than {MAX_PARAMETERS} parameters.", "Send several requests.")
    try:
        parts = [part.partition("=") for part in query.decode().split("&") if part]
        if b"%" in query or b"+" in query:
            return [(_decoded(name), _decoded(value)) for name, _, value in parts]
    except UnicodeDecodeError:
        raise ParameterInvalid("The query string is not UTF-8.", "Percent-encode its UTF-8 bytes.") from None
    return [(name, value) for name, _, value in parts]


def _decoded(raw: str) -> str:
    return unquote_to_bytes(raw.replace("+", " ")).decode()


def parse(pairs: Pairs, known: Mapping[str, Parameter]) -> tuple[dict[str, Any], Pairs]:
    """Reads parameters.

    Args:
        pairs: Names and values of a query string.
        known: The parameters of the endpoint, by name.

    Returns:
        The values of the known parameters that are given, and the pairs that are none of them.

    Raises:
        ParameterInvalid: It names the parameter and what that accepts.
    """
    values: dict[str, Any] = {}
    others: Pairs = []
    for name, text in _with_arrays(pairs, known):
        parameter = known.get(name)
        if parameter is None:
            others.append((name, text))
            continue
        if name in values and not parameter.repeats:
            raise ParameterInvalid(f"Parameter '{name}' is given twice.", f"It takes {parameter.takes}, once.")
        try:
            value = parameter.read(text)
        except ValueError:
            raise does_not_parse(parameter) from None
        values[name] = (*values.get(name, ()), value) if parameter.repeats else value
        if "uniqueItems" in parameter.schema:
            check_names(parameter, values[name])
    return values, others


def _with_arrays(pairs: Pairs, known: Mapping[str, Parameter]) -> Pairs:
    """The pairs, with each array `NAME[]=a&NAME[]=b` as the one list that NAME takes. A number may be in the brackets.

    An array can stand for a parameter that is a list, and for a filter `COLUMN__in`.
    """
    if not any(name.endswith("]") for name, _ in pairs):
        return pairs
    named = [(_ARRAY.sub("", name), name, text) for name, text in pairs]
    arrays: dict[str, list[str]] = {}
    for base, name, text in named:
        if base != name:
            arrays.setdefault(base, []).append(text)
    joined: Pairs = []
    for base, name, text in named:
        parameter = known.get(base)
        is_list = base.endswith("__in") or (parameter is not None and parameter.schema["type"] == "array")
        if base == name or not is_list:
            joined.append((name, text))
        elif parameter is not None and parameter.repeats:
            joined.append((base, text))
        elif items := arrays.pop(base, None):
            joined.append((base, ",".join(map(_list_item, items))))
    return joined


def _list_item(text: str) -> str:
    """A text as an item of a list, as `split_list` reads it."""
    return '"' + text.replace('"', '""') + '"' if "," in text or text.startswith('"') else text


def check_names(parameter: Parameter, names: Sequence[str]) -> None:
    """Checks that a list has no name twice, and not too many.

    Raises:
        ParameterInvalid: It has.
    """
    most = parameter.schema["maxItems"]
    if len(names) > most:
        raise ParameterInvalid(f"Parameter '{parameter.name}' has {len(names)} names.", f"It takes {most} at most.")
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ParameterInvalid(f"Parameter '{parameter.name}' names '{name[:50]}' twice.", "Name each once.")


def does_not_parse(parameter: Parameter) -> ParameterInvalid:
    """The error for a value that a parameter does not accept."""
    return ParameterInvalid(f"Parameter '{parameter.name}' does not parse.", f"It takes {parameter.takes}.")


def unknown_parameter(name: str, path: str, takes: str, known: Collection[str]) -> ParameterInvalid:
    """The error for a parameter that the endpoint does not have.

    Args:
        name: The parameter.
        path: The endpoint.
        takes: The parameters that it has, in words.
        known: Their names, to find what may be meant.
    """
    hint = _filter_meant(name, known) or did_you_mean(name, known)
    return ParameterInvalid(f"Unknown parameter '{name[:50]}'.", f"{hint}{path} takes {takes}.")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A question that names the known name nearest to a name, with a blank behind it; empty if none is near."""
    nearest = get_close_matches(name[:50], known, 1)
    return f"Did you mean '{nearest[0]}'? " if nearest else ""


def _filter_meant(name: str, known: Collection[str]) -> str:
    """The same for a filter `COLUMN__OP`."""
    column, separator, op = name[:50].rpartition("__")
    columns, operators = get_close_matches(column, known, 1), get_close_matches(op, OPERATORS, 1)
    return f"Did you mean '{columns[0]}__{operators[0]}'? " if separator and columns and operators else ""


def read_parameters(query: bytes, path: str, *known: Parameter) -> dict[str, Any]:
    """Reads the parameters of a request, strictly.

    Args:
        query: The query string.
        path: The path of the endpoint, for the error message.
        known: The parameters of the endpoint.

    Returns:
        The value of each known parameter, given or by default.

    Raises:
        ParameterInvalid: It names the parameter and what is accepted.
    """
    values, others = parse(split_query(query), {parameter.name: parameter for parameter in known})
    takes = [parameter.name for parameter in known]
    for name, _ in others:
        if not is_cache_buster(name):
            raise unknown_parameter(name, path, " and ".join(takes) or "no parameters", takes)
    for parameter in known:
        if parameter.required and parameter.name not in values:
            raise ParameterInvalid(f"Parameter '{parameter.name}' is missing.", f"It takes {parameter.takes}.")
    return {parameter.name: parameter.default for parameter in known} | values
