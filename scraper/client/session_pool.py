"""Pool of phpMyAdmin sessions, one thread each. Size: SYNC_CONNECTIONS.

phpMyAdmin answers the requests of one session one after the other, so requests at the same time need a session each. A
further session is opened when there is work for it. Where its login fails, the sync goes on with the sessions it has.
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
from scraper.client.settings import ClientSettings
from scraper.errors import ScrapeError

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger(__name__)


class SessionPool:
    """Runs work in one session, or in several at the same time; a context manager.

    The first failure in any session stops them all, and the next `result` raises it.

    Attributes:
        first: The exporter of the first session.
        size: How many sessions there may be at most.

    Args:
        session: The first session.
        settings: `sync_connections` is the size; the rest goes to the exporters.
        log_in: Opens a further session, or a new one in place of one that ended.
    """

    def __init__(self, session: Session, settings: ClientSettings, log_in: Callable[[], Session]) -> None:
        self._settings = settings
        self._open_session = log_in
        self._login_lock = threading.Lock()
        self._login_error: ScrapeError | None = None
        self.first = Exporter(session, settings, self._log_in_again)
        self.size = 1 if session.page else settings.sync_connections  # a browser has one session
        self._exporters = [self.first]
        self._threads: list[threading.Thread] = []
        self._jobs: queue.Queue[tuple[Future[Any], Callable[[Exporter], Any]] | None] = queue.Queue()
        self._pending = 0  # futures whose result nobody took yet
        self._failure: BaseException | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        for exporter in self._exporters:
            exporter.close()

    @property
    def received(self) -> int:
        """Bytes received by all sessions."""
        return sum(exporter.received for exporter in self._exporters)

    def run(self, work: Callable[[Exporter, Item], Result], item: Item) -> Result:
        """Calls `work` with a free session and an item, and waits for its result."""
        return self.result(self.submit(work, item)) if self._threads else work(self.first, item)

    def map(self, work: Callable[[Exporter, Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """Calls `work` for each item, and yields items with results in the order of the items.

        With one session, an item is taken from `items` when the one before is done. With several, as many items as
        there are sessions, and one more, may be in progress.
        """
        if self.size == 1:
            for item in items:
                yield item, work(self.first, item)
            return
        in_progress: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            in_progress.append((item, self.submit(work, item)))
            if len(in_progress) > self.size:
                oldest, future = in_progress.popleft()
                yield oldest, self.result(future)
        for oldest, future in in_progress:
            yield oldest, self.result(future)

    def submit(self, work: Callable[[Exporter, Item], Result], item: Item) -> Future[Result]:
        """Queues a call of `work` for the next free session, in the order of the calls.

        Returns:
            A future that has to be passed to `result`.
        """
        future: Future[Result] = Future()
        self._jobs.put((future, lambda exporter: work(exporter, item)))
        self._pending += 1
        # While one job is pending, the first session does it: a second login would be wasted.
        while len(self._threads) < min(self.size, self._pending):
            number = len(self._threads) + 1
            thread = threading.Thread(target=self._work, args=(number,), name=f"session-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def result(self, future: Future[Result]) -> Result:
        """Waits for a future of `submit`, and returns its result.

        Raises:
            Exception: The first failure of any session.
        """
        try:
            result = future.result()
        except Exception as error:
            raise (self._failure or error) from None
        finally:
            self._pending -= 1
        if self._failure is not None:
            raise self._failure
        return result

    def cancel(self) -> None:
        """Drops the jobs that wait, and returns when none is in progress."""
        self._failure = self._failure or CancelledError()
        self._jobs.join()
        self._failure, self._pending = None, 0

    # -- in the threads

    def _work(self, number: int) -> None:
        exporter = self.first if number == 1 else self._open_another()
        while exporter is not None and (job := self._jobs.get()) is not None:
            future, work = job
            try:
                if self._failure is not None:
                    future.cancel()
                else:
                    future.set_result(work(exporter))
            except BaseException as error:
                self._failure = self._failure or error
                future.set_exception(error)
            finally:
                self._jobs.task_done()

    def _open_another(self) -> Exporter | None:
        """An exporter with a session of its own; None where the login failed."""
        with self._login_lock:
            if self._closed or self.size == len(self._exporters):
                return None
            try:
                exporter = Exporter(self._open_session(), self._settings, self._log_in_again)
            except ScrapeError as error:
                self.size = len(self._exporters)
                log.warning("connections=%d, no more of them: %s", self.size, error.message)
                return None
            self._exporters.append(exporter)
            return exporter

    def _log_in_again(self) -> Session:
        """A new session in place of one that ended.

        A refused login is not tried again by another thread: several failed logins could lock the account.
        """
        with self._login_lock:
            if self._login_error is not None:
                raise self._login_error
            try:
                return self._open_session()
            except ScrapeError as error:
                self._login_error = None if error.transient else error
                raise
