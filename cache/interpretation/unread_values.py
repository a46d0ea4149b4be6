"""Values of the source that say something and cannot be read: how many of each role there are, and in which orders.

Such a value counts as nothing in the figures. So it is counted here, for amounts, instants, quantities and JSON lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cache.interpretation.role_sql import RoleSql

EXAMPLES = 3  # keys of orders for each role

AMOUNT_ROLES = (
    "total",
    "subtotal",
    "discounts",
    "shipping",
    "tax",
    "line_total",
    "duties",
    "fees",
    "tips",
    "refunded",
)
_INSTANT_ROLES = ("created_at", "cancelled_at", "fulfilled_at")
_LINE_ROLES = ("line_quantity", "line_price")
_LIST_ROLES = ("line_items", "refunds", "shipping_lines", "tax_lines")

_SOMETHING = r"[^\s0\pZ\pP\pS]"  # not blank, and no zero date such as 0000-00-00
_NOTHING = "'null', 'none', 'nan', 'nat', 'n/a'"


@dataclass(frozen=True)
class Unread:
    """What cannot be read of a role.

    Attributes:
        count: Orders with a value that cannot be read.
        values: Orders with a value.
        keys: Keys of the first of them, as text.
    """

    count: int
    values: int
    keys: tuple[str, ...]


def unread_roles(roles: RoleSql) -> list[str]:
    """The roles of a table whose values may be impossible to read. A DECIMAL or a DATETIME never is."""
    listed = (*AMOUNT_ROLES, *_INSTANT_ROLES, *_LIST_ROLES, *(() if "line_items" in roles.roles else _LINE_ROLES))
    return [role for role in listed if role in roles.roles and not roles.typed(role)]


def raw_values(roles: RoleSql) -> str:
    """SQL of two structs: `raw`, what the source holds for each role, and `known`, whether it was read.

    `known` has no field for lists and their elements, which `unread_flags` looks into.
    """
    raw = {role: f"{roles.column(role)}::VARCHAR" for role in unread_roles(roles)}
    known = {role: f"{roles.amount(role)} IS NOT NULL" for role in raw if role in AMOUNT_ROLES}
    known |= {role: f"{roles.own_instant(role)} IS NOT NULL" for role in raw if role in _INSTANT_ROLES}
    return f"{_struct(raw)} AS raw, {_struct(known)} AS known"


def unread_flags(roles: RoleSql, lists: Mapping[str, str]) -> str:
    """SQL of a struct with a field for each role: true where its value cannot be read, false where there is none.

    Args:
        roles: SQL of the roles.
        lists: Role -> SQL, over rows with `raw` and `known`, that is true where a list or a line cannot be read.
    """
    flags = {}
    for role in unread_roles(roles):
        unread = lists.get(role, f"NOT known.{role}")
        flags[role] = f"CASE WHEN {unread} THEN {says_something(f'raw.{role}')} END"
    return _struct(flags)


def says_something(value: str) -> str:
    """SQL: a value is neither blank nor one of the ways to write nothing, such as `0000-00-00`, `[]` or `N/A`."""
    text = f"{value}::VARCHAR"
    written = f"regexp_matches({text}, '{_SOMETHING}') AND lower(trim({text})) NOT IN ({_NOTHING})"
    return f"CASE WHEN {text} <> '[]' THEN {written} ELSE false END"  # most lists are []: no pattern is needed


def count_unread(roles: RoleSql, parts: str) -> str:
    """SQL that counts by segment and role: `filled` orders with a value, `unread` ones, and `keys` of some of these.

    Args:
        roles: SQL of the roles.
        parts: SQL of orders with `key`, `segment`, `why` and the struct `unread`.
    """
    names = unread_roles(roles)
    counts = ", ".join(
        f"count(*) FILTER (unread.{role} IS DISTINCT FROM false) AS {role}_filled, "
        f"count(*) FILTER (unread.{role}) AS {role}_unread, min(key, {EXAMPLES}) FILTER (unread.{role}) AS {role}_keys"
        for role in names
    )
    rows = ", ".join(
        f"struct_pack(role := '{role}', filled := {role}_filled, unread := {role}_unread, keys := {role}_keys)"
        for role in names
    )
    if not names:
        return f"SELECT segment, '' AS role, 0 AS filled, 0 AS unread, [key] AS keys FROM ({parts}) WHERE false"
    counted = f"SELECT segment, {counts} FROM ({parts}) WHERE why IS NULL GROUP BY segment"
    return f"SELECT segment, unnest([{rows}], recursive := true) FROM ({counted})"


def _struct(fields: Mapping[str, str]) -> str:
    packed = ", ".join(f"{name} := ({sql})" for name, sql in fields.items())
    return f"struct_pack({packed or 'nothing := NULL'})"
