"""One client of the API, as its users call it: `python_clients.py CLIENT ADDRESS KEY`. Prints what it got as JSON.

It runs in the environment of the clients, without anything of the project.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

_, CLIENT, API, KEY = sys.argv
HEADERS = {"X-API-Key": KEY}
CSV = f"{API}/fetch-data?format=csv"
NDJSON = f"{API}/fetch-data?format=ndjson"
PARQUET = f"{API}/fetch-data?format=parquet"
STREAM = f"{API}/fetch-data?stream=true&rows=chunked"
Result = dict[str, Any]


def names_of(rows: list[dict[str, Any]]) -> list[str]:
    return [row["customer_name"] for row in rows]


def of_events(events: list[Any]) -> Result:
    """Parameters: the JSON of each event, in order."""
    parsed = [json.loads(event) for event in events]
    rows = [row for event in parsed if event["type"] == "rows" for row in event["payload"]["data"]]
    return {"names": names_of(rows), "events": [event["type"] for event in parsed]}


def signed(address: str) -> str:
    """The address for a client that sends no headers of ours."""
    import requests

    asked = requests.post(f"{API}/sign", headers=HEADERS, json={"path": address.removeprefix(API)}, timeout=60)
    return API + asked.json()["address"]


def requests() -> Result:
    import requests

    lines = requests.get(CSV, headers=HEADERS, timeout=60).text.splitlines()
    rows = requests.get(f"{API}/fetch-data", headers=HEADERS, timeout=60).json()["data"]
    assert len(lines) > len(rows)
    with requests.get(STREAM, headers=HEADERS, stream=True, timeout=60) as stream:
        found = list(stream.iter_lines(chunk_size=65536, decode_unicode=True))
    streamed = of_events([line[6:] for line in found if line.startswith("data: ")])
    assert streamed["names"] == names_of(rows)
    return streamed


def of_httpx(client: Any) -> Result:
    rows = client.get(f"{API}/fetch-data", headers=HEADERS).json()["data"]
    with client.stream("GET", NDJSON, headers=HEADERS) as answer:
        assert [json.loads(line) for line in answer.iter_lines()] == rows
    return {"names": names_of(rows)}


def httpx() -> Result:
    import httpx

    return of_httpx(httpx)


def httpx2() -> Result:
    import httpx2

    return of_httpx(httpx2)


def aiohttp() -> Result:
    import aiohttp

    async def run() -> Result:
        async with aiohttp.ClientSession(headers=HEADERS) as session:
            async with session.get(f"{API}/fetch-data") as answer:
                rows = (await answer.json())["data"]
            async with session.get(STREAM) as answer:
                lines = [line async for line in answer.content]
        streamed = of_events([line[6:] for line in lines if line.startswith(b"data: ")])
        assert streamed["names"] == names_of(rows)
        return streamed

    return asyncio.run(run())


def httpx_sse() -> Result:
    import httpx
    from httpx_sse import connect_sse

    with httpx.Client(headers=HEADERS) as client, connect_sse(client, "GET", STREAM) as source:
        return of_events([event.data for event in source.iter_sse()])


def sseclient_py() -> Result:
    import requests
    from sseclient import SSEClient

    with requests.get(STREAM, headers=HEADERS, stream=True, timeout=60) as stream:
        return of_events([event.data for event in SSEClient(stream).events()])


def aiohttp_sse_client() -> Result:
    from aiohttp_sse_client.client import EventSource

    async def run() -> Result:
        found = []
        async with EventSource(STREAM, headers=HEADERS) as source:
            async for event in source:
                found.append(event.data)
                if json.loads(event.data)["type"] == "done":
                    break
        return of_events(found)

    return asyncio.run(run())


def pandas() -> Result:
    import pandas

    names = [
        list(pandas.read_csv(CSV, storage_options=HEADERS)["customer_name"]),
        list(pandas.read_json(NDJSON, lines=True, storage_options=HEADERS)["customer_name"]),
        list(pandas.read_parquet(PARQUET, storage_options=HEADERS)["customer_name"]),
    ]
    assert names[0] == names[1] == names[2]
    return {"names": names[0]}


def polars() -> Result:
    import polars

    frames = [polars.read_csv(signed(CSV)), polars.read_parquet(signed(PARQUET)), polars.read_ndjson(signed(NDJSON))]
    names = [frame["customer_name"].to_list() for frame in frames]
    assert names[0] == names[1] == names[2]
    return {"names": names[0]}


def polars_lazy() -> Result:
    import polars

    scans = (polars.scan_csv(signed(CSV)), polars.scan_ndjson(signed(NDJSON)), polars.scan_parquet(signed(PARQUET)))
    names = [scan.select("customer_name").collect()["customer_name"].to_list() for scan in scans]
    assert names[0] == names[1] == names[2]
    return {"names": names[0]}


def duckdb() -> Result:
    import duckdb
    import duckdb_extension_httpfs

    folder = duckdb_extension_httpfs.__path__[0]
    with duckdb.connect() as database:
        database.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/httpfs.duckdb_extension'")
        database.execute(f"CREATE SECRET (TYPE http, EXTRA_HTTP_HEADERS MAP {{'X-API-Key': '{KEY}'}})")
        queries = (f"read_csv('{CSV}')", f"read_json('{NDJSON}')", f"read_parquet('{PARQUET}')")
        found = [database.execute(f"SELECT customer_name FROM {query} ORDER BY id").fetchall() for query in queries]
    assert found[0] == found[1] == found[2]
    return {"names": [name for (name,) in found[0]]}


def pyarrow() -> Result:
    import fsspec
    import pyarrow.dataset
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    files = PyFileSystem(FSSpecHandler(fsspec.filesystem("http", client_kwargs={"headers": HEADERS})))
    found = pyarrow.dataset.dataset(PARQUET, filesystem=files, format="parquet").to_table()
    return {"names": found["customer_name"].to_pylist()}


def fsspec() -> Result:
    import fsspec

    with fsspec.open(NDJSON, "rt", encoding="utf-8", client_kwargs={"headers": HEADERS}) as file:
        return {"names": names_of([json.loads(line) for line in file])}


def generated() -> Result:
    """What openapi-python-client made of the description. It sends all defaults."""
    from phpmyadmin_orders_client import AuthenticatedClient
    from phpmyadmin_orders_client.api.default import get_changes, get_health, get_rows, get_status
    from phpmyadmin_orders_client.models import GetRowsFilters

    with AuthenticatedClient(f"{API}/v1", KEY) as client:
        rows = get_rows.sync(client=client)
        paid = get_rows.sync(client=client, filters=GetRowsFilters.from_dict({"financial_status": "paid"}))
        page = get_rows.sync(client=client, limit=2)
        following = get_rows.sync(client=client, limit=2, after=page.next_)
        assert {row.financial_status for row in paid.data} == {"paid"}
        assert following.data == rows.data[2:4]
        assert get_status.sync(client=client).api_status == "online"
        assert get_health.sync(client=client).status == "healthy"
        assert get_changes.sync(client=client, since=str(rows.generation)).updated == []
    return {"names": [row.customer_name for row in rows.data]}


CLIENTS: dict[str, tuple[Callable[[], Result], str]] = {
    "requests": (requests, "requests"),
    "httpx": (httpx, "httpx"),
    "httpx2": (httpx2, "httpx2"),
    "aiohttp": (aiohttp, "aiohttp"),
    "httpx-sse": (httpx_sse, "httpx-sse"),
    "sseclient-py": (sseclient_py, "sseclient-py"),
    "aiohttp-sse-client": (aiohttp_sse_client, "aiohttp-sse-client"),
    "pandas": (pandas, "pandas"),
    "polars": (polars, "polars"),
    "polars, lazy": (polars_lazy, "polars"),
    "duckdb": (duckdb, "duckdb-extension-httpfs"),
    "pyarrow": (pyarrow, "pyarrow"),
    "fsspec": (fsspec, "fsspec"),
    "openapi-python-client": (generated, "openapi-python-client"),
}

if __name__ == "__main__":
    run, package = CLIENTS[CLIENT]
    print(json.dumps({**run(), "version": version(package)}))
