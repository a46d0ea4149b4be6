"""Saved views, as one visitor sees and changes them.

Operators save views for everyone; each visitor saves own ones. Where visitors share a password, they are one account:
all who sign in as viewers have the same own views. Where nobody signs in, all views are shared.
"""

from __future__ import annotations

from collections.abc import Container
from urllib.parse import parse_qs, urlencode

from cache.analytics.orders import Orders
from cache.errors import CacheError, NotSaved
from cache.saved.views import MAX_ADDRESS, SavedView, SavedViews, checked_name
from cache.storage.documents import VIEWS
from cache.storage.records import new_id, now
from dashboard.address import Parameters, parameters
from dashboard.navigator import Place
from dashboard.saved.address_needs import dimensions_of, is_hidden
from dashboard.session import Session
from dashboard.view_address import ORDER_PARAMETERS

_PERSONAL = frozenset(("q", "who"))  # parameters of a search (components/listing.py), and of the open customer


class VisitorViews:
    """The views of the visitor of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        identity = session.visitor.identity()
        self._account = identity.account if identity else ""

    @property
    def has_own(self) -> bool:
        """Whether views can be own ones: whether visitors sign in."""
        return self._session.backend.identities.required

    @property
    def may_share(self) -> bool:
        """Whether the visitor saves views for everyone."""
        return self._session.visitor.may("share_views")

    @property
    def may_save(self) -> bool:
        """Whether this process can save anything."""
        return not self._session.cache.read_only

    @property
    def owners(self) -> str:
        """Who sees own views, such as "Only you"."""
        by_email = self._session.backend.identities.by_oidc
        return "Only you" if by_email else f"Everyone who signs in as {self._session.visitor.role()}"

    def seen(self, orders: Orders) -> list[SavedView]:
        """The views that the visitor may see, by name.

        Addresses of shared ones may hold personal data. Who sees none of it does not see these either.

        Args:
            orders: The orders, as the visitor sees them.
        """
        return [view for view in self._stored().seen_by(self._account) if not self._is_personal(view, orders)]

    def first(self, orders: Orders) -> SavedView | None:
        """The view that the dashboard opens with; None: the overview as it is. For the argument see `seen`."""
        id = self._stored().first.get(self._account)
        return next((view for view in self.seen(orders) if view.id == id), None) if id else None

    def opening(self, pages: Container[str]) -> Place | None:
        """Where the dashboard opens; None: on the overview as it is, also where the page of the view is gone."""
        session = self._session
        head = session.cache.status().head
        if head is None or self._account not in self._stored().first:
            return None
        try:
            orders = session.backend.orders.newest(head.generation)
        except CacheError:  # the page says so
            return None
        view = self.first(orders.masked(session.visitor.mask(orders)))
        return place_of(view) if view and view.page in pages else None

    def may_change(self, view: SavedView) -> bool:
        """Whether the visitor may change and remove a view."""
        return self.may_save and (self.may_share if view.owner is None else view.owner == self._account)

    def save(self, name: str, shared: bool, replace: bool = False) -> SavedView:
        """Saves the page that is drawn.

        Args:
            name: The name of the view.
            shared: Whether everyone sees it.
            replace: Whether a view of the same name gets this address.

        Raises:
            NotSaved: The name cannot be taken, the address is too long, or there are too many views.
            CacheError: It cannot be written.
        """
        name, owner = checked_name(name), self._owner(shared)
        query = urlencode(_kept(parameters()), doseq=True)
        if len(query) > MAX_ADDRESS:
            raise NotSaved("The address of this page is too long.", "Choose fewer values of the filters.")
        page = self._session.navigator.path
        made = SavedView(id=new_id(), name=name, page=page, query=query, owner=owner, saved_at=now())
        saved: list[SavedView] = []

        def change(views: SavedViews) -> SavedViews:
            before = views.named(name, owner) if replace else None
            view = made.model_copy(update={"id": before.id, "pinned": before.pinned}) if before else made
            saved[:] = [view]
            return views.save(view)

        self._session.cache.documents.change(VIEWS, change)
        return saved[0]

    def is_taken(self, name: str, shared: bool) -> bool:
        """Whether a view has a name already, of those that `shared` says."""
        return self._stored().named(checked_name(name), self._owner(shared)) is not None

    def change(self, view: SavedView, name: str, shared: bool, pinned: bool, first: bool) -> None:
        """Changes a view, as far as the visitor may.

        Args:
            view: The view.
            name: Its name.
            shared: Whether everyone sees it.
            pinned: Whether the overview has a link to it.
            first: Whether the dashboard opens with it for this visitor.

        Raises:
            NotSaved: The name cannot be taken, or there are too many views.
            CacheError: It cannot be written.
        """
        fields: dict[str, object] = {}
        if self.may_change(view):
            owner = self._owner(shared) if self.may_share else view.owner
            fields = {"name": checked_name(name), "pinned": pinned, "owner": owner}

        def change(views: SavedViews) -> SavedViews:
            now_saved = views.find(view.id, self._account)
            if now_saved is None:
                raise NotSaved("The view was removed meanwhile.")
            views = views.save(now_saved.model_copy(update=fields)) if fields else views
            if first:
                return views.open_first(self._account, view.id)
            is_first = views.first.get(self._account) == view.id
            return views.open_first(self._account, None) if is_first else views

        self._session.cache.documents.change(VIEWS, change)

    def remove(self, view: SavedView) -> None:
        """Removes a view, where the visitor may.

        Raises:
            CacheError: It cannot be written.
        """
        if self.may_change(view):
            self._session.cache.documents.change(VIEWS, lambda views: views.remove(view.id))

    def _owner(self, shared: bool) -> str | None:
        return None if not self.has_own or (shared and self.may_share) else self._account

    def _stored(self) -> SavedViews:
        return self._session.cache.documents.read(VIEWS)

    def _is_personal(self, view: SavedView, orders: Orders) -> bool:
        if view.owner is not None or self._session.visitor.may("see_personal_data"):
            return False
        address = parameters_of(view)
        return not _PERSONAL.isdisjoint(address) or any(is_hidden(name, orders) for name in dimensions_of(address))


def parameters_of(view: SavedView) -> Parameters:
    """The parameters of the address of a view."""
    return parse_qs(view.query, keep_blank_values=True)


def place_of(view: SavedView) -> Place:
    """Where a view leads."""
    return Place(view.page, parameters_of(view))


def _kept(address: Parameters) -> Parameters:
    """What a view keeps of an address: all but which page of a list, and which order, is open."""
    return {name: values for name, values in address.items() if name not in ORDER_PARAMETERS}
