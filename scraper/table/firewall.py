"""What a firewall in front of phpMyAdmin refuses, and the next form of the statements that does without it.

The construct is found by sending each one that the refused statement holds alone, in a harmless SELECT. What the
database says to it does not matter: only whether it gets there.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from cache.storage.records import now
from cache.storage.snapshot import StatementDialect
from scraper.client.exporter import Exporter
from scraper.errors import ScrapeError, StatementBlocked, Unproven, Unreachable

log = logging.getLogger(__name__)

REMEMBERED = timedelta(days=1)  # then the best form is tried again

_CALLS = {
    "VERSION": "", "INTERVAL": "1, 2", "CONCAT_WS": "'#', 'a', 'b'", "CONCAT": "'a', 'b'", "MD5": "'a'", "SHA1": "'a'",
    "CONV": "'a', 16, 10", "LEFT": "'a', 1", "CAST": "1 AS UNSIGNED", "SUM": "1", "COUNT": "*", "COALESCE": "1, 0",
    "IFNULL": "1, 0", "IF": "1, 2, 3", "LENGTH": "'a'", "HEX": "'a'", "CONVERT": "'a' USING utf8mb4",
    "UNIX_TIMESTAMP": "'2024-01-01'", "TO_BASE64": "'a'",
}  # fmt: skip
# Constructs: the text by which a statement holds one, and what is sent to try it.
_PROBES = {
    "SELECT": ("SELECT", "SELECT 1 AS c0, 0 AS c1"),
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
    **{name: (f"{name}(", f"SELECT 1 AS c0, {name}({sample}) AS c1") for name, sample in _CALLS.items()},
}
_OF_SHAPE = {"information_schema", "hexadecimal literals", "subqueries", "VERSION"}
_OF_GROUPS = {"subqueries", "derived tables", "GROUP BY", "WITH ROLLUP", "INTERVAL"}
# Without these there are no rows page by page, and no count.
_OF_PAGES = {"SELECT", "FROM", "ORDER BY", "LIMIT", "COUNT", "HEX", "CONVERT", "UNIX_TIMESTAMP", "TO_BASE64"}
_OF_CHECKSUMS = {"CONV", "LEFT", "CAST", "SUM", "COALESCE", "LENGTH", "IF", "IS NULL"}


def remembered(dialect: StatementDialect) -> StatementDialect:
    """The dialect that the last sync ended with, for a day."""
    return dialect if dialect.since is not None and now() - dialect.since < REMEMBERED else StatementDialect()


def shut(export: Exporter) -> bool:
    """Whether not even the plainest statement gets through. What answers may be the page of a login that has ended."""
    return _refused(export, "") == ["SELECT"]


def around(export: Exporter, dialect: StatementDialect, error: StatementBlocked) -> StatementDialect:
    """The next dialect to try after a statement was refused.

    Raises the error where there are none: phpMyAdmin's own export was refused.
    """
    if not error.sql:
        raise error
    found = _refused(export, error.sql)
    names = dict.fromkeys([*dialect.refused, *found])
    following = _without(dialect, set(names))
    if following == dialect:  # none of the constructs alone
        label, following = _further(dialect, error.sql)
        names[label] = None
    log.warning("firewall %s refused=%s -> shape=%s grouped=%s joiner=%s digest=%s rows=%s", error.message,
                ", ".join(names), following.shape, following.grouped, following.joiner, following.digest,
                following.rows)  # fmt: skip
    return following.model_copy(update={"refused": tuple(names), "since": now()})


def unverified_reason(dialect: StatementDialect) -> Unproven | None:
    """Why a copy that was made with this dialect is not proven."""
    if dialect.rows == "proven":
        return None
    return Unproven(
        f"A firewall in front of phpMyAdmin refuses {', '.join(dialect.refused)}, so the rows were counted, not proven."
    )


def _refused(export: Exporter, sql: str) -> list[str]:
    """The constructs of a statement that do not get through alone; all of them where no SELECT does."""
    refused: list[str] = []
    for name in ["SELECT", *(name for name, (text, _) in _PROBES.items() if text in sql and name != "SELECT")]:
        if refused == ["SELECT"] and name != "SHOW":  # the others stand in a SELECT
            continue
        try:
            export.select(_PROBES[name][1], 2)
        except StatementBlocked:
            refused.append(name)
        except Unreachable:
            raise
        except ScrapeError:
            continue
    return refused


def _without(dialect: StatementDialect, refused: set[str]) -> StatementDialect:
    """The best dialect that holds none of these constructs, and that is no better than the present one."""
    change: dict[str, object] = {}
    rows = dialect.rows
    no_sum = any(pair <= refused for pair in ({"CONCAT_WS", "CONCAT"}, {"CONCAT_WS", "IFNULL"}, {"MD5", "SHA1"}))
    if rows == "proven" and (refused & _OF_CHECKSUMS or no_sum):
        rows = "paged"
    if refused & _OF_PAGES:
        rows = "exported"
    if refused & _OF_GROUPS:
        change["grouped"] = False
    if "CONCAT_WS" in refused:
        change["joiner"] = "CONCAT"
    if "SELECT" in refused or "SHOW" in refused or dialect.shape == "export":
        change["shape"] = "export"
    elif refused & (_OF_SHAPE | _OF_PAGES):
        change["shape"] = "SHOW"
    digest = "SHA1" if "MD5" in refused and rows == "proven" else "MD5"
    return dialect.model_copy(update={**change, "rows": rows, "digest": digest})


def _further(dialect: StatementDialect, sql: str) -> tuple[str, StatementDialect]:
    """One step down for the kind of statement that was refused as a whole, and what to call it."""
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
