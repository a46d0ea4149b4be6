"""Saved views: whose they are, who sees and changes them, and what the pages say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_run import backend_of, captions, components, links, run, shown_text, table
from shop_factory import SHOP_COLUMNS, shop
from stores import FileStore, PostgreSQLStore, Store
from streamlit.testing.v1 import AppTest

from cache.errors import CacheError, NotSaved
from cache.query.filters import Condition
from cache.saved import views as saved_views
from cache.saved.views import MAX_NAME, MAX_VIEWS, SavedView, SavedViews, checked_name
from cache.storage.documents import DOCUMENTS, VIEWS
from cache.storage.records import now
from dashboard.auth.access import Visitor
from dashboard.auth.identity import Identity
from dashboard.auth.passwords import VisitorRole
from dashboard.backend import Backend
from dashboard.pages import PAGES
from dashboard.saved.visitor_views import VisitorViews
from dashboard.session import Session

JANE, JOHN = "jane@example.com", "john@example.com"


def view(name: str, owner: str | None = JANE, page: str = "overview", query: str = "period=all") -> SavedView:
    return SavedView(id=f"{name} of {owner}", name=name, page=page, query=query, owner=owner, saved_at=now())


# -- the list of views


def test_each_sees_shared_views_and_own_ones_by_name() -> None:
    views = SavedViews().save(view("b")).save(view("C", None)).save(view("a", JOHN)).save(view("A"))
    assert [each.name for each in views.seen_by(JANE)] == ["A", "b", "C"]
    assert views.find("a of john@example.com", JANE) is None


def test_a_name_is_given_once_by_an_account_and_once_for_everyone() -> None:
    views = SavedViews().save(view("Weekly")).save(view("Weekly", None)).save(view("Weekly", JOHN))
    assert len(views.views) == 3
    with pytest.raises(NotSaved, match="There is a view “Weekly” already"):
        views.save(view("weekly").model_copy(update={"id": "other"}))


def test_a_view_that_is_saved_again_keeps_its_place() -> None:
    views = SavedViews().save(view("a")).save(view("b"))
    changed = views.views[0].model_copy(update={"name": "z", "pinned": True})
    assert [each.name for each in views.save(changed).views] == ["z", "b"]


def test_the_number_of_views_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    views = SavedViews(views=tuple(view(str(n)) for n in range(MAX_VIEWS)))
    with pytest.raises(NotSaved, match="are saved already"):
        views.save(view("one more"))
    monkeypatch.setattr(saved_views, "MAX_ALL", MAX_VIEWS)
    with pytest.raises(NotSaved):
        views.save(view("of another", JOHN))


def test_no_view_opens_first_that_was_removed_or_is_not_shared_any_more() -> None:
    views = SavedViews().save(view("all", None)).open_first(JOHN, "all of None").open_first(JANE, "all of None")
    assert views.remove("all of None").first == {}
    assert views.save(views.views[0].model_copy(update={"owner": JANE})).first == {JANE: "all of None"}
    assert views.open_first(JOHN, None).first == {JANE: "all of None"}


@pytest.mark.parametrize("text", ["", "  \n ", "\x1b[31m", "x" * (MAX_NAME + 1)])
def test_a_name_that_cannot_be_shown_is_refused(text: str) -> None:
    with pytest.raises(NotSaved):
        checked_name(text)


def test_a_name_is_one_line_without_characters_that_turn_it() -> None:
    assert checked_name(" Last\n  week \u202e ") == "Last week"


# -- where they are kept


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(here: Path, request: pytest.FixtureRequest) -> Store:
    return FileStore(here) if request.param == "file" else PostgreSQLStore(request.getfixturevalue("shared_url"), here)


def test_views_are_kept_with_what_people_made_and_seen_by_every_process(store: Store) -> None:
    assert VIEWS in DOCUMENTS  # of which backups are made
    cache, other = store.open(), store.open()
    cache.documents.change(VIEWS, lambda views: views.save(view("Weekly", None)))
    assert [each.name for each in other.documents.read(VIEWS).views] == ["Weekly"]
    cache.close()
    other.close()


# -- on the pages


def notes(page: AppTest, name: str) -> str:
    """The warning at a view in the list."""
    rows = [row["cells"] for data in components(page) if data["label"] == "Saved views" for row in data["rows"]]
    return next(str(cells[0]["note"]) for cells in rows if cells[0]["text"] == name)


def set_first(backend: Backend, id: str) -> None:
    backend.cache.documents.change(VIEWS, lambda views: views.open_first("viewer", id))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A dashboard with passwords."""
    folder = tmp_path_factory.mktemp("views")
    passwords = {"dashboard_password": "one", "dashboard_viewer_password": "two"}
    with backend_of(folder, shop(40), SHOP_COLUMNS, **passwords) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_views(request: pytest.FixtureRequest) -> None:
    if "backend" in request.fixturenames:
        request.getfixturevalue("backend").cache.documents.change(VIEWS, lambda _: SavedViews())


def sign_in(monkeypatch: pytest.MonkeyPatch, role: VisitorRole) -> None:
    monkeypatch.setattr(Visitor, "identity", lambda _: Identity(role, role, "1"))


def keep(backend: Backend, *views: SavedView) -> None:
    for each in views:
        backend.cache.documents.change(VIEWS, lambda kept, each=each: kept.save(each))  # type: ignore[misc]


@pytest.mark.slow
def test_the_page_is_saved_with_its_address_but_without_what_is_open_on_it(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, "operator")
    page = run(backend, "products", {"period": "90d", "status": ["paid", "pending"], "q": "a&b", "page": "1"})
    page.text_input(key="view_name 0").set_value("<b>Paid</b> 🎂")
    page.checkbox(key="view_shared 0").set_value(True)
    page.button(key="FormSubmitter:save_view 0-Save").click().run()
    (saved,) = backend.cache.documents.read(VIEWS).views
    assert (saved.name, saved.page, saved.owner) == ("<b>Paid</b> 🎂", "products", None)
    assert saved.query == "period=90d&status=paid&status=pending&q=a%26b"
    assert "“<b>Paid</b> 🎂” is saved." in shown_text(" ".join(each.value for each in page.markdown))


@pytest.mark.slow
def test_a_name_that_is_taken_gets_the_new_address_only_by_a_second_click(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, "viewer")
    keep(backend, view("Mine", "viewer"))
    page = run(backend, "customers", {"period": "7d"})
    page.text_input(key="view_name 0").set_value("mine")
    page.button(key="FormSubmitter:save_view 0-Save").click().run()
    assert [each.query for each in backend.cache.documents.read(VIEWS).views] == ["period=all"]
    page.button(key="replace_view").click().run()
    assert [(each.page, each.query) for each in backend.cache.documents.read(VIEWS).views] == [
        ("customers", "period=7d")
    ]


@pytest.mark.slow
def test_a_viewer_saves_own_views_only_and_changes_no_shared_one(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch, "viewer")
    keep(backend, view("Everyone's", None))
    page = run(backend, "views", {"view": "Everyone's of None"})
    assert [box.label for box in page.checkbox] == ["Opens first, for everyone who signs in as viewer"]
    assert not page.text_input
    session: Session = page.session_state["session"]
    views = VisitorViews(session)
    (shared,) = backend.cache.documents.read(VIEWS).views
    assert not views.may_share
    views.remove(shared)
    views.change(shared, "Stolen", shared=False, pinned=True, first=True)
    assert backend.cache.documents.read(VIEWS) == SavedViews(views=(shared,), first={"viewer": shared.id})


@pytest.mark.slow
def test_who_sees_no_personal_data_sees_no_address_that_may_hold_some(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(
        backend,
        view("Search", None, "orders", "period=all&q=ida%40example.com"),
        view("E-mail", None, "orders", "period=all&column%3Aemail=ida%40example.com"),
        view("Customer", None, "customers", "period=all&who=123"),
        view("Paid", None, "orders", "period=all&status=paid"),
    )
    for role, names in (("operator", ["Customer", "E-mail", "Paid", "Search"]), ("viewer", ["Paid"])):
        sign_in(monkeypatch, role)  # type: ignore[arg-type]
        assert [row[0] for row in table(run(backend, "views", {}), "Saved views")[1:]] == names


@pytest.mark.slow
def test_pinned_views_are_links_with_their_main_figure(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "operator")
    paid = view("Paid *now*", None, "overview", "period=all&status=paid&metric=orders")
    keep(
        backend,
        paid.model_copy(update={"pinned": True}),
        view("Search", None, "orders", "period=all&q=x").model_copy(update={"pinned": True}),
        view("Not pinned", None),
    )
    orders = backend.orders.newest(1)
    of_view = [Condition("currency", "eq", orders.currencies()[0][0]), Condition("status", "in", ("paid",))]
    count = orders.figures(None, of_view).orders
    shown = [(text, query) for text, query in links(run(backend, "overview", {"period": "7d"})) if "status" in query]
    assert shown == [(f"Paid *now* **{count}**", {"period": "all", "status": "paid", "metric": "orders"})]


@pytest.mark.slow
def test_a_pinned_queue_says_how_many_orders_wait(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "operator")
    waiting = view("To send", None, "orders", "period=30d&queue=unfulfilled&total=10..")
    keep(backend, waiting.model_copy(update={"pinned": True}))
    listed = captions(run(backend, "orders", {"period": "30d", "queue": "unfulfilled", "total": "10.."}))
    (shown,) = [text for text, query in links(run(backend, "overview", {})) if "queue" in query]
    count = re.fullmatch(r"To send \*\*([\d,]+ orders?)\*\*", shown)
    assert count and count[1] in listed
    (row,) = table(run(backend, "views", {}), "Saved views")[1:]
    assert "Total: at least 10" in row[1]


@pytest.mark.slow
def test_a_view_whose_page_or_columns_are_gone_says_so(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "operator")
    keep(
        backend,
        view("No page", None, "old-page"),
        view("No column", None, "orders", "period=all&column%3Ashelf=7"),
    )
    page = run(backend, "views", {})
    assert "The page “old-page” is gone." in notes(page, "No page")
    assert "Left out: shelf (not in this table)." in notes(page, "No column")
    opened = run(backend, "orders", {"period": "all", "column:shelf": "7"})
    assert "asks for shelf (not in this table)" in shown_text(" ".join(each.value for each in opened.markdown))


@pytest.mark.slow
def test_the_dashboard_opens_with_the_view_of_the_visitor(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, "viewer")
    session = Session(backend, Visitor(backend.settings, backend.identities), None, None)  # type: ignore[arg-type]
    views = VisitorViews(session)
    assert views.opening(PAGES) is None
    keep(backend, view("Paid", None, "orders", "period=all&status=paid"), view("Found", None, "orders", "q=ida"))
    set_first(backend, "Paid of None")
    assert views.opening(PAGES) == ("orders", {"period": ["all"], "status": ["paid"]})
    assert views.opening({"overview"}) is None  # the page is gone
    set_first(backend, "Found of None")
    assert views.opening(PAGES) is None  # the address may hold personal data


@pytest.mark.slow
def test_a_view_that_cannot_be_written_is_an_error_in_words(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.saved.visitor_views.parameters", lambda: {"status": ["x" * 5000]})
    session = Session(backend, Visitor(backend.settings, backend.identities), None, None)  # type: ignore[arg-type]
    with pytest.raises(CacheError, match="The address of this page is too long"):
        VisitorViews(session).save("Long", shared=False)
