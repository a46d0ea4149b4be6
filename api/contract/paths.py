"""Other addresses of the API: a prefix under which every path stands too, and aliases of some paths."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "/v1"
ALIASES: Mapping[str, str] = {
    "/api/data": "/fetch-data",
    "/api/task/{id}": "/tasks/{id}",
    "/livez": "/health",
    "/readyz": "/ready",
}
_TASK, _TASKS = (path.removesuffix("{id}") for path in ("/api/task/{id}", ALIASES["/api/task/{id}"]))


def own_path(path: str) -> str:
    """The path of a request as the table of operations names it: without PREFIX, and not as an alias."""
    if path == PREFIX:
        return "/"
    if path.startswith(f"{PREFIX}/"):
        path = path.removeprefix(PREFIX)
    if path.startswith(_TASK) and len(path) > len(_TASK):
        return _TASKS + path.removeprefix(_TASK)
    return ALIASES.get(path, path)
