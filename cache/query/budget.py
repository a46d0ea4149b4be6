"""What a request may cost: one budget for everything that answers it.

The cost of each step is estimated before it is taken, in nanoseconds, so that no step runs over. A second limit is the
clock. A request that is answered in the event loop has a small budget. Where that is spent, the request continues in a
thread with a larger one, and where that is spent too, in a worker process, which ends it after QUERY_SECONDS. Figures
and exports are for worker processes from the start; pages of changes are put together in a thread.
"""

from __future__ import annotations

import math
import time

LOOP_SECONDS = 0.002  # in the event loop, where other requests wait
THREAD_SECONDS = 0.5  # in a thread, which takes turns with the event loop
QUERY_THREADS = 2  # that work for requests at once: each takes turns with the event loop
JOINED_BYTES = 16 << 20  # of rows that a thread puts together at once, about
MAX_GROUPS = 50_000  # distinct values that facets count, summed over facets and blocks

# Nanoseconds: estimates, rather too high than too low.
VALUE_NS = 3_000  # reading a value of a filter
LOOKED_UP_NUMBER_NS, LOOKED_UP_TEXT_NS = 1_000, 8_000  # looking up a value in a dictionary
COMPARED_ROW_NS = 0.5
LOOKED_UP_ROW_NS = 3
SEARCHED_ROW_NS = 60
SORTED_ROW_NS = 120  # for each column
MERGED_ROW_NS = 60
TEXT_NS = 1_000  # putting a text of a dictionary in order
GROUP_NS = 2_000
PICKED_ROW_NS, READ_ROW_NS = 400, 1_000
COPIED_BYTE_NS = 0.3
COMPRESSED_BYTE_NS = 4


class BudgetSpent(LookupError):
    """The next step would cost more than is left."""


class Budget:
    """What is left for a request.

    Args:
        seconds: Processing time.
        groups: Distinct values that facets may count.
    """

    def __init__(self, seconds: float, groups: float = MAX_GROUPS) -> None:
        self._left = seconds * 1e9
        self._groups = groups
        self._end = time.monotonic() + seconds

    def spend(self, nanoseconds: float) -> None:
        """Pays for a step, before it is taken.

        Raises:
            BudgetSpent: It costs more than is left, or the time is over.
        """
        self._left -= nanoseconds
        if self._left < 0 or time.monotonic() > self._end:
            raise BudgetSpent

    def spend_groups(self, count: int) -> None:
        """Pays for distinct values of a facet.

        Raises:
            BudgetSpent: There are more than is left.
        """
        self._groups -= count
        if self._groups < 0:
            raise BudgetSpent
        self.spend(count * GROUP_NS)


UNLIMITED = Budget(math.inf, math.inf)
