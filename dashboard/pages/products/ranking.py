"""All products, ranked, searched and paged, with their discounts and returns."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import cast

import streamlit as st

from cache.analytics.dimensions.catalogue import PRODUCT
from cache.analytics.metrics import METRICS
from cache.analytics.products import SORTS, Product, ProductPage, ProductSort, product_page
from cache.analytics.values import Absent
from dashboard import data
from dashboard.components.listing import existing_page, page_choice, page_number, search_box, sort_anew, sorted_by
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import says_why_it_fails
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import place
from dashboard.text.metrics import LARGE, change

ROWS = 50  # of a page
MAX_EXPORTED = 20_000  # of a file
USUAL_SORT = "-sales"
_FIELDS = {"discounts": "discounts", "returns": "returns", "net_sales": "net"}  # figure -> its name in Product


@st.fragment
@says_why_it_fails
def ranking(session: Session, selection: Selection) -> None:
    """Draws them."""
    with st.container(border=True):
        search = _head()
        all_products = replace(selection, conditions=data.without(PRODUCT, selection.conditions))
        draw_marks(session, all_products, "gross_sales", "units")
        sort = sorted_by(SORTS, USUAL_SORT)
        order = cast(ProductSort, sort.removeprefix("-")), sort.startswith("-")
        sold = data.sold_products(
            selection.orders, selection.span, selection.conditions, selection.compared_span, returns=selection.returns
        )
        rank = partial(product_page, selection.orders, sold, search, *order)
        page = rank(ROWS, (page_number() - 1) * ROWS)
        number = existing_page(page_number(), page.count, ROWS)
        if number != page_number():
            page = rank(ROWS, (number - 1) * ROWS)

        def whole() -> list[Line]:
            every = rank(MAX_EXPORTED)
            return [*(_line(selection, every, product) for product in every.products), _total(selection, every)]

        st.caption(_count(page, number, search, selection.currency))
        if not page.count:
            return
        lines = [*(_line(selection, page, product) for product in page.products), _total(selection, page)]
        picked = table(
            "Top products",
            _columns(page),
            lines,
            key="ranking",
            on_pick=partial(session.address.toggle, PRODUCT),
            on_sort=lambda column: sort_anew(column, sort, USUAL_SORT),
            sorted_by=sort,
            exported=whole,
        )
        page_choice(number, -(-page.count // ROWS), "products")
        if picked:
            st.rerun()  # the whole page


def _head() -> str:
    """Draws title and search. Returns the text to find."""
    with st.container(horizontal=True, vertical_alignment="center", key="products_head"):
        st.header(
            "Top products",
            anchor=False,
            width="stretch",
            help="Gross sales: price × quantity of line items. Discounts and returns: those that name a line item; "
            "those of a whole order belong to no product. Net sales: gross sales − discounts − returns − "
            "cancellations. Products are identified by SKU. Select one to filter by it.",
        )
        return search_box("Search products", "Product or SKU", 280)


def _count(page: ProductPage, number: int, search: str, currency: str) -> str:
    """Which products of how many there are, and what their shares are of."""
    if not page.count:
        return f"No product matches “{formatting.literal(search)}”." if search else "No products in this period."
    whole = formatting.literal(formatting.money(page.sales, currency, page.sales >= LARGE))
    shown = place(number, ROWS, len(page.products), page.count, "product")
    return f"{shown}. Shares are of the gross sales of all products, {whole}."


def _line(selection: Selection, page: ProductPage, product: Product) -> Line:
    text, _ = change(product.sales, product.before if selection.compared_span else Absent.NOT_REQUESTED)
    is_new = selection.compared_span is not None and not product.before and product.units > 0
    changed = text or ("new" if is_new else "–")
    cells: list[str | Cell] = [
        Cell(
            product.title or product.sku or "Unnamed",
            share=float(product.sales / (page.highest or 1)),
            more=" · ".join(filter(None, (product.sku, changed))),
        ),
        product.sku,
        f"{product.units:,}",
        f"{product.orders:,}",
        Cell(formatting.money(product.sales, selection.currency, product.sales >= LARGE), value=product.sales),
        *(_money(selection, getattr(product, _FIELDS[name])) for name in _deducted(page)),
        formatting.percent(product.sales / page.sales) if page.sales > 0 else "–",
        changed,
    ]
    return Line(cells, product.key or None, product.key in selection.view.product if product.key else None)


def _total(selection: Selection, page: ProductPage) -> Line:
    """The sums of all products. Orders have none, since one order may have several products."""
    sales = Cell(formatting.money(page.sales, selection.currency, page.sales >= LARGE), value=page.sales)
    others = [_money(selection, getattr(page, _FIELDS[name])) for name in _deducted(page)]
    share = formatting.percent(Decimal(1)) if page.sales > 0 else "–"
    return Line(["All products", "", f"{page.units:,}", "", sales, *others, share, ""], look="strong")


def _columns(page: ProductPage) -> list[Column]:
    return [
        Column("Product", sort="title"),
        Column("SKU", wide=True, sort="sku"),
        Column("Units", number=True, sort="units"),
        Column("Orders", number=True, wide=True, sort="orders"),
        Column("Gross sales", number=True, sort="sales"),
        *(Column(METRICS[name].label, True, True, _FIELDS[name]) for name in _deducted(page)),
        Column("Share", number=True, wide=True),
        Column("Change", number=True, wide=True, sort="change"),
    ]


def _deducted(page: ProductPage) -> list[str]:
    """What is shown beside gross sales: nothing where no discount and no return names a line item."""
    told = [name for name in ("discounts", "returns") if getattr(page, _FIELDS[name])]
    return [*told, "net_sales"] if told else []


def _money(selection: Selection, amount: Decimal) -> Cell:
    return Cell(formatting.money(amount, selection.currency, abs(amount) >= LARGE), value=amount)
