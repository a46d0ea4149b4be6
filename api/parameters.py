"""Query parameters, parsed strictly: what is not known is refused by name. Names that begin with `_` are ignored
(clients add them against caches)."""

from __future__ import annotations

from starlette.requests import Request

from api.errors import ParameterInvalid

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def flags(request: Request, *known: str) -> dict[str, bool]:
    """The values of the known true-or-false parameters; false where one is not given.

    Raises ParameterInvalid, which names the parameter and what is taken.
    """
    values = dict.fromkeys(known, False)
    given: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name.startswith("_"):
            continue
        if name not in known:
            taken = " and ".join(known) if known else "no parameters"
            raise ParameterInvalid(f"Unknown parameter '{name[:50]}'.", f"{request.url.path} takes {taken}.")
        if name in given or value.lower() not in _FLAGS:
            raise ParameterInvalid(f"Parameter '{name}' does not parse.", "It takes true or false, once.")
        given.add(name)
        values[name] = _FLAGS[value.lower()]
    return values
