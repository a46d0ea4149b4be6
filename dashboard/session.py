"""One visitor's session: everything that pages and components need, in one object that is passed to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import streamlit as st

from cache.check_report import CheckReport
from cache.listen_address import local_url
from cache.settings import Settings
from cache.storage.documents import SETUP
from cache.storage.records import now
from cache.storage.store import Cache
from dashboard.auth.access import Visitor
from dashboard.backend import Backend
from dashboard.messages import failure_shown
from dashboard.navigator import Navigator
from dashboard.shop import Shop
from dashboard.text import formatting
from dashboard.view_address import ViewAddress

_KEY = "session"  # in Streamlit's state of the session


@dataclass
class Session:
    """One visitor's session.

    Attributes:
        backend: What all sessions share.
        visitor: Who visits, and what the visitor may do.
        address: The view in the address.
        navigator: The way from page to page.
        shown_version: Which data the page shows.
        refresh_error: Why the refresh that the visitor asked for did not start; "" where it did.
        save_error: Why the settings could not be saved; "" where they could.
    """

    backend: Backend
    visitor: Visitor
    address: ViewAddress
    navigator: Navigator
    shown_version: object = field(default=None)
    refresh_error: str = ""
    save_error: str = ""
    _checks: tuple[int, CheckReport | None] | None = None
    _later: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def current(cls, backend: Backend) -> Session:
        """The session of the visitor whose page is being run, made at the first run."""
        if _KEY not in st.session_state:
            address = ViewAddress()
            visitor = Visitor(backend.settings, backend.identities)
            st.session_state[_KEY] = cls(backend, visitor, address, Navigator(address))
        session: Session = st.session_state[_KEY]
        return session

    def draw(self, page: Callable[[Session], None]) -> None:
        """Draws a page, and at last what it left for later."""
        self._later.clear()
        with failure_shown("page"):
            page(self)
        for draw in self._later:  # also where the page failed: other filters may help
            with failure_shown("filters"):
                draw()

    def draw_later(self, draw: Callable[[], None]) -> None:
        """Has something drawn after all else of the page that is being drawn."""
        self._later.append(draw)

    @property
    def cache(self) -> Cache:
        """The cache."""
        return self.backend.cache

    @property
    def settings(self) -> Settings:
        """The settings of the process."""
        return self.backend.settings

    @property
    def shop(self) -> Shop:
        """The shop as pages name it."""
        return self.backend.shop

    @property
    def api_address(self) -> str:
        """The address of the API, without a slash at its end."""
        settings = self.settings
        dashboard = settings.dashboard_url or (_visited_origin() + settings.public_path if settings.public_path else "")
        if settings.has_one_address and dashboard:
            return dashboard.rstrip("/")
        if settings.public_path and dashboard:
            return f"{dashboard.rstrip('/')}/v1"  # the proxy passes it to the API
        return local_url(settings.api_host, settings.api_port)

    def checks(self, generation: int) -> CheckReport | None:
        """What the checks found of a generation; None if they were not made."""
        if self._checks is None or self._checks[0] != generation:
            self._checks = generation, self.cache.snapshots.checks(generation)
        return self._checks[1]

    @property
    def shop_zone(self) -> ZoneInfo:
        """The time zone of the shop."""
        return ZoneInfo(self.cache.documents.read(SETUP).timezone or self.settings.shop_timezone)

    @property
    def today(self) -> date:
        """The day on the shop's clock."""
        return now().astimezone(self.shop_zone).date()

    def clock(self, at: datetime) -> str:
        """An instant in the shop's time zone: the time, and the date unless it is today."""
        local = at.astimezone(self.shop_zone)
        return f"{local:%H:%M}" if local.date() == self.today else formatting.moment(local)


def _visited_origin() -> str:
    """The scheme, host and port at which the visitor's browser opened the page."""
    scheme, host, *_ = urlsplit(st.context.url or "")
    return f"{scheme}://{host}"
