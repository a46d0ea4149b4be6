"""Amounts in several currencies become one total: each event at the rate of its own day, rounded, then added."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from cache_factory import cache_in, publish
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.conversion import rounded_product
from cache.analytics.exchange_rates import ExchangeRates, RatesFile
from cache.analytics.fact_tables import AMOUNTS
from cache.analytics.orders import Orders
from cache.analytics.products import product_page, sold_products
from cache.errors import SettingsInvalid
from cache.interpretation.money_sql import REVERSED_AMOUNTS
from cache.settings import Settings
from cache.storage.snapshot import Snapshot

pytestmark = pytest.mark.slow

SHOP_END = datetime(2025, 11, 20, 15, tzinfo=UTC)
FIRST = date(2023, 6, 1)  # half a year of orders is before it
PLACED = (
    *("id", "name", "currency", "total_price", "subtotal_price", "total_discounts"),
    *("processed_at", "cancelled_at", "refunds"),
)


def rates(*lines: str, currency: str = "EUR") -> ExchangeRates:
    return ExchangeRates(currency=currency, text="\n".join(["date,currency,rate", *lines]))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    cache = cache_in(tmp_path_factory.mktemp("cache"))
    publish(cache, shop(400, SHOP_END), columns=SHOP_COLUMNS, segments=3)
    yield cache.snapshots.open()
    cache.close()


@pytest.fixture(scope="module")
def orders(snapshot: Snapshot) -> Iterator[Orders]:
    opened = Orders(snapshot, "America/Los_Angeles")
    yield opened
    opened.close()


def written(snapshot_folder: Path, *rows: dict[str, str | None]) -> Orders:
    """Orders of a table with only these columns."""
    columns = tuple(column for column in SHOP_COLUMNS if column.name in PLACED)
    usual = {"cancelled_at": None, "refunds": "[]"}
    numbered = [{**usual, **row, "id": str(i), "name": f"#{i}"} for i, row in enumerate(rows)]
    cache = cache_in(snapshot_folder)
    publish(cache, [{column.name: row[column.name] for column in columns} for row in numbered], columns=columns)
    return Orders(cache.snapshots.open(), "UTC")


def placed(day: str, currency: str, total: str, **others: str) -> dict[str, str | None]:
    return {
        "processed_at": f"{day} 12:00:00",
        "currency": currency,
        "total_price": total,
        "subtotal_price": total,
        "total_discounts": "0.00",
        **others,
    }


def test_each_event_counts_at_the_rate_of_its_own_day(tmp_path: Path) -> None:
    refund = '[{"id": 1, "created_at": "2026-03-05T09:00:00Z", "amount": "50.00"}]'
    table = written(
        tmp_path,
        placed("2026-03-01", "USD", "100.00", refunds=refund),
        placed("2026-03-02", "USD", "0.01"),  # 0.009: rounded up
        placed("2026-03-04", "USD", "10.00", cancelled_at="2026-03-06 01:00:00"),
        placed("2026-03-04", "EUR", "7.00"),
        placed("2026-02-28", "USD", "1000.00"),  # before the first rate
        placed("2026-03-04", "CHF", "1000.00"),  # no rate at all
    )
    converted = table.converted(rates("2026-03-01,USD,0.90", "2026-03-03,USD,0.80", "2026-03-05,USD,0.70"))
    figures = converted.figures(None)
    assert figures.orders == 4
    assert figures.charged == Decimal("90.00") + Decimal("0.01") + Decimal("8.00") + Decimal("7.00")
    assert figures.returns == Decimal("35.00")  # 50.00 at 0.70
    assert figures.cancellations == Decimal("7.00")  # 10.00 at 0.70, the newest rate
    assert converted.currencies() == [("EUR", 4)]
    assert converted.facts.without_rate == {"CHF": 1, "USD": 1}


def test_by_date_of_order_the_same_amounts_stand_in_other_periods(orders: Orders) -> None:
    converted = orders.converted(random_rates())
    assert converted.figures(None, returns="ordered") == converted.figures(None, returns="returned")


@pytest.mark.parametrize(("currency", "cents"), [("JPY", "1"), ("KWD", "0.001")])
def test_amounts_are_rounded_to_the_decimals_of_the_currency(tmp_path: Path, currency: str, cents: str) -> None:
    table = written(tmp_path, *[placed("2026-03-01", "USD", "1.00")] * 3)
    half = Decimal(cents) / 2
    converted = table.converted(rates(f"2026-01-01,USD,{half}", currency=currency))
    assert converted.figures(None).charged == 3 * Decimal(cents)


def random_rates() -> ExchangeRates:
    """Rates of all currencies but one, on some days from FIRST on."""
    rng = random.Random(17)
    days = sorted(rng.sample([FIRST + timedelta(i) for i in range(1000)], 300))
    lines = [f"{day},{code},{rng.uniform(0.001, 2):.10f}" for day in [FIRST, *days] for code in ("USD", "GBP", "JPY")]
    return rates(*lines)


def test_sums_are_those_of_converted_and_rounded_events(orders: Orders) -> None:
    """Compared with the same conversion in Python, event by event, over the months of the shop."""
    chosen = random_rates()
    by_currency: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for day, currency, value in chosen.rates:
        by_currency[currency][day] = value

    def rate(currency: str, at: datetime) -> Decimal | None:
        if currency == "EUR":
            return Decimal(1)
        earlier = [day for day in by_currency[currency] if day <= at.date()]
        return by_currency[currency][max(earlier)] if earlier else None

    def cents(amount: Decimal | None, value: Decimal) -> Decimal:
        return ((amount or Decimal(0)) * value).quantize(Decimal("0.01"), ROUND_HALF_UP)

    sums: dict[tuple[int, int], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    known: dict[object, Decimal] = {}
    currencies: dict[object, str] = {}
    for row in orders.facts.dictionaries(f"SELECT * FROM {orders.facts.orders}"):
        currencies[row["key"]] = row["currency"]
        if value := rate(row["currency"], row["local"]):
            known[row["key"]] = value
            month = sums[row["local"].year, row["local"].month]
            month["orders"] += 1
            for name in AMOUNTS:
                month[name] += cents(row[name], value)
    for row in orders.facts.dictionaries(f"SELECT * FROM {orders.facts.reversals}"):
        if row["key"] in known:
            value = rate(currencies[row["key"]], row["local"]) or known[row["key"]]
            month = sums[row["local"].year, row["local"].month]
            for name in REVERSED_AMOUNTS:
                month[name] += cents(row[name], value)

    converted = orders.converted(chosen)
    months = {(group.at.year, group.at.month): group.figures for group in converted.groups((), "month") if group.at}
    assert months.keys() == {month for month, values in sums.items() if any(values.values())}
    for month, figures in months.items():
        wanted = sums[month]
        assert figures.orders == wanted["orders"]
        assert figures.gross_sales == wanted["gross"]
        assert figures.discounts == wanted["discounts"]
        assert figures.returns == wanted["returns"]
        assert figures.cancellations == wanted["cancellations"]
        assert figures.shipping == wanted["shipping"]
        assert figures.taxes == wanted["tax"]
        assert figures.charged == wanted["charged"]
    assert sum(converted.facts.without_rate.values()) == len(currencies) - len(known) > 0


def test_products_of_amount_and_rate_are_exact_also_near_halves() -> None:
    rng = random.Random(3)
    amounts = [Decimal(rng.randrange(-(10**top), 10**top)).scaleb(-4) for top in (5, 7, 9, 17) for _ in range(2000)]
    values = [Decimal(rng.randrange(1, 10**top)).scaleb(-12) for top in (9, 12, 13, 17) for _ in range(2000)]
    halves = [(Decimal(2 * i + 1) / 100, Decimal("0.5")) for i in range(500)]
    barely = [(Decimal(2 * i + 1) / 100, Decimal("0.499999999999")) for i in range(500)]
    pairs = [*zip(amounts, rng.sample(values, len(values)), strict=True), *halves, *barely]
    pairs = [(amount, value) for amount, value in pairs if abs(amount * value) < 10**13]
    with duckdb.connect() as database:
        rows = "SELECT unnest(?::DECIMAL(18, 4)[]) AS amount, unnest(?::DECIMAL(18, 12)[]) AS rate"
        products = database.execute(
            f"SELECT {rounded_product('amount', 2)} FROM ({rows})", [*zip(*pairs, strict=True)]
        ).fetchall()
    expected = [(amount * value).quantize(Decimal("0.01"), ROUND_HALF_UP) for amount, value in pairs]
    assert [product for (product,) in products] == expected


def test_products_are_converted_at_the_rates_of_their_orders(tmp_path: Path, orders: Orders) -> None:
    constant = rates(*(f"2000-01-01,{code},2" for code, _ in orders.currencies() if code != "EUR"))
    sold: dict[str, Decimal] = defaultdict(Decimal)
    for code, _ in orders.currencies():
        lines = f"SELECT * FROM {orders.facts.lines} JOIN {orders.facts.orders} USING (key) WHERE currency = '{code}'"
        for line in orders.facts.dictionaries(lines):
            sold[line["sku"]] += line["amount"] * (1 if code == "EUR" else 2)
    converted = orders.converted(constant)
    ranked = product_page(converted, sold_products(converted, None), limit=10_000).products
    assert {product.sku: product.sales for product in ranked} == pytest.approx(sold, abs=Decimal("0.5"))


def test_orders_themselves_stay_in_their_currencies(orders: Orders) -> None:
    converted = orders.converted(random_rates())
    assert converted.page(None) == orders.page(None)
    assert converted.left_out == orders.left_out


def test_only_the_newest_rates_keep_their_tables(snapshot: Snapshot) -> None:
    opened = Orders(snapshot, "UTC")
    count = "SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'converted_orders%'"
    figures = [opened.converted(rates(f"2020-01-01,USD,{value}")).figures(None) for value in (1, 2, 3, 1)]
    assert opened.facts.query(count) == [(2,)]
    assert figures[0] == figures[3] != figures[2]
    opened.close()


def test_converted_tables_are_freed_with_those_they_come_from(snapshot: Snapshot) -> None:
    opened = Orders(snapshot, "UTC")
    opened.converted(random_rates())
    opened.close()
    count = "SELECT (SELECT count(*) FROM duckdb_tables()) + (SELECT count(*) FROM duckdb_views() WHERE NOT internal)"
    assert opened.facts.query(count) == [(0,)]


# -- the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the file has no rates"),
        ("date,currency,rate\n", "line 1: the file has no rates"),
        ("day,currency,rate\n2026-01-01,USD,1\n", "line 1: the header is not date,currency,rate"),
        ("date,currency,rate\n2026-01-01,USD,0.9\n01/02/2026,USD,0.9\n", "line 3: the date is not"),
        ("date,currency,rate\n2026-02-30,USD,0.9\n", "line 2: the date is not"),
        ("date,currency,rate\n2026-01-01,US$,0.9\n", "line 2: the currency is not"),
        ("date,currency,rate\n2026-01-01,USD,zero\n", "line 2: the rate is not"),
        ("date,currency,rate\n2026-01-01,USD,0\n", "line 2: the rate is not"),
        ("date,currency,rate\n2026-01-01,USD,NaN\n", "line 2: the rate is not"),
        ("date,currency,rate\n2026-01-01,USD,1e6\n", "line 2: the rate is not"),
        ("date,currency,rate\n2026-01-01,USD,0,92\n", "line 2: it has 4 values instead of 3"),
        ('date,currency,rate\n2026-01-01,USD,"0.9\n', "line 2: it is not CSV"),
        ("date,currency,rate\n2026-01-01,EUR,1.1\n", "line 2: the rate of EUR, the main currency, is not 1"),
        (
            "date,currency,rate\n2026-01-01,USD,0.9\n\n2026-01-01,usd,0.8\n",
            "line 4: USD has a second rate for 2026-01-01",
        ),
    ],
)
def test_a_file_that_does_not_parse_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsInvalid, match=f"RATES_FILE, {message}") as refused:
        RatesFile.of(Settings(rates_file=path, shop_currency="EUR"))
    assert "such as 2026-01-31,USD,0.92: the value of 1 USD in EUR on that day" in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["missing", "no text"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "rates.csv").write_bytes(content)
    with pytest.raises(SettingsInvalid, match="RATES_FILE names a file that cannot be read"):
        RatesFile.of(Settings(rates_file=tmp_path / "rates.csv", shop_currency="EUR"))


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("\ufeffDate, Currency, Rate\r\n2026-01-01, usd, 0.9123456789012345\r\n", "utf-8")
    rates_file = RatesFile.of(Settings(rates_file=path, shop_currency="EUR"))
    assert rates_file
    first = rates_file.read()
    assert first is rates_file.read()
    assert first.rates == ((date(2026, 1, 1), "USD", Decimal("0.912345678901")),)
    path.write_text("date,currency,rate\n2026-01-01,USD,0.91\n2026-01-02,USD,0.92\n", "utf-8")
    second = rates_file.read()
    assert second.version != first.version
    assert (second.newest("USD"), second.newest("GBP")) == ((date(2026, 1, 2), "USD", Decimal("0.92")), None)


def test_rates_need_the_currency_that_they_are_in(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"RATES_FILE .*needs SHOP_CURRENCY"):
        Settings.load(rates_file="rates.csv", shop_currency=None)
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-01-01,EUR,1\n")
    rates_file = RatesFile.of(Settings.load(rates_file=tmp_path / "rates.csv", shop_currency=" eur"))
    assert rates_file and rates_file.currency == "EUR"
