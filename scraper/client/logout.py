"""Ends a session on the server. What is left of it would stay valid for LoginCookieValidity, a day at most."""

from __future__ import annotations

import logging
import time
from urllib.parse import urlsplit

from scraper.client.bounds import PAGE
from scraper.client.session import Session
from scraper.client.transport import Transport
from scraper.errors import ScrapeError, Unreachable

SECONDS = 5  # for all of the answer, of which nothing is needed

log = logging.getLogger(__name__)


def log_out(session: Session, transport: Transport) -> None:
    """Ends a session. A failure is only logged.

    Args:
        session: It is left as it is if it has no `logout_url`.
        transport: Sends the request with the cookies of the session.
    """
    if not session.logout_url:
        return
    ends = time.monotonic() + SECONDS

    def discard(_: bytes) -> None:
        if time.monotonic() > ends:
            raise Unreachable(f"{urlsplit(session.logout_url).netloc} takes too long to end a session.")

    try:
        form = {"server": session.server, "token": session.token}
        transport.post(session.logout_url, form, PAGE.counting(discard), seconds=SECONDS)
    except ScrapeError as error:
        log.info("phpMyAdmin's session was not ended: %s", error.message)
