"""How the checks of the data are told to people: the badge at the top of a page, and the mark at a figure."""

from __future__ import annotations

from cache.analytics.figures import Figures
from cache.analytics.marks import Mark
from cache.analytics.metrics import Metric
from cache.check_report import CheckReport, share_text
from dashboard.text import formatting
from dashboard.text.formatting import Label
from dashboard.text.metrics import LARGE


def badge(report: CheckReport, amber_below: float) -> Label | None:
    """The badge of a generation, such as "Figures: 99.98% of all orders add up"; None where nothing could be checked.

    Args:
        report: What the checks found.
        amber_below: The setting CHECKS_AMBER_BELOW.
    """
    share = report.ok
    if share is None:
        return None
    text = f"Figures: {share_text(report.agree, report.orders)} of all orders add up"
    if share < amber_below or report.questions:
        return Label(text if report.confirmed else f"{text}, not confirmed", "orange")
    return Label(text, "green") if report.confirmed else Label(f"{text}, not confirmed")


def mark_text(mark: Mark, metric: Metric, currency: str) -> str:
    """A mark in words, such as "± $61,725 · 500 orders have values that cannot be read"."""
    sentence = mark.message.removesuffix(".")
    size = mark_size(mark, metric, currency)
    return f"{size} · {sentence}" if size else sentence


def mark_size(mark: Mark, metric: Metric, currency: str) -> str:
    """By how much a figure may be wrong, such as "± $61,725"; "" where it cannot be told.

    The difference is a sum of money, so it says nothing of a count, a rate or an average.
    """
    if not mark.difference or metric.unit != "money" or Figures().composition(metric.id).divisor:
        return ""
    return f"± {formatting.money(mark.difference, currency, mark.difference >= LARGE)}"
