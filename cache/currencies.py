"""Currencies by their ISO 4217 codes.

https://www.six-group.com/en/products-services/financial-information/data-standards.html
"""

from __future__ import annotations

from collections.abc import Mapping

USUAL_DECIMALS = 2

UNUSUAL_DECIMALS: Mapping[int, tuple[str, ...]] = {
    0: (
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ),
    3: ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"),
    4: ("CLF", "UYW"),
}
"""Decimals -> the currencies that have so many. All others have two."""

_DECIMALS = {code: decimals for decimals, codes in UNUSUAL_DECIMALS.items() for code in codes}


def decimals_of(currency: str) -> int:
    """How many decimals amounts in a currency have: 2 for EUR, 0 for JPY, 3 for KWD.

    Args:
        currency: ISO 4217 code. One that is not known, such as "", has two.
    """
    return _DECIMALS.get(currency, USUAL_DECIMALS)
