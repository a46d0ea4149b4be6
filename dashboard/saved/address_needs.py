"""What an address asks for: dimensions and figures, which a table may not have, or which may be hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cache.analytics.dimensions.catalogue import FILTERS, DimensionId, find_dimension, is_row_dimension
from cache.analytics.dimensions.ranges import RANGES
from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders

MAX_LABEL = 60  # characters of a name that no table has


class Lack(NamedTuple):
    """What an address asks for in vain.

    Attributes:
        label: What it is called.
        hidden: Whether the table has it, and it is hidden from the visitor.
    """

    label: str
    hidden: bool


def lacks(parameters: Mapping[str, Sequence[str]], orders: Orders) -> list[Lack]:
    """What an address asks for, and some orders do not offer.

    Args:
        parameters: The parameters of the address.
        orders: The orders, as the visitor sees them.
    """
    found = [
        Lack(_label(name), is_hidden(name, orders)) for name in dimensions_of(parameters) if not orders.offers(name)
    ]
    found += [
        Lack(each.label, each.filtered.is_hidden(orders.reading, orders.mask))
        for name, each in RANGES.items()
        if parameters.get(name) and not orders.has(each.filtered)
    ]
    names = dict.fromkeys([*parameters.get("metric", ()), *parameters.get("explain", ())])
    metrics = [METRICS[name] for name in names if name in METRICS]
    return found + [Lack(each.label, False) for each in metrics if not each.available(orders.missing)]


def dimensions_of(parameters: Mapping[str, Sequence[str]]) -> list[DimensionId]:
    """The dimensions that an address filters and groups by."""
    filters = [name for name, values in parameters.items() if values and (name in FILTERS or is_row_dimension(name))]
    groups = [name for parameter in ("by", "columns") for name in parameters.get(parameter, ()) if name]
    return list(dict.fromkeys([*filters, *groups]))


def is_hidden(name: DimensionId, orders: Orders) -> bool:
    """Whether a dimension is hidden from who sees some orders."""
    dimension = find_dimension(name)
    return dimension is not None and dimension.is_hidden(orders.reading, orders.mask)


def sentence(found: Sequence[Lack]) -> str:
    """Such as "City (hidden from viewers) and Vendor (not in this table)"."""
    parts = [f"{lack.label} ({'hidden from viewers' if lack.hidden else 'not in this table'})" for lack in found]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def _label(name: DimensionId) -> str:
    dimension = find_dimension(name)
    return dimension.label if dimension else name[:MAX_LABEL]
