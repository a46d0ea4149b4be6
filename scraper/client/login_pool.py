"""The logins that a sync sends its statements with: one, or by SYNC_CONNECTIONS several, each in a thread of its own.

phpMyAdmin lets the requests of one login wait for each other, so each lane has a login. They are made one after the
other when there is work for them; where one fails, the sync goes on with the lanes that it has.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from types import TracebackType
from typing import Any, Self, TypeVar

from scraper.client.exporter import Exporter
from scraper.client.session import Session
from scraper.errors import ScrapeError
from scraper.settings import ScraperSettings

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


class Lanes:
    """A context manager. The failure of a lane stops all, and is raised by the next `result`.

    Parameters: `session` is the first login; `log_in` makes others, and new ones where a login ends.
    """

    def __init__(self, session: Session, settings: ScraperSettings, log_in: Callable[[], Session]) -> None:
        self._settings = settings
        self._make_login = log_in
        self._login = threading.Lock()
        self._refused: ScrapeError | None = None
        self.first = Exporter(session, settings, self._log_in)
        self.most = 1 if session.page else settings.sync_connections  # a browser has one session
        self._exports = [self.first]
        self._threads: list[threading.Thread] = []
        self._jobs: queue.Queue[tuple[Future[Any], Callable[[Exporter], Any]] | None] = queue.Queue()
        self._waiting = 0  # results that nobody took yet
        self._failed: BaseException | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.calm()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for export in self._exports:
            export.close()

    @property
    def received(self) -> int:
        """Bytes of all answers."""
        return sum(export.received for export in self._exports)

    def do(self, work: Callable[[Exporter, Item], Result], item: Item) -> Result:
        """What `work` makes of an item."""
        return self.result(self.submit(work, item)) if self._threads else work(self.first, item)

    def ahead(self, work: Callable[[Exporter, Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Items with what `work` makes of them, in order. With one lane an item is taken when the one before is done,
        with several one more than there are lanes may be under way.
        """
        if self.most == 1:
            for item in items:
                yield item, work(self.first, item)
            return
        under_way: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            under_way.append((item, self.submit(work, item)))
            if len(under_way) > self.most:
                done, future = under_way.popleft()
                yield done, self.result(future)
        for done, future in under_way:
            yield done, self.result(future)

    def submit(self, work: Callable[[Exporter, Item], Result], item: Item) -> Future[Result]:
        """Has it done by the next lane that is free, in the order of the calls."""
        future: Future[Result] = Future()
        self._jobs.put((future, lambda export: work(export, item)))
        self._waiting += 1
        # The first job alone is the first lane's: another login would be for nothing.
        while len(self._threads) < min(self.most, self._waiting):
            number = len(self._threads) + 1
            thread = threading.Thread(target=self._serve, args=(number,), name=f"lane-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def result(self, future: Future[Result]) -> Result:
        """Raises what failed first in any lane."""
        try:
            found = future.result()
        except Exception as error:
            raise (self._failed or error) from None
        finally:
            self._waiting -= 1
        if self._failed is not None:
            raise self._failed
        return found

    def calm(self) -> None:
        """Drops what waits, and returns when nothing is under way."""
        self._failed = self._failed or CancelledError()
        self._jobs.join()
        self._failed, self._waiting = None, 0

    # -- in the threads

    def _serve(self, number: int) -> None:
        export = self.first if number == 1 else self._another()
        while export is not None and (job := self._jobs.get()) is not None:
            future, work = job
            try:
                if self._failed is not None:
                    future.cancel()
                else:
                    future.set_result(work(export))
            except BaseException as error:
                self._failed = self._failed or error
                future.set_exception(error)
            finally:
                self._jobs.task_done()

    def _another(self) -> Exporter | None:
        """A lane with a login of its own; None where there is none to be had."""
        with self._login:
            if self._closed or self.most == len(self._exports):
                return None
            try:
                export = Exporter(self._make_login(), self._settings, self._log_in)
            except ScrapeError as error:
                self.most = len(self._exports)
                log.warning("connections=%d, no more of them: %s", self.most, error.message)
                return None
            self._exports.append(export)
            return export

    def _log_in(self) -> Session:
        """A new login in place of one that ended. One that was refused is not tried again by another lane, so that
        the account does not get locked.
        """
        with self._login:
            if self._refused is not None:
                raise self._refused
            try:
                return self._make_login()
            except ScrapeError as error:
                self._refused = None if error.transient else error
                raise
