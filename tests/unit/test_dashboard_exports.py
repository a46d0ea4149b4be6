"""Download links: files of exactly the orders that a page shows, read back from the running dashboard."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx2
import openpyxl
import polars
import pyarrow.parquet as pq
import pytest
from cache_factory import Row, publish
from dashboard_process import Dashboard, dashboard
from long_cases import soak_but
from shop_factory import SHOP_COLUMNS, shop
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from cache.access.masking import Mask
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.export.order_selection import OrderSelection
from cache.query.filters import Condition, Sort
from cache.schema import Column
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from dashboard.auth.identity import Identity
from dashboard.auth.oidc import cookie_secret
from dashboard.web import downloads
from dashboard.web.downloads import Format, export_url

pytestmark = pytest.mark.slow

Link = Callable[..., str]
ZONE = "America/New_York"
ROWS = shop(700)
ROWS[5] |= {"note": '=HYPERLINK("http://evil.example")', "test": "0", "currency": "USD"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(
        tmp_path_factory.mktemp("exports"),
        SHOP_TIMEZONE=ZONE,
        DASHBOARD_PASSWORD="one",
        DASHBOARD_VIEWER_PASSWORD="two",
    ) as running:
        publish(running.cache, ROWS, columns=SHOP_COLUMNS)
        yield running


@pytest.fixture(scope="module")
def client(filled: Dashboard) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=filled.url, timeout=60) as signed_in:
        signed_in.post("/signin", data={"password": "one"})
        yield signed_in


@pytest.fixture(scope="module")
def orders(filled: Dashboard) -> Orders:
    return Orders(filled.cache.snapshots.open(), ZONE)


@pytest.fixture(scope="module")
def link(filled: Dashboard, client: httpx2.Client, orders: Orders) -> Link:
    """Makes links as the page of the client does."""
    identities, secret = filled.identities(), filled.cache.documents.read(API_KEYS).secret

    def made(
        selection: OrderSelection,
        format: Format = "csv",
        generation: int = orders.generation,
        fields: Sequence[str] = (),
    ) -> str:
        visitor = identities.identify(client.cookies)
        assert visitor
        return export_url(secret, visitor, generation, selection, format, fields)

    return made


def keys(text: str, column: str = "id") -> list[str]:
    return [row[column] for row in rows_of(text)]


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file, which begins as Excel knows UTF-8 by."""
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


def shown(orders: Orders, selection: OrderSelection) -> list[str]:
    """Keys of all orders that the page shows."""
    span = Span(*selection.span) if selection.span else None
    page = orders.page(span, selection.conditions, selection.search, 10**6, 0, selection.mask)
    return sorted(str(row["id"]) for row in page.rows)


EMAILS = sorted({row["email"] or "" for row in ROWS})
SKU = next(item["sku"] for row in ROWS for item in json.loads(row["line_items"] or "[]"))
USD, PAID = Condition("currency", "eq", "USD"), Condition("status", "in", ("paid",))
NOWHERE = Condition("country", "in", ("XX",))
YEAR = (datetime(2025, 11, 25), datetime(2026, 11, 25))


SELECTIONS = {
    "all": OrderSelection(timezone=ZONE),
    "period": OrderSelection(timezone=ZONE, span=YEAR, conditions=(USD,)),
    "country and status": OrderSelection(timezone=ZONE, conditions=(Condition("country", "in", ("US", "DE")), PAID)),
    "channel and discount": OrderSelection(
        timezone=ZONE, conditions=(Condition("channel", "in", ("web",)), Condition("discount", "ne", ""))
    ),
    "search": OrderSelection(timezone=ZONE, span=YEAR, search="SMITH"),
    "masked search": OrderSelection(timezone=ZONE, search=EMAILS[5], mask=Mask(("email",))),
    "search of a product": OrderSelection(timezone=ZONE, search=SKU.lower()),
    "product": OrderSelection(
        timezone=ZONE, span=YEAR, search="@", conditions=(USD, Condition("product", "in", (SKU, "none")))
    ),
    "refunded": OrderSelection(timezone=ZONE, conditions=(Condition("refunded", "in", ("yes",)),)),
    "none": OrderSelection(timezone=ZONE, conditions=(NOWHERE,)),
}


@pytest.mark.parametrize("name", soak_but(("period", "masked search", "product", "none"), SELECTIONS))
@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_file_holds_exactly_the_orders_that_are_shown(
    client: httpx2.Client, link: Link, orders: Orders, name: str
) -> None:
    selection = SELECTIONS[name]
    answer = client.get(link(selection))
    assert answer.status_code == 200, answer.text
    assert sorted(keys(answer.text)) == shown(orders, selection)
    assert bool(keys(answer.text)) == (NOWHERE not in selection.conditions and not selection.mask)


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_each_format_reads_back_with_the_values_of_the_table(client: httpx2.Client, link: Link, orders: Orders) -> None:
    selection = OrderSelection(timezone=ZONE, conditions=(USD,))
    wanted = shown(orders, selection)
    by_key = {row["id"]: row for row in ROWS}
    text = client.get(link(selection)).text
    texts = {row["id"]: row for row in rows_of(text)}
    assert all(texts[key]["total_price"] == by_key[key]["total_price"] for key in wanted)
    risky = [row["note"] for row in texts.values() if "HYPERLINK" in row["note"]]
    assert risky and all(note.startswith("'=") for note in risky)
    file = client.get(link(selection, "parquet")).content
    assert polars.read_parquet_metadata(io.BytesIO(file))["generation"] == "1"
    frame = polars.read_parquet(file)
    assert sorted(map(str, frame["id"])) == wanted
    assert frame.schema["total_price"] == polars.Decimal(12, 2)
    book = client.get(link(selection, "xlsx"))
    assert re.search(r'filename="orders-\d{4}-\d\d-\d\d\.xlsx"', book.headers["Content-Disposition"])
    header, *cells = openpyxl.load_workbook(io.BytesIO(book.content), read_only=True).active.values
    named = [dict(zip(header, row, strict=True)) for row in cells]
    assert sorted(str(row["id"]) for row in named) == wanted
    assert all(isinstance(row["created_at"], datetime) for row in named)


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_file_has_the_columns_and_the_order_that_are_chosen(client: httpx2.Client, link: Link) -> None:
    largest = Sort("total", descending=True)
    selection = OrderSelection(timezone=ZONE, conditions=(USD,), mask=Mask(("email",)), sort=largest)
    rows = rows_of(client.get(link(selection, fields=("total_price", "id", "email"))).text)
    assert list(rows[0]) == ["total_price", "id", "email"]
    assert {row["email"] for row in rows} == {"***"}
    totals = [Decimal(row["total_price"]) for row in rows]
    assert totals == sorted(totals, reverse=True)
    file = pq.ParquetFile(io.BytesIO(client.get(link(selection, "parquet")).content))
    assert [str(key) for key in file.read(["id"])[0].to_pylist()] == [row["id"] for row in rows]
    assert file.metadata.row_group(0).sorting_columns == ()  # by no column of the file


@pytest.mark.soak
def test_line_items_are_exported_a_row_for_each(client: httpx2.Client, link: Link, orders: Orders) -> None:
    selection = OrderSelection(timezone=ZONE, conditions=(USD, PAID), lines=True)
    wanted = set(shown(orders, selection))
    chosen = [row for row in ROWS if row["id"] in wanted]
    expected = [
        (
            row["name"],
            row["id"],
            item["sku"],
            item["title"],
            str(item["quantity"]),
            f"{Decimal(item['price']) * item['quantity']:.4f}",
        )
        for row in chosen
        for item in json.loads(row["line_items"] or "[]")
    ]
    answer = client.get(link(selection))
    lines = rows_of(answer.text)
    names = ("order", "order_key", "sku", "title", "quantity", "amount")
    assert [tuple(line[name] for name in names) for line in lines] == expected != []
    assert {line["currency"] for line in lines} == {"USD"}
    assert 'filename="order-lines-' in answer.headers["Content-Disposition"]
    frame = polars.read_parquet(client.get(link(selection, "parquet")).content)
    assert frame["quantity"].to_list() == [int(quantity) for *_, quantity, _ in expected]
    book = openpyxl.load_workbook(io.BytesIO(client.get(link(selection, "xlsx")).content), read_only=True)
    assert sum(1 for _ in book.active.values) == len(expected) + 1


@pytest.mark.soak
def test_what_is_hidden_is_in_no_file_of_line_items(client: httpx2.Client, link: Link) -> None:
    hidden = Mask(("name", "email"), ("line_items",))
    lines = rows_of(client.get(link(OrderSelection(timezone=ZONE, conditions=(USD,), lines=True, mask=hidden))).text)
    assert {line["order"] for line in lines} == {"***"}
    assert all(line["sku"] for line in lines)
    gone = OrderSelection(timezone=ZONE, conditions=(USD,), lines=True, mask=Mask(("line_items",)))
    assert rows_of(client.get(link(gone)).text) == []


@pytest.mark.soak
def test_a_table_with_a_row_per_line_item_exports_all_rows_of_its_orders(
    client: httpx2.Client, filled: Dashboard, tmp_path: Path
) -> None:
    names = ("Name", "Email", "Created at", "Currency", "Financial Status", "Lineitem name", "Lineitem quantity")
    columns = tuple(Column(name=n, type="text", kind="text", nullable=True, key=0) for n in names)
    made: Sequence[Row] = [
        dict(zip(names, row, strict=True))
        for row in (
            ("#1", "a@x.example", "2026-01-01 10:00:00 +0000", "USD", "paid", "Cup", "1"),
            ("#1", None, None, None, None, "Plate", "2"),
            ("#2", "b@x.example", "2026-01-02 10:00:00 +0000", "USD", "pending", "Cup", "1"),
        )
    ]
    with dashboard(tmp_path) as running:
        head = publish(running.cache, made, columns=columns, segments=1)
        secret = running.cache.documents.read(API_KEYS).secret
        sold = Condition("product", "in", ("Plate",))  # no SKU, so the title tells products apart
        for condition in (PAID, sold):
            selection = OrderSelection(timezone="UTC", conditions=(condition,))
            answer = httpx2.get(
                running.url + export_url(secret, Identity("operator"), head.generation, selection, "csv"), timeout=60
            )
            assert keys(answer.text, "Lineitem name") == ["Cup", "Plate"]


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_link_is_good_for_what_it_was_signed_for(client: httpx2.Client, link: Link) -> None:
    good = link(OrderSelection(timezone=ZONE, mask=Mask(("email",))))
    assert client.get(good).status_code == 200
    for changed in (good.replace("format=csv", "format=parquet"), good.replace("email", "note"), good[:-2], "/export"):
        assert client.get(changed).status_code == 403
    assert client.get(link(OrderSelection(timezone=ZONE), generation=999)).status_code == 410


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_link_lives_for_minutes(client: httpx2.Client, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(minutes: float) -> str:
        monkeypatch.setattr(downloads, "now", lambda: now() - timedelta(minutes=minutes))
        return link(OrderSelection(timezone=ZONE, conditions=(NOWHERE,)))

    assert [client.get(made(minutes)).status_code for minutes in (0, 9, 11)] == [200, 200, 403]


@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_a_link_is_good_for_its_session_alone(filled: Dashboard, client: httpx2.Client, link: Link) -> None:
    good = link(OrderSelection(timezone=ZONE, conditions=(NOWHERE,)))
    with httpx2.Client(base_url=filled.url) as other:
        assert other.get(good).status_code == 401
        for password in ("two", "one"):
            other.post("/signin", data={"password": password})
            assert other.get(good).status_code == 403
    assert client.get(good).status_code == 200
    filled.identities().end_session(client.cookies, everywhere=False)
    assert client.get(good).status_code == 401
    client.post("/signin", data={"password": "one"})  # for the other tests
    assert client.get(good).status_code == 403


PROVIDER = {
    "OIDC_METADATA_URL": "https://id.example/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "orders",
    "OIDC_CLIENT_SECRET": "s3cret",
    "DASHBOARD_URL": "https://orders.example",
}


@pytest.mark.soak
@pytest.mark.not_on("sub-path", why="cookies have the path in their names there")
def test_with_openid_connect_a_link_ends_with_the_access_of_its_maker(tmp_path: Path) -> None:
    def cookies(email: str) -> dict[str, str]:
        """As Streamlit sets them after a sign-in."""
        claims = json.dumps({"email": email, "email_verified": True, "nonce": email})
        return {USER_COOKIE_NAME: create_signed_value(cookie_secret(secret), USER_COOKIE_NAME, claims).decode()}

    with dashboard(tmp_path, **PROVIDER, DASHBOARD_OPERATORS="@example.com") as running:
        head = publish(running.cache, ROWS[:5], columns=SHOP_COLUMNS)
        secret = running.cache.documents.read(API_KEYS).secret
        ann, bob = cookies("ann@example.com"), cookies("bob@example.com")
        identities = running.identities()
        assert identities.identify(ann) is None  # no session yet
        for each in (ann, bob):
            identities.start_session(each)
        visitor = identities.identify(ann)
        assert visitor
        good = export_url(secret, visitor, head.generation, OrderSelection(timezone=ZONE), "csv")
        statuses = [httpx2.get(running.url + good, cookies=who).status_code for who in (ann, bob, {})]
        assert statuses == [200, 403, 401]
    for lists, status in (
        ({"DASHBOARD_OPERATORS": "bob@example.com"}, 401),
        ({"DASHBOARD_VIEWERS": "@example.com"}, 403),
    ):
        with dashboard(tmp_path, **PROVIDER, **lists) as running:
            assert httpx2.get(running.url + good, cookies=ann).status_code == status
