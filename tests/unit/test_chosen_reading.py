"""The reading in use is chosen once and stored; later data opens a question and changes nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cache_factory import cache_in, publish
from schema_corpus import FOLDER, Schema, load
from schema_orders import columns_of, in_key_order

from cache.interpretation.chosen_reading import forget_reading, reading_in_use
from cache.storage.documents import READING
from cache.storage.store import Cache
from cache.table_setup import NO_SETUP, Setup

pytestmark = pytest.mark.slow

Row = dict[str, str | None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Cache]:
    opened = cache_in(tmp_path)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def us_dates() -> Schema:
    return load(FOLDER / "us_dates")


def published(store: Cache, schema: Schema, rows: list[Row]) -> None:
    publish(store, rows, columns=columns_of(schema), segments=1)


def day_first(rows: list[Row]) -> list[Row]:
    """The rows with day and month of each date exchanged."""
    return [
        {**row, "order_date": "/".join(((row["order_date"] or "").split("/")[i]) for i in (1, 0, 2))} for row in rows
    ]


def test_the_first_reading_is_stored_and_stays(store: Cache, us_dates: Schema) -> None:
    rows = in_key_order(us_dates)
    published(store, us_dates, rows)
    first = reading_in_use(store, store.snapshots.open(), NO_SETUP)
    assert first.confirmed
    assert store.documents.read(READING).reading == first

    published(store, us_dates, day_first(rows))
    later = reading_in_use(store, store.snapshots.open(), NO_SETUP)
    assert later.instants == first.instants
    assert "changed" in later.questions and not later.confirmed

    forget_reading(store)
    anew = reading_in_use(store, store.snapshots.open(), NO_SETUP)
    assert anew.instants["order_date"] == "day_first" and anew.confirmed


def test_a_set_up_that_is_saved_starts_anew(store: Cache, us_dates: Schema) -> None:
    published(store, us_dates, in_key_order(us_dates))
    reading_in_use(store, store.snapshots.open(), NO_SETUP)
    chosen = Setup(instants={"order_date": "day_first"})
    assert reading_in_use(store, store.snapshots.open(), chosen).instants["order_date"] == "day_first"


def test_a_reading_that_was_never_confirmed_gives_way_to_one_that_is(store: Cache, us_dates: Schema) -> None:
    rows = in_key_order(us_dates)
    published(store, us_dates, rows[:20])
    assert not reading_in_use(store, store.snapshots.open(), NO_SETUP).confirmed
    published(store, us_dates, rows)
    assert reading_in_use(store, store.snapshots.open(), NO_SETUP).confirmed


def test_an_older_generation_stores_no_reading(store: Cache, us_dates: Schema) -> None:
    rows = in_key_order(us_dates)
    published(store, us_dates, rows)
    older = store.snapshots.open()
    published(store, us_dates, day_first(rows))
    reading_in_use(store, older, NO_SETUP)
    assert store.documents.read(READING).reading is None
