"""What the eye sees: nothing is cut off or jumps, texts have contrast, and a phone shows all that a desk does.

And what leaves a page: on paper, by the clipboard and as a file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from cache_factory import publish
from dashboard_axe import settled
from dashboard_page import at_rest, new_tab, visit
from dashboard_process import Dashboard, dashboard
from long_cases import soak_but
from playwright.sync_api import Browser, Locator, Page, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import worker

from cache.saved.views import SavedView
from cache.storage.documents import VIEWS
from cache.storage.records import Progress, Run, now

PATHS = ("", "explore", "what-changed", "orders", "products", "customers", "taxes", "views", "data", "api", "set-up")
PARTS = (
    "products?show=together",
    "products?show=first",
    "products?show=stopped",
    "customers?show=value",
    "customers?show=segments",
)
COLOURED = ("?status=paid", "explore?by=channel&by=status", "?explain=total_sales")
SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => list.getEntries().forEach(entry => window.shifts += entry.value))
    .observe({type: "layout-shift", buffered: true});
"""
# The texts of a page, also those of components, whose contrast with what is behind them is below that of WCAG 2.2 AA.
PALE = """
() => {
    const found = [];
    const channels = text => { // of any colour, as sRGB and alpha
        const place = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
        place.fillStyle = text;
        place.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = place.getImageData(0, 0, 1, 1).data;
        return a ? [r, g, b, a / 255] : [0, 0, 0, 0];
    };
    const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
    const light = colour => {
        const [r, g, b] = colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const parent = node => node.assignedSlot || node.parentElement || node.getRootNode().host;
    const behind = node => { // what is painted behind the texts of an element
        if (!node) return [255, 255, 255];
        const own = channels(getComputedStyle(node).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : over(own, behind(parent(node)));
    };
    const opacity = node => node ? getComputedStyle(node).opacity * opacity(parent(node)) : 1;
    const look = root => {
        for (const node of root.querySelectorAll("*")) {
            if (node.shadowRoot) look(node.shadowRoot);
            const text = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
            const style = getComputedStyle(node);
            const box = node.getBoundingClientRect();
            const left = "[inert], [disabled], style, script, template, noscript, [data-testid=stIconMaterial], " +
                "[data-stale=true]"; // is being drawn again
            if (!text || box.width < 2 || style.visibility !== "visible" || node.closest(left)) continue;
            const ground = behind(node);
            const ink = channels(node.closest("svg") ? style.fill : style.color);
            const shown = over([...ink.slice(0, 3), ink[3] * opacity(node)], ground);
            const [low, high] = [light(shown), light(ground)].sort((a, b) => a - b);
            const size = parseFloat(style.fontSize);
            const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
            const ratio = (high + 0.05) / (low + 0.05);
            if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${text.slice(0, 40)}`);
        }
    };
    look(document);
    return found;
}
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("looks")) as running:
        publish(running.cache, shop(600), columns=SHOP_COLUMNS)
        view = SavedView(id="1", name="Paid", page="orders", query="status=paid", pinned=True, saved_at=now())
        running.cache.documents.change(VIEWS, lambda views: views.save(view))
        yield running


def drawn(page: Page) -> None:
    """Waits until all of the page is drawn."""
    settled(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


@pytest.mark.parametrize("width", soak_but((1440, 390), (1440, 720, 390)))
@pytest.mark.parametrize("path", soak_but(("",), [*PATHS, *PARTS, "explore?by=channel"]))
def test_nothing_jumps_while_a_page_loads(browser: Browser, filled: Dashboard, path: str, width: int) -> None:
    """By the measure of https://web.dev/articles/cls, where 0.1 is good."""
    page = new_tab(browser, width)
    page.set_viewport_size({"width": width, "height": 844 if width == 390 else 900})
    page.add_init_script(SHIFTS)
    page.goto(f"{filled.url}/{path}")
    drawn(page)
    assert page.evaluate("window.shifts") < 0.1


@pytest.mark.soak
def test_a_refresh_does_not_move_the_page(browser: Browser, filled: Dashboard) -> None:
    with worker(filled.cache):
        page = visit(browser, f"{filled.url}/?period=all")
        drawn(page)
        expect(page.get_by_text("This data is not refreshed")).to_have_count(0)
        cards = page.get_by_role("list", name="Main figures")
        before = cards.bounding_box()
        run = Run(trigger="request")
        filled.cache.runs.begin(run)
        filled.cache.runs.report(run.model_copy(update={"progress": Progress(phase="rows", done=1, total=2)}))
        bar = page.get_by_role("progressbar")
        expect(bar).to_be_visible()
        assert cards.bounding_box() == before
        assert "Copying orders" in page.locator(".st-key-progress").inner_text()
        filled.cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
        expect(bar).to_have_count(0)
        assert cards.bounding_box() == before


@pytest.mark.parametrize("width", soak_but((390,), (720, 390)))
def test_title_and_refresh_are_not_cut_off(browser: Browser, filled: Dashboard, width: int) -> None:
    """720 pixels are a desk of 1440 at a zoom of 200 %."""
    page = visit(browser, f"{filled.url}/?period=all", width)
    for wanted in (page.get_by_role("heading", level=1), page.get_by_role("button", name="Refresh", exact=True)):
        top = wanted.evaluate(
            """node => {
                const box = node.getBoundingClientRect();
                const middle = box.left + box.width / 2;
                const points = [box.top + 2, box.bottom - 2].map(y => document.elementFromPoint(middle, y));
                return points.every(point => node.contains(point) || point.contains(node));
            }"""
        )
        assert top


@pytest.mark.parametrize("scheme", soak_but(("dark",), ("light", "dark")))
@pytest.mark.parametrize("path", soak_but(("?status=paid",), [*PATHS, *PARTS, *COLOURED]))
def test_texts_have_the_contrast_of_wcag_aa(
    browser: Browser, filled: Dashboard, path: str, scheme: Literal["light", "dark"]
) -> None:
    page = new_tab(browser)
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{filled.url}/{path}")
    drawn(page)
    assert page.evaluate(PALE) == []


def test_a_phone_reaches_every_column_and_every_filter(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/customers?period=all", 390)
    last = page.get_by_role("table", name="Retention by cohort").get_by_role("columnheader", name="+11")
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport(ratio=1)
    page.get_by_role("region", name="Retention by cohort").focus()
    returns = page.get_by_role("button", name="Returns: by date of refund")
    expect(returns).not_to_be_in_viewport()
    page.get_by_text("All filters").click()
    expect(returns).to_be_in_viewport()
    page.get_by_role("link", name="Products", exact=True).evaluate("link => link.click()")
    first = page.get_by_role("table", name="Top products").get_by_role("row").nth(1)
    expect(first.locator(".more")).to_have_text(re.compile(r"^[A-Z]{3}-\d+ · (–|new|[-+]?[\d,.]+%)$"))
    page.get_by_role("link", name="Orders", exact=True).evaluate("link => link.click()")
    payment = page.get_by_role("table", name="Orders", exact=True).get_by_role("row").nth(1).get_by_role("cell").nth(1)
    expect(payment.locator(".more")).to_have_text(re.compile("ulfilled|Restocked"))
    at_rest(page)


def test_a_printed_page_has_a_head_in_words_and_nothing_to_click(browser: Browser, filled: Dashboard) -> None:
    page = new_tab(browser)
    page.emulate_media(color_scheme="dark")
    page.goto(f"{filled.url}/?period=all&status=paid")
    drawn(page)
    page.emulate_media(media="print")
    head = page.locator(".st-key-report_head")
    expect(head).to_contain_text("All time")
    expect(head).to_contain_text("Currency: USD · Payment: Paid")
    expect(head).to_contain_text(re.compile(r"Data of \d+ \w+ \d+, \d\d:\d\d \(UTC\), verified"))
    assert not page.locator(".st-key-chips_place").is_visible()  # nor is its space kept
    assert not page.get_by_role("alert").filter(visible=True).count()
    for hidden in ("stSidebar", "stPopover", "stButton"):
        assert not [each for each in page.get_by_test_id(hidden).all() if each.is_visible()]
    boxes = [each.bounding_box() for each in page.get_by_role("table").all() if each.is_visible()]
    assert len(boxes) > 5
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a and b and overlap(a, b)]
    title = page.get_by_role("heading", level=1).evaluate("node => getComputedStyle(node).color")
    assert title == "rgb(27, 36, 32)"  # ink, also in the dark theme
    assert page.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") in range(2, 6)


def overlap(a: dict[str, float], b: dict[str, float]) -> bool:
    return all(a[at] < b[at] + b[size] and b[at] < a[at] + a[size] for at, size in (("x", "width"), ("y", "height")))


def test_a_table_is_exported_whole_with_the_columns_chosen(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/products?period=all")
    page.get_by_label("Export Top products").click()
    expect(page.get_by_text("1–50 of")).to_be_visible()
    listed = int(re.findall(r"of ([\d,]+) products", page.get_by_test_id("stMain").inner_text())[0].replace(",", ""))
    page.get_by_role("checkbox", name="SKU").uncheck()
    at_rest(page)
    with page.expect_download() as begun:
        page.get_by_role("button", name="CSV").click()
    text = Path(begun.value.path()).read_text(encoding="utf-8-sig")
    header, *rows, total = csv.reader(io.StringIO(text))
    assert header == ["Product", "Units", "Orders", "Gross sales", "Share", "Change"]
    assert len(rows) == listed > 50
    assert sum(Decimal(row[3]) for row in rows) == Decimal(total[3])


def test_copied_figures_are_numbers(browser: Browser, filled: Dashboard) -> None:
    page = visit(browser, f"{filled.url}/?period=all")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    first = page.get_by_role("table", name="How total sales adds up").get_by_role("row").nth(1)
    assert re.fullmatch(r"Gross sales\t\d+(\.\d+)?\t", copied(page, first))
    value = page.get_by_role("button", name=re.compile("^Total sales: ")).first
    assert re.fullmatch(r"\d+(\.\d+)?", copied(page, value))
    card = page.get_by_role("listitem").filter(has=value)
    assert re.match(r"Total sales\t\d+(\.\d+)?$", copied(page, card))
    all_text = copied(page, page.get_by_test_id("stMain")).splitlines()
    assert {"Total sales", "Over time"} <= {*all_text}  # as it is, since it is more than cards
    rows = "const [first, second] = document.querySelectorAll('.cards')"
    page.evaluate(f"() => {{ {rows}; getSelection().setBaseAndExtent(first, 0, second, 4); }}")
    page.keyboard.press("Control+c")
    two_rows = str(page.evaluate("navigator.clipboard.readText()")).splitlines()
    assert [line.count("\t") for line in two_rows] == [1] * 8


def test_a_copied_table_runs_nothing_in_a_spreadsheet(browser: Browser, tmp_path: Path) -> None:
    rows = [{**row, "customer_name": "=1+1", "currency": "USD"} for row in shop(20)]
    with dashboard(tmp_path) as running:
        publish(running.cache, rows, columns=SHOP_COLUMNS)
        page = visit(browser, f"{running.url}/customers?period=all")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.get_by_label("Export Top customers").click()
        page.get_by_role("button", name="Copy", exact=True).last.click()
        expect(page.get_by_text(re.compile("rows are copied"))).to_be_visible()
        header, *lines = str(page.evaluate("navigator.clipboard.readText()")).splitlines()
    assert header.split("\t")[0] == "Customer"
    assert {line.split("\t")[0] for line in lines} == {"'=1+1"}
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", line.split("\t")[-1]) for line in lines)


def copied(page: Page, wanted: Locator) -> str:
    """What the clipboard has after an element was selected and copied."""
    select = "range.selectNodeContents(node); getSelection().removeAllRanges(); getSelection().addRange(range)"
    wanted.evaluate(f"node => {{ const range = document.createRange(); {select}; }}")
    page.keyboard.press("Control+c")
    return str(page.evaluate("navigator.clipboard.readText()"))
