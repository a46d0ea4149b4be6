"""The client in examples/ keeps a copy that is the table, wherever it is stopped and started again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cache_factory import COLUMNS, as_json, order, publish
from sidecar_process import KEY, Sidecar, sidecar

from examples.client import Copy, Refused


def rows(copy: Copy) -> list[dict[str, Any]]:
    found = [json.loads(row) for (row,) in copy.database.execute("SELECT row FROM rows")]
    return sorted(found, key=lambda row: int(row["id"]))


@pytest.fixture
def api(here: Path) -> Iterator[Sidecar]:
    with sidecar(here) as running:
        yield running


@pytest.fixture
def copy(api: Sidecar) -> Iterator[Copy]:
    copy = Copy(":memory:", api.url, KEY, page=2)
    with closing(copy.database):
        yield copy


def test_it_works(api: Sidecar, copy: Copy) -> None:
    publish(api.cache, 7)
    copy.catch_up()
    assert rows(copy) == [as_json(i) for i in range(7)]

    publish(api.cache, [{**order(i), "note": "new"} if i == 4 else order(i) for i in range(2, 9)])
    copy.catch_up()
    assert rows(copy) == [{**as_json(i), "note": "new"} if i == 4 else as_json(i) for i in range(2, 9)]


def test_rows_are_loaded_anew_where_changes_are_gone_and_stay_until_then(api: Sidecar, copy: Copy) -> None:
    publish(api.cache, 5)
    copy.catch_up()
    publish(api.cache, [{c.name: order(i)[c.name] for c in COLUMNS[:-1]} for i in range(6)], columns=COLUMNS[:-1])

    lengths = []
    while copy.step():
        lengths.append(len(rows(copy)))

    assert lengths[:3] == [5, 5, 5]
    expected = [as_json(i) for i in range(6)]
    for row in expected:
        del row["test"]
    assert rows(copy) == expected


def test_a_load_whose_generation_is_not_kept_any_more_begins_again(api: Sidecar, copy: Copy) -> None:
    publish(api.cache, 5)
    copy.step()
    page_of_generation_9 = "AAAAAAAAAAkAAAAAAAAAAgAAAAAAAAAA"
    copy.database.execute("UPDATE state SET value = ? WHERE name = 'after'", (page_of_generation_9,))

    copy.catch_up()

    assert rows(copy) == [as_json(i) for i in range(5)]


def test_errors_are_told_in_the_words_of_the_api(api: Sidecar, copy: Copy) -> None:
    with pytest.raises(Refused, match="No cached data available") as raised:
        copy.catch_up()
    assert raised.value.status == 503
    publish(api.cache, 2, columns=[column.model_copy(update={"key": 0}) for column in COLUMNS])
    with pytest.raises(Refused, match="has no key"):
        copy.catch_up()
