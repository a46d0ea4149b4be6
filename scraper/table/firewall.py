"""What a firewall in front of phpMyAdmin refuses, and the next dialect that avoids it.

To find the refused construct, each one that the statement contains is sent alone, in a harmless SELECT. What the
database answers does not matter, only whether the SELECT reaches it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from cache.storage.records import now
from cache.storage.source import StatementDialect
from scraper.client.exporter import PLAIN_SELECT, Exporter
from scraper.errors import ScrapeError, StatementBlocked, Unproven, Unreachable

log = logging.getLogger(__name__)

REMEMBERED = timedelta(days=1)  # then the default dialect is tried again

_ARGUMENTS = {
    "VERSION": "",
    "INTERVAL": "1, 2",
    "CONCAT_WS": "'#', 'a', 'b'",
    "CONCAT": "'a', 'b'",
    "MD5": "'a'",
    "SHA1": "'a'",
    "CONV": "'a', 16, 10",
    "LEFT": "'a', 1",
    "CAST": "1 AS UNSIGNED",
    "SUM": "1",
    "COUNT": "*",
    "COALESCE": "1, 0",
    "IFNULL": "1, 0",
    "IF": "1, 2, 3",
    "LENGTH": "'a'",
    "HEX": "'a'",
    "CONVERT": "'a' USING utf8mb4",
    "UNIX_TIMESTAMP": "'2024-01-01'",
    "TO_BASE64": "'a'",
}
# Constructs: the text that shows one in a statement, and the SELECT that tries it.
_PROBES = {
    "SELECT": ("SELECT", PLAIN_SELECT),
    "information_schema": ("information_schema", "SELECT 1 AS c0, information_schema AS c1"),
    "hexadecimal literals": ("X'", "SELECT 1 AS c0, X'61' AS c1"),
    "subqueries": ("(SELECT", "SELECT 1 AS c0, (SELECT 0) AS c1"),
    "derived tables": ("FROM (", "SELECT c0, c1 FROM (VALUES (1, 2)) AS d"),
    "GROUP BY": ("GROUP BY", "SELECT 1 AS c0, 0 AS c1 GROUP BY 1"),
    "WITH ROLLUP": ("WITH ROLLUP", "SELECT 1 AS c0, 0 AS c1 WITH ROLLUP"),
    "ORDER BY": ("ORDER BY", "SELECT 1 AS c0, 0 AS c1 ORDER BY 1"),
    "LIMIT": ("LIMIT", "SELECT 1 AS c0, 0 AS c1 LIMIT 1"),
    "FROM": ("FROM", "SELECT 1 AS c0, 0 AS c1 FROM DUAL"),
    "IS NULL": ("IS NULL", "SELECT 1 AS c0, 0 IS NULL AS c1"),
    "SHOW": ("SHOW", "SHOW COLLATION LIKE 'utf8mb4_bin'"),
    **{name: (f"{name}(", f"SELECT 1 AS c0, {name}({arguments}) AS c1") for name, arguments in _ARGUMENTS.items()},
}
_IN_DESCRIPTION = {"information_schema", "hexadecimal literals", "subqueries", "VERSION"}
_IN_GROUPED_CHECKSUMS = {"subqueries", "derived tables", "GROUP BY", "WITH ROLLUP", "INTERVAL"}
_IN_CHECKSUMS = {"CONV", "LEFT", "CAST", "SUM", "COALESCE", "LENGTH", "IF", "IS NULL"}
# Without these there are no rows page by page, and no count.
_IN_PAGES = {"SELECT", "FROM", "ORDER BY", "LIMIT", "COUNT", "HEX", "CONVERT", "UNIX_TIMESTAMP", "TO_BASE64"}
# No checksum can be computed without one of each set.
_ALTERNATIVES = ({"CONCAT_WS", "CONCAT"}, {"CONCAT_WS", "IFNULL"}, {"MD5", "SHA1"})


def remembered(dialect: StatementDialect) -> StatementDialect:
    """Returns the dialect of the last sync for a day after a firewall refused something, then the default."""
    recent = dialect.since is not None and now() - dialect.since < REMEMBERED
    return dialect if recent else StatementDialect()


def next_dialect(exporter: Exporter, dialect: StatementDialect, error: StatementBlocked) -> StatementDialect:
    """Returns the dialect to try after a statement was refused.

    Args:
        exporter: Sends a probe for each construct of the statement.
        dialect: The present dialect.
        error: The refusal, with its statement.

    Raises:
        StatementBlocked: `error`, where no dialect is left: phpMyAdmin's own export was refused.
        Unreachable: phpMyAdmin does not answer.
    """
    if not error.sql:
        raise error
    names = dict.fromkeys([*dialect.refused, *_refused_constructs(exporter, error.sql)])
    following = _without(dialect, set(names))
    if following == dialect:  # none of the constructs alone
        label, following = _step_down(dialect, error.sql)
        names[label] = None
    log.warning(
        "firewall %s refused=%s -> shape=%s grouped=%s joiner=%s digest=%s rows=%s",
        error.message,
        ", ".join(names),
        following.shape,
        following.grouped,
        following.joiner,
        following.digest,
        following.rows,
    )
    return following.model_copy(update={"refused": tuple(names), "since": now()})


def unverified_reason(dialect: StatementDialect) -> Unproven | None:
    """Returns why a copy made with this dialect is not verified; None where checksums prove it."""
    if dialect.rows == "proven":
        return None
    return Unproven(
        f"A firewall in front of phpMyAdmin refuses {', '.join(dialect.refused)}. "
        "The rows were counted, but could not be compared by checksums."
    )


def _refused_constructs(exporter: Exporter, sql: str) -> list[str]:
    """The constructs of a statement that do not get through alone; only SELECT where no SELECT does."""
    refused: list[str] = []
    for name in ["SELECT", *(name for name, (text, _) in _PROBES.items() if text in sql and name != "SELECT")]:
        if refused == ["SELECT"] and name != "SHOW":  # the probes of the others are SELECTs
            continue
        try:
            exporter.select(_PROBES[name][1], 2, 1)
        except StatementBlocked:
            refused.append(name)
        except Unreachable:
            raise
        except ScrapeError:
            continue
    return refused


def _without(dialect: StatementDialect, refused: set[str]) -> StatementDialect:
    """The best dialect without these constructs that is not better than the present one."""
    changes: dict[str, object] = {}
    rows = dialect.rows
    if rows == "proven" and (refused & _IN_CHECKSUMS or any(names <= refused for names in _ALTERNATIVES)):
        rows = "paged"
    if refused & _IN_PAGES:
        rows = "exported"
    if refused & _IN_GROUPED_CHECKSUMS:
        changes["grouped"] = False
    if "CONCAT_WS" in refused:
        changes["joiner"] = "CONCAT"
    if "SELECT" in refused or "SHOW" in refused or dialect.shape == "export":
        changes["shape"] = "export"
    elif refused & (_IN_DESCRIPTION | _IN_PAGES):
        changes["shape"] = "SHOW"
    digest = "SHA1" if "MD5" in refused and rows == "proven" else "MD5"
    return dialect.model_copy(update={**changes, "rows": rows, "digest": digest})


def _step_down(dialect: StatementDialect, sql: str) -> tuple[str, StatementDialect]:
    """A name for a kind of statement that was refused as a whole, and the next dialect without it."""
    if sql.startswith("SHOW"):
        return "SHOW", dialect.model_copy(update={"shape": "export"})
    if "information_schema" in sql:
        return "the description of the table", dialect.model_copy(update={"shape": "SHOW"})
    if "CONV(" in sql and dialect.grouped and "INTERVAL(" in sql:
        return "grouped checksums", dialect.model_copy(update={"grouped": False})
    if "CONV(" in sql and dialect.joiner == "CONCAT_WS":
        return "checksums by CONCAT_WS", dialect.model_copy(update={"joiner": "CONCAT"})
    if "CONV(" in sql:
        return "checksums", dialect.model_copy(update={"rows": "paged"})
    return "pages of rows", dialect.model_copy(update={"rows": "exported", "shape": "export"})
