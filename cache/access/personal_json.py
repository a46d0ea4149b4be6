"""Takes personal data out of a JSON value, by the names of its keys."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from cache.access.personal_names import is_personal, plain_name

_NULL = b"null"
# A key that says that its object is about a person or a place.
_ABOUT_A_PERSON = frozenset({"first_name", "last_name", "email", "phone", "address_1", "zip", "city"})
_objects = msgspec.json.Decoder(dict[str, Raw])
_arrays = msgspec.json.Decoder(list[Raw])
_texts = msgspec.json.Decoder(str)


def without_personal_data(value: bytes) -> bytes | None:
    """The value without the members whose key is the name of personal data, at every depth.

    `customer.email`, `shipping_address.*` and `line_items[].properties` are such members. The `name` of an object that
    has one of a person too, such as a first name, goes with it. Everything else stays as it is written, but for white
    space.

    Args:
        value: A JSON object or array, or a JSON string that holds one.

    Returns:
        The object or array; None for anything else, and for JSON that is nested deeper than Python recurses.
    """
    try:
        if value.lstrip()[:1] == b'"':
            value = _texts.decode(value).encode()
        value = msgspec.json.format(value, indent=-1)
        return _pruned(value) if value[:1] in (b"{", b"[") else None
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _pruned(value: bytes) -> bytes:
    match value[:1]:
        case b"{":
            members = _objects.decode(value)
            if "name" in members and any(plain_name(key) in _ABOUT_A_PERSON for key in members):
                del members["name"]
            shown = {key: Raw(_pruned(bytes(part))) for key, part in members.items() if not is_personal(key)}
            return msgspec.json.encode(shown)
        case b"[":
            return msgspec.json.encode([Raw(_pruned(bytes(part))) for part in _arrays.decode(value)])
        case b'"' if _texts.decode(value).lstrip()[:1] in ("{", "["):  # JSON in a text, whose keys nobody looks at
            return _NULL
        case _:
            return value
