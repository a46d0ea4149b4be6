"""Which names are those of personal data: of columns, and of keys inside JSON.

`Billing Name`, `billingName` and `billing_name` are one name: a name is taken as its words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W\d_]+|\d+")

# A word of the name.
_WORDS = frozenset(
    (
        *("mail", "mails", "mobile", "cell", "tel", "fax", "zip", "postal", "plz", "city", "town"),
        *("suburb", "note", "notes", "remark", "remarks", "comment", "comments", "message", "memo"),
        *("memos", "ip", "ips", "recipient", "addressee", "consignee", "properties", "attributes"),
        *("company", "signature", "gender", "sex", "birthday", "dob", "ssn", "iban", "bic", "password"),
        *("token", "receipt", "browser", "employee", "staff", "avatar", "lat", "lng", "json", "payload"),
    )
)
# A part of the name, also where its words are not told apart. Short words stand in longer ones, such as `ip` in `tip`.
_PARTS = (
    *("email", "phone", "firstname", "lastname", "surname", "forename", "fullname", "nickname", "username"),
    *("address", "adresse", "street", "zipcode", "postcode", "postalcode", "latitude", "longitude", "destination"),
    *("birthdate", "dateofbirth", "passport", "useragent", "browserip", "clientip", "clientdetails", "noteattributes"),
    *("customattributes", "creditcard", "cardnumber", "cardholder", "paymentdetails", "customernote", "ordernote"),
    *("statusurl", "checkouturl", "invoiceurl", "recoveryurl", "originlocation"),
)
_PERSONS = (
    "customer|client|buyer|purchaser|contact|recipient|receiver|owner|holder|user|person|guest|member|sender|employee"
)
_NAMED = (
    f"{_PERSONS}|billing|shipping|delivery|invoice|account|billto|shipto|first|last|given|family|middle|maiden|full"
)
_PERSON_NAME = re.compile(
    rf"(?:^|_)(?:{_NAMED})_?names?(?:_|\d|$)|(?:^|_)names?_(?:first|last|given|family|full)(?:_|$)"
)
_PERSON = re.compile(rf"(?:{_PERSONS})s?(?:_?(?:info|information|details?|data|record|profile))?")


@lru_cache(4096)
def plain_name(name: str) -> str:
    """The words of a name in lower case, with `_` between them: `billing_name` for `Billing Name`."""
    letters = unicodedata.normalize("NFKD", _WORD_ENDS.sub("_", name)).casefold()
    return "_".join(_WORD.findall("".join(letter for letter in letters if not unicodedata.combining(letter))))


@lru_cache(4096)
def is_personal(name: str) -> bool:
    """Whether a name, as people write it, is that of personal data."""
    plain = plain_name(name)
    glued = plain.replace("_", "")
    return (
        not _WORDS.isdisjoint(plain.split("_"))
        or any(part in glued for part in _PARTS)
        or bool(_PERSON_NAME.search(plain) or _PERSON.fullmatch(plain))
    )
