"""Saved views: a page of the dashboard with its address, under a name.

A view belongs to one account, or is shared with everyone. An account is an e-mail address where visitors sign in by
OpenID Connect, the role where they sign in by password, and "" where nobody signs in.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, Field

from cache.control_characters import without_controls
from cache.errors import NotSaved

MAX_NAME = 60  # characters
MAX_ADDRESS = 4_000
MAX_VIEWS = 50  # of an account, and shared ones
MAX_ALL = 2_000


class SavedView(BaseModel, frozen=True):
    """A view.

    Attributes:
        id: Its id.
        name: How people call it. No two shared views have the same one, nor two of an account.
        page: The path of its page, such as `orders`.
        query: The query string of its address, without `?`.
        owner: The account that it belongs to; None: it is shared.
        pinned: Whether the overview has a link to it: for its owner, or for everyone.
        saved_at: When it was saved last (UTC).
    """

    id: str
    name: str = Field(max_length=MAX_NAME)
    page: str = Field(max_length=MAX_NAME)
    query: str = Field(max_length=MAX_ADDRESS)
    owner: str | None = None
    pinned: bool = False
    saved_at: AwareDatetime


class SavedViews(BaseModel, frozen=True):
    """All views.

    Attributes:
        views: The views, in the order in which they were saved first.
        first: Account -> id of the view with which the dashboard opens for it.
    """

    views: tuple[SavedView, ...] = ()
    first: dict[str, str] = {}

    def seen_by(self, account: str) -> list[SavedView]:
        """The shared views, and those of an account, by name."""
        seen = [view for view in self.views if view.owner in (None, account)]
        return sorted(seen, key=lambda view: (view.name.casefold(), view.owner is not None))

    def find(self, id: str, account: str) -> SavedView | None:
        """A view that an account sees; None where there is none."""
        return next((view for view in self.seen_by(account) if view.id == id), None)

    def named(self, name: str, owner: str | None) -> SavedView | None:
        """The view with a name, of one owner; None where there is none."""
        same = (view for view in self.views if view.owner == owner and view.name.casefold() == name.casefold())
        return next(same, None)

    def save(self, view: SavedView) -> SavedViews:
        """These views with one more, or with a changed one in place of that with its id.

        Raises:
            NotSaved: Another one has its name, or there are too many.
        """
        same = self.named(view.name, view.owner)
        if same and same.id != view.id:
            raise NotSaved(f"There is a view “{same.name}” already.", "Take another name.")
        others = [each for each in self.views if each.id != view.id]
        if sum(each.owner == view.owner for each in others) >= MAX_VIEWS or len(others) >= MAX_ALL:
            raise NotSaved(f"{MAX_VIEWS} views are saved already.", "Remove one that is not used any more.")
        if len(others) == len(self.views):
            return self.model_copy(update={"views": (*self.views, view)})
        views = tuple(view if each.id == view.id else each for each in self.views)
        return self._with(views)

    def remove(self, id: str) -> SavedViews:
        """These views without one."""
        return self._with(tuple(view for view in self.views if view.id != id))

    def open_first(self, account: str, id: str | None) -> SavedViews:
        """The same, where the dashboard opens with a view for an account; None: with the overview."""
        others = {each: first for each, first in self.first.items() if each != account}
        return self.model_copy(update={"first": others if id is None else {**others, account: id}})

    def _with(self, views: tuple[SavedView, ...]) -> SavedViews:
        """Other views. The dashboard opens with none that an account no longer sees."""
        owners = {view.id: view.owner for view in views}
        first = {account: id for account, id in self.first.items() if owners.get(id, "nobody's") in (None, account)}
        return SavedViews(views=views, first=first)


def checked_name(text: str) -> str:
    """A name as it is saved: without control characters, and with single spaces.

    Raises:
        NotSaved: It is empty or too long.
    """
    name = " ".join(without_controls(text).split())
    if not name:
        raise NotSaved("The view has no name.", "Enter one.")
    if len(name) > MAX_NAME:
        raise NotSaved("The name is too long.", f"Take at most {MAX_NAME} characters.")
    return name
