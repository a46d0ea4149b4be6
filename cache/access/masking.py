"""Which columns hold personal data, and what masked keys and viewers get instead of it.

One decision (`MaskRules.mask`) holds for rows, exports, changes, figures, checks and the dashboard:

    hidden   the column shows its mask
    pruned   the column holds JSON that the reading of the table knows: it is shown without its personal data

Neither can be filtered, sorted, counted or searched by, since answers would let a client guess what it does not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from cache.access.personal_json import without_personal_data
from cache.access.personal_names import is_personal, plain_name
from cache.errors import ColumnMasked
from cache.roles import DESCRIPTIVE_ROLES, ROLES, candidates, recognise_roles
from cache.schema import Column
from cache.settings import Settings
from cache.table_setup import Setup

MASK = "***"  # in text columns; NULL stands in columns of any other kind, so that types stay what they are

_PERSONAL_ROLES = ("email", "customer_name", "address")
# JSON columns that no role is for, and that are as well known.
_KNOWN_JSON = frozenset({"discountcodes", "discountapplications", "paymentgatewaynames", "fulfillments", "tags"})
_HARMLESS_KINDS = ("boolean", "decimal", "float", "double", "date", "datetime", "timestamp")
# Columns that no role is for, and that are known to be harmless.
_HARMLESS = frozenset(
    (
        *("id", "ordernumber", "number", "appid", "locationid", "presentmentcurrency", "gateway"),
        *("paymentmethod", "paymentmethodtitle", "vendor", "shippingmethod", "processingmethod", "cancelreason"),
        *("admingraphqlapiid", "checkoutid"),
    )
)

_rows = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_texts = msgspec.json.Decoder(str)


@dataclass(frozen=True)
class Mask:
    """What is hidden from a key or a visitor.

    Attributes:
        hidden: Names of the columns that show their mask, in the order of the table.
        pruned: Names of the JSON columns that are shown without their personal data, likewise.
    """

    hidden: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is hidden."""
        return bool(self.hidden or self.pruned)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of which something is hidden."""
        return (*self.hidden, *self.pruned)

    def hides_one_of(self, names: Iterable[str]) -> bool:
        """Whether one of these columns shows its mask."""
        return not set(self.hidden).isdisjoint(names)

    def refuse(self, asked: Iterable[str]) -> None:
        """Refuses filters, sorts and facets.

        Args:
            asked: Names of the columns that a request filters, sorts or counts by.

        Raises:
            ColumnMasked: Something of a column is hidden.
        """
        for name in asked:
            if name in self.columns:
                raise ColumnMasked.of(name)

    def with_frozen(self, other: Mask, columns: Sequence[Column]) -> Mask:
        """What is hidden by this mask, or was by another one that may be older than the table.

        Args:
            other: The other mask.
            columns: The columns of the table.
        """
        hidden = {*self.hidden, *other.hidden}
        pruned = {*self.pruned, *other.pruned}
        # A column that no longer holds JSON cannot be pruned.
        hidden |= {column.name for column in columns if column.name in pruned and column.kind not in ("json", "text")}
        names = [column.name for column in columns]
        return Mask(
            tuple(name for name in names if name in hidden),
            tuple(name for name in names if name in pruned - hidden),
        )

    def json_rows(self, columns: Sequence[Column], rows: bytes) -> bytes:
        """Masks rows as a sync prepares them.

        Args:
            columns: The columns.
            rows: Rows as JSON objects, with commas between them.
        """
        if not self:
            return rows
        by_name = {column.name: column for column in columns}
        masks = {name: msgspec.Raw(msgspec.json.encode(mask_of(by_name[name]))) for name in self.hidden}
        masked = _rows.decode(b"[" + rows + b"]")
        for row in masked:
            row |= masks
            for name in self.pruned:
                row[name] = _pruned_cell(by_name[name], bytes(row[name]))
        return msgspec.json.encode(masked)[1:-1]


NOTHING_HIDDEN = Mask()


def mask_of(column: Column) -> str | None:
    """What replaces every value of a hidden column, NULL included; None is NULL."""
    return MASK if column.kind == "text" else None


def pruned_text(column: Column, text: str | None) -> str | None:
    """The text of a pruned column without its personal data. What is no object or array shows the mask."""
    if text is None:
        return None
    value = without_personal_data(text.encode())
    return mask_of(column) if value is None else value.decode()


def _pruned_cell(column: Column, cell: bytes) -> msgspec.Raw:
    """A cell of a pruned column, as JSON."""
    if cell == b"null":
        return msgspec.Raw(cell)
    if column.kind == "text":
        return msgspec.Raw(msgspec.json.encode(pruned_text(column, _texts.decode(cell))))
    return msgspec.Raw(without_personal_data(cell) or b"null")


@dataclass(frozen=True)
class MaskRules:
    """What the settings say of personal data.

    Attributes:
        personal: PERSONAL_COLUMNS: names with commas between them; `*` matches any letters, and case does not matter.
        safe: SAFE_COLUMNS, likewise.
        mask_unknown: Whether every column is hidden that is not known to be harmless.
    """

    personal: str = ""
    safe: str = ""
    mask_unknown: bool = False

    @classmethod
    def of(cls, settings: Settings) -> MaskRules:
        """The rules of these settings."""
        return cls(settings.personal_columns, settings.safe_columns, settings.mask_unknown == "on")

    def mask(self, columns: Sequence[Column], setup: Setup) -> Mask:
        """Decides what is personal in a table.

        The roles of the reading count by what they are chosen from (cache/interpretation/evidence.py): all columns
        with a name of the role, and the column that the set-up names.

        Args:
            columns: The columns of the table.
            setup: The set-up of the table.
        """
        return _decide(self, tuple(columns), setup.model_dump_json())


@lru_cache(8)  # pages and requests ask for the mask of the same table again and again
def _decide(rules: MaskRules, columns: tuple[Column, ...], setup_text: str) -> Mask:
    setup = Setup.model_validate_json(setup_text)
    personal = {setup.columns[role] for role in _PERSONAL_ROLES if role in setup.columns}
    others: set[str] = set()
    nested: set[str] = set()
    for name, player in recognise_roles(columns, setup).items():
        players = {player.name, *(column.name for column in candidates(columns, name))}
        if name not in DESCRIPTIVE_ROLES:  # what an order is called or tagged with may be anything
            (personal if name in _PERSONAL_ROLES else others).update(players)
        if ROLES[name].kinds[0] == "json":
            nested |= players
    hidden: list[str] = []
    pruned: list[str] = []
    for column in columns:
        is_hidden = column.name in personal or _is_personal(column, column.name in others, rules.mask_unknown)
        has_json = column.kind == "text" and (column.name in nested or column.type.startswith("json"))
        if _matches(rules.personal, column) or (is_hidden and not _matches(rules.safe, column)):
            hidden.append(column.name)
        elif column.kind == "json" or has_json:
            pruned.append(column.name)
    return Mask(tuple(hidden), tuple(pruned))


def _is_personal(column: Column, is_known: bool, mask_unknown: bool) -> bool:
    """Whether a column that plays no personal role is hidden. `is_known`: it plays another role."""
    if column.kind == "boolean" or (is_known and column.kind not in ("text", "json")):
        return False
    glued = plain_name(column.name).replace("_", "")
    if column.kind == "json" or column.type.startswith("json"):
        return not (is_known or glued in _KNOWN_JSON or glued.endswith("set"))
    if is_personal(column.name) or column.type.endswith("blob"):
        return True
    is_harmless = is_known or column.key or column.kind in _HARMLESS_KINDS or glued in _HARMLESS
    return mask_unknown and not is_harmless


def _matches(patterns: str, column: Column) -> bool:
    """Whether a list of patterns has the name of a column, as it is or as words with `_` between them."""
    names = column.name.casefold(), plain_name(column.name)
    wanted = (pattern.strip().casefold() for pattern in patterns.split(",") if pattern.strip())
    return any(fnmatchcase(name, pattern) for pattern in wanted for name in names)
