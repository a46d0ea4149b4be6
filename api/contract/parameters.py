"""Query parameters. One table says what each is and takes: requests are parsed by it, strictly, and the description of
the API is made from it. What is not known is refused by name. Names that begin with `_` are ignored (clients add them
against caches).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request

from api.contract.errors import ParameterInvalid

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an endpoint.

    `read` turns the text into a value, or raises ValueError; `takes` says in words what it accepts, and `schema` in
    JSON Schema. `default` is the value where the parameter is not given. One that `repeats` may be given several times,
    and its value is the tuple of all. A `required` one must be given.
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


_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def flag(name: str, description: str, default: bool = False) -> Parameter:
    example = str(not default).lower()
    return Parameter(name, _flag, "true or false", {"type": "boolean"}, description, example, default)


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError
    return _FLAGS[text.lower()]


def whole(name: str, description: str, example: str, default: int | None = None) -> Parameter:
    schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    return Parameter(name, _whole, "a whole number from 0 on", schema, description, example, default)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError
    return int(text)


def choice(name: str, choices: Sequence[str], description: str, example: str, default: str | None = None) -> Parameter:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    takes = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Parameter(name, read, takes, {"type": "string", "enum": list(choices)}, description, example, default)


def text(name: str, takes: str, description: str, example: str) -> Parameter:
    return Parameter(name, _text, takes, {"type": "string"}, description, example)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


_NAMES = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def names(name: str, description: str, example: str) -> Parameter:
    """Columns with commas between them."""
    takes = "names of columns with commas between them, one that holds a comma in double quotes"
    return Parameter(name, listed, takes, _NAMES, description, example, ())


def repeated(name: str, takes: str, description: str, example: str) -> Parameter:
    """A text that may be given several times."""
    return Parameter(name, _text, takes, _NAMES, description, example, (), repeats=True)


_ITEM = re.compile(r'"(?:[^"]|"")*"|(?:[^,"][^,]*)?')


def listed(text: str) -> tuple[str, ...]:
    """Texts with commas between them; one that holds a comma stands in double quotes, a quote within is doubled.

    Raises ValueError where a quote is not closed.
    """
    items: list[str] = []
    at = 0
    while True:
        found = _ITEM.match(text, at)
        assert found  # it matches nothing, too
        item, at = found[0], found.end()
        items.append(item[1:-1].replace('""', '"') if item.startswith('"') else item)
        if at == len(text):
            return tuple(items)
        if text[at] != ",":
            raise ValueError
        at += 1


def pairs(query: bytes) -> Pairs:
    """Names and values of a query string, in order. Raises ParameterInvalid where they are not UTF-8."""
    try:
        parts = [part.partition("=") for part in query.decode().split("&") if part]
        if b"%" in query or b"+" in query:
            return [(_decoded(name), _decoded(value)) for name, _, value in parts]
    except UnicodeDecodeError:
        raise ParameterInvalid("The query of the address is not UTF-8.", "Percent-encode its UTF-8 bytes.") from None
    return [(name, value) for name, _, value in parts]


def _decoded(raw: str) -> str:
    return unquote_to_bytes(raw.replace("+", " ")).decode()


def parse(given: Pairs, known: Mapping[str, Parameter]) -> tuple[dict[str, Any], Pairs]:
    """The values of the known parameters that were given, and the pairs that are none of them.

    Raises ParameterInvalid, which names the parameter and what is taken.
    """
    values: dict[str, Any] = {}
    others: Pairs = []
    for name, value in given:
        parameter = known.get(name)
        if parameter is None:
            others.append((name, value))
            continue
        once = name not in values
        if not (once or parameter.repeats):
            raise ParameterInvalid(f"Parameter '{name}' is given twice.", f"It takes {parameter.takes}, once.")
        try:
            read = parameter.read(value)
        except ValueError:
            raise ParameterInvalid(f"Parameter '{name}' does not parse.", f"It takes {parameter.takes}.") from None
        if parameter.repeats:
            values[name] = (*values.get(name, ()), read)
        else:
            values[name] = read
    return values, others


def unknown(name: str, path: str, takes: str) -> ParameterInvalid:
    return ParameterInvalid(f"Unknown parameter '{name[:50]}'.", f"{path} takes {takes}.")


def parameters(request: Request, *known: Parameter) -> dict[str, Any]:
    """The value of each known parameter of a request, given or by default. Raises ParameterInvalid."""
    values, others = parse(pairs(request.scope["query_string"]), {parameter.name: parameter for parameter in known})
    for name, _ in others:
        if not name.startswith("_"):
            taken = " and ".join(parameter.name for parameter in known) or "no parameters"
            raise unknown(name, request.url.path, taken)
    for parameter in known:
        if parameter.required and parameter.name not in values:
            raise ParameterInvalid(f"Parameter '{parameter.name}' is missing.", f"It takes {parameter.takes}.")
    return {parameter.name: parameter.default for parameter in known} | values
