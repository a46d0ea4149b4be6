"""GET /maps/countries.json and /maps/states.json: the shapes that maps are drawn from, served by us."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

PATH = "/maps/{name}.json"
_FOLDER = Path(__file__).parent / "maps"
_NAMES = ("countries", "states")
_HEADERS = {"Cache-Control": "private, max-age=86400"}


async def get_map(request: Request) -> Response:
    """Answers with the shapes of a map, as TopoJSON."""
    name = request.path_params["name"]
    if name not in _NAMES:
        return PlainTextResponse("There is no such map.", 404)
    return FileResponse(_FOLDER / f"{name}.json", media_type="application/json", headers=_HEADERS)
